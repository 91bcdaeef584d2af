"""Score the untrained, the base and the SFT model with lm-eval, beside chance and baselines that read nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from woodblock import evaluation, folder, questions, statutes, tables
from woodblock.model import Transformer
from woodblock.progress import say
from woodblock.questions import CHANCE, Question
from woodblock.stage import Run, run_stage

QUESTIONS = pa.schema(
    {
        "task": pa.string(),
        "id": pa.string(),
        "group": pa.string(),
        "context": pa.string(),
        "choices": pa.list_(pa.string()),
        "answer": pa.int64(),
    }
)
PREDICTIONS = pa.schema(
    {
        "model": pa.string(),
        "task": pa.string(),
        "id": pa.string(),
        "loglikelihoods": pa.list_(pa.float64()),  # nats; of each choice, or of a whole document
        "bytes": pa.list_(pa.int64()),  # what they are of
        "choice": pa.int64(),  # the chosen one; none for a document
    }
)


def benchmark(params: Any, base: Path, sft: Path, validation: Path, documents: Path, out: Path, run: Run) -> dict[str, Any]:
    settings = params.benchmark
    texts = list(tables.stream(validation, ["id", "group", "text"]))
    asked = ask(settings, params.seed, texts, documents)
    tables.write(out / "questions", (vars(question) for task in asked.values() for question in task), QUESTIONS)

    tasks = [choice_task(name, task) for name, task in asked.items()]
    if "validation" in settings.tasks:
        tasks.append(rolling_task("validation", texts))
    device = folder.pick_device(params.device)
    folder.make_deterministic()
    metrics: dict[str, Any] = {}
    predictions: list[dict[str, Any]] = []
    for name, path in (("untrained", base), ("base", base), ("sft", sft)):
        model, tokenizer = folder.load(path, device)
        if name == "untrained":
            model = Transformer(model.config).initialise(params.seed).to(device).eval()
        harness = evaluation.HarnessModel(model, tokenizer, settings.batch_tokens, f"benchmark: {name}")
        with tempfile.TemporaryDirectory() as work:
            outcomes = evaluation.evaluate(harness, tasks, Path(work))
        metrics[name] = {}
        for task in tasks:
            rows = list(answers(name, task, outcomes[task.name]))
            predictions += rows
            metrics[name][task.name] = (
                score_texts(rows, outcomes[task.name])
                if task.name == "validation"
                else score_choices(rows, asked[task.name], outcomes[task.name], settings.bootstrap, params.seed)
            )
            say(f"benchmark: {name} {task.name} " + ", ".join(f"{k} {v:.3f}" for k, v in list(metrics[name][task.name].items())[:2]))
    tables.write(out / "predictions", predictions, PREDICTIONS)
    return metrics


if __name__ == "__main__":
    run_stage(benchmark)
