"""The gate: the record of what the training text was compared with; the stage benchmark reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError
from woodblock.decontamination.index import OWN, Overlaps, as_json
from woodblock.decontamination.normal_form import characters_of, digest_of_digests, digest_of_text


def own_texts(
    validation: Iterable[Mapping[str, Any]], documents: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """The texts of the pipeline's own tasks, as pairs for `Overlaps.of`: held-out documents and held-out articles.

    validation: rows of data/dedup/validation (text); documents: rows of data/dedup/documents (text, split). The stages
    dedup and benchmark both use this function, so that they use the same texts.
    """
    yield from ((OWN, row["text"]) for row in validation)
    yield from ((OWN, row["text"]) for row in documents if row["split"] == "validation")


def digest_of_questions(texts: Iterable[str]) -> str:
    """sha256 over the sorted sha256 of the different normalised texts: it does not depend on the order of the questions."""
    return digest_of_digests(digest_of_text(characters_of(text)[0]) for text in texts)


def record(checks: Iterable[Overlaps], dropped: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What was checked, in the form of data/dedup/decontamination.json, which the stage benchmark reads.

    checks: every index that all training text (pretraining, instructions, articles) was compared with. dropped: by
    benchmark, what was dropped for it by kind ({"cmmlu": {"documents": 3, "conversations": 1}}); a benchmark for which
    nothing was dropped may be left out.

    The form is {"length": 32, "benchmarks": {"cmmlu": {"questions": 11917, "findable": 11810, "too_short": 96,
    "sha256": …, "templates": 40, "dropped": {…}}}}. For each benchmark it has the number of its questions, how many of them
    can be found in a training text, how many are too short for that (others have nothing but templates), the
    `digest_of_questions` of their texts, and at how many places of its questions a template starts.

    Raises UserError if two checks have the same benchmark (a source of download.benchmarks with the name validation), and
    ValueError if they have different lengths, or if something was dropped for a benchmark that was not checked.
    """
    checks = list(checks)
    if len({check.length for check in checks}) != 1:
        raise ValueError("at least one check is needed, and all must have the same length")
    benchmarks: dict[str, Any] = {}
    for check in checks:
        if twice := sorted(benchmarks.keys() & check.checked.keys()):
            raise UserError(f"download.benchmarks: two sources have the name {twice[0]}; rename one with name:")
        benchmarks |= {name: {**of, "dropped": dict(dropped.get(name, {}))} for name, of in check.checked.items()}
    if unknown := sorted(set(dropped) - set(benchmarks)):
        raise ValueError(f"texts were dropped for {unknown[0]}, which was not checked")
    return {"length": checks[0].length, "benchmarks": benchmarks}


def numbers(recorded: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The numbers of a `record` by benchmark, for metrics: without digests."""
    return {
        name: {key: value for key, value in of.items() if key != "sha256"}
        for name, of in recorded["benchmarks"].items()
    }


def write(path: Path, recorded: Mapping[str, Any]) -> None:
    """Write a `record` as JSON, sorted and indented."""
    path.write_text(as_json(recorded), encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote. Raises UserError for a file that is not a record."""
    try:
        recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = recorded["benchmarks"].values()
        if recorded["length"] >= 1 and all(of["sha256"] and of["findable"] >= 0 for of in known):
            return recorded
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(f"{path} cannot be read as a record of what dedup checked; run dedup again, or dvc checkout {path}")


def is_clean(recorded: Mapping[str, Any], benchmark: str, texts: Iterable[str] | str) -> bool | None:
    """Whether the training text was compared, under this name, with exactly these texts: all of them and no others.

    texts: the texts, or their `digest_of_questions`.

    None if it was, but none of the texts can be found in a training text: all are too short, so nothing was checked.
    """
    of = recorded["benchmarks"].get(benchmark)
    digest = texts if isinstance(texts, str) else digest_of_questions(texts)
    if of is None or of["sha256"] != digest:
        return False
    return True if of["findable"] else None
