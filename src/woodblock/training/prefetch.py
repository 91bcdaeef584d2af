"""Prefetching: a thread makes the next batches while the model trains on one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Batch = TypeVar("Batch")


def ahead(make: Callable[[int], Batch], steps: Iterable[int], count: int = 2) -> Iterator[Batch]:
    """make(step) for each of the steps, in order; up to `count` batches are made in advance.

    One thread makes them, one after another, so `make` need not be thread-safe. If it raises, the exception is raised in
    the place of its batch, and the iterator ends. The thread ends when the iterator is exhausted, closed or deleted, after
    the batch that it is making.
    """
    pool, waiting = ThreadPoolExecutor(1, "batches"), deque[Future[Batch]]()
    try:
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def pinned(tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Copies in page-locked memory, which a GPU reads without the CPU: .to(device, non_blocking=True) then returns at
    once. Needs CUDA; call it in the thread that makes the batches."""
    return tuple(tensor.pin_memory() for tensor in tensors)
