#!/usr/bin/env bats
# weir generate as a person uses it: with a model trained a moment before.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    for _ in $(seq 600); do printf 'abcde; '; done >text
    printf '{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 256}' >small.json
    "$WEIR" train --model ./small.json --data text --steps 60 --lr 0.01 --microbatches 2 --microbatch-size 2 --seq-len 16 -q \
        --export model >/dev/null
    mkdir empty
    cp model/config.json empty
}

setup() {
    cd "$BATS_FILE_TMPDIR" || exit 1
}

generate() {
    "$WEIR" generate --init-from model -q "$@"
}

@test "greedy text follows the prompt and is what the model has learnt" {
    run --separate-stderr generate --prompt 'abc' --tokens 11
    [ "$status" -eq 0 ]
    [ "$output" = 'abcde; abcde; ' ]
    [ -z "$stderr" ]
}

@test "--logits writes what the tokens are drawn from, as NumPy reads it" {
    generate --prompt-tokens 97,98,99 --tokens 5 --logits l.npy >tokens
    [ "$(head -c 6 l.npy | tail -c 5)" = NUMPY ]
    [[ "$(head -c 127 l.npy | tail -c 117 | tr -s ' ')" == "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 1, 256), } " ]]
    [ "$(wc -c <l.npy)" -eq $((128 + 5 * 256 * 4)) ]
    tail -c +129 l.npy | od -An -v -tf4 -w1024 | awk '{ best = 1; for (i = 2; i <= NF; i++) if ($i > $best) best = i; print best - 1 }' >largest
    [ "$(paste -sd, largest)" = "$(tr -d '\n' <tokens | sed 's/^97,98,99,*//; s/ //g')" ]
    generate --prompt abc --tokens 3 --samples 2 --temperature 1 --seed 3 --logits two.npy --stages 2 >/dev/null
    [ "$(wc -c <two.npy)" -eq $((128 + 3 * 2 * 256 * 4)) ]
    cmp <(tail -c +129 l.npy | head -c 1024) <(tail -c +129 two.npy | head -c 1024)
    run generate --prompt abc --tokens 3 --logits none/l.npy
    [[ "$status" -eq 1 && "$output" == *"cannot write 'none/l.npy'"* ]]
    run generate --prompt abc --tokens 3 --logits /dev/null
    [[ "$status" -eq 2 && "$output" == *"'/dev/null' of --logits is no file"* ]]
    run generate --prompt abc --tokens 3 --logits model/config.json
    [ "$status" -eq 2 ]
    python3 -c 'import numpy' 2>/dev/null || return 0
    [ "$(python3 -c 'import numpy; x = numpy.load("two.npy"); print(x.shape, x.dtype)')" = "(3, 2, 256) float32" ]
}

@test "any number of stages and of samples writes the same text" {
    generate --prompt 'abcd' --tokens 40 --temperature 0.7 >one
    for stages in 2 3 4; do
        generate --prompt 'abcd' --tokens 40 --temperature 0.7 --stages "$stages" >"with-$stages"
        cmp one "with-$stages"
    done
    run generate --prompt 'abcd' --tokens 40 --temperature 0.7 --stages 2 --samples 3
    [[ "$output" == "--- sample 1 ---
$(cat one)
"* ]]
    [ "$(grep -c '^--- sample ' <<<"$output")" -eq 3 ]
}

@test "a seed repeats its text, another gives another" {
    generate --prompt 'a' --temperature 1.5 --seed 3 >a
    generate --prompt 'a' --temperature 1.5 --seed 3 >b
    generate --prompt 'a' --temperature 1.5 --seed 4 >c
    cmp a b
    run ! cmp -s a c
}

@test "the most likely token alone is greedy" {
    generate --prompt 'abcde' --tokens 20 >greedy
    generate --prompt 'abcde' --tokens 20 --temperature 1 --top-k 1 >top
    cmp greedy top
}

@test "numbers in, numbers out" {
    run generate --prompt-tokens 116,104,101 --tokens 4
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^[0-9]+,[0-9]+,[0-9]+,[0-9]+$ ]]
}

@test "--json has tokens and text of every sample" {
    run generate --prompt 'abcde' --tokens 3 --samples 2 --json
    [ "$status" -eq 0 ]
    [[ "$output" == '{"model": "model/config.json", "prompt_tokens": 5, "samples": [{"eos": null, "stop": "length", "text": "'*'", "tokens": ['*']}, {'*'}]}' ]]
}

