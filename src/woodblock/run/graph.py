"""dvc.yaml as plain data: the stages, and for each its command, deps, params and outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from woodblock.base.errors import UserError

SHOWS_TIMES = frozenset({"report.html"})  # outputs that differ from run to run, since they show how long it took
# Params that shape no output: any stage may read them, and no stage runs again when they change.
OF_NO_STAGE = ("processes",)


@dataclass(frozen=True)
class Stage:
    """One stage of the graph; paths are as dvc.yaml spells them, relative to the project's root."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]  # every output: data, lineage, timings, metrics, scores and plots
    watches_params: bool = (
        False  # whether DVC starts it for any change in params.yaml, so that an unknown key is refused
    )
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of each plot, those that DVC draws


def load(path: Path | str = "dvc.yaml") -> dict[str, Stage]:
    """The stages by name, each after those that it depends on.

    Raises UserError where there is no such file, it is not YAML, or its stages depend on each other in a circle.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{path}: there is no such file here; run from the project's root")
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))["stages"]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise UserError(f"{path}: not a graph of stages ({' '.join(str(error).split())}); correct it") from None
    stages = {name: _stage(name, entry) for name, entry in entries.items()}
    try:
        order = TopologicalSorter({name: sorted(upstream(stages, name)) for name in stages}).static_order()
        return {name: stages[name] for name in order}
    except CycleError as error:
        raise UserError(
            f"{path}: these stages depend on each other in a circle: {' → '.join(error.args[1])}; remove one of these deps"
        ) from None


def producers(stages: dict[str, Stage]) -> dict[str, str]:
    """Output path → the stage that makes it."""
    return {out: stage.name for stage in stages.values() for out in stage.outs}


def upstream(stages: dict[str, Stage], name: str) -> set[str]:
    """The stages whose outputs a stage reads itself."""
    makers = producers(stages)
    return {makers[dep] for dep in stages[name].deps if dep in makers}


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    listed = [item for kind in ("outs", "metrics", "plots") for item in entry.get(kind) or ()]
    outs = [next(iter(item)) if isinstance(item, dict) else item for item in listed]  # a mapping holds DVC's options
    return Stage(
        name=name,
        cmd=" ".join(entry["cmd"].split()),
        deps=tuple(entry.get("deps") or ()),
        params=tuple(path for path in entry.get("params") or () if isinstance(path, str)),
        outs=tuple(outs),
        watches_params={"params.yaml": None} in (entry.get("params") or ()),
        columns={path: (axes["x"], axes["y"]) for plot in entry.get("plots") or () for path, axes in plot.items()},
    )
