#!/usr/bin/env python3
"""Runs that are killed at random moments, and go on.

    tests/soak/kill_series.py [KILLS] [SEED] [WEIR]        default 300 kills, seed 1, build/release/bin/weir

A chain is a run of 40 steps with a checkpoint every 2 steps, killed with SIGKILL again and again until one of its runs comes to
the end.  Its parameters and moments are then compared with those of a run that nobody killed, bit by bit.  A third of the kills
hit one process, a third one of four processes under mpirun with ZeRO-1, and a third are followed by a run on another layout:
another number of stages, another schedule, ZeRO-1 on or off, threads or processes.

mpirun 4.1.4 itself sometimes stays when a rank dies at a bad moment: once no rank has been left for ten seconds it is ended, and
counted.  A rank that stays is a failure.

Prints a line per kind and fails when a run does not go on, goes on from an older step than one whose checkpoint was durable, or
ends with other bits."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from kept_state import ROOT, command_of, fail, folder_new, inputs_make, resumed_step, run, state_of, step_folder, train_line

STEPS, EVERY = 40, 2
MPIRUN = ["mpirun", "--oversubscribe", "-np", "4"]
MPI_ENV = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
BATCH = ["--replicas", "2", "--microbatches", "4", "--microbatch-size", "1", "-q"]
LOCAL = ["--transport", "local"]

# Of one batch: all of these have the same bits.
LAYOUTS = {
    "local": (False, ["--stages", "2", "--schedule", "1f1b"] + LOCAL),
    "local zero": (False, ["--stages", "2", "--schedule", "1f1b", "--zero", "1"] + LOCAL),
    "local 1": (False, ["--stages", "1"] + LOCAL),
    "local zb": (False, ["--stages", "3", "--schedule", "zb-h1"] + LOCAL),
    "local interleaved": (False, ["--ranks", "2", "--chunks", "2", "--schedule", "interleaved", "--zero", "1"] + LOCAL),
    "mpi": (True, ["--stages", "2", "--schedule", "1f1b"]),
    "mpi zero": (True, ["--stages", "2", "--schedule", "1f1b", "--zero", "1"]),
}
KINDS = {"one process": ["local"], "four processes, ZeRO-1": ["mpi zero"], "another layout each time": list(LAYOUTS)}


def line_of(weir, folder, layout):
    with_mpi, more = LAYOUTS[layout]
    return (MPIRUN if with_mpi else []) + train_line(weir, folder, STEPS, EVERY, "--keep", "2", *BATCH, *more)


def ranks_of(weir, parent):
    """The processes of a run: children of mpirun, or the run itself."""
    found = []
    for name in os.listdir("/proc"):
        try:
            stat = open(f"/proc/{name}/stat").read() if name.isdigit() else ""
            if stat and int(stat.rsplit(")", 1)[1].split()[1]) == parent and os.readlink(f"/proc/{name}/exe") == weir:
                found.append(int(name))
        except OSError:
            pass
    return found


def durable_step(folder):
    """The newest checkpoint that has a manifest: it was on the disk before this moment."""
    steps = [int(name[5:]) for name in (os.listdir(f"{folder}/D") if os.path.isdir(f"{folder}/D") else [])
             if name.startswith("step-") and os.path.exists(f"{folder}/D/{name}/manifest.json")]
    return max(steps, default=None)


def kill_after(process, seconds, weir, rng):
    """SIGKILL for one rank of the run, or for all of a run without mpirun.  False: it had ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            return False
        time.sleep(min(0.002, max(0, end - time.monotonic())))
    victims = ranks_of(weir, process.pid) or [process.pid]
    try:
        os.kill(rng.choice(victims), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


mpirun_stayed = 0


def wait_for(process, weir, limit=120, alone=10):
    """The status, once the run has ended; mpirun without ranks is ended here."""
    global mpirun_stayed
    start = last_seen = time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        last_seen = now if ranks_of(weir, process.pid) or now - start < 1 else last_seen
        if now - last_seen > alone and process.args[0] == "mpirun":
            mpirun_stayed += 1
            process.kill()
        if now - start > limit:
            process.kill()
            fail(f"hangs: {' '.join(process.args)}")
        time.sleep(0.02)
    return process.returncode


def run_killed(line, folder, seconds, weir, rng):
    """Whether it was killed, its status and its messages."""
    with open(f"{folder}/messages", "w+") as messages:
        process = subprocess.Popen(line, cwd=folder, env={**os.environ, **MPI_ENV}, stdout=messages, stderr=messages)
        killed = kill_after(process, seconds, weir, rng)
        status = wait_for(process, weir)
        messages.seek(0)
        return killed and status != 0, status, messages.read()


def chain(kind, kills_left, lengths, wanted, weir, folder, rng):
    """Kills until a run comes to its end; returns their number."""
    kills, durable = 0, None
    folder_new(f"{folder}/D")
    while True:
        layout = rng.choice(KINDS[kind])
        most = lengths[layout] if kills < kills_left else 1e9
        killed, status, text = run_killed(line_of(weir, folder, layout), folder, rng.uniform(0, most), weir, rng)
        step = resumed_step(text)
        if step is not None and durable is not None and step < durable:
            fail(f"{kind}: goes on from step {step}, though step {durable} was durable")
        if "has no whole checkpoint" in text and durable is not None:
            fail(f"{kind}: begins anew, though step {durable} was durable: {text}")
        if not killed:
            break
        kills += 1
        durable = durable_step(folder)
    if status:
        fail(f"{kind}: a run that was not killed ends with status {status}: {text}")
    if state_of(f"{folder}/D/{step_folder(STEPS)}") != wanted:
        fail(f"{kind}: other bits after {kills} kills")
    return kills


def reference(weir, folder):
    """The state that every layout must end with, and how long each takes."""
    lengths, states = {}, set()
    for layout in LAYOUTS:
        folder_new(f"{folder}/D")
        start = time.monotonic()
        status, _, text = run(line_of(weir, folder, layout), folder, MPI_ENV)
        if status:
            fail(f"{layout}: {text}")
        lengths[layout] = 1.1 * (time.monotonic() - start)
        states.add(state_of(f"{folder}/D/{step_folder(STEPS)}"))
    if len(states) != 1:
        fail("the layouts have different bits before anything is killed")
    return states.pop(), lengths


def main():
    n_kills, seed = int((sys.argv[1:] + ["300"])[0]), int((sys.argv[2:] + ["1"])[0])
    weir = os.path.realpath(command_of((sys.argv[3:] + [None])[0]))
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        inputs_make(folder)
        wanted, lengths = reference(weir, folder)
        for kind in KINDS:
            kills = chains = 0
            while kills < n_kills // len(KINDS):
                kills += chain(kind, n_kills // len(KINDS) - kills, lengths, wanted, weir, folder, rng)
                chains += 1
            print(f"{kind}: {kills} kills, {chains} runs came to their end, all with the bits of one that nobody killed",
                  flush=True)
    print(f"mpirun stayed without ranks {mpirun_stayed} times")


if __name__ == "__main__":
    main()
