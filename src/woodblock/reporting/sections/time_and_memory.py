"""Time and memory of each stage, and its rates."""

from __future__ import annotations

from typing import Any

from woodblock.reporting import charts, readable
from woodblock.reporting.finished_run import Finished


def describe(run: Finished) -> dict[str, Any]:
    """Two charts and a row for each stage, with the sum of the times and the largest memory."""
    bars: list[tuple[str, float, str]] = []
    rows: list[dict[str, Any]] = []
    for stage, timing in run.timings.items():
        seconds, memory = timing.get("wall_seconds", 0.0), timing.get("peak_memory_mb", 0.0)
        rates = {key: value for key, value in timing.items() if key not in ("wall_seconds", "peak_memory_mb")}
        rows.append(
            {
                "stage": stage,
                "seconds": seconds,
                "memory": memory,
                "rates": [readable.rate(key, value) for key, value in sorted(rates.items())],
            }
        )
        bars.append((stage, seconds, readable.duration(seconds)))
    memory_bars = [(row["stage"], row["memory"], f"{row['memory']:,.0f} MB") for row in rows]
    return {
        "seconds": charts.bar_chart("Wall time by stage", bars, "seconds"),
        "memory": charts.bar_chart("Peak memory by stage", memory_bars, "MB, all processes"),
        "rows": rows,
        "total": sum(row["seconds"] for row in rows),
        "peak": max(row["memory"] for row in rows),
    }
