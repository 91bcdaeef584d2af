"""The loss of a language model in chunks of rows, so that the logits of a batch are never in memory all at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LinearCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of a linear layer's outputs, without all the logits in memory.

    The forward pass goes through the rows in chunks. For each it computes logits, loss and both gradients, in place. The
    logits of a batch are its largest tensor by far; to write and read them takes more time than the products that make
    them. Products are computed in the type of autocast, softmax and sums in fp32. The gradient of the weight is summed
    over chunks in fp32. Nothing here waits for a GPU.
    Source of the idea: Wijmans et al. 2024, Cut Your Losses; Hsu et al. 2024, Liger kernels.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """hidden [N, D], weight [V, D], targets [N] below V. Returns the loss in nats, summed over the targets from 0 up."""
        device = hidden.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        rows = rows_at_once(len(weight), device)
        wanted = ctx.needs_input_grad[0]
        loss = torch.zeros((), device=hidden.device)
        hidden_grad = torch.empty(hidden.shape, dtype=kind, device=hidden.device) if wanted else None
        weight_grad = torch.zeros(weight.shape, device=weight.device) if wanted else None
        with torch.autocast(device, enabled=False):  # all types are explicit here
            h, w = hidden.to(kind), weight.to(kind)
            for start in range(0, len(h), rows):
                part, right = h[start : start + rows], targets[start : start + rows, None]
                counts, right = right >= 0, right.clamp(min=0)
                z = product(part, w.T)
                highest = z.amax(dim=1, keepdim=True)
                loss += ((highest - z.gather(1, right)) * counts).sum()
                total = z.sub_(highest).exp_().sum(dim=1, keepdim=True)
                loss += (total.log() * counts).sum()
                if hidden_grad is not None and weight_grad is not None:
                    # The gradient of the logits: softmax, minus one at the target.
                    z.mul_(counts / total).scatter_add_(1, right, -counts.to(z.dtype))
                    z = z.to(kind)
                    torch.mm(z, w, out=hidden_grad[start : start + rows])
                    add_product(weight_grad, z.T, part)
                del z  # otherwise it would be in memory beside the next one
        if hidden_grad is not None and weight_grad is not None:
            ctx.save_for_backward(hidden_grad.to(hidden.dtype), weight_grad.to(weight.dtype))
        return loss

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * scale, weight_grad * scale, None


def rows_at_once(vocab_size: int, device: str) -> int:
    """The rows of logits in a chunk. On a CPU 16 MiB, which stay in its last cache; on a GPU 512 MiB: it needs many rows
    to be busy, and has room."""
    return max(256, (2**22 if device == "cpu" else 2**27) // vocab_size)


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right in fp32. A product of bf16 is summed and written in fp32, without rounding in between."""
    if left.dtype == torch.float32:
        return left @ right
    if left.is_cuda:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()  # other devices have no such operation; a number of bf16 is exact in fp32


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to total, which is fp32."""
    if left.dtype == total.dtype:
        torch.addmm(total, left, right, out=total)
    else:
        total += product(left, right)
