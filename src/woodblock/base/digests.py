"""Digests of files and of folders."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from woodblock.base.files import write_text

IGNORED = (".snakemake_timestamp", "__pycache__")  # as .dvcignore has them: engines leave them in output folders
KNOWN = Path(".woodblock/digests")  # digests of large files by name, size and time, so that they are read once
LARGE = 1_000_000  # bytes


def digest(path: Path) -> str:
    """sha256 of a file; of a folder, the sha256 over its sorted relative names and their files' sha256.

    Raises FileNotFoundError where there is nothing.
    """
    if path.is_dir():
        return digest_of(path, [file.relative_to(path).as_posix() for file in files_in(path)])
    return file_digest(path)


def digest_of(folder: Path, names: list[str], of_file: Callable[[Path], str] | None = None) -> str:
    """The sha256 over some of a folder's files, given by their sorted relative names, as `digest` takes it over all.

    of_file: the sha256 of one file; by default the noted one, where the file is large and unchanged.
    """
    total = hashlib.sha256()
    for name in names:
        total.update(f"{name}\0{(of_file or file_digest)(folder / name)}\n".encode())
    return total.hexdigest()


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, at any depth, sorted by their relative names; without those that engines leave there."""
    files = (f for f in folder.rglob("*") if f.is_file() and not set(f.relative_to(folder).parts) & set(IGNORED))
    return sorted(files, key=lambda f: f.relative_to(folder).as_posix())


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The digest of one file; that of a large file is noted, so that it is read once. Raises FileNotFoundError."""
    state = path.stat()
    mark = f"{path.as_posix()} {state.st_size} {state.st_mtime_ns}"
    known = KNOWN / hashlib.sha256(f"{algorithm} {path.as_posix()}".encode()).hexdigest()[:16]
    if state.st_size >= LARGE and known.is_file():
        name, _, noted = known.read_text(encoding="utf-8", errors="replace").rpartition(" ")
        if name == mark and re.fullmatch(rf"[0-9a-f]{{{2 * hashlib.new(algorithm).digest_size}}}", noted):
            return noted
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if state.st_size >= LARGE:
        with contextlib.suppress(OSError):  # a project that may only be read: then it is read again
            write_text(known, f"{mark} {found}")
    return found
