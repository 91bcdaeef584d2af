"""Charts: whatever the numbers, well-formed SVG whose marks lie within the drawing."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock.reporting import charts

FLOATS = st.floats(-1e9, 1e9, allow_nan=False)


def within(drawing: str) -> ElementTree.Element:
    """Parse a drawing; every line, dot and box must lie within its viewBox."""
    root = ElementTree.fromstring(drawing)
    _, _, width, height = map(float, root.get("viewBox").split())
    for element in root.iter():
        for names, limit in ((("x", "x1", "x2", "cx"), width), (("y", "y1", "y2", "cy"), height)):
            for name in names:
                if (value := element.get(name)) is not None:
                    assert -1 <= float(value) <= limit + 1, (element.tag, name, value)
    return root


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


@given(st.lists(st.floats(0, 300), max_size=12))
def test_labels_keep_apart_and_near(wanted):
    placed = charts.spread(wanted, 15, 0, 300)
    ordered = sorted(placed)
    assert all(b - a >= 15 - 1e-6 for a, b in itertools.pairwise(ordered))
    assert all(-1e-6 <= place <= 300 + 1e-6 for place in placed)
    if all(abs(a - b) >= 15 for i, a in enumerate(wanted) for b in wanted[:i]):
        assert placed == pytest.approx(wanted)


@given(st.lists(st.tuples(st.floats(0, 1e9), FLOATS), min_size=1, max_size=40), st.lists(FLOATS, max_size=3))
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


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 9))
    nodes = [charts.Node(f"n{i}", f"node {i}", ("line",) * draw(st.integers(0, 3))) for i in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=16)) if pairs else []
    return nodes, [charts.Edge(f"n{a}", f"n{b}", f"{a} < {b}") for a, b in chosen]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_boxes_stand_apart_and_arrows_point_down(graph):
    nodes, edges = graph
    root = within(charts.graph_chart("g", nodes, edges))
    boxes = [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iter("rect")]
    assert len(boxes) == len(nodes)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    top = {node.name: box[1] for node, box in zip(nodes, boxes, strict=True)}
    assert all(top[edge.source] < top[edge.target] for edge in edges)


def test_graphs_refuse_cycles_and_loose_ends():
    nodes = [charts.Node("a", "a"), charts.Node("b", "b")]
    with pytest.raises(ValueError, match="cycle"):
        charts.graph_chart("g", nodes, [charts.Edge("a", "b"), charts.Edge("b", "a")])
    with pytest.raises(ValueError, match="no node"):
        charts.graph_chart("g", nodes, [charts.Edge("a", "c")])
