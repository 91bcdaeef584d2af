"""The report's part on data: the funnel step by step, how long and how usual the documents are, and samples to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from woodblock.reporting import charts
from woodblock.tables import parquet

SAMPLES_SHOWN = 3  # of each step; the tables hold ten
KEPT_SHOWN = 6

# The steps in the order in which records meet them: stage, key of its counts, what the step is called on the page.
STEPS = (
    ("clean", "roles", "turns out of order"),
    ("clean", "empty", "empty"),
    ("clean", "encoding", "garbled; or repaired"),
    ("clean", "cut", "reply breaks off"),
    ("clean", "markup", "HTML, Markdown's boilerplate"),
    ("clean", "simplified", "Traditional to Simplified"),
    ("clean", "language", "another language"),
    ("clean", "length", "too short"),
    ("clean", "repetition", "repeats itself"),
    ("clean", "ratios", "a list or a table"),
    ("clean", "lines", "navigation, footers"),
    ("clean", "personal_data", "personal data"),
    ("clean", "quality", "improbable"),
    ("clean", "duplicate", "stands twice in one law"),
    ("dedup", "exact", "exact duplicate"),
    ("dedup", "near", "near-duplicate"),
    ("dedup", "pair", "the same conversation"),
    ("dedup", "prompt", "the same prompt"),
    ("dedup", "paragraphs", "paragraphs of other documents"),
    ("dedup", "benchmarks", "holds a benchmark's question"),
    ("dedup", "validation", "shares text with the validation split"),
    ("dedup", "short", "too short after all this"),
)


@dataclass(frozen=True)
class Data:
    """What the stages clean and dedup left to be shown."""

    clean: dict[str, Any]
    dedup: dict[str, Any]
    histograms: dict[str, Any]
    drops: pd.DataFrame
    kept: pd.DataFrame


def read(root: Path, clean: dict[str, Any], dedup: dict[str, Any]) -> Data:
    """Read results/clean and results/dedup; clean, dedup: the stages' metrics."""
    folders = [root / "results/clean", root / "results/dedup"]
    return Data(
        clean,
        dedup,
        histograms=json.loads((folders[0] / "histograms.json").read_text(encoding="utf-8")),
        drops=pd.concat([parquet.read(folder / "drops") for folder in folders], ignore_index=True),
        kept=parquet.read(folders[1] / "kept"),
    )


def describe(data: Data) -> dict[str, Any]:
    """All that the page shows of it."""
    return {
        "funnels": [funnel(role, data.clean.get(role, {}), data.dedup.get(role, {})) for role in roles(data)],
        "rest": rest(data),
        "lengths": histogram(data.histograms, "length", "Length of the cleaned documents", "documents"),
        "bits": histogram(data.histograms, "bits", "Bits per byte under the quality model", "documents"),
        "drops": samples(data.drops),
        "kept": _rows(data.kept.head(KEPT_SHOWN)),
    }


def roles(data: Data) -> list[str]:
    return [role for role in data.clean if isinstance(data.clean[role], dict) and "read" in data.clean[role]]


def funnel(role: str, clean: Mapping[str, int], dedup: Mapping[str, int]) -> dict[str, Any]:
    """The funnel of a role: how many came, and of each step that did anything how many it changed, dropped and left."""
    left = clean.get("read", 0)
    rows = []
    for stage, key, name in STEPS:
        counts = clean if stage == "clean" else dedup
        changed, dropped = counts.get(f"changed_{key}", 0), counts.get(f"dropped_{key}", 0)
        if changed or dropped:
            left -= dropped
            rows.append({"stage": stage, "name": name, "changed": changed, "dropped": dropped, "left": left})
    return {"role": role, "read": clean.get("read", 0), "rows": rows, "kept": left}


def rest(data: Data) -> list[tuple[str, int]]:
    """The counts that are no step's: splits, characters, lines that went, what was masked."""
    found = []
    for stage, metrics in (("clean", data.clean), ("dedup", data.dedup)):
        for role, counts in metrics.items():
            if isinstance(counts, dict):
                found += [
                    (f"{stage}, {role}: {key.replace('_', ' ')}", value)
                    for key, value in counts.items()
                    if key not in ("read", "kept") and not key.startswith(("dropped_", "changed_"))
                ]
    return found


def histogram(histograms: Mapping[str, Any], name: str, title: str, label: str) -> str | None:
    """Documents by bins of a measure, over all sources; None where there is nothing to count."""
    edges: Sequence[float] = histograms["edges"][name]
    by_source = histograms["counts"].get(name, {})
    if not by_source:
        return None
    counts = [sum(column) for column in zip(*by_source.values(), strict=True)]
    filled = [place for place, count in enumerate(counts) if count]
    bars = [
        (f"from {edges[place]:,}", counts[place], f"{counts[place]:,}") for place in range(filled[0], filled[-1] + 1)
    ]
    return charts.bar_chart(title, bars, label)


def samples(drops: pd.DataFrame) -> list[dict[str, Any]]:
    """By step, in the steps' order: its name on the page and some of its samples."""
    found = []
    for _, key, name in STEPS:
        rows = drops[drops["step"] == key]
        if len(rows):
            found.append({"name": name, "rows": _rows(rows.head(SAMPLES_SHOWN))})
    return found


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame[["id", "source", "reason", "value", "text"]].to_dict("records")
