"""Devices: pick one by its name, make torch compute the same bits every time, and choose the type of products."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from woodblock.base.errors import UserError


def pick_device(name: str) -> torch.device:
    """The device with a name of params.yaml. auto is CUDA, else MPS, else the CPU. Raises UserError for a missing one."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        raise UserError(
            f"device: {name} is not on this machine; use auto or {', '.join(d for d, t in there.items() if t)}"
        )
    return torch.device(name)


def make_deterministic() -> None:
    """Ask torch for the same bits every time, before anything is computed. Threads are set when woodblock is imported."""
    # cuBLAS reads it when it makes its first handle. Without it, products may be summed in another order in each run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)


def products_dtype(device: torch.device) -> torch.dtype:
    """The type of factors in products: bf16 on a GPU that has units for it, fp32 elsewhere.

    On a CPU bf16 is tens of times slower. GPUs before Ampere (V100, T4) would emulate it, more slowly than fp32. They do
    have fp16, but its range is so small that the loss would have to be scaled.
    """
    has_units = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_units else torch.float32


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which products have the type that products_dtype says."""
    kind = products_dtype(device)
    return nullcontext() if kind == torch.float32 else torch.autocast(device.type, kind)
