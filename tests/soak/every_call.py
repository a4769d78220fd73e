#!/usr/bin/env python3
"""Every system call of runs with checkpoints fails once in turn, or is the last one: what is on the disk is one checkpoint or
the other.

    cmake --preset faults && cmake --build --preset faults
    tests/soak/every_call.py [STRIDE [PART..]]     every STRIDE-th (default 1); order, cuts, kills, instructions,
                                                   failures (default: all), failures:read, failures:read:550 (from there on)

A run makes 6 steps with a checkpoint every 2.  Calls are those of base/file_calls.h, that is all that change files.

failures    every call fails in turn: with EIO, with ENOSPC (what writes), with EINTR, and with half of its bytes.  The run
            says so or does without; it never ends with a signal, a leak or a report of the sanitizers.
kills       SIGKILL before every call in turn.
            After both the same command goes on from a checkpoint no older than the newest that was durable by the log of the run,
            and ends with the bits of a run that nothing befell.
instructions   SIGKILL before every instruction of step 5 in turn, which lies between the checkpoints of steps 4 and 6; in one
            process of two ranks, and of four with ZeRO-1.  As above; the checkpoint that it goes on from is that of step 4.
order       of the calls of an undisturbed run: a file is synced after its last write and before it gets its name, its folder is
            synced afterwards, and the manifest gets its name when all files of its checkpoint have theirs on the disk.
cuts        of power: after every call of that run, with every set (up to 64) of changes of folders that were not yet synced lost: the run
            goes on as above."""
import itertools
import os
import re
import shutil
import sys
import tempfile

from kept_state import ROOT, fail, inputs_make, resumed_step, run, state_of, step_folder, train_line

STEPS, EVERY = 6, 2
WEIR = os.environ.get("WEIR") or f"{ROOT}/build/faults/bin/weir"
REASONS = {"open": ["EIO", "EMFILE"], "write": ["EIO", "ENOSPC", "EINTR", "short"], "allocate": ["EIO", "ENOSPC"],
           "read": ["EIO", "EINTR", "short"], "link": ["EIO", "ENOSPC"], "rename": ["EIO", "ENOSPC"], "mkdir": ["EIO", "ENOSPC"],
           "fsync": ["EIO", "ENOSPC", "EINTR"], "close": ["EIO"], "unlink": ["EIO"], "rmdir": ["EIO"], "truncate": ["EIO"]}

# Where the checkpoint of step 4 is durable before step 5 begins.
INSTRUCTION_LAYOUTS = {"two ranks": ["--checkpoint-sync", "--stages", "2"],
                       "four ranks, ZeRO-1": ["--checkpoint-sync", "--stages", "2", "--replicas", "2", "--zero", "1"]}
PARTS = ["order", "cuts", "kills", "instructions", "failures"]


class Disk:
    """A log of calls, replayed: what has which name, and what of it would outlive a power cut."""

    def __init__(self):
        self.files = {}      # by descriptor: [unsynced writes, name]
        self.folders = {}    # by descriptor: path
        self.opened = {}     # by name: the file that was opened last, which is new where nameless files fail
        self.durable = {}    # name: inode (a list, as above)
        self.pending = []    # of names: (folder, name, inode or None)
        self.faults = []     # what is out of order

    def names(self, kept=None):
        """With the pending changes of which `kept` has the numbers; None: all of them."""
        found = dict(self.durable)
        for number, (_, name, inode) in enumerate(self.pending):
            if kept is None or number in kept:
                found.pop(name, None)
                if inode is not None:
                    found[name] = inode
        return found

    def change(self, name, inode):
        self.pending.append((os.path.dirname(name), os.path.normpath(name), inode))

    def folder_sync(self, path):
        path = os.path.normpath(path)
        for folder, name, inode in [p for p in self.pending if os.path.normpath(p[0]) == path]:
            self.durable.pop(name, None)
            if inode is not None:
                self.durable[name] = inode
        self.pending = [p for p in self.pending if os.path.normpath(p[0]) != path]

    def name_check(self, inode, name):
        if inode[0]:
            self.faults.append(f"{name} gets its name with {inode[0]} writes that are not synced")
        if os.path.basename(name) == "manifest.json":
            late = [p[1] for p in self.pending if os.path.dirname(p[1]) == os.path.dirname(name)
                    and ".tmp." not in p[1] and p[1] != name]
            if late:
                self.faults.append(f"{name} gets its name before {', '.join(late)} is on the disk")

    def call(self, op, fd, names, result):
        if result < 0:
            return
        if op == "open":
            self.folders[result] = names[0]
            self.files[result] = [0, names[0]]
            self.opened[os.path.normpath(names[0])] = self.files[result]
        elif op == "write":
            self.files[fd][0] += 1
        elif op == "fsync" and self.files[fd][0]:
            self.files[fd][0] = 0
        elif op == "fsync":
            self.folder_sync(self.folders[fd])
        elif op == "link":
            self.change(names[0], self.files[fd])
        elif op == "rename":
            inode = self.names().get(os.path.normpath(names[0])) or self.opened[os.path.normpath(names[0])]
            self.name_check(inode, os.path.normpath(names[1]))
            self.change(names[0], None)
            self.change(names[1], inode)
        elif op == "unlink":
            self.change(names[0], None)
        elif op == "mkdir":
            self.change(names[0], [0, names[0]])
        elif op == "rmdir":
            self.change(names[0], None)

    def durable_steps(self):
        """Checkpoints that nothing can take away any more: manifest, files and folders are on the disk."""
        gone = {name for _, name, inode in self.pending if inode is None}
        return [int(name.split("/")[1][5:]) for name in self.durable
                if name.endswith("/manifest.json") and name not in gone and os.path.dirname(name) in self.durable]


