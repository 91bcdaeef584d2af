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
from woodblock.sources import hub_files, impostors
from woodblock.sources.addresses import Undelivered, shown, without_query


@dataclass(frozen=True)
class Fetched:
    """A source's file or folder on this machine. name: its own, which tells how it is packed. commit: of the Hugging Face
    hub, where it came from there. chosen: those of the folder's files that the source has; None: all."""

    path: Path
    name: str
    sha256: str
    bytes: int
    commit: str | None = None
    chosen: tuple[str, ...] | None = None

    @property
    def files(self) -> list[Path]:
        """The files of a folder, in the order in which they are read."""
        return files_of(self.path) if self.chosen is None else [self.path / name for name in self.chosen]


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
    own, several = source.url.startswith("file://"), hub_files.names_several(source.url)
    steps = source.url.partition("://")[2].rstrip("/").count("/")  # from the mirror's folder to the path
    if not own and not (base := path.parents[steps]).is_dir():
        raise Undelivered(f"mirror: there is no folder {base}", "give one that contains owner/dataset/file, or null")
    try:
        if path.is_dir() and own:
            size = sum(file.stat().st_size for file in files_of(path))
            fetched = Fetched(path, path.name, digests.digest(path), size)
        elif several:
            fetched = _several(source, [path, *path.parents][steps - 1])
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


def _several(source: Source, folder: Path) -> Fetched:
    """The files of a mirror's data set that a url names. Raises Undelivered where there are none."""
    if not folder.is_dir():
        raise Undelivered(f"mirror: there is no folder {folder}", "put the data set there, or correct the url")
    try:
        names = hub_files.of_folder(source.url, folder)
    except UserError as error:
        raise Undelivered(f"{folder}: {str(error).partition('; correct')[0]}", "correct the url") from None
    size = sum((folder / name).stat().st_size for name in names)
    return Fetched(folder, folder.name, digests.digest_of(folder, names), size, chosen=tuple(names))


def hold_to_record(source: Source, fetched: Fetched, downloads: Path) -> None:
    """If no hash is pinned, check that the source has the same hash as when it was first fetched, from any place.

    Files on this machine are checked too: they are deps of no stage, so no engine sees that they changed.
    Raises UserError if the hash is another one.
    """
    if source.sha256:
        return
    record = _record(source, downloads)
    before = record.read_text(encoding="utf-8", errors="replace").partition(" ")[0] if record.is_file() else None
    if before is not None and not re.fullmatch(r"[0-9a-f]{64}", before):
        say(f"download: {record.as_posix()}, the sha256 of {shown(source.url)}, cannot be read; recorded again")
        before = None
    if before is None or (before == fetched.sha256 and fetched.commit and not recorded_commit(source, downloads)):
        write_text(
            record,
            f"{fetched.sha256}  {shown(source.url)}\n" + (f"commit {fetched.commit}\n" if fetched.commit else ""),
        )
    elif before != fetched.sha256:
        raise UserError(
            f"{shown(source.url)}: the file changed: sha256 was {before} and is now {fetched.sha256}; to accept the new "
            f"file, set its sha256 in params.yaml or remove {record.as_posix()}; otherwise restore the old file"
        )


def recorded_commit(source: Source, downloads: Path) -> str | None:
    """The commit from which a source without a pin was first fetched; None where none is recorded."""
    record = _record(source, downloads)
    if source.sha256 or not record.is_file():
        return None
    found = re.search(r"^commit ([0-9a-f]{40})$", record.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found[1] if found else None


def _record(source: Source, downloads: Path) -> Path:
    return downloads / "recorded" / hashlib.sha256(source.url.encode()).hexdigest()[:16]


def folder_of(source: Source, location: str, downloads: Path) -> Path:
    """The folder, among the downloads, for what is fetched from a location."""
    # It depends on the location and the pin: another mirror may have other bytes, and a new pin needs a new file.
    return downloads / hashlib.sha256(f"{location}\0{source.sha256 or ''}".encode()).hexdigest()[:16]


def verified_before(source: Source, folder: Path) -> Fetched | None:
    """The file of a folder that was fetched and verified before, if its bytes are still the same."""
    try:
        record = json.loads((folder / "verified.json").read_text(encoding="utf-8"))
        path, commit = folder / "content" / record["name"], record.get("commit")
        suspect = not source.sha256 and path.is_file() and impostors.what_came(path, path.name)
        if _sha256(path) == record["sha256"] and not suspect:
            return Fetched(path, path.name, record["sha256"], _bytes(path), commit)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never fetched, or no longer whole: it has to be fetched
    return None


def prepare(folder: Path) -> None:
    """Prepare a folder for a file that is to come into its content/."""
    (folder / "content").mkdir(parents=True, exist_ok=True)
    (folder / "verified.json").unlink(missing_ok=True)


def verify(source: Source, path: Path, folder: Path, address: str, commit: str | None = None) -> Fetched:
    """Verify the file (or files) fetched into a folder, and record that it is whole. address: where it came from. commit:
    of the hub, which then has compared the bytes itself.

    Raises Undelivered, and removes the folder, if the file has another sha256 than the pinned one, or if it is a page, an
    error, a pointer or nothing in place of data.
    """
    fetched = Fetched(path, path.name, _sha256(path), _bytes(path), commit)
    if source.sha256 != fetched.sha256 and path.is_file() and (came := impostors.what_came(path, path.name)):
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
    record = {
        "name": "" if path.is_dir() else path.name,
        "commit": commit,
        "sha256": fetched.sha256,
        "url": shown(source.url),
    }
    write_text(folder / "verified.json", json.dumps(record))
    return fetched


def _sha256(path: Path) -> str:
    """sha256 of a file, or of a folder's files as `digests.digest` defines it; always read anew."""
    if path.is_dir():
        names = [file.relative_to(path).as_posix() for file in files_of(path)]
        return digests.digest_of(path, names, _sha256)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in files_of(path)) if path.is_dir() else path.stat().st_size
