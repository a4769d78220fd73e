"""What the scripts about checkpoints share: a small model, runs of the command, and what a folder of checkpoints has."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SANITIZERS = {"ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "exitcode=99",
              "LSAN_OPTIONS": f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0"}
CONFIG = {"model_type": "llama", "vocab_size": 256, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
          "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
          "rope_theta": 10000.0, "tie_word_embeddings": False, "hidden_act": "silu"}


def command_of(argument):
    """The command to try: an argument, else the variable WEIR, else the release build."""
    return os.path.abspath(argument or os.environ.get("WEIR") or f"{ROOT}/build/release/bin/weir")


def inputs_make(folder):
    """A model of a few thousand parameters, and a text."""
    os.makedirs(f"{folder}/model", exist_ok=True)
    with open(f"{folder}/model/config.json", "w") as out:
        json.dump(CONFIG, out)
    with open(f"{folder}/text", "w") as out:
        out.write("".join(f"{i} sheep and {i * i % 97} wolves went over the hill\n" for i in range(400)))


def train_line(weir, folder, steps, every, *more):
    return [weir, "train", "--model", f"{folder}/model/config.json", "--data", f"{folder}/text", "--seq-len", "32",
            "--steps", str(steps), "--checkpoint-dir", "D", "--checkpoint-every", str(every), "--resume", *more]


def run(line, folder, env=None, limit=120):
    """Status (negative: a signal), standard output and standard error."""
    done = subprocess.run(line, cwd=folder, env={**os.environ, **SANITIZERS, **(env or {})}, capture_output=True, text=True,
                          timeout=limit, errors="replace")
    return done.returncode, done.stdout, done.stderr


def state_of(checkpoint):
    """A digest of the tensors of a checkpoint, joined of their pieces, whatever files they lie in."""
    with open(f"{checkpoint}/manifest.json") as file:
        manifest = json.load(file)
    headers = {}
    for number, file in enumerate(manifest["files"]):
        if file["name"].endswith(".safetensors"):
            data = open(f"{checkpoint}/{file['name']}", "rb").read()
            size = int.from_bytes(data[:8], "little")
            headers[number] = (json.loads(data[8:8 + size]), data[8 + size:])
    digest = hashlib.sha256()
    for tensor in sorted(manifest["tensors"], key=lambda t: (t["kind"], t["name"])):
        digest.update(f"{tensor['kind']} {tensor['name']} {tensor['shape']}".encode())
        for piece in tensor["pieces"]:
            header, data = headers[piece["file"]]
            begin, end = header[piece["tensor"]]["data_offsets"]
            digest.update(data[begin:end])
    return digest.hexdigest()


def step_folder(step):
    return f"step-{step:06d}"


def resumed_step(text):
    """The step from which a run says that it goes on; None: from the beginning."""
    found = re.search(r"goes on from '.*step-(\d+)'", text)
    return int(found.group(1)) if found else None


def folder_new(path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)


def fail(message):
    print(message, file=sys.stderr)
    sys.exit(1)
