"""LLaMA's shape in PyTorch, written to be read: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied
embeddings, no bias; with QK-norm it is Qwen3's.

Parameters bear the names of Hugging Face's LlamaForCausalLM or Qwen3ForCausalLM (without their "model." in front), so
that saving is copying. Sources: Touvron et al. 2023 (LLaMA 2); Yang et al. 2025 (Qwen3); Zhang & Sennrich 2019 (RMSNorm);
Su et al. 2021 (rotary positions); Ainslie et al. 2023 (grouped queries); Shazeer 2020 (SwiGLU); Press & Wolf 2017 (tied
embeddings); Henry et al. 2020 (QK-norm).

In shapes below, B is the batch, T the length, D the model's dim, H the heads, K the key–value heads, C = D / H.
"""

from __future__ import annotations

import functools
import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import flex_attention as flex

from woodblock.models import kernels

RopeScaling = Literal["linear", "yarn", "llama3"]
Mask = Tensor | flex.BlockMask


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
    qk_norm: bool = False  # an RMSNorm on each head's queries and keys: attention's logits stay bounded
    rope_scaling: RopeScaling | None = None
    rope_factor: float = 1.0  # how many times as long the context is as the one that rope_theta was chosen for

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def rope_context(self) -> int:
        """The context that rope_theta was chosen for; rotary scaling stretches it to `context`."""
        return round(self.context / self.rope_factor)


