"""Training steps of Weir, PyTorch and llm.c in turns: the same model, batch, precision, optimizer, cut, threads and start.

    speed.py --weir BIN --work DIR --results FILE [--model NAME] [--turns N] [--only REGEX] [--seconds S] [--dtype f32|bf16]
             [--isa NAME] [--llmc PROGRAM] [--report]

bench/peers/speed.sh makes the environment and calls this.  Results are added to FILE after every run, so a measurement can be
taken in pieces: with --seconds nothing is begun after that time, and the next call goes on with whoever has had the fewest turns.
--report prints the table of what is there.

Every contender trains on the same one step of data, again and again.  The losses of all are held against those of Weir's first
contender: those that are further away than LIMITS did other work, and the program ends with status 1.

    time      of a turn: the median of its steps, warm-up left out; a step lasts to the begin of the next one
    ratio     time / time of Weir's best in the same turn; the table has the median over the turns
    PSS       largest sum over the processes of a contender, in a turn of its own (turn 0), which is not timed
    others    what other programs took of the processors meanwhile: a turn with more than a twentieth is left out, and repeated
    beyond    that without pages of files (libraries) and without 16 bytes per parameter (parameters, gradients, moments)
"""
import argparse
import array
import atexit
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DISTURBED = 0.05
LIMITS = {"f32": 1e-4, "bf16": 2e-2}  # relative, of every step's loss

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32000, "hidden_size": 768,
         "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 12,
         "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
         "tie_word_embeddings": False, "initializer_range": 0.02}
USUAL = {"lr": 1e-4, "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.1, "grad_clip": 1.0}
MODELS = {
    "gpt2": dict(USUAL, name="gpt2", length=256, microbatches=8, batch=1, steps=2, warm_up=1),
    "llama": dict(USUAL, name=None, length=256, microbatches=8, batch=1, steps=2, warm_up=1),
    "gpt2-tiny": dict(USUAL, name="gpt2-tiny", length=64, microbatches=8, batch=4, steps=60, warm_up=10),
    # what llm.c's train_gpt2.c has written into it
    "gpt2-llmc": dict(name="gpt2", length=64, microbatches=1, batch=4, steps=8, warm_up=2, lr=1e-4, beta1=0.9, beta2=0.999,
                      weight_decay=0.0, grad_clip=0.0),
}
SCHEDULES = ["1f1b", "gpipe", "interleaved", "interleaved-zb", "zbv"]
CHUNKED = {"interleaved", "interleaved-zb", "zbv"}  # two stages per rank
V_SHAPED = {"zbv"}  # rank 0 has the first and the last
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_TOP_PAD_": str(64 << 20),
         "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
ISAS = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
                 "MKL_ENABLE_INSTRUCTIONS": "AVX2"}}


def contenders_of(model):
    """{name: what runs}; the first one is what losses are held against."""
    weir = [("weir " + s, dict(kind="weir", schedule=s)) for s in SCHEDULES + ["zb-h1", "auto"]]
    weir.append(("weir 1 x 2 threads", dict(kind="weir", schedule=None)))
    torch = [(f"torch {s}", dict(kind="pipeline", schedule=s)) for s in SCHEDULES]
    torch += [("torch eager", dict(kind="one", how="eager")), ("torch compile", dict(kind="one", how="compile"))]
    torch += [(name + ", malloc tuned", dict(what, tuned=True)) for name, what in torch]
    if model == "gpt2-llmc":  # one micro-batch: nothing to pipeline, but for Weir's four of one sample
        weir = [weir[-1], ("weir 1f1b, 4 micro-batches", dict(kind="weir", schedule="1f1b", microbatches=4, batch=1))]
        torch = [(n, w) for n, w in torch if w["kind"] == "one"] + [("llm.c", dict(kind="llmc"))]
    return dict(weir + torch)


# ---- the same start for all -------------------------------------------------------------------------------------------


def run_quietly(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"speed: {' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")


