"""One stage in several ranks: who starts them, how they end together, and how an interruption waits for a step.

Ranks are the processes that torchrun starts to share one training run; each has a number, its rank. (Workers are
something else: the processes of a pool, in shards.py.) With train.devices above 1 a training stage starts so many ranks
of itself through torchrun's own launcher. They train, and end without outputs; the stage then goes on alone from the
checkpoint that they left. Several machines: start the stage's command on each of them with torchrun (torchrun --nnodes 2
--nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint first-machine:29500 src/pretrain.py …, in a folder that all of
them share); rank 0 then makes the outputs.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from woodblock.base.errors import UserError

STARTED_BY = "WOODBLOCK_STARTED_BY"  # the process of the stage that started this one
SAYS = "WOODBLOCK_ERRORS"  # the folder where a rank leaves a user's error for the stage to say
PR_SET_PDEATHSIG = 1  # of linux/prctl.h: the signal that a process gets when its parent ends
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class RankDone(Exception):
    """This rank has done its share of a stage's work; another process makes the outputs."""


def rank() -> int:
    """The number of this process among the ranks, as torchrun says; 0 without it."""
    return int(os.environ.get("RANK", 0))


def size() -> int:
    """How many ranks share the work, as torchrun says; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def only_helps() -> bool:
    """Whether this process is a rank that makes no outputs: the stage that started it does, or torchrun's rank 0."""
    return STARTED_BY in os.environ or rank() > 0


def launch(count: int, folder: Path) -> None:
    """Run this very command in so many ranks, and wait for them; they find each other through torchrun's variables.

    folder: where they leave their errors. Raises UserError with what the first of them said, or where one was killed;
    KeyboardInterrupt where this process is told to end, once they have ended.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("error-*"):
        left.unlink()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,  # the stage's checkpoints are the way to go on
        logs_specs=DefaultLogsSpecs(),
    )
    told = {STARTED_BY: str(os.getpid()), SAYS: str(folder), "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "600"}
    handlers = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGHUP, signal.SIGQUIT)}
    before = dict(os.environ)
    logging.disable(logging.ERROR)  # the launcher's pages about a failed rank: the stage says it in a line
    try:
        os.environ.update(told)
        elastic_launch(config, sys.executable)(*sys.argv)
    except SignalException:
        raise KeyboardInterrupt from None
    except ChildFailedError as error:
        raise _told(folder, error.get_first_failure()[1].exitcode) from None
    finally:
        logging.disable(logging.NOTSET)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _told(folder: Path, code: int) -> Exception:
    for said in sorted(folder.glob("error-*")):
        return UserError(said.read_text(encoding="utf-8"))
    if code < 0:
        return UserError(
            f"one of the ranks was killed by signal {-code}, for memory if nobody else did; "
            "the same command goes on from the last checkpoint"
        )
    return RuntimeError(f"one of the ranks ended with exit code {code}; what it said stands above")


def leave_error(text: str) -> None:
    """Give a user's error of this rank to the stage that started it; without one, standard error has it."""
    if folder := os.environ.get(SAYS):
        Path(folder, f"error-{rank():05d}").write_text(text, encoding="utf-8")
    else:
        print(f"error: rank {rank()}: {text}", file=sys.stderr, flush=True)


def end_with_the_stage() -> None:
    """End this rank when the stage that started it is killed without a word: nobody may write beside its next run.

    Linux does it at once; elsewhere a thread looks whether the stage is still this rank's parent.
    """
    if not (started_by := os.environ.get(STARTED_BY)):
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))

    def watch() -> None:
        while os.getppid() == int(started_by):  # also at first: it may have been killed before this rank got here
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass
class Interruption:
    asked: bool = False  # whether somebody asked this process to end


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Within it the first SIGTERM or Ctrl-C is only noted, for a loop to end where it can go on later.

    The second raises KeyboardInterrupt at once. Outside the main thread, where Python gives no signals, nothing changes.
    """
    noted = Interruption()

    def note(number: int, frame: object) -> None:
        noted.asked = True
        for each in SIGNALS:
            signal.signal(each, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    handlers = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
