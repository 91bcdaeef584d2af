"""The pretrain stage, killed as a whole process at any moment and started again, ends with the bytes of an unbroken run."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

import pytest
from small_run import SmallRun

from woodblock import watch


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
    assert said.splitlines()[-1] == "error: pretrain: interrupted; the same command goes on from here"
    assert not list(tmp_path.glob("**/.*.partial*")) and not (tmp_path / "models/base").exists()
    assert "goes on after step" in broken.run()
    assert broken.outputs() == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_ten_kills_cost_no_bit(tmp_path, unbroken, seed):
    """Three of them as a checkpoint is being written, the others at random moments: at the start, between checkpoints, and
    in validations, samples and what comes after the last step."""
    broken, draw, killed = SmallRun(tmp_path), Random(seed), 0
    for number in range(10):
        before = broken.saved()
        if number % 3 == 1:
            (broken.work / ".checkpoint.pt.partial").unlink(missing_ok=True)  # of the kill before
            said = broken.kill(lambda: (broken.work / ".checkpoint.pt.partial").exists())
        elif number % 3 == 2:
            said = broken.kill(lambda before=before: broken.saved() not in (0, before), after=draw.uniform(0, 0.1))
        else:
            said = broken.kill(lambda: False, after=draw.uniform(1.5, 4.0))
        killed += said is not None
        if said is None:  # it had finished: once more from the beginning
            assert broken.outputs() == unbroken
    broken.run()
    assert killed >= 7
    assert broken.outputs() == unbroken


def test_what_was_killed_under_other_params_is_named(tmp_path):
    broken = SmallRun(tmp_path)
    assert broken.kill(lambda: broken.saved() > 0) is not None
    broken.set(pretrain__clip=0.5)
    said = broken.run()
    assert "is of other params (pretrain.clip: 1.0, here 0.5); this run begins anew" in said
    assert "goes on after" not in said


def test_bad_input_is_refused_before_training(tmp_path):
    wrong = SmallRun(tmp_path)
    index = tmp_path / "data/packed/index.json"
    whole = index.read_text()
    start = whole.index('"tokenizer_sha256": "') + len('"tokenizer_sha256": "')
    index.write_text(whole[:start] + "0" * 64 + whole[start + 64 :])
    said = wrong.run(code=1)
    assert said.count("\n") == 1 and "data/packed was made with another tokenizer (sha256 000000000000…" in said
    index.write_text(whole)
    wrong.set(train__devices=3)
    said = wrong.run(code=1)
    assert said.count("\n") == 1
    assert "makes 8 windows of model.context: 32, which 3 processes (train.devices) cannot share evenly" in said
    assert "192 or 288 would do" in said


def test_outputs_depend_on_no_hash_seed(tmp_path, unbroken):
    other = SmallRun(Path(tmp_path))
    other.run(PYTHONHASHSEED="7")
    assert other.outputs() == unbroken
