#!/usr/bin/env bats
# weir checkpoint looks at checkpoints and turns them into others.   labels: slow

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    local base=(train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 16 -q)
    "$WEIR" "${base[@]}" --steps 4 --stages 2 --replicas 2 --zero 1 --checkpoint-dir D --checkpoint-every 2 --val-data text \
        --val-every 2 --val-batches 1 --export e
    "$WEIR" "${base[@]}" --steps 4 --stages 1 --replicas 2 --checkpoint-dir E
    mkdir D/step-000009
}

setup() {
    cp -r "$BATS_FILE_TMPDIR/." "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR" || exit 1
}

checkpoint() {
    "$WEIR" checkpoint "$@"
}

@test "list shows step, time, size and validation loss, and what is torn" {
    run checkpoint list D
    [ "$status" -eq 0 ]
    [[ "${lines[1]}" =~ ^step-000002\ +20..-..-..\ ..:..:..\ +14\.2\ MiB\ +[0-9]\.[0-9]{4}$ ]]
    [ "${lines[3]}" = "step-000009    not whole: 'D/step-000009/manifest.json' is missing: there is no whole checkpoint" ]
    [ "$(checkpoint list D --json | "$JSON_GET" checkpoints.1.step)" -eq 4 ]
    mkdir none
    [ "$(checkpoint list none)" = "no checkpoints in 'none'" ]
    run checkpoint list nowhere
    [ "$status" -eq 1 ]
    [ "$output" = "weir checkpoint list: 'nowhere' is no folder" ]
}

@test "show names what the run was, and every tensor" {
    run checkpoint show D
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = D/step-000004 ]
    [[ "${lines[1]}" == "step       4, samples read 32, trained for "* ]]
    [[ "$output" == *"layout     stages 2, ranks 2, replicas 2, zero 1, "* ]]
    [[ "$output" == *"options    --model gpt2-tiny --data text "* ]]
    [[ "$output" == *"exp_avg_sq 76 of 1230848 elements, in 76 pieces"* ]]
    [ "$(checkpoint show D/step-000002 --tensors | grep -c '^exp_avg ')" -eq 76 ]
    checkpoint show D/step-000002 --tensors | grep -qx 'parameter  transformer.wpe.weight \[64, 128\] part-00000.safetensors'
    checkpoint show D --json | cmp - D/step-000004/manifest.json
}

@test "verify reads everything, and names file and tensor of what is damaged" {
    run checkpoint verify D/step-000002 E
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = "E/step-000004: whole, 228 tensors, 14.1 MiB" ]
    printf 'x' | dd of=E/step-000004/part-00000.safetensors bs=1 seek=900000 conv=notrunc 2>/dev/null
    run checkpoint verify D E
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 4 ]
    [[ "${lines[3]}" == "E/step-000004: not whole: 'E/step-000004/part-00000.safetensors': tensor '"*"' is damaged: its XXH3 is "* ]]
    run checkpoint verify E --json
    [ "$status" -eq 1 ]
    [[ "$("$JSON_GET" checkpoints.0.flaw <<<"$output")" == *"is damaged"* ]]
}

@test "compare joins what layouts have split, and says how much differs" {
    run checkpoint compare D/step-000004 E
    [ "$status" -eq 0 ]
    [ "$output" = "228 tensors are the same to the bit, and so is the state of the run" ]
    run checkpoint compare D/step-000002 E
    [ "$status" -eq 1 ]
    [ "${lines[0]}" = "step: 2, 4" ]
    [[ "$output" =~ parameter\ transformer.wte.weight:\ 32768\ of\ 32768\ elements\ differ,\ element\ [0-9]+\ by\ 0\.00 ]]
    run checkpoint compare D/step-000002 E --json
    [ "$status" -eq 1 ]
    [ "$("$JSON_GET" same <<<"$output")" = false ]
    [ "$("$JSON_GET" tensors <<<"$output")" -eq 228 ]
}

