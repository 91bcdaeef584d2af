"""The text on its way to training: the funnel of cleaning, step by step; samples; the tokenizer; packing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from woodblock.reporting import charts
from woodblock.reporting.arranging import described, largest_first, paths_and_values
from woodblock.reporting.finished_run import Finished

PACKED = ("documents", "tokens", "pass_share", "one_document_share")  # the numbers of a packed source on the page
DROPS_SHOWN = 3  # of each step; the tables have ten
KEPT_SHOWN = 6
# The steps in the order in which records go through them: stage, key of its counts, name of the step on the page.
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
    ("clean", "spam", "an advertisement of what spam sells"),
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


def describe(run: Finished) -> dict[str, Any]:
    """The funnel of each role, samples of what was dropped and kept, and the numbers of the tokenizer and of packing."""
    clean, dedup = run.metrics["clean"], run.metrics["dedup"]
    return {
        "funnels": [funnel(role, clean.get(role, {}), dedup.get(role, {})) for role in roles(clean)],
        "warnings": clean.get("warnings", []),
        "rest": rest(clean, dedup),
        "lengths": histogram(run.histograms, "length", "Length of the cleaned documents", "documents"),
        "bits": histogram(run.histograms, "bits", "Bits per byte under the quality model", "documents"),
        "drops": samples(run.drops),
        "kept": _rows(run.kept.head(KEPT_SHOWN)),
        "tokenizer": described(run, "tokenizer"),
        "packing": packing_shares(run),
        "sources": packed_sources(run),
    }


def roles(clean: Mapping[str, Any]) -> list[str]:
    """The roles whose records went through cleaning, by the stage's metrics."""
    return [role for role in clean if isinstance(clean[role], dict) and "read" in clean[role]]


def funnel(role: str, clean: Mapping[str, int], dedup: Mapping[str, int]) -> dict[str, Any]:
    """The funnel of a role: how many records came, and for each step how many it changed, dropped and left.

    Steps that did nothing are left out.
    """
    left = clean.get("read", 0)
    rows = []
    for stage, key, name in STEPS:
        counts = clean if stage == "clean" else dedup
        changed, dropped = counts.get(f"changed_{key}", 0), counts.get(f"dropped_{key}", 0)
        if changed or dropped:
            left -= dropped
            rows.append({"stage": stage, "name": name, "changed": changed, "dropped": dropped, "left": left})
    return {"role": role, "read": clean.get("read", 0), "rows": rows, "kept": left}


def rest(clean: Mapping[str, Any], dedup: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The counts that do not belong to a step: splits, characters, removed lines, masked data."""
    found: list[tuple[str, int]] = []
    for stage, metrics in (("clean", clean), ("dedup", dedup)):
        for role, counts in metrics.items():
            if isinstance(counts, dict):
                found += [
                    (f"{stage}, {role}: {key.replace('_', ' ')}", value)
                    for key, value in counts.items()
                    if key not in ("read", "kept") and not key.startswith(("dropped_", "changed_"))
                ]
    return found


def histogram(histograms: Mapping[str, Any], name: str, title: str, label: str) -> str | None:
    """A bar chart of documents by bins of a measure, over all sources; None where there is nothing to count."""
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
    """For each step, in order: its name on the page and some of its samples."""
    found: list[dict[str, Any]] = []
    for _, key, name in STEPS:
        rows = drops[drops["step"] == key]
        if len(rows):
            found.append({"name": name, "rows": _rows(rows.head(DROPS_SHOWN))})
    return found


def _rows(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame[["id", "source", "reason", "value", "text"]].to_dict("records")


def packing_shares(run: Finished) -> list[dict[str, Any]]:
    """The numbers of packing without those by source, which have their own table."""
    keys = (key for key, _ in paths_and_values(run.metrics["pack"]))
    tabled = {key for key in keys if key.startswith(("train_sources.", "validation_sources."))}
    return described(run, "pack", leave_out=tabled)


def packed_sources(run: Finished) -> list[dict[str, Any]]:
    """A row for each packed source, the largest first: its contents, and how often it was read. No rows for one source."""
    metrics, read = run.metrics["pack"], run.metrics["pretrain"].get("tokens")
    train, validation = metrics.get("train_sources", {}), metrics.get("validation_sources", {})
    rows = []
    for source in largest_first({*train, *validation}, train):
        of_train, of_validation = train.get(source, {}), validation.get(source, {})
        rows.append(
            {
                "source": source,
                "train": {key: of_train.get(key) for key in PACKED},
                "validation": {key: of_validation.get(key) for key in PACKED},
                "passes": _passes(of_train, read),
            }
        )
    return rows if len(rows) > 1 else []


def _passes(source: dict[str, float], read: int | None) -> float | None:
    """How many times training read a source. read: the tokens that it read of all sources."""
    if read is None or "pass_share" not in source or not source.get("tokens"):
        return None
    return source["pass_share"] * read / source["tokens"]
