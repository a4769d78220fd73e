#!/usr/bin/env python3
"""Exchange schedules with PyTorch, both ways.

    torch_runtime.py WEIR [--quick]

Ours in PyTorch: every single-copy schedule is written with `weir schedule convert --to torch`, loaded as it is by
PyTorch's _PipelineScheduleRuntime (compute_comms), and trains one step of a small model on gloo processes, one per rank.
The gradients are compared with those of the same model on one device.

PyTorch's in Weir: what its schedule classes dump is checked by Weir, and lowering a dump again gives the dump, cell by cell.

Prints one line per case and a total; exit status 77, with the reason, where torch is missing or too old."""
import csv
import os
import subprocess
import sys
import tempfile

SINGLE_COPY = ["gpipe", "1f1b", "interleaved", "bfs", "zb-h1", "zb-h2", "interleaved-zb", "zbv", "v-half", "v-min",
               "dualpipev", "hanayo"]
ANY_CHUNKS = ["interleaved", "bfs", "interleaved-zb"]
WIDTH, ROWS = 6, 2  # of the model's layers; samples per micro-batch
TOLERANCE = 1e-5    # of the largest gradient of a stage


def cases_make(sizes):
    cases = [(name, p, m, None) for p, m in sizes for name in SINGLE_COPY]
    return cases + [(name, p, m, 3) for p, m in sizes for name in ANY_CHUNKS]


def weir(*arguments, text=None):
    return subprocess.run(arguments, input=text, capture_output=True, text=True)


def file_write(command, case, path):
    name, p, m, v = case
    chunks = ["-v", str(v)] if v else []
    made = weir(command, "schedule", "make", name, "-p", str(p), "-m", str(m), *chunks)
    assert made.returncode == 0, made.stderr
    lowered = weir(command, "schedule", "convert", "-", "--to", "torch", "-o", path, text=made.stdout)
    assert lowered.returncode == 0, lowered.stderr


def stages_of(path):
    from torch.distributed.pipelining.schedules import _Action
    rows = [[_Action.from_str(cell) for cell in row] for row in csv.reader(open(path, newline=""))]
    parts = [[part for action in row for part in action.sub_actions or (action,)] for row in rows]
    return [sorted({part.stage_index for part in row}) for row in parts]


def layer_make(stage):
    import torch
    torch.manual_seed(1000 + stage)
    return torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.Tanh())


def data_make(m):
    import torch
    torch.manual_seed(7)
    return torch.randn(m * ROWS, WIDTH), torch.randn(m * ROWS, WIDTH)


def gradients_alone(n_stages, m):
    """The gradients of every stage, computed on one device."""
    import torch
    x, y = data_make(m)
    layers = [layer_make(s) for s in range(n_stages)]
    for part, wanted in zip(x.chunk(m), y.chunk(m)):
        (torch.nn.functional.mse_loss(torch.nn.Sequential(*layers)(part), wanted) / m).backward()
    return [[p.grad for p in layer.parameters()] for layer in layers]


def train(path, m, rank, group):
    """One step of the file's schedule; the largest difference from one device, relative to the largest gradient."""
    import torch
    from torch.distributed.pipelining import PipelineStage
    from torch.distributed.pipelining.schedules import _PipelineScheduleRuntime
    held = stages_of(path)
    n_stages = 1 + max(max(stages) for stages in held)
    layers = {s: layer_make(s) for s in held[rank]}
    stages = [PipelineStage(layers[s], s, n_stages, torch.device("cpu"), group=group) for s in held[rank]]
    runtime = _PipelineScheduleRuntime(stages, m, loss_fn=torch.nn.functional.mse_loss)
    runtime._load_csv(path, format="compute_comms")
    x, y = data_make(m)
    runtime.step(*([x] if 0 in held[rank] else []), **({"target": y} if n_stages - 1 in held[rank] else {}))
    alone = gradients_alone(n_stages, m)
    worst = 0.0
    for s, layer in layers.items():
        for p, wanted in zip(layer.parameters(), alone[s]):
            worst = max(worst, float((p.grad - wanted).abs().max() / wanted.abs().max()))
    return worst


