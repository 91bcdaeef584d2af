"""The stage contract: outputs appear whole or not at all, errors are one line, nothing is lost."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.one_stage import GRAPH, Function, environment, fill, good, script, written
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import lineage, locks, params, ranks, shards, stage


def fails(function: Function, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a stage that has to fail as a user's error; returns the one line that it said."""
    with pytest.raises(SystemExit) as caught:
        stage.run_stage(function)
    assert caught.value.code not in (0, None)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_outputs_metrics_timings_and_lineage(here: Path, capsys) -> None:
    stage.run_stage(good, scores={"number": "a.n", "no such": "a.m"})
    assert (here / "data/out/part").read_text() == f"input{params.read()['seed']}"
    assert (here / "metrics/clean.json").read_text() == '{\n "a": {\n  "n": 3\n },\n "b": 0.333333\n}\n'
    assert json.loads((here / "scores/clean.json").read_text()) == {"number": 3}
    assert set(json.loads((here / "timings/clean.json").read_text())) == {"wall_seconds", "peak_memory_mb"}
    record = json.loads((here / "lineage/clean.json").read_text())
    assert set(record["deps"]) == {"input.txt", "src/clean.py", "requirements.txt"}
    values = params.read()
    assert record["params"] == {"seed": values["seed"], "clean.min_chars": values["clean"]["min_chars"]}
    assert set(record["outs"]) == {"data/out", "curve.csv", "metrics/clean.json", "scores/clean.json"}
    assert capsys.readouterr().err.startswith("clean: made data/out, curve.csv in 0.")
    assert not [name for name in written(here) if "partial" in name]
    before = written(here)
    stage.run_stage(good, scores={"number": "a.n"})
    assert written(here) == before


def test_work_outlives_a_failure_and_not_a_success(here: Path) -> None:
    def halfway(params, source, out, curve, run):
        run.work.mkdir(parents=True)
        (run.work / "checkpoint").write_text("half")
        raise ZeroDivisionError

    def rest(params, source, out, curve, run):
        assert (run.work / "checkpoint").read_text() == "half"
        run.rates["tokens_per_second"] = 12.345
        return good(params, source, out, curve)

    with pytest.raises(ZeroDivisionError):
        stage.run_stage(halfway)
    stage.run_stage(rest)
    assert json.loads((here / "timings/clean.json").read_text())["tokens_per_second"] == 12.35
    assert not list((here / ".woodblock/work").iterdir())


def test_other_params_have_other_work(here: Path) -> None:
    seen = []

    def look(params, source, out, curve, run):
        seen.append(run.key)
        return good(params, source, out, curve)

    stage.run_stage(look)
    text = (here / "params.yaml").read_text()
    (here / "params.yaml").write_text(text.replace("min_chars: ", "min_chars: 1"))
    stage.run_stage(look)
    (here / "input.txt").write_text("other")
    stage.run_stage(look)
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda out, curve: 1 / 0, ZeroDivisionError),
        (lambda out, curve: {"loss": float("nan")}, ValueError),
        (lambda out, curve: curve.unlink(), RuntimeError),
    ],
)
def test_a_failure_leaves_what_was_there(here: Path, fault: Function, error: type[Exception]) -> None:
    stage.run_stage(good)
    before = written(here)

    def bad(params, source, out, curve):
        out.mkdir()
        (out / "part").write_text("new")
        curve.write_text("new")
        return fault(out, curve)

    with pytest.raises(error):
        stage.run_stage(bad)
    assert written(here) == before


def test_a_first_failure_leaves_nothing(here: Path) -> None:
    def bad(params, source, out, curve):
        out.mkdir()
        raise ZeroDivisionError

    before = written(here)
    with pytest.raises(ZeroDivisionError):
        stage.run_stage(bad)
    assert written(here) == before
    assert not (here / "data/out").exists()


