"""Charts as SVG text: lines, intervals and bars.

Charts are written by hand, without a plotting library, for three reasons. The colours are the page's CSS variables, so a
chart fits the reader's light, dark or printed page. The text stays text, in the reader's fonts, also in Chinese. The same
numbers give the same bytes. Every chart is described in words for readers who listen to the page.

Lengths are in user units of the viewBox, which the page shows at about one CSS pixel each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from woodblock.reporting.layout import positions_apart
from woodblock.reporting.svg_text import clipped, label, svg, text_width

WIDTH = 460  # of one chart: two stand side by side on a wide page, and one fills a telephone


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
    """A row of an interval chart: a value, and its standard error where it has one. hollow: draw a ring, not a dot."""

    name: str
    value: float
    stderr: float | None = None
    style: str = "series-1"
    hollow: bool = False


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    levels: Sequence[tuple[str, float]] = (),
    height: int = 270,
) -> str:
    """Lines over a common x from zero, with horizontal dashed `levels` (name, value), which are baselines.

    Each line and level is named at its right end, with its last value. A long name is cut there, but not in the chart's
    description. Points that are not finite are left out. Raises ValueError where no series has a point.
    """
    finite = [Series(s.name, *_finite(s.x, s.y), s.style, s.markers) for s in series]
    finite = [s for s in finite if s.x]
    if not finite:
        raise ValueError(f"{title}: no point to draw")
    ends = [(f"{clipped(name)} {value:.3g}", style) for name, value, style in _ends(levels, finite)]
    left, right, top, bottom = 44, max(104, math.ceil(14 + max(text_width(text) for text, _ in ends))), 14, 42
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
        parts.append(label(left - 6, y + 4, short(tick), "tick", "end"))
    for tick in ticks(x_low, x_high, 5):
        x = px(tick)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{plot_bottom}" y2="{plot_bottom + 4}"/>')
        parts.append(label(x, plot_bottom + 17, short(tick), "tick", "middle"))
    parts.append(f'<line class="axis" x1="{left}" x2="{plot_right}" y1="{plot_bottom}" y2="{plot_bottom}"/>')
    parts.append(label((left + plot_right) / 2, height - 6, x_label, "label", "middle"))
    parts.append(label(left, top - 3, y_label, "label", "start"))

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
    places = positions_apart(heights, 15, top + 4, plot_bottom)
    for y, (text, style), place in zip(heights, ends, places, strict=True):
        parts.append(f'<path class="leader" d="M{plot_right + 2} {y:.1f} L{plot_right + 8} {place:.1f}"/>')
        parts.append(label(plot_right + 11, place + 4, text, f"name {style}", "start"))
    spoken = "; ".join([f"{s.name} goes from {s.y[0]:.4g} to {s.y[-1]:.4g}" for s in finite])
    if levels:
        spoken += "; for comparison " + ", ".join(f"{name} {value:.4g}" for name, value in levels)
    return svg(title, f"{y_label} over {x_label}: {spoken}.", WIDTH, height, parts)


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

    The value and one standard error are written at the row's right end. Values outside [low, high] are drawn at its ends.
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
        parts.append(label(x, plot_bottom + 16, short(tick), "tick", "middle"))
    parts.append(label((left + plot_right) / 2, plot_bottom + 34, x_label, "label", "middle"))
    if chance is not None:
        x = px(chance)
        parts.append(f'<line class="level" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{plot_bottom}"/>')
        parts.append(label(x, top - 8, f"chance {chance:.3g}", "name muted", "middle"))
    spoken = []
    for index, row in enumerate(rows):
        y = top + pitch * (index + 0.5)
        x = px(row.value)
        parts.append(label(left - 10, y + 4, row.name, "name", "end"))
        shown = f"{row.value:.3f}"
        if row.stderr is not None:
            a, b = px(row.value - errors * row.stderr), px(row.value + errors * row.stderr)
            parts.append(f'<line class="whisker {row.style}" x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            shown += f" ± {row.stderr:.3f}"
        kind = "dot hollow" if row.hollow else "dot"
        parts.append(f'<circle class="{kind} {row.style}" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>')
        parts.append(label(plot_right + 10, y + 4, shown, "value", "start"))
        spoken.append(f"{row.name} {shown}")
    text = f"{x_label}: {'; '.join(spoken)}" + (f"; chance {chance:.4g}" if chance is not None else "") + "."
    return svg(title, text, WIDTH, plot_bottom + bottom, parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, str]], x_label: str, width: int = WIDTH) -> str:
    """Horizontal bars (name, value, text shown at the bar's end) from zero."""
    left, right, top, bottom, pitch = 96, 84, 4, 40, 22
    plot_right, plot_bottom = width - right, top + pitch * len(bars)
    high = max([value for _, value, _ in bars] + [1e-9])
    parts = []
    for tick in ticks(0, high, 6):
        x = left + tick / high * (plot_right - left)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{plot_bottom}"/>')
        parts.append(label(x, plot_bottom + 16, short(tick), "tick", "middle"))
    for index, (name, value, text) in enumerate(bars):
        y, length = top + pitch * index, value / high * (plot_right - left)
        parts.append(label(left - 10, y + 15, name, "name", "end"))
        parts.append(f'<rect class="bar" x="{left}" y="{y + 4}" width="{max(length, 0.6):.1f}" height="{pitch - 8}"/>')
        parts.append(label(left + length + 6, y + 15, text, "value", "start"))
    parts.append(f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{plot_bottom}"/>')
    parts.append(label((left + plot_right) / 2, plot_bottom + 34, x_label, "label", "middle"))
    spoken = f"{x_label}: " + "; ".join(f"{name} {text}" for name, _, text in bars) + "."
    return svg(title, spoken, width, plot_bottom + bottom, parts)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` round numbers in [low, high], in steps of 1, 2, 2.5 or 5 times a power of ten.

    Raises ValueError unless low < high, both finite.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"no ticks between {low} and {high}")
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 2.5, 5, 10, 20, 25, 50, 100):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            places = max(12, 3 - math.floor(math.log10(step)))
            return [round(index * step, places) for index in range(first, last + 1)]
    raise AssertionError("the largest step leaves at most one tick")  # pragma: no cover


def short(value: float) -> str:
    """A number of an axis: 1.5, 250, 12k, 3M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def thin(x: Sequence[float], y: Sequence[float], most: int = 300) -> tuple[list[float], list[float]]:
    """At most `most` points. A long curve is smoothed: each point is the mean of a run of neighbouring points."""
    if len(x) <= most:
        return list(x), list(y)
    edges = [index * len(x) // most for index in range(most + 1)]
    runs = [slice(a, b) for a, b in itertools.pairwise(edges)]
    return [sum(x[r]) / len(x[r]) for r in runs], [sum(y[r]) / len(y[r]) for r in runs]


def _ends(levels: Sequence[tuple[str, float]], series: Sequence[Series]) -> list[tuple[str, float, str]]:
    """Name, last value and style of each line and level, for the labels at the right end of a line chart."""
    return [(name, value, "muted") for name, value in levels] + [(s.name, s.y[-1], s.style) for s in series]


def _finite(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _range(values: list[float], pad: float) -> tuple[float, float]:
    """The smallest and the largest value, with a share of padding; if they are equal, a range around them."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):  # less than the ticks can tell apart
        low, high = low - max(abs(low), 1.0) / 2, high + max(abs(high), 1.0) / 2
    return low - pad * (high - low), high + pad * (high - low)
