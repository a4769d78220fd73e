#!/usr/bin/env python3
"""safetensors, both ways: what Weir wrote is read by the safetensors package, what the package wrote is read by Weir.

    python3 tests/soak/safetensors_package.py [WEIR]        default build/release/bin/weir

Ours in the package: every part of a checkpoint (two replicas, ZeRO-1, so that moments lie in pieces) and every file of an
export (f32, bf16 and f16, whole and in shards).  Each tensor has the dtype, the shape and the bits that a reader of a few lines finds
in the file.
The package's in Weir: a model that the package wrote, in one file and in two with an index, becomes a checkpoint, and a checkpoint
becomes a model again, with the same bits; and a run begins with it (--init-from).
Malformed files: Weir and the package both refuse each of a list; where Weir alone does, the line says so.

Exit status 77 with "skipped: why" where Python lacks safetensors or numpy."""
import json
import os
import struct
import subprocess
import sys
import tempfile

from kept_state import command_of, fail, inputs_make, run, step_folder, train_line

CONFIG_DIMS = {"hidden": 16, "inner": 32, "words": 256, "kv": 8}


def bytes_of(path):
    """Name: (dtype, shape, bytes), by the words of the format alone."""
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])
            for name, t in header.items()}


def package_reads(path):
    """The same by the package: its Rust reader, from memory."""
    import safetensors
    read = dict(safetensors.deserialize(open(path, "rb").read()))
    return {name: (t["dtype"], t["shape"], bytes(t["data"])) for name, t in read.items()}


def must(line, folder):
    status, out, text = run(line, folder)
    if status:
        fail(f"{' '.join(line)}: status {status}: {text}")
    return out


def files_under(folder):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names
                  if name.endswith(".safetensors"))


def ours_check(weir, folder):
    must(train_line(weir, folder, 4, 2, "--replicas", "2", "--zero", "1", "--stages", "2", "-q"), folder)
    os.makedirs(f"{folder}/exports")
    for dtype in ("f32", "bf16", "f16"):
        for name, more in (("whole", []), ("shards", ["--shard-size", "8KB"])):
            must([weir, "checkpoint", "convert", "D", f"exports/{dtype}-{name}", "--dtype", dtype, *more], folder)
    n_files = n_tensors = 0
    for path in files_under(f"{folder}/D") + files_under(f"{folder}/exports"):
        wanted, found = bytes_of(path), package_reads(path)
        if wanted != found or not wanted:
            fail(f"{path}: the package reads other tensors")
        n_files, n_tensors = n_files + 1, n_tensors + len(found)
    print(f"ours in the package: {n_files} files, {n_tensors} tensors, the same bits", flush=True)


def model_arrays():
    import numpy
    h, inner, words, kv = (CONFIG_DIMS[k] for k in ("hidden", "inner", "words", "kv"))
    layer = "model.layers.0."
    shapes = {"model.embed_tokens.weight": (words, h), "lm_head.weight": (words, h), "model.norm.weight": (h,),
              layer + "input_layernorm.weight": (h,), layer + "post_attention_layernorm.weight": (h,),
              layer + "self_attn.q_proj.weight": (h, h), layer + "self_attn.k_proj.weight": (kv, h),
              layer + "self_attn.v_proj.weight": (kv, h), layer + "self_attn.o_proj.weight": (h, h),
              layer + "mlp.gate_proj.weight": (inner, h), layer + "mlp.up_proj.weight": (inner, h),
              layer + "mlp.down_proj.weight": (h, inner)}
    random = numpy.random.default_rng(1)
    return {name: (0.02 * random.standard_normal(shape)).astype(numpy.float32) for name, shape in shapes.items()}


def package_writes(folder, arrays, shards, dtype):
    import numpy
    from safetensors.numpy import save_file
    os.makedirs(folder)
    arrays = {name: a.astype(dtype) for name, a in arrays.items()}
    with open(f"{folder}/config.json", "w") as out:
        json.dump(dict(json.load(open(f"{folder}/../model/config.json")), torch_dtype=str(numpy.dtype(dtype))), out)
    if not shards:
        save_file(arrays, f"{folder}/model.safetensors", metadata={"format": "pt"})
        return arrays
    names, where = sorted(arrays), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: arrays[name] for name in part}, f"{folder}/{file}", metadata={"format": "pt"})
        where.update({name: file for name in part})
    with open(f"{folder}/model.safetensors.index.json", "w") as out:
        json.dump({"metadata": {"total_size": sum(a.nbytes for a in arrays.values())}, "weight_map": where}, out)
    return arrays


def packages_check(weir, folder):
    import numpy
    given, n = model_arrays(), 0
    for dtype in ("float32", "float16"):
        for shards in (False, True):
            name = f"{dtype}-{'shards' if shards else 'whole'}"
            arrays = package_writes(f"{folder}/{name}", given, shards, dtype)
            must([weir, "checkpoint", "convert", name, f"{name}.D"], folder)
            must([weir, "checkpoint", "convert", f"{name}.D", f"{name}.back", "--dtype", "f32"], folder)
            back = bytes_of(f"{folder}/{name}.back/model.safetensors")
            wanted = {k: ("F32", list(a.shape), a.astype(numpy.float32).tobytes()) for k, a in arrays.items()}
            if back != wanted:
                fail(f"{name}: other tensors after a checkpoint was made of it")
            must([weir, "train", "--model", name, "--init-from", name, "--data", "text", "--seq-len", "32", "--steps", "1", "-q"],
                 folder)
            n += 1
    print(f"the package's in ours: {n} models of {len(given)} tensors, the same bits, and runs began with them", flush=True)


