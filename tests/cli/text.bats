#!/usr/bin/env bats
# Texts as tokens: train, evaluate and generate read them with the model's tokenizer.

bats_require_minimum_version 1.5.0
load small_tokenizer

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    for i in $(seq 60); do printf 'the %d th thing, thus\n' "$i"; done >book.txt
    mkdir model
    printf '{"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 2, "n_positions": 64, "vocab_size": 258}' >model/config.json
    tokenizer_write model
    encode <book.txt | words2 >ids.bin
    n=$(($(wc -c <ids.bin) / 2))
    echo "$n" >n
    "$WEIR" train --model model --data book.txt --steps 3 --microbatches 2 --microbatch-size 2 --seq-len 8 -q --export tuned >/dev/null
}

setup() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    n=$(cat n)
}

train() {
    "$WEIR" train --microbatches 2 --microbatch-size 2 --seq-len 8 --steps 3 -q "$@"
}

# The losses of all steps.
losses() {
    train --metrics m --force "$@" >/dev/null && grep -o '"loss": [^,]*' m
}

@test "a text trains as the tokens of the model's tokenizer do, to the bit" {
    losses --model model --data book.txt >of_text
    losses --model model --data ids.bin >of_tokens
    [ "$(wc -l <of_text)" -eq 3 ]
    cmp of_text of_tokens
}

@test "a tokenizer.json alone is read as well, and a part of it that is not read is named with its file" {
    mkdir one
    cp model/config.json one
    tokenizer_json_write one
    losses --model model --data book.txt >of_two
    losses --model one --data book.txt >of_one
    cmp of_two of_one
    "$WEIR" train --model one --data book.txt --steps 3 --seq-len 8 -q --export one-tuned >/dev/null
    wanted=$("$WEIR" generate --init-from one-tuned --tokenizer model --prompt 'the thing' -n 5 -q)
    [ "$("$WEIR" generate --init-from one-tuned --tokenizer one --prompt 'the thing' -n 5 -q)" = "$wanted" ]
    sed -i 's/"normalizer": null/"normalizer": {"type": "Lowercase"}/' one/tokenizer.json
    run --separate-stderr train --model one --data book.txt
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"one/tokenizer.json"*"normalizer 'Lowercase' is not read"* ]]
}

@test "what is trained on are the tokens that generate makes of the same text" {
    head -c 55 book.txt >start
    wanted=$("$WEIR" generate --init-from tuned --prompt "$(cat start)" -n 1 -q --json | "$JSON_GET" prompt_tokens)
    [ "$(train --model model --data start --json | "$JSON_GET" data.tokens)" -eq "$wanted" ]
    [ "$wanted" -lt 55 ]
}

@test "the first lines say which tokenizer reads the text, --json and metrics too" {
    run --separate-stderr "$WEIR" train --model model --data book.txt --steps 1 --seq-len 8 --metrics said --json
    [ "${stderr_lines[1]}" = "data: book.txt as text, $(sed 's/...$/,&/' <<<"$n") tokens of tokenizer model" ]
    [ "$("$JSON_GET" data.tokenizer data.tokens <<<"$output")" = "$(printf '"model"\n%d' "$n")" ]
    [ "$(head -n 1 said | "$JSON_GET" run.tokenizer)" = '"model"' ]
}

@test "a text is read as bytes where there is no tokenizer, and by --tokenizer bytes, and the run says so" {
    mkdir bare
    cp model/config.json bare
    for arguments in '--model bare' '--model model --tokenizer bytes' '--model gpt2-tiny'; do
        # shellcheck disable=SC2086
        run --separate-stderr "$WEIR" train $arguments --data book.txt --steps 1 --seq-len 8 --json
        [[ "${stderr_lines[1]}" == "data: book.txt as text, "*" tokens as bytes"* ]]
        [ "$("$JSON_GET" data.tokenizer data.tokens <<<"$output")" = "$(printf '"bytes"\n%d' "$(wc -c <book.txt)")" ]
    done
    run --separate-stderr "$WEIR" train --model bare --data book.txt --steps 1 --seq-len 8
    [[ "${stderr_lines[1]}" == *" as bytes, no tokenizer is with the model" ]]
}

@test "--tokenizer names a folder or a file, for a model that has none" {
    losses --model model --data book.txt >wanted
    losses --model bare --tokenizer model --data book.txt | cmp wanted -
    losses --model bare --tokenizer model/vocab.json --data book.txt | cmp wanted -
    losses --model bare --init-from tuned --data book.txt >with_weights
    losses --model bare --init-from tuned --tokenizer tuned --data book.txt | cmp with_weights -
}

