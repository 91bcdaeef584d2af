"""A project of one stage in a folder, and what its function may do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.projects import ROOT

GRAPH = """
stages:
  clean:
    cmd: python src/clean.py input.txt data/out curve.csv
    deps: [input.txt, src/clean.py, requirements.txt]
    params: [seed, clean.min_chars]
    outs: [data/out, curve.csv, metrics/clean.json, timings/clean.json, lineage/clean.json]
    metrics: [scores/clean.json]
"""
COMMAND = ["src/clean.py", "input.txt", "data/out", "curve.csv"]
HEAD = """
import os, sys, time
from pathlib import Path
from woodblock.tables import parquet
from woodblock.run.stage import run_stage
def clean(params, source, out, curve, run):
"""
TAIL = """
if __name__ == "__main__":
    run_stage(clean)
"""
Function = Callable[..., Any]


def fill(folder: Path) -> None:
    (folder / "src").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / "input.txt").write_text("input")
    (folder / "requirements.txt").write_text("# none\n")
    (folder / "src/clean.py").write_text("# this file is imported by nobody\n")


def good(params: Any, source: Path, out: Path, curve: Path) -> dict[str, Any]:
    out.mkdir()
    (out / "part").write_text(source.read_text() + str(params.seed))
    curve.write_text("x,y\n1,2\n")
    return {"b": 1 / 3, "a": {"n": 3}}


def written(folder: Path) -> dict[str, bytes]:
    """Every file that is not working state, with its bytes; the timings aside."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".woodblock" not in p.parts and "timings" not in p.parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def script(folder: Path, body: str) -> list[str]:
    text = HEAD + "".join(f"    {line}\n" for line in body.strip().splitlines()) + TAIL
    (folder / "src/clean.py").write_text(text)
    return [sys.executable, *COMMAND]


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
