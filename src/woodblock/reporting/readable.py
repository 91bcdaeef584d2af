"""Numbers for readers: numbers, sizes, durations and rates, each with its unit where it has one."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any) -> str:
    """A value for readers: thousands separated; four significant digits, or all digits of a longer whole part."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        if value and (abs(value) < 1e-3 or abs(value) >= 1e12):
            return f"{value:.3g}"
        digits = 3 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{min(digits, 4)}f}"
    return str(value)


def size(count: int | float) -> str:
    """Bytes for readers, in powers of ten."""
    for unit, power in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= power:
            return f"{count / power:.3g} {unit}"
    return f"{count:,} bytes"


def duration(seconds: float) -> str:
    """Seconds for readers: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rate(key: str, value: float) -> str:
    """A rate of timings/ for readers: tokens_per_second → 1,234 tokens/s, flops_per_second → 1.23 GFLOP/s, mfu_percent
    → MFU 45.2 %."""
    if key == "mfu_percent":
        return f"MFU {value:.1f}\N{NO-BREAK SPACE}%"
    unit = key.removesuffix("_per_second").replace("_", " ")
    per = "/s" if key.endswith("_per_second") else ""
    if unit != "flops":
        return f"{number(value)} {unit}{per}"
    for letter, power in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= power:
            return f"{value / power:.3g} {letter}FLOP{per}"
    return f"{value:.3g} FLOP{per}"
