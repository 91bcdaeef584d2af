"""Report: one self-contained page about the run, made from what the other stages left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from woodblock import graph, reporting
from woodblock.stage import run_stage


def report(params: Any, page: Path) -> None:
    run = reporting.read(graph.load())
    page.write_text(reporting.render(run, params.report.title), encoding="utf-8")


if __name__ == "__main__":
    run_stage(report)
