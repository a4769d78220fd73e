"""GPT-2 and Llama for PyTorch, in the layers that Weir cuts a model at: a stage is a run of them.

    plan(config)                                 config: a Hugging Face config.json
    layer_make(kind, prefix, config, file)       one entry of the plan, with its values out of a safetensors file

What GPT-2's files hold as (in, out) is turned into the (out, in) of nn.Linear.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Gpt2Embed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte = nn.Embedding(c["vocab_size"], c["n_embd"])
        self.wpe = nn.Embedding(c["n_positions"], c["n_embd"])

    def forward(self, tokens):
        return self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]


class Gpt2Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["n_embd"]
        self.heads = c["n_head"]
        self.ln = nn.LayerNorm(width, eps=c["layer_norm_epsilon"])
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.c_attn(self.ln(x)).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.c_proj(y.transpose(1, 2).reshape(b, t, c))


class Gpt2Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, inner = c["n_embd"], c.get("n_inner") or 4 * c["n_embd"]
        self.ln = nn.LayerNorm(width, eps=c["layer_norm_epsilon"])
        self.c_fc, self.c_proj = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        return x + self.c_proj(F.gelu(self.c_fc(self.ln(x)), approximate="tanh"))


class Gpt2Head(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln = nn.LayerNorm(c["n_embd"], eps=c["layer_norm_epsilon"])
        self.out = nn.Linear(c["n_embd"], c["vocab_size"], bias=False)

    def forward(self, x):
        return self.out(self.ln(x))


class LlamaEmbed(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])

    def forward(self, tokens):
        return self.embed_tokens(tokens)


def rotation(config, head):
    theta = (config.get("rope_parameters") or {}).get("rope_theta") or config.get("rope_theta", 10000.0)
    turns = torch.arange(config["max_position_embeddings"]).float()[:, None] * theta ** (-torch.arange(0, head, 2).float() / head)
    turns = torch.cat([turns, turns], dim=1)
    return turns.cos(), turns.sin()


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class LlamaAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, self.heads = c["hidden_size"], c["num_attention_heads"]
        self.kv_heads = c.get("num_key_value_heads") or self.heads
        self.head = c.get("head_dim") or width // self.heads
        self.norm = nn.RMSNorm(width, eps=c["rms_norm_eps"])
        self.q_proj = nn.Linear(width, self.heads * self.head, bias=False)
        self.k_proj = nn.Linear(width, self.kv_heads * self.head, bias=False)
        self.v_proj = nn.Linear(width, self.kv_heads * self.head, bias=False)
        self.o_proj = nn.Linear(self.heads * self.head, width, bias=False)
        cos, sin = rotation(c, self.head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x):
        b, t, _ = x.shape
        h = self.norm(x)
        q, k, v = (p(h).view(b, t, -1, self.head).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = (rotate(y, self.cos[:t], self.sin[:t]) for y in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.kv_heads != self.heads)
        return x + self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


class LlamaMlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, inner = c["hidden_size"], c["intermediate_size"]
        self.norm = nn.RMSNorm(width, eps=c["rms_norm_eps"])
        self.gate_proj, self.up_proj = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        h = self.norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class LlamaHead(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = nn.RMSNorm(c["hidden_size"], eps=c["rms_norm_eps"])
        self.out = nn.Linear(c["hidden_size"], c["vocab_size"], bias=False)

    def forward(self, x):
        return self.out(self.norm(x))


NAMES = {  # prefix of the block left out: what a module's parameters are called in the files
    Gpt2Embed: {"wte": "wte", "wpe": "wpe"},
    Gpt2Attention: {"ln": "ln_1", "c_attn": "attn.c_attn", "c_proj": "attn.c_proj"},
    Gpt2Mlp: {"ln": "ln_2", "c_fc": "mlp.c_fc", "c_proj": "mlp.c_proj"},
    Gpt2Head: {"ln": "ln_f", "out": "wte"},
    LlamaEmbed: {"embed_tokens": "model.embed_tokens"},
    LlamaAttention: {"norm": "input_layernorm", **{f"{p}_proj": f"self_attn.{p}_proj" for p in "qkvo"}},
    LlamaMlp: {"norm": "post_attention_layernorm", **{f"{p}_proj": f"mlp.{p}_proj" for p in ("gate", "up", "down")}},
    LlamaHead: {"norm": "model.norm", "out": "lm_head"},
}


def is_gpt2(config):
    return config["model_type"] == "gpt2"


def is_tied(config):
    return config.get("tie_word_embeddings", is_gpt2(config))


def plan(config):
    """[(class, prefix)] of all layers, in Weir's order."""
    if is_gpt2(config):
        blocks = [(kind, f"h.{i}.") for i in range(config["n_layer"]) for kind in (Gpt2Attention, Gpt2Mlp)]
        return [(Gpt2Embed, ""), *blocks, (Gpt2Head, "")]
    blocks = [(kind, f"model.layers.{i}.") for i in range(config["num_hidden_layers"]) for kind in (LlamaAttention, LlamaMlp)]
    return [(LlamaEmbed, ""), *blocks, (LlamaHead, "")]


def layer_make(kind, prefix, config, file):
    """`file`: an opened safetensors file, of which only this layer's tensors are read."""
    module, found = kind(config), {name.removeprefix("transformer."): name for name in file.keys()}
    with torch.no_grad():
        for own, parameter in module.named_parameters():
            part, _, last = own.rpartition(".")
            name = f"{prefix}{NAMES[kind][part]}.{last}"
            if kind is LlamaHead and part == "out" and is_tied(config):
                name = "model.embed_tokens.weight"
            value = file.get_tensor(found[name])
            turned = kind in (Gpt2Attention, Gpt2Mlp) and value.dim() == 2
            parameter.copy_(value.T if turned else value)
    return module
