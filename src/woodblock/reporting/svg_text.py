"""SVG as text: labels, how wide they are set, and the frame of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def label(x: float, y: float, text: str, style: str, anchor: str) -> str:
    """A text at x, y; style: its classes in the page's CSS; anchor: start, middle or end of the text stands at x."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def text_width(text: str) -> float:
    """About how wide a text of 12 units is set: hanzi are square, other characters half as wide or a little more."""
    return sum(12.0 if character >= "\u2e80" else 6.8 for character in text)


def clipped(name: str, most: float = 110.0) -> str:
    """The name, or as much of its beginning as is `most` wide with an ellipsis."""
    if text_width(name) <= most:
        return name
    return next(name[:end] + "…" for end in range(len(name), 0, -1) if text_width(name[:end] + "…") <= most)


def svg(title: str, description: str, width: float, height: float, parts: Sequence[str]) -> str:
    """A drawing of its parts, in user units; the description says in words what they show."""
    # aria-label rather than ids for aria-labelledby: ids would have to be unique over the whole page.
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(f"{title}. {description}")}" style="max-width:{width:.0f}px">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
