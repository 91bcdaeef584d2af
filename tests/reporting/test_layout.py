"""Labels keep apart and near to where they are wanted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.reporting import layout


@given(st.lists(st.floats(0, 300), max_size=12))
def test_labels_keep_apart_and_near(wanted):
    placed = layout.positions_apart(wanted, 15, 0, 300)
    ordered = sorted(placed)
    assert all(b - a >= 15 - 1e-6 for a, b in itertools.pairwise(ordered))
    assert all(-1e-6 <= place <= 300 + 1e-6 for place in placed)
    if all(abs(a - b) >= 15 for i, a in enumerate(wanted) for b in wanted[:i]):
        assert placed == pytest.approx(wanted)
