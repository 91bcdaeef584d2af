"""LLaMA's shape in PyTorch, written to be read: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied
embeddings, no bias; with QK-norm it is Qwen3's.

Parameters bear the names of Hugging Face's LlamaForCausalLM or Qwen3ForCausalLM (without their "model." in front), so
that saving is copying. The numbers of a model are in configuration.py; positions (rotary_positions.py), the cache of
generation (kv_cache.py) and the loss in chunks (cross_entropy.py) each have a file of their own; kernels.py computes the
same faster on a CPU. Sources: Touvron et al. 2023 (LLaMA 2); Yang et al. 2025 (Qwen3); Zhang & Sennrich 2019 (RMSNorm);
Su et al. 2021 (rotary positions); Ainslie et al. 2023 (grouped queries); Shazeer 2020 (SwiGLU); Press & Wolf 2017 (tied
embeddings); Henry et al. 2020 (QK-norm).

In shapes below, B is the batch, T the length, D the model's dim, H the heads, K the key–value heads, C = D / H.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import flex_attention as flex

from woodblock.models import kernels
from woodblock.models.configuration import Config
from woodblock.models.cross_entropy import LinearCrossEntropy
from woodblock.models.kv_cache import Cache
from woodblock.models.rotary_positions import rotary_table, rotate

Mask = Tensor | flex.BlockMask


class RMSNorm(nn.Module):
    """Scales each vector to a root mean square of 1, then by a learned weight. Unlike LayerNorm it does not centre."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def document_numbers(ids: Tensor, start_id: int) -> Tensor:
    """The number [B, T] within its row of the document that each of ids [B, T] belongs to.

    A document begins with its start token; what stands before a row's first one, the end of a document that began
    earlier, is number 0. Works on any device, without waiting for it.
    """
    return (ids == start_id).cumsum(dim=1)


def document_mask(documents: Tensor, head_dim: int) -> Mask:
    """What attention may see when it is causal and stays within documents [B, T].

    On a CPU a mask [B, 1, T, T] for scaled_dot_product_attention. On a GPU a block mask of FlexAttention (Dong et al.
    2024), whose kernel skips the blocks of 128 × 128 positions in which nothing is seen; it takes heads of 16 channels
    or more. Compiled there, so that the T × T mask it is counted from is never written to memory.
    """
    rows, length = documents.shape
    if not is_fused(documents, head_dim):
        causal = torch.ones(length, length, dtype=torch.bool, device=documents.device).tril()
        return ((documents[:, :, None] == documents[:, None, :]) & causal)[:, None]

    def seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (documents[row, query] == documents[row, key])

    make = flex.create_block_mask if torch.compiler.is_compiling() else compiled(flex.create_block_mask)
    return make(seen, rows, None, length, length, device=documents.device)


def is_fused(documents: Tensor, head_dim: int) -> bool:
    """Whether FlexAttention's kernel serves here: on a CPU it has no backward pass."""
    return documents.is_cuda and head_dim >= 16


@functools.cache
def compiled(function: Any) -> Any:
    """A function compiled when it is first called; each once a process."""
    return torch.compile(function)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
    """Softmax attention of q [B, H, T, C] over k and v [B, K, S, C]; without a mask it is causal, and T = S.

    A boolean mask is broadcast over [B, H, T, S] and true where a key is seen.
    """
    grouped = q.shape[1] != k.shape[1]
    if isinstance(mask, flex.BlockMask):
        run = flex.flex_attention if torch.compiler.is_compiling() else compiled(flex.flex_attention)
        return run(q, k, v, block_mask=mask, enable_gqa=grouped)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)


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
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, config.norm_eps)
        self.qk_norm = config.qk_norm

    def forward(self, x: Tensor, rotary: Tensor, cache: Cache | None, layer: int, mask: Mask | None) -> Tensor:
        batch, length, dim = x.shape
        q = self.q_proj(x).view(batch, length, self.heads, self.head_dim)
        k = self.k_proj(x).view(batch, length, self.kv_heads, self.head_dim)
        v = self.v_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        if self.qk_norm:  # autocast may norm in fp32; all three go on in one type
            q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        q, k = rotate(q.transpose(1, 2), rotary), rotate(k.transpose(1, 2), rotary)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        return self.o_proj(attend(q, k, v, mask).transpose(1, 2).reshape(batch, length, dim))


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

    def forward(self, x: Tensor, rotary: Tensor, cache: Cache | None, layer: int, mask: Mask | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary, cache, layer, mask)
        return x + self.mlp(self.post_attention_layernorm(x))

    def by_hand(self, x: Tensor, rotary: Tensor, starts: Tensor) -> Tensor:
        """The same by the kernels for CPUs. rotary [2, T, C / 2]; starts [B, T]: where each position's document begins."""
        attention, mlp = self.self_attn, self.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        norms = (attention.q_norm.weight, attention.k_norm.weight) if attention.qk_norm else (None, None)
        x = kernels.SelfAttention.apply(
            x,
            rotary,
            starts,
            self.input_layernorm.eps,
            self.input_layernorm.weight,
            *(p.weight for p in projections),
            *norms,
        )
        weights = (self.post_attention_layernorm, mlp.gate_proj, mlp.up_proj, mlp.down_proj)
        return kernels.FeedForward.apply(x, self.input_layernorm.eps, *(part.weight for part in weights))


