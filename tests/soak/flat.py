#!/usr/bin/env python3
"""Does a run grow?  10,000 steps of a tiny model, and what its processes hold meanwhile.

    tests/soak/flat.py [STEPS] [WEIR] [--busy] [--only WHERE]        default 10000, build/release/bin/weir

In one process, under `weir launch` and under mpirun, with metrics, checkpoints in the background and validations.  Resident memory,
file descriptors, threads, mappings and files in /dev/shm of all processes are summed five times a second, and printed as the least of
every tenth of the steps: a save has a thread and files open while it writes.  The second half may not have more than the first: descriptors,
threads and shared files not one, mappings 8, memory 2 % and 1 MiB.  The first tenth is warm-up.  A straggler that is reported is a failure
too: nobody is slowed but by what else the machine does.  How long ranks should take is known from a short run before, so that they are
compared with that as well.

--busy: as many processes as there are processors work and rest in turns meanwhile, each for a random time of up to two seconds."""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

from kept_state import ROOT, command_of, fail

TENTHS = 10


def held(mark):
    pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and mark in open_text(f"/proc/{p}/cmdline") and "\0train\0" in open_text(f"/proc/{p}/cmdline")]
    pids = [p for p in pids if re.match(r"(\S*/)?weir\0train\0", open_text(f"/proc/{p}/cmdline"))]
    memory = sum(int(open_text(f"/proc/{p}/statm").split()[1]) for p in pids if open_text(f"/proc/{p}/statm")) * 4 // 1024
    return {"processes": len(pids), "MiB": memory, "descriptors": sum(count(f"/proc/{p}/fd") for p in pids),
            "threads": sum(count(f"/proc/{p}/task") for p in pids),
            "mappings": sum(open_text(f"/proc/{p}/maps").count("\n") for p in pids), "shared files": len(glob.glob("/dev/shm/weir*"))}


def least(looks):
    all_there = max(look["processes"] for look in looks)
    looks = [look for look in looks if look["processes"] == all_there]
    return {key: min(look[key] for look in looks) for key in looks[0]}


def open_text(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def count(folder):
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0


def follow(name, line, steps, folder):
    """A row for every tenth of the steps."""
    rows, looks = [], []
    with open(f"{folder}/errors", "w") as errors:
        run = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, stdin=subprocess.DEVNULL)
    while run.poll() is None:
        done = open_text(f"{folder}/metrics").count('"step"')
        looks.append(held(f"{folder}/text"))
        if done >= (len(rows) + 1) * steps // TENTHS and len(rows) < TENTHS - 1:
            rows.append(least(looks))
            looks = []
            print(f"{name:8} {done:6} steps: {rows[-1]}", flush=True)
        time.sleep(0.2)
    text = open_text(f"{folder}/errors")
    if run.returncode or "is slow since" in text:
        fail(f"{name}: exit {run.returncode}: {text}")
    return rows


BURSTS = """
import random, sys, time
while True:
    end = time.monotonic() + 2 * random.random()
    while time.monotonic() < end:
        sum(range(1000))
    time.sleep(2 * random.random())
"""


def check(name, rows):
    for key in rows[0]:
        before, after = (min(row[key] for row in half) for half in (rows[1:TENTHS // 2], rows[TENTHS // 2:]))
        limit = before * 1.02 + 1 if key == "MiB" else before + (8 if key == "mappings" else 0)
        if after > limit:
            fail(f"{name}: {key} grow: {[r[key] for r in rows]}")


def line_of(name, steps, folder):
    line = ["train", "--model", "gpt2-tiny", "--data", f"{folder}/text", "--microbatches", "2", "--microbatch-size", "1", "--seq-len",
            "8", "--stages", "2", "-q"]
    whole = ["--steps", str(steps), "--metrics", "metrics", "--checkpoint-dir", "D", "--checkpoint-every", str(steps // 40), "--keep",
             "2", "--val-data", f"{folder}/text", "--val-every", str(steps // 40), "--val-batches", "2", "--costs", "costs"]
    return line + (whole if name else ["--steps", "2000", "--save-costs", "costs"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("steps", nargs="?", type=int, default=10000)
    parser.add_argument("weir", nargs="?")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--only")
    options = parser.parse_args()
    weir = command_of(options.weir)
    before = {"process": [weir], "launch": [weir, "launch", "-n", "2", "--"],
              "mpirun": ["env", "MPI_TIMEOUT=6000", "bash", f"{ROOT}/tests/support/mpi.sh", "2", weir]}
    others = [subprocess.Popen([sys.executable, "-c", BURSTS]) for _ in range(os.cpu_count() if options.busy else 0)]
    try:
        for name in [options.only] if options.only else before:
            with tempfile.TemporaryDirectory() as folder:
                with open(f"{folder}/text", "w") as out:
                    out.write("".join(f"line {i} of a small text\n" for i in range(400)))
                subprocess.run([weir] + line_of(None, 0, folder), cwd=folder, check=True, stdout=subprocess.DEVNULL)
                check(name, follow(name, before[name] + line_of(name, options.steps, folder), options.steps, folder))
    finally:
        for other in others:
            other.kill()
    print(f"{options.steps} steps each: nothing grows, nobody straggles")


if __name__ == "__main__":
    main()
