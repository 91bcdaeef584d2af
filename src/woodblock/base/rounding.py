"""Metrics are rounded before they are written, so that they can be compared and diffed."""

from __future__ import annotations

from typing import Any

PLACES = 6  # decimals


def rounded(value: Any) -> Any:
    """Metrics with floats to PLACES decimals; the writer sorts their keys.

    Raises ValueError for a NaN or an infinity: such a metric is a bug, not a result.
    """
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"a metric is {value}")
        return round(value, PLACES)
    return value
