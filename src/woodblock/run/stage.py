"""The stage contract, under which every script of src/ runs.

A stage is a function of the params that dvc.yaml declares for it and of the paths on its command line:

    def clean(params, raw, train, validation): ... return metrics
    if __name__ == "__main__":
        run_stage(clean)

`run_stage` checks all of params.yaml, takes the stage's lock, and gives the function temporary paths for its outputs.
When the function returns, the outputs are renamed into place. Then metrics/<stage>.json (all its numbers),
scores/<stage>.json (the few by which runs are compared), timings/<stage>.json and, last, lineage/<stage>.json are
written. When it fails, nothing is left under a final name. A user's error is one line on
standard error.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from woodblock.base import usage
from woodblock.base.errors import UserError
from woodblock.base.files import partial_of, partials_of, remove, sync, write_text
from woodblock.base.progress import say
from woodblock.base.rounding import rounded
from woodblock.run import code, graph, lineage, locks, ranks, reuse, shards
from woodblock.run import params as params_module
from woodblock.run.settings import roles
from woodblock.run.settings.everything import Params

WORK = Path(".woodblock")  # ignored by git and DVC: locks, partial downloads, checkpoints
STALE = "WOODBLOCK_STALE"  # Snakemake's word for a stage: the names of the stages whose inputs changed
COMPUTE = "WOODBLOCK_COMPUTE"  # set to 1: a stage computes also what it could take from DVC's cache


@dataclass
class Run:
    """What a stage's function is given if it has a parameter `run`.

    identity: all that the stage's result depends on (command, params, deps). key: a hash of it. work: a folder for this
    key; it outlives a killed run and is removed by a finished one. processes: how many may share the work; no result
    depends on it. rates: numbers for timings/<stage>.json (tokens/s and such). chosen: the params that say auto, with
    their numbers; a stage that takes other numbers, because of its data, writes them here, so that the lineage has them.
    off: the parts of the stage that an empty role switches off, with the reasons (woodblock.run.roles).
    """

    name: str
    key: str
    work: Path
    processes: int = 1
    rates: dict[str, float] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    off: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """A file to look at while the stage runs; it is no output."""
        return WORK / "watch" / f"{self.name}.csv"


def run_stage(
    function: Callable[..., dict[str, Any] | None],
    *,
    scores: Mapping[str, str] = MappingProxyType({}),
    in_ranks: bool = False,
    reuses: Literal["always", "if stale", "never"] = "always",
) -> None:
    """Run a stage's function under the contract, with the paths of the command line; exits 1 on a user's error.

    scores: the numbers by which runs are compared, name → where it stands in the metrics (such as base.source_law.acc).
    A number that this run does not have is left out.
    in_ranks: whether the function can run in one of several ranks (woodblock.run.ranks). A rank that makes no outputs
    runs the function too, without the lock, and ends with RankDone.
    reuses: whether the outputs of an earlier run with the same inputs may be taken back (woodblock.run.reuse). A stage
    that reads what no engine watches, such as an address on the network, may do so only "if stale": if an engine says that
    an input changed, and not if somebody forces the stage to look again. (DVC then does not start it at all.)
    """
    name = Path(sys.argv[0]).stem
    # An engine that is interrupted ends its stages with SIGTERM. They clean up as they do for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if ranks.only_helps():
            _take_part(name, function, sys.argv[1:], in_ranks)
        else:
            stale = name in os.environ.get(STALE, "").split()
            _run(name, function, sys.argv[1:], scores, reuses == "always" or (reuses == "if stale" and stale))
    except UserError as error:
        if ranks.only_helps():
            ranks.leave_error(str(error))
            sys.exit(1)
        _fail(f"{name}: {error}")
    except ranks.RankDone:
        pass
    except shards.PortionDone as done:
        say(f"{name}: {done} are done")
    except KeyboardInterrupt:
        if ranks.only_helps():
            sys.exit(130)
        _fail(f"{name}: interrupted; run the same command to continue", code=130)
    except Exception as error:
        if not _disk_is_full(error):
            raise
        _fail(f"{name}: the disk is full; free some space and run again. Finished stages are untouched ({error})")


def _take_part(name: str, function: Callable[..., Any], arguments: list[str], in_ranks: bool) -> None:
    """Run the function in a rank that makes no outputs; it ends with RankDone when its share is done."""
    if not in_ranks:
        raise UserError(f"{name} runs in one process; start it without torchrun")
    stage, values, params = _read(name, arguments)
    if "" in roles.of_stage(values, name):
        raise ranks.RankDone
    run = new_run(stage, values, params_module.resolved(values, params), lineage.dep_digests(stage))
    function(params_module.Declared(params, list(stage.params)), *map(Path, arguments), run=run)
    raise RuntimeError(f"{name} came to its outputs in a process that makes none")


def _read(name: str, arguments: list[str]) -> tuple[graph.Stage, dict[str, Any], Params]:
    """The stage, and params.yaml as it stands and checked. Raises UserError for what a stage cannot start with."""
    values = params_module.read()
    params = params_module.check(values)
    stages = graph.load()
    if name not in stages:
        raise UserError(f"dvc.yaml has no stage {name}; it has {', '.join(stages)}")
    stage = stages[name]
    if stray := [path for path in arguments if path not in stage.deps + stage.outs]:
        raise UserError(
            f"{stray[0]} is not listed as dep or output of {name} in dvc.yaml; run the stage as: {stage.cmd}"
        )
    if missing := [dep for dep in stage.deps if not Path(dep).exists()]:
        maker = graph.producers(stages).get(missing[0])
        raise UserError(
            f"{missing[0]} is missing; "
            + (f"run {maker} first, or dvc repro" if maker else f"git checkout {missing[0]}")
        )
    if undeclared := code.undeclared(Path(sys.argv[0]), stage.deps):
        raise UserError(f"{undeclared[0]} is imported but is not a dep of {name} in dvc.yaml; run make graph")
    return stage, values, params


def _run(
    name: str,
    function: Callable[..., dict[str, Any] | None],
    arguments: list[str],
    scores: Mapping[str, str],
    reuses: bool,
) -> None:
    stage, values, params = _read(name, arguments)
    if not graph.upstream(graph.load(), name) and (switched_off := roles.line(values)):
        say(switched_off)  # by the stage with which a run starts, before any work
    portion = os.environ.get(shards.PORTION)
    with locks.held(name, portion):
        started = time.perf_counter()
        deps, resolved = lineage.dep_digests(stage), params_module.resolved(values, params)
        inputs = [] if portion else reuse.inputs(stage)
        if reuses and not portion and _take_back(stage, values, resolved, deps):
            seconds = time.perf_counter() - started
            say(
                f"{name}: nothing it reads has changed; its outputs were taken from DVC's cache in {seconds:.1f} s "
                f"(set {COMPUTE}=1 to compute them)"
            )
            _keep(stage, values, inputs)
            return
        run = new_run(stage, values, resolved, deps)
        _warn_of_other_versions(stage)
        outputs = _partials([path for path in arguments if path in stage.outs], alone=not portion)
        paths = [outputs.get(path, Path(path)) for path in arguments]
        extra = {"run": run} if "run" in inspect.signature(function).parameters else {}
        try:
            with usage.peak_memory() as peak:
                if reason := run.off.get(""):
                    metrics = _leave_out(stage, outputs, reason)
                else:
                    metrics = function(params_module.Declared(params, list(stage.params)), *paths, **extra) or {}
                    metrics |= {roles.KEY: run.off} if run.off else {}
            if portion:
                raise UserError(f"{shards.PORTION} is set, but {name} does not work in shards; unset it")
            for path, partial in outputs.items():
                if not partial.exists():
                    raise RuntimeError(f"{name} made no {path}")
            kept_metrics = rounded(metrics)
            _put_in_place(name, outputs)
        finally:
            for partial in outputs.values():
                remove(partial)
        if f"metrics/{name}.json" in stage.outs:
            _write_json(Path(f"metrics/{name}.json"), kept_metrics)
        if f"scores/{name}.json" in stage.outs:
            _write_json(Path(f"scores/{name}.json"), scores_of(kept_metrics, scores))
        timings = {"wall_seconds": time.perf_counter() - started, "peak_memory_mb": peak.mb, **run.rates}
        _write_json(Path(f"timings/{name}.json"), {key: round(value, 2) for key, value in timings.items()})
        lineage.write(stage, values, deps, params_module.changed(resolved, run.chosen))
        _keep(stage, values, inputs)
        shutil.rmtree(run.work, ignore_errors=True)
    say(f"{name}: made {', '.join(outputs)} in {timings['wall_seconds']:.1f} s, {timings['peak_memory_mb']:,.0f} MB")


def _leave_out(stage: graph.Stage, outputs: dict[str, Path], reason: str) -> dict[str, Any]:
    """Write the outputs of a stage that is switched off: folders with a note, curves without points. Returns its metrics."""
    say(f"{stage.name}: switched off: {reason}")
    for out, partial in outputs.items():
        if out in stage.columns:
            partial.write_text(",".join(stage.columns[out]) + "\n", encoding="utf-8")
            continue
        file = partial if Path(out).suffix else partial / "switched_off.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"switched off: {reason}\n", encoding="utf-8")
    return {roles.KEY: reason}


def scores_of(metrics: dict[str, Any], scores: Mapping[str, str]) -> dict[str, Any]:
    """The numbers of scores/<stage>.json: {"law": "base.law.acc"} and {"base": {"law": {"acc": 0.5}}} → {"law": 0.5}."""
    numbers = params_module.by_path(metrics)
    return {name: numbers[path] for name, path in scores.items() if numbers.get(path) is not None}


def _put_in_place(name: str, partials: dict[str, Path]) -> None:
    """Rename outputs into place. Old outputs are replaced one by one. Their lineage is removed first, since it must never
    stand beside a mixture of old and new."""
    lineage.path_of(name).unlink(missing_ok=True)
    for partial in partials.values():
        sync(partial)  # before the lineage says that they are complete
    for path, partial in partials.items():
        _replace(partial, Path(path))


def _keep(stage: graph.Stage, values: dict[str, Any], inputs: list[dict[str, Any]]) -> None:
    """Give what the stage has made to DVC's cache at once: an engine that is killed later, or was killed while this stage
    went on, loses nothing. The outputs are complete already, so neither a full disk nor an interruption is a failure."""
    with ranks.interruption():
        try:
            reuse.keep(stage, values, inputs)
        except OSError as error:
            say(f"{stage.name}: its outputs are complete, but they are not in DVC's cache ({error}); then: make adopt")


def _take_back(stage: graph.Stage, values: dict[str, Any], resolved: dict[str, Any], deps: dict[str, str]) -> bool:
    """Put the outputs of an earlier run with the same inputs in place; returns whether there was such a run."""
    if os.environ.get(COMPUTE) or not (kept := reuse.find(stage, values, deps)):
        return False
    own = lineage.path_of(stage.name).as_posix()
    partials = _partials([path for path in stage.outs if path != own], alone=True)
    try:
        if not reuse.restore(kept, partials):
            return False
        _put_in_place(stage.name, partials)
    finally:
        for partial in partials.values():
            remove(partial)
    used = params_module.changed(resolved, kept.lineage.get("resolved", {}))
    lineage.write(stage, values, deps, used)  # not copied: files of code may have moved since
    return True


def new_run(stage: graph.Stage, values: dict[str, Any], resolved: dict[str, Any], deps: dict[str, str]) -> Run:
    """The run of a stage. Its identity is all that its outputs depend on, but not the block train, which says on which
    devices: training that was killed on eight GPUs continues on one. values: params.yaml as it stands; resolved: the same
    with numbers for auto. What said auto is part of the identity too, since a stage may take another number for it."""
    processes = params_module.processes(values)
    declared, written = lineage.declared(stage, resolved), lineage.declared(stage, values)["params"]
    chosen = {path: value for path, value in declared["params"].items() if value != written[path]}
    params = {path: value for path, value in declared["params"].items() if not path.startswith("train.")}
    params |= {"auto": sorted(chosen)} if chosen else {}
    identity = {**declared, "params": params, "deps": deps}
    # The places of code files do not count, as in the lineage.
    data = {path: sha for path, sha in deps.items() if not code.is_code(path)}
    files = sorted(sha for path, sha in deps.items() if code.is_code(path))
    text = json.dumps({**identity, "deps": data, "code": files}, ensure_ascii=False, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    work = WORK / "work" / f"{stage.name}-{key}"
    off = dict(declared.get(roles.KEY, {}))
    return Run(stage.name, key, work, processes, identity=identity, chosen=chosen, off=off)


def _partials(outs: list[str], *, alone: bool) -> dict[str, Path]:
    """For each output a hidden name beside it, so that the rename into place stays within one file system.

    alone: whether no other process does this stage. Then what killed ones left of the outputs is removed.
    """
    for out in map(Path, outs):
        out.parent.mkdir(parents=True, exist_ok=True)
        for left in partials_of(out) if alone else ():
            remove(left)
    return {out: partial_of(Path(out)) for out in outs}


def _replace(partial: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)  # os.replace refuses a folder that is not empty
    os.replace(partial, target)


def _write_json(target: Path, value: dict[str, Any]) -> None:
    write_text(target, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def _warn_of_other_versions(stage: graph.Stage) -> None:
    for pins in (dep for dep in stage.deps if dep.startswith("requirements/")):
        for line in Path(pins).read_text(encoding="utf-8").splitlines():
            package, separator, pinned = line.split("#")[0].split(";")[0].strip().partition("==")
            if not separator:
                continue
            try:
                installed = metadata.version(package).split("+")[0]
            except metadata.PackageNotFoundError:
                continue  # pinned for another platform; if a package is needed and missing, its import fails
            if installed != pinned:
                say(
                    f"{stage.name}: {package} {installed} is installed, but {pins} pins {pinned}; run `make` to install it"
                )


def _disk_is_full(error: BaseException | None) -> bool:
    while error is not None:
        # Arrow and safetensors put the system's error into a text of their own.
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _fail(message: str, code: int = 1) -> None:
    say(f"error: {message}")
    sys.exit(code)
