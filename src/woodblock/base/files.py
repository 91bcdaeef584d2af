"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

from woodblock.base.errors import UserError


def write_text(target: Path, text: str) -> None:
    """Write a text file under another name and rename it, so that a killed process leaves the old one or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def make_writable(path: Path) -> None:
    """Let the owner write to a file, or to a folder and all in it.

    A read-only file gets a copy of its own in its place: it may be a hard link into a cache, whose file must stay as it is.
    Raises OSError where the folder around it belongs to somebody else.
    """
    if path.is_dir():
        path.chmod(path.stat().st_mode | stat.S_IRWXU)
        for inner in path.iterdir():
            make_writable(inner)
    elif path.is_file() and not path.stat().st_mode & stat.S_IWUSR:
        copy = path.with_name(f".{path.name}.{os.getpid()}.partial")
        shutil.copyfile(path, copy)
        os.replace(copy, path)


def end_at_now(path: Path) -> None:
    """Give a file or folder that is dated in the future the time of now; what is dated earlier stays as it is.

    Raises UserError where the time cannot be changed.
    """
    now = time.time()
    try:
        if path.exists() and path.stat().st_mtime > now:
            os.utime(path, (now, now))
    except OSError as error:
        raise UserError(
            f"{path}: dated in the future, and its time cannot be changed ({error.strerror}); touch it"
        ) from None
