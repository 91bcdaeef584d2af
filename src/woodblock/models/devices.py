"""Devices: picking one by its name, and how torch computes there: with the same bits every time, and in which type."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from woodblock.base.errors import UserError


def pick_device(name: str) -> torch.device:
    """The device of a name of params.yaml; auto is CUDA, then MPS, then the CPU. Raises UserError for one not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        raise UserError(
            f"device: {name} is not on this machine; auto or {', '.join(d for d, t in there.items() if t)} would do"
        )
    return torch.device(name)


def make_deterministic() -> None:
    """Ask torch for the same bits every time. Threads are set when woodblock is imported."""
    torch.use_deterministic_algorithms(True, warn_only=True)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bf16 products on a GPU; fp32 elsewhere (on a CPU bf16 is tens of times slower)."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
