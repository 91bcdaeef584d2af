"""The decoder of LLaMA in PyTorch, written to be read: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied
embeddings, no bias. With QK-norm it is the decoder of Qwen3.

Parameters have the names of Hugging Face's LlamaForCausalLM or Qwen3ForCausalLM (without their "model." in front), so a
model is saved by copying. The numbers of a model are in configuration.py, positions in rotary_positions.py, the cache for
generation in kv_cache.py, the loss in chunks in cross_entropy.py. kernels.py computes the same faster on a CPU. Sources:
Touvron et al. 2023 (LLaMA 2); Yang et al. 2025 (Qwen3); Zhang & Sennrich 2019 (RMSNorm); Su et al. 2021 (rotary
positions); Ainslie et al. 2023 (grouped queries); Shazeer 2020 (SwiGLU); Press & Wolf 2017 (tied embeddings); Henry et
al. 2020 (QK-norm).

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
from woodblock.models.cross_entropy import LinearCrossEntropy, product
from woodblock.models.kv_cache import Cache
from woodblock.models.rotary_positions import rotary_table, rotate

Mask = Tensor | flex.BlockMask


class RMSNorm(nn.Module):
    """Scales each vector to a root mean square of 1, then by a learned weight. Unlike LayerNorm it subtracts no mean."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def document_numbers(ids: Tensor, start_id: int) -> Tensor:
    """For each of ids [B, T] the number of its document within the row [B, T].

    A document begins with its start token. What comes before a row's first start token, the end of an earlier document,
    has number 0. Works on any device, without waiting for it.
    """
    return (ids == start_id).cumsum(dim=1)


def document_mask(documents: Tensor, head_dim: int) -> Mask:
    """The mask for attention that is causal and stays within documents [B, T].

    On a CPU it is a mask [B, 1, T, T] for scaled_dot_product_attention. On a GPU it is a block mask of FlexAttention (Dong
    et al. 2024), whose kernel skips the blocks of 128 × 128 positions in which nothing is seen; it needs heads of at
    least 16 channels. There the function is compiled, so that the T × T mask is never written to memory.
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
    """Whether FlexAttention's kernel can be used: on a CPU it has no backward pass."""
    return documents.is_cuda and head_dim >= 16


@functools.cache
def compiled(function: Any) -> Any:
    """The compiled function; each function is compiled once in a process, at its first call."""
    return torch.compile(function)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Mask | None) -> Tensor:
    """Softmax attention of q [B, H, T, C] over k and v [B, K, S, C]; without a mask it is causal, and T = S.

    A boolean mask is broadcast to [B, H, T, S]; it is true where a key is seen.
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
        if self.qk_norm:  # autocast may norm in fp32, but q, k and v must have one type
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
    """Attention, then feed-forward. Each reads a normalised copy of the residual stream, and its result is added to it."""

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
        """The same with the kernels for CPUs. rotary [2, T, C / 2]; starts [B, T]: where each position's document begins."""
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

        So at first a layer changes nothing (Zhang et al. 2019, Fixup; Yang & Hu 2021 for the outputs of a network). The
        weights are drawn on the CPU, so that every device starts from the same ones.
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

        With a cache, the ids continue each row after its length (which the caller then increases); without one they start
        at position 0. documents [B, T], on the ids' device: the number of each id's document within its row (see
        document_numbers); attention then stays within documents. Positions are not reset at the start of a document. That
        changes nothing, since rotary positions are relative. Documents and a cache cannot be used together.
        Raises ValueError for more positions than the context has.
        """
        length = ids.shape[1]
        if cache is None:
            if length > self.config.context:
                raise ValueError(f"{length} tokens are more than the model's context of {self.config.context}")
            if kernels.serve(self.embed_tokens.weight, length):
                return self.norm(self.hidden_by_hand(ids, documents))
            rotary = self.rotary[:, :length]
            mask = None if documents is None else document_mask(documents, self.config.head_dim)
        elif documents is not None:
            raise ValueError("a cache has one document a row: it cannot be used with document numbers")
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
        return self.logits(self.hidden(ids, cache))

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] in fp32 of normalised outputs [..., D].

        Under autocast both factors are bf16, as in training, but the result is not rounded to bf16. That would leave a
        logit of 10 three digits, and two that are close would be equal.
        """
        device = hidden.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.embed_tokens.weight.dtype
        with torch.autocast(device, enabled=False):
            rows = hidden.reshape(-1, hidden.shape[-1]).to(kind)
            return product(rows, self.embed_tokens.weight.to(kind).T).view(*hidden.shape[:-1], -1)

    def loss(
        self, ids: Tensor, targets: Tensor, documents: Tensor | None = None, *, count: int | None = None
    ) -> Tensor:
        """Summed negative log-likelihood, in nats, of targets [B, T] after ids [B, T]; targets below 0 do not count.

        documents: as for `hidden`. count: how many targets count, if the caller knows it. Then logits are computed only
        for these positions: in fine-tuning, only for replies. Without it, a CPU counts them itself, which costs nothing. On
        a GPU counting would mean waiting for the device. So there all logits are computed, and those without a target are
        left out of the sum.
        """
        hidden, wanted = self.hidden(ids, documents=documents).flatten(0, 1), targets.flatten()
        if count is None and wanted.device.type == "cpu":
            count = int((wanted >= 0).sum())
        if count is not None and count < len(wanted):
            # The places of the targets, in order. A boolean index would have to ask the device how many there are.
            kept = (wanted < 0).to(torch.uint8).argsort(stable=True)[:count]
            hidden, wanted = hidden[kept], wanted[kept]
        by_hand = kernels.serve(self.embed_tokens.weight, ids.shape[1])
        loss = kernels.CrossEntropy if by_hand else LinearCrossEntropy
        return loss.apply(hidden, self.embed_tokens.weight, wanted)
