"""GPT-2 124M by PyTorch, compiled, with its flash attention: tokens per second of training steps in bf16, 16 x 1024 tokens.

Weights are f32 and products bf16 (autocast), AdamW is fused, two micro-batches make a step as in Weir's run.
"""
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SAMPLES, POSITIONS, WIDTH, HEADS, LAYERS, WORDS = 16, 1024, 768, 12, 12, 50257


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.c_fc, self.c_out = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, HEADS, c // HEADS).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c)
        x = x + self.c_proj(y)
        return x + self.c_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.h = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)
        nn.init.normal_(self.wte.weight, std=0.02)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, WORDS), targets.view(-1))


def step(model, optimizer, tokens, targets):
    for _ in range(2):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(tokens, targets) / 2
        loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def main():
    if not torch.cuda.is_available():
        print("torch sees no CUDA device")
        sys.exit(77)
    torch.manual_seed(7)
    model = GPT2().cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    tokens = torch.randint(WORDS, (SAMPLES, POSITIONS), device="cuda")
    compiled = torch.compile(model)
    begin = time.perf_counter()
    step(compiled, optimizer, tokens, tokens)
    torch.cuda.synchronize()
    print(f"torch, compiling and the first step: {time.perf_counter() - begin:.1f} s", flush=True)
    rates = []
    for k in range(8):
        begin = time.perf_counter()
        step(compiled, optimizer, tokens, tokens)
        torch.cuda.synchronize()
        if k >= 2:
            rates.append(2 * SAMPLES * POSITIONS / (time.perf_counter() - begin))
    print(f"torch, gpt2 124M, bf16, 16 x 1024, 2 micro-batches, compiled: {statistics.median(rates):.0f} tokens/s "
          f"({min(rates):.0f} to {max(rates):.0f} over {len(rates)} steps)", flush=True)


main()
