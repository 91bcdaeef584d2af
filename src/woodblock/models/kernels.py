"""The model's parts on a CPU, forward and backward written by hand: the same as decoder.Layer and its loss, in less time
and memory.

Each half of a layer is one autograd function, and so is the loss. Weights that read the same input are joined into one
product, with the norm's weight in it. Between products all is done in one pass (fused.py). Attention is computed in blocks
of queries, each against the keys up to its end, so little is computed of what the causal mask hides. Its weights are kept
for the backward pass. SwiGLU is computed again there: so two numbers for each hidden channel are kept instead of four.

Shapes: B rows of T positions, N = B · T, D channels, K key–value heads with G query heads each, C channels a head.
Source of the backward formulas: the chain rule; for softmax, Dao et al. 2022, FlashAttention, appendix B.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

BLOCK = 64  # queries at once: fewer would skip more of what is masked, but make smaller, slower products
LONGEST = 2048  # beyond this, attention's weights (B · H · T² / 2 numbers a layer) take too much memory
LOGITS = 2**22  # numbers at once in the loss: 16 MiB, so that those of two threads stay in a last cache of 32 MiB


def serve(weight: Tensor, length: int) -> bool:
    """Whether these kernels can compute sequences of `length` with weights like `weight`: in fp32 on a CPU, without
    autocast, and without a compiler, which fuses operations itself."""
    plain = not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")
    return plain and weight.device.type == "cpu" and weight.dtype == torch.float32 and length <= LONGEST


@functools.cache
def passes() -> ModuleType:
    """fused.py, loaded when it is first used: numba takes a second, and a machine that trains on a GPU does not need it."""
    from woodblock.models import fused

    return fused


def array(x: Tensor) -> npt.NDArray[Any]:
    """A tensor as an array for fused.py; not a copy."""
    return x.detach().numpy()


def normalise(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x [N, D] scaled to a root mean square of 1, and the factors [N] that did it."""
    normal, factors = torch.empty_like(x), x.new_empty(len(x))
    passes().normalise(array(normal), array(factors), array(x), eps)
    return normal, factors


def document_starts(documents: Tensor | None, rows: int, length: int) -> Tensor:
    """For each position, where its document begins [B, T], from the documents' numbers [B, T]; without these, 0."""
    starts = torch.zeros(rows, length, dtype=torch.long)
    if documents is not None:
        begins = documents[:, 1:] != documents[:, :-1]
        torch.cummax(torch.arange(1, length) * begins, dim=1, out=(starts[:, 1:], torch.empty_like(starts[:, 1:])))
    return starts


