"""Statistics of scores: how far a score may be off by chance, and what chance alone would score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def bootstrap_stderr(values: Sequence[float], groups: Sequence[str], resamples: int, seed: int) -> float:
    """Standard error of the mean of values, by bootstrap over groups.

    Whole groups (laws) are drawn with replacement, since the answers to questions about one law are not independent. The
    mean of a resample is over its questions. Source: Efron & Tibshirani 1993, chapter 6; Miller 2024, Adding Error Bars
    to Evals, on clustered questions.
    """
    names = sorted(set(groups))
    place = {name: i for i, name in enumerate(names)}
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    for value, group in zip(values, groups, strict=True):
        sums[place[group]] += value
        counts[place[group]] += 1
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return float(((drawn @ sums) / (drawn @ counts)).std(ddof=1))


def share_stderr(share: float, count: int) -> float:
    """Standard error of a share of `count` independent trials: √(p (1 − p) / n), of the binomial distribution."""
    return math.sqrt(share * (1 - share) / count)


def chance_of_choice(choices: int) -> float:
    """The accuracy of a random choice between `choices` answers, one of which is right."""
    return 1 / choices


def chance_of_recall(depth: int, passages: int) -> float:
    """The recall of `depth` passages drawn at random, where one of all the passages is right."""
    return min(1.0, depth / passages)
