"""Every number of metrics/, in words where there are any, with as many digits as it has."""

from __future__ import annotations

from typing import Any

from woodblock.reporting.arranging import paths_and_values, shown
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.words import WORDS


def describe(run: Finished) -> dict[str, Any]:
    """By stage, each number's words, its key and its value."""
    return {"stages": every_number(run)}


def every_number(run: Finished) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """All of metrics/ by stage: words, key, value. Without words of its own, a number has its key's, without signs."""
    found = []
    for stage, metrics in run.metrics.items():
        values = dict(paths_and_values(metrics))
        found.append((stage, [(in_words(stage, path), path, shown(values, path)) for path in values]))
    return found


def in_words(stage: str, path: str) -> str:
    """The words for a number: its own, or those of its last part after the names of its group; or its key in words."""
    if found := WORDS.get(f"{stage}.{path}"):
        return found[0]
    group, _, name = path.rpartition(".")
    plain = group.replace("_", " ").replace(".", ", ")
    last = WORDS.get(f"{stage}.{name}", (name.replace("_stderr", ", standard error").replace("_", " "),))[0]
    return f"{plain}: {last}" if group else last[:1].upper() + last[1:]
