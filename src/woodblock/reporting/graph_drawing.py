"""A graph of boxes and arrows, drawn in layers, as SVG text.

The method is that of Sugiyama, Tagawa and Toda 1981. A node is one layer below the lowest node that it reads. An edge
across several layers has a bend in each. The order in a layer is that of the barycentres of the neighbours, and a node's
horizontal place is near the mean of its neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from woodblock.reporting.layout import isotonic
from woodblock.reporting.svg_text import label, svg

LINE_HEIGHT = 16
BOX_WIDTH, BOX_GAP, BEND_WIDTH, LAYER_GAP = 190, 22, 16, 40


@dataclass(frozen=True)
class Node:
    """A box of a graph: a name and lines under it. `kind` is a class of the page's CSS."""

    name: str
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "stage"


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another. `label` is read out, and shown when the mouse is over the arrow."""

    source: str
    target: str
    label: str = ""


@dataclass
class _Place:
    """The place of a node or a bend: its layer, and its centre."""

    layer: int
    width: float
    x: float = 0.0
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


def graph_chart(title: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Boxes and arrows from top to bottom. Raises ValueError for an edge to an unknown node, and for a cycle."""
    places, chains = _layered(nodes, edges)
    rows = _ordered(places)
    _place_across(places, rows)
    heights = {node.name: 26 + LINE_HEIGHT * len(node.lines) + (6 if node.lines else 0) for node in nodes}
    tops, bottoms, y = [], [], 2.0
    for row in rows:
        tall = max(heights.get(name, 0) for name in row)
        tops.append(y)
        bottoms.append(y + tall)
        y += tall + LAYER_GAP
    width = max(p.x + p.width / 2 for p in places.values()) + 2

    exits = _ports([(chain[0], chain[1], index) for index, chain in enumerate(chains)], places)
    entries = _ports([(chain[-1], chain[-2], index) for index, chain in enumerate(chains)], places)
    parts = []
    for index, (edge, chain) in enumerate(zip(edges, chains, strict=True)):
        source = places[chain[0]]
        x, y_now = exits[index], tops[source.layer] + heights[chain[0]]
        path = [f"M{x:.1f} {y_now:.1f}"]
        if y_now < bottoms[source.layer]:  # a box lower than its neighbours: leave its layer straight
            y_now = bottoms[source.layer]
            path.append(f"V{y_now:.1f}")
        for name in chain[1:]:
            last = name == chain[-1]
            x_next = entries[index] if last else places[name].x
            y_next = tops[places[name].layer] - (5 if last else 0)
            middle = (y_now + y_next) / 2
            path.append(f"C{x:.1f} {middle:.1f} {x_next:.1f} {middle:.1f} {x_next:.1f} {y_next:.1f}")
            x, y_now = x_next, y_next
            if not last:
                y_now = bottoms[places[name].layer]
                path.append(f"V{y_now:.1f}")
        parts.append(
            f'<path class="edge" d="{"".join(path)}"><title>{escape(edge.label or edge.source)}</title></path>'
            f'<path class="head" d="M{x - 3.5:.1f} {y_now - 1:.1f} h7 l-3.5 6 z"/>'
        )
    for node in nodes:
        place = places[node.name]
        x, top = place.x - BOX_WIDTH / 2, tops[place.layer]
        parts.append(
            f'<rect class="box {node.kind}" x="{x:.1f}" y="{top:.1f}" width="{BOX_WIDTH}" '
            f'height="{heights[node.name]}" rx="3"/>'
        )
        parts.append(label(x + 11, top + 18, node.title, "box-title", "start"))
        for number, line in enumerate(node.lines, start=1):
            parts.append(label(x + 11, top + 20 + LINE_HEIGHT * number, line, "box-line", "start"))
    spoken = "; ".join(f"{edge.source} to {edge.target}" for edge in edges)
    return svg(title, f"{len(nodes)} boxes. Arrows: {spoken}.", width, bottoms[-1] + 2, parts)


