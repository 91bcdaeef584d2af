"""The gate: the record of what the training text was compared with, which the stage benchmark asks."""

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
    """What the pipeline's own tasks ask about, as pairs for `Overlaps.of`: held-out documents, held-out articles.

    validation: rows of data/dedup/validation (text); documents: rows of data/dedup/documents (text, split). The stage
    dedup and the stage benchmark both take it from here, so that they speak of the same texts.
    """
    yield from ((OWN, row["text"]) for row in validation)
    yield from ((OWN, row["text"]) for row in documents if row["split"] == "validation")


def digest_of_questions(texts: Iterable[str]) -> str:
    """sha256 over the sorted sha256 of the different normalised texts: the same for the same questions in any order."""
    return digest_of_digests(digest_of_text(characters_of(text)[0]) for text in texts)


def record(checks: Iterable[Overlaps], dropped: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What was checked, as it stands in data/dedup/decontamination.json, which the stage benchmark asks.

    checks: every index that all training text (pretraining, instructions, articles) was compared with. dropped: by
    benchmark, what went for it by role ({"cmmlu": {"documents": 3, "conversations": 1}}); a benchmark for which
    nothing went may be left out.

    {"length": 32, "benchmarks": {"cmmlu": {"questions": 11917, "sha256": …, "too_short": 96, "templates": 40,
    "dropped": {…}}}}: of each benchmark the number of its questions, the `digest_of_questions` of their texts, how many
    are too short to be checked, and at how many places of its questions a run starts that was taken for a template.

    Raises UserError where two checks speak of one benchmark (a source of download.benchmarks called validation), and
    ValueError where they are of different lengths or where something was dropped for a benchmark not checked.
    """
    checks = list(checks)
    if len({check.length for check in checks}) != 1:
        raise ValueError("checks of one length are needed, and one at least")
    benchmarks: dict[str, Any] = {}
    for check in checks:
        if twice := sorted(benchmarks.keys() & check.checked.keys()):
            raise UserError(f"download.benchmarks: {twice[0]} is checked twice; give the source another name")
        benchmarks |= {name: {**of, "dropped": dict(dropped.get(name, {}))} for name, of in check.checked.items()}
    if unknown := sorted(set(dropped) - set(benchmarks)):
        raise ValueError(f"texts were dropped for {unknown[0]}, which was not checked")
    return {"length": checks[0].length, "benchmarks": benchmarks}


def write(path: Path, recorded: Mapping[str, Any]) -> None:
    """Write a `record` as JSON, sorted and indented."""
    path.write_text(as_json(recorded), encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote. Raises UserError for a file that is no record."""
    try:
        recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if recorded["length"] >= 1 and all(of["sha256"] for of in recorded["benchmarks"].values()):
            return recorded
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(f"{path}: no record of a decontamination; run dedup again, or dvc checkout {path}")


def is_clean(recorded: Mapping[str, Any], benchmark: str, texts: Iterable[str]) -> bool:
    """Whether the training text was compared with the very texts, all of them and no others, under this name."""
    of = recorded["benchmarks"].get(benchmark)
    return of is not None and of["sha256"] == digest_of_questions(texts)
