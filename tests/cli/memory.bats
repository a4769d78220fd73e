#!/usr/bin/env bats
# What a run takes, without running it.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    printf 'a text of some bytes, enough for a sample or two of them, and some more to be sure of it\n' >text
}

train() {
    "$WEIR" train --model gpt2-tiny "$@"
}

@test "one line per rank in GiB, and what makes each column smaller" {
    run train --stages 3 --print-memory
    [ "$status" -eq 0 ]
    [[ "${lines[1]}" == "rank    parameters    gradients    optimizer  activations        slots       beside          all" ]]
    [ "$(grep -Ec '^[0-2]( +[0-9.]+ GiB){7}$' <<<"$output")" -eq 3 ]
    [[ "$output" == *"--zero 1"*"--recompute full"*"--print-memory full"* ]]
}

@test "the columns add up to the full table, in bytes" {
    for options in "--stages 2" "--stages 4 --schedule zbv --recompute full" "--ranks 2 --replicas 2 --zero 1" \
        "--stages 2 --device cuda --dtype bf16"; do
        # shellcheck disable=SC2086
        train $options --print-memory --json >m.json
        # shellcheck disable=SC2086
        train $options --print-memory full >full.txt
        sed -n 's/[^0-9]*: params/ params/; s/, / /g; /^rank [0-9]* params/p' full.txt | sed 's/[^0-9 ]//g' |
            awk '{ print $2 + $3, $4, $5, $6, $7 + $8 }' >full
        grep -o '"parameters": [^}]*' m.json | sed 's/[^0-9 ]//g' | awk '{ print $1, $2, $3, $4, $5; if ($1 + $2 + $3 + $4 + $5 + $6 != $7) exit 1 }' >lines
        diff full lines || { echo "$options"; false; }
    done
}

@test "with a cap there is a verdict, and exit status 3 where a rank is over it" {
    run --separate-stderr train --stages 2 --print-memory --device-memory 1G
    [ "$status" -eq 0 ]
    [[ "$output" == *"all ranks fit: rank 0 takes most, 0.0228 of 1.0000 GiB"* ]]
    run --separate-stderr train --stages 2 --print-memory --device-memory 20M
    [ "$status" -eq 3 ]
    [[ "$output" == *"rank 0: 0.0228 of 0.0195 GiB: does not fit"* && "$output" != *"rank 1: 0.01"* ]]
    [[ "$stderr" == *"rank 0 (stage 0) needs "*", the cap is 20971520 bytes, 1 of 2 ranks are over it: it fits with "* ]]
    run --separate-stderr train --stages 2 --print-memory --device-memory 20M --json
    [ "$status" -eq 3 ]
    [[ "$output" == *'"cap": 20971520'*'"fits": false'* ]]
}

@test "a table needs no GPU, and no build that has one" {
    run train --stages 2 --device cuda:0,cuda:0 --dtype bf16 --print-memory
    [ "$status" -eq 0 ]
    [[ "$output" == *"and what is measured when a run starts"* ]]
    "$WEIR" info | grep -q 'library     CUDA: not in this build' || skip "this build has CUDA"
    run train --stages 2 --device cuda --data text --steps 1
    [[ "$status" -eq 2 && "$output" == *"device 'cuda' needs the plugin libweir_cuda.so.0, which is not there"*"or use --device cpu"* ]]
}

@test "the table of a build without CUDA is that of one with it" {
    [ -n "$WEIR_FAKE" ] || skip "no C++ compiler was found for the stand-in"
    for options in "" "--dtype bf16 --recompute full" "--model llama-tiny --dtype bf16 --schedule zbv" "--schedule zb-h1"; do
        # shellcheck disable=SC2086
        train --stages 2 --device cuda $options --print-memory full >without
        # shellcheck disable=SC2086
        "$WEIR_FAKE" train --model gpt2-tiny --stages 2 --device cuda $options --print-memory full >with
        diff without with || { echo "$options"; false; }
    done
}

@test "where nothing fits cap and machine, what fits the cap alone is named with what all ranks need" {
    cat >config.json <<'END'
{"model_type": "llama", "hidden_size": 16384, "intermediate_size": 65536, "num_hidden_layers": 16, "num_attention_heads": 128,
 "vocab_size": 32000, "max_position_embeddings": 4096}
END
    run "$WEIR" train --model ./config.json --data text --seq-len 16 --microbatch-size 1 --stages 4 --device-memory 200G --steps 1
    [ "$status" -eq 3 ]
    [[ "$output" == *"the cap is 214748364800 bytes, 4 of 4 ranks are over it: nothing fits this machine too; by the cap alone it fits with --stages 8 (8 ranks: "*" GiB together, device 'cpu' has "*" GiB free)" ]]
}

@test "--print-memory stands alone or takes full" {
    run train --print-memory=half
    [[ "$status" -eq 2 && "$output" == *"--print-memory stands alone or takes 'full', not 'half'" ]]
    run train --print-memory half
    [[ "$status" -eq 2 && "$output" == *"unexpected argument 'half'" ]]
    train --print-memory=full | grep -q '^0 params'
    echo '{"print-memory": true}' >c.json
    train --config c.json | grep -q '^0 .* GiB$'
    echo '{"print-memory": "full"}' >c.json
    train --config c.json | grep -q '^0 params'
}
