"""The passes between products compute what PyTorch's operations do, to fp32's rounding, at lengths that fill no register."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock.models import fused

floats = st.floats(-87, 88, width=32)


def exponential(values):
    x = np.array(values, np.float32)
    fused.exponential(x, np.empty(len(x), np.int32))
    return x


@settings(deadline=None)
@given(st.lists(floats, min_size=1, max_size=37))
def test_the_exponential_is_exact_to_rounding(values):
    wanted = np.exp(np.array(values, np.float32).astype(np.float64))
    np.testing.assert_allclose(exponential(values), wanted, rtol=1.5e-7)


def test_far_below_it_is_next_to_nothing_and_nan_goes_through():
    found = exponential([-88, -1e4, -np.inf, np.nan, 0])
    assert (found[:3] < 2e-38).all() and (found[:3] >= 0).all()
    assert np.isnan(found[3]) and found[4] == 1


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 5), size=st.integers(1, 37), seed=st.integers(0, 99))
def test_cross_entropy_and_its_gradient_are_pytorchs(rows, size, seed):
    draw = torch.Generator().manual_seed(seed)
    logits = (10 * torch.randn(rows, size, generator=draw)).requires_grad_()
    targets = torch.randint(-1, size, (rows,), generator=draw)
    wanted = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum")
    wanted.backward()
    found = logits.detach().clone()
    loss = fused.cross_entropy(found.numpy(), targets.numpy())
    assert loss == pytest.approx(float(wanted.detach()), rel=1e-5, abs=1e-5)
    torch.testing.assert_close(found, logits.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_of_logits_that_are_no_numbers_is_none_either(bad):
    for place in range(20):
        logits = np.zeros((1, 20), np.float32)
        logits[0, place] = bad
        assert np.isnan(fused.cross_entropy(logits, np.array([3])))


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_swiglu_and_its_gradient_are_pytorchs_far_out_too(scale):
    draw = torch.Generator().manual_seed(1)
    both = (scale * torch.randn(3, 2 * 21, generator=draw)).requires_grad_()
    pull = torch.randn(3, 21, generator=draw)
    gate, up = both.chunk(2, dim=1)
    wanted = F.silu(gate) * up
    wanted.backward(pull)
    hidden, again, grads = np.empty((3, 21), np.float32), pull.numpy().copy(), np.empty((3, 42), np.float32)
    fused.swiglu(hidden, both.detach().numpy())
    fused.swiglu_backward(grads, again, both.detach().numpy())
    np.testing.assert_allclose(hidden, wanted.detach().numpy(), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(hidden, again, rtol=1e-6)
    np.testing.assert_allclose(grads, both.grad.numpy(), rtol=1e-4, atol=1e-5 * scale)
