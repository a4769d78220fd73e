"""Files for llm.c's train_gpt2.c: weights of a Hugging Face folder of GPT-2, and tokens."""
import json

import torch
from safetensors import safe_open

PADDED = 50304  # llm.c's rows of the table


def weights_write(folder, path):
    with open(folder + "/config.json") as f:
        c = json.load(f)
    header = torch.zeros(256, dtype=torch.int32)
    header[:8] = torch.tensor([20240326, 3, c["n_positions"], c["vocab_size"], c["n_layer"], c["n_head"], c["n_embd"], PADDED])
    with safe_open(folder + "/model.safetensors", "pt") as file, open(path, "wb") as out:
        found = {name.removeprefix("transformer."): name for name in file.keys()}

        def put(value):
            out.write(value.float().contiguous().numpy().tobytes())

        def blocks(suffix):
            for i in range(c["n_layer"]):
                value = file.get_tensor(found[f"h.{i}.{suffix}"])
                put(value.T if value.dim() == 2 else value)

        out.write(header.numpy().tobytes())
        put(torch.nn.functional.pad(file.get_tensor(found["wte.weight"]), (0, 0, 0, PADDED - c["vocab_size"])))
        put(file.get_tensor(found["wpe.weight"]))
        for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"):
            blocks(part + ".weight")
            blocks(part + ".bias")
        put(file.get_tensor(found["ln_f.weight"]))
        put(file.get_tensor(found["ln_f.bias"]))


def tokens_write(tokens, path):
    with open(tokens, "rb") as f:
        ids = f.read()
    header = torch.zeros(256, dtype=torch.int32)
    header[:3] = torch.tensor([20240520, 1, len(ids) // 2])
    with open(path, "wb") as f:
        f.write(header.numpy().tobytes() + ids)
