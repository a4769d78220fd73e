#!/usr/bin/env python3
"""One bit of a checkpoint is another: no run goes on from it.

    tests/soak/flipped_bits.py [FLIPS] [SEED] [WEIR]        default 1000 flips, seed 1, build/release/bin/weir

Two checkpoints are there, of steps 2 and 4.  A random bit of a random file of the newer one is flipped, each byte of all of its
files being as likely; then the same command goes on.  It must pass the newer one over, naming the file, and go on from step 2."""
import os
import random
import re
import shutil
import sys
import tempfile

from kept_state import command_of, fail, inputs_make, resumed_step, run, step_folder, train_line


def flip(folder, rng):
    """The name of the file."""
    names = sorted(os.listdir(folder))
    sizes = [os.path.getsize(f"{folder}/{name}") for name in names]
    at, number = rng.randrange(sum(sizes)), 0
    while at >= sizes[number]:
        at -= sizes[number]
        number += 1
    with open(f"{folder}/{names[number]}", "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return names[number]


def main():
    n_flips, seed = int((sys.argv[1:] + ["1000"])[0]), int((sys.argv[2:] + ["1"])[0])
    weir, rng, of_file = command_of((sys.argv[3:] + [None])[0]), random.Random(seed), {}
    with tempfile.TemporaryDirectory() as folder:
        inputs_make(folder)
        line = train_line(weir, folder, 4, 2, "--replicas", "2", "--zero", "1", "--stages", "2")
        status, _, text = run(line, folder)
        if status:
            fail(text)
        shutil.copytree(f"{folder}/D", f"{folder}/whole")
        for n in range(n_flips):
            shutil.rmtree(f"{folder}/D")
            shutil.copytree(f"{folder}/whole", f"{folder}/D")
            name = flip(f"{folder}/D/{step_folder(4)}", rng)
            status, _, text = run(line, folder)
            if status or resumed_step(text) != 2 or not re.search(f"passed over: .*'D/{step_folder(4)}/{name}'", text):
                fail(f"flip {n} in {name}: status {status}: {text}")
            of_file[name] = of_file.get(name, 0) + 1
    print(f"{n_flips} flips, all detected before training: " + ", ".join(f"{n} in {name}" for name, n in sorted(of_file.items())))


if __name__ == "__main__":
    main()