def file_bytes(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def malformed(whole):
    """What is wrong: the bytes of a file; `whole` are those of a good one."""
    size = struct.unpack("<Q", whole[:8])[0]
    header, data = json.loads(whole[8:8 + size]), whole[8 + size:]
    header.pop("__metadata__", None)
    first, *others = sorted(header, key=lambda name: header[name]["data_offsets"])
    second = others[0]

    def changed(**of_first):
        return {**header, first: {**header[first], **of_first}}

    begin, end = header[first]["data_offsets"]
    shape = header[first]["shape"]
    twice = json.dumps(header)[:-1] + ", " + json.dumps({first: header[first]})[1:]
    return {
        "empty": b"",
        "seven bytes": whole[:7],
        "cut in the header": whole[:8 + size // 2],
        "cut in the data": whole[:-1],
        "a byte behind the data": whole + b"\0",
        "a header of 0 bytes": file_bytes(b"", data),
        "a header over 100,000,000 bytes": file_bytes(json.dumps(header).encode() + b" " * 100_000_000, data),
        "a header longer than the file": file_bytes(header, data, length=1 << 62),
        "a header longer than 63 bits": file_bytes(header, data, length=(1 << 64) - 1),
        "no JSON": file_bytes(b"{" * 64, data),
        "no object": file_bytes(b"[]" + b" " * 62, data),
        "no UTF-8": file_bytes(json.dumps(header).encode().replace(first.encode(), b"\xff" + first.encode()[1:], 1), data),
        "a name twice": file_bytes(twice.encode(), data),
        "a depth of 100,000": file_bytes(b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""),
        "metadata of numbers": file_bytes({"__metadata__": {"a": 1}, **header}, data),
        "a hole": file_bytes({**header, **{n: {**header[n], "data_offsets": [x + 4 for x in header[n]["data_offsets"]]}
                                          for n in others}}, data[:end] + b"\0" * 4 + data[end:]),
        "a hole at the start": file_bytes({n: {**t, "data_offsets": [x + 4 for x in t["data_offsets"]]} for n, t in header.items()},
                                          b"\0" * 4 + data),
        "an overlap": file_bytes({**header, second: {**header[second], "data_offsets": header[first]["data_offsets"],
                                                     "shape": shape}}, data),
        "begin after end": file_bytes(changed(data_offsets=[end, begin]), data),
        "a negative offset": file_bytes(changed(data_offsets=[-4, end]), data),
        "an offset beyond 64 bits": file_bytes(changed(data_offsets=[0, 1 << 65]), data),
        "fewer bytes than the shape": file_bytes(changed(shape=[n + 1 for n in shape]), data),
        "a negative dimension": file_bytes(changed(shape=[-n for n in shape]), data),
        "a shape beyond 64 bits": file_bytes(changed(shape=[1 << 62, 1 << 62, *shape]), data),
        "a dimension that is no integer": file_bytes(changed(shape=[float(n) for n in shape]), data),
        "an unknown dtype": file_bytes(changed(dtype="F33"), data),
        "no dtype": file_bytes({**header, first: {k: v for k, v in header[first].items() if k != "dtype"}}, data),
        "three offsets": file_bytes(changed(data_offsets=[begin, end, end]), data),
    }


def package_refuses(data):
    import safetensors
    try:
        safetensors.deserialize(data)
    except Exception:  # of whatever class
        return True
    return False


def malformed_check(weir, folder):
    whole = open(f"{folder}/float32-whole/model.safetensors", "rb").read()
    cases, alone = malformed(whole), []
    os.makedirs(f"{folder}/bad")
    with open(f"{folder}/bad/config.json", "w") as out:
        out.write(open(f"{folder}/model/config.json").read())
    for what, data in cases.items():
        with open(f"{folder}/bad/model.safetensors", "wb") as out:
            out.write(data)
        status, _, text = run([weir, "checkpoint", "convert", "bad", "bad.D"], folder)
        if status not in (1, 2, 3) or "model.safetensors" not in text:
            fail(f"{what}: ends with status {status}: {text}")
        if not package_refuses(data):
            alone.append(what)
    print(f"malformed: {len(cases)} of {len(cases)} refused by name; by Weir alone: {', '.join(alone) or 'none'}", flush=True)


def main():
    try:
        import numpy  # noqa: F401
        import safetensors
    except ImportError as error:
        print(f"skipped: {error}")
        sys.exit(77)
    weir = command_of((sys.argv[1:] + [None])[0])
    version = subprocess.run([weir, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}, safetensors {safetensors.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        inputs_make(folder)
        ours_check(weir, folder)
        packages_check(weir, folder)
        malformed_check(weir, folder)


if __name__ == "__main__":
    main()
