#!/usr/bin/env bash
# Reducing gradients over a link of a known rate, against what the simulator says of it.
#
#     bench/hosts_link.sh [RATE_MBIT..]                                     100 40
#
# Two replicas of gpt2-tiny on one stage, each on a host of its own: network namespaces whose links are shaped to RATE
# (tests/support/hosts.sh, which needs root).  Without shaping a step shows how long computing takes; the simulator is given that
# time, the rate and an assumed latency.  Training over the link must give the losses of one process: it fails otherwise.
#
# Prints per rate the median step of 2..STEPS, the fastest and the slowest, the prediction and their ratio.  77 with
# "skipped: why" where there are no hosts.
set -euo pipefail

rates=("$@")
[ ${#rates[@]} -gt 0 ] || rates=(100 40)
steps=${STEPS:-6} latency=0.0005 microbatches=2
root=$(cd "$(dirname "$0")/.." && pwd)
export WEIR=${WEIR:-$root/build/release/bin/weir}
dir=$(mktemp -d /tmp/weir-link.XXXXXX)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "hosts_link.sh: $*" >&2
    exit 1
}

# value NAME FILE: the numbers called so, one per line
value() {
    sed -n "s/.*\"$1\": \([0-9.eE+-]*\).*/\1/p" "$2"
}

# "median fastest slowest" of the steps after the first, in ms
spread() {
    value step_ms "$1" | tail -n +2 | sort -n | awk '{ t[NR] = $1 }
        END { printf "%.1f %.1f %.1f", NR % 2 ? t[(NR + 1) / 2] : (t[NR / 2] + t[NR / 2 + 1]) / 2, t[1], t[NR] }'
}

# run FILE [-r RATE]: train on two hosts
run() {
    local file=$1 status=0
    shift
    MPI_TIMEOUT=300 "$root/tests/support/hosts.sh" "$@" 2 "$WEIR" "${train[@]}" --metrics "$dir/$file" >"$dir/out" 2>&1 || status=$?
    [ $status -ne 77 ] || { cat "$dir/out"; exit 77; }
    [ $status -eq 0 ] || fail "training on two hosts ended with $status: $(tail -1 "$dir/out")"
    cmp -s <(value loss "$dir/local") <(value loss "$dir/$file") || fail "the losses are not those of one process"
}

"$WEIR" info | grep -q '^transport   mpi' || { echo "skipped: this build has no MPI"; exit 77; }
cat "$root"/docs/*.md >"$dir/text"
train=(train --model gpt2-tiny --data "$dir/text" --stages 1 --replicas 2 --microbatches "$microbatches" --microbatch-size 2
    --seq-len 16 --steps "$steps" -q --threads-per-rank 1)
"$WEIR" "${train[@]}" --transport local --metrics "$dir/local"
# what is reduced: one gradient per parameter, those of the tied table are added first
bytes=$("$WEIR" "${train[@]}" --transport local --print-memory full | sed -n "s/^rank 0: params \([0-9]*\),.*/\1/p")
[ -n "$bytes" ] || fail "the memory table names no parameters"

echo "# $("$WEIR" info | head -2 | tr -s ' \n' ' '), load $(cut -d' ' -f1 /proc/loadavg)"
echo "# weir ${train[*]}" | sed "s|$dir/||"
run free
compute=$(spread "$dir/free" | cut -d' ' -f1)
part=$(awk -v t="$compute" -v m="$microbatches" 'BEGIN { print t / 1000 / m / 3 }')
echo "# not shaped: $compute ms a step; $bytes bytes of gradients, latency $latency s assumed"
echo "  Mbit/s    measured     fastest     slowest   simulated  meas/sim"
for rate in "${rates[@]}"; do
    run "shaped" -r "${rate}mbit"
    simulated=$("$WEIR" schedule simulate 1f1b -p 1 -m "$microbatches" --time "F=$part,I=$part,W=$part" --replicas 2 \
        --stage-bytes "G=$bytes" --reduce-link "L=$latency,BW=$(awk -v r="$rate" 'BEGIN { print r * 1e6 / 8 }')" |
        awk '/^makespan/ { print $2 * 1000 }')
    # shellcheck disable=SC2046 # three numbers
    printf '%8s  %9.1f   %9.1f   %9.1f   %9.1f  %8.2f\n' "$rate" $(spread "$dir/shaped") "$simulated" \
        "$(awk -v a="$(spread "$dir/shaped" | cut -d' ' -f1)" -v b="$simulated" 'BEGIN { print a / b }')"
done
