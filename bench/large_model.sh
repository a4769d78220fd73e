#!/usr/bin/env bash
# A model that one rank may not hold, trained on several under the same cap per rank.
#
#     bench/large_model.sh [MODEL [CAP_MIB [RANKS [STEPS]]]]          gpt2-large 4096 4 12
#
# Ranks are threads of one process, one thread each; one batch is repeated, so that the loss must fall.  Fails unless one
# rank is refused with exit status 3 and the number of ranks as its way out, every rank stays under the cap, the process's
# largest resident set stays under ranks x cap + what the libraries need, and the loss falls.
#
# gpt2-large needs 13 GiB of free memory: parameters, gradients and AdamW's two moments of 774 million float32.
set -euo pipefail

model=${1:-gpt2-large} cap_mib=${2:-4096} ranks=${3:-4} steps=${4:-12}
microbatches=4 seq=32
root=$(cd "$(dirname "$0")/.." && pwd)
weir=${WEIR:-$root/build/release/bin/weir}
cap=$((cap_mib << 20))
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "large_model.sh: $*" >&2
    exit 1
}

# A text of as many samples as one step has: every step reads the same batch.
head -c $((seq * microbatches + 1)) "$root/docs/architecture.md" >"$dir/text"
options=(train --model "$model" --data "$dir/text" --microbatches "$microbatches" --microbatch-size 1 --seq-len "$seq"
    --steps "$steps" --lr 1e-4 --threads-per-rank 1 --device-memory "${cap_mib}M")

echo "# $("$weir" info | head -2 | tr -s ' \n' ' ')"
echo "# weir ${options[*]} --stages $ranks" | sed "s|$dir/||"

refused=0
"$weir" "${options[@]}" --stages 1 2>"$dir/refusal" || refused=$?
[ $refused -eq 3 ] || fail "one rank was not refused (exit status $refused): $(tail -1 "$dir/refusal")"
cat "$dir/refusal"
grep -q -- "--stages $ranks\b" "$dir/refusal" || fail "the refusal does not name --stages $ranks"

"$weir" "${options[@]}" --stages "$ranks" --print-memory full >"$dir/table"
libraries=$(sed -n 's/^not in the table: .* \([0-9]*\) bytes$/\1/p' "$dir/table")

"$weir" "${options[@]}" --stages "$ranks" --metrics "$dir/metrics" &
run=$!
resident=0 # VmHWM only grows: the last reading is that of the last steps
while now=$(awk '/^VmHWM/ { printf "%.0f\n", $2 * 1024 }' "/proc/$run/status" 2>/dev/null) && [ -n "$now" ]; do
    resident=$now
    sleep 0.1
done
wait "$run" || fail "the run on $ranks ranks failed"

grep -o '"loss": [^,]*' "$dir/metrics" | awk '{ printf "%s%.4f", (NR > 1 ? " " : "# losses "), $2 } END { print "" }'
grep -o '"step_ms": [^,]*' "$dir/metrics" | awk '{ printf "%s%.0f", (NR > 1 ? " " : "# ms per step "), $2 } END { print "" }'
echo "# rank, bytes, of the cap of $cap"
peaks=$(sed -n '2s/.*"peak_bytes": \[\([^]]*\)\].*/\1/p' "$dir/metrics" | tr -d ' ' | tr ',' '\n')
awk -v cap="$cap" '{ printf "%d %s %.1f%%\n", NR - 1, $1, 100 * $1 / cap; sum += $1 } END { printf "all %.0f\n", sum }' <<<"$peaks"
echo "# largest resident set of the process, ranks x cap + libraries"
echo "$resident $((ranks * cap + libraries))"

awk -v cap="$cap" '$1 > cap { exit 1 }' <<<"$peaks" || fail "a rank has more than the cap"
[ "$(wc -l <<<"$peaks")" -eq "$ranks" ] || fail "the metrics do not name $ranks ranks"
[ "$resident" -gt 0 ] || fail "the resident set could not be read"
[ "$resident" -le $((ranks * cap + libraries)) ] || fail "the process has more than its ranks may"
grep -o '"loss": [^,]*' "$dir/metrics" | awk '{ last = $2 } NR == 1 { first = $2 } END { exit !(last < 0.9 * first) }' ||
    fail "the loss did not fall"
