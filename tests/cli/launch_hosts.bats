#!/usr/bin/env bats
# weir launch over several hosts: who has died or is gone, signals, and going on with fewer.   labels: slow

load far_ranks

@test "weir launch over two hosts gives the numbers of one process" {
    far_begin
    "$WEIR" "${base[@]}" --stages 4 --steps 3 -q --metrics local >/dev/null
    try hosts.sh -l 4 bash -c 'exec "$0" launch --hosts "$HOSTS" -- "$@"' "$WEIR" "${base[@]}" --stages 4 --steps 3 -q --metrics several
    [ "$status" -eq 0 ]
    for run in local several; do grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$run" >"$run.numbers"; done
    [ "$(wc -l <local.numbers)" -eq 3 ]
    cmp local.numbers several.numbers
}

@test "weir launch takes its hosts from a file" {
    far_begin
    try hosts.sh -n 3 -l 5 bash -c 'printf "# where\nh1 slots=2\nh3 slots=2\n\nh2 slots=1\n" >hosts
        "$0" launch -n 5 --hostfile hosts -- "$@"' "$WEIR" info
    [ "$status" -eq 0 ]
    [ "$(grep -oE "rank [0-9] .*of 5 .*on its host" <<<"$output" | grep -c .)" -eq 5 ]
    try hosts.sh -n 2 -l 4 bash -c 'printf "h2 slots=3\nh1 slots=1\n" >hosts
        exec "$0" launch -n 4 --hostfile hosts -- "$@"' "$WEIR" "${base[@]}" --stages 4 --steps 3 -q --metrics several
    [ "$status" -eq 0 ]
    "$WEIR" "${base[@]}" --stages 4 --steps 3 -q --metrics local >/dev/null
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

# However far it has come: while MPI comes up the launcher alone can tell.
@test "a host that is out of reach as soon as its process is there is named once, with status 5" {
    far_begin
    bash "$WEIR_SOURCE_DIR/tests/support/hosts.sh" -n 3 -l 3 bash -c 'exec "$0" launch --hosts "$HOSTS" -- "$@"' "$WEIR" "${base[@]}" \
        --stages 3 --steps 10000000 -q --timeout 2 >out 2>errors &
    run=$!
    until [ -n "$(rank 1)" ]; do
        kill -0 "$run" || skip "$(cat out)"
    done
    victim=$(rank 1)
    ip -n "w$run-h2" link set eth0 down
    ended
    [ "$status" -eq 5 ]
    grep "^weir [a-z]*: " errors | grep -v "weir explain" >said
    cat said
    [ "$(wc -l <said)" -eq 1 ]
    grep -q "rank 1 (process $victim on h2) has given no sign of life for [0-9.]* s: .*the network of host h2" said
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
    for row in "|2|--hosts '' is 0 processes" "h1:x|2|--hosts is 'h1:x'" "h1,,h2|2|--hosts is 'h1,,h2'" ":2|2|--hosts is ':2'"; do
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
    options=(--metrics metrics --steps 160 -q --timeout 2 --checkpoint-dir D --checkpoint-every 40)
    across --restarts 1 --min-ranks 2 -- "${base[@]}" --stages 3 "${options[@]}"
    begun 45
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