def test_lineage_does_not_vouch_for_a_mixture(here: Path, monkeypatch) -> None:
    stage.run_stage(good)

    def half(partial: Path, target: Path) -> None:
        if target.name == "curve.csv":
            raise KeyboardInterrupt
        shutil.rmtree(target)
        os.replace(partial, target)

    monkeypatch.setattr(stage, "_replace", half)
    with pytest.raises(SystemExit) as caught:
        stage.run_stage(good)
    assert caught.value.code == 130
    assert lineage.read("clean") is None


def test_undeclared_params_cannot_be_read(here: Path) -> None:
    with pytest.raises(AttributeError, match=r"model.dim|model"):
        stage.run_stage(lambda params, source, out, curve: params.model.dim)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("params.yaml", "min_chars:", "min_char:", "clean.min_char"),
        ("params.yaml", "  heads: ", "  heads: 997", "model.heads: 997"),
        ("params.yaml", "  vocab_size: ", "  vocab_size: 100  # ", "tokenizer.vocab_size: 100"),
        ("params.yaml", "clean:", "clean: [", "not valid YAML"),
        ("dvc.yaml", "  clean:", "  other:", "dvc.yaml has no stage clean; it has other"),
        ("dvc.yaml", "clean.min_chars", "clean.gone", "clean.gone, which is not in params.yaml"),
        ("dvc.yaml", "[input.txt, ", "[", "input.txt is not listed as dep or output of clean"),
    ],
)
def test_bad_input_is_one_line_before_any_work(here: Path, capsys, file: str, old: str, new: str, says: str) -> None:
    text = (here / file).read_text()
    assert old in text
    (here / file).write_text(text.replace(old, new, 1))
    before = written(here)
    line = fails(lambda *_: pytest.fail("it started"), capsys)
    assert line.startswith("error: clean: ") and says in line
    assert written(here) == before


@pytest.mark.parametrize("name", ["input.txt", "requirements.txt"])
def test_a_missing_dep_is_one_line(here: Path, capsys, name: str) -> None:
    (here / name).unlink()
    assert f"{name} is missing; git checkout {name}" in fails(good, capsys)


def test_a_stage_that_is_running_cannot_be_started(here: Path, capsys) -> None:
    (here / ".woodblock/locks").mkdir(parents=True)
    with (here / ".woodblock/locks/clean").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4321")
        file.flush()
        assert "process 4321 is already running this stage; wait until it ends, or stop it" in fails(good, capsys)
    stage.run_stage(good)


def test_other_versions_than_the_pins_are_said(here: Path, capsys) -> None:
    (here / "requirements.txt").write_text("# pins\nnumpy==0.1 ; python_version > '3'\nno-such-package==1\n")
    text = (here / "dvc.yaml").read_text()
    (here / "requirements").mkdir()
    (here / "requirements.txt").rename(here / "requirements/data.txt")
    (here / "dvc.yaml").write_text(text.replace("requirements.txt", "requirements/data.txt"))
    stage.run_stage(good)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "requirements/data.txt pins 0.1; run `make` to install it" in lines[0]


@pytest.mark.parametrize("wrap", [False, True])
def test_a_full_disk_is_one_line(here: Path, capsys, wrap: bool) -> None:
    stage.run_stage(good)
    before = written(here)
    capsys.readouterr()

    def full(params, source, out, curve):
        out.mkdir()
        (out / "part").write_text("half of it")
        error = OSError(errno.ENOSPC, "No space left on device", str(out))
        if wrap:
            raise RuntimeError("a library's own words") from error
        raise error

    assert "the disk is full; free some space and run again" in fails(full, capsys)
    assert written(here) == before