def _layered(nodes: Sequence[Node], edges: Sequence[Edge]) -> tuple[dict[str, _Place], list[list[str]]]:
    """A layer for each node, bends for long edges, and each edge's chain of names from its source to its target."""
    names = [node.name for node in nodes]
    for edge in edges:
        if edge.source not in names or edge.target not in names:
            raise ValueError(f"the edge {edge.source} → {edge.target} has an end that is no node")
    layers = dict.fromkeys(names, 0)
    for _ in names:
        changed = False
        for edge in edges:
            if layers[edge.target] <= layers[edge.source]:
                layers[edge.target] = layers[edge.source] + 1
                changed = True
        if not changed:
            break
    else:
        raise ValueError("the graph has a cycle")
    # A node without predecessors is placed right above the first node that reads it, so its arrow is short.
    for name in names:
        if not any(edge.target == name for edge in edges):
            layers[name] = min([layers[edge.target] - 1 for edge in edges if edge.source == name], default=0)
    places = {name: _Place(layers[name], BOX_WIDTH) for name in names}
    chains = []
    for index, edge in enumerate(edges):
        chain = [edge.source]
        for layer in range(layers[edge.source] + 1, layers[edge.target]):
            bend = f"\0{index}.{layer}"
            places[bend] = _Place(layer, BEND_WIDTH)
            chain.append(bend)
        chain.append(edge.target)
        for upper, lower in itertools.pairwise(chain):
            places[upper].below.append(lower)
            places[lower].above.append(upper)
        chains.append(chain)
    return places, chains


def _ordered(places: dict[str, _Place]) -> list[list[str]]:
    """The names of each layer from left to right: of the orders that the sweeps try, the one with the fewest crossings."""
    rows: list[list[str]] = [[] for _ in range(1 + max(place.layer for place in places.values()))]
    for name, place in places.items():
        rows[place.layer].append(name)
    best, fewest = [list(row) for row in rows], _crossings(rows, places)
    for sweep in range(24):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            rank = {name: i for line in rows for i, name in enumerate(line)}

            def barycentre(name: str, rank: dict[str, int] = rank, downwards: bool = downwards) -> float:
                near = places[name].above if downwards else places[name].below
                return sum(rank[n] for n in near) / len(near) if near else rank[name]

            row.sort(key=barycentre)
        if (crossings := _crossings(rows, places)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _crossings(rows: list[list[str]], places: dict[str, _Place]) -> int:
    total = 0
    for upper, lower in itertools.pairwise(rows):
        rank = {name: i for i, name in enumerate(lower)}
        ends = [(i, rank[n]) for i, name in enumerate(upper) for n in places[name].below]
        total += sum(a < c and b > d for a, b in ends for c, d in ends)
    return total


def _place_across(places: dict[str, _Place], rows: list[list[str]]) -> None:
    """Give every place its x: near its neighbours' mean, in the order of its row, without overlaps."""
    for row in rows:
        x = 0.0
        for name in row:
            places[name].x = x + places[name].width / 2
            x += places[name].width + BOX_GAP
    for sweep in range(30):
        for row in rows if sweep % 2 else reversed(rows):
            wanted = []
            for name in row:
                near = places[name].above + places[name].below
                wanted.append(sum(places[n].x for n in near) / len(near) if near else places[name].x)
            # Take the widths out, so that one gap holds between all of them, and put them back afterwards.
            offsets, offset = [], 0.0
            for i, name in enumerate(row):
                offset += (places[row[i - 1]].width + places[name].width) / 2 + BOX_GAP if i else 0.0
                offsets.append(offset)
            flat = isotonic([w - o for w, o in zip(wanted, offsets, strict=True)])
            for name, value, off in zip(row, flat, offsets, strict=True):
                places[name].x = value + off
    leftmost = min(p.x - p.width / 2 for p in places.values())
    for place in places.values():
        place.x += 2 - leftmost


def _ports(ends: list[tuple[str, str, int]], places: dict[str, _Place]) -> dict[int, float]:
    """The x of each edge's end on its box: edges of a box end side by side, in the order of their other ends."""
    by_box: dict[str, list[tuple[float, int]]] = {}
    for box, other, index in ends:
        by_box.setdefault(box, []).append((places[other].x, index))
    result = {}
    for box, others in by_box.items():
        pitch = min(22.0, (BOX_WIDTH - 30) / len(others))
        for place, (_, index) in enumerate(sorted(others)):
            result[index] = places[box].x + (place - (len(others) - 1) / 2) * pitch
    return result
