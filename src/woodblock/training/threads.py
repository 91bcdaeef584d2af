"""The threads of a CPU, each with its own rows of the batch.

By default PyTorch splits every operation among its threads. They wait for each other at the end of each operation, and
read data from each other's caches. Here each thread takes some rows through the whole forward and backward pass, and they
wait for each other only once. Gradients are added in the order of the threads. So the bits depend on the number of
threads, as with PyTorch's own threads, and on nothing else.
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
    """Threads in which PyTorch uses one thread for an operation."""
    made, all_here = ThreadPoolExecutor(count, "rows"), threading.Barrier(count)

    def alone(_: int) -> None:
        all_here.wait()
        torch.get_num_threads()  # at its first use in a thread, PyTorch copies the number that was set in another
        torch.set_num_threads(1)

    keep_freed_memory()
    list(made.map(alone, range(count)))
    # Each thread keeps its own number; the one that was set last is for new threads.
    torch.set_num_threads(count)
    return made


def keep_freed_memory() -> None:
    """Make glibc keep freed memory. By default it returns some thousand pages to the system in each step and requests them
    again. The system fills each page with zeros, and meanwhile all threads of the process wait for its memory map."""
    if platform.libc_ver()[0] == "glibc":
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(option, 2**30)


def backward(
    loss: Callable[..., Tensor], weights: Sequence[nn.Parameter], rows: tuple[Tensor, ...], scale: float
) -> Tensor:
    """Add the gradient of scale · loss(*rows) to those of the weights; returns the loss without its graph.

    rows: tensors [B, …] on a CPU. The loss is a sum over rows, so they are divided into as many parts as PyTorch has
    threads.
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
