"""Transfers over HTTP: when a request breaks off, the next one continues where it stopped."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from woodblock.base.files import write_text
from woodblock.base.progress import Progress, say
from woodblock.run.settings.sources import Source
from woodblock.sources.addresses import Undelivered, host, shown
from woodblock.sources.delivery import credentials

MEGABYTE = 1 << 20
TIMEOUT = (20, 60)  # seconds to connect, and between two pieces of an answer
ATTEMPTS = 4  # attempts in a row that come no further than the best one
GAIN = 1.1  # how much further an attempt from the beginning has to come, to count as progress
FAST = 500_000  # after fewer new bytes than this, the next attempt waits a second
LONGEST_WAIT = 60.0  # seconds between two attempts: the wait doubles from one second, or is what the server asks for
REDIRECTS = 10


class _Retry(Exception):
    """An attempt failed, but the next may succeed. wait: seconds that the server asks for, or 0."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def transfer(source: Source, location: str, folder: Path, size: int | None = None) -> tuple[Path, str]:
    """The file at an address, continued where an earlier attempt broke off; and the address that redirects led to.

    The server's validator is kept beside a partial file. The rest is requested with Range and If-Range: if the file
    changed meanwhile, the server sends all of it (RFC 9110, sections 13.1.5 and 14.2). The file must have the size that
    was announced. size: what the file must have, where that is known.

    Progress is measured from the best attempt so far. A server that cannot continue a file starts again each time. There
    an attempt has to come a tenth further than the best one, so the number of attempts is bounded. The wait before an
    attempt doubles with each that made no progress. Raises Undelivered after ATTEMPTS in a row without progress.
    """
    name = Path(unquote(re.split(r"[?#]", location)[0])).name
    path = folder / "content" / (re.sub(r"[\0/\\]", "_", name)[-100:] or "file")
    partial = folder / "partial"
    barren, best, restarts = 0, _size(partial), [0]
    while True:
        wait = 0.0
        try:
            address = _request(source, location, partial, restarts, size)
            os.replace(partial, path)
            return path, address
        except _Retry as error:
            reason, wait = str(error), error.wait
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _plain(error)
        except ValueError as error:  # of urllib.parse, for an address that makes no sense
            raise Undelivered(f"the address is not valid ({shown(str(error))})", "correct the url, or mirror") from None
        now = _size(partial)
        barren = 0 if now > (best * GAIN if restarts[0] else best) else barren + 1
        gained, best = now - best, max(best, now)
        if barren >= ATTEMPTS:
            raise _given_up(location, reason, now, best, restarts[0] > 0)
        pause = 2.0 ** (barren - 1) if barren else 0.0 if gained >= FAST else 1.0
        time.sleep(min(LONGEST_WAIT, max(wait, pause)))


def _given_up(location: str, reason: str, kept: int, best: int, restarts: bool) -> Undelivered:
    said = f"{host(location)} did not deliver it ({shown(reason)}"
    if restarts:
        said += f"; it cannot continue a file, and the best attempt came to {best:,} bytes"
    elif kept:
        said += f", {kept:,} bytes are kept, and the next run continues from there"
    return Undelivered(
        f"{said})",
        "check the network, or set mirror in params.yaml to another base or to a folder that contains owner/dataset/file"
        + (", or fetch the file by hand and give its path as file://…" if restarts else ""),
    )


def _request(source: Source, location: str, partial: Path, restarts: list[int], size: int | None) -> str:
    """One request, whose answer is added to the partial file; returns the address that answered.

    restarts: a count, which goes up if the answer begins at the beginning though there was a part of the file.
    Raises _Retry if the file is not whole after it.
    """
    state = partial.with_name("partial.json")
    headers = {"Accept-Encoding": "identity"}  # the file's own bytes, not a compressed transfer's
    if have := _size(partial):
        validator = _validator(state)
        if validator or source.sha256:  # with a pin, the hash of the whole shows whether the two parts belong together
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
    with _answer(location, headers) as response:
        status = response.status_code
        if status == 416:  # nothing is left to send, or the file shrank: a fresh start tells which
            partial.unlink(missing_ok=True)
            raise _Retry("the server did not send the rest")
        if status in (408, 425, 429) or status >= 500:
            raise _Retry(f"status {status}", _wait(response))
        if status not in (200, 206):
            raise Undelivered(f"{host(location)} answers with status {status}", _way_out(status))
        start, total = _extent(response)
        total = size if total is None else total
        if start != (have if status == 206 else 0):
            partial.unlink(missing_ok=True)
            raise _Retry("the server sent another part than was asked for")
        restarts[0] += bool(have and not start)
        write_text(state, json.dumps({"validator": _strong(response)}))
        if start:
            say(f"download: {shown(source.url)} continues at {start:,} bytes")
        if total is None and "chunked" not in response.headers.get("Transfer-Encoding", "") and not source.sha256:
            say(
                f"download: {shown(source.url)}: the server does not tell the size; pin its sha256 in params.yaml, so that "
                "a file that is not whole is noticed"
            )
        _append(response, partial, start, total, Path(urlsplit(source.url).path).name)
    if total is not None and _size(partial) != total:
        raise _Retry("the connection broke off")
    return response.url or location


@contextmanager
def _answer(location: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """The answer to a request, after its redirects. They are followed here, so that a host gets only its own credentials."""
    address = location
    for _ in range(REDIRECTS):
        with requests.get(
            credentials.without_credentials(address),
            headers=headers,
            auth=credentials.allowed_for(address, location),
            stream=True,
            timeout=TIMEOUT,
            allow_redirects=False,
        ) as response:
            if not response.is_redirect:
                yield response
                return
            address = urljoin(address, response.headers["location"])
        if urlsplit(address).scheme not in ("http", "https"):
            raise Undelivered(f"{host(location)} redirects to an address that is not on the web", "check the url")
    raise Undelivered(f"{host(location)} redirects in circles", "check the url")


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
    """The place in the file where the answer starts (-1 if that is not clear), and the size of the file, if it is given."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        return (int(found[1]), None if found[2] == "*" else int(found[2])) if found else (-1, None)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _strong(response: requests.Response) -> str | None:
    """A validator that promises equal bytes. A weak ETag does not, so it cannot be used to continue a file."""
    found = (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    return next((value for value in found if value and not value.startswith("W/")), None)


def _validator(state: Path) -> str | None:
    try:
        validator = json.loads(state.read_text(encoding="utf-8"))["validator"]
        return validator if isinstance(validator, str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _way_out(status: int) -> str:
    if status in (401, 403):
        return (
            "it needs a login or an accepted licence: set HF_TOKEN or MODELSCOPE_API_TOKEN for a hub, or fetch the file by "
            "hand and set mirror in params.yaml to its folder"
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
