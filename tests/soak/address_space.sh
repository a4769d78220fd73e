#!/bin/bash
# Runs of the command in less and less address space: each trains, or says what it has no room for; none crashes.
#
#     tests/soak/address_space.sh [RUNS] [BUILD]      default 200 build/release
#
# RUNS limits, from just above what the program itself takes to twice what a run takes, for 1 and 4 threads per rank and for
# oneDNN's code with and without AVX-512.  Exit status 77 with "skipped: why" where the program has no such limits (sanitizers).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
runs=${1:-200} weir=${WEIR:-${2:-build/release}/bin/weir}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat docs/*.md >"$scratch/text"
first=100000 last=300000 # KiB

train() {
    (ulimit -v "$1" && exec "$weir" train --model gpt2-tiny --data "$scratch/text" --stages 2 --microbatches 2 --steps 2 -q \
        --threads-per-rank "$2") >"$scratch/out" 2>&1
}

train 4000000 1 || {
    echo "skipped: a run needs more than 4 GB of addresses: $(tail -1 "$scratch/out")"
    exit 77
}
bad=0 trained=0 refused=0 n=0
for ((kib = first; n < runs; n++, kib += (last - first) / runs)); do
    threads=$((n % 2 ? 4 : 1)) code=0
    isa=$((n % 4 < 2))
    ONEDNN_MAX_CPU_ISA=$([ "$isa" = 1 ] && echo AVX2 || echo ALL) train "$kib" "$threads" || code=$?
    case $code in
    0) trained=$((trained + 1)) ;;
    1 | 3) refused=$((refused + 1)) && grep -qi 'memory\|thread' "$scratch/out" || code=bad ;;
    *) code=bad ;;
    esac
    if [ "$code" = bad ]; then
        printf '%s KiB, %s threads: %s\n' "$kib" "$threads" "$(tail -1 "$scratch/out")"
        bad=$((bad + 1))
    fi
done
echo "$runs runs: $trained trained, $refused refused, $bad bad"
[ "$bad" -eq 0 ] && [ "$trained" -gt 0 ] && [ "$refused" -gt 0 ]