def prepare(args, setup):
    """A folder with the data of one step, and the weights that Weir begins with."""
    folder = os.path.join(args.work, args.model)
    done = os.path.join(folder, "complete")
    setup.update(folder=os.path.join(folder, "model"), tokens=os.path.join(folder, "step.u16"), work=folder,
                 weir_model=setup["name"] or os.path.join(folder, "config"))
    if os.path.exists(done):
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "config"))
    with open(os.path.join(folder, "config", "config.json"), "w") as f:
        json.dump(LLAMA, f)
    vocabulary = {"gpt2-tiny": 256, "llama": LLAMA["vocab_size"]}.get(args.model, 50257)
    draw = random.Random(7)
    count = setup["microbatches"] * setup["batch"] * setup["length"] + 1
    with open(setup["tokens"], "wb") as f:
        array.array("H", (int(vocabulary ** draw.random()) - 1 for _ in range(count))).tofile(f)
    run_quietly([args.weir, "train", "--model", setup["weir_model"], "--data", setup["tokens"], "--data-format", "u16", "--seq-len",
                 str(setup["length"]), "--steps", "0", "--export", setup["folder"], "--quiet"])
    open(done, "w").close()


def costs_of(setup):
    """Multiplications for a token, of each layer of the model."""
    with open(os.path.join(setup["folder"], "config.json")) as f:
        c = json.load(f)
    if c["model_type"] == "gpt2":
        width, n, attention, mlp = c["n_embd"], c["n_layer"], 4, 8
    else:
        width, n, attention = c["hidden_size"], c["num_hidden_layers"], 4
        mlp = 3 * c["intermediate_size"] / width
    block = [attention * width**2 + 2 * setup["length"] * width, mlp * width**2]
    return [0.0] + block * n + [c["vocab_size"] * width]


def cut_of(setup, schedule):
    """First layers of the stages.  The busiest rank has the fewest multiplications, then the busiest stage: so Weir cuts, too."""
    ranks = [0, 1] if schedule not in CHUNKED else [0, 1, 1, 0] if schedule in V_SHAPED else [0, 1, 0, 1]
    costs = costs_of(setup)

    def work(cut):
        stages = [sum(costs[begin:end]) for begin, end in zip((0, *cut), (*cut, len(costs)))]
        return max(sum(x for x, at in zip(stages, ranks) if at == rank) for rank in (0, 1)), max(stages)

    cuts = itertools.combinations(range(1, len(costs)), len(ranks) - 1)
    return [0, *min(cuts, key=work)]


# ---- one run ----------------------------------------------------------------------------------------------------------


class Memory(threading.Thread):
    """The largest sum of PSS over the processes of these groups, and of that without pages of files."""
    def __init__(self, groups):
        super().__init__(daemon=True)
        self.groups, self.most, self.ended = groups, [0, 0], threading.Event()

    def run(self):
        while not self.ended.wait(0.25):
            sums = list(map(sum, zip(*map(pss_of, self.members()))))
            self.most = max(self.most, sums) if sums else self.most

    def members(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[2]) in self.groups:
                        yield pid
            except (OSError, IndexError):
                pass


