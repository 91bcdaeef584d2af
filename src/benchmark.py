"""Score the untrained, the base and the SFT model with lm-eval, beside chance, the shortest choice and character overlap.

Each score says whether the training text was compared with the texts of its task (decontamination/gate.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from woodblock.base.progress import say
from woodblock.decontamination import gate
from woodblock.decontamination.index import OWN
from woodblock.evaluation import harness, questions, scores
from woodblock.evaluation.checks import decontaminated
from woodblock.evaluation.harness import Choice, HarnessModel
from woodblock.evaluation.held_out_texts import Sample
from woodblock.evaluation.questions import Question, Unit
from woodblock.models import devices, hugging_face
from woodblock.models.decoder import Transformer
from woodblock.run.stage import Run, run_stage
from woodblock.sources import statutes
from woodblock.tables import parquet

QUESTIONS = parquet.schema(
    task="string", id="string", group="string", heading="string", context="string", answer="int64", block="string"
).append(pa.field("choices", pa.list_(pa.string())))
# One row for each question: the choice that was taken, and for each choice its log-likelihood (nats) and its bytes.
PREDICTIONS = (
    parquet.schema(model="string", task="string", id="string", choice="int64")
    .append(pa.field("loglikelihoods", pa.list_(pa.float64())))
    .append(pa.field("bytes", pa.list_(pa.int64())))
)
# For each task the function that makes its questions, from: units, most questions of a group, most in all, a seed.
MAKERS: dict[str, Callable[[Sequence[Unit], int, int, int], list[Question]]] = {
    "continuation": questions.continuation,
    "source_law": questions.source_law,
    "source_law_verbatim": partial(questions.source_law, verbatim=True),
}


def benchmark(
    params: Any, base: Path, sft: Path, validation: Path, documents: Path, record: Path, out: Path, run: Run
) -> dict[str, Any]:
    settings, device = params.benchmark, devices.pick_device(params.device)
    devices.make_deterministic()
    articles = list(parquet.stream(documents))
    sample = Sample(settings.validation_chars)
    passing = sample.of(parquet.stream(validation, ["id", "group", "text"]))
    own = gate.digest_of_questions(text for _, text in gate.own_texts(passing, articles))
    texts = sample.texts
    askable = units(texts, articles, sample.groups)
    asked = ask(askable, params, run)
    tasks = [harness.choice_task(task, OWN, [request(one) for one in asked[task]]) for task in asked]
    if "validation" in settings.tasks:
        tasks.append(harness.text_task("validation", OWN, [text["text"] for text in texts]))
    checked = gate.read(record)
    is_clean = decontaminated(tasks, {OWN: own}, checked)

    metrics: dict[str, Any] = {"overlap_chars": checked["length"]}
    predictions: list[dict[str, Any]] = []
    before: dict[str, Sequence[float]] = {}  # the values of the model before, by task
    models = {"untrained": base, "base": base, "sft": sft}
    for name, path in ((name, path) for name, path in models.items() if name not in run.off):
        model, tokenizer = hugging_face.load(path, device)
        if name == "untrained":
            model = Transformer(model.config).initialise(params.seed).to(device).eval()
        scored = HarnessModel(model, tokenizer, settings.batch_tokens, f"benchmark: {name}")
        with tempfile.TemporaryDirectory() as work:
            outcomes = harness.evaluate(scored, tasks, Path(work))
        metrics[name] = {
            task: scores.of_choices(asked[task], outcome, before.get(task), settings.bootstrap, params.seed)
            if task in asked
            else scores.of_texts(outcome) | {"all_documents": sample.documents}
            for task, outcome in outcomes.items()
        }
        before = {task: outcome.values for task, outcome in outcomes.items()}
        for task, outcome in outcomes.items():
            say(
                f"benchmark: {name} {task} "
                + " ".join(f"{key} {value:.3f}" for key, value in metrics[name][task].items())
            )
            metrics[name][task]["decontaminated"] = is_clean[task]
            ids = [one.id for one in asked[task]] if task in asked else [text["id"] for text in texts]
            predictions += (
                {
                    "model": name,
                    "task": task,
                    "id": id,
                    "choice": choice if task in asked else None,
                    "loglikelihoods": lls,
                    "bytes": sizes,
                }
                for id, choice, lls, sizes in zip(
                    ids, outcome.chosen, outcome.loglikelihoods, outcome.sizes, strict=True
                )
            )
    parquet.write(out / "questions", (vars(one) for task in asked.values() for one in task), QUESTIONS)
    parquet.write(out / "predictions", predictions, PREDICTIONS)
    return metrics


def ask(askable: Sequence[Unit], params: Any, run: Run) -> dict[str, list[Question]]:
    """The questions of each task. A task that the held-out text is too small for is switched off, and the reason is said:
    the other tasks are worth the time that training took. Raises questions.TooFew where no task is left.
    """
    settings, asked = params.benchmark, {}
    for task in settings.tasks:
        if task in MAKERS and task not in run.off:
            try:
                asked[task] = MAKERS[task](askable, settings.questions_per_group, settings.questions, params.seed)
            except questions.TooFew as error:
                if all(other in run.off for other in settings.tasks if other != task):
                    raise
                run.off[task] = str(error)
                say(f"benchmark: {task} is switched off: {error}")
    return asked


def units(
    texts: list[dict[str, Any]], documents: list[dict[str, Any]], groups: Collection[str] | None = None
) -> list[Unit]:
    """The units that questions are made from: articles of held-out laws or, without laws, paragraphs of held-out texts.

    A law counts as held out only if the corpus holds it out. Where the corpus has another source than the documents,
    its training text may contain their laws.

    texts: held-out documents. documents: all articles. groups: all that are held out; by default those of the texts.
    """
    held_out = {text["group"] for text in texts} if groups is None else groups
    articles = [
        Unit(
            id=row["id"],
            group=row["law"],
            text=row["text"],
            heading=row["article"] + statutes.IDEOGRAPHIC_SPACE,
            names=(row["law"], statutes.short_name(row["law"])) if questions.has_own_name(row["law"]) else (),
        )
        for row in documents
        if row["split"] == "validation" and statutes.law_group(row["law"]) in held_out
    ]
    if articles:
        return questions.unseen(articles, (row["text"] for row in documents if row["split"] != "validation"))
    paragraphs = (questions.paragraphs(text["id"], text["group"], text["text"]) for text in texts)
    return questions.unseen((unit for found in paragraphs for unit in found), ())


def request(question: Question) -> Choice:
    """A question in the form that the model reads: laid out like the documents that it was trained on."""
    if question.task == "continuation":
        return Choice((question.heading + question.context,), question.choices, question.answer)
    # Documents have a law's title before its articles. So the model chooses the law under which the article is likeliest.
    contexts = tuple(f"{law}\n\n{question.heading}" for law in question.choices)
    return Choice(contexts, (question.context,), question.answer)


if __name__ == "__main__":
    run_stage(benchmark, scores={"source_law": "base.source_law.acc", "continuation": "base.continuation.acc"})
