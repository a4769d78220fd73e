#!/usr/bin/env python3
"""Do plans come true?  Predicted and measured steps of the same configurations, in turns.

    bench/plan_truth.py build/release/bin/weir [--turns 7] [--model NAME] [--schedule NAME] [--json FILE [--add]] [--large]

Each turn goes through all configurations.  The layers are profiled (weir profile, all cores busy) before each run and after it; the
run (weir train) has the cut that the first profile makes best (weir plan --costs), and the predicted step is the mean of what both
profiles say, so that a machine that changes its speed changes both sides.  A row has the medians over turns of both, the median over turns of predicted / measured, and the spread of the measured ones,
(largest - smallest) / median.  The bytes of every plan are compared with those of the run's memory table.

--json writes FILE after every turn.  --add begins with the turns that FILE has, so that a series can be made in several short calls:

    for n in 1 2 3; do bench/plan_truth.py build/release/bin/weir --large --turns 1 --json large.json --add; done

20 configurations of gpt2-tiny, llama-tiny and mlp; with --large three of GPT-2 124M at 64 tokens, which need 5 GiB.
Exit status 1: fewer than 9 in 10 rows are within 5 %, or one is off by more than 8 %.  Nothing else may run on the machine.
"""
import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

RANKS, NEAR, FAR = 2, 0.05, 0.08

# (model, tokens, samples of a micro-batch): [(micro-batches, schedule)]
SMALL = {
    ("gpt2-tiny", 64, 4): [(8, name) for name in ("1f1b", "gpipe", "interleaved", "zb-h1", "zbv", "v-half", "bfs")],
    ("llama-tiny", 64, 4): [(8, name) for name in ("1f1b", "gpipe", "interleaved", "zb-h1", "zbv", "v-half", "bfs")],
    ("mlp", 0, 128): [(8, name) for name in ("1f1b", "gpipe", "interleaved", "zb-h1", "zbv", "bfs")],
}
LARGE = {("gpt2", 64, 1): [(8, name) for name in ("1f1b", "zb-h1", "interleaved")]}


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def texts_write(folder):
    """A text, and images of 28 x 28 random pixels in 10 classes."""
    with open(os.path.join(folder, "text"), "w") as text:
        text.writelines(f"line {i} of a small text: the quick brown fox jumps\n" for i in range(400))
    n, rng = 2048, random.Random(1)
    os.mkdir(os.path.join(folder, "images"))
    with open(os.path.join(folder, "images", "train-images-idx3-ubyte"), "wb") as images:
        images.write(struct.pack(">IIII", 0x803, n, 28, 28) + rng.randbytes(n * 784))
    with open(os.path.join(folder, "images", "train-labels-idx1-ubyte"), "wb") as labels:
        labels.write(struct.pack(">II", 0x801, n) + bytes(i % 10 for i in range(n)))


def step_ms(path, skipped):
    rows = [json.loads(line) for line in open(path)]
    return statistics.median([row["step_ms"] for row in rows if "step_ms" in row][skipped:])


