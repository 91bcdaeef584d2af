"""Decoding: every text format is read through one decoder, whatever its encoding, and comes out as UTF-8.

The encoding is UTF-8 with or without a byte order mark, UTF-16 or UTF-32 with one, UTF-16 without one where the text
begins with a Latin character, or else GB18030, which includes GBK and GB2312. An HTML page may name another one.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import IO, Any

from woodblock.sources.unpacking import BLOCK

# A byte that no UTF-8 text has. It stands where the text has a byte that its encoding does not have. So the record that
# it is in is found, and the records around it are read.
BROKEN = b"\xff"
ENOUGH = 4096  # bytes from the first one that is not ASCII: they tell the encoding

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_DECLARED = re.compile(rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "iso-8859-1": "cp1252"}


def _broken(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", max(error.end, error.start + 1)


codecs.register_error("woodblock-broken", _broken)


def encoding_of(head: bytes, whole: bool) -> str:
    """The encoding of a text by its first bytes: utf-8, gb18030, or UTF-16 or UTF-32 of one order.

    whole: whether these are all its bytes. A text whose first bytes are not valid UTF-8 is GB18030, or UTF-8 with broken
    bytes: a text in GB18030 hardly ever has four East Asian characters that are valid UTF-8, and never more of them than
    bytes that are not.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) >= 2 and 0 in head[:2] and any(b"\t" <= head[i : i + 1] <= b"~" for i in (0, 1)):
        return "utf-16-le" if head[1] == 0 else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
        return "utf-8"
    except UnicodeDecodeError as error:
        before = head[: error.start].decode("utf-8")
        if sum(character >= "\u0800" for character in before) >= 4 or (whole and error.end == len(head) and before):
            return "utf-8"
    text = head.decode("utf-8", "woodblock-broken")
    broken = text.count("\udcff")
    if sum(character >= "\u0800" for character in text) - broken > broken:
        return "utf-8"
    as_gb18030 = codecs.getincrementaldecoder("gb18030")("woodblock-broken").decode(head, whole)
    return "gb18030" if as_gb18030.count("\udcff") < broken else "utf-8"


def declared_encoding(head: bytes) -> str | None:
    """The encoding that an HTML page names in its first bytes; None for none, or for one that Python does not know."""
    if not (found := _DECLARED.search(head[:4096])):
        return None
    name = found[1].decode("ascii", "replace").lower()
    try:
        return codecs.lookup(_WIDER.get(name, name)).name
    except LookupError:
        return None


def decode(content: bytes, is_html: bool = False) -> str:
    """A whole text. Raises UnicodeDecodeError for what is no text in its encoding."""
    if is_html and (named := declared_encoding(content)) and not content.startswith(tuple(mark for mark, _ in _MARKS)):
        try:
            return content.decode(named)
        except UnicodeDecodeError:
            pass  # it names an encoding that it does not have
    encoding = encoding_of(content, True)
    return content.decode(encoding).removeprefix("\ufeff")


def head_as_utf8(head: bytes, whole: bool) -> bytes:
    """The first bytes of a text as UTF-8, without a byte order mark."""
    encoding = encoding_of(head, whole)
    if encoding != "utf-8":
        head = head.decode(encoding, "ignore").encode("utf-8", "ignore")
    return head.removeprefix(codecs.BOM_UTF8)


class Utf8(io.RawIOBase):
    """A stream of text as UTF-8, without a byte order mark, in one pass.

    Text that is UTF-8 passes as it is, with its broken bytes. In other encodings each broken byte becomes BROKEN. encoding:
    the one that was found. It is decided at the first byte that is not ASCII, which may come late.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._ready, self._place = stream, b"", 0
        self.encoding = "utf-8"
        self._decoder: codecs.IncrementalDecoder | None = None
        self._decided, self._ended, self._begun = False, False, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._place == len(self._ready) and not self._ended:
            self._ready, self._place = self._next(), 0
        block = self._ready[self._place : self._place + len(buffer)]
        self._place += len(block)
        buffer[: len(block)] = block
        return len(block)

    def _next(self) -> bytes:
        block = self._stream.read(BLOCK)
        self._ended = not block
        if not self._decided and block and (not self._begun or not block.isascii()):
            block = self._decide(block)
        self._begun = True
        if self._decoder is None:
            return block
        return self._decoder.decode(block, self._ended).encode("utf-8", "surrogateescape")

    def _decide(self, block: bytes) -> bytes:
        """Decide the encoding, if the block tells it; returns the block without a mark."""
        found = _NOT_ASCII.search(block)
        whole = False
        while found and len(block) - found.start() < ENOUGH and not whole:
            more = self._stream.read(BLOCK)
            block, whole = block + more, not more
        start = found.start() if found and self._begun else 0
        encoding = encoding_of(block[start : start + BLOCK], whole)
        if encoding == "utf-8" and not found:
            return block
        self._decided, self.encoding = True, encoding
        mark = next((mark for mark, _ in _MARKS if not self._begun and block.startswith(mark)), b"")
        if encoding != "utf-8":
            self._decoder = codecs.getincrementaldecoder(encoding)("woodblock-broken")
        return block[len(mark) :]


def as_utf8(stream: IO[bytes]) -> io.BufferedReader[Utf8]:
    """A stream of text as a stream of UTF-8; its `raw.encoding` says what it was."""
    return io.BufferedReader(Utf8(stream), BLOCK)
