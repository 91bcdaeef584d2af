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


def clustered_stderr(
    values: Sequence[float], groups: Sequence[str], blocks: Sequence[str], resamples: int, seed: int
) -> float:
    """Standard error of the mean of values that hang together in two ways: by group (law) and by block.

    Questions about one law are alike; and of the four questions of a block, which have the same choices, a model without
    knowledge is right in exactly one. With clusters of both kinds the variance is that by groups plus that by blocks minus
    that by their intersections (Cameron, Gelbach & Miller 2011, Robust Inference With Multiway Clustering, equation 2.9).
    It is 0 where the sum is below. If every block lies within one group, it is the variance by groups.
    """
    both = [f"{block}\0{group}" for group, block in zip(groups, blocks, strict=True)]
    by_group, by_block, by_both = (
        bootstrap_stderr(values, names, resamples, seed) ** 2 for names in (groups, blocks, both)
    )
    return math.sqrt(max(0.0, by_group + (by_block - by_both)))


def paired_difference(
    values: Sequence[float],
    others: Sequence[float],
    groups: Sequence[str],
    blocks: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """How much the mean of values is above that of others, and the standard error of this difference.

    Both are scores of the same questions, in the same order. Two models find the same questions hard, so the difference of
    each question varies less than the scores do: its error is smaller than that of two independent means (Miller 2024,
    Adding Error Bars to Evals, section 4.2).
    """
    differences = [value - other for value, other in zip(values, others, strict=True)]
    return float(np.mean(differences)), clustered_stderr(differences, groups, blocks, resamples, seed)


def share_stderr(share: float, count: int) -> float:
    """Standard error of a share of `count` independent trials: √(p (1 − p) / n), of the binomial distribution."""
    return math.sqrt(share * (1 - share) / count)


def chance_of_choice(choices: int) -> float:
    """The accuracy of a random choice between `choices` answers, one of which is right."""
    return 1 / choices


def chance_of_recall(depth: int, passages: int) -> float:
    """The recall of `depth` passages drawn at random, where one of all the passages is right."""
    return min(1.0, depth / passages)
