#!/usr/bin/env bats
# weir train and weir schedule with sequences in slices: over every host-side transport the numbers of one stage with the same slices.

bats_require_minimum_version 1.5.0
load mpi_ranks

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    base=(train --model gpt2-tiny --data text --microbatches 3 --microbatch-size 2 --seq-len 10 --dropout 0.1 --steps 2 --slices 3)
}

# The reference is one stage with the same slices.
@test "threads and processes have the bits of one stage with the same slices" {
    reference
    "$WEIR" "${base[@]}" --stages 3 --metrics found -q >/dev/null
    numbers found | cmp reference.numbers
    launched 3 --stages 3
    reference --replicas 2
    launched 4 --stages 2 --replicas 2 --zero 1
    base+=(--model llama-tiny)
    reference
    launched 2 --stages 2 --recompute full
}

@test "processes of mpirun have them on one host and on several" {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI"
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    reference
    over_mpi 3 "" --stages 3
    over_mpi 3 0,1,0 --stages 3
    reference --replicas 2
    over_mpi 4 0,1,1,0 --stages 2 --replicas 2 --zero 1
}

@test "a file of slices trains, and says by its first line what its numbers are" {
    "$WEIR" schedule make seq1f1b -p 2 -m 3 --slices 3 -o seq.csv
    [ "$(head -1 seq.csv)" = "# weir-schedule 1 slices=3" ]
    run -0 "$WEIR" schedule check seq.csv
    [ "$output" = "valid under edge channels: 2 ranks, 2 stages, 3 micro-batches of 3 slices, weight gradients in ascending order" ]
    reference
    base=("${base[@]:0:${#base[@]}-2}")
    "$WEIR" "${base[@]}" --schedule seq.csv --metrics found -q >/dev/null
    numbers found | cmp reference.numbers
    run -2 "$WEIR" "${base[@]}" --schedule seq.csv --slices 2
    [[ "$output" == *"'seq.csv' cuts sequences into 3 slices, --slices says 2"* ]]
}

@test "a validation and a run that goes on have the same slices" {
    "$WEIR" "${base[@]}" --stages 2 --val-data text --val-every 1 --metrics whole -q >/dev/null
    "$WEIR" "${base[@]}" --stages 1 --val-data text --val-every 1 --metrics one -q >/dev/null
    grep -o '"val_loss": [^,}]*' whole >whole.val
    [ -s whole.val ]
    grep -o '"val_loss": [^,}]*' one | cmp whole.val
    "$WEIR" "${base[@]}" --stages 2 --steps 1 --checkpoint-dir c -q >/dev/null
    "$WEIR" "${base[@]}" --stages 1 --steps 2 --checkpoint-dir c --resume --metrics rest -q >/dev/null
    [ "$(numbers rest | tail -1)" = "$(numbers whole | tail -1)" ]
}

@test "slices are refused where nothing cuts them, with the way out" {
    run -2 "$WEIR" "${base[@]}" --stages 2 --schedule auto
    [[ "$output" == *"auto does not cut sequences: use --schedule seq1f1b, or leave out --slices" ]]
    run "$WEIR" "${base[@]}" --stages 2 --schedule zbv
    [ "$status" -ne 0 ]
    [[ "$output" == *"zbv does not cut sequences: use seq1f1b, or leave out --slices" ]]
    run "$WEIR" "${base[@]}" --stages 2 --slices 11
    [ "$status" -ne 0 ]
    [[ "$output" == *"sequences of 10 positions cannot be cut into 11 slices: use --slices 10 at most" ]]
    run -2 "$WEIR" train --model gpt2-tiny --data text --schedule seq1f1b
    [[ "$output" == *"schedule 'seq1f1b' needs the number of slices of each sequence: --slices K" ]]
    "$WEIR" schedule make seq1f1b -p 2 -m 2 --slices 2 -o seq.csv
    run "$WEIR" schedule convert seq.csv --to torch
    [ "$status" -ne 0 ]
    [[ "$output" == *"PyTorch's runtime knows no slices: --to torch is for schedules of whole sequences" ]]
}

@test "a GPU refuses them by name" {
    [ -x "${WEIR_FAKE:-}" ] || skip "there is no command on stand-ins (WEIR_FAKE)"
    run env WEIR_FAKE_GPUS=2 "$WEIR_FAKE" "${base[@]}" --stages 2 --device cuda
    [ "$status" -ne 0 ]
    [[ "$output" == *"device 'cuda' has no attention over slices: use --device cpu, or a schedule of whole sequences" ]]
}

@test "the numbers of seq1f1b stand in table, drawing and JSON" {
    run -0 "$WEIR" schedule compare seq1f1b 1f1b -p 8 -m 32 --slices 4
    [[ "${lines[2]}" == "seq1f1b k=4 "*" 1     101.25 "*" 2.75 "* ]]
    run -0 "$WEIR" schedule draw seq1f1b -p 3 -m 2 --slices 2
    [ "${lines[0]}" = "seq1f1b: 3 ranks, 3 stages, 2 micro-batches of 2 slices, predicted" ]
    run -0 bash -c '"$WEIR" schedule simulate seq1f1b -p 4 -m 8 --slices 2 --json >s.json; "$JSON_GET" makespan microbatches slices <s.json'
    [ "${lines[*]}" = "28.5 8 2" ]
}
