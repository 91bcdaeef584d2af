"""The report: what a run left on disk, read, arranged into tables and charts, and set as one HTML page.

The page shows and never computes a score: each number on it stands in metrics/, timings/, curves/ or results/, so that
it can be checked there. What it adds is arithmetic that says so (a distance from chance in standard errors, a total).
A number that this module has no words for is still shown, under its own name, in the last table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from woodblock import charts, tables
from woodblock.graph import Stage, producers

TEMPLATE = Path(__file__).with_name("report.html.j2")
SELF = "report"
SAMPLES = 6  # of each sort
CUT = 360  # characters of a sample that are shown
CONFIDENCE = 1.96  # standard errors either side: 95 % for a normal estimate


@dataclass(frozen=True)
class Finished:
    """What the stages left: their graph, and by stage what they wrote. A table that a preset lacks is None."""

    stages: dict[str, Stage]
    manifest: dict[str, list[dict[str, Any]]]
    lineage: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    timings: dict[str, dict[str, float]]
    pretrain_curve: pd.DataFrame
    sft_curve: pd.DataFrame
    generations: pd.DataFrame | None
    questions: pd.DataFrame | None
    predictions: pd.DataFrame | None
    answers: pd.DataFrame | None


def read(stages: dict[str, Stage], root: Path = Path()) -> Finished:
    """Read what a finished run left under `root`: the deps of the report, and nothing else."""
    names = [name for name in stages if name != SELF]

    def by_stage(folder: str) -> dict[str, Any]:
        return {n: _json(root / folder / f"{n}.json") for n in names if f"{folder}/{n}.json" in stages[SELF].deps}

    return Finished(
        stages={name: stages[name] for name in names},
        manifest=_json(root / "data/raw/manifest.json"),
        lineage=by_stage("lineage"),
        metrics=by_stage("metrics"),
        timings=by_stage("timings"),
        pretrain_curve=pd.read_csv(root / "curves/pretrain.csv"),
        sft_curve=pd.read_csv(root / "curves/sft.csv"),
        generations=_table(root / "data/sft/generations"),
        questions=_table(root / "results/benchmark/questions"),
        predictions=_table(root / "results/benchmark/predictions"),
        answers=_table(root / "results/rag_eval/answers"),
    )


def render(run: Finished, title: str) -> str:
    """The page, as HTML that loads nothing: styles and drawings are inline, fonts the reader's."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = number
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=title,
        figures=key_figures(run),
        lead=lead(run),
        graph=drawing(run),
        sources=sources(run.manifest),
        outputs=outputs(run),
        breaks=breaks(run),
        funnel=funnel(run.metrics["clean"]),
        text=described(run, "tokenizer") + described(run, "pack"),
        pretraining=pretraining(run),
        tuning=tuning(run),
        benchmark=benchmark(run),
        retrieval=retrieval(run),
        replies=replies(run.generations),
        answers=rag_answers(run.answers),
        choices=choices(run.questions, run.predictions),
        time=time_and_memory(run),
        params=params_as_yaml(run),
        numbers=every_number(run),
        cut=CUT,
    )
