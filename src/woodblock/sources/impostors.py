"""Impostors: what a server sends with status 200 in place of a file: a login page, an error, a pointer, or nothing.

They are found by their first bytes before the file counts as fetched. What params.yaml pins by its sha256 is never
suspected.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path, PurePosixPath

from woodblock.base.errors import UserError
from woodblock.sources.decoding import head_as_utf8

HEAD = 65_536  # bytes that are looked at
PAGES = (".html", ".htm", ".xhtml", ".shtml")  # names of files that may be pages
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
ANNEX_POINTER = re.compile(rb"\A(?:\.\./)*(?:\.git)?/annex/objects/[^\n]+\n?\Z")

_PAGE = re.compile(
    rb"\A(?:\s|<!--.*?-->|<\?xml[^>]*\?>)*<(?:!doctype\s+html|html|head|title|meta|link|script|style|body|center|frameset|h[1-6])\b",
    re.I | re.S,
)
_XML = re.compile(rb"\A\s*(?:<\?xml\b|<(?:Error|ErrorResponse|ListBucketResult|soap:Envelope)\b)")
WAY_OUT = (
    "open the address in a browser to see what it wants (a login, a captcha, another address); then correct the url, or "
    "fetch the file by hand and give its path as file://…"
)
WAY_OUT_HERE = "run `git lfs pull` where it was cloned, or fetch the file itself"

# Keys of an error, and keys of data that may have such a key besides.
_ERROR_KEYS = {"error", "errors", "error_code", "errorcode", "error_message", "errmsg", "exception"}
_MAYBE_ERROR = {"message", "msg", "detail", "details", "code", "status", "statuscode", "success", "title"}
_REST = {"data", "request_id", "requestid", "timestamp", "path", "documentation_url", "type", "ok", "result", "reason"}
# The first bytes that a name promises. A tar has none at its beginning.
_PROMISED = {
    ".gz": rb"\x1f\x8b",
    ".tgz": rb"\x1f\x8b",
    ".bz2": rb"BZh",
    ".tbz": rb"BZh",
    ".tbz2": rb"BZh",
    ".xz": rb"\xfd7zXZ\0",
    ".txz": rb"\xfd7zXZ\0",
    ".zst": rb"(?:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)",
    ".zip": rb"PK(?:\x03\x04|\x05\x06)",
    ".whl": rb"PK(?:\x03\x04|\x05\x06)",
    ".parquet": rb"PAR1",
    ".db": rb"SQLite format 3\0",
    ".sqlite": rb"SQLite format 3\0",
}


def what_came(path: Path, name: str) -> str | None:
    """What a file is in place of data, in a few words; None where nothing is suspicious.

    name: of the file that was asked for. Its ending says whether it may be a page, and how it has to begin.
    """
    size = path.stat().st_size
    if not size:
        return "an empty file"
    with path.open("rb") as file:
        head = file.read(HEAD)
    ending = PurePosixPath(name).suffix.lower()
    whole = size <= HEAD
    if head.startswith(b"\x1f\x8b") and (inside := _start_of_gzip(head)) and (found := _of_text(inside, "", False)):
        return f"{found}, compressed"
    found = _of_text(head, ending, whole)
    if found and not (ending in PAGES and found.startswith("an HTML page")):
        return found
    if (promised := _PROMISED.get(ending)) and not re.match(promised, head):
        return f"no {ending} file: it begins with {head[:24]!r}"
    return None


def what_lies(path: Path) -> str | None:
    """What a file on this machine is in place of data: a pointer, or a page whose name says something else."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if path.suffix.lower() in (*PAGES, ".xml", ".txt", ".md"):
        head = head if head.startswith(LFS_POINTER) else b""
    found = _of_text(head, "", path.stat().st_size <= HEAD)
    return found if found and not found.startswith(("an empty", "an error in JSON")) else None


def _of_text(head: bytes, ending: str, whole: bool) -> str | None:
    if head.startswith(LFS_POINTER):
        return "a Git LFS pointer (a few lines that say where the file is)"
    if whole and ANNEX_POINTER.match(head):
        return "a git-annex pointer (a line that says where the file is)"
    text = head_as_utf8(head, whole)
    if not text.strip(b"\0\t\r\n "):
        return "an empty file (only blanks)" if whole else None
    if _PAGE.match(text):
        return f"an HTML page{_titled(text)}, as of a login or an error"
    if _XML.match(text) and ending not in (*PAGES, ".xml"):
        return f"an XML answer{_quoted(text)}"
    return f"an error in JSON{_quoted(text)}" if whole and _is_json_error(text) else None


def _start_of_gzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error:
        return b""


def _is_json_error(text: bytes) -> bool:
    """Whether a whole body is one JSON object that tells an error, and has no field of data."""
    if not text.lstrip().startswith(b"{"):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    keys = {str(key).lower() for key in value}
    return bool(keys & _ERROR_KEYS or keys & {"message", "msg", "detail"}) and keys <= (
        _ERROR_KEYS | _MAYBE_ERROR | _REST
    )


def _titled(text: bytes) -> str:
    found = re.search(rb"<title[^>]*>\s*([^<]{1,80})", text, re.I)
    title = " ".join(found[1].decode("utf-8", "replace").split()) if found else ""
    return f" ({title!r})" if title else ""


def _quoted(text: bytes) -> str:
    return f" ({' '.join(text[:200].decode('utf-8', 'ignore').split())[:100]!r})"


def refuse_pointer(head: bytes, where: str) -> None:
    """Raises UserError where a file of a folder or an archive is a Git LFS pointer in place of data."""
    if head.startswith(LFS_POINTER):
        raise UserError(f"{where}: this is a Git LFS pointer and not the file; {WAY_OUT_HERE}")
