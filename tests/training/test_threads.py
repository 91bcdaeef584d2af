"""Rows shared out among threads: the gradient is that of all of them, the same bits each time."""

from __future__ import annotations

import pytest
import torch
from support import small_models

from woodblock.training import threads


@pytest.fixture(autouse=True)
def as_before():
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


def gradients(count, rows=5, times=1, scale=0.25):
    torch.set_num_threads(count)
    model = small_models.model()
    ids = torch.randint(0, 20, (rows, 12), generator=torch.Generator().manual_seed(3))
    targets = ids.roll(-1, dims=1)
    targets[:, -1] = -1
    for _ in range(times):
        loss = threads.backward(model.loss, list(model.parameters()), (ids, targets), scale)
    return [loss, *(weight.grad for weight in model.parameters())]


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_they_add_up_to_the_gradient_of_all_rows(count, rows):
    for one, other in zip(gradients(1, rows), gradients(count, rows), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_each_time_the_same_bits_and_added_to_what_was_there():
    first = gradients(2)
    for _ in range(5):
        assert all(torch.equal(one, other) for one, other in zip(first, gradients(2), strict=True))
    for once, twice in zip(first[1:], gradients(2, times=2)[1:], strict=True):
        torch.testing.assert_close(2 * once, twice)


def test_pytorch_gives_one_thread_to_an_operation_within_and_all_to_one_outside():
    torch.set_num_threads(3)
    inside = []

    def loss(row):
        inside.append(torch.get_num_threads())
        return weight.sum() * row.sum()

    weight = torch.nn.Parameter(torch.ones(1))
    threads.backward(loss, [weight], (torch.arange(6.0),), 1.0)
    assert inside == [1, 1, 1] and torch.get_num_threads() == 3
    assert float(weight.grad) == 15


def test_an_error_in_one_of_them_is_the_callers():
    def loss(row):
        raise ValueError("in a thread")

    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="in a thread"):
        threads.backward(loss, [torch.nn.Parameter(torch.ones(1))], (torch.arange(4.0),), 1.0)