def worker(rank, world, port, work):
    import torch
    import torch.distributed as dist
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    groups = {p: dist.new_group(list(range(p))) for p in sorted({case[1] for case, _ in work["cases"]})}
    for case, path in work["cases"]:
        failure, worst = "", 0.0
        if rank < case[1]:
            try:
                worst = train(path, case[2], rank, groups[case[1]])
            except Exception as error:  # a schedule that does not load fails on all ranks alike
                failure = f"{type(error).__name__}: {error}".splitlines()[0]
        results = [None] * world
        dist.all_gather_object(results, (worst, failure))
        if rank == 0:
            work["report"].put((case, max(w for w, _ in results), next((f for _, f in results if f), "")))
    if rank == 0:
        dumps_write(work["folder"], groups)
    dist.barrier()
    dist.destroy_process_group()


def dumps_write(folder, groups):
    """What PyTorch's own classes dump, in both formats, for the first of `groups`."""
    import torch
    from torch.distributed.pipelining import PipelineStage, schedules
    p, group = min(groups.items())
    for name, v in (("ScheduleLoopedBFS", 2), ("ScheduleInterleaved1F1B", 2), ("ScheduleInterleavedZeroBubble", 2),
                    ("ScheduleZBVZeroBubble", 2), ("ScheduleDualPipeV", 2), ("ScheduleLoopedBFS", 1),
                    ("ScheduleInterleaved1F1B", 3)):
        v_shaped = "V" in name.removeprefix("Schedule")
        held = [0, 2 * p - 1] if v_shaped else list(range(0, v * p, p))
        stages = [PipelineStage(layer_make(s), s, v * p, torch.device("cpu"), group=group) for s in held]
        schedule = getattr(schedules, name)(stages, 4 * p, loss_fn=torch.nn.functional.mse_loss)
        for form in ("compute_only", "compute_comms"):
            schedule._dump_csv(f"{folder}/{name}_{v}_{form}.csv", format=form)


def dumps_check(command, folder):
    """Each dump is valid; lowering one with communication again gives its cells."""
    n = n_bad = 0
    for file in sorted(f for f in os.listdir(folder) if f.startswith("Schedule")):
        path, n = f"{folder}/{file}", n + 1
        checked = weir(command, "schedule", "check", path)
        verdict = checked.stderr.strip() if checked.returncode else "ok"
        if not checked.returncode and "comms" in file:
            again = weir(command, "schedule", "convert", path, "--to", "torch")
            same = again.stdout.split() == open(path).read().split()
            verdict = "ok, lowered to the same cells" if same else "lowered to other cells " + again.stderr
        n_bad += not verdict.startswith("ok")
        print(f"dump {file}: {verdict}")
    print(f"{n - n_bad} of {n} dumps of PyTorch read")
    return n_bad or not n


def main():
    try:
        import torch
        import torch.multiprocessing as multiprocessing
        from torch.distributed.pipelining.schedules import WAIT_SEND_F  # noqa: F401
    except ImportError as error:
        print(f"skipped: no PyTorch whose pipelines know WAIT_SEND_F ({error})")
        return 77
    command = sys.argv[1]
    cases = cases_make([(2, 4)] if "--quick" in sys.argv else [(2, 4), (3, 6), (4, 8)])
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Manager() as manager:
        files = []
        for i, case in enumerate(cases):
            files.append((case, f"{folder}/ours{i}.csv"))
            file_write(command, *files[-1])
        work = {"cases": files, "folder": folder, "report": manager.Queue()}
        world = max(case[1] for case in cases)
        multiprocessing.start_processes(worker, (world, 20000 + os.getpid() % 20000, work), world, start_method="spawn")
        n_good, largest = 0, 0.0
        while not work["report"].empty():
            (name, p, m, v), worst, failure = work["report"].get()
            good = not failure and worst < TOLERANCE
            n_good, largest = n_good + good, max(largest, worst)
            print(f"{name} p={p} m={m}{f' v={v}' if v else ''}: {failure or f'{worst:.1e}'}{'' if good else ' WRONG'}")
        print(f"{n_good} of {len(cases)} load in PyTorch {torch.__version__} and train; gradients within {largest:.1e}")
        return 1 if dumps_check(command, folder) or n_good < len(cases) else 0


if __name__ == "__main__":
    sys.exit(main())
