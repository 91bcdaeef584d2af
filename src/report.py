"""Report: one self-contained page about the run, made from what the other stages left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from woodblock.reporting import finished_run, page
from woodblock.run import graph
from woodblock.run.stage import run_stage


def report(params: Any, out: Path) -> None:
    run = finished_run.read(graph.load())
    out.write_text(page.render(run, params.report.title), encoding="utf-8")


if __name__ == "__main__":
    run_stage(report, reuses="never")  # the page shows the times of the run, which the lineage leaves out
