"""Compare Weir with PyTorch and transformers: logits, gradients, loss curves and files.

    hf_parity.py DRIVER WORK_DIR [--fixtures DIR]

DRIVER is build/release/bench/bench_parity; bench/peers/hf_parity.sh makes the environment and calls this.  Small random
models are saved with save_pretrained; both sides read the files, run the same batches and train for 20 AdamW steps.  The
trained weights that Weir writes are read back with from_pretrained.  Exits with 1 when a limit is passed.

    logits          largest difference                                                  1e-4
    gradients       largest difference / largest element of the tensor, each tensor     1e-3
    losses          largest relative difference over the steps                          1e-3
    export          largest difference of logits between Weir's trained weights in
                    transformers and PyTorch's own trained weights                      1e-2

--fixtures DIR writes the models of tests/engine/checkpoint/test_hf_parity.c with their reference values. """
import argparse
import json
import os
import shutil
import subprocess
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

STEPS, MICROBATCHES, BATCH, LENGTH = 20, 2, 2, 16
LIMITS = {"logits": 1e-4, "gradients": 1e-3, "losses": 1e-3, "export": 1e-2}


def gpt2(**keys):
    sizes = dict(vocab_size=64, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None,
                 initializer_range=0.2)  # so large that attention is far from uniform
    return transformers.GPT2Config(**{**sizes, **keys})


def llama(**keys):
    sizes = dict(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=16, bos_token_id=None, eos_token_id=None,
                 initializer_range=0.2)
    return transformers.LlamaConfig(**{**sizes, **keys})


LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=2.0)

# name: configuration, dtype of the file, largest shard, stages of Weir, name of the fixture
MODELS = {
    "gpt2": (gpt2(), "float32", None, 1, None),
    "gpt2, 2 stages": (gpt2(), "float32", None, 2, None),
    "gpt2, untied, inner 40, eps 1e-3": (gpt2(tie_word_embeddings=False, n_inner=40, layer_norm_epsilon=1e-3), "float32",
                                         None, 3, None),
    "gpt2, bfloat16": (gpt2(), "bfloat16", None, 2, "hf-gpt2"),
    "gpt2, float16, shards of 4 KB": (gpt2(n_layer=3), "float16", "4KB", 2, None),
    "gpt2, wider": (gpt2(vocab_size=300, n_embd=96, n_head=6, n_positions=64), "float32", None, 2, None),
    "llama": (llama(num_key_value_heads=4), "float32", None, 1, None),
    "llama, 4 heads on 2, untied": (llama(), "float32", None, 2, None),
    "llama, 4 heads on 1, tied": (llama(num_key_value_heads=1, tie_word_embeddings=True), "float32", None, 2, None),
    "llama, heads of 8": (llama(head_dim=8, rms_norm_eps=1e-5), "float32", None, 3, None),
    "llama, llama3 positions, float16": (llama(rope_parameters=LLAMA3, head_dim=8, max_position_embeddings=128),
                                         "float16", None, 2, "hf-llama"),
    "llama, linear positions, bfloat16, shards": (llama(rope_parameters=LINEAR), "bfloat16", "4KB", 2, None),
    "llama, wider": (llama(vocab_size=300, hidden_size=96, intermediate_size=160, num_attention_heads=6,
                           max_position_embeddings=64), "float32", None, 2, None),
}


def model_save(config, dtype, shard, path):
    """A random model whose values the dtype holds exactly; returns it in float32."""
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, p in model.named_parameters():  # gains and biases away from 1 and 0
            if p.dim() == 1:
                p.add_(0.1 * torch.randn_like(p))
            p.copy_(p.to(getattr(torch, dtype)).float())
    shutil.rmtree(path, ignore_errors=True)
    copy = transformers.AutoModelForCausalLM.from_config(config)
    copy.load_state_dict(model.state_dict())
    copy.to(getattr(torch, dtype)).save_pretrained(path, **({"max_shard_size": shard} if shard else {}))
    return model


def batches_make(vocabulary):
    g = torch.Generator().manual_seed(2)
    tokens = torch.randint(vocabulary, (STEPS, MICROBATCHES, BATCH, LENGTH), generator=g, dtype=torch.int32)
    return tokens, (tokens * 3 + 1) % vocabulary


