"""Batches made ahead are those made in place: their order, their contents, their errors; and the thread ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from woodblock.tokens import packing
from woodblock.training import prefetch


@given(first=st.integers(0, 5), steps=st.integers(0, 9), count=st.integers(0, 4))
def test_order_and_contents_are_those_made_in_place(first, steps, count):
    made = []

    def make(step: int) -> int:
        made.append(step)
        return step * step

    wanted = range(first, first + steps)
    assert list(prefetch.ahead(make, wanted, count)) == [step * step for step in wanted]
    assert made == list(wanted)


def test_batches_of_windows_are_the_same_with_and_without(tmp_path):
    entry = packing.write(tmp_path, "train", [(list(range(500)), 500)], vocab_size=500, shard_tokens=64)
    packing.write_index(tmp_path, vocab_size=500, tokenizer_sha256="0" * 64, splits={"train": entry})
    packed = packing.Packed(tmp_path, "train")
    here, there = (packing.Windows(packed, 16, 3) for _ in range(2))
    batches = prefetch.ahead(lambda step: there.batch(step * 9, 9), range(4, 30))
    for step, batch in zip(range(4, 30), batches, strict=True):
        # Another pass in between, by the same object: what the thread makes does not change.
        there.batch(step * 1000, 2)
        assert np.array_equal(batch, here.batch(step * 9, 9))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_no_more_are_made_than_may_wait(count):
    made = []
    batches = prefetch.ahead(lambda step: made.append(step) or step, range(100), count)
    for taken in range(40):
        assert next(batches) == taken
        assert len(made) <= taken + 1 + count
    batches.close()
    assert len(made) <= 40 + count


def test_the_next_batch_is_made_while_one_is_in_use():
    begun = {step: threading.Event() for step in range(4)}

    def make(step: int) -> int:
        begun[step].set()
        return step

    batches = prefetch.ahead(make, range(4), 2)
    assert next(batches) == 0
    assert begun[1].wait(60) and begun[2].wait(60) and not begun[3].is_set()
    batches.close()


def test_what_making_raises_is_raised_where_its_batch_is_due():
    def make(step: int) -> int:
        if step == 3:
            raise KeyError("batch 3")
        return step

    batches = prefetch.ahead(make, range(10))
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="batch 3"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


@pytest.mark.parametrize("how", ["exhausted", "closed", "raised", "let go"])
def test_the_thread_ends_with_the_iterator(how):
    def make(step: int) -> int:
        names.append(threading.current_thread())
        if how == "raised" and step == 1:
            raise OSError
        return step

    names: list[threading.Thread] = []
    batches = prefetch.ahead(make, range(5))
    if how == "exhausted":
        list(batches)
    elif how == "raised":
        with pytest.raises(OSError):
            list(batches)
    else:
        next(batches)
        if how == "closed":
            batches.close()
        else:
            del batches
    assert names and not any(thread.is_alive() for thread in names)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs CUDA")
def test_pinned_copies_are_equal_and_page_locked():
    tensors = (torch.arange(6).view(2, 3), torch.ones(4))
    copies = prefetch.pinned(tensors)
    assert all(copy.is_pinned() and torch.equal(copy, tensor) for copy, tensor in zip(copies, tensors, strict=True))
    (made,) = prefetch.ahead(lambda step: prefetch.pinned(tensors), range(1))  # in the thread too
    assert torch.equal(made[0].to("cuda", non_blocking=True).cpu(), tensors[0])
