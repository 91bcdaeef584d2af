"""Lineage says whether what lies on disk belongs to this commit and these params, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.projects import ROOT

from woodblock.base import digests, files
from woodblock.base.errors import UserError
from woodblock.run import graph, lineage

VALUES = {"seed": 1, "model": {"dim": 8}}


def a_stage(name: str = "b", deps: tuple[str, ...] = ("a.txt", "timings/a.json"), **more) -> graph.Stage:
    outs = (f"{name}.out", f"{name}.data", f"lineage/{name}.json", f"metrics/{name}.json", f"timings/{name}.json")
    settings = {"cmd": f"python src/{name}.py", "params": ("seed", "model.dim"), "outs": outs}
    return graph.Stage(name=name, deps=deps, **(settings | more))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> graph.Stage:
    """A stage that has run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    stage = a_stage()
    Path("a.txt").write_text("a")
    Path("b.data").mkdir()
    for path in ("b.out", "b.data/part", "metrics/b.json", "timings/b.json", "timings/a.json"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("{}" if path.startswith("timings/") else path)
    lineage.write(stage, VALUES, lineage.dep_digests(stage), VALUES)
    return stage


DAMAGES = {
    "empty": b"",
    "cut": b'{"cmd": "python',
    "garbage": b"\x00\xff\x80",
    "no record": b"[]",
    "hollow": b'{"deps": 3}',
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_lineage_that_cannot_be_read_is_none(made: graph.Stage, damage: bytes) -> None:
    """A power cut can leave such a file: the stage has to run, and that is no error."""
    lineage.path_of("b").write_bytes(damage)
    assert lineage.stale(made, VALUES) == "lineage/b.json cannot be read"


@pytest.mark.parametrize("damage", [b"", b'{"wall', b"\xff\x80"])
def test_timings_that_cannot_be_read_are_made_again(made: graph.Stage, damage: bytes) -> None:
    Path("timings/b.json").write_bytes(damage)
    assert lineage.stale(made, VALUES) == "timings/b.json cannot be read"


def test_what_has_run_is_fresh(made: graph.Stage) -> None:
    assert lineage.stale(made, VALUES) is None
    for path in Path().rglob("*"):
        os.utime(path, (1, 1))
    Path("b.data/.snakemake_timestamp").touch()
    Path("timings/a.json").write_text('{"wall_seconds": 2}')
    Path("timings/b.json").write_text('{"wall_seconds": 2}')
    assert lineage.stale(made, VALUES) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: Path("lineage/b.json").unlink(), "it has not run"),
        (lambda: Path("b.out").unlink(), "b.out is missing"),
        (lambda: Path("timings/b.json").unlink(), "timings/b.json is missing"),
        (lambda: Path("a.txt").unlink(), "a.txt is missing"),
        (lambda: Path("a.txt").write_text("b"), "a.txt changed"),
        (lambda: Path("b.out").write_text("b"), "b.out was changed after the stage wrote it"),
        (lambda: Path("b.data/part").write_text("b"), "b.data was changed after the stage wrote it"),
        (lambda: Path("b.data/more").write_text(""), "b.data was changed after the stage wrote it"),
        (lambda: Path("b.data/part").rename("b.data/other"), "b.data was changed after the stage wrote it"),
        (lambda: Path("metrics/b.json").write_text("{}"), "metrics/b.json was changed after the stage wrote it"),
    ],
)
def test_what_changed_on_disk_is_named(made: graph.Stage, change: Callable[[], object], reason: str) -> None:
    change()
    assert lineage.stale(made, VALUES) == reason


@pytest.mark.parametrize(
    ("change", "values", "reason"),
    [
        ({"cmd": "python src/b.py other"}, VALUES, "its command changed"),
        ({"params": ("seed",)}, VALUES, "model.dim was added or removed"),
        ({"params": ("seed", "model.dim", "more")}, {**VALUES, "more": 1}, "more was added or removed"),
        ({}, {"seed": 2, "model": {"dim": 8}}, "seed changed from 1 to 2"),
        ({}, {"seed": 1, "model": {"dim": 9}, "other": 1}, "model.dim changed from 8 to 9"),
        ({}, {"seed": [100] * 99, "model": {"dim": 8}}, "seed changed"),
        ({"deps": ()}, VALUES, "a.txt changed"),
        ({"outs": ("b.out", "timings/b.json")}, VALUES, "its list of outputs changed"),
    ],
)
def test_what_changed_in_the_graph_is_named(made: graph.Stage, change: dict, values: dict, reason: str) -> None:
    assert lineage.stale(a_stage(**change), values) == reason


def test_a_param_that_nobody_declares_changes_nothing(made: graph.Stage) -> None:
    assert lineage.stale(made, {**VALUES, "other": 1}) is None


def test_a_declared_param_that_is_not_there_is_a_users_error(made: graph.Stage) -> None:
    with pytest.raises(UserError, match=r"model\.dim, which is not in params\.yaml"):
        lineage.stale(made, {"seed": 1})


def test_stages_follow_those_that_they_depend_on(made: graph.Stage) -> None:
    stages = {"b": made, "c": a_stage("c", ("b.out",)), "d": a_stage("d", ("a.txt", "c.out"))}
    assert lineage.stale_stages(stages, VALUES) == {"c": "it has not run", "d": "it follows c"}
    Path("b.out").unlink()
    assert lineage.stale_stages(stages, VALUES)["c"] == "it follows b"


def test_large_files_are_read_once_until_they_change(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("large")
    file.write_bytes(bytes(digests.LARGE))
    first = digests.digest(file)
    monkeypatch.setattr(digests.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert digests.digest(file) == first
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    for content, time in ((bytes(digests.LARGE + 1), None), (b"x" * digests.LARGE, None), (bytes(digests.LARGE), 5)):
        file.write_bytes(content)
        if time:
            os.utime(file, (time, time))
        assert digests.digest(file) == subprocess.check_output(["sha256sum", file], text=True).split()[0]


def test_numbers_for_auto_are_kept_beside_the_params(made: graph.Stage) -> None:
    values = {"seed": "auto", "model": {"dim": 8}}
    lineage.write(made, values, lineage.dep_digests(made), {"seed": 3, "model": {"dim": 8}})
    found = lineage.read("b")
    assert (found["params"]["seed"], found["resolved"]) == ("auto", {"seed": 3})
    assert lineage.stale(made, values) is None, "params.yaml still says auto"
    lineage.write(made, VALUES, lineage.dep_digests(made), VALUES)
    assert "resolved" not in lineage.read("b")


def test_no_half_written_lineage(made: graph.Stage, monkeypatch) -> None:
    before = Path("lineage/b.json").read_bytes()
    monkeypatch.setattr(files.os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lineage.write(made, VALUES | {"seed": 2}, {}, VALUES | {"seed": 2})
    assert Path("lineage/b.json").read_bytes() == before


def test_the_same_bytes_with_any_hash_seed(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from woodblock.run import graph, lineage
outs = ("out", "lineage/a.json")
stage = graph.Stage("a", "cmd", ("in", "other"), ("seed",), outs)
for name in ("in", "other", "out"):
    Path(name).mkdir()
    for number in range(20):
        Path(name, str(number)).write_text(name)
lineage.write(stage, {"seed": "雕版"}, lineage.dep_digests(stage), {"seed": "雕版"})
"""
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path / seed, env=variables, check=True)
    first, second = ((tmp_path / seed / "lineage/a.json").read_bytes() for seed in ("1", "2"))
    assert first == second
    assert "雕版".encode() in first