@test "without --tokens the text ends where the model's positions do" {
    run generate --prompt "$(printf 'x%.0s' $(seq 60))" --json
    [ "$(grep -o '"tokens": \[[^]]*' <<<"$output" | tr -cd , | wc -c)" -eq 3 ]
}

@test "the caches stand in the memory table" {
    run generate --prompt abc --tokens 5 --samples 2 --print-memory full
    [ "$status" -eq 0 ]
    [[ "$output" == *" cache "*"keys and values of 2 sequences"* ]]
}

@test "a rank's line of memory has its caches in GiB, and with a cap there is a verdict" {
    run generate --prompt abc --tokens 5 --stages 2 --print-memory
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "rank    parameters        cache  activations        slots       beside          all" ]]
    [ "$(grep -Ec '^[01]( +[0-9.]+ GiB){6}$' <<<"$output")" -eq 2 ]
    [[ "$output" == *"fewer --samples and --tokens"* ]]
    generate --prompt abc --tokens 5 --stages 2 --print-memory --json | tr ',{}' '\n' |
        awk '/"(parameters|cache|activations|slots|beside)"/ { sum += $NF } /"all"/ { if (sum != $NF) exit 1; sum = 0; n++ } END { exit n != 2 }'
    run --separate-stderr generate --prompt abc --tokens 5 --print-memory --device-memory 1G
    [[ "$status" -eq 0 && "$output" == *"all ranks fit: rank 0 takes most, "*" of 1.0000 GiB"* ]]
    run --separate-stderr generate --prompt abc --tokens 5 --print-memory --device-memory 10K
    [[ "$status" -eq 3 && "$output" == *"rank 0: "*" of 0.0000 GiB: does not fit"* ]]
    [[ "$stderr" == *"the cap is 10240 bytes"* ]]
    run generate --prompt abc --tokens 5 --device cuda --stages 2 --print-memory
    [[ "$status" -eq 0 && "$output" == *"and what is measured when a run starts"* ]]
}

# name|arguments|exit status|words of the message
@test "what is wrong is said" {
    while IFS='|' read -r name arguments code words; do
        # shellcheck disable=SC2086
        run --separate-stderr "$WEIR" generate $arguments
        echo "$name: $status $stderr"
        [ "$status" -eq "$code" ]
        [[ "$stderr" == "weir generate: "*"$words"* ]]
    done <<'EOF'
no model|--prompt x|2|--init-from is missing
no prompt|--init-from model|2|give a --prompt
both prompts|--init-from model --prompt x --prompt-tokens 1|2|give a --prompt
too long|--init-from model --prompt x --tokens 64|2|fewer --tokens
no folder|--init-from nothere --prompt x|1|nothere/config.json
no weights|--init-from empty --prompt x|1|empty
not a token|--init-from model --prompt-tokens 1,256|2|'256' is not a token from 0 to 255
not a number|--init-from model --prompt-tokens 1,,2|2|'' is not a token
no text|--model mlp --prompt x|2|no tokens to generate
no tokenizer|--model gpt2 --prompt x|2|vocab.json and merges.txt were looked for
no room|--init-from model --prompt x --device-memory 1K|3|fewer --samples or --tokens
too many stages|--init-from model --prompt x --stages 7|3|7 stages
EOF
}

# A tokenizer of the 256 bytes and one merge.
tokenizer_write() {
    awk 'BEGIN { printf "{"; for (b = 0; b < 256; b++) {
            self = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174
            printf "%s\"\\u%04x\": %d", b ? ", " : "", self ? b : 256 + n++, b } }' >"$1/vocab.json"
    printf '%s}' "$2" >>"$1/vocab.json"
    printf '#version: 0.2\nt h\n' >"$1/merges.txt"
}

@test "the tokenizer of a folder is used" {
    cp -r model coded
    tokenizer_write coded ''
    run --separate-stderr "$WEIR" generate --init-from coded --prompt the -q
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"merges.txt:2: 'th' is not in vocab.json"* ]]
    : >coded/merges.txt
    "$WEIR" generate --init-from coded --prompt 'abcd' -q >coded.txt
    generate --prompt 'abcd' | cmp - coded.txt
    tokenizer_write coded ', "th": 256'
    run --separate-stderr "$WEIR" generate --init-from coded --prompt the -q
    [[ "$stderr" == *"'coded' has tokens up to 256, the model's vocabulary ends at 255"* ]]
    rm coded/merges.txt
    run --separate-stderr "$WEIR" generate --init-from coded --prompt the -q
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"merges.txt"* ]]
}

