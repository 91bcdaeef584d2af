"""Equal values in arrays: the first of each run, the different values, and those that occur often."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


def is_first(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """[n]: whether a value (or a row of values) differs from the one before it. values: equal ones must be together."""
    differs: Any = values[1:] != values[:-1]
    if values.ndim == 2:
        differs = differs.any(axis=1)
    return np.concatenate([[True], differs])[: len(values)]


def distinct(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """The different values, ascending. (Sorting takes a third of the time of np.unique, which hashes.)"""
    ascending = np.sort(values)
    different: npt.NDArray[Scalar] = ascending[is_first(ascending)]
    return different


def is_frequent(values: npt.NDArray[Any], fewest: int) -> npt.NDArray[np.bool_]:
    """[n]: whether a value occurs `fewest` times or more. Few do, so costly steps can be limited to these."""
    ascending = np.sort(values)
    frequent = distinct(ascending[fewest - 1 :][ascending[fewest - 1 :] == ascending[: len(ascending) - fewest + 1]])
    if not len(frequent):
        return np.zeros(len(values), dtype=np.bool_)
    found: npt.NDArray[np.bool_] = frequent[np.minimum(np.searchsorted(frequent, values), len(frequent) - 1)] == values
    return found
