"""Lineage: what a stage's outputs were made from, written beside them as lineage/<stage>.json.

It holds the stage's command, its params, and the sha256 of every dep and of every cached output: no clock, host or
absolute path. It answers one question for both engines: do the outputs on disk belong to this commit and these params?
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from woodblock import graph
from woodblock.params import leaf

IGNORED = (".snakemake_timestamp", "__pycache__")  # as .dvcignore has them: engines leave them in output folders


def digest(path: Path) -> str:
    """sha256 of a file; of a folder, the sha256 over its sorted relative names and their files' sha256.

    Raises FileNotFoundError where there is nothing.
    """
    if path.is_dir():
        total = hashlib.sha256()
        files = (f for f in path.rglob("*") if f.is_file() and not set(f.relative_to(path).parts) & set(IGNORED))
        for file in sorted(files, key=lambda f: f.relative_to(path).as_posix()):
            total.update(f"{file.relative_to(path).as_posix()}\0{digest(file)}\n".encode())
        return total.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_of(stage: str) -> Path:
    return Path("lineage") / f"{stage}.json"


def read(stage: str) -> dict[str, Any] | None:
    """The lineage of a stage, or None where there is none that can be read."""
    try:
        return json.loads(path_of(stage).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def declared(stage: graph.Stage, values: dict[str, Any]) -> dict[str, Any]:
    """What decides a stage's outputs besides its deps: its command and params."""
    return {"stage": stage.name, "cmd": stage.cmd, "params": {path: leaf(values, path) for path in stage.params}}


def dep_digests(stage: graph.Stage, stages: dict[str, graph.Stage]) -> dict[str, str]:
    """The sha256 of each dep: read from the lineage of the stage that made it, else computed.

    Trusting the lineage keeps this cheap for large data: outputs appear under their final names together with it.
    Raises FileNotFoundError for a dep that is not there.
    """
    made_by = graph.producers(stages)
    digests = {}
    for dep in stage.deps:
        maker = made_by.get(dep)
        recorded = (read(maker) or {}).get("outs", {}).get(dep) if maker else None
        if recorded and not Path(dep).exists():
            raise FileNotFoundError(dep)
        digests[dep] = recorded or digest(Path(dep))
    return digests


def stale(stage: graph.Stage, stages: dict[str, graph.Stage], values: dict[str, Any]) -> str | None:
    """Why the outputs on disk are not those of this command, these params and these deps; None if they are."""
    found = read(stage.name)
    if found is None:
        return "it has not run"
    for out in stage.outs:
        if not Path(out).exists():
            return f"{out} is missing"
    wanted = declared(stage, values)
    if found["cmd"] != wanted["cmd"]:
        return "its command changed"
    for path, value in wanted["params"].items():
        if path not in found["params"] or found["params"][path] != value:
            return f"{path} changed"
    try:
        now = dep_digests(stage, stages)
    except FileNotFoundError as error:
        return f"{error.args[0] if error.args else error} is missing"
    for dep in sorted(set(now) | set(found["deps"])):
        # What a run's clock says changes nothing that is kept: the timings are deps of the report alone.
        if not dep.startswith("timings/") and now.get(dep) != found["deps"].get(dep):
            return f"{dep} changed"
    return None


def altered(stage: graph.Stage) -> str | None:
    """The first cached output whose bytes are not those that the stage wrote; None if all are. Reads every byte."""
    found = read(stage.name) or {}
    for out, recorded in found.get("outs", {}).items():
        if not Path(out).exists() or digest(Path(out)) != recorded:
            return out
    return None


def write(stage: graph.Stage, values: dict[str, Any], deps: dict[str, str]) -> None:
    """Write the lineage of a stage whose outputs stand; last, as the mark that they are complete."""
    target = path_of(stage.name)
    kept = [out for out in stage.outs if Path(out) != target and (out not in stage.uncached or out.startswith("metrics/"))]
    record = declared(stage, values)
    record["deps"] = {dep: sha for dep, sha in deps.items() if not dep.startswith("timings/")}
    record["outs"] = {out: digest(Path(out)) for out in kept}
    target.parent.mkdir(exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(partial, target)
