#!/usr/bin/env python3
"""Runs that fail: a random kind of failure, at a random moment, on a random rank, over and over.

    tests/soak/failures.py [TRIALS] [SEED] [WEIR] [--only WHERE[:KIND[:WHEN]]]     default 40, seed 1, build/release/bin/weir

Trial k of seed s is always the same one.  Where a run happens:

    process    all ranks in one process          hosts    mpirun over network namespaces (tests/support/hosts.sh)
    launch     weir launch                       nccl     mpirun, on the stand-ins of CUDA and NCCL
    mpirun     mpirun on this host               across   weir launch over the network namespaces

What happens to it: a rank is killed (kill), crashes (segv), leaves with exit(0) (exit), is stopped (stop), computes for ever
(stuck); its host's link is taken down (down) or slowed to nothing (slow); the run gets SIGTERM (term) or SIGINT (int), or numbers
that are not finite (nan); the disk of its checkpoints is full (disk).  When: while processes come up (start), once the metrics
are open (first), between steps and in them (steps), in the middle of a checkpoint (checkpoint), of a validation (validation), at
the last step (close).

Each trial is held to: the exit status; the message, under launch exactly one that names the rank and its process; the time from
the fault to the end of the last process (--timeout 5 and a second, five under mpirun); no process left; nothing left in TMPDIR
and /dev/shm; the checkpoints from before the fault; and that the newest one goes on.  After a failure among steps there must be a
flight record, but for a process that dies alone and for steps on GPUs.

mpirun that stays when no rank is left is ended and counted: its own finalize waits for itself.  A trial is late, and counted apart from failed ones, when nothing but its time was wrong and the processors were taken by others for
more than a third of it.  Needs root for hosts, across and disk; what cannot be done here is not drawn."""
import argparse
import ctypes
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from kept_state import ROOT, command_of, resumed_step

LIMIT = 5
SUPPORT = f"{ROOT}/tests/support"
FAKE = os.environ.get("WEIR_FAKE") or f"{ROOT}/build/release/tests/stand_ins/fake_nccl/weir_fake"
LEAVE, STUCK = signal.SIGRTMIN + 5, signal.SIGRTMIN + 6
BY_MPIRUN = ("mpirun", "hosts", "nccl")
WHEN = ["start", "first", "steps", "steps", "checkpoint", "validation", "close"]
KINDS = {
    "process": ["kill", "segv", "stuck", "term", "int", "nan", "disk"],
    "launch": ["kill", "segv", "exit", "stop", "stuck", "term", "int", "nan", "disk"],
    "mpirun": ["kill", "segv", "exit", "stop", "stuck", "nan"],
    "hosts": ["kill", "segv", "exit", "stop", "stuck", "down", "slow"],
    "across": ["kill", "segv", "exit", "stop", "stuck", "term", "int", "nan", "down"],
    "nccl": ["kill", "segv", "exit", "stop"],
}
SAYS = {"kill": 4, "segv": 4, "exit": 4, "stop": 5, "stuck": 5, "nan": 6, "term": 143, "int": 130, "down": 5, "slow": 5}


# ---- processes ---------------------------------------------------------------------------------------------------------

def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.words = read(f"/proc/{pid}/cmdline").split(b"\0")
        self.variables = read(f"/proc/{pid}/environ").split(b"\0")

    def variable(self, name):
        found = [v for v in self.variables if v.startswith(name.encode() + b"=")]
        return found[0].split(b"=", 1)[1].decode() if found else None

    def rank(self):
        return int(self.variable("WEIR_LAUNCH_RANK") or self.variable("OMPI_COMM_WORLD_RANK") or 0)

    def is_zombie(self):
        stat = read(f"/proc/{self.pid}/stat").rsplit(b")", 1)
        return len(stat) < 2 or stat[1].split()[0] == b"Z"


def processes(mark):
    """All that a trial has started and that still run."""
    found = [Process(int(name)) for name in os.listdir("/proc") if name.isdigit()]
    return [p for p in found if f"TRIAL={mark}".encode() in p.variables and not p.is_zombie()]


def ranks(mark, here):
    """Of those the ranks, by number."""
    found = [p for p in processes(mark) if b"train" in p.words[1:2] and os.path.basename(p.words[0]) in (b"weir", b"weir_fake")]
    several = [p for p in found if here == "process" or p.variable("WEIR_LAUNCH_RANK") or p.variable("OMPI_COMM_WORLD_RANK")]
    return {p.rank(): p.pid for p in several}


def threads(pid, name):
    return [int(t) for t in os.listdir(f"/proc/{pid}/task") if read(f"/proc/{pid}/task/{t}/comm").strip() == name]