class Transformer(nn.Module):
    """The language model: ids [B, T] → logits [B, T, vocabulary]."""

    rotary: Tensor  # the table of positions: a buffer

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.register_buffer("rotary", rotary_table(config), persistent=False)

    def initialise(self, seed: int) -> Transformer:
        """Draw the weights: N(0, init_std), and zeros for the two projections into the residual stream.

        So each layer begins as one that changes nothing, and adds as it learns (Zhang et al. 2019, Fixup; Yang & Hu 2021
        for the outputs of a network). Drawn on the CPU, so that every device starts from the same weights.
        """
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if weight.ndim < 2:
                    weight.fill_(1.0)
                elif name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.zero_()
                else:
                    weight.copy_(torch.empty(weight.shape).normal_(0.0, self.config.init_std, generator=draw))
        return self

    def hidden(self, ids: Tensor, cache: Cache | None = None, documents: Tensor | None = None) -> Tensor:
        """The last layer's normalised output [B, T, D] for ids [B, T].

        With a cache the ids continue each row behind its length (which the caller then advances); without one they start
        at position 0. documents [B, T], on the ids' device: numbers that are equal within a document and differ between
        those of a row (document_numbers makes them); attention then stays within documents. Positions run on over their
        borders, which changes nothing: rotary positions are relative. Documents and a cache exclude each other.
        Raises ValueError for more positions than the context has.
        """
        length = ids.shape[1]
        if cache is None:
            if length > self.config.context:
                raise ValueError(f"{length} tokens are over the model's context of {self.config.context}")
            if kernels.serve(self.embed_tokens.weight, length):
                return self.norm(self.hidden_by_hand(ids, documents))
            rotary = self.rotary[:, :length]
            mask = None if documents is None else document_mask(documents, self.config.head_dim)
        elif documents is not None:
            raise ValueError("a cache holds one document a row: it goes with no document numbers")
        else:
            positions = cache.lengths[:, None] + torch.arange(length, device=ids.device)  # [B, T]
            rotary = self.rotary[:, positions.clamp(max=self.config.context - 1)].unsqueeze(2)  # [2, B, 1, T, C]
            places = torch.arange(cache.keys.shape[3], device=ids.device)
            mask = (places <= positions[..., None])[:, None]  # [B, 1, T, cache length]
        x = self.embed_tokens(ids)
        for number, layer in enumerate(self.layers):
            x = layer(x, rotary, cache, number, mask)
        return self.norm(x)

    def hidden_by_hand(self, ids: Tensor, documents: Tensor | None) -> Tensor:
        length, half = ids.shape[1], self.config.head_dim // 2
        rotary = self.rotary[:, :length, :half].contiguous()
        starts = kernels.document_starts(documents, *ids.shape)
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = cast(Layer, layer).by_hand(x, rotary, starts)
        return x

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        return self.hidden(ids, cache) @ self.embed_tokens.weight.T

    def loss(
        self, ids: Tensor, targets: Tensor, documents: Tensor | None = None, *, count: int | None = None
    ) -> Tensor:
        """Summed negative log-likelihood, in nats, of targets [B, T] after ids [B, T]; targets below 0 do not count.

        documents: as for `hidden`. count: how many targets count, where the caller knows it. Logits are then computed
        for these positions alone: in fine-tuning that is for replies alone. Without it they are on a CPU too, where
        counting is free; on a GPU it would mean to wait for the device, so logits are computed everywhere, and those
        without a target left out of the sum.
        """
        hidden, wanted = self.hidden(ids, documents=documents).flatten(0, 1), targets.flatten()
        if count is None and wanted.device.type == "cpu":
            count = int((wanted >= 0).sum())
        if count is not None and count < len(wanted):
            # The places of the targets, in order: a sort knows how many to keep, where a boolean index asks the device.
            kept = (wanted < 0).to(torch.uint8).argsort(stable=True)[:count]
            hidden, wanted = hidden[kept], wanted[kept]
        by_hand = kernels.serve(self.embed_tokens.weight, ids.shape[1])
        loss = kernels.CrossEntropy if by_hand else LinearCrossEntropy
        return loss.apply(hidden, self.embed_tokens.weight, wanted)