def log_read(path):
    calls = []
    for line in open(path):
        found = re.fullmatch(r'(\w+)(?: (\d+))?((?: "[^"]*")*) = (-?\d+)\n', line)
        if found:
            op, fd, names, result = found.groups()
            calls.append((op, int(fd) if fd else None, re.findall(r'"([^"]*)"', names), int(result)))
    return calls


def line_of(folder, *more):
    return train_line(WEIR, folder, STEPS, EVERY, "--keep", "2", *more)


def log_of(folder):
    return log_read(f"{folder}/log") if os.path.exists(f"{folder}/log") else []


def replayed(calls):
    disk = Disk()
    for call in calls:
        disk.call(*call)
    return disk


def go_on(folder, wanted, newest, what, *more):
    """The same command again, without a fault."""
    status, _, text = run(line_of(folder, *more), folder)
    if status:
        fail(f"{what}: the next run ends with status {status}: {text}")
    step = resumed_step(text)
    if (step or 0) < newest:
        fail(f"{what}: goes on from step {step}, though step {newest} was on the disk: {text}")
    if state_of(f"{folder}/D/{step_folder(STEPS)}") != wanted:
        fail(f"{what}: the next run ends with other bits")


def tried(folder, fault, *more):
    """A run with the fault from nothing; returns its status, its messages and what its log says is on the disk."""
    shutil.rmtree(f"{folder}/D", ignore_errors=True)
    if os.path.exists(f"{folder}/log"):
        os.unlink(f"{folder}/log")
    status, _, text = run(line_of(folder, *more), folder, {"WEIR_FAULT": fault, "WEIR_FAULT_LOG": "log"})
    return status, text, max(replayed(log_of(folder)).durable_steps(), default=0)


def failures_try(folder, counts, wanted, stride, only="", first="1"):
    said = without = 0
    for op in [only] if only else REASONS:
        for reason, n in itertools.product(REASONS[op], range(int(first), counts.get(op, 0) + 1, stride)):
            what = f"{op}:{n}:{reason}"
            status, text, newest = tried(folder, what)
            spoke = re.search("^weir train: (?!goes on|'D' has no|.*parameters: )", text, re.M)
            if status < 0 or status >= 90 or (status and not spoke):
                fail(f"{what}: ends with status {status}: {text}")
            if not status and not spoke:
                without += 1
                if state_of(f"{folder}/D/{step_folder(STEPS)}") != wanted:
                    fail(f"{what}: says nothing and ends with other bits")
            else:
                said += 1
            go_on(folder, wanted, newest, what)
    print(f"failures {only}: {said} said, {without} runs did without; all went on", flush=True)


def kills_try(folder, n_calls, wanted, stride):
    steps = set()
    for n in range(1, n_calls + 1, stride):
        status, text, newest = tried(folder, f"kill:call:{n}")
        if status != -9:
            fail(f"kill:call:{n}: ends with status {status}: {text}")
        steps.add(newest)
        go_on(folder, wanted, newest, f"kill:call:{n}")
    print(f"kills: {len(range(1, n_calls + 1, stride))}, with step {', '.join(map(str, sorted(steps)))} on the disk; all went on",
          flush=True)


def instructions_of(folder):
    """How many a step of a run has: all steps have the same."""
    total = int(re.search(r"^instructions (\d+)$", open(f"{folder}/log").read(), re.M).group(1))
    if total % STEPS:
        fail(f"{total} instructions in {STEPS} steps")
    return total // STEPS