@test "an export takes along the tokenizer it was trained with" {
    train --model bare --tokenizer model --data book.txt --export with_folder >/dev/null
    for file in vocab.json merges.txt; do cmp "model/$file" "with_folder/$file"; done
    [ "$("$WEIR" generate --init-from with_folder --prompt th -n 1 -q --json | "$JSON_GET" prompt_tokens)" -eq 1 ]
    train --model model --tokenizer bytes --data book.txt --export without >/dev/null
    [ ! -e without/vocab.json ]
    [ "$("$WEIR" generate --init-from without --tokenizer bytes --prompt th -n 1 -q --json | "$JSON_GET" prompt_tokens)" -eq 2 ]
}

@test "evaluate reads a text with the tokenizer of the weights' folder" {
    run --separate-stderr "$WEIR" evaluate --init-from tuned --data book.txt --seq-len 8 -q
    [ "$status" -eq 0 ]
    [ "$output" = "$("$WEIR" evaluate --init-from tuned --data ids.bin --seq-len 8 -q)" ]
    [ "$output" != "$("$WEIR" evaluate --init-from tuned --data book.txt --tokenizer bytes --seq-len 8 -q)" ]
    [ "$("$WEIR" evaluate --init-from tuned --data book.txt --seq-len 8 -q --json | "$JSON_GET" data.tokenizer)" = '"tuned"' ]
}

@test "generate takes another tokenizer, or bytes" {
    run "$WEIR" generate --init-from tuned --prompt th --tokenizer bytes -n 1 -q --json
    [ "$("$JSON_GET" prompt_tokens <<<"$output")" -eq 2 ]
    run "$WEIR" generate --init-from tuned --prompt th -n 1 -q --json
    [ "$("$JSON_GET" prompt_tokens <<<"$output")" -eq 1 ]
    cp -r tuned plain
    rm plain/vocab.json plain/merges.txt
    run --separate-stderr "$WEIR" generate --init-from plain --prompt th -n 1 -q
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--tokenizer"* ]]
    run "$WEIR" generate --init-from plain --prompt th --tokenizer model -n 1 -q --json
    [ "$("$JSON_GET" prompt_tokens <<<"$output")" -eq 1 ]
}

@test "documents of JSON Lines are parted by the end of text" {
    printf '{"text": "the"}\n{"text": "thus, a thing"}\n{"text": "and more of that, another thing"}\n' >lines.jsonl
    { printf the | encode; echo 257; printf 'thus, a thing' | encode; echo 257; printf 'and more of that, another thing' | encode; } | words2 >lines.bin
    losses --model model --data lines.jsonl >of_lines
    losses --model model --data lines.bin | cmp of_lines -
    run --separate-stderr "$WEIR" train --model model --data lines.jsonl --steps 1 --seq-len 8 --microbatches 1 --json
    [[ "${stderr_lines[1]}" == "data: lines.jsonl as JSON Lines, 43 tokens of tokenizer model of 3 documents" ]]
}

# name | arguments | exit status | words of the message
@test "texts and tokenizers that cannot be used: one clear line and the right exit status" {
    printf 'one\nnaive caf\351\n' >latin.txt
    mkdir -p odd
    while IFS='|' read -r name arguments code words; do
        # shellcheck disable=SC2086
        run --separate-stderr train $arguments
        [ "$status" -eq "$code" ] || { echo "$name: $status $stderr"; false; }
        [[ "$stderr" == *"$words"* && "$(wc -l <<<"$stderr")" -eq 1 ]] || { echo "$name: $stderr"; false; }
    done <<'ROWS'
too many ids|--model gpt2-tiny --tokenizer model --data book.txt|1|'model' has tokens up to 257, the model's vocabulary ends at 255
no such tokenizer|--model model --tokenizer nowhere --data book.txt|1|no tokenizer 'nowhere'
a folder without one|--model model --tokenizer odd --data book.txt|1|'odd' has no tokenizer
not UTF-8|--model model --data latin.txt|1|'latin.txt' line 2 is no UTF-8: byte 0xe9 at 13
nothing to read|--model model --tokenizer bytes --data ids.bin|2|--tokenizer reads texts, and 'ids.bin' is uint16
ROWS
}

@test "a run that goes on reads texts with the tokenizer it began with" {
    train --model bare --init-from tuned --data book.txt --checkpoint-dir c >/dev/null
    run --separate-stderr "$WEIR" train --checkpoint-dir c --resume --steps 5 --json
    [ "$status" -eq 0 ]
    [ "$("$JSON_GET" data.tokenizer steps <<<"$output")" = "$(printf '"tuned"\n5')" ]
}
