#!/usr/bin/env bats
# Processes and hosts: what mpi.sh and hosts.sh promise, and what weir says when it is started by them.

load far_ranks

@test "mpi.sh starts the processes, passes on their exit status and ends those that hang" {
    try mpi.sh 3 sh -c 'echo "rank $OMPI_COMM_WORLD_RANK" >"'"$BATS_TEST_TMPDIR"'/$OMPI_COMM_WORLD_RANK"'
    [ "$status" -eq 0 ]
    [ "$(cat "$BATS_TEST_TMPDIR"/[0-9])" = $'rank 0\nrank 1\nrank 2' ]
    try mpi.sh 2 sh -c 'exit 7'
    [ "$status" -eq 7 ]
    MPI_TIMEOUT=1 try mpi.sh 2 sleep 60
    [ "$status" -eq 5 ]
    [[ "$output" == *"not finished after 1 s"* ]]
}

@test "under mpirun weir info knows its place" {
    try mpi.sh 2 "$WEIR" info
    [ "$status" -eq 0 ]
    [[ "$output" == *"Open MPI: rank 1 (OMPI_COMM_WORLD_RANK) of 2 (OMPI_COMM_WORLD_SIZE), 1 of 2 on its host"* ]]
}

@test "hosts.sh spreads processes over hosts and leaves nothing behind" {
    try hosts.sh -n 3 6 sh -c \
        'echo "$(hostname) $OMPI_COMM_WORLD_RANK $OMPI_COMM_WORLD_LOCAL_RANK" >"'"$BATS_TEST_TMPDIR"'/$OMPI_COMM_WORLD_RANK"'
    [ "$status" -eq 0 ]
    [ "$(cat "$BATS_TEST_TMPDIR"/[0-9])" = $'h1 0 0\nh1 1 1\nh2 2 0\nh2 3 1\nh3 4 0\nh3 5 1' ]
    try hosts.sh -r 100mbit 2 sh -c 'exit 3'
    [ "$status" -eq 3 ]
    try hosts.sh -n 9 2 true
    [ "$status" -eq 2 ]
}

@test "training over two hosts gives the numbers of one process" {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI transport"
    cd "$BATS_TEST_TMPDIR" || exit 1
    cat "$WEIR_SOURCE_DIR"/docs/*.md >text
    base=(train --model gpt2-tiny --data text --stages 2 --replicas 2 --microbatches 4 --microbatch-size 2 --seq-len 16
        --steps 2 -q)
    "$WEIR" "${base[@]}" --transport local --metrics local >/dev/null
    MPI_TIMEOUT=120 try hosts.sh -n 2 4 "$WEIR" "${base[@]}" --metrics several
    [ "$status" -eq 0 ]
    for run in local several; do grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$run" >"$run.numbers"; done
    [ "$(wc -l <local.numbers)" -eq 2 ]
    cmp local.numbers several.numbers
}

@test "a process on another host that is stopped is named by the signs of life that it does not give" {
    far_begin
    command -v mpirun >/dev/null || skip "mpirun is not installed"
    WEIR_TEST_HOSTS=0,1,1 MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" 3 "$WEIR" "${base[@]}" --stages 3 --steps 10000000 \
        -q --metrics metrics --timeout 2 >out 2>errors &
    run=$!
    begun 5
    victim=$(rank 1)
    kill -STOP "$victim"
    status=0
    wait "$run" || status=$?
    [ "$status" -ne 0 ]
    grep -q "rank 1 (process $victim on .*) has given no sign of life for [0-9.]* s: stopped or hung .* of step [0-9]" errors
    ! pgrep -f "$BATS_TEST_TMPDIR/text"
    "$WEIR" explain weir-flight.json >all # what the first host has: its own rank, and what it heard of the others
    grep -q "^rank 1 (process $victim on " all
}
