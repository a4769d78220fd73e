#!/usr/bin/env bats
# weir launch: processes of one host without mpirun.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >text
    base=(train --model gpt2-tiny --data text --microbatches 4 --microbatch-size 2 --seq-len 16)
}

# a test that fails must not leave a run behind, for which bats would wait
teardown() {
    pkill -KILL -f "$BATS_TEST_TMPDIR/text" || true
}

launch() {
    local n=$1
    shift
    timeout --kill-after=5 60 "$WEIR" launch -n "$n" -- "$@"
}

numbers() {
    grep -o '"loss": [^,]*, "grad_norm": [^,]*' "$1"
}

# begun N: the run in the background has taken N steps
begun() {
    for _ in $(seq 1200); do
        kill -0 "$launcher" || { cat errors; return 1; }
        [ -e metrics ] && [ "$(grep -c '"step"' metrics)" -ge "$1" ] && return
        sleep 0.05
    done
    false
}

# processes: numbers of the run's ranks; the launcher's is in $launcher
processes() {
    ps -o pid= --ppid "$launcher"
}

none_left() {
    ! pgrep -f "$BATS_TEST_TMPDIR/text" >/dev/null
}

# in_background SIGNAL.. : a run of three ranks that takes 5 steps, then ...
# The address sanitizer would make an exit of a SIGSEGV.
in_background() {
    base[4]=$BATS_TEST_TMPDIR/text
    export ASAN_OPTIONS=${ASAN_OPTIONS:-}:handle_segv=0
    "$WEIR" launch -n 3 -- "${base[@]}" --stages 3 --steps 10000000 -q --metrics metrics "$@" >out 2>errors &
    launcher=$!
    begun 5
}

