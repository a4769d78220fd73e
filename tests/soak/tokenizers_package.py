#!/usr/bin/env python3
"""Hold Weir's tokenizers to the package tokenizers, which transformers uses.

    tokenizers_package.py LIBWEIR.so [--strings 20000] [--folders DIR] [--bench]

LIBWEIR.so is the library of a build with -DBUILD_SHARED_LIBS=ON.  Tokenizers of every kind are trained on the Python
library's own texts and written as tokenizer.json; folders below DIR that have a tokenizer.json are taken too.  Random
strings must have the same tokens, with and without special ones, and the same text after decoding.

The package's own Unicode data decide which code points the strings draw from: those that are assigned there and in this
Python, without those that its form C orders or joins in another way than this Python's.

--bench times 1 MB without a space.  Exit status 77, with the reason, where the package is missing."""
import argparse
import ctypes
import glob
import json
import os
import random
import sys
import tempfile
import time
import unicodedata

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
MARK = "\u2581"


class Weir:
    """One tokenizer of the library under test."""

    class Arena(ctypes.Structure):
        _fields_ = [("head", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]

    def __init__(self, library, path):
        self.lib, self.made, self.t = library, self.Arena(), ctypes.c_void_p()
        library.weir_last_error.restype = ctypes.c_char_p
        if library.weir_tokenizer_load(path.encode(), ctypes.byref(self.made), ctypes.byref(self.t)):
            raise ValueError(library.weir_last_error().decode())

    def encode(self, text, special):
        arena, tokens, n = self.Arena(), ctypes.POINTER(ctypes.c_int32)(), ctypes.c_int64()
        data = text.encode()
        if self.lib.weir_tokenizer_encode(self.t, data, ctypes.c_size_t(len(data)), 0 if special else 1, ctypes.byref(arena),
                                          ctypes.byref(tokens), ctypes.byref(n)):
            return self.lib.weir_last_error().decode()
        found = tokens[:n.value]
        self.lib.weir_arena_release(ctypes.byref(arena))
        return found

    def decode(self, tokens, skip):
        arena, text, n = self.Arena(), ctypes.c_void_p(), ctypes.c_size_t()
        ids = (ctypes.c_int32 * (len(tokens) + 1))(*tokens)
        assert not self.lib.weir_tokenizer_decode(self.t, ids, ctypes.c_int64(len(tokens)), ctypes.c_bool(skip),
                                                  ctypes.byref(arena), ctypes.byref(text), ctypes.byref(n))
        found = ctypes.string_at(text, n.value)
        self.lib.weir_arena_release(ctypes.byref(arena))
        return found


# ---- tokenizers of every kind ------------------------------------------------------------------------------------------

def texts_read():
    """Prose and programs that every Python has, in 200 pieces."""
    paths = sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))[:200]
    return [open(path, encoding="utf-8", errors="ignore").read()[:20000] for path in paths]


def train(tokenizer, texts, special, alphabet=(), size=3000):
    from tokenizers import trainers
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
                                                             initial_alphabet=list(alphabet)))
    return tokenizer


def byte_level(texts, pre, normalizer=None, ignore_merges=False, prefix=False):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, AddedToken
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=pre is None)
    t.pre_tokenizer = level if pre is None else pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pre), "isolated"), level])
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    train(t, texts, ["<|endoftext|>", "<|im_start|>"], pre_tokenizers.ByteLevel.alphabet())
    t.add_special_tokens([AddedToken("<|eot|>", rstrip=True), AddedToken("<|eot_id|>", lstrip=True, normalized=False)])
    t.add_tokens([AddedToken("to\u0304kyo\u0304", normalized=True), "<think>", AddedToken("<tool>", lstrip=True, rstrip=True)])
    return t


def sentencepiece(texts, normalizer, pre, fallback=True, fuse=True, strip=True):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, AddedToken
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=fallback, fuse_unk=fuse))
    t.pre_tokenizer = pre_tokenizers.Metaspace(MARK)
    special = ["<unk>", "<s>", "</s>"]
    train(t, texts, special + [f"<0x{b:02X}>" for b in range(256)] * fallback, [MARK], 3000)
    t = Tokenizer.from_str(undeclare(t.to_str(), set(special)))
    t.normalizer, t.pre_tokenizer = normalizer, pre
    steps = [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    t.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)] * strip)
    t.add_tokens([AddedToken("<think>", normalized=True), AddedToken("<tool>", normalized=False, rstrip=True)])
    return t


def undeclare(text, kept):
    """The bytes' tokens are no added tokens: text with <0x41> is text."""
    root = json.loads(text)
    root["added_tokens"] = [token for token in root["added_tokens"] if token["content"] in kept]
    return json.dumps(root)


def begun(t, begin, ends=None):
    from tokenizers import processors
    tokens = [(x, t.token_to_id(x)) for x in (begin, ends) if x]
    t.post_processor = processors.TemplateProcessing(single=f"{begin} $A" + (f" {ends}" if ends else ""), special_tokens=tokens)
    return t


def kinds_make():
    from tokenizers import normalizers as n, pre_tokenizers as p
    texts = texts_read()
    old = n.Sequence([n.Prepend(MARK), n.Replace(" ", MARK)])
    first, every = (p.Metaspace(MARK, prepend_scheme=s, split=x) for s, x in (("first", False), ("always", True)))
    return {
        "gpt2": lambda: byte_level(texts, None),
        "gpt2 with a space before": lambda: byte_level(texts, None, prefix=True),
        "gpt2 as a split": lambda: byte_level(texts, GPT2),
        "llama3": lambda: begun(byte_level(texts, LLAMA3, ignore_merges=True), "<|endoftext|>"),
        "qwen2": lambda: byte_level(texts, QWEN2, n.NFC()),
        "llama2": lambda: begun(sentencepiece(texts, old, None), "<s>"),
        "llama2 with an end": lambda: begun(sentencepiece(texts, old, None), "<s>", "</s>"),
        "llama2 by transformers 5": lambda: sentencepiece(texts, None, first),
        "words of marks, no fallback": lambda: sentencepiece(texts, None, every, fallback=False),
        "gemma": lambda: sentencepiece(texts, n.Replace(" ", MARK), None, fallback=False, fuse=False, strip=False),
    }


