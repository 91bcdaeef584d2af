"""A layer's two halves on a CPU, forward and backward by hand: the same function as model.Layer, in less time and memory.

Between its matrix products a layer written in single operations reads and writes its activations some thirty times, and
a CPU waits for memory meanwhile. Here each half is one autograd function. Weights that read the same input are joined
into one product; what can be done to a weight (the norm's weight, attention's scale, the order of rotary pairs) is done
there and not to the activations, of which there are more; gradients are formed in place. Attention is computed in
blocks of queries against the keys up to them, so little of the triangle that nobody sees is computed, and its weights
are kept for the backward pass.

Shapes: B rows of T positions, N = B · T, D channels, K key–value heads with G query heads each, C channels a head.
Source of the backward formulas: the chain rule; for softmax, Dao et al. 2022, FlashAttention, appendix B.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 128  # queries at once: fewer skip more of the triangle, and make smaller, slower products
LONGEST = 2048  # beyond, attention's weights (B · H · T² / 2 numbers a layer) are not worth their memory


def serve(weight: Tensor, length: int) -> bool:
    """Whether these kernels take sequences of `length`, with weights as `weight` is: fp32 on a CPU, as it stands there
    (no autocast, no compiler, which fuses by itself)."""
    plain = not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")
    return plain and weight.device.type == "cpu" and weight.dtype == torch.float32 and length <= LONGEST


def normalise(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x [..., D] scaled to a root mean square of 1, and the factors [..., 1] that did it."""
    factor = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().mul_(1 / x.shape[-1]).add_(eps).rsqrt_()
    return x * factor, factor


def normalise_backward(grad: Tensor, normal: Tensor, factor: Tensor) -> Tensor:
    """The gradient of x from that of normalise(x); in the memory of `grad`."""
    along = torch.linalg.vecdot(grad, normal).unsqueeze(-1).mul_(-1 / normal.shape[-1])
    return grad.addcmul_(normal, along).mul_(factor)


