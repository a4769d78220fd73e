#!/usr/bin/env python3
"""Checkpoints of GPT-2 124M: what a save costs the steps beside it, and how fast files are written and read.

    bench/checkpoint.py [background|files] [FOLDER] [TEXT]      both; a folder on the disk to measure (default .); bytes to train on

background   two stages with one thread each, sequence 256, float32, AdamW, micro-batches of 1; 5 saves.  The longest step while a
             save is being written, less the median of all other steps; the copy before it is no part of a step, and is named
             beside it.  Median of the 5 saves.
files        --checkpoint-sync writes, and `weir checkpoint verify` reads, in turns with dd: bytes that do not compress, conv=fsync
             and a cold page cache.  Medians of 3 rounds.

Needs about 8 GiB of memory, 7 GiB of disk, python3, dd and a release build."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WEIR = os.environ.get("WEIR") or f"{ROOT}/build/release/bin/weir"
MICROBATCHES, EVERY, SAVES, ROUNDS = 8, 8, 5, 3
EXACT = {"env": {**os.environ, "LC_ALL": "C"}}


def text_make(path):
    import random
    words = random.Random(1)
    with open(path, "w") as out:
        out.write(" ".join("".join(chr(97 + words.randrange(26)) for _ in range(words.randint(2, 8))) for _ in range(20000)))


def train_line(folder, text, *more):
    return [WEIR, "train", "--model", "gpt2", "--data", text, "--seq-len", "256", "--stages", "2", "--microbatches",
            str(MICROBATCHES), "--microbatch-size", "1", "--quiet", "--checkpoint-dir", f"{folder}/D", "--metrics",
            f"{folder}/metrics", *more]


def steps_of(folder):
    """Of each step: when it ended, how long it took, and what lay between it and the one before, in seconds."""
    rows = [json.loads(line) for line in open(f"{folder}/metrics").read().splitlines()]
    rows = [row for row in rows if "step_ms" in row]
    ends = [row["time_s"] for row in rows]
    times = [row["step_ms"] / 1e3 for row in rows]
    gaps = [0.0] + [ends[i] - ends[i - 1] - times[i] for i in range(1, len(rows))]
    return ends, times, gaps


class Watch(threading.Thread):
    """When the line of each step and the manifest of each checkpoint were there."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.lines, self.manifests, self.ended = folder, {}, {}, False

    def run(self):
        while not self.ended:
            now = time.monotonic()
            try:
                n = open(f"{self.folder}/metrics", "rb").read().count(b'"step_ms"')
                for step in range(1, n + 1):
                    self.lines.setdefault(step, now)
                for name in os.listdir(f"{self.folder}/D"):
                    if os.path.exists(f"{self.folder}/D/{name}/manifest.json"):
                        self.manifests.setdefault(int(name[5:]), now)
            except OSError:
                pass
            time.sleep(0.02)


def background(folder, text):
    steps = EVERY * SAVES + EVERY - 1
    watch = Watch(folder)
    watch.start()
    subprocess.run(train_line(folder, text, "--steps", str(steps), "--checkpoint-every", str(EVERY), "--keep", "1"), check=True)
    watch.ended = True
    watch.join()
    _, times, gaps = steps_of(folder)
    during, writes, copies = {}, [], []
    for save in range(EVERY, EVERY * SAVES + 1, EVERY):
        written = watch.manifests.get(save, watch.lines[min(save + EVERY, steps)])
        during[save] = [s for s in range(save + 1, min(save + EVERY, steps) + 1) if watch.lines[s] - times[s - 1] < written]
        writes.append(written - watch.lines[save])
        copies.append(gaps[save])
    beside = {s for found in during.values() for s in found}
    others = [times[s - 1] for s in range(3, steps + 1) if s not in beside]
    typical, gap = statistics.median(others), statistics.median(gaps[2:])
    excess = [max(times[s - 1] for s in found) - typical for found in during.values()]
    print(f"background: {len(others)} steps beside no save: median {typical:.3f} s, {min(others):.3f} to {max(others):.3f}")
    print(f"  copies {', '.join(f'{c - gap:.3f}' for c in copies)} s; files are there after {', '.join(f'{w:.1f}' for w in writes)} s")
    print(f"  longest step during each save: {', '.join(f'{100 * e / typical:+.1f}' for e in excess)} % of a step")
    print(f"  median {100 * statistics.median(excess) / typical:+.1f} % of a step (below 5 is wanted)")
    shutil.rmtree(f"{folder}/D")


def dd(*words):
    start = time.monotonic()
    subprocess.run(["dd", "bs=4M", "status=none", *words], check=True, **EXACT)
    return time.monotonic() - start


def warm(seconds=0.0):
    """A virtual machine gets memory when it is touched first, which may take longer than a disk: not within what is measured.
    It gives back what lies idle, so dd waits as long after this as Weir computes before it saves."""
    subprocess.run([sys.executable, "-c", "b'1' * (7 << 30)"], check=True)
    time.sleep(seconds)


def cold(path):
    dd(f"if={path}", "iflag=nocache", "count=0")


def files(folder, text):
    shutil.rmtree(f"{folder}/D", ignore_errors=True)
    if os.path.exists(f"{folder}/metrics"):
        os.unlink(f"{folder}/metrics")
    rates = {"weir writes": [], "dd writes": [], "weir reads": [], "dd reads": []}
    for step in range(1, ROUNDS + 1):
        warm()
        start = time.monotonic()
        subprocess.run(train_line(folder, text, "--steps", str(step + 1), "--checkpoint-every", str(step), "--checkpoint-sync",
                                  "--force"), check=True)
        ended = time.monotonic()
        ends, _, gaps = steps_of(folder)
        before = ended - start - (ends[-1] - ends[step - 1]) - gaps[step]
        part = f"{folder}/D/step-{step:06d}/part-00000.safetensors"
        size = os.path.getsize(part)
        rates["weir writes"].append(size / gaps[step])
        warm(before)
        rates["dd writes"].append(size / dd(f"if={part}", f"of={folder}/plain", "conv=fsync"))
        cold(f"{folder}/plain")
        rates["dd reads"].append(size / dd(f"if={folder}/plain", "of=/dev/null"))
        os.unlink(f"{folder}/plain")
        cold(part)
        start = time.monotonic()
        subprocess.run([WEIR, "checkpoint", "verify", os.path.dirname(part)], check=True, stdout=subprocess.DEVNULL)
        rates["weir reads"].append(size / (time.monotonic() - start))
        shutil.rmtree(f"{folder}/D")
    for name, found in rates.items():
        print(f"files: {name:12} {statistics.median(found) / 1e6:6.0f} MB/s, {', '.join(f'{r / 1e6:.0f}' for r in found)}")
    for what in ("writes", "reads"):
        share = statistics.median(rates[f"weir {what}"]) / statistics.median(rates[f"dd {what}"])
        print(f"files: weir {what} at {100 * share:.0f} % of dd (80 is wanted)")


def main():
    words = sys.argv[1:]
    parts = [words.pop(0)] if words and words[0] in ("background", "files") else ["background", "files"]
    with tempfile.TemporaryDirectory(dir=words[0] if words else ".") as folder:
        text = words[1] if len(words) > 1 else f"{folder}/text"
        if len(words) < 2:
            text_make(text)
        version = subprocess.run([WEIR, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"{version}, {os.cpu_count()} cores, {time.strftime('%F')}, load {open('/proc/loadavg').read().split()[0]}", flush=True)
        for part in parts:
            {"background": background, "files": files}[part](folder, text)


if __name__ == "__main__":
    main()
