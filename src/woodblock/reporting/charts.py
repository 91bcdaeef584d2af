"""Charts as SVG text: lines, intervals, bars and a layered drawing of a graph.

Written by hand rather than with a plotting library for three reasons: the colours are the page's CSS variables, so
that a chart follows the reader's light, dark or printed page; the text stays text, in the reader's fonts, also in
Chinese; and the same numbers give the same bytes. Every chart is described in words for readers who hear the page.

Lengths are in user units of the viewBox, which the page shows at about one CSS pixel each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 460  # of one chart: two stand side by side on a wide page, and one fills a telephone
LINE_HEIGHT = 16


@dataclass(frozen=True)
class Series:
    """A line: points in the order of x. `style` names its colour in the page's CSS (series-1, series-2, …)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "series-1"
    markers: bool = False


@dataclass(frozen=True)
class Row:
    """A row of an interval chart: a value, and its standard error where it has one."""

    name: str
    value: float
    stderr: float | None = None
    style: str = "series-1"
    hollow: bool = False


@dataclass(frozen=True)
class Node:
    """A box of a graph: a name and lines under it. `kind` is a class of the page's CSS."""

    name: str
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "stage"


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another; `label` is read out, and shown when pointed at."""

    source: str
    target: str
    label: str = ""


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` round numbers (1, 2, 2.5 or 5 times a power of ten apart) that lie within [low, high].

    Raises ValueError unless low < high, both finite.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"no ticks between {low} and {high}")
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 2.5, 5, 10, 20, 25, 50, 100):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [round(index * step, 12) for index in range(first, last + 1)]
    raise AssertionError("the largest step leaves at most one tick")  # pragma: no cover


def short(value: float) -> str:
    """A number of an axis: 1.5, 250, 12k, 3M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def thin(x: Sequence[float], y: Sequence[float], most: int = 300) -> tuple[list[float], list[float]]:
    """At most `most` points: means over runs of neighbouring ones, so that a long curve is smoothed and not sampled."""
    if len(x) <= most:
        return list(x), list(y)
    edges = [index * len(x) // most for index in range(most + 1)]
    runs = [slice(a, b) for a, b in itertools.pairwise(edges)]
    return [sum(x[r]) / len(x[r]) for r in runs], [sum(y[r]) / len(y[r]) for r in runs]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The positions nearest to the wanted ones, in squares, that are at least `gap` apart and within [low, high].

    Where they do not fit, they start at low and run over high.
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    # Without the gaps that must lie before each, the positions only must not fall.
    flat = _monotone([wanted[index] - place * gap for place, index in enumerate(order)])
    highest = max(low, high - (len(wanted) - 1) * gap)
    result = [0.0] * len(wanted)
    for place, index in enumerate(order):
        result[index] = min(max(flat[place], low), highest) + place * gap
    return result


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    levels: Sequence[tuple[str, float]] = (),
    height: int = 270,
) -> str:
    """Lines over a common x from zero, with horizontal dashed `levels` (name, value): baselines to be under.

    Each line and level is named at its right end, with its last value; a name that is too long is cut there, and whole
    where it is read out. Points that are not finite are left out.
    Raises ValueError where no series has a point.
    """
    finite = [Series(s.name, *_finite(s.x, s.y), s.style, s.markers) for s in series]
    finite = [s for s in finite if s.x]
    if not finite:
        raise ValueError(f"{title}: no point to draw")
    ends = [(f"{_clipped(name)} {value:.3g}", style) for name, value, style in _ends(levels, finite)]
    left, right, top, bottom = 44, max(104, math.ceil(14 + max(_width(text) for text, _ in ends))), 14, 42
    x_low, x_high = _range([0.0, *(v for s in finite for v in s.x)], pad=0.0)
    y_low, y_high = _range([v for s in finite for v in s.y] + [v for _, v in levels], pad=0.05)
    plot_right, plot_bottom = WIDTH - right, height - bottom

    def px(value: float) -> float:
        return left + (value - x_low) / (x_high - x_low) * (plot_right - left)

    def py(value: float) -> float:
        return plot_bottom - (value - y_low) / (y_high - y_low) * (plot_bottom - top)

    parts = []
    for tick in ticks(y_low, y_high):
        y = py(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{plot_right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 6, y + 4, short(tick), "tick", "end"))
    for tick in ticks(x_low, x_high, 5):
        x = px(tick)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{plot_bottom}" y2="{plot_bottom + 4}"/>')
        parts.append(_text(x, plot_bottom + 17, short(tick), "tick", "middle"))
    parts.append(f'<line class="axis" x1="{left}" x2="{plot_right}" y1="{plot_bottom}" y2="{plot_bottom}"/>')
    parts.append(_text((left + plot_right) / 2, height - 6, x_label, "label", "middle"))
    parts.append(_text(left, top - 3, y_label, "label", "start"))

    for _, value in levels:
        y = py(value)
        parts.append(f'<line class="level" x1="{left}" x2="{plot_right}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for s in finite:
        xs, ys = thin(s.x, s.y)
        points = [(px(a), py(b)) for a, b in zip(xs, ys, strict=True)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="line {s.style}" points="{path}"/>')
        if s.markers or len(points) == 1:
            parts += [f'<circle class="dot {s.style}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in points]
    heights = [py(value) for _, value, _ in _ends(levels, finite)]
    places = spread(heights, 15, top + 4, plot_bottom)
    for y, (text, style), place in zip(heights, ends, places, strict=True):
        parts.append(f'<path class="leader" d="M{plot_right + 2} {y:.1f} L{plot_right + 8} {place:.1f}"/>')
        parts.append(_text(plot_right + 11, place + 4, text, f"name {style}", "start"))
    spoken = "; ".join([f"{s.name} goes from {s.y[0]:.4g} to {s.y[-1]:.4g}" for s in finite])
    if levels:
        spoken += "; for comparison " + ", ".join(f"{name} {value:.4g}" for name, value in levels)
    return _svg(title, f"{y_label} over {x_label}: {spoken}.", WIDTH, height, parts)


def _ends(levels: Sequence[tuple[str, float]], series: Sequence[Series]) -> list[tuple[str, float, str]]:
    """Name, last value and style of all that is named at a line chart's right end."""
    return [(name, value, "muted") for name, value in levels] + [(s.name, s.y[-1], s.style) for s in series]


def interval_chart(
    title: str,
    rows: Sequence[Row],
    x_label: str,
    chance: float | None = None,
    low: float = 0.0,
    high: float = 1.0,
    errors: float = 1.96,
) -> str:
    """Values as dots with whiskers of ± `errors` standard errors, one row each, and a dashed line at chance.

    The value and one standard error stand at the row's right end. Values are cut off at [low, high].
    """
    left, right, top, bottom, pitch = 96, 100, 22, 40, 24
    plot_right = WIDTH - right
    plot_bottom = top + pitch * len(rows)

    def px(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (plot_right - left)

    parts = []
    for tick in ticks(low, high, 6):
        x = px(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{plot_bottom}"/>')
        parts.append(_text(x, plot_bottom + 16, short(tick), "tick", "middle"))
    parts.append(_text((left + plot_right) / 2, plot_bottom + 34, x_label, "label", "middle"))
    if chance is not None:
        x = px(chance)
        parts.append(f'<line class="level" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{plot_bottom}"/>')
        parts.append(_text(x, top - 8, f"chance {chance:.3g}", "name muted", "middle"))
    spoken = []
    for index, row in enumerate(rows):
        y = top + pitch * (index + 0.5)
        x = px(row.value)
        parts.append(_text(left - 10, y + 4, row.name, "name", "end"))
        shown = f"{row.value:.3f}"
        if row.stderr is not None:
            a, b = px(row.value - errors * row.stderr), px(row.value + errors * row.stderr)
            parts.append(f'<line class="whisker {row.style}" x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            shown += f" ± {row.stderr:.3f}"
        kind = "dot hollow" if row.hollow else "dot"
        parts.append(f'<circle class="{kind} {row.style}" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>')
        parts.append(_text(plot_right + 10, y + 4, shown, "value", "start"))
        spoken.append(f"{row.name} {shown}")
    text = f"{x_label}: {'; '.join(spoken)}" + (f"; chance {chance:.4g}" if chance is not None else "") + "."
    return _svg(title, text, WIDTH, plot_bottom + bottom, parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, str]], x_label: str, width: int = WIDTH) -> str:
    """Horizontal bars (name, value, text shown at the bar's end) from zero."""
    left, right, top, bottom, pitch = 96, 84, 4, 40, 22
    plot_right, plot_bottom = width - right, top + pitch * len(bars)
    high = max([value for _, value, _ in bars] + [1e-9])
    parts = []
    for tick in ticks(0, high, 6):
        x = left + tick / high * (plot_right - left)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{plot_bottom}"/>')
        parts.append(_text(x, plot_bottom + 16, short(tick), "tick", "middle"))
    for index, (name, value, text) in enumerate(bars):
        y, length = top + pitch * index, value / high * (plot_right - left)
        parts.append(_text(left - 10, y + 15, name, "name", "end"))
        parts.append(f'<rect class="bar" x="{left}" y="{y + 4}" width="{max(length, 0.6):.1f}" height="{pitch - 8}"/>')
        parts.append(_text(left + length + 6, y + 15, text, "value", "start"))
    parts.append(f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{plot_bottom}"/>')
    parts.append(_text((left + plot_right) / 2, plot_bottom + 34, x_label, "label", "middle"))
    spoken = f"{x_label}: " + "; ".join(f"{name} {text}" for name, _, text in bars) + "."
    return _svg(title, spoken, width, plot_bottom + bottom, parts)


# A graph in layers, after Sugiyama, Tagawa and Toda 1981: nodes stand a layer below the lowest of what they read,
# an edge over several layers gets a bend in each, the order in a layer is the barycentre of the neighbours', and
# the horizontal places are pulled towards the neighbours'.

BOX_WIDTH, BOX_GAP, BEND_WIDTH, LAYER_GAP = 190, 22, 16, 40


@dataclass
class _Place:
    """Where a node or a bend stands: its layer, and its centre."""

    layer: int
    width: float
    x: float = 0.0
    above: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


def graph_chart(title: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Boxes and arrows from top to bottom. Raises ValueError for an edge to an unknown node, and for a cycle."""
    places, chains = _layered(nodes, edges)
    rows = _ordered(places)
    _spread_out(places, rows)
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
        parts.append(_text(x + 11, top + 18, node.title, "box-title", "start"))
        for row, line in enumerate(node.lines):
            parts.append(_text(x + 11, top + 20 + LINE_HEIGHT * (row + 1), line, "box-line", "start"))
    spoken = "; ".join(f"{edge.source} to {edge.target}" for edge in edges)
    return _svg(title, f"{len(nodes)} boxes. Arrows: {spoken}.", width, bottoms[-1] + 2, parts)


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
    # A node without predecessors stands right above the first that reads it, which shortens its arrow.
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
    """The names of each layer from left to right: the order with the fewest crossings that the sweeps come by."""
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


def _spread_out(places: dict[str, _Place], rows: list[list[str]]) -> None:
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
            flat = _monotone([w - o for w, o in zip(wanted, offsets, strict=True)])
            for name, value, off in zip(row, flat, offsets, strict=True):
                places[name].x = value + off
    leftmost = min(p.x - p.width / 2 for p in places.values())
    for place in places.values():
        place.x += 2 - leftmost


def _monotone(values: list[float]) -> list[float]:
    """The nearest sequence in squares that never falls: pool adjacent violators, Ayer et al. 1955."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        block = (value, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            total, count = blocks.pop()
            block = (total + block[0], count + block[1])
        blocks.append(block)
    return [total / count for total, count in blocks for _ in range(count)]


def _ports(ends: list[tuple[str, str, int]], places: dict[str, _Place]) -> dict[int, float]:
    """Where on its box each edge ends: edges of a box stand side by side, in the order of their other ends."""
    by_box: dict[str, list[tuple[float, int]]] = {}
    for box, other, index in ends:
        by_box.setdefault(box, []).append((places[other].x, index))
    result = {}
    for box, others in by_box.items():
        pitch = min(22.0, (BOX_WIDTH - 30) / len(others))
        for place, (_, index) in enumerate(sorted(others)):
            result[index] = places[box].x + (place - (len(others) - 1) / 2) * pitch
    return result


def _finite(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _range(values: list[float], pad: float) -> tuple[float, float]:
    """The least and the largest, apart by something, with a share of padding."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):  # less than the ticks can tell apart
        low, high = low - max(abs(low), 1.0) / 2, high + max(abs(high), 1.0) / 2
    return low - pad * (high - low), high + pad * (high - low)


def _width(text: str) -> float:
    """About how wide a text of 12 units is set: hanzi are square, other characters half as wide or a little more."""
    return sum(12.0 if character >= "\u2e80" else 6.8 for character in text)


def _clipped(name: str, most: float = 110.0) -> str:
    """The name, or as much of its beginning as is `most` wide with an ellipsis."""
    if _width(name) <= most:
        return name
    return next(name[:end] + "…" for end in range(len(name), 0, -1) if _width(name[:end] + "…") <= most)


def _text(x: float, y: float, text: str, style: str, anchor: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, description: str, width: float, height: float, parts: Sequence[str]) -> str:
    # aria-label rather than ids for aria-labelledby: ids would have to be unique over the whole page.
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(f"{title}. {description}")}" style="max-width:{width:.0f}px">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
