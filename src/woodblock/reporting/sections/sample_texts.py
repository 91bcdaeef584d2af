"""Samples to read: replies, answers with their sources, and what each model chose."""

from __future__ import annotations

from typing import Any

import pandas as pd

from woodblock.reporting.arranging import SAMPLES, cut, even_indices, known_first
from woodblock.reporting.finished_run import Finished
from woodblock.reporting.words import MODELS, TASKS


def describe(run: Finished) -> dict[str, Any]:
    """Some rows of each table; none for a table that the preset does not make."""
    return {
        "replies": replies(run.generations),
        "answers": rag_answers(run.answers),
        "choices": choices(run.questions, run.predictions),
    }


def replies(generations: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Held-out prompts with the model's replies: some of each task, at even distances."""
    if generations is None or generations.empty:
        return []
    tasks = [rows for _, rows in generations.groupby("task", sort=True)]
    each = max(1, SAMPLES // len(tasks))
    return [
        {
            "task": row["task"],
            "prompt": cut(row["prompt"]),
            "reply": cut(row["reply"]),
            "reference": cut(row["reference"]),
            "end": _end(bool(row["stopped"]), bool(row["ended"])),
            "equal": row["reply"].strip() == row["reference"].strip(),
        }
        for rows in tasks
        for row in (rows.iloc[index] for index in even_indices(len(rows), each))
    ]


def _end(stopped: bool, ended: bool) -> str:
    if ended:
        return "ended by itself"
    return "ended by itself, but within a sentence" if stopped else "did not end within the limit"


def rag_answers(answers: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Questions with the SFT model's answers and the articles that it was given."""
    if answers is None:
        return []
    return [
        {
            "question": cut(row["question"]),
            "answer": cut(row["answer"]),
            "sources": [
                {"name": f"《{source['law']}》{source['article']}", "text": cut(source["text"], 160)}
                for source in row["sources"]
            ],
            "says": [
                "a right article was given" if row["right"] else "no right article was given",
                "its citation was written for it" + (", and it names one itself" if row["cites"] else ""),
                f"{100 * row['grounded']:.0f}\N{NO-BREAK SPACE}% of its own words stand in what was given",
                *(["names one that was not given"] if row["invents"] else []),
                _end(bool(row["stopped"]), bool(row["ended"])),
            ],
        }
        for row in (answers.iloc[index] for index in even_indices(len(answers), SAMPLES))
    ]


def choices(questions: pd.DataFrame | None, predictions: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Benchmark questions with what each model chose: a few of each task, at even distances."""
    if questions is None or predictions is None or questions.empty:
        return []
    chosen = {(row["model"], row["task"], row["id"]): row for row in predictions.to_dict("records")}
    models = known_first(predictions["model"].unique(), MODELS)
    shown = []
    for task in known_first(questions["task"].unique(), TASKS):
        of_task = questions[questions["task"] == task]
        for index in even_indices(len(of_task), 2):
            question = of_task.iloc[index]
            picked = {model: chosen.get((model, task, question["id"])) for model in models}
            shown.append(
                {
                    "task": task,
                    "group": question["group"],
                    "context": cut(question["context"]),
                    "choices": [
                        {
                            "text": cut(text, 160),
                            "right": place == question["answer"],
                            "models": [m for m, row in picked.items() if row is not None and row["choice"] == place],
                        }
                        for place, text in enumerate(question["choices"])
                    ],
                }
            )
    return shown
