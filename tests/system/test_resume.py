"""The pretrain stage, killed as a whole process at any moment and started again, ends with the bytes of an unbroken run."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

import pytest
from support.small_run import SmallRun

from woodblock.training import watch


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    straight = SmallRun(tmp_path_factory.mktemp("unbroken"))
    straight.run()
    assert not list((straight.folder / ".woodblock/work").iterdir())
    assert [row["step"] for row in watch.read(straight.folder / ".woodblock/watch/pretrain.csv")] == [
        "10",
        "20",
        "30",
        "40",
    ]
    assert straight.outputs()["curves/pretrain.csv"].decode().count("\n") == 5
    assert "| 40 |" in straight.outputs()["results/pretrain/samples.md"].decode()
    return straight.outputs()


def test_a_kill_and_a_signal_cost_no_bit(tmp_path, unbroken):
    broken = SmallRun(tmp_path)
    said = broken.kill(lambda: broken.saved() > 0)
    assert said is not None, "it had finished before it was killed"
    first = broken.saved()
    said = broken.kill(lambda: broken.saved() not in (0, first), how=signal.SIGTERM)
    assert said is not None and "goes on after step" in said
    assert said.splitlines()[-1] == "error: pretrain: interrupted; run the same command to continue"
    assert not list(tmp_path.glob("**/.*.partial*")) and not (tmp_path / "models/base").exists()
    assert "goes on after step" in broken.run()
    assert broken.outputs() == unbroken


STEPS = (
    1000  # of eight rows: ten kills, each after up to half a second of steps, come before the end on a fast machine too
)


@pytest.mark.slow
def test_ten_kills_cost_no_bit(tmp_path):
    """At random moments: as Python starts, in the loop with its validations and samples, as a checkpoint is being written,
    after one was, and after the last step."""
    draw, length = Random(5), {"pretrain__tokens": STEPS * 256}
    straight = SmallRun(tmp_path / "straight", **length)
    straight.run()
    broken = SmallRun(tmp_path / "broken", **length)
    log = broken.folder / ".woodblock/watch/pretrain.csv"
    for kind in ("start", "loop", "writing", "written", "start", "loop", "writing", "written", "loop"):
        partial, saved, logged = broken.work / ".checkpoint.pt.partial", broken.saved(), inode(log)
        partial.unlink(missing_ok=True)  # of the kill before
        moments = {
            "start": (lambda: True, (0.0, 2.0)),
            "loop": (lambda logged=logged: inode(log) not in (0, logged), (0.0, 0.4)),
            "writing": (lambda: (broken.work / ".checkpoint.pt.partial").exists(), (0.0, 0.002)),
            "written": (lambda saved=saved: broken.saved() not in (0, saved), (0.0, 0.1)),
        }
        moment, span = moments[kind]
        assert broken.kill(moment, after=draw.uniform(*span)) is not None, f"it had finished before a kill at {kind}"
    last = broken.kill(
        lambda: [row["step"] for row in watch.read(log)][-1:] == [str(STEPS)], after=draw.uniform(0.0, 0.04)
    )
    # A fast machine has scored the model and put its outputs in place within 0.05 s of the last step, a slow one has not:
    # both are moments of a kill.
    assert last is not None, "it had ended before a kill after the last step"
    broken.run()
    assert broken.outputs() == straight.outputs()


def inode(path: Path) -> int:
    """A number that changes when the file is replaced; 0 where there is none."""
    return path.stat().st_ino if path.exists() else 0


@pytest.mark.slow
def test_what_was_killed_under_other_params_is_named(tmp_path):
    broken = SmallRun(tmp_path)
    assert broken.kill(lambda: broken.saved() > 0) is not None
    broken.set(pretrain__clip=0.5)
    said = broken.run()
    assert (
        "is of a run with different params (pretrain.clip: 1.0, here 0.5); this run starts from the beginning" in said
    )
    assert "goes on after" not in said


def test_bad_input_is_refused_before_training(tmp_path):
    wrong = SmallRun(tmp_path)
    index = tmp_path / "data/packed/index.json"
    whole = index.read_text()
    start = whole.index('"tokenizer_sha256": "') + len('"tokenizer_sha256": "')
    index.write_text(whole[:start] + "0" * 64 + whole[start + 64 :])
    said = wrong.run(code=1)
    assert (
        said.count("\n") == 1
        and "data/packed was made with another tokenizer of the same size (sha256 000000000000…" in said
    )
    index.write_text(whole)
    wrong.set(train__devices=3)
    said = wrong.run(code=1)
    assert said.count("\n") == 1
    assert "makes 8 windows of model.context: 32, which 3 ranks (train.devices) cannot share evenly" in said
    assert "use 192 or 288" in said


@pytest.mark.slow
def test_outputs_depend_on_no_hash_seed(tmp_path, unbroken):
    other = SmallRun(Path(tmp_path))
    other.run(PYTHONHASHSEED="7")
    assert other.outputs() == unbroken
