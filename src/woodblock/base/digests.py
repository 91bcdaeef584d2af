"""sha256 of files and of folders."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from woodblock.base.files import write_text

IGNORED = (".snakemake_timestamp", "__pycache__")  # as .dvcignore has them: engines leave them in output folders
KNOWN = Path(".woodblock/digests")  # sha256 of large files by name, size and time, so that they are read once
LARGE = 1_000_000  # bytes


def digest(path: Path) -> str:
    """sha256 of a file; of a folder, the sha256 over its sorted relative names and their files' sha256.

    Raises FileNotFoundError where there is nothing.
    """
    if path.is_dir():
        total = hashlib.sha256()
        files = (f for f in path.rglob("*") if f.is_file() and not set(f.relative_to(path).parts) & set(IGNORED))
        for file in sorted(files, key=lambda f: f.relative_to(path).as_posix()):
            total.update(f"{file.relative_to(path).as_posix()}\0{digest(file)}\n".encode())
        return total.hexdigest()
    state = path.stat()
    known = KNOWN / hashlib.sha256(path.as_posix().encode()).hexdigest()[:16]
    mark = f"{path.as_posix()} {state.st_size} {state.st_mtime_ns}"
    if state.st_size >= LARGE and known.is_file():
        name, _, sha256 = known.read_text(encoding="utf-8", errors="replace").rpartition(" ")
        if name == mark and re.fullmatch(r"[0-9a-f]{64}", sha256):
            return sha256
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if state.st_size >= LARGE:
        write_text(known, f"{mark} {sha256}")
    return sha256
