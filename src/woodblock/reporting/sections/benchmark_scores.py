"""The benchmark: the accuracy of each model in each task beside chance, and the bits a byte."""

from __future__ import annotations

from typing import Any

from woodblock.reporting import charts
from woodblock.reporting.arranging import known_first, paths_and_values
from woodblock.reporting.finished_run import SWITCHED_OFF, Finished
from woodblock.reporting.words import MODELS, TASKS

CONFIDENCE = 1.96  # standard errors either side: 95 % for a normal estimate


def describe(run: Finished) -> dict[str, Any]:
    """A chart and rows for each task of choices, and a row for each model with its bits per byte of validation text.

    Each score says whether the training text was compared with the task's texts; if the metrics do not say it, it was not.
    """
    metrics = run.metrics["benchmark"]

    def check(score: dict[str, Any]) -> dict[str, Any]:
        if score.get("decontaminated"):
            return {"check": "checked", "unchecked": False}
        return {"check": "NOT CHECKED", "unchecked": True}

    parts_off = run.parts_off("benchmark")
    models = known_first((m for m in metrics if isinstance(metrics[m], dict) and m != SWITCHED_OFF), MODELS)
    found = {
        t for model in models for t, scores in metrics[model].items() if isinstance(scores, dict) and "acc" in scores
    }
    panels: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    charted: list[str] = []
    for task in known_first(found, TASKS):
        rows = []
        of_task = {model: metrics[model][task] for model in models if task in metrics[model]}
        for model, score in of_task.items():
            rows.append(charts.Row(model, score["acc"], score.get("stderr"), MODELS.get(model, "series-1")))
            beyond = (score["acc"] - score["chance"]) / score["stderr"] if score.get("stderr") else None
            scores.append({"task": task, "model": model, **score, "beyond": beyond, "baseline": False, **check(score)})
            any_score = score
        for name, words in (("shortest", "the shortest choice"), ("overlap", "bigram overlap")):
            if name in any_score:
                scores.append({"task": task, "model": words, "acc": any_score[name], "baseline": True})
        rows += [charts.Row(b, any_score[b], None, "muted", True) for b in ("shortest", "overlap") if b in any_score]
        svg = charts.interval_chart(task, rows, "accuracy", any_score.get("chance"), errors=CONFIDENCE)
        panels.append({"task": task, "svg": svg, "says": TASKS.get(task, ""), "n": any_score.get("n")})
        charted.append(task)
    others = [
        {
            "model": model,
            "task": task,
            "values": [
                (key.replace("_", " "), value)
                for key, value in paths_and_values(metrics[model][task])
                if key != "decontaminated"
            ],
            **check(metrics[model][task]),
        }
        for model in models
        for task in sorted(metrics[model])
        if task not in charted and isinstance(metrics[model][task], dict)
    ]
    return {
        "panels": panels,
        "scores": scores,
        "others": others,
        "overlap_wins": sorted(
            {row["task"] for row in scores if row["model"] == "base" and row.get("overlap", 0) > row["acc"]}
        ),
        "overlap_chars": metrics.get("overlap_chars"),
        "lacking": [task for task in TASKS if task not in charted and task not in parts_off],
        "off": run.off("benchmark"),
        "parts_off": parts_off,
        "unchecked": sorted({row["task"] for row in scores + others if row.get("unchecked")}),
    }
