"""What a stage made is in DVC's cache when it ends, and comes back from there; and what it does without locks."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from support.one_stage import good, written

from woodblock.run import lineage, locks, stage


def fails_if_it_runs(params, source, out, curve):
    raise AssertionError("it computes")


def test_what_a_stage_made_is_in_dvcs_cache_when_it_ends(here: Path, capsys) -> None:
    (here / ".dvc").mkdir()
    stage.run_stage(good)
    before = written(here)
    shutil.rmtree(here / "data/out")
    (here / "lineage/clean.json").unlink()
    stage.run_stage(fails_if_it_runs)
    assert "its outputs were taken from DVC's cache" in capsys.readouterr().err
    assert written(here) == before
    assert os.access(here / "data/out/part", os.W_OK)


def test_a_change_that_is_taken_back_computes_nothing(here: Path) -> None:
    (here / ".dvc").mkdir()
    params_file = here / "params.yaml"
    text = params_file.read_text()
    results = []
    for changed in (text, text.replace("seed: 1", "seed: 2"), text):
        params_file.write_text(changed)
        stage.run_stage(good if len(results) < 2 else fails_if_it_runs)
        results.append((here / "data/out/part").read_text())
    assert results[0] == results[2] != results[1]


@pytest.mark.parametrize(
    ("reuses", "stale", "computes"),
    [("if stale", "clean dedup", False), ("if stale", "", True), ("if stale", "dedup", True), ("never", "clean", True)],
)
def test_a_stage_that_reads_what_no_engine_watches(here: Path, monkeypatch, reuses, stale, computes) -> None:
    (here / ".dvc").mkdir()
    stage.run_stage(good, reuses=reuses)
    monkeypatch.setenv("WOODBLOCK_STALE", stale)
    ran = []
    stage.run_stage(lambda params, source, out, curve: ran.append(1) or good(params, source, out, curve), reuses=reuses)
    assert bool(ran) == computes


def test_a_cache_that_cannot_be_written_to_is_no_failure(here: Path, capsys, monkeypatch) -> None:
    (here / ".dvc").mkdir()
    (here / ".dvc/cache").write_text("a file")
    stage.run_stage(good)
    said = capsys.readouterr().err.splitlines()
    assert "its outputs are complete, but they are not in DVC's cache" in said[0] and said[0].endswith(
        "then: make adopt"
    )
    assert lineage.read("clean")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(here: Path, capsys, monkeypatch, number: int) -> None:
    def flock(file, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    stage.run_stage(good)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        f"clean: this file system has no locks ({os.strerror(number)}); let only one engine at a time run here"
    )
    assert lineage.read("clean") and len(said) == 2