# ---- strings -----------------------------------------------------------------------------------------------------------

def code_points():
    """All that can be compared."""
    from tokenizers import Regex, normalizers, pre_tokenizers
    split, form_c = pre_tokenizers.Split(Regex(r"\p{Cn}"), "removed"), normalizers.NFC()
    codes = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) not in ("Cn", "Co")]
    assigned, same = [], []
    for at in range(0, len(codes), 4096):
        text = "".join(map(chr, codes[at:at + 4096]))
        assigned += [c for word, _ in split.pre_tokenize_str(text) for c in word]
    for c in assigned:
        tries = (c + "\u0323", c + "\u0301", "a" + c + "\u0323", "a" + c + "\u0334", "a\u0345" + c, "a\u0315" + c,
                 unicodedata.normalize("NFD", c))
        if all(form_c.normalize_str(x) == unicodedata.normalize("NFC", x) for x in tries):
            same.append(c)
    print(f"{len(same)} code points, without {len(assigned) - len(same)} that the forms C differ in")
    return same


WORDS = ("the of Hello world's they'LL I'M don't x = y + 1984 3.14159 \u017fave it'\u017f to\u0304kyo\u0304 t\u014dky\u014d e\u0301toile na\u00efve <|eot|> <|eot_id|> "
         "<|endoftext|> <|im_start|> <think> <tool> <s> </s> <unk> <0x41> \u4e2d\u6587 \u0663\u0664 \U0001f600 \u1100\u1161\u11a8 \uac00\u11a8 --- ''' !?... __init__ \u2581 \u2581\u2581x "
         "return self.value 'S '\u017f ' 's").split(" ")
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\r\n", "\n\n", " \n ", "\t", "\u00a0", "\u3000", "\u2028", "\u0085", "\r", ""]


def string_make(draw, codes, marks):
    parts = []
    for _ in range(draw.randrange(14)):
        kind = draw.random()
        if kind < 0.55:
            parts.append(draw.choice(WORDS))
        elif kind < 0.75:
            parts += draw.choices(codes, k=draw.randrange(1, 5))
        elif kind < 0.85:
            parts.append(draw.choice("aeoAn\u03c5") + "".join(draw.choices(marks, k=draw.randrange(1, 4))))
        else:
            parts += draw.choices("abcdefghijklmnopqrstuvwxyzABC0123456789.,;:-_'\"()", k=draw.randrange(1, 9))
        parts.append(draw.choice(SPACES))
    return "".join(parts)


# ---- comparing ---------------------------------------------------------------------------------------------------------

def compare(name, theirs, ours, strings):
    differ = 0
    for text in strings:
        for special in (True, False):
            wanted = theirs.encode(text, add_special_tokens=special).ids
            found = ours.encode(text, special)
            if found != wanted:
                differ += 1
                if differ < 4:
                    print(f"  {name}: {text!r}\n    wanted {wanted}\n    found  {found}")
                continue
            back = theirs.decode(wanted, skip_special_tokens=special).encode()
            if ours.decode(wanted, special) != back:
                differ += 1
                if differ < 4:
                    print(f"  {name}: {text!r} decodes to\n    {ours.decode(wanted, special)}, wanted\n    {back}")
    print(f"{name}: {len(strings)} strings, {differ} differ", flush=True)
    return differ


def bench(name, theirs, ours):
    """1 MB of letters: all of it one word for the patterns of byte-level tokenizers."""
    draw = random.Random(5)
    text = "".join(draw.choices("etaoinshrdlu", k=1 << 20))
    times = []
    for encode in (lambda: theirs.encode(text, add_special_tokens=False).ids, lambda: ours.encode(text, False)):
        best = 1e9
        for _ in range(3):
            start = time.perf_counter()
            found = encode()
            best = min(best, time.perf_counter() - start)
        times.append((best, found))
    assert times[0][1] == times[1][1], name
    print(f"{name}: 1 MB without a space: package {times[0][0]:.3f} s, Weir {times[1][0]:.3f} s, ratio {times[1][0] / times[0][0]:.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--strings", type=int, default=20000)
    parser.add_argument("--folders")
    parser.add_argument("--only")
    parser.add_argument("--bench", action="store_true")
    options = parser.parse_args()
    try:
        import tokenizers
    except ImportError:
        print("skipped: the package tokenizers is not here")
        return 77
    print("tokenizers", tokenizers.__version__)
    library = ctypes.CDLL(options.library)
    codes = code_points()
    marks = [c for c in codes if unicodedata.combining(c)]
    differ = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make in kinds_make().items():
            if options.only and options.only != name:
                continue
            path = os.path.join(folder, "tokenizer.json")
            theirs = make()
            theirs.save(path)
            ours = Weir(library, path)
            draw = random.Random(name)
            if options.bench:
                bench(name, theirs, ours)
            else:
                differ += compare(name, theirs, ours, [string_make(draw, codes, marks) for _ in range(options.strings)])
        for path in sorted(glob.glob(os.path.join(options.folders or os.devnull, "**", "tokenizer.json"), recursive=True)):
            draw = random.Random(path)
            differ += compare(path, tokenizers.Tokenizer.from_file(path), Weir(library, path),
                              [string_make(draw, codes, marks) for _ in range(options.strings)])
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
