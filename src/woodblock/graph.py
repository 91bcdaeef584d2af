"""dvc.yaml as plain data: the stages, and for each its command, deps, params and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from woodblock.errors import UserError


@dataclass(frozen=True)
class Stage:
    """One stage of the graph; paths are as dvc.yaml spells them, relative to the project's root."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]  # every output: data, lineage, timings, metrics and plots
    uncached: frozenset[str]  # those that DVC does not keep in its cache


def load(path: Path | str = "dvc.yaml") -> dict[str, Stage]:
    """The stages by name, in the order of the file."""
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{path}: there is no such file here; run from the project's root")
    stages = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]
    return {name: _stage(name, entry) for name, entry in stages.items()}


def producers(stages: dict[str, Stage]) -> dict[str, str]:
    """Output path → the stage that makes it."""
    return {out: stage.name for stage in stages.values() for out in stage.outs}


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    outs: list[str] = []
    uncached: set[str] = set()
    for kind in ("outs", "metrics", "plots"):
        for item in entry.get(kind, []):
            path, options = next(iter(item.items())) if isinstance(item, dict) else (item, {})
            outs.append(path)
            if options.get("cache") is False:
                uncached.add(path)
    return Stage(
        name=name,
        cmd=" ".join(entry["cmd"].split()),
        deps=tuple(entry.get("deps", [])),
        params=tuple(entry.get("params", [])),
        outs=tuple(outs),
        uncached=frozenset(uncached),
    )