def stuck_make(pid, marker):
    """A thread that computes is asked until it is in its own code."""
    libc, end = ctypes.CDLL(None), time.monotonic() + 3
    while not os.path.exists(f"{marker}.{pid}") and time.monotonic() < end:
        for thread in threads(pid, b"weir-compute")[:1]:
            libc.syscall(234, pid, thread, int(STUCK))
        time.sleep(0.001)
    return os.path.exists(f"{marker}.{pid}")


def stolen():
    """Seconds that the processors worked so far, and those that they worked for anything."""
    words = [float(w) for w in read("/proc/stat").split(b"\n")[0].split()[1:]]
    return sum(words[:3] + words[5:8]) / os.sysconf("SC_CLK_TCK")


# ---- a trial -----------------------------------------------------------------------------------------------------------

class Trial:
    def __init__(self, number, seed, weir, base, only):
        self.rng = random.Random(f"{seed} {number}")
        self.weir, self.number, self.mark = weir, number, f"{os.getpid()}-{number}"
        self.folder = f"{base}/{number}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.errors, self.stays, self.has_flight = [], False, False
        self.draw(only)

    def draw(self, only):
        wanted = (only or "").split(":") + ["", "", ""]
        places = [w for w in KINDS if not wanted[0] or w == wanted[0]]
        self.where = self.rng.choice([w for w in places if possible(w)] or sys.exit("nothing of that can be done here"))
        self.kind = wanted[1] or self.rng.choice([k for k in KINDS[self.where] if k != "disk" or os.getuid() == 0])
        self.when = wanted[2] or self.rng.choice(WHEN)
        if self.kind in ("stuck", "disk", "nan"):
            self.when = "steps"
        self.n = 4 if self.where in ("hosts", "across") and self.rng.random() < 0.3 else 3
        self.n_hosts = 2 if self.n == 4 else 3
        self.victim = self.rng.randrange(self.n)
        self.delay = self.rng.random() * {"start": 0.4, "first": 0.1, "steps": 1, "checkpoint": 0, "validation": 0.5, "close": 0.03}[self.when]

    def name(self):
        return f"{self.where} {self.kind} {self.when}"

    def line(self):
        steps = self.rng.randrange(4, 40) if self.when == "close" else 10 ** 8
        line = ["train", "--model", "gpt2-tiny", "--data", f"{self.folder}/text", "--microbatches", "2", "--microbatch-size", "2",
                "--seq-len", "16", "--stages", str(self.n), "--steps", str(steps), "-q", "--timeout", str(LIMIT), "--metrics", "metrics",
                "--checkpoint-dir", "D", "--checkpoint-every", "2", "--keep", "2"]
        self.steps = steps
        if self.when == "validation":
            line += ["--val-data", f"{self.folder}/text", "--val-every", "2", "--val-batches", "20"]
        if self.kind == "nan":
            line += ["--lr", "1000000", "--optimizer", "sgd", "--grad-clip", "0"]
        if self.where == "nccl":
            line += ["--device", "cuda", "--seq-len", "8", "--microbatch-size", "1"]
        before = {"process": [self.weir], "launch": [self.weir, "launch", "-n", str(self.n), "--", *line],
                  "mpirun": ["bash", f"{SUPPORT}/mpi.sh", str(self.n), self.weir], "nccl": ["bash", f"{SUPPORT}/mpi.sh", str(self.n), FAKE],
                  "hosts": ["bash", f"{SUPPORT}/hosts.sh", "-n", str(self.n_hosts), str(self.n), self.weir],
                  "across": ["bash", f"{SUPPORT}/hosts.sh", "-n", str(self.n_hosts), "-l", str(self.n), "bash", "-c",
                             'exec "$0" launch --hosts "$HOSTS" -- "$@"', self.weir, *line]}[self.where]
        return before if self.where in ("launch", "across") else before + line

    def environment(self):
        more = {"TRIAL": self.mark, "TMPDIR": f"{self.folder}/tmp", "FAIL_ON_SIGNAL": f"{self.folder}/stuck",
                "LD_PRELOAD": f"{os.path.dirname(self.folder)}/fail_on_signal.so", "MPI_TIMEOUT": "120", "WEIR_FAKE_GPUS": "4",
                "MPI_PASS": "TRIAL TMPDIR FAIL_ON_SIGNAL LD_PRELOAD WEIR_FAKE_GPUS"}
        return {name: value for name, value in {**os.environ, **more}.items() if name in more or not name.startswith("WEIR_")}

    def start(self):
        os.makedirs(f"{self.folder}/tmp")
        os.makedirs(f"{self.folder}/D")
        with open(f"{self.folder}/text", "w") as out:
            out.write("".join(f"line {i} of a small text: the quick brown fox jumps over the lazy dog\n" for i in range(400)))
        if self.kind == "disk":
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", f"{self.folder}/D"], check=True)
        with open(f"{self.folder}/out", "w") as out, open(f"{self.folder}/errors", "w") as errors:
            self.run = subprocess.Popen(self.line(), cwd=self.folder, env=self.environment(), stdout=out, stderr=errors,
                                        stdin=subprocess.DEVNULL)

    # ---- when ----

    def n_steps(self):
        return read(f"{self.folder}/metrics").count(b'"step"')

    def checkpoints(self):
        return sorted(int(path.split("-")[-1].split("/")[0]) for path in glob.glob(f"{self.folder}/D/step-*/manifest.json"))

    def is_writing(self):
        return any(not os.path.exists(f"{path}/manifest.json") for path in glob.glob(f"{self.folder}/D/step-*"))

    def is_due(self):
        if self.when == "start":
            return len(ranks(self.mark, self.where)) == (1 if self.where == "process" else self.n)
        if self.when == "first":
            return os.path.exists(f"{self.folder}/metrics")
        if self.when == "close":
            return self.n_steps() >= self.steps - 1
        return bool(self.checkpoints()) and (self.when != "checkpoint" or self.is_writing())

    def wait_due(self):
        """False: it ended before."""
        end = time.monotonic() + 100
        while not self.is_due():
            if self.run.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.002 if self.when in ("checkpoint", "close") else 0.01)
        time.sleep(self.delay)
        return True

    # ---- what ----

    def launcher(self):
        """The process that a signal for the run goes to."""
        launchers = [p.pid for p in processes(self.mark) if self.where == "across" and p.words[1:2] == [b"launch"]]
        return launchers[0] if launchers else self.run.pid

    def link(self):
        host = 1 + self.victim * self.n_hosts // self.n
        inside = ["nsenter", f"--net=/run/netns/w{self.run.pid}-h{host}"]
        if self.kind == "down":
            return inside + ["ip", "link", "set", "eth0", "down"]
        return inside + ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "8bit", "burst", "1", "limit", "1"]

    def fail(self):
        """Do it.  False: there was nobody any more."""
        pid = ranks(self.mark, self.where).get(self.victim if self.where != "process" else 0)
        if self.kind == "nan":
            return True
        if pid is None or self.run.poll() is not None:
            return False
        self.pid, numbers = pid, {"kill": signal.SIGKILL, "segv": signal.SIGSEGV, "exit": LEAVE, "stop": signal.SIGSTOP}
        if self.kind in ("term", "int"):
            os.kill(self.launcher(), signal.SIGTERM if self.kind == "term" else signal.SIGINT)
        elif self.kind in ("down", "slow"):
            return subprocess.run(self.link(), capture_output=True).returncode == 0
        elif self.kind == "stuck":
            return stuck_make(pid, f"{self.folder}/stuck")
        elif self.kind == "disk":
            subprocess.run(["dd", "if=/dev/zero", f"of={self.folder}/D/filler", "bs=64k"], capture_output=True)
        else:
            try:
                os.kill(pid, numbers[self.kind])
            except ProcessLookupError:
                return False
        return True

    # ---- what came of it ----

    def most(self):
        if self.kind in ("term", "int", "nan", "disk"):
            return 30
        longest = max([float(x) for x in re.findall(r"the longest of its kind took ([0-9.]+) s", self.words())] or [0])
        limit = max(LIMIT, 20 * longest)
        if self.kind == "down" and self.when == "start" and self.where == "across": # nobody has heard of it yet
            limit = limit + 1 # and its relay gives it that long to find out by itself
        return limit + (1 if self.where in ("process", "launch", "across") else 5)

    def words(self):
        return read(f"{self.folder}/errors").decode(errors="replace")

    def complain(self, words):
        self.errors.append(words)

    def end_await(self, begin):
        if self.kind == "disk":
            end = time.monotonic() + 30
            while "checkpoint" not in self.words() and self.run.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            self.run.send_signal(signal.SIGTERM)
        while self.kind == "nan" and self.run.poll() is None and time.monotonic() < begin + 100: # from the start on
            time.sleep(0.01)
        while ranks(self.mark, self.where) and time.monotonic() < begin + 100:
            time.sleep(0.01)
        took = time.monotonic() - begin
        if took > 99:
            self.complain(f"not ended after 100 s: {[p.words[:2] for p in processes(self.mark)]}")
            self.stacks()
        return self.launcher_await(), took

    def launcher_await(self):
        """Its status, when no rank is left.  mpirun 4.1.4 may stay: its finalize waits for a lock that it has."""
        try:
            return self.run.wait(timeout=12)
        except subprocess.TimeoutExpired:
            self.stays = b"mpirun" in b" ".join(word for p in processes(self.mark) for word in p.words)
            if not self.stays:
                self.complain("the launcher stays")
            self.stacks()
            for number in (signal.SIGTERM, signal.SIGKILL):
                for process in processes(self.mark):
                    self.signal(process, number)
                end = time.monotonic() + 20 # scripts may end before what they have started
                while processes(self.mark) and time.monotonic() < end:
                    time.sleep(0.05)
            return self.run.poll()

    def signal(self, process, number):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            pass

    def stacks(self):
        """Where what has not ended stands."""
        for process in processes(self.mark):
            done = subprocess.run(["gdb", "-p", str(process.pid), "-batch", "-ex", "thread apply all bt 12"], capture_output=True, text=True)
            with open(f"{self.folder}/stacks", "a") as out:
                out.write(f"---- {process.pid} {process.words}\n{done.stdout}\n")

    def code_check(self, code):
        right = {SAYS.get(self.kind)}
        if self.where in BY_MPIRUN:
            if not isinstance(code, int) or code == 0 and self.when != "close":
                self.complain(f"exit status {code}")
            return
        if self.where == "process":
            right |= {{"kill": -9, "segv": -11, "term": -15, "int": -2}.get(self.kind)}
        if self.kind == "disk":
            right = {1, 143}
        if self.when == "close":
            right |= {0}
        if self.kind == "down" and self.when == "start":
            right |= {4} # nobody has had a sign of life of it: it is lost
        if code not in right:
            self.complain(f"exit status {code}")

    def message_check(self, code):
        lines = [line for line in self.words().split("\n") if re.match(r"weir [a-z]*: ", line) and "weir explain" not in line]
        if self.where in ("launch", "across") and SAYS.get(self.kind) in (4, 5) and code:
            host = 1 + self.victim * self.n_hosts // self.n # where the launcher's own is cut off, that is what it can say
            named = [line for line in lines if f"rank {self.victim} (process {self.pid} on " in line or f"host 'h{host}' is cut off" in line or
                     (self.kind == "down" and (f" on h{host})" in line or f" or of this one, h{host}" in line))]
            if len(named) != 1 or len(lines) != 1:
                self.complain(f"{len(lines)} messages, {len(named)} with the rank and its process")
        if self.where in BY_MPIRUN and len(lines) > (self.n_hosts if self.where == "hosts" else 1):
            self.complain(f"{len(lines)} messages")
        if self.kind in ("stop", "stuck") and self.when == "steps" and self.where in ("process", "launch", "across"):
            if not re.search(r"rank \d+ \(process \d+ on \S+\) (has given no sign of life|is stuck).* of step \d", self.words()):
                self.complain("the message does not name the instruction")

    def left_await(self):
        """What is left.  mpirun does not wait for its daemons on other hosts, nor for the launcher's relays: they end by themselves."""
        end = time.monotonic() + 5
        left = processes(self.mark)
        while left and time.monotonic() < end and all(b"orted" in b" ".join(p.words) or b"launch-relay" in p.words for p in left):
            time.sleep(0.05)
            left = processes(self.mark)
        return left

    def rest_check(self):
        left = self.left_await()
        if self.kind in ("down", "slow"): # what mpirun has on a host that is cut off ends when it finds that out
            ours = [p for p in left if os.path.basename(p.words[0]) != b"orted" and b"orted" not in b" ".join(p.words)]
            self.stays = self.stays or len(ours) < len(left)
            for process in left:
                if process not in ours:
                    self.signal(process, signal.SIGKILL)
            left = ours
        if left:
            self.stacks()
            self.complain(f"left: {[(p.pid, p.words[:3]) for p in left]}")
            for process in left:
                self.signal(process, signal.SIGKILL)
        if os.listdir(f"{self.folder}/tmp"):
            self.complain(f"left in TMPDIR: {os.listdir(f'{self.folder}/tmp')}")
        flight = bool(glob.glob(f"{self.folder}/D/weir-flight*.json"))
        died = self.where == "nccl" or (self.where == "process" and self.kind != "stuck")
        if SAYS.get(self.kind) in (4, 5) and self.when == "steps" and not flight and not died:
            self.complain("no flight record")
        self.has_flight = flight

    def resume_check(self, seen):
        newest = (self.checkpoints() or [0])[-1]
        if seen and newest < seen[-1]:
            self.complain(f"checkpoints {seen} were there, now {self.checkpoints()}")
        if not newest:
            return
        line = self.line()
        line = [self.weir] + line[line.index("train"):]
        line[line.index("--steps") + 1] = str(newest + 1)
        line += ["--resume", "--transport", "local", "--force"]
        line = ["cpu" if word == "cuda" else word for word in line if word != "-q"]
        if self.kind == "disk":
            os.remove(f"{self.folder}/D/filler")
        done = subprocess.run(line, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=100)
        if resumed_step(done.stderr) is None or (done.returncode and self.kind not in ("nan", "disk")):
            self.complain(f"does not go on: {done.returncode} {done.stderr}")

    def result(self):
        """(what, seconds): "ok", "late", "failed", or "none" when there was nothing to fail."""
        self.start()
        busy, begin = stolen(), time.monotonic()
        due = self.wait_due() if self.kind != "nan" else True
        seen, begin = self.checkpoints(), time.monotonic()
        happened = due and self.fail()
        if not happened and self.run.poll() is None:
            self.run.terminate() # scripts remove what they made
            for process in processes(self.mark):
                if process.pid != self.run.pid and b"bash" not in process.words[0]:
                    self.signal(process, signal.SIGKILL)
        busy = stolen()
        code, took = self.end_await(begin)
        busy = (stolen() - busy) / max(took, 0.1) / (os.cpu_count() or 1)
        if happened:
            self.code_check(code)
            self.message_check(code)
            self.rest_check()
        is_late = happened and took > self.most()
        if happened:
            self.resume_check(seen)
        if self.kind == "disk":
            subprocess.run(["umount", "-l", f"{self.folder}/D"])
        if not happened:
            self.rest_check()
            return "none", took
        if is_late:
            self.complain(f"took {took:.1f} s, processors {100 * busy:.0f} % busy")
        what = "failed" if len(self.errors) > is_late else "late" if is_late and busy > 0.67 else "failed" if is_late else "ok"
        return what, took


