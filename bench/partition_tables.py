#!/usr/bin/env python3
"""Tables of docs/planning.md: what `weir plan` finds, beside what was published.

usage: bench/partition_tables.py WEIR GRAPHS > tables.md

WEIR is the command, GRAPHS a folder with dnn-partitioning/, pipedream/, dapple/ and piper/ as in their repositories.  Every
plan is scored again by `weir plan evaluate`; a difference ends the run.  Times are those of the whole process.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

OOM = None
DEVICES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
CURVES = {  # dnn-partitioning, contiguous, no CPU
    "LayerGraphs/bert24_inference": (92.406, 47.479, 32.2429, 24.9169, 20.084, 17.7899, 14.2039, 10.7399, 10.6519, 7.19591),
    "LayerGraphs/gnmt_inference": (182.563, 93.1943, 65.1817, 47.1607, 43.0746, 32.9107, 25.8496, 24.7881, 24.7881, 24.7881),
    "LayerGraphs/resnet50_inference": (OOM, 101.281, 67.6943, 50.9899, 41.3445, 34.2229, 26.7612, 21.2596, 18.9979, 18.9979),
    "LayerGraphs/inceptionv3_inference": (310.969, 155.665, 103.819, 78.3527, 63.6954, 52.2016, 39.4748, 32.6182, 27.1571, 21.7639),
    "OperatorGraphs/bert_l-3_inference": (49.3526, 33.9891) + 8 * (27.9186,),
    "OperatorGraphs/bert_l-6_inference": (77.4615, 47.0179, 33.9891) + 7 * (27.9186,),
    "OperatorGraphs/bert_l-12_inference": (642.78, 383.694, 253.62, 197.692, 158.258, 147.478, 108.044, 97.2637, 97.2637, 79.977),
    "OperatorGraphs/resnet50_inference": (325.132, 194.439, 157.283, 151.126, 129.155, 128.074) + 4 * (124.349,),
    "LayerGraphs/bert24_training": (), "LayerGraphs/gnmt_training": (), "LayerGraphs/resnet50_training": (),
    "LayerGraphs/inceptionv3_training": (), "OperatorGraphs/bert_l-3_training": (), "OperatorGraphs/bert_l-6_training": (),
    "OperatorGraphs/bert_L-12_training": (), "OperatorGraphs/resnet50_training": (),
}
WITH_CPU = {
    "LayerGraphs/bert24_inference": 17.7899, "LayerGraphs/gnmt_inference": 32.9107, "LayerGraphs/resnet50_inference": 33.7747,
    "LayerGraphs/inceptionv3_inference": 51.5519, "OperatorGraphs/bert_l-3_inference": 27.9186,
    "OperatorGraphs/bert_l-6_inference": 29.5795, "OperatorGraphs/bert_l-12_inference": 147.478,
    "OperatorGraphs/resnet50_inference": 124.349,
}
FREE = {  # best of Scotch, METIS and annealing without a CPU
    "LayerGraphs/bert24_inference": 17.7147, "LayerGraphs/gnmt_inference": 31.6873, "LayerGraphs/resnet50_inference": 33.9806,
    "LayerGraphs/inceptionv3_inference": 52.2937, "OperatorGraphs/bert_l-3_inference": 21.9084,
    "OperatorGraphs/bert_l-6_inference": 28.8373, "OperatorGraphs/bert_l-12_inference": 136.6576,
    "OperatorGraphs/resnet50_inference": 136.4240, "LayerGraphs/gnmt_training": 88.4622,
    "OperatorGraphs/bert_l-3_training": 54.2074, "OperatorGraphs/bert_L-12_training": 378.1655,
    "LayerGraphs/bert24_training": None, "LayerGraphs/resnet50_training": None, "LayerGraphs/inceptionv3_training": None,
    "OperatorGraphs/bert_l-6_training": None, "OperatorGraphs/resnet50_training": None,
}
PROFILES = {  # k = 1, 2, 4, 8, 16
    "pipedream/alexnet.graph.txt": (85.321, 49.2238, 40.1336, 40.1336, 40.1336),
    "dapple/amoeba-18-pbs-8.txt": (717.81, 377.067, 229.08, 144.656, 97.7963),
    "dapple/amoeba-36-pbs-1.txt": (168.05, 87.8208, 47.9713, 27.4127, 18.097),
    "dapple/amoeba-6-pbs-8-complicated.txt": (212, 120.355, 90.2485, 62.996, 62.996),
    "dapple/amoeba-6-pbs-8-simplified.txt": (212, 123.206, 97.2867, 68.0546, 62.996),
    "dapple/gnmt-16-pbs-64.txt": (248.916, 127.878, 70.0114, 43.2824, 38.7437),
    "dapple/gnmt-32-pbs-64-simplified.txt": (445.611, 228.54, 116.927, 65.0715, 42.4507),
    "dapple/vgg-19-pbs-32.txt": (144.21, 92.36, 51.345, 50.1, 50.1),
    "dapple/vgg16.txt": (672.535, 415.316, 304.097, 304.097, 304.097),
    "pipedream/gnmt.graph.txt": (89.416, 46.9846, 27.1696, 21.0855, 21.0855),
    "pipedream/gnmt_large.graph.txt": (520.453, 265.625, 139.788, 87.4971, 81.1941),
    "pipedream/resnext101.graph.txt": (557.432, 292.281, 158.934, 105.73, 91.828),
    "pipedream/resnext50.graph.txt": (590.793, 330.582, 220.228, 180.027, 180.027),
    "pipedream/squeezenet1_0.graph.txt": (285.366, 171.859, 100.123, 83.2986, 83.2986),
    "pipedream/vgg16.graph.txt": (672.535, 415.316, 304.097, 304.097, 304.097),
    "pipedream/inception_v3.graph.txt": (),
}
PIPER = (  # GiB, devices, micro-batches, published noTP
    (8, 8, 1920, 0.165856), (8, 32, 1920, 0.0415155), (8, 64, 1920, 0.0202006), (1, 128, 1920, OOM), (8, 128, 1920, 0.0101209),
    (8, 8, 512, 0.165856), (8, 16, 512, 0.0830567), (8, 32, 512, 0.0416571), (8, 64, 512, 0.0209573), (8, 128, 512, 0.0106075),
    (8, 256, 512, 0.00543251), (8, 512, 1920, 0.00256113),
)


def plan(graph, *options):
    """The result, the wall time in seconds and the peak memory in MB of one process."""
    start = time.monotonic()
    child = subprocess.Popen([WEIR, "plan", "--graph", graph, "--json", *options], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    text = child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    result = json.loads(text)
    if result["objective"] is not None and "piper" not in options:
        check(graph, text, result["objective"])
    return result, seconds, usage.ru_maxrss / 1024


def check(graph, text, objective):
    with tempfile.NamedTemporaryFile("wb", suffix=".json") as file:
        file.write(text)
        file.flush()
        score = json.loads(subprocess.run([WEIR, "plan", "evaluate", "--graph", graph, "--plan", file.name, "--json"], check=True,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)["objective"]
    if score != objective:
        sys.exit(f"{graph}: plan says {objective}, evaluate says {score}")


def shown(value):
    return "OOM" if value is None else f"{value:.6g}"


def agrees(values, published):
    if not published:
        return "-"
    return "all" if [shown(v) for v in values] == [shown(p) for p in published] else "NO"


def curve_table(names, folder, suffix, devices):
    print("| graph | ideals | " + " | ".join(f"k={k}" for k in devices) + " | proven | as published | s | MB |")
    print("|---" * (len(devices) + 6) + "|")
    total = 0
    for name, published in names.items():
        best = min((plan(f"{folder}/{name}{suffix}", "--curve", "1..16") for _ in range(3)), key=lambda r: r[1])
        result, seconds, megabytes = best
        curve = {point["devices"]: point for point in result["curve"]}
        values = [curve[k]["objective"] for k in devices]
        proven = all(p["objective"] == p["lower_bound"] or p["objective"] is None for p in result["curve"])
        total += seconds
        print(f"| {name} | {result['ideals']} | " + " | ".join(map(shown, values)) +
              f" | {'yes' if proven else 'no'} | {agrees(values, published)} | {seconds:.2f} | {megabytes:.0f} |", flush=True)
    print(f"\nAll curves k = 1..16 together: {total:.1f} s.\n")


def cpu_table(folder):
    print("| graph | with one CPU | published | s |\n|---|---|---|---|")
    for name, published in WITH_CPU.items():
        result, seconds, _ = plan(f"{folder}/{name}.json", "--cpus", "1")
        print(f"| {name} | {shown(result['objective'])} | {published:.6g} | {seconds:.2f} |", flush=True)
    print()


def free_table(folder):
    print("| graph | best published | contiguous optimum | --any, 1 s | --any, 10 s | lower bound |\n|---|---|---|---|---|---|")
    for name, published in FREE.items():
        graph = f"{folder}/{name}.json"
        contiguous, quick, long = plan(graph)[0], plan(graph, "--any", "--seconds", "1")[0], plan(graph, "--any", "--seconds", "10")[0]
        print(f"| {name} | {'not given' if published is None else f'{published:.7g}'} | {contiguous['objective']:.7g} | "
              f"{quick['objective']:.7g} | {long['objective']:.7g} | {long['lower_bound']:.6g} |", flush=True)
    print()


def huge_table(graphs):
    print("| graph | devices | plan | lower bound | gap | s |\n|---|---|---|---|---|---|")
    for name in ("pipedream/nasnetalarge.graph.txt", "pipedream/nasnetamobile.graph.txt", "dapple/gnmt-32-pbs-64.txt"):
        for devices in (4, 8, 16):
            result, seconds, _ = plan(f"{graphs}/{name}", "--devices", str(devices), "--seconds", "5")
            print(f"| {name} | {devices} | {shown(result['objective'])} | {shown(result['lower_bound'])} | "
                  f"{100 * result['gap']:.1f} % | {seconds:.1f} |", flush=True)
    print()


def piper_table(graphs):
    print("| GiB | devices | N | weir | published | s |\n|---|---|---|---|---|---|")
    with open(f"{graphs}/piper/bert32a100.json", encoding="utf-8") as file:
        model = json.load(file)
    model["bandwidth"] = 25 * 2**30
    for gib, devices, micro_batches, published in PIPER:
        model["mbsInBatch"], model["maxMemoryPerDevice"] = micro_batches, gib * 2**30
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(model, file)
            file.flush()
            result, seconds, _ = plan(file.name, "--objective", "piper", "--devices", str(devices))
        print(f"| {gib} | {devices} | {micro_batches} | {shown(result['objective'])} | {shown(published)} | {seconds:.2f} |", flush=True)
    print()


def chain_table():
    layers, devices = 100000, 1024
    nodes = [{"id": i, "forward": 0.5 + (i * 7919 % 1000) / 700} for i in range(layers)]
    edges = [{"from": i, "to": i + 1, "cost": (i * 104729 % 1000) / 300} for i in range(layers - 1)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"format": "weir-cost-graph", "nodes": nodes, "edges": edges}, file)
        file.flush()
        result, seconds, _ = min((plan(file.name, "--devices", str(devices)) for _ in range(3)), key=lambda r: r[1])
    print("| layers | devices | objective | lower bound | solving s | whole process s |\n|---|---|---|---|---|---|")
    print(f"| {layers} | {devices} | {shown(result['objective'])} | {shown(result['lower_bound'])} | {result['seconds']:.2f} | {seconds:.2f} |\n")


def main():
    graphs = sys.argv[2]
    problems = f"{graphs}/dnn-partitioning/throughput-inputs"
    print("### Contiguous, no CPU (ms)\n")
    curve_table(CURVES, problems, ".json", DEVICES)
    print("### Contiguous, with the CPU that the problems ship with (ms)\n")
    cpu_table(problems)
    print("### Unordered plans on the problem's accelerators (ms)\n")
    free_table(problems)
    print("### PipeDream and DAPPLE profiles, contiguous (ms)\n")
    curve_table(PROFILES, graphs, "", (1, 2, 4, 8, 16))
    print("### Too many downsets: order-based search, 5 s\n")
    huge_table(graphs)
    print("### Piper's model, BERT-32, without tensor parallelism (s per sample)\n")
    piper_table(graphs)
    print("### A long chain\n")
    chain_table()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    WEIR = sys.argv[1]
    main()