def instructions_try(folder, stride):
    for name, layout in INSTRUCTION_LAYOUTS.items():
        undisturbed(folder, 2, *layout)
        wanted, n = state_of(f"{folder}/D/{step_folder(STEPS)}"), instructions_of(folder)
        for i in range(4 * n + 1, 5 * n + 1, stride):
            what = f"{name}, kill:instr:{i}"
            status, text, newest = tried(folder, f"kill:instr:{i}", *layout)
            if status != -9 or newest != 4:
                fail(f"{what}: ends with status {status}, step {newest} on the disk: {text}")
            go_on(folder, wanted, newest, what, *layout)
        print(f"instructions: {name}: {n} in step 5, {len(range(0, n, stride))} kills before one; all went on", flush=True)


def disk_lay(folder, names, contents):
    """The folder as `names` has it.  Files with writes that are not synced have half of their bytes."""
    shutil.rmtree(f"{folder}/D", ignore_errors=True)
    for name, inode in sorted(names.items()):
        if not os.path.isdir(os.path.dirname(f"{folder}/{name}")):
            continue  # its folder was lost
        if inode[1] == name and name not in contents:
            os.mkdir(f"{folder}/{name}")
        elif name in contents:
            with open(f"{folder}/{name}", "wb") as out:
                out.write(contents[name][:len(contents[name]) // 2 if inode[0] else None])


def cuts_try(folder, calls, contents, wanted, stride):
    disk, seen, cuts = Disk(), set(), 0
    for number, call in enumerate(calls):
        disk.call(*call)
        changes = range(len(disk.pending))
        sets = itertools.chain.from_iterable(itertools.combinations(changes, k) for k in range(len(changes) + 1))
        for kept in itertools.islice(sets, 0, 64, 1):
            names = {n: i for n, i in disk.names(set(kept)).items() if n.startswith("D")}
            key = tuple(sorted((n, bool(i[0])) for n, i in names.items()))
            if key in seen:
                continue
            seen.add(key)
            if len(seen) % stride:
                continue
            cuts += 1
            disk_lay(folder, names, contents)
            go_on(folder, wanted, max(disk.durable_steps(), default=0), f"power cut after call {number}, {kept} kept")
    print(f"power cuts: {cuts} different disks; all went on", flush=True)


def undisturbed(folder, keep, *more):
    """The log of a run and the files it leaves."""
    shutil.rmtree(f"{folder}/D", ignore_errors=True)
    if os.path.exists(f"{folder}/log"):
        os.unlink(f"{folder}/log")
    status, _, text = run(line_of(folder, "--keep", str(keep), *more), folder, {"WEIR_FAULT_LOG": "log"})
    if status:
        fail(f"fails without a fault: {text}")
    contents = {}
    for where, _, names in os.walk(f"{folder}/D"):
        for name in names:
            path = os.path.join(where, name)
            contents[os.path.relpath(path, folder)] = open(path, "rb").read()
    return log_of(folder), contents


def order_check(calls):
    faults = replayed(calls).faults
    if faults:
        fail("order: " + "; ".join(faults))
    print(f"order: {len(calls)} calls, in order", flush=True)


def main():
    stride, parts = int((sys.argv[1:] + ["1"])[0]), sys.argv[2:] or PARTS
    for part, *more in (text.split(":") for text in parts):
        if part not in PARTS or (more and (part != "failures" or more[0] not in REASONS or len(more) > 2)):
            fail(f"parts are {', '.join(PARTS)}; of failures one of {', '.join(REASONS)} (failures:read, failures:read:550)")
    if not os.path.exists(WEIR):
        fail(f"there is no {WEIR}: cmake --preset faults && cmake --build --preset faults")
    with tempfile.TemporaryDirectory() as folder:
        inputs_make(folder)
        _, contents = undisturbed(folder, STEPS)
        calls, _ = undisturbed(folder, 2)
        wanted = state_of(f"{folder}/D/{step_folder(STEPS)}")
        counts = {op: sum(call[0] == op for call in calls) for op in REASONS}
        todo = {"order": lambda: order_check(calls), "cuts": lambda: cuts_try(folder, calls, contents, wanted, stride),
                "kills": lambda: kills_try(folder, len(calls), wanted, stride),
                "instructions": lambda: instructions_try(folder, stride),
                "failures": lambda *more: failures_try(folder, counts, wanted, stride, *more)}
        for part, *more in (text.split(":") for text in parts):
            todo[part](*more)


if __name__ == "__main__":
    main()
