"""A few rows of many: evenly apart, with the first, and the last where wanted."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from woodblock.reporting import arranging


@given(st.integers(1, 500), st.integers(2, 50))
def test_indices_with_the_last_go_from_the_first_to_the_last(count, most):
    indices = arranging.even_indices_with_last(count, most)
    assert len(indices) == min(count, most) and indices[0] == 0 and indices[-1] == count - 1
    apart = [b - a for a, b in itertools.pairwise(indices)]
    assert all(apart) and max(apart, default=0) - min(apart, default=0) <= 1


@given(st.integers(0, 500), st.integers(1, 50))
def test_indices_are_evenly_apart(count, most):
    indices = arranging.even_indices(count, most)
    assert len(indices) == min(count, most) == len(set(indices))
    assert indices == sorted(indices) and all(0 <= i < count for i in indices)
