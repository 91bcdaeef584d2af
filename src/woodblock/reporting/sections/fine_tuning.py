"""Fine-tuning: the curves, and numbers about the replies to held-out prompts, in all and by task."""

from __future__ import annotations

from typing import Any

from woodblock.reporting import curves
from woodblock.reporting.arranging import described, known_first, paths_and_values, shown
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.sections.pretraining import kept
from woodblock.reporting.words import WORDS


def describe(run: Finished) -> dict[str, Any]:
    """The chart of both losses, the numbers, and a table of the numbers by task."""
    curve, metrics = run.sft_curve, run.metrics["sft"]
    levels = [("base model", metrics["base_val_loss"])] if "base_val_loss" in metrics else []
    by_task = metrics.get("by_task", {})
    series = [
        curves.column(curve, "step", "val_loss", "held out", "series-2"),
        curves.column(curve, "step", "train_loss", "training", "series-1"),
    ]
    return {
        "losses": curves.chart("Loss on reply tokens", series, "optimizer steps", "nats a reply token", levels),
        "rows": described(run, "sft", leave_out={f"by_task.{path}" for path, _ in paths_and_values(by_task)}),
        "by_task": by_group("sft", by_task),
        "kept": kept(run, "sft"),
        "off": run.off("sft"),
        "parts_off": run.parts_off("sft"),
    }


BY_TASK = ("prompts", "stops", "breaks_off", "empty", "exact", "length_ratio")  # the others stand in the last section


def by_group(stage: str, scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A table of the same numbers for several groups: the names of the columns, and a row for each group."""
    by_path = {group: dict(paths_and_values(of_group)) for group, of_group in scores.items()}
    found = {path for values in by_path.values() for path in values} & set(BY_TASK)
    columns = known_first(found, (key.removeprefix(f"{stage}.") for key in WORDS if key.startswith(f"{stage}.")))
    rows = [(group.replace("_", " "), [shown(values, path) for path in columns]) for group, values in by_path.items()]
    return {"columns": [column.replace("_", " ") for column in columns], "rows": rows}