def test_a_disk_that_fills_up_for_real(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: that needs root on Linux")
    try:
        folder = disk / "project"
        fill(folder)
        rows = "({'id': str(i), 'group': os.urandom(500).hex(), 'source': 's', 'title': 't', 'text': 'x'}"
        command = script(
            folder,
            f"parquet.write(out, {rows} for i in range(20000)), parquet.CORPUS)\ncurve.write_text('x')\nreturn {{}}",
        )
        before = written(folder)
        done = subprocess.run(
            command, cwd=folder, env=environment(PYTHONDONTWRITEBYTECODE="1"), capture_output=True, text=True
        )
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "error: clean: the disk is full" in done.stderr
        assert written(folder) == before
        script(folder, "out.mkdir()\n(out / 'part').write_text('small')\ncurve.write_text('x')\nreturn {}")
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
        assert (folder / "data/out/part").read_text() == "small"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_stage_runs_again(tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "project"
    fill(folder)
    body = """
out.mkdir()
(out / "part").write_text("half")
run.work.mkdir(parents=True, exist_ok=True)
resumed = (run.work / "checkpoint").exists()
(run.work / "checkpoint").touch()
while not resumed:
    time.sleep(0.01)
(out / "part").write_text("whole")
curve.write_text("whole")
return {}
"""
    command = script(folder, body)
    before = written(folder)
    process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)
    while not list((folder / ".woodblock" / "work").glob("*/checkpoint")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(how)
    said = process.communicate()[1]
    if how != signal.SIGKILL:
        assert (process.returncode, len(said.splitlines())) == (130, 1)
        assert "error: clean: interrupted; run the same command to continue" in said
        assert written(folder) == before, "nothing half-written is left"
    assert not (folder / "data/out").exists()
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
    assert {p.read_text() for p in (folder / "data/out/part", folder / "curve.csv")} == {"whole"}
    assert not [name for name in written(folder) if "partial" in name]


def test_a_portion_ends_without_outputs_and_beside_others(tmp_path: Path) -> None:
    """A stage that is asked for a part of its shards makes no output, and no other part's lock stops it."""
    fill(tmp_path)
    command = script(tmp_path, 'from woodblock.run import shards\nraise shards.PortionDone("2 of 8 shards")\n')
    (tmp_path / ".woodblock/locks").mkdir(parents=True)
    before = set(written(tmp_path))
    with (tmp_path / ".woodblock/locks/clean-1-of-4").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        portion = environment() | {"WOODBLOCK_SHARDS": "2/4"}
        done = subprocess.run(command, cwd=tmp_path, env=portion, capture_output=True, text=True, check=True)
    assert done.stderr == "clean: 2 of 8 shards are done\n"
    assert set(written(tmp_path)) == before


@pytest.mark.parametrize(
    ("running", "started", "says"),
    [
        (None, "2/4", "is already running this stage; wait until it ends, or stop it"),
        ("1/4", None, "(portion 1/4) is already running this stage; wait"),
        ("2/4", "2/4", "(portion 2/4) is already running this stage; wait"),
        ("1/2", "2/4", None),
    ],
)
def test_portions_and_the_whole_stage_do_not_run_at_once(
    here: Path, monkeypatch, capsys, running, started, says
) -> None:
    """They work in one folder. The second to start is told of the first, and what the first does is not touched."""
    monkeypatch.setenv("WOODBLOCK_SHARDS", started) if started else monkeypatch.delenv(
        "WOODBLOCK_SHARDS", raising=False
    )
    (here / "data").mkdir()
    partial = here / "data/.out.partial-node1-4711-0a"
    partial.write_text("what the first is writing")

    def portion(*_: Any) -> dict[str, Any]:
        raise shards.PortionDone("2 of 8 shards")

    with locks.held("clean", running):
        if says:
            line = fails(lambda *_: pytest.fail("it started"), capsys)
            assert f"error: clean: process {os.getpid()} on " in line and says in line
        else:
            stage.run_stage(portion)
        assert partial.exists()
    if not started:
        stage.run_stage(good)
        assert not partial.exists(), "a killed process left it"


def test_a_stage_that_knows_no_shards_makes_nothing_as_a_portion(here: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WOODBLOCK_SHARDS", "1/2")
    before = written(here)
    assert "WOODBLOCK_SHARDS is set, but clean does not work in shards; unset it" in fails(good, capsys)
    assert written(here) == before


def test_threads_are_those_of_the_params(tmp_path: Path) -> None:
    fill(tmp_path)
    check = "import woodblock, os; print([os.environ[v] for v in woodblock.THREAD_VARIABLES])"
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env=environment(OMP_NUM_THREADS="7"),
        capture_output=True,
        text=True,
    )
    assert set(json.loads(done.stdout.replace("'", '"'))) == {str(params.read(ROOT / "params.yaml")["threads"])}


def does_its_share(params, source, out, curve, run):
    assert source.read_text() == "input" and not out.exists()
    raise ranks.RankDone


def test_a_rank_that_only_helps_makes_no_outputs(here: Path, monkeypatch) -> None:
    stage.run_stage(good)
    before = written(here)
    with (here / ".woodblock/locks/clean").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the stage itself is running
        monkeypatch.setenv("RANK", "1")
        (here / "data/out/part").unlink()
        (here / "data/out").rmdir()
        stage.run_stage(does_its_share, in_ranks=True)
    assert written(here) == {name: text for name, text in before.items() if name != "data/out/part"}


def test_a_stage_that_runs_in_one_process_says_so(here: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RANK", "1")
    assert fails(good, capsys) == "error: rank 1: clean runs in one process; start it without torchrun"
    assert not (here / "data/out").exists()


def test_the_stage_says_what_its_ranks_could_not(here: Path, monkeypatch) -> None:
    def bad(params, source, out, curve, run):
        raise UserError("the loss has diverged")

    said = here / "said"
    said.mkdir()
    monkeypatch.setenv(ranks.STARTED_BY, "1")
    monkeypatch.setenv(ranks.SAYS, str(said))
    with pytest.raises(SystemExit) as caught:
        stage.run_stage(bad, in_ranks=True)
    assert caught.value.code == 1
    assert [path.read_text() for path in said.iterdir()] == ["the loss has diverged"]
    assert str(ranks._told(said, 1)) == "the loss has diverged"
    assert isinstance(ranks._told(here / "data", -9), UserError) and "signal 9" in str(ranks._told(here / "data", -9))
    assert isinstance(ranks._told(here / "data", 1), RuntimeError)


def test_how_training_is_spread_is_not_part_of_its_working_state(here: Path) -> None:
    seen = []

    def look(params, source, out, curve, run):
        seen.append((run.key, run.identity))
        return good(params, source, out, curve)

    graph = GRAPH.replace("params: [seed,", "params: [train.devices, seed,")
    (here / "dvc.yaml").write_text(graph)
    text = (here / "params.yaml").read_text()
    for devices in ("1", "2"):
        (here / "params.yaml").write_text(text.replace("  devices: 1", f"  devices: {devices}"))
        stage.run_stage(look)
        assert lineage.read("clean")["params"]["train.devices"] == int(devices)
    assert seen[0] == seen[1]
    assert set(seen[0][1]) == {"stage", "cmd", "params", "deps"} and "train.devices" not in seen[0][1]["params"]


def test_numbers_for_auto_are_part_of_the_working_state(here: Path) -> None:
    """A checkpoint of another batch is of another run, though params.yaml says auto both times."""
    seen = []

    def look(params, source, out, curve, run):
        seen.append((run.key, run.identity["params"]["pretrain.batch_tokens"], params.pretrain.batch_tokens))
        return good(params, source, out, curve)

    (here / "dvc.yaml").write_text(
        GRAPH.replace("params: [seed,", "params: [train.devices, pretrain.batch_tokens, seed,")
    )
    text = re.sub(r"(?m)^  batch_tokens: \d+", "  batch_tokens: auto", (here / "params.yaml").read_text(), count=1)
    for devices in (1, 64):
        (here / "params.yaml").write_text(text.replace("  devices: 1", f"  devices: {devices}"))
        stage.run_stage(look)
        assert lineage.read("clean")["params"]["pretrain.batch_tokens"] == "auto"
        assert lineage.read("clean")["resolved"] == {"pretrain.batch_tokens": seen[-1][1]}
    (key, first, taken), (other_key, second, _) = seen
    assert key != other_key and first == taken < second == 64 * params.load().model.context
