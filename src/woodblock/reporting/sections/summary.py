"""The head of the page: what was made in one sentence, and the run's main numbers."""

from __future__ import annotations

from typing import Any

from woodblock.reporting import readable
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.words import BASELINES, TASKS, short_url


def describe(run: Finished) -> dict[str, Any]:
    """The sentence, and the numbers for the boxes below it."""
    return {"lead": lead(run), "figures": key_figures(run)}


def lead(run: Finished) -> str:
    """One sentence that says what this is."""
    parts: list[str] = []
    if parameters := run.metrics["pretrain"].get("parameters"):
        parts.append(f"A Chinese language model of {parameters:,} parameters")
    else:
        parts.append("A Chinese language model")
    names = sorted({short_url(entry["url"]) for entries in run.manifest.values() for entry in entries})
    parts.append(f"built from {len(names)} source{'s' * (len(names) != 1)} ({', '.join(names)})")
    parts.append(f"by {len(run.stages) + 1} stages")  # the report is one too
    return ", ".join(parts[:2]) + f", {parts[2]}."


def key_figures(run: Finished) -> list[tuple[str, str, str]]:
    """(label, figure, text beside it) for the head of the page, where the numbers exist."""
    pretrain, rag = run.metrics["pretrain"], run.metrics["rag_eval"]
    figures: list[tuple[str, str, str]] = []
    if "val_bpb" in pretrain:
        baselines = [
            f"{name} {pretrain[f'{name}_bpb']:.3f}" for name in reversed(BASELINES) if f"{name}_bpb" in pretrain
        ]
        figures.append(("Validation, bits a byte", f"{pretrain['val_bpb']:.3f}", ", ".join(baselines)))
    for task in TASKS:
        score = run.metrics["benchmark"].get("base", {}).get(task)
        if score:
            beside = f"± {score['stderr']:.3f}, {strongest(score)}"
            beside += "" if score.get("decontaminated") else ", NOT CHECKED"
            figures.append((f"{task}, base model", f"{score['acc']:.3f}", beside))
    if "stops" in (sft := run.metrics["sft"]):
        others = [(words, sft.get(key)) for key, words in (("breaks_off", "break off"), ("empty", "empty"))]
        beside = ", ".join(f"{words} {share:.3f}" for words, share in others if share is not None)
        figures.append(("Replies that end after a sentence", f"{sft['stops']:.3f}", beside))
    if "recall@1" in rag:
        beside = "easy: the queries are made from the articles"
        figures.append(("Known items found first, recall@1", f"{rag['recall@1']:.3f}", beside))
    if real := rag.get("real_questions"):
        beside = f"± {real['hit@1_stderr']:.3f}, of {real['queries']:,}; among the first ten {real['hit@10']:.3f}"
        figures.append(("Real questions, a right article first", f"{real['hit@1']:.3f}", beside))
    total = sum(timing.get("wall_seconds", 0.0) for timing in run.timings.values())
    peak = max(timing.get("peak_memory_mb", 0.0) for timing in run.timings.values())
    figures.append(("Wall time, all stages", readable.duration(total), f"peak memory {peak:,.0f} MB"))
    return figures


def strongest(score: dict[str, Any]) -> str:
    """The best of the baselines that understand nothing, in words, and whether the model is no better."""
    words = {"chance": "chance", "shortest": "the shortest choice", "overlap": "bigram overlap"}
    best = max((name for name in words if name in score), key=lambda name: score[name])
    return f"{words[best]} {score[best]:.3f}" + (" is better" if score[best] > score["acc"] else "")
