"""LLaMA's shape in PyTorch, written to be read: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied
embeddings, no bias.

Parameters bear the names of Hugging Face's LlamaForCausalLM (without its "model." in front), so that saving is copying.
Sources: Touvron et al. 2023 (LLaMA 2); Zhang & Sennrich 2019 (RMSNorm); Su et al. 2021 (rotary positions); Ainslie et
al. 2023 (grouped queries); Shazeer 2020 (SwiGLU); Press & Wolf 2017 (tied embeddings).

In shapes below, B is the batch, T the length, D the model's dim, H the heads, K the key–value heads, C = D / H.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    vocab_size: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    hidden_dim: int  # of the feed-forward part
    context: int  # longest sequence
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    init_std: float = 0.02

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


class RMSNorm(nn.Module):
    """Scales each vector to a root mean square of 1, then by a learned weight. Unlike LayerNorm it does not centre."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotary_table(length: int, head_dim: int, theta: float) -> Tensor:
    """Cosines and sines of the rotary angles [2, length, head_dim].

    Position p turns the pair (i, i + C/2) by the angle p · θ^(−2i/C). Halves are paired, as in Hugging Face's Llama, and
    not neighbours, as in the paper: the two differ by a permutation of the channels of q and k.
    """
    frequencies = theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn queries or keys x [B, heads, T, C] by a rotary table [2, T, C] or [2, B, 1, T, C]."""
    cos, sin = table.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class LinearCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of a linear layer's outputs, without ever holding all the logits.

    Rows are treated in chunks that fit a cache: logits, loss and both gradients, all in place, in the forward pass. The
    logits of a batch are its largest tensor by far; written to memory and read back, they cost more time than the
    products that make them. Source of the idea: Wijmans et al. 2024, Cut Your Losses; Hsu et al. 2024, Liger kernels.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, rows: int) -> Tensor:
        """hidden [N, D], weight [V, D], targets [N] in 0 … V − 1; returns the loss in nats, summed over N."""
        kind = (
            torch.get_autocast_dtype("cuda") if hidden.is_cuda and torch.is_autocast_enabled("cuda") else hidden.dtype
        )
        wanted = ctx.needs_input_grad[0]
        loss = torch.zeros((), device=hidden.device)
        hidden_grad = torch.empty(hidden.shape, dtype=kind, device=hidden.device) if wanted else None
        weight_grad = torch.zeros(weight.shape, device=weight.device) if wanted else None
        w = weight.to(kind)
        for start in range(0, len(hidden), rows):
            h, right = hidden[start : start + rows].to(kind), targets[start : start + rows, None]
            z = (h @ w.T).float()
            highest = z.amax(dim=1, keepdim=True)
            loss += (highest - z.gather(1, right)).sum()
            total = z.sub_(highest).exp_().sum(dim=1, keepdim=True)
            loss += total.log().sum()
            if wanted:  # the gradient of the logits: softmax, less one at the target
                z.div_(total).scatter_add_(1, right, torch.full_like(total, -1.0))
                torch.mm(z.to(kind), w, out=hidden_grad[start : start + rows])
                weight_grad += z.to(kind).T @ h
        if wanted:
            ctx.save_for_backward(hidden_grad.to(hidden.dtype), weight_grad.to(weight.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * scale, weight_grad * scale, None, None


class Cache:
    """Keys and values of what was read so far, for generation: [layers, B, K, length, C] each.

    lengths [B] counts the tokens of each row. Rows are aligned at their starts, so prompts of different lengths need no
    padding on the left: what a shorter row holds beyond its length is masked, and then overwritten.
    """

    def __init__(self, config: Config, batch: int, length: int, like: Tensor) -> None:
        shape = (config.layers, batch, config.kv_heads, length, config.head_dim)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.lengths = torch.zeros(batch, dtype=torch.long, device=like.device)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write new keys and values [B, K, T, C] behind each row's length; return all of the layer's."""
        if keys.dtype != self.keys.dtype:  # under autocast: kept as attention takes them, in half the memory
            self.keys, self.values = self.keys.to(keys.dtype), self.values.to(values.dtype)
        batch, kv_heads, new, _ = keys.shape
        rows = torch.arange(batch, device=keys.device)[:, None, None]
        heads = torch.arange(kv_heads, device=keys.device)[None, :, None]
        places = (self.lengths[:, None] + torch.arange(new, device=keys.device))[:, None, :]
        self.keys[layer][rows, heads, places] = keys
        self.values[layer][rows, heads, places] = values
        return self.keys[layer], self.values[layer]

    def take(self, rows: Tensor) -> Cache:
        """The cache of some rows alone; rows: a mask [B]."""
        left = object.__new__(Cache)
        left.keys, left.values, left.lengths = self.keys[:, rows], self.values[:, rows], self.lengths[rows]
        return left


