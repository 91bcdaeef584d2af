"""Batches ahead: the next ones are made in a thread while one is trained on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Batch = TypeVar("Batch")


def ahead(make: Callable[[int], Batch], steps: Iterable[int], count: int = 2) -> Iterator[Batch]:
    """make(step) for each of the steps, in their order; up to `count` are made before they are asked for.

    One thread makes them, one after another, so `make` need not be safe for several. What it raises is raised where
    its batch is due, and nothing after. The thread ends with the iterator: when it is exhausted, closed or let go, once
    the batch under way is made.
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
    """Copies in page-locked memory, from which a GPU reads without the CPU's help: .to(device, non_blocking=True) then
    returns at once. Needs CUDA; call it in the thread that makes the batches."""
    return tuple(tensor.pin_memory() for tensor in tensors)
