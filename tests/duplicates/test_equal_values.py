"""Equal values of an array are found as counting finds them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.duplicates.equal_values import distinct, is_first, is_frequent

VALUES = st.lists(st.integers(0, 6), max_size=20)


@given(VALUES, st.integers(1, 4))
def test_distinct_and_frequent_values_are_those_that_counting_finds(values, fewest):
    counts, array = Counter(values), np.array(values, dtype=np.uint64)
    assert distinct(array).tolist() == sorted(counts)
    assert is_frequent(array, fewest).tolist() == [counts[value] >= fewest for value in values]


@pytest.mark.parametrize("width", [None, 1, 2])
@given(st.data())
def test_the_first_of_equal_ones_is_the_one_that_none_like_it_precedes(width, data):
    rows = sorted(data.draw(st.lists(st.tuples(*[st.integers(0, 2)] * (width or 1)), max_size=12)))
    array = np.array(rows, dtype=np.uint64).reshape(len(rows), *([width] if width else []))
    assert is_first(array).tolist() == [row not in rows[:place] for place, row in enumerate(rows)]