def pss_of(pid):
    """All pages, and those that are not of files."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            kib = dict(re.findall(r"^(Pss\w*): +(\d+)", f.read(), re.M))
        return int(kib["Pss"]) * 1024, (int(kib["Pss"]) - int(kib["Pss_File"])) * 1024
    except (OSError, KeyError):
        return 0, 0


def cause_of(text):
    """The line that says what went wrong: not that the peer is gone."""
    lines = text.strip().splitlines() or ["nothing printed"]
    said = [x for x in lines if re.search(r"\w(Error|Exception)\b|^weir", x) and "Connection" not in x]
    return (said or lines)[-1][-300:]


def commands_of(args, setup, what, job_path, out, steps):
    """Commands to run at once, each on its own processor."""
    if what["kind"] == "weir":
        cut = cut_of(setup, what["schedule"]) if what["schedule"] else [0]
        command = [args.weir, "train", "--model", setup["weir_model"], "--data", setup["tokens"], "--data-format", "u16",
                   "--seq-len", str(setup["length"]), "--microbatches", str(what.get("microbatches", setup["microbatches"])),
                   "--microbatch-size", str(what.get("batch", setup["batch"])), "--steps", str(steps), "--lr", str(setup["lr"]),
                   "--adam-beta1", str(setup["beta1"]), "--adam-beta2", str(setup["beta2"]), "--weight-decay",
                   str(setup["weight_decay"]), "--grad-clip", str(setup["grad_clip"]), "--dtype", args.dtype, "--quiet",
                   "--metrics", out, "--stages", str(len(cut)), "--first-layers", ",".join(map(str, cut))]
        return [command + (["--schedule", what["schedule"]] if what["schedule"] else ["--threads-per-rank", "2"])]
    if what["kind"] == "llmc":
        return [["stdbuf", "-oL", os.path.abspath(args.llmc)]]
    job = dict(setup, **what, steps=steps, threads=2 if what["kind"] == "one" else 1, bf16=args.dtype == "bf16",
               cut=cut_of(setup, what.get("schedule")), store=os.path.join(setup["work"], "store"))
    with open(job_path, "w") as f:
        json.dump(job, f)
    if os.path.exists(job["store"]):
        os.unlink(job["store"])
    program = [sys.executable, os.path.join(HERE, "torch_speed.py"), job_path, out]
    return [program] if what["kind"] == "one" else [program + ["0"], program + ["1"]]


def environment_of(args, what, setup):
    env = dict(os.environ, **ISAS.get(args.isa, {}))
    if what["kind"] in ("one", "pipeline"):
        env.update(OMP_NUM_THREADS="2" if what["kind"] == "one" else "1", PYTHONDONTWRITEBYTECODE="1",
                   TORCHINDUCTOR_CACHE_DIR=os.path.join(setup["work"], "inductor"))
    if what["kind"] == "llmc":
        env.update(OMP_NUM_THREADS="2")
    return env if not what.get("tuned") else dict(env, **TUNED)


RUNNING = []


def all_end():
    for p in RUNNING:
        if p.poll() is None:
            p.terminate()
            p.wait()


def processes_run(commands, env, folder, enough, measures):
    """Run all of a contender, in this session so that all get equal shares of a busy machine, and wait; `enough` says of its output that it may be ended."""
    log = os.path.join(folder, "log")
    with open(log, "w") as out:
        first = subprocess.Popen(commands[0], stdout=out, stderr=out, env=env, cwd=folder, process_group=0)
        others = [subprocess.Popen(c, stdout=out, stderr=out, env=env, cwd=folder, process_group=0) for c in commands[1:]]
        memory = Memory([p.pid for p in [first] + others])
        if measures:
            memory.start()
        ended_by_us = False
        RUNNING[:] = [first] + others
        while any(p.poll() is None for p in [first] + others):
            time.sleep(0.05)
            with open(log, errors="replace") as f:
                text = f.read() if enough else ""
            failed = any(p.poll() not in (None, 0) for p in [first] + others)
            ended_by_us = ended_by_us or bool(enough and enough(text))
            if failed or ended_by_us:
                all_end()
    if measures:
        memory.ended.set()
        memory.join()
    with open(log, errors="replace") as f:
        text = f.read()
    codes = [p.returncode for p in [first] + others]
    return any(codes) and not ended_by_us, text, memory.most if measures else None


def weir_results(path):
    with open(path) as f:
        lines = [json.loads(line) for line in f]
    run, steps = lines[0]["run"], lines[1:]
    begins = [s["time_s"] - s["step_ms"] / 1000 for s in steps[:1]] + [s["time_s"] for s in steps]
    return {"times_ms": [1000 * (b - a) for a, b in zip(begins, begins[1:])], "losses": [s["loss"] for s in steps],
            "weir": run["weir"]}


def llmc_prepare(setup, folder):
    """gpt2_124M.bin and the token files, where train_gpt2.c looks for them."""
    from llmc_files import tokens_write, weights_write
    os.makedirs(os.path.join(folder, "dev/data/tinyshakespeare"), exist_ok=True)
    if not os.path.exists(os.path.join(folder, "gpt2_124M.bin")):
        weights_write(setup["folder"], os.path.join(folder, "gpt2_124M.bin"))
    for part in ("train", "val"):
        tokens_write(setup["tokens"], os.path.join(folder, f"dev/data/tinyshakespeare/tiny_shakespeare_{part}.bin"))


def llmc_results(text):
    steps = re.findall(r"^step \d+: train loss ([\d.]+) \(took ([\d.]+) ms\)", text, re.M)
    return {"losses": [float(loss) for loss, _ in steps], "times_ms": [float(ms) for _, ms in steps]}


def busy_seconds():
    """What all processors have worked."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def contender_run(args, setup, name, what, turn):
    steps = setup["warm_up"] + setup["steps"] if turn else 2
    out, job = os.path.join(setup["work"], "out.json"), os.path.join(setup["work"], "job.json")
    folder = setup["work"]
    if what["kind"] == "llmc":
        llmc_prepare(setup, folder)
    commands = commands_of(args, setup, what, job, out, steps)
    if os.path.exists(out):
        os.unlink(out)
    enough = (lambda text: text.count("train loss") >= steps) if what["kind"] == "llmc" else None
    began, busy, ours = time.time(), busy_seconds(), resource.getrusage(resource.RUSAGE_CHILDREN)
    failed, text, pss = processes_run(commands, environment_of(args, what, setup), folder, enough, not turn)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    others = busy_seconds() - busy - (ended.ru_utime + ended.ru_stime - ours.ru_utime - ours.ru_stime)
    run = {"contender": name, "model": args.model, "dtype": args.dtype, "isa": args.isa, "turn": turn, "began": int(began),
           "command": " ".join(commands[0]), "warm_up": setup["warm_up"], "pss": pss,
           "others": max(0.0, others / (time.time() - began) / os.cpu_count())}
    if failed:
        return dict(run, failed=cause_of(text))
    if what["kind"] == "weir":
        return dict(run, **weir_results(out))
    if what["kind"] == "llmc":
        return dict(run, **llmc_results(text))
    with open(out) as f:
        return dict(run, **json.load(f))


