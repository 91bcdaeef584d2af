"""Pretraining: the curves, the final scores, speed, and the model's continuations while it trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from woodblock.evaluation import continuations
from woodblock.reporting import charts, curves, readable
from woodblock.reporting.arranging import SAMPLES, described, even_indices_with_last, largest_first
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.words import BASELINES

RISE = 0.01  # more than the curve's noise, as in training/overfitting.py
SOURCES_DRAWN = 5  # lines beside the one of all: more could not be told apart by colour and label


def describe(run: Finished) -> dict[str, Any]:
    """The charts of the curve, the final scores overall and by source, speed, and continuations."""
    curve, metrics = run.pretrain_curve, run.metrics["pretrain"]
    clip = run.lineage.get("pretrain", {}).get("params", {}).get("pretrain.clip")
    validation = curves.column(curve, "tokens", "val_bpb", "model", "series-2")
    training = curves.column(curve, "tokens", "train_loss", "model", "series-1")
    norm = curves.column(curve, "tokens", "grad_norm", "norm", "series-1")
    by_source = metrics.get("val_bpb_by_source", {})
    x = "tokens trained on"
    return {
        "validation": curves.chart("Validation bits a byte, estimated", [validation], x, "bits a byte"),
        "compared": beside_baselines(metrics),
        "by_source": curves.chart("Validation bits a byte by source", source_lines(run), x, "bits a byte"),
        "training": curves.chart("Training loss", [training], x, "nats a token"),
        "norm": curves.chart("Norm of the gradient", [norm], x, "norm", [] if clip is None else [("clip", clip)]),
        "points": len(curve),
        "under": under(metrics),
        "baseline_tokens": metrics.get("baseline_tokens"),
        "kept": kept(run, "pretrain"),
        "rows": described(run, "pretrain", leave_out={f"val_bpb_by_source.{name}" for name in by_source}),
        "sources": source_scores(run) if len(by_source) > 1 else [],
        "drawn": SOURCES_DRAWN,
        "speed": speed(run.timings.get("pretrain", {})),
        "continuations": as_it_trained(run.continuations),
    }


def beside_baselines(metrics: dict[str, Any]) -> str:
    """A bar chart of the finished model and the n-gram models, all on the whole validation text."""
    scores = [("model", metrics.get("val_bpb"))] + [(name, metrics.get(f"{name}_bpb")) for name in reversed(BASELINES)]
    bars = [(name, score, f"{score:.3f}") for name, score in scores if score is not None]
    return charts.bar_chart("Bits a byte of all validation text", bars, "bits a byte") if bars else ""


def under(metrics: dict[str, Any]) -> list[str]:
    """How far the model is below each n-gram model, in words."""
    if "val_bpb" not in metrics:
        return []
    levels = [(name, metrics.get(f"{name}_bpb")) for name in reversed(BASELINES)]
    return [_beside(metrics["val_bpb"], value, name) for name, value in levels if value is not None]


def kept(run: Finished, stage: str) -> dict[str, Any] | None:
    """The step whose weights were kept, and how far validation rose after the best one; None if the last was the best."""
    metrics = run.metrics[stage]
    rise = metrics.get("rise_after_best", 0.0)
    if not rise:
        return None
    step, steps = metrics["kept_step"], metrics["steps"]
    return {"step": step, "steps": steps, "rise": f"{100 * rise:.1f}", "overfits": rise > RISE, "last": step == steps}


def source_lines(run: Finished) -> list[charts.Series | None]:
    """Lines of bits a byte for the largest sources and for all; none where the curve has no sources."""
    curve, train = run.pretrain_curve, run.metrics["pack"].get("train_sources", {})
    names = [column.removeprefix("val_bpb_") for column in map(str, curve) if column.startswith("val_bpb_")]
    if not names:
        return []
    shown = largest_first(names, train)[:SOURCES_DRAWN]
    styles = ("series-1", "series-3", "series-4", "series-5", "series-6")
    lines = [curves.column(curve, "tokens", f"val_bpb_{n}", n, style) for n, style in zip(shown, styles, strict=False)]
    return [*lines, curves.column(curve, "tokens", "val_bpb", "all", "series-2")]


def source_scores(run: Finished) -> list[dict[str, Any]]:
    """For each source its final score, the validation tokens that this was measured on, and its share of training."""
    pack = run.metrics["pack"]
    train, validation = pack.get("train_sources", {}), pack.get("validation_sources", {})
    scores = run.metrics["pretrain"]["val_bpb_by_source"]
    return [
        {
            "source": source,
            "bpb": scores[source],
            "tokens": validation.get(source, {}).get("tokens"),
            "share": train.get(source, {}).get("pass_share"),
        }
        for source in largest_first(scores, train)
    ]


def speed(timing: dict[str, float]) -> str:
    """A stage's rates and its memory in one line; an empty text where there are none."""
    rates = [
        readable.rate(key, timing[key])
        for key in ("tokens_per_second", "flops_per_second", "mfu_percent")
        if key in timing
    ]
    memory = timing.get("peak_memory_mb")
    return ", ".join(rates + ([] if memory is None else [f"{memory:,.0f} MB of memory at most"]))


def _beside(score: float, baseline: float, name: str) -> str:
    share = 100 * (1 - score / baseline)
    return f"{abs(share):.1f}\N{NO-BREAK SPACE}% {'under' if share >= 0 else 'over'} the {name}'s"


def as_it_trained(documents: Sequence[continuations.Document]) -> list[dict[str, Any]]:
    """Continuations of the same beginnings after some of the steps, at even distances, with the first and the last."""
    return [
        {
            "prompt": document.prompt,
            "taken": [
                {"step": document.taken[place][0], "text": document.taken[place][1]}
                for place in even_indices_with_last(len(document.taken), SAMPLES)
            ],
        }
        for document in documents
    ]