def possible(where):
    if where == "nccl":
        return os.path.exists(FAKE) and shutil.which("mpirun")
    if where in ("hosts", "across"):
        return os.getuid() == 0 and shutil.which("ip") and shutil.which("mpirun")
    return where != "mpirun" or shutil.which("mpirun")


# ---- all of them -------------------------------------------------------------------------------------------------------

def report(trial, what, took, base):
    if what == "ok":
        shutil.rmtree(trial.folder)
        return
    print(f"trial {trial.number}: {trial.name()} on rank {trial.victim} after {trial.delay:.3f} s: {what}, {took:.1f} s: {trial.errors}")
    print("    " + trial.words().replace("\n", "\n    ").rstrip(), flush=True)


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler) # a shell's background job ignores it, and so would what it starts
    parser = argparse.ArgumentParser()
    parser.add_argument("trials", nargs="?", type=int, default=40)
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("weir", nargs="?")
    parser.add_argument("--only")
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--keep", help="folder for what failed trials leave")
    options = parser.parse_args()
    base = os.path.abspath(options.keep or tempfile.mkdtemp(prefix="failures."))
    os.makedirs(base, exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", f"{base}/fail_on_signal.so", f"{ROOT}/tests/soak/fail_on_signal.c"], check=True)
    weir, table, shared = command_of(options.weir), {}, set(os.listdir("/dev/shm"))
    for number in range(options.first, options.first + options.trials):
        trial = Trial(number, options.seed, weir, base, options.only)
        what, took = trial.result()
        report(trial, what, took, base)
        row = table.setdefault(f"{trial.where} {trial.kind}", {"ok": 0, "late": 0, "failed": 0, "none": 0, "flights": 0, "stays": 0, "slowest": 0})
        row[what] += 1
        if what in ("ok", "late"):
            row["slowest"] = max(row["slowest"], took)
            row["flights"] += trial.has_flight
            row["stays"] += trial.stays
    for key in sorted(table):
        print(f"{key:16}", "  ".join(f"{name} {value:.1f}" if name == "slowest" else f"{name} {value}" for name, value in table[key].items()))
    totals = {what: sum(row[what] for row in table.values()) for what in ("ok", "late", "failed", "none")}
    left = [name for name in set(os.listdir("/dev/shm")) - shared if "weir" in name]
    print(f"seed {options.seed}, trials {options.first}..{options.first + options.trials - 1}: {json.dumps(totals)}, left in /dev/shm: {left}")
    if not options.keep:
        shutil.rmtree(base)
    sys.exit(bool(totals["failed"] or left))


if __name__ == "__main__":
    main()
