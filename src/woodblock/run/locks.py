"""Locks: a stage is done by one process at a time, or by several that do different portions of it.

The whole stage holds its lock alone. Portions share it (so none of them runs beside the whole stage, with which they would
work in one folder), and each holds a second one for itself. The system releases a lock when its process ends, however
that happens.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.base.progress import say

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
FOLDER = Path(".woodblock/locks")


class Held(UserError):
    """Another process holds a lock that cannot be shared with it."""


@contextmanager
def held(stage: str, portion: str | None = None) -> Iterator[bool]:
    """Hold the lock of a stage, or of a portion of it ("2/4"), within the block; gives whether there are locks here.

    Raises Held, naming the process, where another one does this stage or this portion. Some network and FUSE file systems
    have no locks. There it says so, and the block runs without.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        real = files.enter_context(_locked(stage, portion, fcntl.LOCK_SH if portion else fcntl.LOCK_EX))
        if portion:
            files.enter_context(_locked(f"{stage}-{portion.replace('/', '-of-')}", portion, fcntl.LOCK_EX))
        yield real


@contextmanager
def _locked(name: str, portion: str | None, kind: int) -> Iterator[bool]:
    real = True
    with (FOLDER / name).open("a+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Held(
                f"process {file.read().strip() or '?'} is already running this stage; wait until it ends, or stop it"
            ) from None
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            real = False
            say(f"{name}: this file system has no locks ({error.strerror}); let only one engine at a time run here")
        file.truncate(0)
        file.write(f"{os.getpid()} on {socket.gethostname()}{f' (portion {portion})' if portion else ''}")
        file.flush()
        yield real