class Group:
    """Configurations of one model and micro-batch size."""

    def __init__(self, weir, folder, key, cases, steps):
        self.weir, self.folder, self.cases, self.steps = weir, folder, cases, steps
        self.model, seq, self.size = key
        self.seq = ["--seq-len", seq] if seq else []
        self.data = [os.path.join(folder, "text" if seq else "images")]
        if self.model == "gpt2":  # a vocabulary that bytes do not fill
            self.data = [os.path.join(folder, "tokens"), "--data-format", "u16"]
        self.found, self.checked = {case: [] for case in cases}, set()

    def profile(self):
        costs = os.path.join(self.folder, "costs.json")
        command(self.weir, "profile", "--model", self.model, "--microbatch-size", self.size, *self.seq, "-o", costs, "-q",
                *(["--rounds", 5] if self.model == "gpt2" else []))
        return costs

    def plan(self, case, costs, chunks=None):
        count, schedule = case
        text = command(self.weir, "plan", "--model", self.model, "--devices", RANKS, "--max-replicas", 1, "--schedule", schedule, "--costs", costs,
                       "--microbatch-size", self.size, "--microbatches", count, "--global-batch", self.size * count, *self.seq,
                       "--recompute", "none", "--top", 20, "--json")
        return next(plan for plan in json.loads(text)["plans"] if plan["ranks"] == RANKS and chunks in (None, plan["chunks"]))

    def run(self, case, plan, *more):
        count, schedule = case
        layers = plan["first_layers"]
        return command(self.weir, "train", "--model", self.model, "--data", *self.data, "--schedule", schedule, "--microbatch-size", self.size,
                       "--microbatches", count, *self.seq, "--first-layers", ",".join(map(str, layers)), "--stages", len(layers),
                       "--chunks", plan["chunks"], *more)

    def turn(self, backwards):
        metrics = os.path.join(self.folder, "metrics")
        costs = self.profile()
        for case in reversed(self.cases) if backwards else self.cases:
            plan = self.plan(case, costs)
            self.run(case, plan, "--steps", self.steps, "--metrics", metrics, "--force", "-q")
            costs = self.profile()
            predicted = (plan["step_ms"] + self.plan(case, costs, plan["chunks"])["step_ms"]) / 2
            self.found[case].append((predicted, step_ms(metrics, self.steps // 4)))
            if case not in self.checked:
                self.memory_check(case, plan)

    def memory_check(self, case, plan):
        self.checked.add(case)
        table = json.loads(self.run(case, plan, "--print-memory", "--json"))
        if table["ranks"] != plan["memory"]["ranks"]:
            sys.exit(f"{self.model} {case}: planned {plan['memory']['ranks']}, the table has {table['ranks']}")

    def rows(self):
        for case, pairs in self.found.items():
            predicted, measured = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
            error = statistics.median(p / m for p, m in pairs) - 1
            spread = (max(m for _, m in pairs) - min(m for _, m in pairs)) / measured
            yield {"model": self.model, "microbatch_size": self.size, "microbatches": case[0], "schedule": case[1], "predicted_ms": predicted,
                   "measured_ms": measured, "error": error, "spread": spread, "turns": pairs}


def found_load(path, groups):
    """Take the turns that a file has; gives back its rows of other configurations."""
    rows = json.load(open(path)) if os.path.exists(path) else []
    groups = {(group.model, group.size): group for group in groups}
    others = []
    for row in rows:
        group = groups.get((row["model"], row["microbatch_size"]))
        found = group.found.get((row["microbatches"], row["schedule"])) if group else None
        if found is None:
            others.append(row)
        else:
            found.extend(row["turns"])
    return others


def tokens_write(folder):
    with open(os.path.join(folder, "tokens"), "wb") as tokens:
        rng = random.Random(2)
        tokens.write(b"".join(struct.pack("<H", rng.randrange(50257)) for _ in range(20000)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--model")
    parser.add_argument("--schedule")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--add", action="store_true")
    args = parser.parse_args()
    if args.add and not args.json:
        parser.error("--add begins with the turns of a file: name it with --json")
    space = LARGE if args.large else SMALL
    start, rows = time.time(), []
    with tempfile.TemporaryDirectory() as folder:
        texts_write(folder)
        tokens_write(folder)
        groups = [Group(args.weir, folder, key, [c for c in cases if args.schedule in (None, c[1])], 4 if args.large else args.steps)
                  for key, cases in space.items() if args.model in (None, key[0])]
        others = found_load(args.json, groups) if args.add else []
        for turn in range(args.turns):
            for group in groups:
                group.turn(turn % 2)
            print(f"turn {turn + 1} of {args.turns}, {time.time() - start:.0f} s", file=sys.stderr)
            rows = others + [row for group in groups for row in group.rows()]
            if args.json:
                with open(args.json, "w") as out:
                    json.dump(rows, out, indent=1)
    print(f"{'model':11} {'B':>4} {'m':>3} {'schedule':12} {'predicted':>12} {'measured':>12} {'error':>8} {'spread':>8}")
    for r in rows:
        print(f"{r['model']:11} {r['microbatch_size']:4} {r['microbatches']:3} {r['schedule']:12} {r['predicted_ms']:9.2f} ms {r['measured_ms']:9.2f} ms "
              f"{100 * r['error']:+6.1f} % {100 * r['spread']:6.1f} %")
    near, worst = sum(abs(r["error"]) <= NEAR for r in rows), max(abs(r["error"]) for r in rows)
    print(f"{near} of {len(rows)} within {100 * NEAR:.0f} %, the worst is off by {100 * worst:.1f} %; bytes are those of the memory table")
    sys.exit(near < 0.9 * len(rows) or worst > FAR)


if __name__ == "__main__":
    main()