# A folder with a model of 257 tokens after one step: room for one token that is no byte.
coded_make() {
    mkdir "$1"
    sed 's/"vocab_size": 256/"vocab_size": 257/' model/config.json >"$1/config.json"
    "$WEIR" train --model "$1/config.json" --data text --steps 1 --seq-len 8 --microbatches 1 -q --export "$1" --force >/dev/null
}

@test "merges shorten the prompt, pieces are printed as their bytes" {
    coded_make pieces
    tokenizer_write pieces ', "th": 256'
    run "$WEIR" generate --init-from pieces --prompt 'the thought' --tokens 1 -q --json
    [ "$status" -eq 0 ]
    [[ "$output" == *'"prompt_tokens": 9,'* ]]
    # at this temperature all tokens are alike
    run "$WEIR" generate --init-from pieces --prompt 'th' --tokens 60 --samples 16 --temperature 1e6 -q --json
    [ "$(grep -o '[[ ]256[],]' <<<"$output" | wc -l)" -ge 1 ]
    [[ "$output" == *th* ]]
}

# ended FILE...: what generate says of the end of a greedy text of a model that writes "abcde; ", with these files added.
ended() {
    rm -rf stops
    cp -r model stops
    while [ $# -gt 0 ]; do
        if [ "$1" = config.json ]; then sed -i "s/\"eos_token_id\": null/$2/" stops/config.json; else printf '{%s}' "$2" >"stops/$1"; fi
        shift 2
    done
    "$WEIR" generate --init-from stops --prompt abc -n 11 -q --json | "$JSON_GET" samples.0.eos samples.0.stop samples.0.text | paste -sd' '
}

@test "a text ends at eos of generation_config.json, else of config.json, which is not printed" {
    [ "$(ended)" = 'null "length" "de; abcde; "' ]
    [ "$(ended config.json '"eos_token_id": 59')" = '59 "eos" "de"' ]
    [ "$(ended generation_config.json '"eos_token_id": 59')" = '59 "eos" "de"' ]
    [ "$(ended generation_config.json '"eos_token_id": [97, 32, 99]')" = '32 "eos" "de;"' ]
    [ "$(ended config.json '"eos_token_id": 101' generation_config.json '"eos_token_id": 59')" = '59 "eos" "de"' ]
    [ "$(ended config.json '"eos_token_id": 101' generation_config.json '"eos_token_id": null')" = '101 "eos" "d"' ]
    [ "$(ended config.json '"eos_token_id": 50256')" = 'null "length" "de; abcde; "' ]
    [ "$(ended generation_config.json '"eos_token_id": 100')" = '100 "eos" ""' ]
}

@test "--ignore-eos goes on, and a text that ended says by which token" {
    ended generation_config.json '"eos_token_id": 59' >/dev/null
    run --separate-stderr "$WEIR" generate --init-from stops --prompt abc -n 11
    [ "$output" = abcde ]
    [[ "$stderr" == *", ended by token 59" ]]
    run "$WEIR" generate --init-from stops --prompt abc -n 11 -q --ignore-eos
    [ "$output" = 'abcde; abcde; ' ]
    run "$WEIR" generate --init-from stops --prompt-tokens 97,98,99 -n 11 -q
    [ "$output" = 100,101 ]
}

@test "an eos that is no token is refused by file and key" {
    for wrong in '"x"' '[1, "x"]' -1 1.5 '{}'; do
        ended generation_config.json "\"eos_token_id\": $wrong" || true
        run --separate-stderr "$WEIR" generate --init-from stops --prompt abc
        [ "$status" -eq 1 ]
        [[ "$stderr" == *"stops/generation_config.json: 'eos_token_id' is neither a token"* ]]
    done
}

@test "a text ends where the tokenizer's end is drawn" {
    coded_make ends
    tokenizer_write ends ', "<|endoftext|>": 256'
    : >ends/merges.txt
    run "$WEIR" generate --init-from ends --prompt 'a' --tokens 60 --samples 64 --temperature 1e6 -q --json
    [ "$status" -eq 0 ]
    grep -o '"tokens": \[[^]]*' <<<"$output" | grep -w 256 && exit 1
    [[ "$output" == *'"eos": 256, "stop": "eos"'* ]]
    # 64 samples of 60 draws from 257 tokens: some end early, some do not
    grep -o '"tokens": \[[^]]*' <<<"$output" | tr -cd ',\n' | awk '{ print length($0) + 1 }' >lengths
    [ "$(wc -l <lengths)" -eq 64 ]
    [ "$(sort -n lengths | tail -n 1)" -eq 60 ]
    [ "$(sort -n lengths | head -n 1)" -lt 60 ]
}

@test "--help fits one screen" {
    run "$WEIR" generate --help
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -le 24 ]
}
