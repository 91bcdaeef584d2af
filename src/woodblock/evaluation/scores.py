"""The numbers of a model in a task of the benchmark, with their errors and baselines."""

from __future__ import annotations

from collections.abc import Sequence

from woodblock.evaluation import questions, statistics
from woodblock.evaluation.harness import Outcome
from woodblock.evaluation.questions import Question


def of_choices(
    asked: list[Question], outcome: Outcome, before: Sequence[float] | None, resamples: int, seed: int
) -> dict[str, float]:
    """Accuracy of the choices by log-likelihood per byte, its standard error, and three baselines: chance, the shortest
    choice, and the choice with the largest character overlap.

    before: for each question the value of the model that came before; then also the gain over it, question by question.
    """
    clusters = [one.group for one in asked], [one.block for one in asked]
    gain = {}
    if before is not None:
        found = statistics.paired_difference(outcome.values, before, *clusters, resamples, seed)
        gain = dict(zip(("gain", "gain_stderr"), found, strict=True))
    return {
        "acc": outcome.value,
        "stderr": statistics.clustered_stderr(outcome.values, *clusters, resamples, seed),
        **gain,
        "chance": statistics.chance_of_choice(questions.CHOICES),
        "n": len(asked),
        "shortest": sum(map(questions.shortest, asked)) / len(asked),
        "overlap": sum(map(questions.overlap, asked)) / len(asked),
    }


def of_texts(outcome: Outcome) -> dict[str, float]:
    """Bits per byte of whole texts, every byte of them.

    It differs from pretrain's val_bpb in two ways: no end token is predicted, and lm-eval's windows do not overlap,
    so the first tokens of a window have little context before them.
    """
    return {
        "bits_per_byte": outcome.value,
        "bytes": sum(size for sizes in outcome.sizes for size in sizes),
        "documents": len(outcome.sizes),
    }