# ---- the results ------------------------------------------------------------------------------------------------------


def machine():
    with open("/proc/cpuinfo") as f:
        text = f.read()
    flags = set(re.search(r"^flags\s*: (.*)", text, re.M).group(1).split())
    sets = [s for s in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if s in flags]
    family = [re.search(rf"^{k}\s*: (.*)", text, re.M).group(1) for k in ("model name", "cpu family", "model")]
    return {"processor": "{} (family {}, model {})".format(*family), "instruction_sets": sets, "processors": os.cpu_count(),
            "kernel": os.uname().release}


def results_read(path):
    if not os.path.exists(path):
        return {"machine": machine(), "runs": []}
    try:
        with open(path) as f:
            results = json.load(f)
        if "machine" not in results or not all("contender" in r for r in results["runs"]):
            raise ValueError("no machine or no contender")
    except (OSError, ValueError, TypeError, KeyError) as e:
        sys.exit(f"speed: '{path}' has no results of this program ({type(e).__name__} {e}): name another file with --results")
    return results


def results_write(path, results):
    with open(path + ".new", "w") as f:
        json.dump(results, f, indent=1)
        f.write("\n")
    os.replace(path + ".new", path)


def mine_of(args, results):
    keys = {"model": args.model, "dtype": args.dtype, "isa": args.isa}
    return [r for r in results["runs"] if all(r[k] == v for k, v in keys.items())]


def turn_ms(run):
    return statistics.median(run["times_ms"][run["warm_up"] :])


def losses_differ(runs, names, limit):
    """[(contender, step, its loss, the first contender's)] beyond the limit."""
    first = next((r["losses"] for r in runs if r["contender"] == names[0] and "losses" in r), [])
    return [(r["contender"], i + 1, loss, other) for r in runs for i, (loss, other) in enumerate(zip(r.get("losses", []), first))
            if not abs(loss - other) <= limit * abs(other)]


def spread(values):
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def report(args, results, setup, names):
    runs = mine_of(args, results)
    timed = {}
    for r in runs:
        if r["turn"] and "times_ms" in r and r["others"] <= DISTURBED:
            timed.setdefault(r["contender"], {})[r["turn"]] = turn_ms(r)
    weirs = [n for n in timed if n.startswith("weir")]
    if not weirs:
        return print("no turn of Weir is there yet")
    best = min(weirs, key=lambda n: statistics.median(timed[n].values()))
    tokens = setup["microbatches"] * setup["batch"] * setup["length"]
    m = results["machine"]
    versions = sorted({f"{k} {r[k]}" for r in runs for k in ("weir", "torch") if k in r})
    print(f"{args.model}, {args.dtype}, {setup['microbatches']} micro-batches of {setup['batch']} x {setup['length']}: "
          f"{m['processor']}, {' '.join(m['instruction_sets'])}{', limited to ' + args.isa if args.isa else ''}, "
          f"{m['processors']} processors; {', '.join(versions)}")
    print(f"{'':34} {'turns':>5} {'ms, median':>10} {'range':>17} {'tokens/s':>8} {'/ ' + best:>24} {'PSS MiB':>8} {'beyond':>7}")
    for name in sorted(timed, key=lambda n: statistics.median(timed[n].values())):
        t = timed[name]
        both = [t[k] / timed[best][k] for k in t if k in timed[best]]
        pss = next((r["pss"] for r in runs if r["contender"] == name and r.get("pss")), None)
        ms = statistics.median(t.values())
        print(f"{name:34} {len(t):5} {ms:10.1f} {min(t.values()):8.1f}-{max(t.values()):8.1f} {1000 * tokens / ms:8.0f} "
              f"{spread(both) if both else '-':>24} {pss[0] / 2**20 if pss else 0:8.0f} "
              f"{(pss[1] - 16 * parameters_of(setup)) / 2**20 if pss else 0:7.0f}")
    disturbed = sum(1 for r in runs if r["turn"] and r["others"] > DISTURBED)
    print(f"{disturbed} turns were disturbed by other programs and are left out")
    for r in {r["contender"]: r for r in runs if "failed" in r}.values():
        print(f"{r['contender']:34} failed: {r['failed']}")
    for name, step, loss, other in losses_differ(runs, names, LIMITS[args.dtype]):
        print(f"{name}: loss {loss:.6f} of step {step}, {names[0]} has {other:.6f}")
    print(f"losses of {sum(1 for r in runs if 'losses' in r)} runs within {LIMITS[args.dtype]:g} of {names[0]}'s"
          if not losses_differ(runs, names, LIMITS[args.dtype]) else "LOSSES DIFFER")