class SelfAttention(torch.autograd.Function):
    """x + o_proj(attention(norm(x)))."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        rotary: Tensor,
        starts: Tensor,
        eps: float,
        norm: Tensor,
        wq: Tensor,
        wk: Tensor,
        wv: Tensor,
        wo: Tensor,
        q_norm: Tensor | None,
        k_norm: Tensor | None,
    ) -> Tensor:
        """x [B, T, D]; rotary: cosines and sines [2, T, C / 2]; starts [B, T]: document_starts; the weights as in Hugging
        Face's model, those of QK-norm [C] or None. Returns [B, T, D]."""
        rows, length, dim = x.shape
        channels = 2 * rotary.shape[2]
        kv_heads, heads = len(wk) // channels, len(wq) // channels
        group, count = heads // kv_heads, rows * length
        flat = x.reshape(count, dim)
        normal, factors = normalise(flat, eps)
        projected = (normal @ (torch.cat([wq, wk, wv]) * norm).T).view(rows, length, heads + 2 * kv_heads, channels)
        normed: list[tuple[Tensor, Tensor]] = []
        if q_norm is not None and k_norm is not None:
            normed = _norm_heads(projected, heads, kv_heads, q_norm, k_norm, eps)
        q, k = x.new_empty(rows, kv_heads, length, group, channels), x.new_empty(rows, kv_heads, length, channels)
        v = torch.empty_like(k)
        passes().lay_out(*map(array, (q, k, v, projected, *rotary)), channels**-0.5)
        q, k, v = q.view(-1, length * group, channels), k.view(-1, length, channels), v.view(-1, length, channels)
        mixed, weights = _attend(q, k, v, starts)
        heard = mixed.view(rows, kv_heads, length, group, channels).transpose(1, 2).reshape(count, -1)
        ctx.save_for_backward(normal, factors, norm, wq, wk, wv, wo, rotary, q, k, v, heard, q_norm, k_norm)
        ctx.weights, ctx.normed, ctx.rows = weights, normed, rows
        return torch.addmm(flat, heard, wo.T).view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normal, factors, norm, wq, wk, wv, wo, rotary, q, k, v, heard, q_norm, k_norm = ctx.saved_tensors
        rows, channels, (count, dim) = ctx.rows, q.shape[-1], normal.shape
        length, kv_heads, heads = count // rows, len(wk) // channels, len(wq) // channels
        group, flat = heads // kv_heads, grad.reshape(count, dim)
        wo_grad = flat.T @ heard
        by_group = (flat @ wo).view(rows, length, kv_heads, group, channels).transpose(1, 2)
        mixed_grad = by_group.reshape(-1, length * group, channels)
        q_grad, k_grad, v_grad = _attend_backward(mixed_grad, ctx.weights, q, k, v)
        projected_grad = grad.new_empty(rows, length, heads + 2 * kv_heads, channels)
        by_position = (rows, kv_heads, length, channels)
        laid_out = (
            q_grad.view(rows, kv_heads, length, group, channels),
            k_grad.view(by_position),
            v_grad.view(by_position),
        )
        passes().lay_out_backward(*map(array, (projected_grad, *laid_out, *rotary)), channels**-0.5)
        norm_grads: Sequence[Tensor | None] = (None, None)
        if q_norm is not None:
            norm_grads = _norm_heads_backward(projected_grad, heads, kv_heads, q_norm, k_norm, ctx.normed)
        joined_grad, norm_grad, x_grad = _projection_backward(
            projected_grad.view(count, -1), normal, factors, torch.cat([wq, wk, wv]), norm, flat
        )
        return (
            x_grad.view_as(grad),
            None,
            None,
            None,
            norm_grad,
            *joined_grad.split([len(wq), len(wk), len(wv)]),
            wo_grad,
            *norm_grads,
        )


