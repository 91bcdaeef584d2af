"""Metrics are rounded; progress is a bar on a terminal, and lines in a log."""

from __future__ import annotations

import io
import os
import sys
import termios
from typing import Any

import pytest
import tqdm

from woodblock.base import progress, rounding


@pytest.mark.parametrize(
    ("value", "kept"),
    [(0.12345678, 0.123457), ({2: (1.0, "x")}, {"2": [1.0, "x"]}), (True, True), (10**12, 10**12), (None, None)],
)
def test_metrics_are_rounded(value: Any, kept: Any) -> None:
    assert rounding.rounded(value) == kept


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_a_metric_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="a metric is"):
        rounding.rounded(value)


def test_progress_is_a_bar_on_a_terminal(monkeypatch) -> None:
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)  # no thread that outlives the test
    reader, writer = os.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert list(progress.track(range(3), "clean", "records")) == [0, 1, 2]
        progress.say("a line")
    shown = ""
    while "a line" not in shown:  # a loaded machine gives what was written in parts
        shown += os.read(reader, 10_000).decode()
    os.close(reader)
    assert "clean:   0%|" in shown and "records" in shown and "a line" in shown


def test_progress_is_a_line_every_so_often_in_a_log(monkeypatch) -> None:
    log, clock = io.StringIO(), iter(range(0, 1000, 4))
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    work = progress.Progress("sft", 100, "steps", done=10)
    for _ in range(20):
        work.advance(note="loss 1.0")
    work.close()
    lines = log.getvalue().splitlines()
    assert 2 <= len(lines) < 20
    assert lines[0].startswith("sft: 1") and " of 100 steps, " in lines[0] and lines[0].endswith("loss 1.0")


def test_progress_of_unknown_length(monkeypatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    assert list(progress.track(iter("ab"), "download", "records")) == ["a", "b"]
    assert log.getvalue().splitlines()[0].startswith("download: 1 records, ")