def parameters_of(setup):
    """Elements in the file of weights, from its header."""
    with open(os.path.join(setup["folder"], "model.safetensors"), "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            n = 1
            for size in tensor["shape"]:
                n *= size
            total += n
    return total


def next_of(runs, names, turns):
    """The contender that has had the fewest turns, and which turn is next; turn 0 measures memory."""
    good = [r for r in runs if not r["turn"] or r["others"] <= DISTURBED]
    had = {n: len({r["turn"] for r in good if r["contender"] == n}) for n in names}
    gone = {r["contender"] for r in runs if "failed" in r}
    left = [n for n in names if n not in gone and had[n] <= turns]
    if not left:
        return None, None
    name = min(left, key=lambda n: had[n])
    return name, had[name]


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--weir", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--results", required=True)
    p.add_argument("--model", default="gpt2", choices=MODELS)
    p.add_argument("--turns", type=int, default=5)
    p.add_argument("--only", help="contenders whose names this regular expression finds")
    p.add_argument("--seconds", type=float, default=1e9)
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--isa", choices=ISAS)
    p.add_argument("--llmc")
    p.add_argument("--report", action="store_true")
    return p.parse_args()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    atexit.register(all_end)
    args = arguments()
    args.weir = os.path.abspath(args.weir)
    os.makedirs(args.work, exist_ok=True)
    setup = dict(MODELS[args.model])
    contenders = contenders_of(args.model)
    able = [n for n in contenders if args.llmc or n != "llm.c"]
    try:
        names = [n for n in able if re.search(args.only or "", n)]
    except re.error as e:
        sys.exit(f"speed: --only '{args.only}' is no regular expression: {e}")
    if not names:
        sys.exit(f"speed: --only '{args.only}' finds none of: {'; '.join(able)}{'' if args.llmc else ' (llm.c needs --llmc)'}")
    if args.turns < 1:
        sys.exit(f"speed: --turns is {args.turns}: it is the number of turns to time, 1 or more")
    if not args.seconds > 0:
        sys.exit(f"speed: --seconds is {args.seconds:g}: it is the time after which no run begins, more than 0")
    if args.llmc and not os.access(args.llmc, os.X_OK):
        sys.exit(f"speed: --llmc '{args.llmc}' is no program: build llm.c with 'make train_gpt2' and name what it makes")
    results, begin = results_read(args.results), time.time()
    if not args.report:
        try:
            results_write(args.results, results)
        except OSError as e:
            sys.exit(f"speed: cannot write --results '{args.results}': {e.strerror}")
    prepare(args, setup)
    while not args.report and time.time() - begin < args.seconds:
        name, turn = next_of(mine_of(args, results), names, args.turns)
        if not name:
            break
        run = contender_run(args, setup, name, contenders[name], turn)
        results["runs"].append(run)
        results_write(args.results, results)
        quiet = "" if run["others"] <= DISTURBED else f" (others took {100 * run['others']:.0f} %)"
        said = run["failed"] if "failed" in run else f"{statistics.median(run['times_ms'][1:]):.1f} ms{quiet}"
        print(f"turn {turn}: {name}: {said}", file=sys.stderr, flush=True)
    report(args, results, setup, list(contenders))
    mine = mine_of(args, results)
    return any("failed" in r for r in mine) or bool(losses_differ(mine, list(contenders), LIMITS[args.dtype]))


if __name__ == "__main__":
    sys.exit(main())
