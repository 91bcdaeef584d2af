"""A CPU's threads, each with rows of the batch of its own.

PyTorch by itself splits every operation among its threads, which wait for each other at the end of each, and read what
another has in its cache. Here each thread takes some rows through the whole forward and backward pass, every operation
by itself, and they meet once. Gradients are added in the threads' order: the bits depend on their number, as they do
with PyTorch's own threads, and on nothing else.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)


@functools.cache
def pool(count: int) -> ThreadPoolExecutor:
    """Threads in which PyTorch gives one thread to an operation."""
    made, all_here = ThreadPoolExecutor(count, "rows"), threading.Barrier(count)

    def alone(_: int) -> None:
        all_here.wait()
        torch.get_num_threads()  # at its first use in a thread PyTorch takes over what was set in another
        torch.set_num_threads(1)

    keep_freed_memory()
    list(made.map(alone, range(count)))
    # Each thread has a number of its own; the last one that was set is for threads to come.
    torch.set_num_threads(count)
    return made


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: by itself it hands back to the system, and asks for anew, some thousand pages a
    step, each of which the system fills with zeros while every thread of the process waits for its map of memory."""
    if platform.libc_ver()[0] == "glibc":
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(option, 2**30)


def backward(
    loss: Callable[..., Tensor], weights: Sequence[nn.Parameter], rows: tuple[Tensor, ...], scale: float
) -> Tensor:
    """Add the gradient of scale · loss(*rows) to those of the weights; returns the loss without its graph.

    rows: tensors [B, …] on a CPU. The loss is a sum over rows: they are cut into as many parts as PyTorch has threads.
    """
    threads = torch.get_num_threads()
    count = min(threads, len(rows[0]))
    if count == 1:  # one row, or one thread
        total = loss(*rows)
        (total * scale).backward()
        return total.detach()

    def part(*some: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        found = loss(*some)
        return found.detach(), torch.autograd.grad(found * scale, weights)

    parts = pool(threads).map(part, *(tensor.tensor_split(count) for tensor in rows))
    losses, gradients = zip(*parts, strict=True)
    for weight, *found in zip(weights, *gradients, strict=True):
        for gradient in found:
            weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
    return torch.stack(losses).sum()
