"""SVG as text: labels, their widths, and the frame of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def label(x: float, y: float, text: str, style: str, anchor: str) -> str:
    """A text at x, y. style: its classes in the page's CSS. anchor: which of the text's start, middle or end is at x."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def text_width(text: str) -> float:
    """The approximate width of a text of 12 units: hanzi are square, other characters a little more than half as wide."""
    return sum(12.0 if character >= "\u2e80" else 6.8 for character in text)


def clipped(name: str, most: float = 110.0) -> str:
    """The name, or as much of its beginning as fits `most` with an ellipsis."""
    if text_width(name) <= most:
        return name
    return next(name[:end] + "…" for end in range(len(name), 0, -1) if text_width(name[:end] + "…") <= most)


def svg(title: str, description: str, width: float, height: float, parts: Sequence[str]) -> str:
    """A drawing made of its parts, in user units. description: in words, what they show."""
    # aria-label and not aria-labelledby: that needs ids, which would have to be unique on the whole page.
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(f"{title}. {description}")}" style="max-width:{width:.0f}px">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