def _attend(q: Tensor, k: Tensor, v: Tensor, starts: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Attention's results for queries [B · K, T · G, C] over keys and values [B · K, T, C]; and the weights of each block
    of queries [B · K, block · G, keys up to its end]. starts [B, T]: document_starts."""
    (rows, length), group, heard, weights = starts.shape, q.shape[1] // k.shape[1], torch.empty_like(q), []
    for start in range(0, length, BLOCK):
        stop = min(length, start + BLOCK)
        block = slice(start * group, stop * group)
        weights.append(torch.bmm(q[:, block], k[:, :stop].mT))
        by_row = weights[-1].view(rows, len(k) // rows, -1, stop)
        passes().attention_weights(array(by_row), array(starts), start, group)
        torch.bmm(weights[-1], v[:, :stop], out=heard[:, block])
    return heard, weights


def _attend_backward(
    heard_grad: Tensor, weights: list[Tensor], q: Tensor, k: Tensor, v: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v from that of attention's results; shapes as in _attend."""
    length, group = k.shape[1], q.shape[1] // k.shape[1]
    q_grad, k_grad, v_grad = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for number, start in enumerate(range(0, length, BLOCK)):
        stop, seen = min(length, start + BLOCK), weights[number]
        block = slice(start * group, stop * group)
        _add_products(v_grad[:, :stop], seen.mT, heard_grad[:, block])
        logits_grad = torch.bmm(heard_grad[:, block], v[:, :stop].mT)
        passes().attention_weights_backward(array(logits_grad.view(-1, stop)), array(seen.view(-1, stop)))
        torch.bmm(logits_grad, k[:, :stop], out=q_grad[:, block])
        _add_products(k_grad[:, :stop], logits_grad.mT, q[:, block])
    return q_grad, k_grad, v_grad


def _norm_heads(
    projected: Tensor, heads: int, kv_heads: int, q_norm: Tensor, k_norm: Tensor, eps: float
) -> list[tuple[Tensor, Tensor]]:
    """QK-norm of projected [B, T, H + 2 K, C], in place; returns what the backward pass needs, for queries and for keys."""
    kept = []
    for part, weight in zip(projected.split([heads, kv_heads, kv_heads], dim=2)[:2], (q_norm, k_norm), strict=True):
        kept.append(normalise(part.reshape(-1, part.shape[-1]), eps))
        torch.mul(kept[-1][0].view_as(part), weight, out=part)
    return kept


def _norm_heads_backward(
    grad: Tensor, heads: int, kv_heads: int, q_norm: Tensor, k_norm: Tensor, kept: list[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """The gradient of `projected`, in place, from that of _norm_heads' result; returns the gradients of the weights."""
    weight_grads = []
    parts = grad.split([heads, kv_heads, kv_heads], dim=2)[:2]
    for part, weight, (normal, factors) in zip(parts, (q_norm, k_norm), kept, strict=True):
        pulled = part.reshape(normal.shape)
        weight_grads.append(torch.linalg.vecdot(pulled, normal, dim=0))
        pulled = pulled * weight
        passes().normalise_backward(*map(array, (pulled, normal, factors, torch.zeros_like(pulled))))
        part.copy_(pulled.view_as(part))
    return weight_grads


def _add_products(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to total, in place, with an operation that torch's FLOP counter knows."""
    torch.baddbmm(total, left, right, out=total)


def _projection_backward(
    grad: Tensor, normal: Tensor, factors: Tensor, joined: Tensor, norm: Tensor, beside: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `joined`, `norm` and x, from that of normalise(x) @ (joined · norm)ᵀ [N, rows of joined]. `beside`
    [N, D] is added to the gradient of x."""
    joined_grad = grad.T @ normal
    norm_grad = torch.linalg.vecdot(joined_grad, joined, dim=0)
    x_grad = grad @ (joined * norm)
    passes().normalise_backward(*map(array, (x_grad, normal, factors, beside)))
    return joined_grad.mul_(norm), norm_grad, x_grad


class FeedForward(torch.autograd.Function):
    """x + down_proj(silu(gate_proj(norm(x))) · up_proj(norm(x)))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, norm: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
        """x [B, T, D]; weights as in Hugging Face's model. Returns [B, T, D]."""
        flat = x.flatten(0, 1)
        normal, factors = normalise(flat, eps)
        both = normal @ torch.cat([w_gate, w_up]).mul_(norm).T
        hidden = x.new_empty(len(flat), len(w_gate))
        passes().swiglu(array(hidden), array(both))
        ctx.save_for_backward(normal, factors, norm, w_gate, w_up, w_down, both)
        return torch.addmm(flat, hidden, w_down.T).view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normal, factors, norm, w_gate, w_up, w_down, both = ctx.saved_tensors
        flat = grad.reshape(len(normal), -1)
        hidden, both_grad = flat @ w_down, torch.empty_like(both)  # hidden's gradient, then itself
        passes().swiglu_backward(*map(array, (both_grad, hidden, both)))
        down_grad = flat.T @ hidden
        joined_grad, norm_grad, x_grad = _projection_backward(
            both_grad, normal, factors, torch.cat([w_gate, w_up]), norm, flat
        )
        return x_grad.view_as(grad), None, norm_grad, *joined_grad.chunk(2), down_grad


def rows_of_even_chunks(count: int, vocabulary: int) -> int:
    """The rows of logits in a chunk, of `count` rows: as many as LOGITS allows, at least 256, in chunks of equal size."""
    chunks = -(-count // max(256, LOGITS // vocabulary))
    return max(1, -(-count // max(1, chunks)))


class CrossEntropy(torch.autograd.Function):
    """cross_entropy.LinearCrossEntropy on a CPU: logits in chunks, each turned into its gradient in place."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """hidden [N, D], weight [V, D], targets [N] below V. Returns the loss in nats, summed over the targets from 0 up."""
        count, vocabulary = len(hidden), len(weight)
        chunk = rows_of_even_chunks(count, vocabulary)
        room, loss, wanted = hidden.new_empty(chunk, vocabulary), 0.0, ctx.needs_input_grad[0]
        hidden_grad, weight_grad = torch.empty_like(hidden), torch.zeros_like(weight) if wanted else None
        for start in range(0, count, chunk):
            part, right = hidden[start : start + chunk], targets[start : start + chunk]
            z = torch.mm(part, weight.T, out=room[: len(part)])
            loss += passes().cross_entropy(array(z), array(right))
            if weight_grad is not None:
                torch.mm(z, weight, out=hidden_grad[start : start + chunk])
                torch.addmm(weight_grad, z.T, part, out=weight_grad)
        if wanted:
            ctx.save_for_backward(hidden_grad, weight_grad)
        return hidden.new_tensor(loss)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * scale, weight_grad * scale, None