class Attention(nn.Module):
    """Causal self-attention in which groups of H / K query heads share one key–value head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.heads, config.kv_heads, config.head_dim
        kv_dim = config.kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.dim, config.dim, bias=False)
        self.k_proj = nn.Linear(config.dim, kv_dim, bias=False)
        self.v_proj = nn.Linear(config.dim, kv_dim, bias=False)
        self.o_proj = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, rotary: Tensor, cache: Cache | None, layer: int, mask: Tensor | None) -> Tensor:
        batch, length, dim = x.shape
        q = self.q_proj(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        q, k = rotate(q, rotary), rotate(k, rotary)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=self.heads != self.kv_heads
        )
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, dim))


class FeedForward(nn.Module):
    """SwiGLU: a gated hidden layer, down(silu(gate(x)) · up(x))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.dim, config.hidden_dim, bias=False)
        self.up_proj = nn.Linear(config.dim, config.hidden_dim, bias=False)
        self.down_proj = nn.Linear(config.hidden_dim, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then feed-forward, each on a normalised copy of the residual stream and added back to it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.dim, config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, rotary: Tensor, cache: Cache | None, layer: int, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary, cache, layer, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """The language model: ids [B, T] → logits [B, T, vocabulary]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        table = rotary_table(config.context, config.head_dim, config.rope_theta)
        self.register_buffer("rotary", table, persistent=False)

    def initialise(self, seed: int) -> Transformer:
        """Draw the weights: N(0, init_std), and the two projections into the residual stream narrower by √(2 · layers).

        Each layer adds twice to the stream; so its variance does not grow with depth (Radford et al. 2019, GPT-2).
        Drawn on the CPU, so that every device starts from the same weights.
        """
        draw = torch.Generator().manual_seed(seed)
        narrow = 1 / math.sqrt(2 * self.config.layers)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim < 2:
                    weight.fill_(1.0)
                    continue
                scale = narrow if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                drawn = torch.empty(weight.shape).normal_(0.0, self.config.init_std * scale, generator=draw)
                weight.copy_(drawn)
        return self

    def hidden(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """The last layer's normalised output [B, T, D] for ids [B, T].

        With a cache the ids continue each row behind its length (which the caller then advances); without one they start
        at position 0. Raises ValueError for more positions than the context has.
        """
        length = ids.shape[1]
        if cache is None:
            if length > self.config.context:
                raise ValueError(f"{length} tokens are over the model's context of {self.config.context}")
            rotary, mask = self.rotary[:, :length], None
        else:
            positions = cache.lengths[:, None] + torch.arange(length, device=ids.device)  # [B, T]
            rotary = self.rotary[:, positions.clamp(max=self.config.context - 1)].unsqueeze(2)  # [2, B, 1, T, C]
            places = torch.arange(cache.keys.shape[3], device=ids.device)
            mask = (places <= positions[..., None])[:, None]  # [B, 1, T, cache length]
        x = self.embed_tokens(ids)
        for number, layer in enumerate(self.layers):
            x = layer(x, rotary, cache, number, mask)
        return self.norm(x)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        return self.hidden(ids, cache) @ self.embed_tokens.weight.T

    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Summed negative log-likelihood, in nats, of targets [B, T] after ids [B, T]; targets below 0 do not count.

        Logits are computed only where there is a target: in fine-tuning that is on replies alone.
        """
        hidden, wanted = self.hidden(ids).flatten(0, 1), targets.flatten()
        if not bool((wanted >= 0).all()):
            kept = wanted >= 0
            hidden, wanted = hidden[kept], wanted[kept]
        rows = 256 if hidden.device.type == "cpu" else 4096  # 4 MB of logits for a cache; enough work for a GPU
        return LinearCrossEntropy.apply(hidden, self.embed_tokens.weight, wanted, rows)


def autocast(device: torch.device) -> Any:
    """bf16 products on a GPU; fp32 elsewhere (on a CPU bf16 is tens of times slower)."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def count_parameters(config: Config) -> int:
    """The number of parameters, tied embeddings counted once."""
    kv_dim = config.kv_heads * config.head_dim
    attention = 2 * config.dim * config.dim + 2 * config.dim * kv_dim
    layer = attention + 3 * config.dim * config.hidden_dim + 2 * config.dim
    return config.vocab_size * config.dim + config.layers * layer + config.dim


def flops_per_token(config: Config, length: int) -> int:
    """Floating-point operations a trained token, forward and backward, at sequences of `length`.

    Six for each weight of a matrix (the embedding counts once, as the output layer), and for attention's two products
    12 · length · D a layer, halved since it is causal (Kaplan et al. 2020, and Chowdhery et al. 2022, appendix B).
    """
    norms = config.dim * (2 * config.layers + 1)
    return 6 * (count_parameters(config) - norms) + 6 * config.layers * config.dim * length