def torch_run(model, tokens, targets):
    """Logits and gradients of step 0, and the losses, of the recipe that bench_parity has."""
    model.eval()  # no dropout
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, logits0, grads0 = [], None, None
    for step in range(STEPS):
        x, y = (t[step].reshape(-1, LENGTH).long() for t in (tokens, targets))
        optimizer.zero_grad()
        logits = model(x).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
        loss.backward()
        if step == 0:
            logits0 = logits.detach().clone()
            grads0 = {n: p.grad.clone() for n, p in model.named_parameters()}
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return logits0, grads0, torch.tensor(losses)


def gradients_compare(grads, out):
    """The worst tensor: every gradient of PyTorch must have its counterpart."""
    worst, of = 0.0, ""
    names = {n.removeprefix("grad.") for n in out if n.startswith("grad.")}
    for name, grad in grads.items():
        plain = name if name in names else name.removeprefix("transformer.")
        names.remove(plain)
        error = ((out["grad." + plain] - grad).abs().max() / grad.abs().max().clamp(min=1e-12)).item()
        if not error <= worst:
            worst, of = error, plain
    assert not names, f"Weir has gradients that PyTorch lacks: {names}"
    return worst, of


def fixture_write(folder, path, tokens, targets, logits, grads, losses):
    """What tests/engine/checkpoint/test_hf_parity.c reads: the model's files, and reference.json."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in ("config.json", "model.safetensors"):
        os.chmod(shutil.copy(os.path.join(path, name), folder), 0o644)
    reference = {
        "made_by": f"bench/peers/hf_parity.py, torch {torch.__version__}, transformers {transformers.__version__}",
        "shape": [STEPS, MICROBATCHES, BATCH, LENGTH],
        "tokens": tokens.flatten().tolist(), "targets": targets.flatten().tolist(),
        "logits_of_sample_1": [round(v, 7) for v in logits[1].flatten().tolist()],
        "gradient_norms": {n.removeprefix("transformer."): round(g.norm().item(), 9) for n, g in grads.items()},
        "losses": [round(v, 7) for v in losses.tolist()],
    }
    with open(os.path.join(folder, "reference.json"), "w") as f:
        json.dump(reference, f, separators=(",", ":"))
        f.write("\n")


def model_compare(name, driver, work, fixtures):
    config, dtype, shard, stages, fixture = MODELS[name]
    path, batches, out, trained = (os.path.join(work, n) for n in ("model", "batches.safetensors", "out.safetensors",
                                                                   "trained"))
    model = model_save(config, dtype, shard, path)
    tokens, targets = batches_make(config.vocab_size)
    save_file({"tokens": tokens.contiguous(), "targets": targets.to(torch.int32).contiguous()}, batches)
    shutil.rmtree(trained, ignore_errors=True)
    subprocess.run([driver, path, batches, out, str(stages), trained], check=True)
    logits, grads, losses = torch_run(model, tokens, targets)
    weir = load_file(out)
    if fixture and fixtures:
        fixture_write(os.path.join(fixtures, fixture), path, tokens, targets, logits, grads, losses)
    back = transformers.AutoModelForCausalLM.from_pretrained(trained).eval()
    x = tokens[0].reshape(-1, LENGTH).long()
    gradients, of = gradients_compare(grads, weir)
    with torch.no_grad():
        export = (back(x).logits - model(x).logits).abs().max().item()
    return {"logits": (weir["logits"] - logits).abs().max().item(), "gradients": gradients,
            "losses": ((weir["losses"] - losses).abs() / losses).max().item(), "export": export}, of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("work")
    parser.add_argument("--fixtures")
    args = parser.parse_args()
    torch.set_num_threads(2)
    os.makedirs(args.work, exist_ok=True)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}; limits {LIMITS}")
    print(f"{'model':44} {'logits':>9} {'gradients':>9} {'losses':>9} {'export':>9}  worst gradient")
    failed = False
    for name in MODELS:
        errors, of = model_compare(name, args.driver, args.work, args.fixtures)
        bad = any(not errors[k] <= LIMITS[k] for k in LIMITS)
        failed = failed or bad
        print(f"{name:44} " + " ".join(f"{errors[k]:9.1e}" for k in LIMITS) + f"  {of}" + ("  FAILED" if bad else ""))
    return failed


if __name__ == "__main__":
    sys.exit(main())
