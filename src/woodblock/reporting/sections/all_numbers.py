"""Every number of metrics/, in full precision, under its own key."""

from __future__ import annotations

from typing import Any

from woodblock.reporting.arranging import paths_and_values
from woodblock.reporting.finished_run import Finished


def describe(run: Finished) -> dict[str, Any]:
    """By stage, the path and the value of each number."""
    return {"stages": every_number(run)}


def every_number(run: Finished) -> list[tuple[str, list[tuple[str, str]]]]:
    """All of metrics/, as in the files: in full precision, under their own keys."""
    return [
        (stage, [(path, _in_full(value)) for path, value in paths_and_values(metrics)])
        for stage, metrics in run.metrics.items()
    ]


def _in_full(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
