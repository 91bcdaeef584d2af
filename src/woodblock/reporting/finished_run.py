"""The files of a finished run, read for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from woodblock.base.errors import UserError
from woodblock.base.files import read_json
from woodblock.evaluation import continuations
from woodblock.run.graph import Stage
from woodblock.tables import parquet

SELF = "report"  # the stage that reads the others
SWITCHED_OFF = "switched_off"  # of a stage's metrics: why an empty role switched it off, or parts of it


@dataclass(frozen=True)
class Finished:
    """What the stages wrote, and their graph. A table that a preset does not make is None."""

    stages: dict[str, Stage]
    manifest: dict[str, list[dict[str, Any]]]
    lineage: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    timings: dict[str, dict[str, float]]
    pretrain_curve: pd.DataFrame
    sft_curve: pd.DataFrame
    continuations: list[continuations.Document]
    generations: pd.DataFrame | None
    questions: pd.DataFrame | None
    predictions: pd.DataFrame | None
    answers: pd.DataFrame | None
    histograms: dict[str, Any]
    drops: pd.DataFrame
    kept: pd.DataFrame

    def off(self, stage: str) -> str | None:
        """Why all of a stage was switched off in this run; None if it was not."""
        reason = self.metrics.get(stage, {}).get(SWITCHED_OFF)
        return reason if isinstance(reason, str) else None

    def parts_off(self, stage: str) -> dict[str, str]:
        """The parts of a stage that were switched off, with the reasons."""
        reasons = self.metrics.get(stage, {}).get(SWITCHED_OFF)
        return dict(reasons) if isinstance(reasons, dict) else {}


def read(stages: dict[str, Stage], root: Path = Path()) -> Finished:
    """Read what a finished run left under `root`: the deps of the report, and nothing else.

    stages: the whole graph, the report among them. Raises FileNotFoundError for a file that every preset makes.
    """
    names = [name for name in stages if name != SELF]

    def by_stage(folder: str) -> dict[str, Any]:
        return {n: _json(root / folder / f"{n}.json") for n in names if f"{folder}/{n}.json" in stages[SELF].deps}

    cleaned, deduplicated = root / "results/clean", root / "results/dedup"
    return Finished(
        stages={name: stages[name] for name in names},
        manifest=_json(root / "data/raw/manifest.json"),
        lineage=by_stage("lineage"),
        metrics=by_stage("metrics"),
        timings=by_stage("timings"),
        pretrain_curve=pd.read_csv(root / "curves/pretrain.csv"),
        sft_curve=pd.read_csv(root / "curves/sft.csv"),
        continuations=continuations.from_markdown((root / "results/pretrain/samples.md").read_text(encoding="utf-8")),
        generations=_table(root / "data/sft/generations"),
        questions=_table(root / "results/benchmark/questions"),
        predictions=_table(root / "results/benchmark/predictions"),
        answers=_table(root / "results/rag_eval/answers"),
        histograms=_json(cleaned / "histograms.json"),
        drops=pd.concat([parquet.read(folder / "drops") for folder in (cleaned, deduplicated)], ignore_index=True),
        kept=parquet.read(deduplicated / "kept"),
    )


def _json(path: Path) -> Any:
    if (found := read_json(path)) is None:
        raise UserError(f"{path} cannot be read; run snakemake, or dvc repro, to make it again")
    return found


def _table(folder: Path) -> pd.DataFrame | None:
    """A table that not every preset makes; None where its folder is not there."""
    return parquet.read(folder) if folder.is_dir() else None
