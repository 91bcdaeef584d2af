"""Charts: whatever the numbers, well-formed SVG whose marks lie within the drawing."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.drawings import within

from woodblock.reporting import charts

FLOATS = st.floats(-1e9, 1e9, allow_nan=False)


@given(FLOATS, st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_inside(low, width):
    high = low + width
    if not low < high or width < 1e-9 * abs(low):
        return
    found = charts.ticks(low, high)
    assert len(found) <= 6
    assert all(low - 1e-6 * width <= tick <= high + 1e-6 * width for tick in found)
    steps = {round((b - a) / width, 6) for a, b in itertools.pairwise(found)}
    assert len(steps) <= 1


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 6e6, [0, 1e6 * 2, 4e6, 6e6])]
)
def test_ticks_of_common_axes(low, high, expected):
    assert charts.ticks(low, high) == expected


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (math.nan, 1), (0, math.inf)])
def test_ticks_refuse_what_is_no_range(low, high):
    with pytest.raises(ValueError, match="no ticks"):
        charts.ticks(low, high)


@given(st.lists(st.tuples(st.floats(0, 1e9), FLOATS), min_size=1, max_size=40), st.lists(FLOATS, max_size=3))
@example([(0.0, -5.9e-49)], [-3.3e-48])
@settings(max_examples=60)
def test_lines_lie_within_the_drawing(points, levels):
    series = charts.Series("a <b>", [x for x, _ in points], [y for _, y in points], markers=True)
    within(charts.line_chart("t & t", [series], "x", "y", [(f"level {i}", v) for i, v in enumerate(levels)]))


@given(st.lists(st.text(st.sampled_from("法aWi-_9 三"), min_size=1, max_size=60), min_size=1, max_size=6), FLOATS)
def test_names_of_lines_end_within_the_drawing(names, value):
    series = [charts.Series(name, [0, 1], [value, value]) for name in names]
    drawing = within(charts.line_chart("t", series, "x", "y"))
    for text in (element for element in drawing.iter("text") if element.get("class").startswith("name")):
        wide = sum(12 if character >= "\u2e80" else 6.8 for character in text.text)
        assert float(text.get("x")) + wide <= charts.WIDTH
    assert all(name in drawing.get("aria-label") for name in names)


def test_a_name_that_is_too_long_is_cut():
    drawing = charts.line_chart("t", [charts.Series("mobvoi_seq_monkey_general", [0, 1], [2.0, 1.0])], "x", "y")
    assert ">mobvoi_seq_monk… 1<" in drawing and "mobvoi_seq_monkey_general goes from 2 to 1" in drawing


def test_gaps_are_left_out_and_nothing_at_all_is_refused():
    drawing = charts.line_chart("t", [charts.Series("s", [1, 2, 3], [1.0, math.nan, 2.0])], "x", "y")
    assert len(re.search(r'points="([^"]*)"', drawing)[1].split()) == 2
    with pytest.raises(ValueError, match="no point"):
        charts.line_chart("t", [charts.Series("s", [1], [math.nan])], "x", "y")


def test_long_curves_are_averaged():
    x, y = charts.thin(range(1000), [float(v % 2) for v in range(1000)], 100)
    assert len(x) == 100 and set(y) == {0.5} and x[0] == 4.5


def test_intervals_are_cut_off_at_the_ends():
    rows = [charts.Row("model", 0.99, 0.1), charts.Row("baseline", 0.3, hollow=True)]
    root = within(charts.interval_chart("t", rows, "accuracy", chance=0.25))
    assert "model 0.990 ± 0.100" in root.get("aria-label") and "chance 0.25" in root.get("aria-label")
