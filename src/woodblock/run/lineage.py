"""Lineage: what a stage's outputs were made from, written beside them as lineage/<stage>.json.

It holds the stage's command, its params, the numbers that it used for auto, and the sha256 of every dep and of every
output that is kept. It holds no time, host or absolute path. For code it holds a digest that only a changed statement
changes (code.py). It answers one question for both engines: do the outputs on disk belong to this commit and these
params?
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from woodblock.base.digests import digest
from woodblock.base.files import read_json, write_text
from woodblock.run import code, graph
from woodblock.run.params import leaf
from woodblock.run.settings import roles


def path_of(stage: str) -> Path:
    return Path("lineage") / f"{stage}.json"


def read(stage: str) -> dict[str, Any] | None:
    """The lineage of a stage, or None where there is none or it cannot be read."""
    found = read_json(path_of(stage))
    return found if is_whole(found) else None


def is_whole(found: Any) -> bool:
    """Whether what was read is a complete lineage."""
    return isinstance(found, dict) and all(isinstance(found.get(key), dict) for key in ("params", "deps", "outs"))


def declared(stage: graph.Stage, values: dict[str, Any]) -> dict[str, Any]:
    """What decides a stage's outputs besides its deps: its command, its params, and what empty roles switch off of it."""
    found = {"stage": stage.name, "cmd": stage.cmd, "params": {path: leaf(values, path) for path in stage.params}}
    off = roles.of_stage(values, stage.name)
    return found | ({roles.KEY: off} if off else {})


def dep_digests(stage: graph.Stage) -> dict[str, str]:
    """The sha256 of each dep; for code its digest. Raises FileNotFoundError, with the path, for a dep that is not there.

    Timings are left out: they differ from run to run, and only the report reads them, whose page need not be equal.
    """
    for dep in stage.deps:
        if not Path(dep).exists():
            raise FileNotFoundError(dep)
    digests = code.digests([dep for dep in stage.deps if dep.endswith(".py")])
    for dep in stage.deps:
        if dep not in digests and not dep.startswith("timings/"):
            digests[dep] = digest(Path(dep))
    return digests


def stale(stage: graph.Stage, values: dict[str, Any]) -> str | None:
    """Why the outputs on disk are not those of this command, these params and these deps; None if they are."""
    found = read(stage.name)
    if found is None:
        return "it has not run" if not path_of(stage.name).exists() else f"{path_of(stage.name)} cannot be read"
    for out in stage.outs:
        if not Path(out).exists():
            return f"{out} is missing"
    wanted = declared(stage, values)
    if found.get("cmd") != wanted["cmd"]:
        return "its command changed"
    for path in sorted(set(wanted["params"]) | set(found["params"])):
        if path not in found["params"] or path not in wanted["params"]:
            return f"{path} was added or removed"
        if found["params"][path] != wanted["params"][path]:
            change = f" from {found['params'][path]!r} to {wanted['params'][path]!r}"
            return f"{path} changed{change if len(change) < 80 else ''}"
    if found.get(roles.KEY) != wanted.get(roles.KEY):
        return "a role of download that it needs is empty no more, or has become empty"
    try:
        now = dep_digests(stage)
    except FileNotFoundError as error:
        return f"{error.args[0]} is missing"
    for dep in code.changed(found["deps"], now):
        return f"{dep} changed"
    if set(found["outs"]) != set(_kept(stage)):
        return "its list of outputs changed"
    for out in (out for out in stage.outs if out.startswith("timings/")):
        if read_json(Path(out)) is None:  # it is in no lineage, but the report reads it
            return f"{out} cannot be read"
    for out, recorded in found["outs"].items():
        if digest(Path(out)) != recorded:
            return f"{out} was changed after the stage wrote it"
    return None


def stale_stages(stages: dict[str, graph.Stage], values: dict[str, Any]) -> dict[str, str]:
    """Every stage that has to run, with the reason: its own, or that a stage it depends on has to run."""
    reasons: dict[str, str] = {}
    for name, stage in stages.items():
        if above := sorted(graph.upstream(stages, name) & set(reasons)):
            reasons[name] = f"it follows {above[0]}"
        elif reason := stale(stage, values):
            reasons[name] = reason
    return reasons


def write(stage: graph.Stage, values: dict[str, Any], deps: dict[str, str], resolved: dict[str, Any]) -> None:
    """Write the lineage of a stage once its outputs are in place. It comes last: it marks that they are complete.

    values: params.yaml as it stands. resolved: the same with the numbers that the stage used for auto (params.resolved).
    """
    record = declared(stage, values)
    numbers = declared(stage, resolved)["params"]
    if chosen := {path: number for path, number in numbers.items() if number != record["params"][path]}:
        record["resolved"] = chosen
    record["deps"] = deps
    record["outs"] = {out: digest(Path(out)) for out in _kept(stage)}
    write_text(path_of(stage.name), json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def _kept(stage: graph.Stage) -> list[str]:
    """The outputs that are the same in equal runs: all but the timings. The lineage itself is left out too."""
    own = path_of(stage.name).as_posix()
    return [out for out in stage.outs if out != own and not out.startswith("timings/")]