def neighbours(weight: Tensor, channels: int) -> Tensor:
    """Rows [heads · C, …] reordered so that a rotary pair's two halves, C / 2 apart, stand side by side: one complex
    number. Queries and keys are reordered alike, which no product of the two can tell."""
    return weight.unflatten(0, (-1, 2, channels // 2)).transpose(1, 2).reshape(weight.shape)


def halves(weight: Tensor, channels: int) -> Tensor:
    """The inverse of `neighbours`."""
    return weight.unflatten(0, (-1, channels // 2, 2)).transpose(1, 2).reshape(weight.shape)


def complex_pairs(x: Tensor) -> Tensor:
    """x [..., C] seen as C / 2 complex numbers."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))


@functools.cache
def later(size: int) -> Tensor:
    """What is added to logits [size, size] so that no query sees a key after itself."""
    return torch.full((size, size), float("-inf")).triu(1)


class SelfAttention(torch.autograd.Function):
    """x + o_proj(attention(norm(x)))."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        turns: Tensor,
        documents: Tensor | None,
        eps: float,
        norm: Tensor,
        wq: Tensor,
        wk: Tensor,
        wv: Tensor,
        wo: Tensor,
        q_norm: Tensor | None,
        k_norm: Tensor | None,
    ) -> Tensor:
        """x [B, T, D]; turns: complex [T, C / 2], the rotary factors; documents [B, T] or None (model.document_numbers);
        the weights as Hugging Face has them, those of QK-norm [C] or None. Returns [B, T, D]."""
        rows, length, dim = x.shape
        channels = 2 * turns.shape[1]
        kv_heads, heads = len(wk) // channels, len(wq) // channels
        group, count = heads // kv_heads, rows * length
        flat = x.view(count, dim)
        normal, factor = normalise(flat, eps)
        joined = _join_attention(wq, wk, wv, channels, scaled=q_norm is None)
        projected = (normal @ (joined * norm).T).view(rows, length, heads + 2 * kv_heads, channels)
        q, k, v = projected.split([heads, kv_heads, kv_heads], dim=2)
        normed = []
        if q_norm is not None:
            for part, weight, scale in ((q, q_norm, channels**-0.5), (k, k_norm, 1.0)):
                part_normal, part_factor = normalise(part, eps)
                normed += [part_normal, part_factor]
                torch.mul(part_normal, neighbours(weight, channels) * scale, out=part)
        # One pass turns and lays out: positions before the heads of a group, so a block of queries is one of memory.
        turned_q = x.new_empty(rows, kv_heads, length, group, channels)
        turned_k = x.new_empty(rows, kv_heads, length, channels)
        by_group = q.unflatten(2, (kv_heads, group)).transpose(1, 2)
        torch.mul(complex_pairs(by_group), turns[:, None], out=complex_pairs(turned_q))
        torch.mul(complex_pairs(k.transpose(1, 2)), turns, out=complex_pairs(turned_k))
        q, k = turned_q.view(-1, length * group, channels), turned_k.view(-1, length, channels)
        v = v.transpose(1, 2).reshape(-1, length, channels)

        mixed, weights = torch.empty_like(q), []
        for start in range(0, length, BLOCK):
            stop = min(length, start + BLOCK)
            block = slice(start * group, stop * group)
            logits = torch.bmm(q[:, block], k[:, :stop].mT).view(rows, kv_heads, stop - start, group, stop)
            logits[..., start:] += later(BLOCK)[: stop - start, None, : stop - start]
            if documents is not None:
                apart = documents[:, start:stop, None] != documents[:, None, :stop]
                logits.masked_fill_(apart[:, None, :, None], float("-inf"))
            weights.append(torch.softmax(logits.view(-1, (stop - start) * group, stop), dim=-1))
            torch.bmm(weights[-1], v[:, :stop], out=mixed[:, block])
        heard = mixed.view(rows, kv_heads, length, group, channels).transpose(1, 2).reshape(count, -1)
        ctx.save_for_backward(normal, factor, norm, wq, wk, wv, wo, turns, q, k, v, mixed, heard, q_norm, k_norm)
        ctx.weights, ctx.normed, ctx.rows = weights, normed, rows
        return torch.addmm(flat, heard, wo.T).view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normal, factor, norm, wq, wk, wv, wo, turns, q, k, v, mixed, heard, q_norm, k_norm = ctx.saved_tensors
        rows, channels, (count, dim) = ctx.rows, q.shape[-1], normal.shape
        length, kv_heads, heads = count // rows, len(wk) // channels, len(wq) // channels
        group, flat = heads // kv_heads, grad.reshape(count, dim)
        wo_grad = flat.T @ heard
        by_group = (flat @ wo).view(rows, length, kv_heads, group, channels).transpose(1, 2)
        mixed_grad = by_group.reshape(-1, length * group, channels)
        along = torch.linalg.vecdot(mixed_grad, mixed).unsqueeze(-1)
        q_grad, k_grad, v_grad = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for number, start in enumerate(range(0, length, BLOCK)):
            stop, weights = min(length, start + BLOCK), ctx.weights[number]
            block = slice(start * group, stop * group)
            _add_products(v_grad[:, :stop], weights.mT, mixed_grad[:, block])
            logits_grad = torch.bmm(mixed_grad[:, block], v[:, :stop].mT).sub_(along[:, block]).mul_(weights)
            torch.bmm(logits_grad, k[:, :stop], out=q_grad[:, block])
            _add_products(k_grad[:, :stop], logits_grad.mT, q[:, block])

        projected_grad = grad.new_empty(rows, length, heads + 2 * kv_heads, channels)
        dq, dk, dv = projected_grad.split([heads, kv_heads, kv_heads], dim=2)
        back = turns.conj()
        by_position = q_grad.view(rows, kv_heads, length, group, channels).transpose(1, 2)
        torch.mul(
            complex_pairs(by_position), back[:, None, None], out=complex_pairs(dq.unflatten(2, (kv_heads, group)))
        )
        by_position = k_grad.view(rows, kv_heads, length, channels).transpose(1, 2)
        torch.mul(complex_pairs(by_position), back[:, None], out=complex_pairs(dk))
        dv.copy_(v_grad.view(rows, kv_heads, length, channels).transpose(1, 2))
        norm_grads: list[Tensor | None] = [None, None]
        if q_norm is not None:
            parts = ((dq, q_norm, channels**-0.5, ctx.normed[:2]), (dk, k_norm, 1.0, ctx.normed[2:]))
            for number, (part, weight, scale, kept) in enumerate(parts):
                norm_grads[number] = halves((part * kept[0]).sum(dim=(0, 1, 2)) * scale, channels)
                part.copy_(normalise_backward(part * (neighbours(weight, channels) * scale), *kept))
        projected_grad = projected_grad.view(count, -1)
        joined = _join_attention(wq, wk, wv, channels, scaled=q_norm is None)
        joined_grad, norm_grad, x_grad = _projection_backward(projected_grad, normal, factor, joined, norm)
        dwq, dwk, dwv = joined_grad.split([len(wq), len(wk), len(wv)])
        dwq = halves(dwq, channels)
        if q_norm is None:
            dwq.mul_(channels**-0.5)
        x_grad = x_grad.add_(flat).view_as(grad)
        return x_grad, None, None, None, norm_grad, dwq, halves(dwk, channels), dwv, wo_grad, *norm_grads


def _add_products(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to total, in place; in a form that torch's counter of operations knows."""
    torch.baddbmm(total, left, right, out=total)


def _join_attention(wq: Tensor, wk: Tensor, wv: Tensor, channels: int, scaled: bool) -> Tensor:
    """Weights of queries, keys and values in one [(H + 2 K) · C, D]; attention's scale in those of the queries."""
    wq = neighbours(wq, channels)
    return torch.cat([wq.mul_(channels**-0.5) if scaled else wq, neighbours(wk, channels), wv])


def _projection_backward(
    grad: Tensor, normal: Tensor, factor: Tensor, joined: Tensor, norm: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `joined`, `norm` and x, from that of normalise(x) @ (joined · norm)ᵀ [N, rows of joined]."""
    joined_grad = grad.T @ normal
    norm_grad = (joined_grad * joined).sum(dim=0)
    x_grad = normalise_backward(grad @ (joined * norm), normal, factor)
    return joined_grad.mul_(norm), norm_grad, x_grad


class FeedForward(torch.autograd.Function):
    """x + down_proj(silu(gate_proj(norm(x))) · up_proj(norm(x)))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, norm: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
        """x [B, T, D]; weights as Hugging Face has them. Returns [B, T, D]."""
        flat = x.flatten(0, 1)
        normal, factor = normalise(flat, eps)
        gate, up = (normal @ torch.cat([w_gate, w_up]).mul_(norm).T).chunk(2, dim=-1)
        opened = F.silu(gate)
        hidden = opened * up
        ctx.save_for_backward(normal, factor, norm, w_gate, w_up, w_down, gate, up, opened, hidden)
        return torch.addmm(flat, hidden, w_down.T).view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        normal, factor, norm, w_gate, w_up, w_down, gate, up, opened, hidden = ctx.saved_tensors
        flat = grad.flatten(0, 1)
        down_grad = flat.T @ hidden
        hidden_grad = flat @ w_down
        both_grad = grad.new_empty(len(flat), 2 * len(w_gate))
        gate_grad, up_grad = both_grad.chunk(2, dim=-1)
        torch.mul(hidden_grad, opened, out=up_grad)
        torch.ops.aten.silu_backward.grad_input(hidden_grad.mul_(up), gate, grad_input=gate_grad)
        joined_grad, norm_grad, x_grad = _projection_backward(
            both_grad, normal, factor, torch.cat([w_gate, w_up]), norm
        )
        return x_grad.add_(flat).view_as(grad), None, norm_grad, *joined_grad.chunk(2), down_grad
