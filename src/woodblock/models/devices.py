"""Devices: pick one by its name, make torch compute the same bits every time, and choose the type of products."""

from __future__ import annotations

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
    """Ask torch for the same bits every time. Threads are set when woodblock is imported."""
    torch.use_deterministic_algorithms(True, warn_only=True)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bf16 products on a GPU; fp32 elsewhere (on a CPU bf16 is tens of times slower)."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
