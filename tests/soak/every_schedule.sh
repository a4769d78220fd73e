#!/bin/bash
# Every schedule on 2 to 5 ranks with 1 to 2p + 1 micro-batches, with and without recomputation: it trains gpt2-tiny to the
# losses of one stage, or it is refused with the number to change.  Two copies of the weights are two replicas of one stage; two
# slices are compared with one stage of two slices.
#
#     tests/soak/every_schedule.sh [WEIR] [EVERY] [KIND]     default build/release/bin/weir; EVERY 20: each 20th case only; KIND: zbv
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
weir=$(realpath "${1:-build/release/bin/weir}") every=${2:-1} only=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for i in $(seq 60); do printf 'line %d of a small text: the quick brown fox\n' "$i"; done >text

train() {
    timeout 300 "$weir" train --model gpt2-tiny --data text --microbatch-size 1 --seq-len 8 --steps 2 -q --json "$@" 2>message
}

losses() {
    sed -n 's/.*"loss_first": \([^,]*\), "loss_last": \([^,]*\),.*/\1 \2/p'
}

declare -A one_stage # by copies, micro-batches and slices
copies() {
    "$weir" schedule list --json | tr '{' '\n' | sed -n "s/.*\"name\": \"$1\".*\"copies\": \([0-9]*\).*/\1/p"
}

n=0 ran=0 refused=0
case_try() { # KIND COPIES P M RECOMPUTE
    local status=0 got slices=()
    [ "$1" != seq1f1b ] || slices=(--slices 2)
    got=$(train "${slices[@]}" --schedule "$1" --ranks "$3" --microbatches "$4" --recompute "$5" | losses) || status=$?
    if [ $status -eq 0 ]; then
        local key=$2.$4.${#slices[@]}
        [ -n "${one_stage[$key]:-}" ] ||
            one_stage[$key]=$(train "${slices[@]}" --stages 1 --replicas "$2" --microbatches $(($4 / $2)) | losses)
        [ -n "$got" ] || { echo "$*: no losses"; return 1; }
        [ "$got" = "${one_stage[$key]}" ] || { echo "$*: losses $got, one stage has ${one_stage[$key]}"; return 1; }
        ran=$((ran + 1))
    elif [ $status -le 3 ] && grep -qE 'use (--microbatches|--ranks|--chunks|--stages) [0-9]|forwards only' message; then
        refused=$((refused + 1))
    else
        echo "$*: exit status $status: $(cat message)"
        return 1
    fi
}

failed=0
for kind in $("$weir" schedule list --json | tr '{' '\n' | sed -n 's/.*"name": "\([^"]*\)".*/\1/p'); do
    [ -z "$only" ] || [ "$only" = "$kind" ] || continue
    c=$(copies "$kind")
    for p in 2 3 4 5; do
        for m in $(seq $((2 * p + 1))); do
            for recompute in none full; do
                n=$((n + 1))
                [ $((n % every)) -eq 0 ] || continue
                case_try "$kind" "$c" $p "$m" $recompute || failed=$((failed + 1))
            done
        done
    done
done
echo "$ran trained, $refused refused with the number to change, $failed failed"
[ $failed -eq 0 ] && [ $ran -gt 0 ]
