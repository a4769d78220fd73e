#!/usr/bin/env bats
# Processes and hosts: what mpi.sh and hosts.sh promise, and what weir says when it is started by them.

# Run a script of tests/ into $output and $status; the test is skipped with the script's reason when it is.  What the
# processes say is looked for in files: mpirun may warn into the same stream, of a setpgid that came too late for one.
try() {
    run "$WEIR_SOURCE_DIR/tests/support/$1" "${@:2}"
    [ "$status" -ne 77 ] || skip "${output#skipped: }"
}

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

# A text of its own, so that processes of this test are known by it.
far_begin() {
    "$WEIR" info | grep -q '^transport   mpi' || skip "this build has no MPI transport"
    cd "$BATS_TEST_TMPDIR" || exit 1
    cat "$WEIR_SOURCE_DIR"/docs/*.md >text
    base=(train --model gpt2-tiny --data "$PWD/text" --microbatches 2 --microbatch-size 2 --seq-len 16)
}

# rank R: the number of its process
rank() {
    local pid
    for pid in $(pgrep -f "^([^ ]*/)?weir train .*$BATS_TEST_TMPDIR/text"); do
        ! tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" || echo "$pid"
    done | tail -n 1
}

# begun N: the run in the background has taken N steps
begun() {
    for _ in $(seq 1200); do
        kill -0 "$run" || { cat errors; return 1; }
        [ -e metrics ] && [ "$(grep -c '"step"' metrics)" -ge "$1" ] && return
        sleep 0.05
    done
    false
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

@test "weir launch over two hosts gives the numbers of one process" {
    far_begin
    "$WEIR" "${base[@]}" --stages 4 --steps 3 -q --metrics local >/dev/null
    try hosts.sh -l 4 bash -c 'exec "$0" launch --hosts "$HOSTS" -- "$@"' "$WEIR" "${base[@]}" --stages 4 --steps 3 -q --metrics several
    [ "$status" -eq 0 ]
    for run in local several; do grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$run" >"$run.numbers"; done
    [ "$(wc -l <local.numbers)" -eq 3 ]
    cmp local.numbers several.numbers
}

# across ARGUMENT..: three ranks on three hosts in the background, of which 5 steps are taken
across() {
    bash "$WEIR_SOURCE_DIR/tests/support/hosts.sh" -n 3 -l 3 bash -c 'exec "$0" launch --hosts "$HOSTS" "$@"' "$WEIR" "$@" >out 2>errors &
    run=$!
    for _ in $(seq 200); do
        [ ! -e metrics ] || break
        kill -0 "$run" || skip "$(cat out)"
        sleep 0.05
    done
    begun 5
}

# status and errors of what was started
ended() {
    status=0
    wait "$run" || status=$?
    ! pgrep -f "$BATS_TEST_TMPDIR/text"
}

@test "under weir launch a process that dies on another host is named once, with status 4" {
    far_begin
    across -- "${base[@]}" --stages 3 --steps 10000000 -q --metrics metrics
    victim=$(rank 1)
    kill -KILL "$victim"
    ended
    [ "$status" -eq 4 ]
    [ "$(grep -c "^weir launch: rank 1 (process $victim on h2) was ended by signal 9" errors)" -eq 1 ]
    ls weir-flight*.json
}

@test "under weir launch a process that is stopped on another host is named once, with status 5" {
    far_begin
    across -- "${base[@]}" --stages 3 --steps 10000000 -q --metrics metrics --timeout 2
    victim=$(rank 1)
    kill -STOP "$victim"
    ended
    [ "$status" -eq 5 ]
    [ "$(grep -c "rank 1 (process $victim on h2) has " errors)" -eq 1 ]
}

@test "under weir launch signals reach the processes of all hosts, which save" {
    far_begin
    across -- "${base[@]}" --stages 3 --steps 10000000 -q --metrics metrics --checkpoint-dir D
    kill -TERM "$(pgrep -f "^[^ ]*weir launch .*$BATS_TEST_TMPDIR/text")"
    ended
    [ "$status" -eq 143 ]
    ls D/step-*/manifest.json
}

@test "what cannot be started over hosts is said once" {
    far_begin
    for row in "h1:x|2|--hosts is 'h1:x'" "h1,,h2|2|--hosts is 'h1,,h2'" ":2|2|--hosts is ':2'"; do
        IFS='|' read -r hosts code words <<<"$row"
        run "$WEIR" launch --hosts "$hosts" -- "${base[@]}"
        [ "$status" -eq "$code" ] || { echo "$row: $status $output"; false; }
        [[ $output == *"$words"* ]]
    done
    run "$WEIR" launch --hosts h1 --hostfile f -- "${base[@]}"
    [ "$status" -eq 2 ]
    try hosts.sh -l 3 bash -c '"$0" launch --hosts h1:3 -- "$@"; echo "status $?"' "$WEIR" "${base[@]}" --stages 4
    [[ $output == *"status 2"* ]]
    [ "$(grep -c "1 replica of 4 ranks needs 4 processes, 3 were started" <<<"$output")" -eq 1 ]
}

@test "a run goes on without a host that is gone, with the bits of a run on that layout from that state" {
    far_begin
    options=(--metrics metrics --steps 400 -q --timeout 2 --checkpoint-dir D --checkpoint-every 50)
    across --restarts 1 --min-ranks 2 -- "${base[@]}" --stages 3 "${options[@]}"
    begun 60
    ip -n "w$run-h3" link set eth0 down
    ended
    [ "$status" -eq 0 ] || { cat errors; false; }
    grep -q "^weir launch: a host is gone: goes on with 2 ranks on h1:1,h2:1" errors
    step=$(sed -n 's/^weir train: goes on from .*step-0*\([0-9]*\).*/\1/p' errors)
    mkdir E
    if [ -n "$step" ]; then cp -r "D/step-$(printf %06d "$step")" E; fi
    "$WEIR" "${base[@]}" --stages 2 "${options[@]/#D/E}" --metrics alone --resume >/dev/null
    [ "$(tail -n 20 alone | grep -c grad_norm)" -ge 19 ]
    cmp <(tail -n 20 metrics | grep -o '"loss": [^,]*, "grad_norm": [^,]*') <(tail -n 20 alone | grep -o '"loss": [^,]*, "grad_norm": [^,]*')
}

@test "without --min-ranks a run does not go on when a host is gone, and says how it would" {
    far_begin
    across --restarts 1 -- "${base[@]}" --stages 3 --metrics metrics --steps 10000000 -q --timeout 2 --checkpoint-dir D --checkpoint-every 3
    ip -n "w$run-h3" link set eth0 down
    ended
    [ "$status" -eq 4 ]
    grep -q "^weir launch: a host is gone, 2 ranks are left: --min-ranks would let the run go on with them" errors
    run "$WEIR" launch -n 2 --restarts 1 --min-ranks 1 -- "${base[@]}" --checkpoint-dir D
    [ "$status" -eq 2 ]
}
