"""A loss that stays far above its running mean is told from one that comes back."""

from __future__ import annotations

from woodblock.training import divergence


def test_the_trend_forgives_what_comes_back():
    trend = divergence.Trend()
    for step in range(200):
        assert not trend.add(3.0 * 0.99**step + (4.0 if 50 <= step < 69 else 0.0))
    near_nothing = divergence.Trend(mean=0.01)
    assert not any(near_nothing.add(0.3) for _ in range(100))  # thirty times as much, and still nothing
