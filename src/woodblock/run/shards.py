"""Work by shards: the same function over every part of a table, on all cores, restarted where it was broken off.

A finished shard's files stand in a folder of the run's working state, so a killed run loses the shards under way and no
others. What comes out depends on the shards alone: neither on how many processes work, nor on the order in which they
finish. With WOODBLOCK_SHARDS=2/4 in the environment a stage does the second quarter of its first round of shards and
ends there: this is how Snakemake's executors spread the work over the machines of a cluster, which share one folder
(workflow/rules/shards.smk).
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError
from woodblock.base.progress import Progress

PORTION = "WOODBLOCK_SHARDS"


class PortionDone(Exception):
    """The portion of the shards that this process was asked for is finished: the stage ends without outputs."""


def work(
    function: Callable[[Any, Path], dict[str, Any]],
    tasks: Mapping[str, Any],
    folder: Path,
    workers: int,
    label: str,
) -> dict[str, dict[str, Any]]:
    """Run function(task, its own empty folder) for each task that is not finished; return each task's result, in order.

    function: a module's own function (it is sent to other processes by name) that writes files into the folder and
    returns a JSON object. tasks: by name, in the order of the results. folder: where the shards' folders stand, and
    those of an earlier run still stand. workers: processes; with one, the work is done in this process.
    Raises what the function raises; UserError where a process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked, whole = _portion(list(tasks))
    todo = [name for name in asked if not (folder / name / "done.json").exists()]
    progress = Progress(label, len(asked), "shards", done=len(asked) - len(todo))
    try:
        if workers == 1 or len(todo) <= 1:
            for name in todo:
                _one(function, tasks[name], folder / name)
                progress.advance()
        else:
            _many(function, {name: tasks[name] for name in todo}, folder, workers, progress)
    finally:
        progress.close()
    if not whole:
        raise PortionDone(f"{len(asked)} of {len(tasks)} shards")
    return {name: json.loads((folder / name / "done.json").read_text(encoding="utf-8")) for name in tasks}


def map_in_order(function: Callable[[Any], Any], tasks: Iterable[Any], workers: int) -> Iterator[Any]:
    """The results of function(task), in order, by the processes that serve `work`. Nothing is kept of a killed run."""
    if workers == 1:
        yield from map(function, tasks)
    else:
        with _ended_by_an_error(workers):
            yield from _start(workers).map(function, tasks)


def place(file: Path, target: Path) -> None:
    """Put a shard's file where an output wants it; it stays where it was too, in case the stage fails later."""
    try:
        os.link(file, target)
    except OSError:  # a file system without hard links, or another one
        shutil.copyfile(file, target)


def _portion(names: list[str]) -> tuple[list[str], bool]:
    """The names that this process is asked for, and whether these are all that there are to ask for."""
    if not (asked := os.environ.get(PORTION)):
        return names, True
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", asked)
    if not found or int(found[1]) > int(found[2]):
        raise UserError(f"{PORTION}: {asked!r} is no portion; the second of four is 2/4")
    return names[int(found[1]) - 1 :: int(found[2])], False


def _one(function: Callable[[Any, Path], dict[str, Any]], task: Any, folder: Path) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    result = function(task, partial)
    (partial / "done.json").write_text(json.dumps(result, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)  # without done.json, so of no use
    os.replace(partial, folder)


_pools: dict[int, ProcessPoolExecutor] = {}


def warm(workers: int, ready: Callable[[], object] = os.getpid) -> None:
    """Start the processes. To be called first of all, before a table is read.

    ready: loads what the first task of each would else wait for. It is called once, here, where the processes are forked
    from this one, and otherwise in each of them, while this one prepares the work.
    """
    if workers == 1 or workers in _pools:
        return
    if sys.platform == "linux" and threading.active_count() == 1:
        # They have libraries and kernels at once, and share their memory. Threads there are of libraries alone: those of
        # BLAS and of Arrow, which were given nothing to do yet, so that none of them holds a lock.
        ready()
        gc.freeze()  # what is loaded stays: to look through it for garbage takes long, above all when a process ends
        _start(workers, "fork").submit(os.getpid)  # with the first task all are forked
    else:
        for _ in range(workers):
            _start(workers, "forkserver").submit(ready)


def _start(workers: int, method: str = "forkserver") -> ProcessPoolExecutor:
    """The processes. Not forked from this one, by default: they would inherit the locks of threads that they lack."""
    if workers not in _pools:
        _pools[workers] = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context(method), initializer=_begin
        )
    return _pools[workers]


def _begin() -> None:
    """In each process, first of all: leave it to the one that started it when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it comes to all of them
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: the lock of the stage is held by both."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _many(
    function: Callable[[Any, Path], dict[str, Any]],
    tasks: Mapping[str, Any],
    folder: Path,
    workers: int,
    progress: Progress,
) -> None:
    """Do tasks in the processes of the pool, which serve all rounds of a stage: starting one takes a second."""
    pool = _start(workers)
    with _ended_by_an_error(workers):
        for finished in as_completed([pool.submit(_one, function, tasks[name], folder / name) for name in tasks]):
            finished.result()
            progress.advance()


@contextmanager
def _ended_by_an_error(workers: int) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        _end(workers)
        raise UserError(
            "a worker was killed, most likely for memory; lower download.shard_chars or processes in params.yaml. "
            "The shards that are finished are kept"
        ) from None
    except BaseException:
        _end(workers)
        raise


def _end(workers: int) -> None:
    """End the processes at once: what they have under way is lost, what is finished stays."""
    pool = _pools.pop(workers)
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)
