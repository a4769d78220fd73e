#!/usr/bin/env bats
# weir train as several processes: the numbers are those of one process, and a failure ends all of them.   labels: slow

bats_require_minimum_version 1.5.0
load mpi_ranks

@test "pipelines of 1, 2 and 4 processes give the losses of one process" {
    same 1 0 --stages 1
    same 2 0,1 --stages 2 --schedule gpipe
    same 2 0,1 --stages 4 --schedule zbv
    same 4 0,0,1,1 --stages 4 --schedule zb-h1 --dropout 0.1
    same 4 0,1,0,1 --stages 8 --chunks 2 --schedule interleaved
}

@test "replicas of 1, 2 and 4 ranks give the losses of one process" {
    same 2 0,1 --stages 1 --replicas 2
    same 4 0,1,2,3 --stages 1 --replicas 4 --zero 1
    same 4 0,0,1,1 --stages 2 --replicas 2
    same 8 0,0,0,0,1,1,1,1 --stages 4 --replicas 2 --zero 1
    same 4 0,0,1,1 --stages 2 --replicas 2 --placement spread
}

@test "gradients reduced where a schedule file says give the losses of one process" {
    reductions_write s.csv
    same 4 0,0,1,1 --schedule ./s.csv --replicas 2 --microbatches 2
}

@test "evaluation, import and export give the same with several processes" {
    "$WEIR" "${base[@]}" --transport local --stages 2 --steps 3 -q --json --val-data text --val-every 1 --export a >a.json
    ranks 2 "" --stages 2 --steps 3 -q --json --val-data text --val-every 1 --export b >b.json
    ranks 2 0,1 --stages 2 --steps 3 -q --json --val-data text --val-every 1 --export c >c.json
    cmp a.json b.json
    cmp a.json c.json
    cmp a/model.safetensors b/model.safetensors
    cmp a/model.safetensors c/model.safetensors
    "$WEIR" "${base[@]}" --transport local --stages 2 --steps 1 -q --json --init-from a >d.json
    ranks 2 "" --stages 2 --steps 1 -q --json --init-from a >e.json
    cmp d.json e.json
}

@test "what does not fit, or is not finite, ends all processes with its own status" {
    run --separate-stderr ranks 2 "" --stages 2 --steps 1 --device-memory 1M
    [ "$status" -eq 3 ]
    [ "$(grep -c "the cap is 1048576" <<<"$stderr")" -eq 1 ]
    run --separate-stderr ranks 2 "" --stages 2 --steps 30 -q --optimizer sgd --lr 1e6 --grad-clip 0
    [ "$status" -eq 6 ]
    [ "$(grep -c "not finite" <<<"$stderr")" -eq 1 ]
}

@test "a killed process ends the others, on its host and on another" {
    victim 2 KILL
    for hosts in "" 0,0,1,1; do
        rm -f metrics
        export WEIR_TEST_HOSTS=$hosts MPI_TIMEOUT=100
        run --separate-stderr bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 4 ./victim "$WEIR" "${base[@]}" --stages 4 --steps 1000000 \
            -q --metrics metrics
        echo "hosts '$hosts': status $status: $stderr"
        [ "$status" -ne 0 ] && [ "$status" -ne 5 ]
        [[ $stderr == *"the process of rank 2 has died"* || $stderr == *"signal 9"* ]]
    done
}

@test "a signal to one process lets all finish the same step" {
    victim 1 TERM
    run --separate-stderr bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 ./victim "$WEIR" "${base[@]}" --stages 2 --steps 1000000 \
        --metrics metrics
    [ "$status" -eq 143 ]
    [[ $stderr == *"stopped by signal 15 after $(grep -c '"step"' metrics) steps"* ]]
    [ "$(grep -c '"step"' metrics)" -ge 5 ]
}

# spoilt_for RANK FILE: a script that runs its arguments in a folder of its own for every rank, FILE spoilt in that of rank RANK; statuses in status.R
spoilt_for() {
    cat >spoilt <<END
#!/bin/bash
rank=\$OMPI_COMM_WORLD_RANK
rm -rf own.\$rank && mkdir own.\$rank && cp -r text weights own.\$rank && cd own.\$rank || exit 9
[ \$rank != $1 ] || echo spoilt >$2
"\$@"
echo \$? >../status.\$rank
END
    chmod +x spoilt
}

@test "a bad file on one host gives its status and its message to all processes" {
    "$WEIR" "${base[@]}" --transport local --stages 2 --steps 1 -q --export weights >/dev/null
    for victim in 0 1; do
        spoilt_for $victim weights/model.safetensors
        for hosts in "" 0,1; do
            rm -f status.*
            WEIR_TEST_HOSTS=$hosts MPI_TIMEOUT=60 MPI_ARGS=--enable-recovery run --separate-stderr \
                bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 ./spoilt "$WEIR" "${base[@]}" --stages 2 --steps 3 -q --init-from weights
            [ "$(cat status.0 status.1)" = $'1\n1' ]
            [[ $stderr == *model.safetensors* ]]
            [[ $victim == 0 || $stderr == *"rank $victim failed: "* ]] # rank 0 speaks for all
            [ "$(grep -c '^weir train: ' <<<"$stderr")" -eq 1 ]
        done
    done
}
