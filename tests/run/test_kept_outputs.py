"""What a stage puts into DVC's cache by itself is what DVC would have put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from woodblock.run import graph, reuse

GRAPH = """
stages:
  a:
    cmd: >-
      python src/a.py in data out.txt
      folder
    params: [seed, block.list, block.text]
    deps: [src/a.py, in, data]
    outs: [out.txt, folder, lineage/a.json]
    metrics: [{metrics/a.json: {cache: false}}, {timings/a.json: {cache: false}}]
"""
FILES = {
    "dvc.yaml": GRAPH,
    "params.yaml": "seed: 1\nblock:\n  list:\n  - url: 'no'\n    weight: 1.0e-5\n  text: 木版 # x\n",
    "src/a.py": "pass\n",
    "in": "in\r\n",
    "data/b/part": "part",
    "data/一": "1",
    "data/a-b": "",
    "data/a": "",
    "data/.snakemake_timestamp": "",
    "out.txt": "out",
    "folder/x/y": "y",
    "folder/z": "out",
    "lineage/a.json": "{}",
    "metrics/a.json": "{}\n",
    "timings/a.json": '{"wall_seconds": 1.5}\n',
    ".dvc/config": "[core]\n    no_scm = true\n    analytics = false\n",
    ".dvcignore": ".snakemake_timestamp\n__pycache__\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(text.encode())
    Path("src/a.py").chmod(0o755)
    return tmp_path


def cached() -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in Path(".dvc/cache").rglob("*") if path.is_file()}


def keep() -> None:
    from woodblock.run import params

    stage = graph.load()["a"]
    reuse.keep(stage, params.read(), reuse.inputs(stage))


@pytest.mark.parametrize("whole", [False, True])
def test_the_cache_is_as_dvc_fills_it(project: Path, whole: bool) -> None:
    from dvc.repo import Repo

    if whole:
        Path("dvc.yaml").write_text(GRAPH.replace("block.text]", "{params.yaml: }]"))
    keep()
    ours = cached()
    assert {oct(path.stat().st_mode & 0o777) for path in Path(".dvc/cache/files").rglob("*") if path.is_file()} == {
        "0o444"
    }
    with Repo() as repo:
        (stage,) = repo.stage.collect("a")
        with repo.lock:
            stage.save()
            stage.commit()
            repo.stage_cache.save(stage)
        assert set(cached()) == set(ours), "DVC finds all that it would have written, under the same names"
        for path in ("out.txt", "folder/x/y", "metrics/a.json", "lineage/a.json"):
            Path(path).unlink()
        repo.reproduce("a")  # its command makes nothing
    assert {name: Path(name).read_bytes().decode() for name in FILES if name != "dvc.yaml"} == {
        name: text for name, text in FILES.items() if name != "dvc.yaml"
    }


def test_keeping_twice_writes_nothing_new(project: Path) -> None:
    keep()
    before = {path: path.stat().st_ino for path in Path(".dvc/cache").rglob("*") if path.is_file()}
    keep()
    assert {path: path.stat().st_ino for path in Path(".dvc/cache").rglob("*") if path.is_file()} == before


def test_a_copy_of_its_own(project: Path) -> None:
    """What is edited in place later must not be edited in the cache too."""
    keep()
    before = cached()
    Path("out.txt").write_text("other")
    assert cached() == before
    assert os.access("out.txt", os.W_OK)


def test_a_project_without_dvc_has_no_cache(project: Path) -> None:
    Path(".dvc/config").unlink()
    Path(".dvc").rmdir()
    keep()
    assert not Path(".dvc").exists()
