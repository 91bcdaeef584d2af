"""Outputs of earlier runs: put into DVC's cache as soon as a stage has finished, and taken back instead of computed again.

An engine starts a stage when something before it changed. Often the stage's own inputs are the same as before: clean ran
again and wrote the same text, or only a comment changed. Then computing would give the same bytes. DVC's run cache has
the outputs of every run of a stage. One of them is the lineage, which says from which command, params, code and data they
were made. If all of these are the same now, the files are copied back and checked by their sha256.

The cache is read and written without DVC, whose import takes seconds. It has the content of files by their md5
(files/md5/), and for a folder a list of its files, whose name ends in .dir. The run cache (runs/<key>/<value>) has an entry
for each run of a stage: its command, params, deps and outputs. DVC looks there before it starts a stage. So a stage that
writes its own entry when it has finished is not run again, even if the engine that started it was killed meanwhile.
dvc.lock is left to DVC: it is one file, and stages finish at the same time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from woodblock.base.digests import digest, file_digest, files_in
from woodblock.base.files import partial_of, replace
from woodblock.run import code, graph, lineage
from woodblock.run.params import leaf
from woodblock.run.settings import roles

DVC = Path(".dvc")
FICLONE = 0x40049409  # of linux/fs.h: let a file share the blocks of another one, until one of them is changed


@dataclass(frozen=True)
class Kept:
    """The outputs of one run of a stage: for each path its name in DVC's cache (an md5; for a folder an md5 and .dir)."""

    outs: dict[str, str]
    lineage: dict[str, Any]
    cache: Path

    def copy(self, out: str, target: Path) -> None:
        """Copy an output out of the cache. Raises FileNotFoundError where a part of it is no longer in the cache."""
        name = self.outs[out]
        if not name.endswith(".dir"):
            clone(place_of(self.cache, name), target)
            return
        target.mkdir(parents=True)
        for entry in json.loads(place_of(self.cache, name).read_text(encoding="utf-8")):
            inner = target / entry["relpath"]
            inner.parent.mkdir(parents=True, exist_ok=True)
            clone(place_of(self.cache, entry["md5"]), inner)


def find(stage: graph.Stage, values: dict[str, Any], deps: dict[str, str]) -> Kept | None:
    """The newest earlier run of a stage with this command, these params and these deps; None if there is none.

    deps: digests, as lineage.dep_digests gives them.
    """
    wanted = lineage.declared(stage, values)
    for kept in _runs(stage):
        same = all(kept.lineage.get(key) == wanted.get(key) for key in ("cmd", "params", roles.KEY))
        if same and set(kept.outs) == set(stage.outs) and not code.changed(kept.lineage["deps"], deps):
            return kept
    return None


def restore(kept: Kept, outs: dict[str, Path]) -> bool:
    """Copy each output to the place given for it; returns whether all were there and are as the lineage says."""
    try:
        for out, target in outs.items():
            kept.copy(out, target)
            if out in kept.lineage["outs"] and digest(target) != kept.lineage["outs"][out]:
                return False
    except (OSError, ValueError, KeyError, TypeError):  # a folder's list in the cache may be damaged too
        return False
    return True


def _runs(stage: graph.Stage) -> Iterator[Kept]:
    """The runs of a stage in DVC's run cache, newest first (runs/<key>/<value>: a YAML with a run's entry of dvc.lock)."""
    cache = folder()
    own = lineage.path_of(stage.name).as_posix()
    line = re.compile(rf"^- path: {re.escape(own)}\n", re.MULTILINE)
    entries = [path for path in (cache / "runs").glob("*/*/*") if path.is_file()]
    for path in sorted(entries, key=lambda entry: (-entry.stat().st_mtime_ns, entry.name)):
        text = path.read_text(encoding="utf-8", errors="replace")
        if not line.search(text):
            continue
        try:
            outs = {out["path"]: out["md5"] for out in yaml.safe_load(text)["outs"]}
            found = json.loads(place_of(cache, outs[own]).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue  # written by another DVC, or no longer in the cache: it cannot be used, which is no error
        if lineage.is_whole(found):
            yield Kept(outs, found, cache)


def folder() -> Path:
    """The folder of DVC's cache: .dvc/cache, or what [cache] dir says in .dvc/config.local or .dvc/config."""
    for name in ("config.local", "config"):
        file = DVC / name
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        section = re.search(r"^\[cache\]\n((?:(?!\[).*\n?)*)", text, re.MULTILINE)
        if section and (found := re.search(r"^\s*dir\s*=\s*(.+?)\s*$", section[1], re.MULTILINE)):
            return DVC / found[1].strip("\"'")  # an absolute path stays as it is
    return DVC / "cache"


def place_of(cache: Path, name: str) -> Path:
    """Where the content of that name (an md5; for a folder an md5 and .dir) stands."""
    return cache / "files" / "md5" / name[:2] / name[2:]


def described(path: Path) -> dict[str, Any]:
    """A file or folder as dvc.lock describes it, with its own spelling of the path. Raises FileNotFoundError."""
    about: dict[str, Any] = {"path": path.as_posix(), "hash": "md5"}
    if path.is_dir():
        files = files_in(path)
        about["md5"] = hashlib.md5(_listing(path)).hexdigest() + ".dir"
        return about | {"size": sum(file.stat().st_size for file in files), "nfiles": len(files)}
    state = path.stat()
    executable = {"isexec": True} if state.st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH) else {}
    return about | {"md5": file_digest(path, "md5"), "size": state.st_size} | executable


