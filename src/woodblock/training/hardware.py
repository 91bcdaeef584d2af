"""The machine that trains: its peak in FLOP/s, the memory that is used, and the memory that is free."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from woodblock.base import usage
from woodblock.models.devices import products_dtype

# Dense bf16 operations a second of one GPU, by words of CUDA's name for it, the longer names first. Source: the makers'
# data sheets, without sparsity. For cards in several forms it is the fastest (SXM), unless the name says PCIe.
PEAKS = {
    "B200": 2250e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "A40": 150e12,
    "A10": 125e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
# Words that make it another card, or a part of one: RTX 4090 D, RTX 4090 Laptop GPU, A100 MIG 1g.5gb, GRID A100-10C.
OTHER_CARD = re.compile(r"\b(D|Ti|SUPER|Laptop|Max-Q|Mobile|MIG|GRID|vGPU)\b", re.IGNORECASE)


def peak_flops(device: torch.device) -> tuple[float, str]:
    """The most floating-point operations that the device does in a second, and how this is known.

    For a GPU in the table it is bf16 in the data sheet. For any other device it is the best of some square products, in
    the type that training uses there. This peak can be reached, so what a run does not reach is lost by the program.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, peak in PEAKS.items():
            # Whole words: RTX A1000 is no A100.
            if re.search(rf"\b{part}\b", name, re.IGNORECASE) and not OTHER_CARD.search(name):
                return peak, f"data sheet of {part}, bf16"
    size, kind = (4096, products_dtype(device)) if device.type == "cuda" else (1024, torch.float32)
    one = torch.ones(size, size, dtype=kind, device=device)
    best = math.inf
    for _ in range(6):
        _synchronise(device)
        started = time.perf_counter()
        torch.mm(one, one)
        _synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best, f"measured, products of {size} x {size} in {str(kind).removeprefix('torch.')}"


def sequences(batch: Sequence[torch.Tensor]) -> tuple[int, int, int]:
    """What the operations of a batch depend on: its positions, its targets, and the sum of its squared lengths.

    batch: ids, targets and, if attention stays within documents, the documents' numbers; [B, T] each. A sequence is what
    attention sees together: a document in a row, or else the row. It ends with its row's last target: behind it there is
    only padding, on which nothing depends.
    """
    has_target = batch[1] >= 0
    needed = has_target.flip(1).cumsum(1).flip(1) > 0  # [B, T]: a target here or later
    starts = torch.zeros_like(needed)
    starts[:, 0] = True
    if len(batch) > 2:
        starts[:, 1:] = batch[2][:, 1:] != batch[2][:, :-1]
    numbers = starts.flatten().cumsum(0)[needed.flatten()]
    lengths = torch.bincount(numbers)
    return int(needed.sum()), int(has_target.sum()), int(lengths.square().sum())


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory_mb(device: torch.device) -> float:
    """The most memory that was used: by tensors on the GPU, or by this process (its resident set)."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else usage.own_peak_mb()


def free_memory(device: torch.device) -> int | None:
    """The bytes on the device that a model can still use; None where the system does not say.

    On a CPU it is what Linux calls available, within the limit of the process's control group, if it is in one.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip() if (group / "memory.max").is_file() else "max"
        if limit != "max":
            free = min(free, max(0, int(limit) - int((group / "memory.current").read_text())))
        return free
    except (OSError, StopIteration, ValueError):
        return None
