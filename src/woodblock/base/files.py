"""Files that appear whole or not at all, also where the power fails or two machines share a disk."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError

HOUR = 3600.0  # seconds; a text file is written in far less, so an older partial one was left by a killed process


def partial_of(target: Path) -> Path:
    """A new name beside a file or folder, under which its content is written before it is renamed.

    It has the machine, the process and a random number, since processes of two machines that share a disk can have the same
    number: .train.partial-node1-4711-9f3a01c2. It keeps the suffix, from which some libraries know what to write.
    """
    host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())
    return target.with_name(f".{target.name}.partial-{host}-{os.getpid()}-{secrets.token_hex(4)}{target.suffix}")


def partials_of(target: Path) -> list[Path]:
    """What any process has left under such a name for a target, or is writing now."""
    start = f".{target.name}.partial"
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path for path in target.parent.iterdir() if path.name.startswith(start))
    return []


def write_text(target: Path, text: str) -> None:
    """Write a text file under another name and rename it, so that a killed process or a power cut leaves the old one or
    the new one. What processes that were killed meanwhile left of it is removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in partials_of(target):
        with suppress(OSError):  # another process may remove it too
            if time.time() - left.stat().st_mtime > HOUR:
                left.unlink()
    partial = partial_of(target)
    try:
        partial.write_text(text, encoding="utf-8")
        replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def replace(partial: Path, target: Path) -> None:
    """Rename a file or folder, and give it to the disk before and after, so that a power cut leaves no empty file under the
    final name. Raises OSError, as os.replace does, where the target is a folder that is not empty."""
    sync(partial)
    os.replace(partial, target)
    sync_names(target.parent)


def sync(path: Path) -> None:
    """Have the system write a file, or a folder and all in it, to the disk."""
    if path.is_dir():
        for inner in path.iterdir():
            sync(inner)
        sync_names(path)
    elif path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def sync_names(folder: Path) -> None:
    """Have the system write the names in a folder to the disk; some systems cannot, and then nothing happens."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, a folder with all in it, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where there is none, or where it is empty, cut short or no JSON at all."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


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
        copy = partial_of(path)
        shutil.copyfile(path, copy)
        replace(copy, path)


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
