"""Charts of training curves: lines from the columns of curves/<stage>.csv."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from woodblock.reporting import charts


def column(frame: pd.DataFrame, x: str, y: str, name: str, style: str) -> charts.Series | None:
    """One column of a curve over another, without gaps; None where a column is missing or empty."""
    if y not in frame or x not in frame:
        return None
    points = frame[[x, y]].dropna()
    if points.empty:
        return None
    return charts.Series(name, points[x].tolist(), points[y].tolist(), style, markers=len(points) <= 60)


def chart(
    title: str, series: Sequence[charts.Series | None], x: str, y: str, levels: Sequence[tuple[str, float]] = ()
) -> str:
    """A line chart of the series that exist; an empty text where none does."""
    found = [s for s in series if s is not None]
    return charts.line_chart(title, found, x, y, levels) if found else ""
