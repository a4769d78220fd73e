#!/bin/bash
# Runs that fail: a random kind of failure, at a random time, on a random rank, over and over.
#
#     tests/soak/failures.sh [TRIALS] [SEED] [WEIR]      default 60, the time, build/release/bin/weir
#
# Each trial starts `weir train` in one process, under `weir launch` or under mpirun, and does something to one of its processes:
# kills, stops, crashes or terminates it, with a delay between nothing and a second after the first checkpoint or the start.  Held to:
# the exit status, one message with the rank under launch, the time from the fault to the last process's end (--timeout 5, and one
# second more; five under mpirun), no process left, nothing new in /dev/shm, and a whole checkpoint.  A trial that fails is printed with its
# seed; the end says how many of each kind there were and how long the slowest took.
set -euo pipefail
trials=${1:-60} seed=${2:-$(date +%s)} here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
weir=$(readlink -f "${3:-$here/build/release/bin/weir}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for i in $(seq 400); do printf 'line %d of a small text: the quick brown fox jumps over the lazy dog\n' "$i"; done >"$work/text"
limit=5 failed=0
declare -A count slowest
RANDOM=$seed

now() { date +%s%N; }

# the ranks' processes, in the order of their numbers
processes() { pgrep -f "$work/text" -a | grep -E "^[0-9]+ ($weir|weir) train" | cut -d' ' -f1 || true; }

# start WHERE: the run in the background; its number is $run
start() {
    local train=(train --model gpt2-tiny --data "$work/text" --microbatches 2 --microbatch-size 2 --seq-len 16 --stages 3 --steps 100000000
        -q --timeout "$limit" --metrics metrics --checkpoint-dir checkpoints --checkpoint-every 2 --keep 2)
    case $1 in
    process) "$weir" "${train[@]}" >out 2>errors & ;;
    launch) "$weir" launch -n 3 -- "${train[@]}" >out 2>errors & ;;
    mpirun) MPI_TIMEOUT=120 bash "$here/tests/support/mpi.sh" 3 "$weir" "${train[@]}" >out 2>errors & ;;
    esac
    run=$!
}

# wanted WHERE KIND: the exit statuses that are right, as a pattern
wanted() {
    case $1:$2 in
    process:KILL) echo 137 ;;
    process:SEGV) echo 139 ;;
    process:TERM) echo 143 ;;
    launch:KILL | launch:SEGV) echo 4 ;;
    launch:STOP) echo 5 ;;
    launch:TERM) echo 143 ;;
    mpirun:*) echo '[1-9]*' ;;
    esac
}

complain() {
    echo "trial $trial (seed $seed): $where $kind after $delay s, rank $rank: $*"
    sed 's/^/    /' errors
    failed=$((failed + 1))
}

trial_run() {
    rm -rf checkpoints metrics errors out weir-flight.json
    where=$(shuf -n1 --random-source=<(yes $RANDOM) -e process launch launch mpirun)
    kind=$(shuf -n1 --random-source=<(yes $RANDOM) -e KILL SEGV STOP TERM)
    [ "$where:$kind" != process:STOP ] || kind=TERM # the whole run: it would go on
    [ "$where:$kind" != mpirun:TERM ] || kind=KILL  # mpirun itself ends all
    rank=$((RANDOM % 3)) delay=0.$((RANDOM % 10))$((RANDOM % 10))
    early=$((RANDOM % 4 == 0))
    start "$where"
    if [ "$early" -eq 0 ]; then
        while ! compgen -G 'checkpoints/step-*/manifest.json' >/dev/null && kill -0 "$run" 2>/dev/null; do sleep 0.02; done
    else
        while [ "$(processes | wc -l)" -lt 1 ] && kill -0 "$run" 2>/dev/null; do sleep 0.01; done
    fi
    sleep "$delay"
    mapfile -t all < <(processes)
    victim=${all[$((rank % (${#all[@]} > 0 ? ${#all[@]} : 1)))]:-}
    [ -n "$victim" ] || { complain "there was no process to fail"; kill -KILL "$run" 2>/dev/null || true; return; }
    begin=$(now)
    if [ "$kind" = TERM ] && [ "$where" = launch ]; then kill -TERM "$run"; else kill -"$kind" "$victim" 2>/dev/null || true; fi
    code=0
    wait "$run" || code=$?
    took=$((($(now) - begin) / 1000000))
    most=$((limit * 1000 + 1000))
    [ "$where" != mpirun ] || most=$((limit * 1000 + 5000))
    [ "$kind" != TERM ] || most=60000 # its step, and a checkpoint
    # shellcheck disable=SC2053 # a pattern
    [[ $code == $(wanted "$where" "$kind") ]] || complain "exit status $code"
    [ "$took" -le "$most" ] || complain "took $took ms"
    [ -z "$(processes)" ] || { complain "processes are left: $(processes | tr '\n' ' ')"; processes | xargs -r kill -KILL; }
    if [ "$where" = launch ] && [ "$kind" != TERM ]; then
        [ "$(grep -c '^weir [a-z]*: .*rank [0-2] (process' errors)" -eq 1 ] || complain "not one message with the rank"
    fi
    if [ "$early" -eq 0 ] && ! compgen -G 'checkpoints/step-*/manifest.json' >/dev/null; then complain "no checkpoint"; fi
    local key="$where $kind"
    count[$key]=$((${count[$key]:-0} + 1))
    [ "$took" -le "${slowest[$key]:-0}" ] || slowest[$key]=$took
}

shared_before=$(ls /dev/shm | wc -l)
for trial in $(seq "$trials"); do trial_run; done
[ "$(ls /dev/shm | wc -l)" -le "$shared_before" ] || { echo "left in /dev/shm: $(ls /dev/shm)"; failed=$((failed + 1)); }
for key in "${!count[@]}"; do printf '%-16s %4d trials, the slowest %6d ms from the fault to the end\n' "$key" "${count[$key]}" "${slowest[$key]:-0}"; done | sort
echo "$trials trials, seed $seed: $failed failed"
[ "$failed" -eq 0 ]
