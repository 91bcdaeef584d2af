"""The memory of a stage is that of its process, its workers and their children, and not that of the engine."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.projects import ROOT

from woodblock.base import usage
from woodblock.run import shards

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what several processes hold together")
MB = 1_000_000
LAUNCHER = """
import subprocess, sys
held = b"x" * 200_000_000
subprocess.run([sys.executable, "-c", "import resource; from woodblock.base import usage;"
    "print(usage.own_peak_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)"])
"""


def hold(task: int, folder: Path) -> dict[str, int]:
    """A worker's task: hold 200 MB until both workers have been seen to do so."""
    held = b"x" * (200 * MB)
    while not (folder.parent / "seen").exists():
        time.sleep(0.02)
    return {"length": len(held)}


def seen(peak: usage.Peak, mb: float, then: Callable[[], object]) -> None:
    """Wait until so much memory was seen, but no longer than half a minute."""
    stop = time.monotonic() + 30
    while peak.sampled < mb and time.monotonic() < stop:
        time.sleep(0.02)
    then()


@LINUX
def test_workers_that_hold_200_mb_each_are_counted(tmp_path: Path) -> None:
    with usage.peak_memory() as peak:
        before = usage.own_peak_mb()
        threading.Thread(target=seen, args=(peak, 400, (tmp_path / "seen").touch)).start()
        shards.work(hold, {"a": 0, "b": 1}, tmp_path, 2, "test")
        shards._end(2)
    assert 400 < peak.mb < before + 600  # the interpreters of two workers take some MB
    assert usage.own_peak_mb() < before + 100


@LINUX
def test_a_child_of_a_child_is_counted() -> None:
    inner = "import sys; held = b'x' * 200_000_000; sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with usage.peak_memory() as peak:
        child = subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE)
        assert child.stdin
        seen(peak, 200, child.stdin.close)
        child.wait()
    assert 200 < peak.mb < usage.own_peak_mb() + 300


def test_the_process_that_started_the_stage_is_not_counted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    own, _ = map(float, done.stdout.split())
    assert 1 < own < 150


def test_memory_that_was_given_back_still_counts() -> None:
    with usage.peak_memory() as peak:
        held = b"x" * (150 * MB)
        del held
    assert peak.mb > 150


def test_without_proc_the_system_s_own_figures_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(usage, "PROC", tmp_path)
    with usage.peak_memory() as peak:
        pass
    assert peak.mb >= usage.own_peak_mb() > 10


def test_the_thread_that_reads_does_not_keep_workers_from_being_forked() -> None:
    with usage.peak_memory():
        assert usage.other_threads() == 0
