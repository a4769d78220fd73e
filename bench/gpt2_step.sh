#!/bin/bash
# A full training step of GPT-2 124M (sequence 256, float32, AdamW, 8 micro-batches of 1): two stages with one thread each
# against one stage with two threads, in turns, and where the time of the two stages goes.
#
#   bench/gpt2_step.sh [TEXT] [ROUNDS]        bytes to train on; 3 rounds of 4 steps, of which the first is left out
#
# The simulated bubble is that of the schedule with the median F and B of each stage, taken from the traces of the runs.
# Needs about 6 GiB of memory, python3 and a release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
text=${1:-${WEIR_TEST_DATA:-}/data/tinyshakespeare.txt}
rounds=${2:-3}
weir=${WEIR:-build/release/bin/weir}
[ -r "$text" ] || {
    echo "gpt2_step.sh: no text '$text': name a file, or set WEIR_TEST_DATA" >&2
    exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

train() {
    "$weir" train --model gpt2 --data "$text" --seq-len 256 --microbatches 8 --microbatch-size 1 --steps 4 --quiet "$@"
}

echo "$("$weir" --version), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(date +%F), load $(cut -d' ' -f1 /proc/loadavg)"
for round in $(seq "$rounds"); do
    train --stages 2 --metrics "$work/two.$round" --trace "$work/trace.$round"
    train --stages 1 --threads-per-rank 2 --metrics "$work/one.$round"
done
train --stages 2 --profile 2>"$work/profile"

cat >"$work/report.py" <<'PY'
import json, statistics, subprocess, sys
work, rounds, weir = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def steps(name):
    return [json.loads(l) for r in range(1, rounds + 1) for l in open(f"{work}/{name}.{r}").read().splitlines()[2:]]
def row(name, words):
    s = steps(name)
    rate = [x["tokens_per_s"] for x in s]
    print(f"{words:24} {statistics.median(rate):7.0f} tokens/s median, {min(rate):.0f} to {max(rate):.0f};"
          f" bubble {100 * statistics.median(x['bubble'] for x in s):.1f} %")
    return statistics.median(rate)
two, one = row("two", "2 stages x 1 thread"), row("one", "1 stage x 2 threads")
print(f"ratio {two / one:.2f}")
times, ends = {}, {}
for r in range(1, rounds + 1):
    parts = {}
    for e in json.load(open(f"{work}/trace.{r}"))["traceEvents"]:
        step = e.get("args", {}).get("step", 0)
        kind = {"forward": "F", "backward": "B", "optimizer": "optimizer"}.get(e.get("cat"))
        if kind and step > 1:
            key = (e["pid"], step, e["args"].get("mb"), kind)
            parts[key] = parts.get(key, 0) + e["dur"]
    for (rank, _, _, kind), t in parts.items():
        times.setdefault((rank, kind), []).append(t)
ms = {k: statistics.median(v) / 1e3 for k, v in times.items()}
print("medians in ms:", ", ".join(f"stage {r} {k} {t:.1f}" for (r, k), t in sorted(ms.items())))
stages = [{"F": ms[r, "F"], "I": ms[r, "B"] / 2, "W": ms[r, "B"] / 2} for r in (0, 1)]
optimizer = max(ms[r, "optimizer"] for r in (0, 1))
json.dump({"stages": stages, "optimizer": optimizer}, open(f"{work}/costs.json", "w"))
PY
python3 "$work/report.py" "$work" "$rounds" "$weir"
"$weir" schedule make 1f1b -p 2 -m 8 -o "$work/s.csv"
"$weir" schedule simulate "$work/s.csv" --costs "$work/costs.json" 
cat "$work/profile"