class RMSNorm(nn.Module):
    """Scales each vector to a root mean square of 1, then by a learned weight. Unlike LayerNorm it does not centre."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


YARN_ROTATIONS = (32.0, 1.0)  # a channel that turns more often within the context is kept, less often is stretched
LLAMA3_ROTATIONS = (4.0, 1.0)  # Llama 3.1's bounds of the same kind


def rotary_frequencies(config: Config) -> tuple[Tensor, float]:
    """How far each pair of channels turns from one position to the next [C / 2], in radians; and a factor on the table.

    Unscaled, pair i turns by θ^(−2i/C). Scaling by a factor f makes a context f times as long look like the one that θ
    was chosen for: `linear` slows every pair by f (Chen et al. 2023, position interpolation). The others keep the fast
    pairs, which tell neighbours apart, slow by f those that do not turn once within the original context, and mix between
    the two: `llama3` in the number of turns (Grattafiori et al. 2024), `yarn` in the number of the pair, with a table
    multiplied by 0.1 ln f + 1, as sharper attention suits a longer context (Peng et al. 2024).
    """
    theta, size, factor = config.rope_theta, config.head_dim, config.rope_factor
    plain = 1.0 / theta ** (torch.arange(0, size, 2, dtype=torch.float32) / size)
    turns = config.rope_context / (2 * math.pi) * plain  # within the original context
    match config.rope_scaling:
        case None:
            return plain, 1.0
        case "linear":
            return plain / factor, 1.0
        case "llama3":
            many, few = LLAMA3_ROTATIONS
            kept = ((turns - few) / (many - few)).clamp(0, 1)
            return kept * plain + (1 - kept) * plain / factor, 1.0
        case "yarn":
            # The pair that turns r times: i = C · ln(context / 2πr) / (2 ln θ).
            many, few = (
                size * math.log(config.rope_context / (2 * math.pi * r)) / (2 * math.log(theta)) for r in YARN_ROTATIONS
            )
            first, last = max(0, math.floor(many)), min(size - 1, math.ceil(few))
            width = last - first or 0.001  # where both bounds are one pair
            stretched = ((torch.arange(size // 2, dtype=torch.float32) - first) / width).clamp(0, 1)
            return (1 - stretched) * plain + stretched * plain / factor, 0.1 * math.log(factor) + 1.0


def rotary_table(config: Config) -> Tensor:
    """Cosines and sines of the rotary angles [2, context, C].

    Position p turns the pair (i, i + C/2) by p times its frequency. Halves are paired, as in Hugging Face's Llama, and
    not neighbours, as in the paper: the two differ by a permutation of the channels of q and k.
    """
    frequencies, factor = rotary_frequencies(config)
    angles = torch.outer(torch.arange(config.context, dtype=torch.float32), frequencies)
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()]) * factor


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn queries or keys x [B, heads, T, C] by a rotary table [2, T, C] or [2, B, 1, T, C]."""
    cos, sin = table.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class LinearCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of a linear layer's outputs, without ever holding all the logits.

    Rows are treated in chunks: logits, loss and both gradients, all in place, in the forward pass. The logits of a batch
    are its largest tensor by far; written to memory and read back, they cost more time than the products that make them.
    The products are taken in the type that autocast asks for, softmax and sums in fp32, the gradient of the weight
    summed over chunks in fp32. Nothing here waits for a GPU.
    Source of the idea: Wijmans et al. 2024, Cut Your Losses; Hsu et al. 2024, Liger kernels.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """hidden [N, D], weight [V, D], targets [N] below V; returns the loss in nats, summed over targets of 0 or more."""
        device = hidden.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        rows = chunk_rows(len(weight), device)
        wanted = ctx.needs_input_grad[0]
        loss = torch.zeros((), device=hidden.device)
        hidden_grad = torch.empty(hidden.shape, dtype=kind, device=hidden.device) if wanted else None
        weight_grad = torch.zeros(weight.shape, device=weight.device) if wanted else None
        with torch.autocast(device, enabled=False):  # every type is said here
            h, w = hidden.to(kind), weight.to(kind)
            for start in range(0, len(h), rows):
                part, right = h[start : start + rows], targets[start : start + rows, None]
                counts, right = right >= 0, right.clamp(min=0)
                z = product(part, w.T)
                highest = z.amax(dim=1, keepdim=True)
                loss += ((highest - z.gather(1, right)) * counts).sum()
                total = z.sub_(highest).exp_().sum(dim=1, keepdim=True)
                loss += (total.log() * counts).sum()
                if wanted:  # the gradient of the logits: softmax, less one at the target
                    z.mul_(counts / total).scatter_add_(1, right, -counts.to(z.dtype))
                    z = z.to(kind)
                    torch.mm(z, w, out=hidden_grad[start : start + rows])
                    add_product(weight_grad, z.T, part)
                del z  # or it would stand beside the next
        if wanted:
            ctx.save_for_backward(hidden_grad.to(hidden.dtype), weight_grad.to(weight.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * scale, weight_grad * scale, None


def chunk_rows(vocab_size: int, device: str) -> int:
    """Rows of logits made at once. On a CPU 16 MiB, which stay in its last cache; a GPU needs many to be busy, and has
    room: 512 MiB."""
    return max(256, (2**22 if device == "cpu" else 2**27) // vocab_size)


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right in fp32. On a GPU a product of bf16 is summed and written in fp32, with no rounding between."""
    if left.is_cuda and left.dtype != torch.float32:
        return torch.mm(left, right, out_dtype=torch.float32)
    return (left @ right).float()


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to total, which is fp32."""
    if left.dtype == total.dtype:
        torch.addmm(total, left, right, out=total)
    else:
        total += product(left, right)


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
            x = layer.by_hand(x, rotary, starts)
        return x

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        return self.hidden(ids, cache) @ self.embed_tokens.weight.T

    def loss(self, ids: Tensor, targets: Tensor, documents: Tensor | None = None, count: int | None = None) -> Tensor:
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


def autocast(device: torch.device) -> Any:
    """bf16 products on a GPU; fp32 elsewhere (on a CPU bf16 is tens of times slower)."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def count_parameters(config: Config) -> int:
    """The number of parameters, tied embeddings counted once."""
    kv_dim = config.kv_heads * config.head_dim
    attention = 2 * config.dim * config.dim + 2 * config.dim * kv_dim
    norms = 2 * config.dim + 2 * config.head_dim * config.qk_norm
    layer = attention + 3 * config.dim * config.hidden_dim + norms
    return config.vocab_size * config.dim + config.layers * layer + config.dim


def flops_per_token(config: Config, length: int) -> int:
    """Floating-point operations a trained token, forward and backward, at sequences of `length`.

    Six for each weight of a matrix: two in the forward pass, two each for the gradients of its input and of itself. The
    embedding counts once, as the output layer; looking rows up is no product. Attention's two products take 12 · length
    · D a layer, of which half is counted, since it is causal (Kaplan et al. 2020; Chowdhery et al. 2022, appendix B).
    This is torch.utils.flop_counter's count less that masked half, which torch counts whole; neither counts norms,
    rotations, softmax or activations. Document masks take away more of attention, and that is not subtracted: MFU is of
    the model's operations, whatever a batch is made of.
    """
    norms = config.dim + config.layers * (2 * config.dim + 2 * config.head_dim * config.qk_norm)
    return 6 * (count_parameters(config) - norms) + 6 * config.layers * config.dim * length
