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


def test_standard_error_of_a_share():
    """That of so many draws of 0 and 1."""
    draws = np.repeat([1.0, 0.0], [30, 70])
    assert statistics.share_stderr(0.3, 100) == pytest.approx(draws.std() / 10)
    assert statistics.share_stderr(0.0, 5) == statistics.share_stderr(1.0, 5) == 0


def test_chance():
    assert statistics.chance_of_choice(4) == 0.25
    assert statistics.chance_of_recall(10, 400) == 0.025 and statistics.chance_of_recall(10, 3) == 1.0
