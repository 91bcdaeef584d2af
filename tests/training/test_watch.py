"""The live log is read as far as it is whole, followed as it grows, and cut where a run goes on."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from woodblock.base.errors import UserError
from woodblock.training import watch

ROW = dict.fromkeys(watch.COLUMNS, 1.5)


def log(path, steps):
    written = watch.Log(path, 0)
    for step in steps:
        written.add(**{**ROW, "step": step, "loss": 1 / step})
    written.close()


def test_rows_come_back_and_are_cut_at_a_step(tmp_path):
    path = tmp_path / "watch" / "pretrain.csv"
    assert watch.read(path) == []
    log(path, [10, 20, 30])
    assert [row["step"] for row in watch.read(path)] == ["10", "20", "30"]
    assert float(watch.read(path)[2]["loss"]) == pytest.approx(1 / 30)
    resumed = watch.Log(path, 20)
    resumed.add(**{**ROW, "step": 25})
    resumed.close()
    assert [row["step"] for row in watch.read(path)] == ["10", "20", "25"]
    log(path, [10])  # a run from the beginning
    assert [row["step"] for row in watch.read(path)] == ["10"]


@pytest.mark.parametrize("left", ["40,1", "40," + "1.5," * 7 + "1", "40," + "1.5," * 7 + "nan", "," * 8, "x" * 9])
def test_what_a_kill_leaves_is_passed_over(tmp_path, left):
    path = tmp_path / "pretrain.csv"
    log(path, [10, 20])
    with path.open("a") as file:
        file.write(left)
    steps = [row["step"] for row in watch.read(path)]
    assert steps == ["10", "20"] + ["40"] * (left.count(",") == 8 and left.endswith(",1"))


@pytest.mark.parametrize("left", [b"", b"\x00" * 400, b"\xff\xfe\x80\n", b'step,"tok'])
def test_a_log_that_a_power_cut_left_starts_anew(tmp_path, left):
    path = tmp_path / "pretrain.csv"
    path.write_bytes(left)
    log(path, [10, 20])
    assert [row["step"] for row in watch.read(path)] == ["10", "20"]


def test_a_file_of_other_columns_has_no_rows(tmp_path):
    path = tmp_path / "pretrain.csv"
    path.write_text("step,loss\n1,2\n")
    assert watch.read(path) == []


def test_the_command_prints_the_last_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"pretrain.csv has no rows yet"):
        watch.main([])
    log(tmp_path / "sft.csv", [10, 20, 30])
    watch.main(["sft", "--rows", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ",".join(watch.COLUMNS) and [line.split(",")[0] for line in lines[1:]] == ["20", "30"]


def test_rows_are_followed_as_they_come_and_after_a_resumption(tmp_path):
    path = tmp_path / "pretrain.csv"
    log(path, [10, 20])
    rows = watch.follow(path, seconds=0)
    assert [next(rows)["step"] for _ in range(2)] == ["10", "20"]
    resumed = watch.Log(path, 10)
    resumed.add(**{**ROW, "step": 15})
    resumed.close()
    assert [next(rows)["step"] for _ in range(2)] == ["10", "15"]


def test_tensorboard_gets_every_column(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "FOLDER", tmp_path)
    log(tmp_path / "pretrain.csv", [10, 20])
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="tensorboard is not installed; pip install tensorboard"):
        watch.main(["--tensorboard", str(tmp_path / "events")])
    written = []
    stand_in = ModuleType("tensorboard")
    stand_in.SummaryWriter = lambda folder: SimpleNamespace(
        add_scalar=lambda name, value, step: written.append((name, value, step)), flush=lambda: 0, close=lambda: 0
    )
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    watch.main(["--tensorboard", str(tmp_path / "events")])
    assert {name for name, _, _ in written} == set(watch.COLUMNS[1:])
    assert [(value, step) for name, value, step in written if name == "loss"] == [(0.1, 10), (0.05, 20)]
