"""The book's recipe, for performance/pretrain.py: python performance/peer_book.py JOB.json

As BOOK.md of this project's sources has it: each document cut into pieces of 512 characters, each piece truncated or
padded to 512 tokens of a byte-level BPE, loss on every target that is no padding, Adam at 2e-4 without warm-up, half a
cosine down to a tenth, the gradient clipped at 1, accumulated over 8 passes whose means are averaged. The model is
LLaMA's shape written the plain way: logits of all positions at once, key–value heads repeated. What it is spared: fp16
is fp32 here, and its text is tokenized before the clock starts. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import prepared
import race
import torch
import torch.nn.functional as F
from race import Clock, Job
from torch import Tensor, nn

from woodblock.models.configuration import Config


class Norm(nn.Module):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions of x [B, T, heads, C]; cos and sin are [T, 1, C / 2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.size = config.heads, config.kv_heads, config.head_dim
        self.q_proj = nn.Linear(config.dim, config.heads * self.size, bias=False)
        self.k_proj = nn.Linear(config.dim, config.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(config.dim, config.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(config.heads * self.size, config.dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, dim = x.shape
        q = turned(self.q_proj(x).view(batch, length, self.heads, self.size), cos, sin)
        k = turned(self.k_proj(x).view(batch, length, self.kv_heads, self.size), cos, sin)
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.size)
        k, v = (heads.repeat_interleave(self.heads // self.kv_heads, dim=2) for heads in (k, v))
        mixed = F.scaled_dot_product_attention(*(heads.transpose(1, 2) for heads in (q, k, v)), is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, dim))


class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.dim, config.hidden_dim, bias=False)
        self.up_proj = nn.Linear(config.dim, config.hidden_dim, bias=False)
        self.down_proj = nn.Linear(config.hidden_dim, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(config.dim, config.norm_eps), Attention(config)
        self.post_attention_layernorm, self.mlp = Norm(config.dim, config.norm_eps), FeedForward(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """ids [B, T] → logits [B, T, vocabulary], output tied to input; parameters bear woodblock's names."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = Norm(config.dim, config.norm_eps)
        half = torch.arange(0, config.head_dim, 2) / config.head_dim
        self.frequencies = config.rope_theta**-half
        narrow = (2 * config.layers) ** -0.5
        for name, weight in self.named_parameters():
            if (
                weight.ndim == 2
            ):  # the book narrows another projection of the feed-forward part than it should: w3, the up one
                nn.init.normal_(
                    weight, 0.0, 0.02 * (narrow if name.endswith(("o_proj.weight", "up_proj.weight")) else 1)
                )

    def forward(self, ids: Tensor) -> Tensor:
        angles = torch.outer(torch.arange(ids.shape[1]), self.frequencies)[:, None]
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin())
        return F.linear(self.norm(x), self.embed_tokens.weight)


def train(job: Job) -> dict[str, Any]:
    config, settings = job.config(), job.settings
    torch.manual_seed(job.seed)
    pieces = np.load(job.prepared / "rows.npy", mmap_mode="r")
    clock = Clock(job, lambda: model.state_dict())
    model = Llama(config)
    adam = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    taken = positions = 0
    while clock.more():
        for group in adam.param_groups:
            group["lr"] = settings["learning_rate"] * race.cosine(clock.share(), 0.0, 0.1)
        learned, total = 0, 0.0
        for _ in range(settings["accumulate"]):
            rows = torch.from_numpy(pieces[taken : taken + settings["rows"]].astype(np.int64))
            if not len(rows):
                raise SystemExit(f"the book's recipe has read all {len(pieces):,} pieces; raise prepared.BOOK_PIECES")
            taken, positions = taken + len(rows), positions + rows[:, 1:].numel()
            targets = rows[:, 1:]
            losses = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), targets.flatten(), reduction="none")
            wanted = (targets != prepared.BOOK_END).flatten()
            loss = (losses * wanted).sum() / wanted.sum()
            (loss / settings["accumulate"]).backward()
            learned, total = learned + int(wanted.sum()), total + loss.item() / settings["accumulate"]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        clock.step(learned, total)
    trained = clock.finish() | {"padding_share": 1 - clock.tokens / positions}
    return race.report(trained, clock.snapshots, race.Score(config, *prepared.held_out_of_book(job.prepared)))


if __name__ == "__main__":
    print(json.dumps(train(Job.load(sys.argv[1]))))
