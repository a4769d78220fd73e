#!/usr/bin/env python3
"""Do plans come true?  Predicted and measured steps of the same configurations, in turns.

    bench/plan_truth.py build/release/bin/weir [--rounds 5] [--steps 8] [--first N] [--model NAME]

Each turn profiles the layers (weir profile, both cores busy), predicts every configuration of that model and micro-batch size from
the profile (weir plan --costs), and runs it (weir train --plan).  A row has the medians over turns of both, their ratio, and the
spread of the measured ones (largest - smallest) / median.  Nothing else may run on the machine meanwhile.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

SCHEDULES = ["1f1b", "gpipe", "interleaved", "zb-h1", "zbv", "v-half", "bfs"]


def configurations():
    for model, seq in (("gpt2-tiny", 64), ("llama-tiny", 64)):
        for schedule in SCHEDULES:
            yield model, seq, 4, 8, schedule
    for schedule in ("1f1b", "gpipe", "zb-h1", "zbv"):
        yield "gpt2-tiny", 64, 2, 16, schedule


def command(weir, *words, **more):
    done = subprocess.run([weir, *map(str, words)], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def step_ms(path, skipped=2):
    rows = [json.loads(line) for line in open(path)]
    times = [row["step_ms"] for row in rows if "step_ms" in row]
    return statistics.median(times[skipped:])


def turn(weir, case, steps, folder):
    model, seq, size, count, schedule = case
    costs, plan, metrics = (os.path.join(folder, name) for name in ("costs.json", "plan.json", "metrics"))
    command(weir, "profile", "--model", model, "--microbatch-size", size, "--seq-len", seq, "-o", costs, "-q")
    predicted = json.loads(command(weir, "plan", "--model", model, "--devices", 2, "--max-replicas", 1, "--schedule", schedule, "--costs", costs,
                                   "--microbatch-size", size, "--microbatches", count, "--global-batch", size * count, "--seq-len", seq,
                                   "--recompute", "none", "--top", 20, "--json"))
    best = next(p for p in predicted["plans"] if p["ranks"] == 2)
    words = ["--first-layers", ",".join(map(str, best["first_layers"])), "--stages", len(best["first_layers"]), "--chunks", best["chunks"]]
    command(weir, "train", "--model", model, "--data", os.path.join(folder, "text"), "--schedule", schedule, "--microbatch-size", size,
            "--microbatches", count, "--seq-len", seq, "--steps", steps, "--metrics", metrics, "--force", *words)
    return best["step_ms"], step_ms(metrics)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("weir")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--model")
    args = parser.parse_args()
    cases = [case for case in configurations() if not args.model or case[0] == args.model][: args.first]
    found = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "text"), "w") as text:
            text.writelines(f"line {i} of a small text: the quick brown fox jumps\n" for i in range(400))
        for _ in range(args.rounds):
            for case in cases:
                found[case].append(turn(args.weir, case, args.steps, folder))
    print(f"{'model':12} {'B':>3} {'m':>3} {'schedule':14} {'predicted':>10} {'measured':>10} {'error':>7} {'spread':>7}")
    for case, pairs in found.items():
        predicted, measured = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        spread = (max(p[1] for p in pairs) - min(p[1] for p in pairs)) / measured
        print(f"{case[0]:12} {case[2]:3} {case[3]:3} {case[4]:14} {predicted:7.2f} ms {measured:7.2f} ms {100 * (predicted / measured - 1):+6.1f}% {100 * spread:6.1f}%")


main()