@test "convert makes the folder that --export makes, and a checkpoint of it that a run begins with" {
    checkpoint convert D/step-000004 hf
    cmp hf/model.safetensors e/model.safetensors
    cmp hf/config.json e/config.json
    checkpoint convert hf C
    run checkpoint compare C D/step-000004
    [ "$status" -eq 1 ]
    ! grep -v 'step: \|sample: \|model: \|optimizer: \|seed: \|^exp_avg.*: only in the second$\|^152 of 228 tensors differ$' <<<"$output"
    local base=(train --model hf --data text --microbatch-size 2 --seq-len 16 --steps 2 -q)
    "$WEIR" "${base[@]}" --checkpoint-dir C --resume --export a
    "$WEIR" "${base[@]}" --init-from hf --export b
    cmp a/model.safetensors b/model.safetensors
}

@test "convert rounds and shards as --export does" {
    "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --steps 0 --init-from E/step-000004 -q --export bf16 --export-dtype bf16 \
        --export-shard-size 1M --val-data text --val-batches 1
    checkpoint convert E hf --dtype bfloat16 --shard-size 1M
    diff -r bf16 hf
    [ "$(ls hf/*.safetensors | wc -l)" -ge 3 ]
    run checkpoint convert hf C --dtype bf16
    [ "$status" -eq 2 ]
    [[ "$output" == *"--dtype is for a Hugging Face folder"* ]]
}

@test "convert takes the tokenizer's files of the model that was trained along" {
    cp -r e model
    echo '{"a": 0}' >model/special_tokens_map.json
    echo '{"b": 0}' >other.json
    "$WEIR" train --model model/ --init-from model/ --data text --microbatch-size 2 --seq-len 16 --steps 1 -q --checkpoint-dir M
    checkpoint convert M hf
    cmp model/special_tokens_map.json hf/special_tokens_map.json
    cp -r e like
    cp other.json like/special_tokens_map.json
    checkpoint convert M hf2 --like like
    cmp other.json hf2/special_tokens_map.json
}

@test "convert refuses what it cannot convert or would replace, by name" {
    mkdir mine
    cp e/config.json mine/
    run checkpoint convert D mine
    [ "$status" -eq 2 ]
    [[ "$output" == *"mine"*"--force"* ]]
    run checkpoint convert D/step-000009 hf
    [ "$status" -eq 1 ]
    [[ "$output" == *"'D/step-000009' is neither a checkpoint nor a model's folder: it has no manifest.json and no config.json" ]]
    printf 'x' | dd of=E/step-000004/part-00000.safetensors bs=1 seek=900000 conv=notrunc 2>/dev/null
    run checkpoint convert E hf
    [ "$status" -eq 1 ]
    [[ "$output" == *"is damaged: its XXH3 is "* ]]
    [ ! -e hf ]
}

@test "average is the mean of the parameters of whole checkpoints" {
    run checkpoint average D -o M
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "weir checkpoint average: passed over: 'D/step-000009/manifest.json' is missing"* ]]
    [ "${lines[1]}" = "M/step-000000: the mean of 2 checkpoints" ]
    checkpoint average E/step-000004 E/step-000004 -o same
    checkpoint convert same hf
    cmp hf/model.safetensors e/model.safetensors
    run checkpoint average D/step-000002 -o N
    [ "$status" -eq 2 ]
    run checkpoint average D E
    [ "$status" -eq 2 ]
    [[ "$output" == *"--out is missing"* ]]
}

@test "forms and paths that are not there are refused" {
    run checkpoint frob
    [ "$status" -eq 2 ]
    [[ "$output" == *"unknown form 'frob'"* ]]
    run checkpoint compare D
    [ "$status" -eq 2 ]
    run checkpoint show nowhere
    [ "$status" -eq 1 ]
    [[ "$output" == *"'nowhere/manifest.json' is missing: there is no whole checkpoint" ]]
}

@test "the safetensors package reads what was written, and what it writes is read, with the same bits" {
    run "${WEIR_PYTHON:-python3}" "$WEIR_SOURCE_DIR/tests/soak/safetensors_package.py" "$WEIR"
    [ "$status" -ne 77 ] || skip "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"28 of 28 refused by name"* ]]
}
