"""Known files: which were fetched before and are still whole, and the sha256 that a source must have.

A page that came in place of a file is never known (`impostors`).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from woodblock.base import digests
from woodblock.base.errors import UserError
from woodblock.base.files import write_text
from woodblock.base.progress import say
from woodblock.run.settings.sources import Source
from woodblock.sources import impostors
from woodblock.sources.addresses import Undelivered, shown, without_query


@dataclass(frozen=True)
class Fetched:
    """A source's file or folder on this machine. name: its own, which tells how it is packed."""

    path: Path
    name: str
    sha256: str
    bytes: int


def files_of(folder: Path) -> list[Path]:
    """The files of a folder in the order in which they are read, and in which digests.digest takes them."""
    files = (f for f in folder.rglob("*") if f.is_file())
    kept = (f for f in files if not set(f.relative_to(folder).parts) & set(digests.IGNORED))
    return sorted(kept, key=lambda f: f.relative_to(folder).as_posix())


def on_this_machine(source: Source, path: Path) -> Fetched:
    """A file on this machine, or a folder given as file://, read in its place.

    Raises Undelivered if it is missing, cannot be read, is a page or a pointer in place of data, or has another sha256
    than the pinned one.
    """
    own = source.url.startswith("file://")
    if not own and not (base := path.parents[source.url.partition("://")[2].count("/")]).is_dir():
        raise Undelivered(f"mirror: there is no folder {base}", "give one that contains owner/dataset/file, or null")
    try:
        if path.is_dir() and own:
            size = sum(file.stat().st_size for file in files_of(path))
            fetched = Fetched(path, path.name, digests.digest(path), size)
        else:
            fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    except FileNotFoundError:
        raise Undelivered(f"there is no file {path}", "correct the url, or put the file there") from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise Undelivered(f"{path} cannot be read as a file ({error.strerror})", "correct the url") from None
    if source.sha256 and fetched.sha256 != source.sha256:
        raise Undelivered(
            f"{path} has sha256 {fetched.sha256}, but params.yaml pins {source.sha256}",
            "restore the pinned file, or pin this one if you trust it",
        )
    if not source.sha256 and path.is_file() and (came := impostors.what_lies(path)):
        raise Undelivered(f"{path} is {came}, and not the data", impostors.WAY_OUT_HERE)
    return fetched


def hold_to_record(source: Source, fetched: Fetched, downloads: Path) -> None:
    """If no hash is pinned, check that the source has the same hash as when it was first fetched, from any place.

    Files on this machine are checked too: they are deps of no stage, so no engine sees that they changed.
    Raises UserError if the hash is another one.
    """
    if source.sha256:
        return
    record = downloads / "recorded" / hashlib.sha256(source.url.encode()).hexdigest()[:16]
    before = record.read_text(encoding="utf-8", errors="replace").partition(" ")[0] if record.is_file() else None
    if before is not None and not re.fullmatch(r"[0-9a-f]{64}", before):
        say(f"download: {record.as_posix()}, the sha256 of {shown(source.url)}, cannot be read; recorded again")
        before = None
    if before is None:
        write_text(record, f"{fetched.sha256}  {shown(source.url)}\n")
    elif before != fetched.sha256:
        raise UserError(
            f"{shown(source.url)}: the file changed: sha256 was {before} and is now {fetched.sha256}; to accept the new "
            f"file, set its sha256 in params.yaml or remove {record.as_posix()}; otherwise restore the old file"
        )


def folder_of(source: Source, location: str, downloads: Path) -> Path:
    """The folder, among the downloads, for what is fetched from a location."""
    # It depends on the location and the pin: another mirror may have other bytes, and a new pin needs a new file.
    return downloads / hashlib.sha256(f"{location}\0{source.sha256 or ''}".encode()).hexdigest()[:16]


def verified_before(source: Source, folder: Path) -> Fetched | None:
    """The file of a folder that was fetched and verified before, if its bytes are still the same."""
    try:
        record = json.loads((folder / "verified.json").read_text(encoding="utf-8"))
        path = folder / "content" / record["name"]
        suspect = not source.sha256 and impostors.what_came(path, path.name)
        if _sha256(path) == record["sha256"] and not suspect:
            return Fetched(path, record["name"], record["sha256"], path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never fetched, or no longer whole: it has to be fetched
    return None


def prepare(folder: Path) -> None:
    """Prepare a folder for a file that is to come into its content/."""
    (folder / "content").mkdir(parents=True, exist_ok=True)
    (folder / "verified.json").unlink(missing_ok=True)


def verify(source: Source, path: Path, folder: Path, address: str) -> Fetched:
    """Verify the file that was fetched into a folder, and record that it is whole. address: where it came from.

    Raises Undelivered, and removes the folder, if the file has another sha256 than the pinned one, or if it is a page, an
    error, a pointer or nothing in place of data.
    """
    fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    if source.sha256 != fetched.sha256 and (came := impostors.what_came(path, path.name)):
        shutil.rmtree(folder)
        raise Undelivered(f"{without_query(address)} sent {came} and not the file", impostors.WAY_OUT)
    if source.sha256 and fetched.sha256 != source.sha256:
        shutil.rmtree(folder)
        raise Undelivered(
            f"the fetched file has sha256 {fetched.sha256}, but params.yaml pins {source.sha256}; the file was removed",
            "run again, in case the transfer failed; if the hash is the same again, find out why the source changed, "
            "then pin it",
        )
    if not source.sha256:
        say(f"download: {shown(source.url)} has sha256 {fetched.sha256}; pin it in params.yaml to have it checked")
    record = {"name": path.name, "sha256": fetched.sha256, "url": shown(source.url)}
    write_text(folder / "verified.json", json.dumps(record))
    return fetched


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
