#!/usr/bin/env bats
# weir train under schedules with two copies of the weights: over every transport the numbers of one stage with two replicas.

bats_require_minimum_version 1.5.0
load mpi_ranks

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    base=(train --model gpt2-tiny --data text --microbatch-size 1 --seq-len 8 --dropout 0.1 --steps 2)
}

# The reference is one stage with twice the replicas and half the micro-batches.
@test "processes that weir launch starts have the bits of one stage with two replicas" {
    reference --replicas 2 --microbatches 4
    launched 4 --stages 4 --schedule dualpipe --microbatches 8
    launched 2 --stages 2 --schedule chimera --microbatches 8
    reference --replicas 4 --microbatches 2
    launched 4 --stages 2 --schedule dualpipe --microbatches 4 --replicas 2 --zero 1
}

@test "processes of mpirun have them on one host and on several" {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    reference --replicas 2 --microbatches 4
    over_mpi 4 "" --stages 4 --schedule dualpipe --microbatches 8
    over_mpi 4 0,1,0,1 --stages 4 --schedule chimera --microbatches 8
    reference --replicas 4 --microbatches 2
    over_mpi 4 0,1,2,3 --stages 2 --schedule dualpipe --microbatches 4 --replicas 2
    over_mpi 4 0,0,1,1 --stages 2 --schedule chimera --microbatches 4 --replicas 2 --zero 1 --placement spread
}

@test "processes with a GPU each have them too" {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    "$WEIR_FAKE" info | grep -q '^transport   nccl' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    export WEIR_FAKE_GPUS=4 WEIR=$WEIR_FAKE MPI_PASS="WEIR_FAKE_GPUS WEIR_FAKE_NCCL"
    base+=(--seq-len 4 --device cuda)
    reference --replicas 2 --microbatches 4 --device cuda:0
    "$WEIR" "${base[@]}" --transport local --stages 4 --schedule dualpipe --microbatches 8 --metrics found -q >/dev/null
    numbers found | cmp reference.numbers
    over_mpi 2 "" --stages 2 --schedule chimera --microbatches 8
    WEIR_FAKE_NCCL=serial,random over_mpi 4 "" --stages 4 --schedule dualpipe --microbatches 8
    run --separate-stderr ranks 2 "" --stages 2 --schedule chimera --microbatches 8 -q --zero 1
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"two copies of the weights runs over transport 'nccl' without ZeRO-1: use --zero 0"* ]]
}

@test "a run goes on under other schedules, from checkpoints of two copies and to them" {
    base+=(--steps 6)
    "$WEIR" "${base[@]}" --stages 1 --replicas 2 --microbatches 4 --metrics whole -q >/dev/null
    "$WEIR" "${base[@]}" --steps 2 --stages 4 --schedule dualpipe --microbatches 8 --checkpoint-dir c --checkpoint-every 2 --metrics m -q >/dev/null
    timeout --kill-after=5 100 "$WEIR" launch -n 2 -- "${base[@]}" --steps 4 --stages 2 --schedule chimera --microbatches 8 --zero 1 \
        --checkpoint-dir c --checkpoint-every 2 --resume --metrics m -q >/dev/null
    "$WEIR" "${base[@]}" --stages 1 --replicas 2 --microbatches 4 --checkpoint-dir c --checkpoint-every 2 --resume --metrics m -q >/dev/null
    numbers whole >whole.numbers
    [ "$(wc -l <whole.numbers)" -eq 6 ]
    numbers m | cmp whole.numbers
}

@test "a validation, a trace and what it explains know the two stages of a rank" {
    "$WEIR" "${base[@]}" --stages 1 --replicas 2 --microbatches 4 --val-data text --val-every 2 --metrics one -q >/dev/null
    "$WEIR" "${base[@]}" --stages 4 --schedule dualpipe --microbatches 8 --val-data text --val-every 2 --metrics two -q --trace t >/dev/null
    [ "$(grep -o '"val_loss": [^,}]*' one)" = "$(grep -o '"val_loss": [^,}]*' two)" ]
    grep -q '"val_loss": [0-9]' two
    for name in 0F0 3F7 0F7 3F0; do grep -q "\"$name\"" t; done
    run "$WEIR" explain t
    [ "$status" -eq 0 ]
    [ "$(grep -c '^rank [0-3]: ' <<<"$output")" -eq 4 ]
    [[ "$output" == *"simulated with the measured costs"* ]]
}

@test "the program and the times of its operations tell copies apart where that helps" {
    "$WEIR" "${base[@]}" --stages 2 --schedule chimera --microbatches 4 --print-program >program
    grep -q '^0 .* 1F2  *calls .* after 0F2 of rank 1 (input)' program
    grep -q '^0 .* update of copy 1  *calls ' program
    "$WEIR" "${base[@]}" --stages 2 --schedule chimera --microbatches 4 -q --profile >times 2>&1
    grep -q '^optimizer  *reduce  ' times
    [ "$(grep -c '^optimizer  *update ' times)" -eq 1 ]
}

@test "the memory table has both copies of a rank, and a cap names the rank with its two stages" {
    run --separate-stderr "$WEIR" "${base[@]}" --stages 4 --schedule dualpipe --microbatches 8 --print-memory full
    [ "$status" -eq 0 ]
    one=$("$WEIR" "${base[@]}" --stages 4 --schedule gpipe --microbatches 4 --print-memory full | sed -n 's/^rank \([03]\): params \([0-9]*\),.*/\2/p' |
        awk '{ sum += $1 } END { print sum }')
    [ "$(sed -n 's/^rank 0: params \([0-9]*\),.*/\1/p' <<<"$output")" -eq "$one" ]
    grep -q '^0 params .* copy 0: ' <<<"$output"
    grep -q '^0 params .* copy 1: ' <<<"$output"
    run --separate-stderr "$WEIR" "${base[@]}" --stages 4 --schedule dualpipe --microbatches 8 --device-memory 4M
    [ "$status" -eq 3 ]
    [[ "$stderr" == *"rank 0 (stages 0, 3) needs"* ]]
}
