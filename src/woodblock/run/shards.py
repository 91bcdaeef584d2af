"""Work by shards: one function over every part of a table, on all cores; a killed run continues where it stopped.

The files of a finished shard are in a folder of the run's working state, so a killed run loses only the shards that were
not finished. The result depends only on the shards, not on the number of processes or the order in which they finish.

With WOODBLOCK_SHARDS=2/4 in the environment, a stage does the second of four portions of its first round of shards, and
ends. In this way Snakemake's executors divide the work among the machines of a cluster, which share one folder
(workflow/rules/shards.smk).
"""

from __future__ import annotations

import errno
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

from woodblock.base import usage
from woodblock.base.errors import UserError
from woodblock.base.files import partial_of, read_json, remove, replace
from woodblock.base.progress import Progress, say

PORTION = "WOODBLOCK_SHARDS"
DONE = "done.json"  # of a finished shard: its result, and the sizes of its files


class PortionDone(Exception):
    """This process has finished its portion of the shards: the stage ends without outputs."""


def work(
    function: Callable[[Any, Path], dict[str, Any]],
    tasks: Mapping[str, Any],
    folder: Path,
    workers: int,
    label: str,
) -> dict[str, dict[str, Any]]:
    """Run function(task, its own empty folder) for each task that is not finished; return each task's result, in order.

    function: a module's own function (it is sent to other processes by name) that writes files into the folder and
    returns a JSON object. tasks: by name, in the order of the results. folder: has one folder for each finished shard,
    also from an earlier run. workers: the number of processes; with one, this process does the work.
    Raises what the function raises; UserError where a process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked, whole = _portion(list(tasks))
    for left in folder.glob(".*.partial*") if whole else ():  # no portion runs beside the whole: killed ones left them
        remove(left)
    todo = _unfinished(folder, asked, label)
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
    return {name: json.loads((folder / name / DONE).read_text(encoding="utf-8"))["result"] for name in tasks}


def map_in_order(function: Callable[[Any], Any], tasks: Iterable[Any], workers: int) -> Iterator[Any]:
    """The results of function(task), in order, from the same workers as those of `work`. A killed run keeps nothing."""
    if workers == 1:
        yield from map(function, tasks)
    else:
        with _ended_by_an_error(workers):
            yield from _start(workers).map(function, tasks)


def place(file: Path, target: Path) -> None:
    """Put a shard's file in its place in an output; it also stays where it was, in case the stage fails later."""
    try:
        os.link(file, target)
    except OSError:  # a file system without hard links, or another one
        shutil.copyfile(file, target)


def _portion(names: list[str]) -> tuple[list[str], bool]:
    """The names of the shards that this process is to do, and whether these are all shards."""
    if not (asked := os.environ.get(PORTION)):
        return names, True
    found = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", asked)
    if not found or int(found[1]) > int(found[2]):
        raise UserError(f"{PORTION}: {asked!r} is not valid; write it as 2/4 for the second of four portions")
    return names[int(found[1]) - 1 :: int(found[2])], False


def _unfinished(folder: Path, names: list[str], label: str) -> list[str]:
    """The names of the shards that are still to be done; a line says if the files of a finished one are damaged."""
    todo = [name for name in names if not _is_whole(folder / name)]
    if damaged := [name for name in todo if (folder / name / DONE).exists()]:
        say(
            f"{label}: {folder / damaged[0]} is damaged"
            + (f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else "")
            + "; done again"
        )
    return todo


def _is_whole(folder: Path) -> bool:
    """Whether a shard is finished, and all its files are there in full size: a power cut can take their ends."""
    record = read_json(folder / DONE)
    return isinstance(record, dict) and "result" in record and record.get("sizes") == _sizes(folder)


def _sizes(folder: Path) -> dict[str, int]:
    files = (file for file in folder.rglob("*") if file.is_file() and file != folder / DONE)
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def _one(function: Callable[[Any, Path], dict[str, Any]], task: Any, folder: Path) -> None:
    partial = partial_of(folder)
    partial.mkdir(parents=True)
    try:
        result = function(task, partial)
        record = {"result": result, "sizes": _sizes(partial)}
        (partial / DONE).write_text(json.dumps(record, ensure_ascii=False, sort_keys=True), encoding="utf-8")
        _put(partial, folder)
    finally:
        remove(partial)


def _put(partial: Path, folder: Path) -> None:
    """Rename a finished shard into place. Another process may be faster: portions of two divisions share shards."""
    while not _is_whole(folder):
        remove(folder)
        try:
            replace(partial, folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


_pools: dict[int, ProcessPoolExecutor] = {}


def warm(workers: int, ready: Callable[[], object] = os.getpid) -> None:
    """Start the workers. Call it first, before any table is read.

    ready: loads the libraries and kernels that the tasks need. Where the workers are forked from this process, it is
    called once, before the fork. Otherwise each worker calls it, while this process prepares the work.
    """
    if workers == 1 or workers in _pools:
        return
    if sys.platform == "linux" and usage.other_threads() == 0:
        # Forked workers have all that is loaded at once, and share its memory. A fork is safe here: the only other threads
        # are those of BLAS and Arrow. They were given no work yet, so none of them holds a lock.
        ready()
        gc.freeze()  # what is loaded stays: searching it for garbage takes long, above all when a process ends
        _start(workers, "fork").submit(os.getpid)  # the first task forks all of them
    else:
        for _ in range(workers):
            _start(workers, "forkserver").submit(ready)


def _start(workers: int, method: str = "forkserver") -> ProcessPoolExecutor:
    """The pool of workers. By default they are not forked from this process: a fork copies the locks that threads hold,
    but not the threads that would release them."""
    if workers not in _pools:
        _pools[workers] = ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context(method), initializer=_begin
        )
    return _pools[workers]


def _begin() -> None:
    """The first call in each worker: from now on it ends when the process that started it says so, or is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal goes to all processes
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: both hold the lock of the stage."""
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
    """Do tasks in the workers of the pool. They serve all rounds of a stage, since starting one takes a second."""
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
            "a worker process was killed, probably because memory ran out; lower download.shard_chars or processes in "
            "params.yaml. Finished shards are kept"
        ) from None
    except BaseException:
        _end(workers)
        raise


def _end(workers: int) -> None:
    """End the workers at once: unfinished shards are lost, finished ones stay."""
    pool = _pools.pop(workers)
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)
