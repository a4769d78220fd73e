#!/usr/bin/env bats
# weir train on stand-ins for CUDA: what a run takes of a GPU, what does not fit, and where its time went.

bats_require_minimum_version 1.5.0

setup() {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 80); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

train() {
    "$WEIR_FAKE" train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 8 --steps 1 -q "$@"
}

# calls FILE OP PASS: the number of calls in the JSON.
calls() {
    grep -o "\"op\": \"$2\", \"pass\": \"$3\", \"calls\": [0-9]*" "$1" | grep -o '[0-9]*$'
}

@test "the memory table goes on with what is beside the blocks" {
    run train --device cuda:1,cuda:0,cuda:1 --stages 3 --print-memory full
    [ "$status" -eq 0 ]
    [[ "$output" == *"- cuda:1    measured at start context, modules and other users of the GPU"* ]]
    [[ "$output" == *"2 cuda:1             33554432 workspace of matrix products"* ]]
    [[ "$output" == *"0 host                1048576 pinned chunk for parameters"* ]]
    [[ "$output" == *"cuda:1: ranks 0 2, blocks "* && "$output" == *" and what is measured at start"* ]]
}

@test "a preview of processes says that they measure" {
    "$WEIR_FAKE" info | grep -q '^transport   nccl' || skip "this build has no MPI"
    run train --device cuda --stages 2 --transport nccl --print-memory full
    [ "$status" -eq 0 ]
    [[ "$output" == *"- cuda      measured at start context, modules"* ]]
    [[ "$output" == *"1 cuda      measured at start buffers and mirrors"* ]]
}

@test "a GPU that is too small is refused with exit status 3 and ways out" {
    big=(--device cuda --stages 1 --seq-len 32 --microbatch-size 8)
    bytes=$(train "${big[@]}" --print-memory full | sed -n 's/^cuda:0: .* all \([0-9]*\).*/\1/p')
    export WEIR_FAKE_MEMORY=$((bytes >> 20)) # MiB
    run train "${big[@]}"
    [ "$status" -eq 3 ]
    [[ "$output" == *"device 'cuda:0' has $WEIR_FAKE_MEMORY.0 MiB free of $WEIR_FAKE_MEMORY.0"*"its 1 rank needs "* ]]
    [[ "$output" == *": use more devices; it fits with --recompute full, or with --"*" or with --microbatch-size 4"* ]]
}

@test "the profile of GPUs adds up, and counts the calls" {
    train --device cuda:0,cuda:1 --profile --json >gpu.json 2>/dev/null
    "$WEIR" train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 8 --steps 1 -q --profile --json \
        >cpu.json 2>/dev/null
    grep -o '"share": [^,]*' gpu.json | awk '{ sum += $2; low += $2 < 0 } END { exit !(sum > 1 - 1e-9 && sum < 1 + 1e-9 && !low && NR > 10) }'
    for op in linear attention cross_entropy; do
        [ "$(calls gpu.json $op forward)" -eq "$(calls cpu.json $op forward)" ]
    done
    [ "$(calls gpu.json linear backward_weight)" -eq "$(calls cpu.json linear backward_weight)" ]
    [ "$(calls gpu.json optimizer update)" -eq 2 ]
}
