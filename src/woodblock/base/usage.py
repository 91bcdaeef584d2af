"""How much memory a stage's processes hold: its own, its workers' and its ranks', at one time.

peak_memory_mb of timings/<stage>.json is the most memory that the stage's process and all processes below it held at one
time, a page that several of them share counted once. It does not count the engine that started the stage.

Linux counts the pages of a process that way as its PSS (proportional set size). PSS has no high-water mark in the kernel,
so a thread reads it from time to time while the stage has children. Of every process the kernel also keeps the largest
resident set; the peak is never less than the largest of these. Where there is no /proc (macOS) it is the largest resident
set of the stage's process or of one finished child.
"""

from __future__ import annotations

import re
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROC = Path("/proc")
THREAD = "peak memory"  # the name of the thread that reads
EVERY = 0.25  # seconds from one reading to the next
PART = 50  # to read large processes takes long: so many times that lies at least between two readings


class Peak:
    """The most memory so far, in MB."""

    def __init__(self) -> None:
        self.sampled = 0.0

    def read(self) -> None:
        """Look at all processes, if there is more than this one: what they hold now, and the largest of each."""
        processes = ["self", *_below("self")]
        if len(processes) > 1:
            together = sum(_kilobytes(process, "smaps_rollup", "Pss") for process in processes)
            largest = max(_kilobytes(process, "status", "VmHWM") for process in processes)
            self.sampled = max(self.sampled, together / 1e3, largest / 1e3)

    @property
    def mb(self) -> float:
        return max(self.sampled, own_peak_mb(), 0.0 if _has_proc() else _ru_maxrss(resource.RUSAGE_CHILDREN))


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch the memory of this process and of those below it until the block ends."""
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        seconds = 0.0
        while not ended.wait(max(EVERY, PART * seconds)):
            started = time.thread_time()
            peak.read()
            seconds = time.thread_time() - started

    thread = threading.Thread(target=watch, name=THREAD, daemon=True)
    if _has_proc():
        thread.start()
    try:
        yield peak
    finally:
        ended.set()
        if _has_proc():
            thread.join()
            peak.read()


def other_threads() -> int:
    """How many threads of Python run beside the main one, without the one that reads the memory.

    That one holds no lock that another thread takes, so a process may be forked beside it.
    """
    return sum(thread.name != THREAD for thread in threading.enumerate()) - 1


def own_peak_mb() -> float:
    """The largest resident set of this process, in MB.

    ru_maxrss would not do on Linux: a process starts with that of the one that forked it, here the engine's.
    """
    return _kilobytes("self", "status", "VmHWM") / 1e3 if _has_proc() else _ru_maxrss(resource.RUSAGE_SELF)


def _has_proc() -> bool:
    return (PROC / "self" / "status").exists()


def _ru_maxrss(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e3
    )  # bytes on macOS, KB elsewhere


def _below(process: str) -> list[str]:
    """The numbers of all processes below a process: its children, theirs, and so on."""
    found: list[str] = []
    try:
        for file in (PROC / process / "task").glob("*/children"):
            found += file.read_text().split()
    except OSError:
        pass  # it has just ended
    return [*found, *(below for child in found for below in _below(child))]


def _kilobytes(process: str, file: str, field: str) -> int:
    """A field of a file of /proc in KB; 0 where the process has ended, or the kernel does not say."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", (PROC / process / file).read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
