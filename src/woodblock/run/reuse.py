"""Outputs that an earlier run made from the same inputs: taken back from DVC's cache instead of computed again.

An engine starts a stage when something before it changed. Often the stage's own inputs are the same as before: clean ran
again and wrote the same text, or only a comment changed. Then computing would give the same bytes. DVC's run cache has
the outputs of every run of a stage. One of them is the lineage, which says from which command, params, code and data they
were made. If all of these are the same now, the files are copied back and checked by their sha256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from woodblock.base.digests import digest
from woodblock.run import code, dvc_cache, graph, lineage


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
            dvc_cache.clone(dvc_cache.place_of(self.cache, name), target)
            return
        target.mkdir(parents=True)
        for entry in json.loads(dvc_cache.place_of(self.cache, name).read_text(encoding="utf-8")):
            inner = target / entry["relpath"]
            inner.parent.mkdir(parents=True, exist_ok=True)
            dvc_cache.clone(dvc_cache.place_of(self.cache, entry["md5"]), inner)


def find(stage: graph.Stage, values: dict[str, Any], deps: dict[str, str]) -> Kept | None:
    """The newest earlier run of a stage with this command, these params and these deps; None if there is none.

    deps: digests, as lineage.dep_digests gives them.
    """
    wanted = lineage.declared(stage, values)
    for kept in _runs(stage):
        same = all(kept.lineage.get(key) == wanted[key] for key in ("cmd", "params"))
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
    cache = dvc_cache.folder()
    own = lineage.path_of(stage.name).as_posix()
    line = re.compile(rf"^- path: {re.escape(own)}\n", re.MULTILINE)
    entries = [path for path in (cache / "runs").glob("*/*/*") if path.is_file()]
    for path in sorted(entries, key=lambda entry: (-entry.stat().st_mtime_ns, entry.name)):
        text = path.read_text(encoding="utf-8", errors="replace")
        if not line.search(text):
            continue
        try:
            outs = {out["path"]: out["md5"] for out in yaml.safe_load(text)["outs"]}
            found = json.loads(dvc_cache.place_of(cache, outs[own]).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            continue  # written by another DVC, or no longer in the cache: it cannot be used, which is no error
        if lineage.is_whole(found):
            yield Kept(outs, found, cache)
