"""What this GPU can do, by PyTorch: copies, the products of GPT-2 124M in bf16 for 16,384 tokens, and its attention.

Every figure is a line of its own as soon as it is there.  Times are medians over several runs, between events of the GPU, on
random numbers: zeros are faster.
"""
import statistics
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

ROWS, WIDTH, HEADS = 16 * 1024, 768, 12


def say(text):
    print(text, flush=True)


def milliseconds(run, times=10):
    for _ in range(3):
        run()
    taken = []
    for _ in range(times):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end))
    return statistics.median(taken)


def numbers(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def copy():
    a = torch.randn(1 << 30, device="cuda")
    b = torch.empty_like(a)
    ms = milliseconds(lambda: b.copy_(a))
    say(f"copy of 4 GiB: {2 * a.numel() * 4 / ms / 1e9:.2f} TB/s")


def product(what, m, n, k):
    a, b = numbers(m, k), numbers(k, n)
    c = torch.empty(m, n, device="cuda", dtype=torch.bfloat16)
    ms = milliseconds(lambda: torch.matmul(a, b, out=c))
    say(f"product {what} {m} x {n} x {k}: {ms:.3f} ms, {2e-9 * m * n * k / ms:.0f} TFLOP/s")


def products():
    product("square", 8192, 8192, 8192)
    for what, out, into in (("c_attn", 3 * WIDTH, WIDTH), ("c_proj", WIDTH, WIDTH), ("c_fc", 4 * WIDTH, WIDTH),
                            ("mlp c_proj", WIDTH, 4 * WIDTH), ("lm_head", 50257, WIDTH), ("lm_head, padded", 50304, WIDTH)):
        product(what + " y", ROWS, out, into)
        product(what + " dx", ROWS, into, out)
        product(what + " dw", out, into, ROWS)


def attention(what, backend):
    q, k, v = (numbers(16, HEADS, 1024, WIDTH // HEADS).requires_grad_() for _ in range(3))
    dy = numbers(16, HEADS, 1024, WIDTH // HEADS)
    with sdpa_kernel(backend):
        forward = milliseconds(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True))

        def both():
            F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(dy)

        say(f"attention of a layer by {what}: forward {forward:.3f} ms, with backward {milliseconds(both):.3f} ms")


def main():
    if not torch.cuda.is_available():
        print("torch sees no CUDA device")
        sys.exit(77)
    say(f"torch {torch.__version__}, cuda {torch.version.cuda}, cudnn {torch.backends.cudnn.version()}, "
        f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).multi_processor_count} processors")
    for run in (copy, products, lambda: attention("flash", SDPBackend.FLASH_ATTENTION),
                lambda: attention("cudnn", SDPBackend.CUDNN_ATTENTION)):
        try:
            run()
        except RuntimeError as error:  # the others are asked for all the same
            say(f"failed: {str(error).splitlines()[0]}")


main()
