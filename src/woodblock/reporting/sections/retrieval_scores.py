"""Numbers about retrieval, and about the answers from what was retrieved."""

from __future__ import annotations

from typing import Any

from woodblock.reporting import charts, readable
from woodblock.reporting.arranging import described, known_first, paths_and_values, shown
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.words import WORDS


def describe(run: Finished) -> dict[str, Any]:
    """Recall and reciprocal rank, overall and by kind of query, beside chance."""
    metrics = run.metrics["rag_eval"]
    names = ("recall@1", "recall@10", "mrr@10")
    kinds = {"all known items": metrics, **dict(sorted(metrics.get("by_kind", {}).items()))}
    if "characters_only" in metrics:
        kinds["all known items, by single characters alone"] = metrics["characters_only"]
    if real := metrics.get("real_questions"):
        renamed = {key.replace("hit@", "recall@"): value for key, value in real.items()}
        kinds["real questions"] = renamed
    table: list[dict[str, Any]] = []
    for kind, scores in kinds.items():
        cells = [(scores.get(name), scores.get(f"{name}_stderr")) for name in names]
        table.append({"kind": kind, "queries": scores.get("queries"), "cells": cells})
    rows = [
        charts.Row(name, metrics[name], metrics.get(f"{name}_stderr"), style)
        for name, style in zip(names, ("series-1", "series-2", "series-3"), strict=True)
        if name in metrics
    ]
    if real:
        rows.append(charts.Row("real, hit@1", real["hit@1"], real["hit@1_stderr"], "series-4"))
        rows.append(charts.Row("real, hit@10", real["hit@10"], real["hit@10_stderr"], "series-5"))
    over = f"over {readable.number(metrics.get('queries'))} known items"
    return {
        "chart": charts.interval_chart("Retrieval", rows, over) if rows else "",
        "real": real,
        "names": names,
        "table": table,
        "passages": metrics.get("passages"),
        "index": described(run, "rag_index"),
        "answers": answers(metrics),
        "count": metrics.get("answers", {}).get("n"),
        "off": run.off("rag_eval"),
        "parts_off": run.parts_off("rag_eval"),
    }


def answers(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """A row for each number of the answers: begun with a citation that was written for the model, and by itself."""
    values = dict(paths_and_values(metrics))
    words = {key.rpartition(".")[2]: label for key, (label, _) in WORDS.items() if key.startswith("rag_eval.answers.")}
    groups = [key.partition(".") for key in values if key.startswith(("answers.", "unaided."))]
    names = known_first({name for _, _, name in groups} - {"n"}, words)
    return [
        {
            "label": words.get(name, name.replace("_", " ")),
            "begun": shown(values, f"answers.{name}"),
            "unaided": shown(values, f"unaided.{name}"),
        }
        for name in names
    ]
