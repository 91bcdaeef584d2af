"""One training stage in several ranks: starting them, ending them together, and interrupting them between two steps.

Ranks are the processes that torchrun starts to share one training run; each has a number, its rank. (Workers are
something else: the processes of a pool, in shards.py.) If train.devices is above 1, a training stage starts that many
ranks of itself with torchrun's own launcher. They train, and end without outputs. Then the stage continues alone from
their last checkpoint.

For several machines, start the stage's command with torchrun on each of them, in a folder that all of them share:
torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint first-machine:29500 src/pretrain.py …
Then rank 0 makes the outputs.
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
    """The number of ranks that share the work, as torchrun says; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def only_helps() -> bool:
    """Whether this process is a rank that makes no outputs: those are made by the stage that started it, or by rank 0."""
    return STARTED_BY in os.environ or rank() > 0


def launch(count: int, folder: Path) -> None:
    """Run this same command in `count` ranks and wait for them; torchrun's variables let them find each other.

    folder: where they leave their errors. Raises UserError with the first error that a rank left, or if one was killed;
    KeyboardInterrupt if this process was told to end, after the ranks have ended.
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
        max_restarts=0,  # the stage itself continues from its checkpoints
        logs_specs=DefaultLogsSpecs(),
    )
    told = {STARTED_BY: str(os.getpid()), SAYS: str(folder), "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "600"}
    handlers = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGHUP, signal.SIGQUIT)}
    before = dict(os.environ)
    logging.disable(logging.ERROR)  # the launcher prints pages about a failed rank; the stage says it in one line
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
            f"a training process was killed by signal {-code}{' (probably because memory ran out)' if code == -9 else ''}; "
            "run the same command to continue from the last checkpoint"
        )
    return RuntimeError(f"a training process ended with exit code {code}; its messages are above")


def leave_error(text: str) -> None:
    """Leave this rank's error for the stage that started it; without such a stage, print it on standard error."""
    if folder := os.environ.get(SAYS):
        Path(folder, f"error-{rank():05d}").write_text(text, encoding="utf-8")
    else:
        print(f"error: rank {rank()}: {text}", file=sys.stderr, flush=True)


def end_with_the_stage() -> None:
    """End this rank if the stage that started it is killed: it must not write while the stage's next run does.

    Linux does it at once. On other systems a thread checks whether the stage is still this rank's parent.
    """
    if not (started_by := os.environ.get(STARTED_BY)):
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))

    def watch() -> None:
        while os.getppid() == int(started_by):  # checked at first too: the stage may have been killed already
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclass
class Interruption:
    asked: bool = False  # whether somebody asked this process to end


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Within it the first SIGTERM or Ctrl-C is only noted, so that a loop can end at a place where it can continue later.

    The second raises KeyboardInterrupt at once. Outside the main thread nothing changes: Python gives it no signals.
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
