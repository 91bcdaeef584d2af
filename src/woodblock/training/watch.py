"""What to look at while a model trains: a live log, the share of the machine that is used, and when to stop.

The log, .woodblock/watch/<stage>.csv, has rates and memory in it and is nobody's output; the curve that a stage keeps has
none of them. `python -m woodblock.training.watch` prints its last rows, with `--follow` (`make watch`) those that come
too, and with `--tensorboard FOLDER` it writes them as TensorBoard's events.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from woodblock.base.errors import UserError

FOLDER = Path(".woodblock/watch")
COLUMNS = ("step", "tokens", "loss", "learning_rate", "grad_norm", "tokens_per_second", "mfu", "memory_mb", "seconds")

# Dense bf16 products a second of one GPU, by a part of the name that CUDA gives it, the longer names first. Source: the
# makers' data sheets, without sparsity; of cards in several forms, the fastest (SXM) unless the name says PCIe.
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

STRAYED = 1.5  # times the running mean: a loss as high, and half a nat above it,
STRAYED_STEPS = 20  # so many steps in a row, will not come back by itself
MEMORY = 0.98  # of the running mean, a step: it spans about fifty


@dataclass
class Trend:
    """The running mean of the loss, and how many steps in a row have strayed from it."""

    mean: float = math.nan
    strayed: int = 0

    def add(self, loss: float) -> bool:
        """Take a step's loss, in nats a target; returns whether the run has diverged. A loss that strays moves no mean."""
        if math.isnan(self.mean):
            self.mean = loss
        if loss > STRAYED * self.mean and loss > self.mean + 0.5:
            self.strayed += 1
        else:
            self.strayed, self.mean = 0, MEMORY * self.mean + (1 - MEMORY) * loss
        return self.strayed >= STRAYED_STEPS


def peak_flops(device: torch.device) -> tuple[float, str]:
    """What the device does at most in a second, in floating-point operations, and how that is known.

    Of a GPU in the table it is the data sheet's bf16; of any other device the best of some square products, in the type
    that training takes there: a peak that is reached, so what is under it has been lost by the program.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for part, peak in PEAKS.items():
            if part.lower() in name.lower():
                return peak, f"data sheet of {part}, bf16"
    size, kind = (4096, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    one = torch.ones(size, size, dtype=kind, device=device)
    best = math.inf
    for _ in range(6):
        _synchronise(device)
        started = time.perf_counter()
        torch.mm(one, one)
        _synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best, f"measured, products of {size} x {size} in {str(kind).removeprefix('torch.')}"


def memory_mb(device: torch.device) -> float:
    """The most memory that was held: the GPU's tensors, or this process's resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def free_memory(device: torch.device) -> int | None:
    """Bytes that a model may still take on the device; None where the system does not say.

    On a CPU, what Linux counts as available, within the limit of the control group that the process may be in.
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


class Log:
    """The live log of a run: a row every few steps. One that goes on cuts off what came after its checkpoint."""

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read(path) if float(row["step"]) <= step]
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *([row[name] for name in COLUMNS] for row in kept)])
        os.replace(partial, path)
        self.file = path.open("a", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)

    def add(self, **row: float) -> None:
        self.writer.writerow([f"{row[name]:.8g}" for name in COLUMNS])
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a live log; those that a kill cut short are left out, and a file of other columns has none."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            return []
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS) and _all_numbers(row)]


def _all_numbers(row: list[str]) -> bool:
    try:
        return all(cell == cell.strip() and not math.isnan(float(cell)) for cell in row)
    except ValueError:
        return False


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def follow(path: Path, seconds: float = 2.0) -> Iterator[dict[str, str]]:
    """The rows of a log as they come, for ever; rows that a resumed run writes again come again."""
    seen = -1.0
    while True:
        rows = read(path)
        if rows and float(rows[-1]["step"]) < seen:
            seen = -1.0
        for row in rows:
            if float(row["step"]) > seen:
                seen = float(row["step"])
                yield row
        time.sleep(seconds)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.training.watch", description="Look at a training run.")
    parser.add_argument("stage", nargs="?", default="pretrain")
    parser.add_argument("--rows", type=int, default=10, help="how many of the last rows are printed")
    parser.add_argument("--follow", action="store_true", help="go on as rows come, until Ctrl-C")
    parser.add_argument("--tensorboard", type=Path, metavar="FOLDER", help="write them as TensorBoard's events instead")
    given = parser.parse_args(arguments)
    path = FOLDER / f"{given.stage}.csv"
    rows: Any = read(path)
    if not rows and not given.follow:
        raise UserError(f"{path}: no rows yet; they come with the {given.stage} stage's first steps")
    rows = follow(path) if given.follow else rows
    if given.tensorboard:
        _to_tensorboard(rows, given.tensorboard)
        return
    print(",".join(COLUMNS), flush=True)
    for row in rows if given.follow else rows[-given.rows :]:
        print(",".join(row.values()), flush=True)


def _to_tensorboard(rows: Any, folder: Path) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError("tensorboard is not installed; pip install tensorboard, or read the CSV itself") from None
    writer = SummaryWriter(str(folder))
    for row in rows:
        for name in COLUMNS[1:]:
            writer.add_scalar(name, float(row[name]), int(float(row["step"])))
        writer.flush()
    writer.close()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass
