"""Numbers about retrieval, and about the answers from what was retrieved."""

from __future__ import annotations

from typing import Any

from woodblock.reporting import charts, readable
from woodblock.reporting.arranging import described, paths_and_values
from woodblock.reporting.finished_run import Finished


def describe(run: Finished) -> dict[str, Any]:
    """Recall and reciprocal rank, overall and by kind of query, beside chance."""
    metrics = run.metrics["rag_eval"]
    names = ("recall@1", "recall@10", "mrr@10")
    kinds = {"all": metrics, **dict(sorted(metrics.get("by_kind", {}).items()))}
    if "characters_only" in metrics:
        kinds["all, by single characters alone"] = metrics["characters_only"]
    elsewhere = ("by_kind.", "characters_only.", "recall@", "mrr@", "queries", "passages", "chance")
    tabled = {key for key, _ in paths_and_values(metrics) if key.startswith(elsewhere)}
    table: list[dict[str, Any]] = []
    for kind, scores in kinds.items():
        cells = [(scores.get(name), scores.get(f"{name}_stderr")) for name in names]
        table.append({"kind": kind, "queries": scores.get("queries"), "cells": cells})
    rows = [
        charts.Row(name, metrics[name], metrics.get(f"{name}_stderr"), style)
        for name, style in zip(names, ("series-1", "series-2", "series-3"), strict=True)
        if name in metrics
    ]
    over = f"over {readable.number(metrics.get('queries'))} queries"
    return {
        "chart": charts.interval_chart("Retrieval, all queries", rows, over) if rows else "",
        "names": names,
        "table": table,
        "passages": metrics.get("passages"),
        "index": described(run, "rag_index"),
        "rows": described(run, "rag_eval", leave_out=tabled),
    }