@test "processes give the bits of threads and of mpirun" {
    for layout in "2|--stages 2" "4|--stages 4 --schedule zb-h1" "4|--stages 2 --replicas 2 --zero 1" "2|--stages 4 --ranks 2 --schedule zbv"; do
        n=${layout%%|*}
        # shellcheck disable=SC2206 # a list of options
        options=(--steps 3 -q ${layout#*|})
        "$WEIR" "${base[@]}" --metrics local "${options[@]}" >/dev/null
        launch "$n" "${base[@]}" --metrics launched "${options[@]}"
        numbers local >local.numbers
        [ "$(wc -l <local.numbers)" -eq 3 ]
        numbers launched | cmp local.numbers
        rm local launched
    done
    "$WEIR" info | grep -q '^transport   mpi' && command -v mpirun >/dev/null || skip "no mpirun: launch and threads were compared"
    MPI_TIMEOUT=100 bash "$WEIR_SOURCE_DIR/tests/support/mpi.sh" "$n" "$WEIR" "${base[@]}" --metrics mpi "${options[@]}"
    numbers mpi | cmp local.numbers
}

@test "one process prints the progress, the result and the tables" {
    run --separate-stderr launch 2 "${base[@]}" --stages 2 --steps 3 --json
    [ "$status" -eq 0 ]
    [ "$(grep -c loss_last <<<"$output")" -eq 1 ]
    [ "$(grep -c 'step 3/3' <<<"$stderr")" -eq 1 ]
    launch 2 "${base[@]}" --stages 2 --print-memory >several
    "$WEIR" "${base[@]}" --stages 2 --print-memory >alone
    cmp several alone
}

# arguments | exit status | words of the message
@test "what every process sees is said once" {
    printf '{"lrr": 1}' >typo.json
    while IFS='|' read -r arguments code words; do
        # shellcheck disable=SC2086
        run --separate-stderr launch 3 "${base[@]}" --stages 3 --steps 100000 -q $arguments
        [ "$status" -eq "$code" ] || { echo "$arguments: exit $status, $stderr"; false; }
        [ "$(grep -c . <<<"$stderr")" -eq 1 ] || { echo "$arguments: $stderr"; false; }
        [[ $stderr == "weir train: $words"* ]] || { echo "$arguments: $stderr"; false; }
    done <<'ROWS'
--data nowhere|1|cannot open 'nowhere'
--init-from nowhere|1|cannot open 'nowhere'
--modle x|2|unknown option '--modle'
--config typo.json|2|'typo.json': unknown option '--lrr'
--metrics missing/m|1|cannot write metrics to 'missing/m'
--export missing/e|1|cannot make folder 'missing/e'
--device-memory 1M|3|
--stages 4|2|1 replica of 4 ranks needs 4 processes, 3 were started
--lr 1000000 --optimizer sgd --grad-clip 0|6|step 2: loss
ROWS
}

@test "what is odd about a file that all processes read is said once" {
    "$WEIR" train --model gpt2-tiny --data text --seq-len 16 --steps 1 -q --export model
    sed -i 's/^{/{"warp": 1,/' model/config.json
    run --separate-stderr launch 2 train --model model --data text --microbatches 4 --microbatch-size 2 --seq-len 16 --ranks 2 --steps 1 -q
    [ "$status" -eq 0 ]
    [ "$(grep -c "unknown keys are not used: 'warp'" <<<"$stderr")" -eq 1 ]
}

@test "a rank that dies ends the run with status 4, its name and nothing left" {
    for signal in KILL SEGV; do
        in_background
        victim=$(processes | sed -n 2p | tr -d ' ')
        kill -"$signal" "$victim"
        status=0
        wait "$launcher" || status=$?
        [ "$status" -eq 4 ]
        [ "$(grep -vc '^weir train: what every rank did last: weir explain weir-flight.json$' errors)" -eq 1 ]
        grep -q "^weir launch: rank 1 (process $victim on .*) was ended by signal .*has died" errors
        none_left
        rm metrics
    done
}

@test "signals are passed on and the state is saved" {
    for row in "TERM 143" "INT 130" "USR1 138"; do
        in_background --checkpoint-dir checkpoints
        kill -"${row% *}" "$launcher"
        status=0
        wait "$launcher" || status=$?
        [ "$status" -eq "${row#* }" ] || { echo "$row: $status"; cat errors; false; }
        ls checkpoints/step-*/manifest.json
        none_left
        rm -r metrics checkpoints
    done
}

@test "a rank that is stopped is named once, in time, and the record says who waited for whom" {
    in_background --timeout 2
    victim=$(processes | sed -n 2p | tr -d ' ')
    kill -STOP "$victim"
    status=0
    wait "$launcher" || status=$?
    [ "$status" -eq 5 ]
    [ "$(grep -c 'has given no sign of life' errors)" -eq 1 ]
    grep -q "^weir train: .*rank 1 (process $victim on .*) has given no sign of life for [23]\.. s: stopped or hung .* of step [0-9]" errors
    grep -q "^weir train: what every rank did last: weir explain weir-flight.json" errors
    none_left
    "$WEIR" explain weir-flight.json >all
    grep -q "^written because: .*rank 1 (process $victim" all
    [ "$(grep -c '^rank [012] (process' all)" -eq 3 ]
    "$WEIR" explain weir-flight.json --rank 0 >one
    grep -q "^rank 0 (process .*) \(waits in\|is between steps\).* of step .*, for [0-9.]* s" one # stopped in a step, or between two
    grep -qE "^  0F[0-3] +[0-9]+ +-[0-9.]+ +-[0-9.]+ +-[0-9.]+" one
    run "$WEIR" explain weir-flight.json --rank 3
    [ "$status" -eq 2 ]
}

@test "SIGQUIT has a record written and ends nothing" {
    in_background
    kill -QUIT "$launcher"
    for _ in $(seq 600); do [ ! -e weir-flight.json ] || break; sleep 0.05; done
    "$WEIR" explain weir-flight.json | grep -q "^written because: it was asked for"
    steps=$(grep -c '"step"' metrics)
    begun $((steps + 2))
    sleep 1.2 # asked again within a second, one record serves
    rm weir-flight.json
    kill -QUIT "$(processes | sed -n 2p | tr -d " ")"
    for _ in $(seq 600); do [ ! -e weir-flight.json ] || break; sleep 0.05; done
    [ -e weir-flight.json ]
    kill -TERM "$launcher"
    status=0
    wait "$launcher" || status=$?
    [ "$status" -eq 143 ]
}

@test "numbers that are not finite: stop, pass over, go back, on all processes alike" {
    base=(train --model gpt2-tiny --data text --microbatch-size 2 --seq-len 16)
    bad=(--lr 1000000 --optimizer sgd --grad-clip 0 --stages 2 --microbatches 1 -q)
    run --separate-stderr launch 2 "${base[@]}" "${bad[@]}" --steps 4
    [ "$status" -eq 6 ]
    [[ $stderr == *"not finite"*"; first in "*" of rank "*": layer '"*"', node '"*"), micro-batch "* ]]
    run --separate-stderr launch 2 "${base[@]}" "${bad[@]}" --steps 4 --on-nan skip
    [ "$status" -eq 6 ]
    [ "$(grep -c '^weir train: passes over its samples: step 2: ' <<<"$stderr")" -eq 10 ]
    grep -q '^weir train: 11 times at this step: step 2: ' <<<"$stderr"
    run --separate-stderr launch 2 "${base[@]}" "${bad[@]}" --steps 4 --on-nan rollback --checkpoint-dir D --checkpoint-every 1
    [ "$status" -eq 6 ]
    [ "$(grep -c '^weir train: goes back to the last checkpoint and passes over its samples: step 2: ' <<<"$stderr")" -eq 10 ]
    [ -e D/step-000001/manifest.json ]
    run --separate-stderr launch 2 "${base[@]}" "${bad[@]}" --on-nan rollback
    [ "$status" -eq 2 ]
}

@test "a run that loses a process begins again from its checkpoint, with the bits of the whole run" {
    base[4]=$BATS_TEST_TMPDIR/text
    options=(--stages 2 --steps 30 -q --metrics metrics)
    "$WEIR" "${base[@]}" "${options[@]}" >/dev/null
    mv metrics whole
    "$WEIR" launch -n 2 --restarts 2 -- "${base[@]}" "${options[@]}" --checkpoint-dir D --checkpoint-every 3 >out 2>errors &
    launcher=$!
    begun 10
    kill -KILL "$(processes | sed -n 2p)"
    wait "$launcher"
    grep -q "^weir launch: rank 1 (process .*) was ended by signal 9" errors
    grep -q "^weir launch: restart 1 of 2, from the newest checkpoint" errors
    numbers metrics >launched.numbers
    numbers whole | cmp launched.numbers
    run "$WEIR" launch -n 2 --restarts 2 -- "${base[@]}" --stages 2
    [ "$status" -eq 2 ]
    [[ $output == *"--restarts goes on from checkpoints"* ]]
}

@test "processes that do not end are killed when the grace is over" {
    base[4]=$BATS_TEST_TMPDIR/text
    "$WEIR" launch -n 2 --grace 1s -- "${base[@]}" --stages 2 --steps 10000000 -q --metrics metrics 2>errors &
    launcher=$!
    begun 2
    for process in $(processes); do kill -STOP "$process"; done
    kill -TERM "$launcher"
    status=0
    wait "$launcher" || status=$?
    [ "$status" -eq 143 ]
    grep -q "not ended 1 s after signal 15: killed" errors
    none_left
}

@test "the processes end with a launcher that is killed" {
    in_background
    kill -KILL "$launcher"
    for _ in $(seq 100); do
        none_left && return
        sleep 0.05
    done
    false
}

@test "the words of other launchers are answered, and what is no command is refused once" {
    refused() { run "$WEIR" launch "$@" && [ "$status" -eq 2 ] && [ "${#lines[@]}" -eq 1 ]; }
    refused -np 2 -- train
    [[ $output == *"unknown option '-np': in weir it is -n" ]]
    refused --nproc_per_node=2 -- train
    [[ $output == *"in weir it is --n" ]]
    refused --nnodes 2 -n 2 -- train
    [[ $output == *"--hosts a:4,b:4 names the hosts and their processes: mpirun connects them" ]]
    refused --host h1,h2 -n 2 -- train
    [[ $output == *"in weir it is --hosts" ]]
    refused -n 2 train --model gpt2-tiny
    [[ $output == *"'--' is missing before 'train': weir launch -n N -- train ..." ]]
    refused -n 2 -- python script.py
    [[ $output == "weir launch: unknown command 'python': it is one of "* ]]
}

@test "a launch without command or number is refused" {
    run "$WEIR" launch -n 2
    [ "$status" -eq 2 ]
    [[ $output == *"the command is missing: weir launch -n 2 -- train ..."* ]]
    run "$WEIR" launch -- train
    [ "$status" -eq 2 ]
    [[ $output == *"-n is missing"* ]]
    run "$WEIR" "${base[@]}" --stages 2 --transport shm
    [ "$status" -eq 2 ]
    [[ $output == *"use 'weir launch -n N -- train ...'"* ]]
    run launch 2 generate --model gpt2-tiny --prompt x
    [ "$status" -eq 2 ]
    [[ $output == *"'weir generate' is one process"* ]]
}
