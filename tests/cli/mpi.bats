#!/usr/bin/env bats
# weir train as several processes: who prints, and what all of them are told.

bats_require_minimum_version 1.5.0
load mpi_ranks

@test "two processes give the losses of one, on one host and on two" {
    same 2 0,1 --stages 2
}

@test "one process prints and writes: metrics, trace, tables" {
    ranks 4 0,0,1,1 --stages 4 --steps 3 -q --metrics m --trace t --json >out
    [ "$(wc -l <out)" -eq 1 ]
    [ "$(wc -l <m)" -eq 3 ]
    for r in 0 1 2 3; do grep -q "\"rank $r\"" t; done
    grep -q '"3F0"' t
    ranks 4 "" --stages 4 --print-memory >several
    "$WEIR" "${base[@]}" --transport local --stages 4 --print-memory >alone
    cmp several alone
}

@test "the number of processes must be that of the ranks" {
    run --separate-stderr ranks 3 "" --stages 4 --steps 1
    [ "$status" -eq 2 ]
    [[ $stderr == *"need 4 processes, 3 were started"* ]]
    [ "$(grep -c "need 4 processes" <<<"$stderr")" -eq 1 ]
}

@test "a process started without mpirun is told how many there must be" {
    # what the library's plugins leak can only be told from ours by whole stacks, as in mpi.sh
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:fast_unwind_on_malloc=0 \
        run --separate-stderr "$WEIR" "${base[@]}" --transport mpi --stages 2 --steps 1
    [ "$status" -eq 2 ]
    [[ $stderr == *"need 2 processes, 1 were started"* ]]
    PMIX_RANK=0 run --separate-stderr "$WEIR" "${base[@]}" --stagse 2
    [[ $stderr == *"did you mean '--stages'"* ]]
}

@test "an error of one process ends the others" {
    run --separate-stderr ranks 2 "" --stages 2 --steps 100000 -q --metrics missing/m
    [ "$status" -eq 1 ]
    [[ $stderr == *"cannot write metrics to 'missing/m'"* ]]
}
