#!/usr/bin/env bats
# weir explain: who waited for whom, from a trace of weir train.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 80); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text
}

train() {
    "$WEIR" train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 1 --seq-len 16 --steps 3 -q --trace t.json "$@"
}

@test "a trace says why rank 2 waited" {
    train --stages 4
    run --separate-stderr "$WEIR" explain t.json --rank 2
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "2 steps from step 2 on: "*" ms a step, simulated "* ]]
    [[ "${lines[1]}" == "rank 2: "*" at work, "*" waiting "* ]]
    [[ "$output" == *"fill "*" 1 "*" 1.0 "* ]] # 2F0 awaits 1F0, once a step
    [[ "$output" == *"gradient "*" 3 "* ]]
    [[ "$output" != *"rank 3: "* ]]
}

@test "all ranks of all replicas, as JSON" {
    train --stages 2 --replicas 2 --schedule zb-h1
    run --separate-stderr "$WEIR" explain t.json --json
    [ "$status" -eq 0 ]
    [ "$(grep -o '"busy_ms"' <<<"$output" | wc -l)" -eq 4 ]
    [[ "$output" == *'"simulated_step_ms": '* && "$output" == *'"cause": "norm"'* && "$output" == *'"cause": "bucket"'* ]]
}

@test "processes write the same kind of trace" {
    MPI_TIMEOUT=100 run --separate-stderr bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 "$WEIR" train --model gpt2-tiny --data text \
        --microbatches 4 --microbatch-size 1 --seq-len 16 --steps 2 -q --stages 2 --trace t.json
    [ "$status" -ne 77 ] || skip "$output"
    [ "$status" -eq 0 ]
    "$WEIR" explain t.json --rank 1 | grep -q '^  fill  *0 '
}

@test "bad requests: one clear line and the right exit status" {
    train --stages 2
    run --separate-stderr "$WEIR" explain t.json --rank 2
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"rank 2 is not in 't.json': it has 2" ]]
    run --separate-stderr "$WEIR" explain
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"the trace is missing"* ]]
    run --separate-stderr "$WEIR" explain text
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"text"* ]]
    run --separate-stderr "$WEIR" explain none.json
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"'none.json'"* ]]
}
