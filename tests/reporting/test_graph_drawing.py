"""The drawing of a graph: boxes stand apart, arrows point down, and what is no such graph is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.drawings import within

from woodblock.reporting import graph_drawing


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 9))
    nodes = [graph_drawing.Node(f"n{i}", f"node {i}", ("line",) * draw(st.integers(0, 3))) for i in range(count)]
    pairs = [(a, b) for b in range(count) for a in range(b)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=16)) if pairs else []
    return nodes, [graph_drawing.Edge(f"n{a}", f"n{b}", f"{a} < {b}") for a, b in chosen]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_boxes_stand_apart_and_arrows_point_down(graph):
    nodes, edges = graph
    root = within(graph_drawing.graph_chart("g", nodes, edges))
    boxes = [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iter("rect")]
    assert len(boxes) == len(nodes)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    top = {node.name: box[1] for node, box in zip(nodes, boxes, strict=True)}
    assert all(top[edge.source] < top[edge.target] for edge in edges)


def test_graphs_refuse_cycles_and_loose_ends():
    nodes = [graph_drawing.Node("a", "a"), graph_drawing.Node("b", "b")]
    with pytest.raises(ValueError, match="cycle"):
        graph_drawing.graph_chart("g", nodes, [graph_drawing.Edge("a", "b"), graph_drawing.Edge("b", "a")])
    with pytest.raises(ValueError, match="no node"):
        graph_drawing.graph_chart("g", nodes, [graph_drawing.Edge("a", "c")])
