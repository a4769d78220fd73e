#!/usr/bin/env python3
"""Exports in transformers: what `weir train --export` wrote opens there and generates the tokens that `weir generate` does.

    python3 tests/soak/export_opens.py WEIR [--source FOLDER] [--convert convert_hf_to_gguf.py]

Without --source small models are made in float32, bfloat16 and float16, in one file and in shards: GPT-2 with a byte-level
tokenizer, Llama with one of sentencepiece's kind.  Each is trained for two steps and exported in one file and in shards.
--source trains a folder of yours instead.  --convert also gives the exports to llama.cpp's script, which knows byte-level
tokenizers by their published tokens: those of the small GPT-2 are left out.
Exit status 77 with "skipped: why" where Python lacks torch, transformers or tokenizers.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

PROMPT = "A training step is a program"
N_TOKENS = 12


def sentencepiece_make(folder, texts):
    import tokenizers as t
    from transformers import PreTrainedTokenizerFast

    mark, special = "\u2581", ["<unk>", "<s>", "</s>"]
    bpe = t.Tokenizer(t.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    bpe.pre_tokenizer = t.pre_tokenizers.Metaspace(mark)
    trainer = t.trainers.BpeTrainer(vocab_size=400, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)])
    bpe.train(texts, trainer)
    root = json.loads(bpe.to_str())
    root["added_tokens"] = [token for token in root["added_tokens"] if token["content"] in special]
    bpe = t.Tokenizer.from_str(json.dumps(root))
    bpe.normalizer = t.normalizers.Sequence([t.normalizers.Prepend(mark), t.normalizers.Replace(" ", mark)])
    bpe.pre_tokenizer = None
    bpe.decoder = t.decoders.Sequence([t.decoders.Replace(mark, " "), t.decoders.ByteFallback(), t.decoders.Fuse(),
                                       t.decoders.Strip(" ", 1, 0)])
    PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="</s>", bos_token="<s>",
                            unk_token="<unk>").save_pretrained(folder)


def byte_level_make(folder, texts):
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    bpe.train(texts, trainer)
    os.makedirs(folder, exist_ok=True)
    bpe.model.save(folder)  # vocab.json and merges.txt, as GPT-2's folder has them
    PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>").save_pretrained(folder)


def model_make(family, folder, dtype, shards):
    import torch
    import transformers as t

    if family == "gpt2":
        config = t.GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, vocab_size=400, bos_token_id=0, eos_token_id=0)
    else:
        config = t.LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                               num_key_value_heads=2, max_position_embeddings=64, vocab_size=400, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(1)
    model = t.AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size="20KB" if shards else "5GB")


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def train(weir, source, data, out, *more):
    must(weir, "train", "--model", source, "--init-from", source, "--data", data, "--data-format", "u16", "--seq-len", "16",
         "--stages", "2", "--steps", "2", "-q", "--export", out, *more)


def opens(weir, out, dtype):
    """The reason why not, or None."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(out)
    stored = AutoModelForCausalLM.from_pretrained(out, dtype="auto")
    if dtype and stored.dtype != getattr(torch, dtype):
        return f"is {stored.dtype}, not {dtype}"
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    ids = tokenizer(PROMPT, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        theirs = model.generate(ids, max_new_tokens=N_TOKENS, do_sample=False, pad_token_id=0)[0][ids.shape[1]:].tolist()
    prompt = ",".join(str(i) for i in ids[0].tolist())
    ours = must(weir, "generate", "--init-from", out, "--prompt-tokens", prompt, "--tokens", str(N_TOKENS), "-q")
    ours = [int(i) for i in ours.replace(",", " ").split()][-len(theirs):]
    if ours != theirs:
        return f"generates {ours}, transformers {theirs}"
    text = must(weir, "generate", "--init-from", out, "--prompt", PROMPT, "--tokens", str(N_TOKENS), "-q")
    wanted = PROMPT + tokenizer.decode(theirs, skip_special_tokens=True)
    if "\ufffd" in wanted:  # the package gives up a whole run of bytes that are no UTF-8, Weir the bad ones
        return None
    return None if text.strip() == wanted.strip() else f"prints {text!r}, transformers {wanted!r}"


def cases(work, texts):
    for family in ("gpt2", "llama"):
        for dtype, shards in (("float32", False), ("bfloat16", True), ("float16", False)):
            folder = os.path.join(work, f"{family}-{dtype}")
            (byte_level_make if family == "gpt2" else sentencepiece_make)(folder, texts)
            model_make(family, folder, dtype, shards)
            yield folder, dtype


def data_make(source, work, texts):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    ids = [i for text in texts for i in tokenizer(open(text, encoding="utf-8").read()).input_ids][:20000]
    path = os.path.join(work, "tokens.bin")
    with open(path, "wb") as file:
        file.write(struct.pack(f"<{len(ids)}H", *ids))
    return path


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("weir")
    arguments.add_argument("--source")
    arguments.add_argument("--convert")
    options = arguments.parse_args()
    try:
        import tokenizers  # noqa: F401
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    here = os.path.dirname(os.path.abspath(__file__))
    texts = [os.path.join(here, "..", "..", "docs", name) for name in ("architecture.md", "training.md")]
    n = n_bad = 0
    with tempfile.TemporaryDirectory() as work:
        for source, dtype in [(options.source, None)] if options.source else cases(work, texts):
            data = data_make(source, work, texts)
            for more in ([], ["--export-shard-size", "20KB"]):
                out = os.path.join(work, "out")
                train(options.weir, source, data, out, *([] if options.source else more))
                why = opens(options.weir, out, dtype)
                if not why and options.convert and (options.source or "llama" in source):
                    must(sys.executable, options.convert, out, "--outfile", os.path.join(work, "out.gguf"))
                n += 1
                n_bad += why is not None
                print(f"{os.path.basename(source)} {' '.join(more) or 'in one file'}: {why or 'the same tokens'}", flush=True)
    print(f"{n - n_bad} of {n} exports open in transformers {transformers.__version__} and generate what weir does")
    return n_bad or not n


if __name__ == "__main__":
    sys.exit(main())
