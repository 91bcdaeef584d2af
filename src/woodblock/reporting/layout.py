"""Places on a line: in order, a gap apart, and as near as possible to the wanted places."""

from __future__ import annotations

from collections.abc import Sequence


def positions_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """The positions nearest to the wanted ones (least squares) that are at least `gap` apart and within [low, high].

    If they do not fit, they start at low and go beyond high.
    """
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    # After subtracting the gaps, the positions only have to be in rising order.
    flat = isotonic([wanted[index] - place * gap for place, index in enumerate(order)])
    highest = max(low, high - (len(wanted) - 1) * gap)
    result = [0.0] * len(wanted)
    for place, index in enumerate(order):
        result[index] = min(max(flat[place], low), highest) + place * gap
    return result


def isotonic(values: list[float]) -> list[float]:
    """The nearest sequence (least squares) that never falls: pool adjacent violators, Ayer et al. 1955."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        block = (value, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            total, count = blocks.pop()
            block = (total + block[0], count + block[1])
        blocks.append(block)
    return [total / count for total, count in blocks for _ in range(count)]
