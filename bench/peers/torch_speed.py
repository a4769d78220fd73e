"""Train with PyTorch and say what every step took: one process, or a rank of torch.distributed.pipelining over gloo.

    torch_speed.py JOB OUT [RANK]       JOB: a JSON file that bench/peers/speed.py writes; OUT: {"times_ms", "losses"}

A step is the one that Weir takes: all micro-batches, gradients of tied uses added up, the global norm clipped, AdamW (fused).
A time is that from the begin of a step to the begin of the next one.
"""
import json
import sys
import time

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
from safetensors import safe_open

from torch_models import is_gpt2, is_tied, layer_make, plan

ONE_STAGE = {"gpipe": "ScheduleGPipe", "1f1b": "Schedule1F1B"}
TWO_STAGES = {"interleaved": "ScheduleInterleaved1F1B", "interleaved-zb": "ScheduleInterleavedZeroBubble",
              "zbv": "ScheduleZBVZeroBubble"}


class Layers(nn.Module):
    """A run of layers, in bf16 where the job says so."""
    def __init__(self, layers, bf16):
        super().__init__()
        self.layers, self.bf16 = nn.ModuleList(layers), bf16

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            for layer in self.layers:
                x = layer(x)
        return x


def batches_read(job):
    """Tokens and targets (micro-batches, batch, length): one step, the same every time."""
    m, b, t = job["microbatches"], job["batch"], job["length"]
    ids = torch.frombuffer(bytearray(open(job["tokens"], "rb").read()), dtype=torch.uint16).long()
    return ids[: m * b * t].view(m, b, t), ids[1 : m * b * t + 1].view(m, b, t)


def cross_entropy(logits, targets):
    return F.cross_entropy(logits.float().view(-1, logits.shape[-1]), targets.reshape(-1))


def optimizer_make(job, parameters):
    decayed = [p for p in parameters if p.dim() > 1]
    others = [p for p in parameters if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": job["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=job["lr"], betas=(job["beta1"], job["beta2"]), eps=1e-8,
                             fused=True)


def squares(gradients):
    return torch.stack(torch._foreach_norm(gradients)).square().sum() if gradients else torch.zeros(())


def clip(job, gradients, square):
    scale = job["grad_clip"] / (square.sqrt() + 1e-6)
    if job["grad_clip"] > 0 and scale < 1:
        torch._foreach_mul_(gradients, scale)


def steps_run(job, step):
    times, losses = [], []
    begin = time.perf_counter()
    for _ in range(job["steps"]):
        losses.append(step())
        now = time.perf_counter()
        times.append(1000 * (now - begin))
        begin = now
    return {"times_ms": times, "losses": losses, "torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability()}


def layers_open(job, first, end):
    with safe_open(job["folder"] + "/model.safetensors", "pt") as file:
        return [layer_make(*entry, job["config"], file) for entry in plan(job["config"])[first:end]]


def table(layer, config):
    """The weight that embedding and head share where they are tied."""
    return layer.wte if is_gpt2(config) else layer.embed_tokens


def one_process(job):
    model = Layers(layers_open(job, 0, None), job["bf16"])
    if is_tied(job["config"]):
        model.layers[-1].out.weight = table(model.layers[0], job["config"]).weight
    if job["how"] == "compile":
        model.compile()
    parameters = list(model.parameters())
    optimizer = optimizer_make(job, parameters)
    tokens, targets = batches_read(job)

    def step():
        total = 0.0
        for x, y in zip(tokens, targets):
            loss = cross_entropy(model(x), y) / len(tokens)
            loss.backward()
            total += loss.item()
        gradients = [p.grad for p in parameters]
        clip(job, gradients, squares(gradients))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return steps_run(job, step)


def stages_of(rank, n_stages, schedule):
    if schedule == "zbv":
        return [rank, n_stages - 1 - rank]
    return list(range(rank, n_stages, 2))


def pipeline(job, rank):
    from torch.distributed import pipelining
    dist.init_process_group("gloo", init_method="file://" + job["store"], rank=rank, world_size=2)
    cut, n_stages = [*job["cut"], None], len(job["cut"])
    mine = stages_of(rank, n_stages, job["schedule"])
    modules = {s: Layers(layers_open(job, cut[s], cut[s + 1]), job["bf16"]) for s in mine}
    embedding = table(modules[0].layers[0], job["config"]) if 0 in mine else None
    head = modules[n_stages - 1].layers[-1].out if n_stages - 1 in mine else None
    if embedding and head and is_tied(job["config"]):
        head.weight = embedding.weight
    tied = (embedding or head).weight if is_tied(job["config"]) and (embedding is None) != (head is None) else None
    stages = [pipelining.PipelineStage(modules[s], s, n_stages, torch.device("cpu")) for s in mine]
    kind = getattr(pipelining, {**ONE_STAGE, **TWO_STAGES}[job["schedule"]])
    m = job["microbatches"]
    schedule = kind(stages[0] if job["schedule"] in ONE_STAGE else stages, n_microbatches=m, scale_grads=False,
                    loss_fn=lambda logits, y: cross_entropy(logits, y) / m)
    parameters = list({id(p): p for s in mine for p in modules[s].parameters()}.values())
    optimizer = optimizer_make(job, parameters)
    counted = [p for p in parameters if p is not tied or 0 in mine]  # a tied weight counts once in the norm
    tokens, targets = (x.flatten(0, 1) for x in batches_read(job))

    def step():
        losses = []
        schedule.step(*([tokens] if embedding else []), **({"target": targets, "losses": losses} if head else {}),
                      return_outputs=False)
        if tied is not None:
            dist.all_reduce(tied.grad)
        gradients = [p.grad for p in parameters]
        sums = torch.stack([squares([p.grad for p in counted]), torch.stack([x.detach() for x in losses]).sum() if losses else
                            torch.zeros(())])
        dist.all_reduce(sums)
        clip(job, gradients, sums[0])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return sums[1].item()

    result = steps_run(job, step)
    dist.barrier()
    dist.destroy_process_group()
    return result


def main():
    with open(sys.argv[1]) as f:
        job = json.load(f)
    torch.set_num_threads(job["threads"])
    with open(job["folder"] + "/config.json") as f:
        job["config"] = json.load(f)
    rank = int(sys.argv[3]) if len(sys.argv) > 3 else None
    result = one_process(job) if rank is None else pipeline(job, rank)
    if not rank:
        with open(sys.argv[2], "w") as f:
            json.dump(result, f)


main()
