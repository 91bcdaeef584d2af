"""Outputs come back from DVC's cache where command, params, code and data are as they were, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from woodblock.run import graph, lineage, reuse

OUTS = ("out.txt", "folder", "metrics/a.json", "timings/a.json", "lineage/a.json")
STAGE = graph.Stage(
    "a",
    "python src/a.py in.txt out.txt folder",
    ("in.txt",),
    ("seed",),
    OUTS,
)
VALUES = {"seed": 1}
TARGETS = {name: Path("back", name) for name in OUTS[:-1]}


def keep(file: Path, cache: Path) -> str:
    """Put a file or folder into a cache as DVC does; returns its name there."""

    def put(data: bytes, ending: str = "") -> str:
        name = hashlib.md5(data).hexdigest() + ending
        place = cache / "files/md5" / name[:2] / name[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return name

    if file.is_file():
        return put(file.read_bytes())
    inner = sorted(path for path in file.rglob("*") if path.is_file())
    entries = [{"md5": put(path.read_bytes()), "relpath": path.relative_to(file).as_posix()} for path in inner]
    return put(json.dumps(entries).encode(), ".dir")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stage that ran, and that DVC has in its cache; its outputs are gone. Returns the file in the run cache."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"in.txt": "in", "out.txt": "out", "folder/b/part": "part", "folder/c": "c"}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    for name in OUTS[2:4]:
        Path(name).parent.mkdir()
        Path(name).write_text("{}\n")
    lineage.write(STAGE, VALUES, lineage.dep_digests(STAGE), VALUES)
    return recorded(Path(".dvc/cache"))


def recorded(cache: Path, key: str = "ab/abcd/1234") -> Path:
    run = cache / "runs" / key
    run.parent.mkdir(parents=True)
    outs = [{"path": out, "hash": "md5", "md5": keep(Path(out), cache), "size": 1} for out in OUTS]
    run.write_text(yaml.safe_dump({"cmd": STAGE.cmd, "deps": [], "outs": outs}, sort_keys=False))
    return run


def find() -> reuse.Kept | None:
    return reuse.find(STAGE, VALUES, lineage.dep_digests(STAGE))


def restored(found: reuse.Kept) -> bool:
    for target in TARGETS.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    return reuse.restore(found, TARGETS)


def test_outputs_come_back_as_they_were(kept: Path) -> None:
    assert restored(find())
    for name in ("out.txt", "folder/b/part", "folder/c", "metrics/a.json", "timings/a.json"):
        assert Path("back", name).read_bytes() == Path(name).read_bytes()


@pytest.mark.parametrize(
    ("stage", "values", "data"),
    [
        (STAGE, {"seed": 2}, "in"),
        (STAGE, VALUES, "other"),
        (graph.Stage("a", "python src/a.py", STAGE.deps, STAGE.params, OUTS), VALUES, "in"),
        (graph.Stage("a", STAGE.cmd, STAGE.deps, STAGE.params, (*OUTS, "more")), VALUES, "in"),
        (graph.Stage("b", STAGE.cmd, STAGE.deps, STAGE.params, OUTS), VALUES, "in"),
    ],
    ids=["params", "data", "command", "outputs", "stage"],
)
def test_another_stage_or_other_inputs_find_nothing(kept: Path, stage, values, data) -> None:
    Path("in.txt").write_text(data)
    assert reuse.find(stage, values, lineage.dep_digests(stage)) is None


def test_what_the_cache_lost_or_spoilt_is_computed(kept: Path) -> None:
    found = find()
    part = next(path for path in Path(".dvc/cache/files").rglob("*") if path.is_file() and path.read_bytes() == b"part")
    part.write_bytes(b"PART")
    assert not restored(found), "its sha256 is not the lineage's"
    part.unlink()
    assert not restored(found)
    for path in Path(".dvc/cache/files").rglob("*"):
        if path.is_file():
            path.unlink()
    assert find() is None


@pytest.mark.parametrize("text", ["", "{", "outs: 1", "- path: lineage/a.json\n", "outs:\n- path: lineage/a.json\n"])
def test_a_run_cache_of_another_form_is_no_fault(kept: Path, text: str) -> None:
    kept.write_text(text)
    assert find() is None


def test_a_project_without_dvc_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("in")
    assert find() is None


@pytest.mark.parametrize("absolute", [True, False])
def test_the_cache_may_be_elsewhere(kept: Path, tmp_path: Path, absolute: bool) -> None:
    Path(".dvc/cache").rename("shared")
    Path(".dvc/config").write_text("[core]\n    analytics = false\n[cache]\n    type = copy\n")
    assert find() is None
    Path(".dvc/config.local").write_text(
        f"[cache]\n    dir = {tmp_path / 'shared' if absolute else '../shared'}\n['remote \"x\"']\n    url = y\n"
    )
    assert restored(find())


def test_the_newest_of_equal_runs_is_taken(kept: Path) -> None:
    Path("timings/a.json").write_text('{"wall_seconds": 2}\n')
    recorded(Path(".dvc/cache"), "cd/cdef/5678")
    assert restored(find())
    assert json.loads(Path("back/timings/a.json").read_text()) == {"wall_seconds": 2}


@pytest.mark.parametrize("content", [b"", b"[{", b"\xff\x80", b"{}", b'[{"md5": 3}]', b"[3]"])
def test_a_cache_with_a_damaged_record_is_one_without_it(kept: Path, content: bytes) -> None:
    found = find()
    (folder,) = Path(".dvc/cache/files").rglob("*.dir")
    folder.write_bytes(content)
    assert restored(found) is False or content == b"{}"
    kept.write_bytes(content)
    assert find() is None
