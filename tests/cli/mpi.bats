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
    [ "$(grep -c '"step"' m)" -eq 3 ]
    for r in 0 1 2 3; do grep -q "\"rank $r\"" t; done
    grep -q '"3F0"' t
    ranks 4 "" --stages 4 --print-memory full >several
    "$WEIR" "${base[@]}" --transport local --stages 4 --print-memory full >alone
    cmp several alone
}

@test "the number of processes must be that of the ranks" {
    run --separate-stderr ranks 3 "" --stages 4 --steps 1
    [ "$status" -eq 2 ]
    [[ $stderr == *"needs 4 processes, 3 were started"* ]]
    [ "$(grep -c "needs 4 processes" <<<"$stderr")" -eq 1 ]
}

@test "a process started without mpirun is told how many there must be" {
    # what the library's plugins leak can only be told from ours by whole stacks, as in mpi.sh
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:fast_unwind_on_malloc=0 \
        run --separate-stderr "$WEIR" "${base[@]}" --transport mpi --stages 2 --steps 1
    [ "$status" -eq 2 ]
    [[ $stderr == *"needs 2 processes, 1 were started"* ]]
    PMIX_RANK=0 run --separate-stderr "$WEIR" "${base[@]}" --stagse 2
    [[ $stderr == *"did you mean '--stages'"* ]]
}

# arguments | exit status | words of the message
@test "one cause gives one message, whoever meets it" {
    printf '{"lrr": 1}' >typo.json
    for _ in $(seq 3000); do printf 'a\0b\0c\0\54\1'; done >ids.bin # every fourth id is 300
    while IFS='|' read -r arguments code words; do
        # shellcheck disable=SC2086
        run --separate-stderr ranks 3 "" --stages 3 --steps 100000 -q $arguments
        [ "$status" -eq "$code" ] || { echo "$arguments: exit $status, $stderr"; false; }
        [ "$(grep -c '^weir train: ' <<<"$stderr")" -eq 1 ] || { echo "$arguments: $stderr"; false; }
        [[ $stderr == *"weir train: $words"* ]] || { echo "$arguments: $stderr"; false; }
    done <<'ROWS'
--data nowhere|1|cannot open 'nowhere'
--init-from nowhere|1|cannot open 'nowhere'
--data ids.bin --data-format u16|1|'ids.bin': token 3 at byte 6 is 300
--schedule 1f|2|unknown schedule '1f'
--modle x|2|unknown option '--modle'
--config typo.json|2|'typo.json': unknown option '--lrr'
--metrics missing/m|1|cannot write metrics to 'missing/m'
--export missing/e|1|cannot make folder 'missing/e'
--device-memory 1M|3|
ROWS
}

@test "an error of one process ends the others" {
    run --separate-stderr ranks 2 "" --stages 2 --steps 100000 -q --metrics missing/m
    [ "$status" -eq 1 ]
    [[ $stderr == *"cannot write metrics to 'missing/m'"* ]]
}

# alone_as VARIABLES ARGUMENT..: the command alone, as a launcher that MPI does not know starts it
alone_as() {
    local variables=$1
    shift
    # what the library's plugins leak can only be told from ours by whole stacks, as in mpi.sh
    # shellcheck disable=SC2086 # VARIABLES is a list
    env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ASAN_OPTIONS="${ASAN_OPTIONS:-}:fast_unwind_on_malloc=0" \
        $variables "$WEIR" "$@"
}

@test "processes that MPI sees one by one are refused with one message" {
    for launcher in "PMI_SIZE=2 PMI_RANK" "TORCHELASTIC_RUN_ID=x WORLD_SIZE=2 RANK"; do
        run --separate-stderr alone_as "$launcher=1" "${base[@]}" --steps 1 --metrics m
        [ "$status" -eq 2 ]
        [ -z "$stderr" ]
        run --separate-stderr alone_as "$launcher=0" "${base[@]}" --steps 1 --metrics m
        [ "$status" -eq 2 ]
        [[ $stderr == *"_SIZE says that "*" started 2 processes, but MPI (Open MPI v"*") sees one: "*"--transport local"* ]]
    done
    [ ! -e m ]
    run alone_as "PMI_SIZE=2 PMI_RANK=1" "${base[@]}" --steps 1 -q --transport local --metrics m
    [ "$status" -eq 0 ]
    [ -s m ]
}

@test "commands that are one process refuse to be several, with one message" {
    one() { MPI_TIMEOUT=60 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 2 "$WEIR" "$@"; }
    for command in "generate --model gpt2-tiny --prompt x" "schedule make 1f1b --stages 2 -o out" "plan none -o out"; do
        # shellcheck disable=SC2086 # a command line
        run --separate-stderr one $command
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ "$(grep -c "^weir ${command%% *}: 'weir ${command%% *}' is one process, OMPI_COMM_WORLD_SIZE says" <<<"$stderr")" -eq 1 ]
    done
    [ ! -e out ]
    run --separate-stderr one trian --model gpt2-tiny
    [ "$(grep -c "^weir: unknown command 'trian': did you mean 'train'?" <<<"$stderr")" -eq 1 ]
    run one generate --help
    [ "$status" -eq 0 ]
    run one info
    [ "$(grep -c 'rank [01] (OMPI_COMM_WORLD_RANK) of 2' <<<"$output")" -eq 2 ]
}
