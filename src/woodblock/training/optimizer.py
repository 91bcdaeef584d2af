"""Optimizers and schedules: Muon for the matrices and AdamW for the rest, or one Adam for all.

Sources: Jordan et al. 2024 (Muon); Liu et al. 2025, "Muon is scalable for LLM training" (the scale of its update);
Loshchilov & Hutter 2019 (AdamW); Hu et al. 2024, MiniCPM (warm-up, stable, decay).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn


class Settings(Protocol):
    """The keys of a stage's block in params.yaml that the optimizer reads."""

    optimizer: str
    learning_rate: float
    matrix_learning_rate: float
    weight_decay: float
    warmup_share: float
    decay_share: float
    final_lr_share: float
    schedule: str


# Coefficients of the quintic of the Newton–Schulz iteration. In five steps they bring every singular value to about
# [0.7, 1.2]. This works as well as 1, and takes fewer steps (Jordan et al. 2024).
QUINTIC = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


def orthogonalise(gradients: Tensor) -> Tensor:
    """Approximately the nearest semi-orthogonal matrices to `gradients` [N, rows, columns]: U Vᵀ for each U S Vᵀ.

    A step takes X to P X with P = a + b G + c G² and the Gram matrix G = X Xᵀ. On a GPU it is computed in bf16, which is
    fast and exact enough; on a CPU in fp32, since bf16 is tens of times slower there. For long matrices in fp32, only the
    Gram matrix is iterated: a step takes it to P G P, and the P are multiplied together. Then all products but two have
    only the short side, a third less work for sides of 256 and 704.
    """
    a, b, c = QUINTIC
    x = gradients.bfloat16() if gradients.is_cuda else gradients.float()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x  # so that the products below have the short side
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)  # singular values of at most 1
    if x.dtype == torch.float32 and x.shape[-1] >= 2 * x.shape[-2]:
        x = _product_of_steps(x @ x.mT) @ x
    else:
        for _ in range(NEWTON_SCHULZ_STEPS):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(gradients.dtype)


def _product_of_steps(gram: Tensor) -> Tensor:
    """The products [N, n, n] of all steps' factors P, for Gram matrices [N, n, n]. The order of the factors does not
    matter, since all are polynomials of one matrix."""
    a, b, c = QUINTIC
    product: Tensor | None = None
    for step in range(NEWTON_SCHULZ_STEPS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
        if step < NEWTON_SCHULZ_STEPS - 1:
            gram = factor @ gram @ factor
    assert product is not None  # there is a first step
    return product


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised: every direction of a matrix learns at the same speed.

    The update is scaled by 0.2 · √(longer side), so that it has the root mean square of an Adam update and needs similar
    learning rates. Matrices of the same shape are stacked and computed together. Muon is only for 2-D hidden weights:
    embeddings and norms belong to AdamW.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # takes no closure, as nobody here gives one
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                by_shape[weight.shape].append(weight)
            for shape, weights in by_shape.items():
                self._update(group, shape, weights)

    def _update(self, group: dict[str, Any], shape: torch.Size, weights: list[Tensor]) -> None:
        gradients = [cast(Tensor, weight.grad) for weight in weights]  # every matrix has one: the loss reads it
        momenta = [self.state[w].setdefault("momentum", torch.zeros_like(w)) for w in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        # Nesterov: the gradient with the momentum that the next step will have.
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        updates = list(orthogonalise(torch.stack(ahead)).unbind())
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(weights, updates, alpha=-group["lr"] * 0.2 * math.sqrt(max(shape)))


def fused(weight: Tensor) -> bool:
    """Whether Adam's step for a weight is one kernel. On CUDA it is: this saves a launch for every operation of every
    weight, also of sharded ones (DTensor). Elsewhere it is not, so that runs on a CPU keep their bits."""
    return weight.is_cuda


def build(model: nn.Module, settings: Settings) -> list[torch.optim.Optimizer]:
    """The optimizers of a model. Each group has its peak learning rate under "peak"."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    embeddings = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" in name]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    lr, decay = settings.learning_rate, settings.weight_decay
    rest = [{"params": embeddings, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    # β₂ is 0.95, not 0.999: in a short run gradients change fast, and the mean must not span more than the run.
    one_kernel = fused(embeddings[0]) or None  # None: PyTorch's default
    eps = 1e-10 if settings.optimizer == "muon" else 1e-8
    adam: dict[str, Any] = {"lr": lr, "betas": (0.9, 0.95), "eps": eps, "fused": one_kernel}
    optimizers: list[torch.optim.Optimizer]
    match settings.optimizer:
        case "muon":
            muon = Muon(matrices, lr=settings.matrix_learning_rate, weight_decay=decay)
            optimizers = [muon, torch.optim.AdamW(rest, **adam)]
        case "adamw":
            optimizers = [torch.optim.AdamW([{"params": matrices, "weight_decay": decay}, *rest], **adam)]
        case "adam":  # the book's: PyTorch's own constants
            optimizers = [torch.optim.Adam(model.parameters(), lr=lr, fused=one_kernel)]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def learning_rate_share(step: int, steps: int, settings: Settings) -> float:
    """The share of the peak learning rate at a step (0 … steps − 1).

    wsd: linear warm-up, constant, linear decay. cosine: linear warm-up, then a half cosine. Both would reach
    final_lr_share at step `steps`, one after the last. So the last step still learns something, also if that share is 0.
    """
    warmup = round(settings.warmup_share * steps)
    low = settings.final_lr_share
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "cosine":
        done = (step - warmup) / max(1, steps - warmup)
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))
    decay = max(1, round(settings.decay_share * steps))
    return low + (1 - low) * min(1.0, (steps - step) / decay)