def inputs(stage: graph.Stage) -> list[dict[str, Any]]:
    """The deps of a stage as dvc.lock describes them; none in a project without DVC, where nobody asks."""
    return [described(Path(dep)) for dep in sorted(stage.deps)] if DVC.is_dir() else []


def keep(stage: graph.Stage, values: dict[str, Any], deps: list[dict[str, Any]]) -> None:
    """Put the outputs of a finished stage into the cache, and its entry into the run cache.

    deps: `inputs` of the stage from before it read them. Does nothing in a project without DVC. Raises OSError.
    """
    if not DVC.is_dir():
        return
    cache = folder()
    for out in map(Path, stage.outs):
        for file in files_in(out) if out.is_dir() else [out]:
            _put(cache, file_digest(file, "md5"), file)
        if out.is_dir():
            listing = _listing(out)
            _put(cache, hashlib.md5(listing).hexdigest() + ".dir", listing)
    watched = sorted(values if stage.watches_params else stage.params)
    entry = {
        "cmd": stage.cmd,
        "deps": deps,
        "params": {"params.yaml": {path: leaf(values, path) for path in watched}},
        "outs": [described(Path(out)) for out in sorted(stage.outs)],
    }
    entry = {key: value for key, value in entry.items() if value}
    key, value = _hash(entry | {"outs": sorted(stage.outs)}), _hash(entry)
    run = cache / "runs" / key[:2] / key / value
    if not run.exists():
        text = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, default_flow_style=False)
        _write(cache, run, text.encode())
    os.utime(run)  # DVC takes the newest


def _hash(entry: dict[str, Any]) -> str:
    """The sha256 that DVC gives to an entry; the sizes do not count."""

    def without_sizes(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: without_sizes(inner) for key, inner in node.items() if key not in ("size", "nfiles")}
        return [without_sizes(inner) for inner in node] if isinstance(node, list) else node

    return hashlib.sha256(json.dumps(without_sizes(entry), sort_keys=True).encode()).hexdigest()


def _listing(path: Path) -> bytes:
    """The list of the files of a folder, as DVC writes it."""
    entries = [
        {"md5": file_digest(file, "md5"), "relpath": file.relative_to(path).as_posix()} for file in files_in(path)
    ]
    return json.dumps(entries, sort_keys=True).encode()


def _put(cache: Path, name: str, content: Path | bytes) -> None:
    if not place_of(cache, name).exists():
        _write(cache, place_of(cache, name), content)


def _write(cache: Path, target: Path, content: Path | bytes) -> None:
    """Write a file of the cache, whole or not at all. Nobody may write to it afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(cache / target.name)  # not beside the target: there DVC lists all files
    try:
        if isinstance(content, bytes):
            partial.write_bytes(content)
        else:
            clone(content, partial)
        if "runs" not in target.relative_to(cache).parts[:1]:
            partial.chmod(0o444)
        replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def clone(source: Path, target: Path) -> None:
    """Copy a file; on a file system with reflinks (Btrfs, XFS, APFS) the copy takes no space."""
    try:
        if sys.platform == "darwin":
            from dvc_objects.fs.system import reflink

            reflink(str(source), str(target))
            return
        import fcntl

        with source.open("rb") as read, target.open("wb") as write:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
    except OSError:
        shutil.copyfile(source, target)
