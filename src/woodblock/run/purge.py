"""Abandoned work, listed with sizes and removed: `make abandoned` lists it, `make purge` removes it too.

Abandoned is what killed processes left half-written, and the working state (shards, checkpoints) of runs with other
params, data or code than now. Kept is what the next run of a stage goes on with, what a running process holds, and all
downloads and outputs.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from woodblock.base.errors import UserError
from woodblock.base.files import HOUR, partials_of, remove
from woodblock.run import graph, lineage, locks, params, stage

DOWNLOADS, WORK = stage.WORK / "downloads", stage.WORK / "work"


class Left(NamedTuple):
    """Something on the disk, why it is abandoned, or kept, and its size."""

    path: Path
    why: str
    bytes: int

    @classmethod
    def of(cls, path: Path, why: str) -> Left:
        files = path.rglob("*") if path.is_dir() else [path]
        return cls(path, why, sum(file.lstat().st_size for file in files if not file.is_dir()))


def purge(*, remove_it: bool) -> tuple[list[Left], list[Left]]:
    """(what is abandoned, what is kept all the same), and remove the former if asked.

    A stage's lock is held meanwhile, so no process can begin to use what is removed. Raises UserError for params.yaml or
    dvc.yaml that cannot be read.
    """
    values = params.read()
    resolved = params.resolved(values, params.check(values))
    stages = graph.load()
    gone: list[Left] = []
    kept: list[Left] = []
    for name in dict.fromkeys([*stages, *map(_stage_of, _folders())]):
        try:
            with locks.held(name) as real:
                if remove_it and not real:
                    raise UserError(
                        "without locks nobody can tell what a running process uses; list it with make abandoned, and "
                        "remove it yourself when nothing runs"
                    )
                found, held = _of_stage(name, stages.get(name), values, resolved)
                for left in found if remove_it else ():
                    remove(left.path)
        except locks.Held as running:
            found, why = [], str(running).split(";")[0]
            held = [Left.of(path, why) for path in _folders() if _stage_of(path) == name]
        gone, kept = gone + found, kept + held
    texts = [Left.of(path, "half-written by a process that was killed") for path in _old_texts()]
    for left in texts if remove_it else ():
        remove(left.path)
    kept += [Left.of(DOWNLOADS, "downloads")] if DOWNLOADS.is_dir() else []
    return gone + texts, kept


def _of_stage(
    name: str, known: graph.Stage | None, values: dict[str, Any], resolved: dict[str, Any]
) -> tuple[list[Left], list[Left]]:
    """What is abandoned of a stage, and what of its working state is kept. Its lock is held."""
    folders = [path for path in _folders() if _stage_of(path) == name]
    if known is None:
        return [Left.of(path, "of a stage that dvc.yaml does not have") for path in folders], []
    killed = "half-written by a run that was killed"
    gone = [Left.of(path, killed) for out in known.outs for path in partials_of(Path(out))]
    if name == "download":
        gone += [Left.of(path, killed) for path in sorted(DOWNLOADS.glob("*/pip"))]
    kept: list[Left] = []
    now: Path | None = None
    if folders:
        try:
            now = stage.new_run(known, values, resolved, lineage.dep_digests(known)).work
        except FileNotFoundError as missing:
            why = f"{missing.args[0]} is missing, so nobody can tell whether {name} goes on from here"
            return gone, [Left.of(path, why) for path in folders]
    for folder in folders:
        if folder != now:
            gone.append(Left.of(folder, f"of a run of {name} with other params, data or code"))
            continue
        kept.append(Left.of(folder, f"{name} goes on from here"))
        gone += [Left.of(path, killed) for path in sorted(folder.rglob(".*.partial*"))]
        gone += [Left.of(path, "a damaged checkpoint that was set aside") for path in sorted(folder.glob("*.torn.pt"))]
    return gone, kept


def _folders() -> list[Path]:
    """The folders of working state, one for each run of a stage that has not finished."""
    return sorted(path for path in WORK.glob("*") if re.fullmatch(r"\w+-[0-9a-f]{16}", path.name))


def _stage_of(folder: Path) -> str:
    return folder.name.rpartition("-")[0]


def _old_texts() -> Iterator[Path]:
    """Half-written small files that belong to no stage, and are too old for a process to be writing them."""
    places = [
        Path(),
        Path(".dvc/cache"),
        stage.WORK / "digests",
        DOWNLOADS / "recorded",
        *DOWNLOADS.glob("*/"),
        stage.WORK / "watch",
    ]
    for path in sorted({path for place in places for path in place.glob(".*.partial-*")}):
        if path.is_file() and time.time() - path.stat().st_mtime > HOUR:
            yield path


def _shown(size: int) -> str:
    return next(
        (f"{size / unit:.1f} {name}" for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")) if size >= unit),
        f"{size} B",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m woodblock.run.purge", description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="list only, and remove nothing")
    only_lists = parser.parse_args().list
    try:
        gone, kept = purge(remove_it=not only_lists)
    except UserError as error:
        sys.exit(f"error: purge: {error}")
    for left in gone:
        print(f"{_shown(left.bytes):>9}  {left.path}: {left.why}")
    for left in kept:
        print(f"{_shown(left.bytes):>9}  {left.path}: kept: {left.why}")
    total = f"{_shown(sum(left.bytes for left in gone))} in {len(gone)} places"
    print(
        f"{total} can be removed: make purge"
        if only_lists and gone
        else f"{total} {'abandoned' if only_lists else 'removed'}"
    )


if __name__ == "__main__":
    main()
