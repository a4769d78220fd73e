#!/usr/bin/env python3
"""Runs that are short of something: memory, address space, descriptors, shared memory, disk.

    tests/soak/short_of.py [WEIR]        default build/release/bin/weir

Open MPI's own start takes more than Weir, and looks at no limit: it crashes, or is killed.  Those rows are counted apart.

Each row is a run of three steps that has too little of one thing.  It must do without, with exit status 0, or end with a message of its own and a status
of its own: never by SIGBUS or SIGSEGV, never with nothing said.  Address space is tried in steps down from what the run has
enough of.  What needs root (a small /dev/shm, a small disk, a memory cgroup) is left out without it, and named."""
import os
import re
import subprocess
import sys
import tempfile

from kept_state import ROOT, command_of

MPI = f"MPI_TIMEOUT=100 bash {ROOT}/tests/support/mpi.sh"
TRAIN = ("train --model gpt2-tiny --data text --microbatches 2 --microbatch-size 2 --seq-len 16 --steps 3 -q --stages 2")
WHERE = ["process", "launch", "mpirun"]
BY_MPI = "Open MPI crashed or was killed while it started"


def line_of(where, weir, limit=""):
    """`limit` holds for the ranks; mpirun itself, which crashes under it, has none."""
    limited = f"{limit}; " if limit else ""
    return {"process": f"{limited}{weir} {TRAIN}", "launch": f"{limited}{weir} launch -n 2 -- {TRAIN}",
            "mpirun": f"{MPI} 2 bash -c \"{limited}exec \\\"\\$@\\\"\" rank {weir} {TRAIN}"}[where]


def cgroup_line(mib, line):
    """Version 1 or 2, whichever has the memory of this machine.  What is swapped counts where the kernel counts it."""
    one = "/sys/fs/cgroup/memory"
    if os.path.exists(f"{one}/memory.limit_in_bytes"):
        folder, limit, swap = one, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
    elif "memory" in open_text("/sys/fs/cgroup/cgroup.controllers").split():
        folder, limit, swap = "/sys/fs/cgroup", "memory.max", None
    else:
        return "echo no cgroup has the memory of this machine; exit 77"
    more = f"[ ! -e $g/{swap} ] || echo {mib}M >$g/{swap}; " if swap else "[ ! -e $g/memory.swap.max ] || echo 0 >$g/memory.swap.max; "
    return (f"g={folder}/weir-short-$$; mkdir $g && echo {mib}M >$g/{limit} || {{ rmdir $g; exit 77; }}; {more}"
            f"bash -c 'echo $$ >'$g'/cgroup.procs; {line}'; s=$?; sleep 0.2; rmdir $g; exit $s")


def open_text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def rows(weir):
    """(what, shell line)"""
    for where in WHERE:
        line = line_of(where, weir)
        for n in (32, 12):
            yield f"{where}: {n} descriptors", line_of(where, weir, f"ulimit -n {n}")
        for mib in (2000, 1000, 700, 500, 400, 300, 250, 200, 150, 120, 100, 80, 60, 40):
            yield f"{where}: {mib} MiB of address space", line_of(where, weir, f"ulimit -v {mib * 1024}")
        yield f"{where}: /dev/shm of 8 MB", f"unshare -m bash -c 'mount -t tmpfs -o size=8m tmpfs /dev/shm && {line}'"
        for option in ("--metrics", "--trace", "--export", "--checkpoint-dir", "--save-costs"):
            yield (f"{where}: full disk for {option}",
                   f"mkdir -p full; unshare -m bash -c 'mount -t tmpfs -o size=64k tmpfs full && dd if=/dev/zero of=full/filler bs=4k 2>/dev/null; "
                   f"{line} {option} full/x'")
        for mib in (64, 56, 48, 40, 36, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 20, 16, 12, 8):
            yield f"{where}: memory cgroup of {mib} MiB", cgroup_line(mib, line)


def judge(what, code, text):
    said = re.search(r"^(weir|mpi\.sh|\[|mpirun|-----)", text, re.M) or "cannot allocate" in text or "error while loading" in text
    if code == 77:
        return True
    if what.startswith("mpirun") and code in (128 + 9, 128 + 11) and not re.search("^weir", text, re.M):
        return BY_MPI # before Weir looks at what there is
    if code < 0 or code in (128 + 7, 128 + 9, 128 + 11, 128 + 6) or "was ended by signal" in text:
        return False
    return code == 0 or bool(said)


def main():
    weir, failed, left_out, by_mpi, table = command_of(sys.argv[1] if len(sys.argv) > 1 else None), 0, 0, 0, {}
    for what, line in rows(weir):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/text", "w") as out:
                out.write("".join(f"line {i} of a small text\n" for i in range(400)))
            done = subprocess.run(["timeout", "200", "bash", "-c", line], cwd=folder, capture_output=True, text=True, errors="replace",
                                  env={n: v for n, v in os.environ.items() if not n.startswith("WEIR_")})
        well = judge(what, done.returncode, done.stderr + done.stdout)
        failed += not well
        told = [line for line in done.stderr.split("\n") if line.startswith("weir")][:2]
        skipped = done.returncode == 77
        left_out += skipped
        by_mpi += well == BY_MPI
        print(f"{'-- ' if skipped else 'mpi' if well == BY_MPI else 'ok ' if well else 'BAD'} {what}: exit {done.returncode} {told if told or well else done.stderr[-400:]}", flush=True)
        table[done.returncode] = table.get(done.returncode, 0) + 1
    print(f"{sum(table.values())} rows, exit statuses {table}: {failed} failed, {left_out} left out, {by_mpi} in which {BY_MPI}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
