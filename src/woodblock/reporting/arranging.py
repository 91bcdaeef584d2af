"""How values become rows of the page: sorted, some taken of many, long texts cut."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from woodblock.reporting import readable
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.words import WORDS

SAMPLES = 6  # of each kind
ERRORS = {"acc": ("stderr",)}  # the key of a number's standard error, where it is not its own with _stderr
COUNTS = ("n", "prompts", "queries")  # the keys of the number of cases, in the order in which they are looked for
CUT = 360  # characters of a sample that are shown


def paths_and_values(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dictionaries with their dotted paths, in the order of the keys; lists stay whole."""
    if isinstance(values, dict):
        for key in sorted(values):
            yield from paths_and_values(values[key], f"{path}.{key}" if path else str(key))
    else:
        yield path, values


def even_indices(count: int, most: int) -> list[int]:
    """At most `most` indices of range(count), evenly apart, the first among them."""
    most = min(count, most)
    return [index * count // most for index in range(most)]


def even_indices_with_last(count: int, most: int) -> list[int]:
    """At most `most` (2 or more) indices of range(count), evenly apart, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]


def known_first(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names in the order of the known ones, then the others by name."""
    order = {name: place for place, name in enumerate(known)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def largest_first(sources: Iterable[str], train: dict[str, dict[str, Any]]) -> list[str]:
    """Sources by their training tokens, most first; where these are equal or missing, by name."""
    return sorted(sources, key=lambda name: (-train.get(name, {}).get("tokens", 0), name))


def cut(text: str, most: int = CUT) -> str:
    """The text, or its first `most` characters and an ellipsis."""
    text = text.strip()
    return text if len(text) <= most else text[:most].rstrip() + "…"


def shown(values: Mapping[str, Any], path: str) -> str:
    """A number for readers, with no more digits than it has: a dash where there is none.

    A number with a standard error beside it gets decimals down to the error's first digit, a share of n cases those that
    tell the cases apart, any other number four digits.
    """
    value = values.get(path)
    block, _, name = path.rpartition(".")
    beside = {
        key: values.get(f"{block}.{key}" if block else key) for key in (*ERRORS.get(name, (f"{name}_stderr",)), *COUNTS)
    }
    if isinstance(value, float) and math.isfinite(value):
        error = next((beside[key] for key in beside if key not in COUNTS and beside[key]), None)
        count = next((beside[key] for key in COUNTS if beside[key]), None)
        if error:
            return f"{value:.{max(0, -math.floor(math.log10(error)))}f}"
        if count and (value == 0 or 1 / count <= value <= 1):
            return f"{value:.{len(str(count - 1))}f}"
    return readable.number(value)


def described(run: Finished, stage: str, leave_out: Container[str] = ()) -> list[dict[str, Any]]:
    """The numbers of a stage as rows of label, value, unit and key. Those in WORDS come first, in its order."""
    rows = []
    values = dict(paths_and_values(run.metrics.get(stage, {})))
    for key, value in values.items():
        if isinstance(value, (int, float)) and key not in leave_out:
            label, unit = WORDS.get(f"{stage}.{key}", (key.replace("_", " ").replace(".", ", "), ""))
            rows.append({"label": label, "value": shown(values, key), "unit": unit, "key": f"{stage}.{key}"})
    order = {key: place for place, key in enumerate(WORDS)}
    return sorted(rows, key=lambda row: order.get(row["key"], len(order)))
