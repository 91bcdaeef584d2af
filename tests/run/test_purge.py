"""Abandoned work is found and removed; downloads, work to go on with and what a process holds stay."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.projects import ROOT

from woodblock.base import files
from woodblock.base.errors import UserError
from woodblock.run import graph, lineage, locks, params, purge, stage

GRAPH = """
stages:
  download: {cmd: python src/download.py raw, deps: [src/download.py], outs: [raw]}
  clean: {cmd: python src/clean.py raw data/out, deps: [raw, src/clean.py], params: [clean.min_chars], outs: [data/out]}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the work that clean would go on with; the current folder has every kind of leftover too."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    Path("dvc.yaml").write_text(GRAPH)
    put("raw", "text")
    for name in ("download", "clean"):
        put(f"src/{name}.py", "")
    known = graph.load()["clean"]
    values = params.read()
    resolved = params.resolved(values, params.check(values))
    folder = stage.new_run(known, values, resolved, lineage.dep_digests(known)).work
    put(f"{folder}/shards/part-0/done.json", "{}")
    put(f"{purge.DOWNLOADS}/0123/content/a.jsonl", "{}")
    put(f"{purge.DOWNLOADS}/0123/partial", "half of a download, which goes on")
    put("data/out", "an output")
    return folder


def put(path: str, text: str = "x" * 100) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def leave(work: Path) -> list[str]:
    """Put what killed runs leave; returns it, in the order of the names."""
    left = [
        f"{work}/shards/.part-1.partial-node1-7-0a",
        f"{work}/checkpoint.torn.pt",
        f"{purge.WORK}/clean-0123456789abcdef",  # other params
        f"{purge.WORK}/gone-0123456789abcdef",  # a stage of another commit
        f"{purge.DOWNLOADS}/4567/pip",
        "data/.out.partial-node1-7-0a",
    ]
    for path in left:
        if path.endswith((".pt", "data/.out.partial-node1-7-0a")):
            put(path)
        else:
            put(f"{path}/inner")
    for path in (".params.yaml.partial-node1-7-0a.yaml", ".woodblock/digests/.0a.partial-node1-7-0a"):
        put(path)
        os.utime(path, (time.time() - 2 * files.HOUR,) * 2)
        left.append(path)
    return sorted(left)


def everything() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*") if path.is_file() and "locks" not in path.parts}


def test_what_is_abandoned_is_removed_and_the_rest_stays(work: Path) -> None:
    before = everything()
    left = leave(work)
    put(".woodblock/digests/.0b.partial-node1-8-0a")  # a process may be writing it
    before |= {".woodblock/digests/.0b.partial-node1-8-0a"}
    listed, kept = purge.purge(remove_it=False)
    assert sorted(item.path.as_posix() for item in listed) == left and all(item.bytes == 100 for item in listed)
    assert everything() > before, "listing removes nothing"
    assert [item.path.as_posix() for item in kept] == [work.as_posix(), purge.DOWNLOADS.as_posix()]
    assert purge.purge(remove_it=True)[0] == listed
    assert everything() == before
    assert purge.purge(remove_it=True)[0] == []


@pytest.mark.parametrize("portion", [None, "1/2"])
def test_what_a_process_holds_stays(work: Path, portion: str | None) -> None:
    leave(work)
    with locks.held("clean", portion):
        gone, kept = purge.purge(remove_it=True)
    assert not [item for item in gone if "clean" in item.path.as_posix() or "out" in item.path.as_posix()]
    assert Path(f"{purge.WORK}/clean-0123456789abcdef/inner").exists() and Path("data/.out.partial-node1-7-0a").exists()
    assert f"process {os.getpid()} on " in kept[0].why and "is already running this stage" in kept[0].why


def test_without_locks_nothing_is_removed(work: Path, monkeypatch) -> None:
    left = leave(work)
    monkeypatch.setattr(locks.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks")))
    assert len(purge.purge(remove_it=False)[0]) == len(left)
    with pytest.raises(UserError, match="without locks nobody can tell what a running process uses; list it with make"):
        purge.purge(remove_it=True)
    assert all(Path(path).exists() for path in left)


def test_what_nobody_can_tell_stays(work: Path) -> None:
    put(f"{purge.WORK}/clean-0123456789abcdef/inner")
    Path("raw").unlink()
    gone, kept = purge.purge(remove_it=True)
    assert gone == [] and len(kept) == 3
    assert {item.why for item in kept} == {
        "raw is missing, so nobody can tell whether clean goes on from here",
        "downloads",
    }


def test_the_commands_say_what_they_do(work: Path) -> None:
    def run(*options: str) -> str:
        command = [sys.executable, "-m", "woodblock.run.purge", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    left = leave(work)
    assert run("--list").endswith("800 B in 8 places can be removed: make purge\n") and Path(left[0]).exists()
    said = run()
    assert said.endswith("800 B in 8 places removed\n") and all(f"100 B  {path}: " in said for path in left)
    assert f"{work}: kept: clean goes on from here" in said
    assert run("--list").endswith("0 B in 0 places abandoned\n")


def test_make_clean_keeps_downloads_and_checkpoints(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for path in ("logs/a.log", ".pytest_cache/a"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    for path in (f"{purge.DOWNLOADS}/a/partial", f"{purge.WORK}/pretrain-0/checkpoint.pt"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        f"{purge.DOWNLOADS}/a/partial",
        f"{purge.WORK}/pretrain-0/checkpoint.pt",
        "Makefile",
    ]
    said = subprocess.run(["make", "help"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "keep outputs, downloads, checkpoints" in said
