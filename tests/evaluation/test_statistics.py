"""Standard errors are those of the formulas, and of whole groups where questions belong together."""

from __future__ import annotations

import numpy as np
import pytest

from woodblock.evaluation import statistics


def test_bootstrap_draws_whole_groups():
    """Groups of equal size: the standard error of their means, whatever stands within them."""
    rng = np.random.default_rng(4)
    means = rng.random(60)
    values, groups = np.repeat(means, 5), np.repeat([f"law {i}" for i in range(60)], 5)
    exact = means.std() / np.sqrt(60)
    assert statistics.bootstrap_stderr(values, groups, 4000, seed=1) == pytest.approx(exact, rel=0.1)
    assert statistics.bootstrap_stderr(values, groups, 100, 1) == statistics.bootstrap_stderr(values, groups, 100, 1)
    assert statistics.bootstrap_stderr([1.0] * 8, list("aabbccdd"), 100, 1) == 0


def crossed(laws: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Groups and blocks of questions as source_law makes them: a block has one question of each of four laws."""
    picked = [rng.choice(laws, 4, replace=False) for _ in range(3 * laws)]
    return [f"law {law}" for four in picked for law in four], [f"block {n}" for n in range(len(picked)) for _ in "1234"]


def test_a_model_without_knowledge_is_right_once_in_each_block():
    """Its score has no error at all, though laws differ in how often it picks them; a bootstrap over laws says .02.
    What is left is the noise of the estimates."""
    by_law, by_both = [], []
    for seed in range(7):
        rng = np.random.default_rng(seed)
        groups, blocks = crossed(40, rng)
        values = [float(place == chosen) for chosen in rng.integers(0, 4, len(blocks) // 4) for place in range(4)]
        assert np.mean(values) == 0.25
        by_law.append(statistics.bootstrap_stderr(values, groups, 300, 1))
        by_both.append(statistics.clustered_stderr(values, groups, blocks, 300, 1))
    assert np.median(by_law) > 0.015 and np.median(by_both) < np.median(by_law) / 2


@pytest.mark.parametrize("of_law", [0.0, 0.3])
@pytest.mark.parametrize("of_block", [0.0, 0.3])
def test_errors_clustered_by_law_and_block_are_those_of_repeated_trials(of_law, of_block):
    """The spread of the mean over many draws of laws, blocks and questions, and the median of its estimates."""
    rng = np.random.default_rng(2)
    means, estimates = [], []
    for trial in range(150):
        groups, blocks = crossed(30, rng)
        offsets = {
            name: rng.normal(0, size) for size, names in ((of_law, groups), (of_block, blocks)) for name in set(names)
        }
        values = [offsets[g] + offsets[b] + rng.normal(0, 0.3) for g, b in zip(groups, blocks, strict=True)]
        means.append(np.mean(values))
        if trial % 5 == 0:
            estimates.append(statistics.clustered_stderr(values, groups, blocks, 300, 1))
    assert np.median(estimates) == pytest.approx(np.std(means), rel=0.25)


def test_blocks_within_laws_change_nothing():
    rng = np.random.default_rng(3)
    groups, blocks = np.repeat(list("abcdef"), 8).tolist(), np.repeat(np.arange(12), 4).astype(str).tolist()
    values = rng.random(48).tolist()
    assert statistics.clustered_stderr(values, groups, blocks, 500, 1) == pytest.approx(
        statistics.bootstrap_stderr(values, groups, 500, 1)
    )


def test_models_are_compared_question_by_question():
    rng = np.random.default_rng(4)
    groups, blocks = crossed(40, rng)
    hard = rng.random(len(groups)).round()
    better = np.where(rng.random(len(groups)) < 0.05, 1.0, hard)
    found, stderr = statistics.paired_difference(better, hard, groups, blocks, 500, 1)
    assert found == pytest.approx(better.mean() - hard.mean()) and found > 0
    apart = np.hypot(*(statistics.clustered_stderr(v, groups, blocks, 500, 1) for v in (better, hard)))
    assert 0 < stderr < apart / 2
    assert statistics.paired_difference(hard, hard, groups, blocks, 500, 1) == (0.0, 0.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        statistics.paired_difference(hard[1:], hard, groups, blocks, 500, 1)


def test_standard_error_of_a_share():
    """That of so many draws of 0 and 1."""
    draws = np.repeat([1.0, 0.0], [30, 70])
    assert statistics.share_stderr(0.3, 100) == pytest.approx(draws.std() / 10)
    assert statistics.share_stderr(0.0, 5) == statistics.share_stderr(1.0, 5) == 0


def test_chance():
    assert statistics.chance_of_choice(4) == 0.25
    assert statistics.chance_of_recall(10, 400) == 0.025 and statistics.chance_of_recall(10, 3) == 1.0
