#!/usr/bin/env python3
"""Two results of a benchmark beside each other, with their noise.

    bench/compare.py BEFORE AFTER [--limit PERCENT]

BEFORE and AFTER are files that one of these wrote, or several of one kind joined by commas (runs of the same build):

    weir bench kernels --json         a figure per pass of an operation
    bench_cpu_products --json         a figure per matrix product
    weir bench train --json           the step, and each operation in it
    bench/peers/speed.sh              a figure per contender, a value per turn that nobody disturbed

A figure changed when its medians differ by more than the limit (3 %) and the values of one side lie apart from those of the other.
Of one run alone the values are its fastest and its median.  Results of two models, in f32 and in bf16, or of two schedules, sizes or
numbers of threads, are refused beside each other.  Exit status: 0 nothing is slower, 1 something is, 2 usage. """
import argparse
import json
import math
import statistics
import sys

DISTURBED = 0.05  # as in bench/peers/speed.py
SETTINGS = ("schedule", "ranks", "chunks", "microbatches", "microbatch_size", "seq_len", "recompute", "threads")


def kernels(result):
    for row in result["rows"]:
        yield f"{row['operation']} {row['pass']} {row['shape']}", [row["fastest_us"] / 1e3], row["median_us"] / 1e3


def train(result):
    yield "step", [result["fastest_ms"]], result["step_ms"]
    for row in result["operations"]:
        yield f"{row['operation']} {row['pass']}", [], row["ms"]


def peers(result):
    turns = {}
    for run in result["runs"]:
        if run["turn"] and "times_ms" in run and run["others"] <= DISTURBED:
            key = f"{run['model']} {run['dtype']}{' ' + run['isa'] if run['isa'] else ''}, {run['contender']}"
            turns.setdefault(key, []).append(statistics.median(run["times_ms"][run["warm_up"] :]))
    for key, values in turns.items():
        yield key, values, statistics.median(values)


def work_of(result):
    """What a whole result measured; None: each figure names its own.  Results that name no dtype are of f32."""
    if "runs" in result:
        return None
    return f"{result['model']} in {result.get('dtype', 'f32')}" if "model" in result else result.get("dtype", "f32")


def settings_meet(result, path, known):
    """Adds to {setting: (its value, a file of it)}; a result need not name all of them."""
    for key in SETTINGS:
        if key in result:
            value, first = known.setdefault(key, (result[key], path))
            if value != result[key]:
                raise ValueError(f"'{first}' has {key} {value} and '{path}' {result[key]}: take results of the same options")


def result_read(path, works, known):
    """[(figure, its values, its median)] of a file.  Adds to {what was measured: a file of it} and to the known settings."""
    with open(path) as f:
        try:
            result = json.load(f)
        except ValueError as e:
            raise ValueError(f"'{path}' is no JSON: {e}") from e
    kinds = {"rows": kernels, "operations": train, "runs": peers}
    kind = next((k for k in kinds if isinstance(result, dict) and isinstance(result.get(k), list)), None)
    if not kind:
        raise ValueError(f"'{path}' is no result of a benchmark")
    try:
        figures = list(kinds[kind](result))
    except (KeyError, TypeError, AttributeError, IndexError, statistics.StatisticsError) as e:
        raise ValueError(f"'{path}' is no whole result of a benchmark: {type(e).__name__} {e}") from e
    for name, some, median in figures:
        if not all(isinstance(v, (int, float)) and math.isfinite(v) and v >= 0 for v in some + [median]):
            raise ValueError(f"'{path}' has a time of '{name}' that is none")
    if work_of(result):
        works.setdefault(work_of(result), path)
    settings_meet(result, path, known)
    return figures


def figures_read(paths, works, known):
    """{figure: (its median, all its values)}, in ms."""
    medians, values = {}, {}
    for path in paths.split(","):
        for name, some, median in result_read(path, works, known):
            medians.setdefault(name, []).append(median)
            values.setdefault(name, []).extend(some + [median])
    return {name: (statistics.median(medians[name]), values[name]) for name in medians}


def verdict(before, after, limit):
    (old, olds), (new, news) = before, after
    if new > old * (1 + limit) and min(news) > max(olds):
        return "slower"
    if new < old / (1 + limit) and max(news) < min(olds):
        return "faster"
    return ""


def main():
    parser = argparse.ArgumentParser(usage="bench/compare.py BEFORE AFTER [--limit PERCENT]")
    parser.add_argument("before", help="a result, or several of the same build joined by commas")
    parser.add_argument("after", help="the same, of another build")
    parser.add_argument("--limit", type=float, default=3, help="change in percent that counts (3)")
    args = parser.parse_args()
    if not 0 <= args.limit < math.inf:
        raise ValueError(f"--limit is {args.limit:g}: it is a percentage, 0 or more")
    works, known = {}, {}
    before, after = figures_read(args.before, works, known), figures_read(args.after, works, known)
    if len(works) > 1:
        kinds = " and ".join(f"'{path}' is of {work}" for work, path in works.items())
        raise ValueError(f"{kinds}: take results of one --model and --dtype")
    both = [name for name in before if name in after]
    if not both:
        raise ValueError("the two have no figure in common")
    said = {name: verdict(before[name], after[name], args.limit / 100) for name in both}
    print(f"{'figure':56} {'before ms':>10} {'after ms':>10} {'ratio':>7}")
    for name in both:
        old, new = before[name][0], after[name][0]
        print(f"{name:56} {old:10.4g} {new:10.4g} {new / old if old else 1:7.3f}  {said[name]}".rstrip())
    slower = sum(1 for s in said.values() if s == "slower")
    print(f"{slower} of {len(both)} slower, {sum(1 for s in said.values() if s == 'faster')} faster, beyond {args.limit:g} % and the noise")
    return int(slower > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as e:
        print(f"compare: {e}", file=sys.stderr)
        sys.exit(2)
