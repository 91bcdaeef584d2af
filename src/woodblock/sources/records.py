"""Records: those of a file, one at a time, whatever its format. Memory holds one record and a little more.

The file's name and its first bytes tell the format:

| format | what is a record |
|---|---|
| jsonl | a line, which is a JSON value |
| json | an element of the file's one list; or each of several values, one after the other |
| csv, tsv | a row; the first row has the names of the columns |
| parquet | a row |
| text | the file; an HTML page as it is, since cleaning takes its text out |

`decoding` says which encodings they may have. A record that is broken goes to `refuse`, which raises its error, or counts
it: then the next one is read.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.base.errors import UserError
from woodblock.sources import decoding, impostors
from woodblock.sources.archives import UNREADABLE, Member
from woodblock.sources.unpacking import BLOCK, BOMB_BYTES, BOMB_RATIO

LARGEST_RECORD = 256_000_000  # bytes: what is larger is a file without line ends, or with a quote that is never closed
ROWS_AT_ONCE = 128  # of Parquet: a thousand long documents are many megabytes
LONGEST_HEADING = 40  # characters of a column's name: a first row with a longer cell has no names but values
LONGEST_TITLE = 80  # characters of a title: a longer first line is text

_BY_ENDING = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
    ".markdown": "text",
    ".html": "text",
    ".htm": "text",
    ".xhtml": "text",
}
ENDINGS = tuple(_BY_ENDING)
PAGES = (".html", ".htm", ".xhtml")


class BadRecord(UserError):
    """A record that cannot be read, though those beside it can. what: what is wrong with it. way_out: for an error."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out


# What is done about a bad record: (where, error, its beginning, how many records are lost). It raises UserError, or counts.
Refuse = Callable[[str, BadRecord, bytes | str, int], None]


def refuse_all(where: str, bad: BadRecord, beginning: bytes | str = "", records: int = 1) -> None:
    """Raises UserError for the first bad record."""
    raise UserError(f"{where}: {bad}")


def format_of(member: Member) -> str:
    """The format of a file, by its name and first bytes. Raises UserError for a format that cannot be read."""
    head = member.head
    impostors.refuse_pointer(head, member.where)
    if head.startswith(b"PAR1"):
        return "parquet"
    ending = Path(member.name).suffix.lower()
    named = _BY_ENDING.get(ending)
    if ending in UNREADABLE or head.startswith(b"%PDF-"):
        raise UserError(
            f"{member.where}: a {ending if ending in UNREADABLE else '.pdf'} file cannot be read; convert it to text, HTML, "
            "Markdown or JSON Lines"
        )
    whole = len(head) < BLOCK
    text = decoding.head_as_utf8(head, whole).lstrip()
    if named in ("json", "jsonl", None) and text.startswith(b"["):
        return "jsonl" if _is_line(text, whole) and text.partition(b"\n")[2].strip() else "json"
    if named in ("json", None) and text.startswith(b"{"):
        return "jsonl" if _is_line(text, whole) else "json"
    if named == "text" and ending == ".txt" and text.startswith(b"{") and _is_line(text, whole):
        return "jsonl"  # many data sets give JSON Lines this name
    if named == "json":
        return "jsonl"  # its reader says what is wrong with the first line
    if named is None and b"\0" in text:
        raise UserError(
            f"{member.where}: its format is unknown; it should be {', '.join(ENDINGS)}, or one of these packed with tar, "
            "zip, gzip, bzip2, xz or zstd"
        )
    return named or "text"


def _is_line(text: bytes, whole: bool) -> bool:
    """Whether the first line is a whole JSON value. A line that is longer than the head is taken for one if it starts
    an object. whole: whether these are all bytes of the file."""
    line, end, _ = text.partition(b"\n")
    if not end and not whole:
        return text.startswith(b"{")
    try:
        _parse(line)
        return True
    except (ValueError, RecursionError):
        return False


def records(member: Member, format: str, work: Path, refuse: Refuse = refuse_all) -> Iterator[tuple[str, Any]]:
    """Yield (where, record) of each record of a file: a dict for a row, any JSON value, or the text of a text file.

    format: as format_of gives it. work: a folder for the copy of a packed Parquet file while it is read.
    Raises UserError, which names the place, for what is not in that format, and for a record over LARGEST_RECORD.
    """
    match format:
        case "jsonl":
            yield from json_lines(member.stream, member.where, refuse)
        case "json":
            yield from json_values(member.stream, member.where, refuse)
        case "csv" | "tsv":
            yield from rows_of_text(member.stream, member.where, "\t" if format == "tsv" else ",", refuse)
        case "parquet":
            yield from _parquet(member, work, refuse)
        case _:
            try:
                yield member.where, _document(member)
            except BadRecord as bad:
                refuse(member.where, bad, member.name, 1)


# --- JSON --------------------------------------------------------------------------------------------------------------


def json_lines(stream: IO[bytes], where: str, refuse: Refuse = refuse_all) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of a JSON Lines stream, one line in memory at a time; skip blank lines.

    A line that is not valid JSON, not text in its encoding, or too large is refused with its number.
    """
    number = 0
    lines = decoding.as_utf8(stream)
    while line := lines.readline(LARGEST_RECORD):
        number += 1
        place = f"{where}, line {number}"
        if len(line) == LARGEST_RECORD:
            refuse(place, _too_large(), line, 1)
            while line and not line.endswith(b"\n"):
                line = lines.readline(BLOCK)
        elif not line.isspace():
            try:
                value = _value(line, "each line must be one object", lines)
            except BadRecord as bad:
                refuse(place, bad, line, 1)
            else:
                yield place, value


def json_values(stream: IO[bytes], where: str, refuse: Refuse = refuse_all) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of each element of a list, or of each of several values, one after the other.

    The list is never in memory as a whole: its elements are cut out one by one. An element that is not valid JSON is
    refused. Raises UserError where the brackets do not show any more which element is which.
    """
    text = decoding.as_utf8(stream)
    for number, content in enumerate(_cut(text, where), start=1):
        place = f"{where}, record {number}"
        try:
            value = _value(content, "the file must be one list of objects", text)
        except BadRecord as bad:
            refuse(place, bad, content, 1)
        else:
            yield place, value


# A string, or a bracket or comma. If the string is still open at the end of the buffer, the group is empty.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[{}\[\],]', re.DOTALL)


def _cut(stream: IO[bytes], where: str) -> Iterator[bytes]:
    """The bytes of each value, cut at the commas and brackets around it. What is inside a value is not parsed."""
    buffer = stream.read(BLOCK).lstrip()
    in_list = buffer.startswith(b"[")
    depth, start, position, closed, count = 0, 0, 0, False, 0
    outer = 1 if in_list else 0  # the depth of the values
    while True:
        while found := _TOKEN.search(buffer, position):
            token = found[0]
            if token[:1] == b'"' and not found[1]:
                break  # still open: read more and look again
            end = found.end()
            if in_list and closed:
                raise UserError(f"{where}: there is more text after the list; the file must be one list of objects")
            if token in (b"{", b"["):
                depth += 1
                if in_list and depth == 1:
                    start = end
            elif token in (b"}", b"]"):
                depth -= 1
                if in_list and depth == 0:
                    if token == b"}":
                        raise UserError(
                            f"{where}, record {count + 1}: not valid JSON (a bracket does not match); correct the file"
                        )
                    closed = True
                    if count or buffer[start : found.start()].strip():
                        yield buffer[start : found.start()]
                    start = end
                elif not in_list and depth <= 0:
                    depth, count = 0, count + 1
                    yield buffer[start:end].lstrip(b", \t\r\n")
                    start = end
            elif token == b"," and depth == outer == 1:
                count += 1
                yield buffer[start : found.start()]
                start = end
            position = end
        position = found.start() if found else len(buffer)
        buffer, position, start = buffer[start:], position - start, 0
        if len(buffer) > LARGEST_RECORD:
            raise UserError(f"{where}, record {count + 1}: {_too_large()}")
        # Read as much again as there is. So a long value is scanned a few times, and not once a megabyte.
        if not (more := stream.read(max(BLOCK, len(buffer)))):
            break
        buffer += more
    if buffer.strip() if not in_list or closed else True:
        raise UserError(
            f"{where}, record {count + 1}: not valid JSON (the file ends in the middle of it, or there is text around it); "
            "correct the file"
        )


def _parse(text: bytes) -> Any:
    """A JSON value. orjson is ten times as fast; json takes what it refuses: lone surrogates, NaN, deep nesting."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text.decode("utf-8"))


def _value(text: bytes, rule: str, stream: io.BufferedReader[decoding.Utf8]) -> Any:
    """A JSON value. stream: where it comes from, for the name of its encoding. Raises BadRecord."""
    try:
        return _parse(text)
    except UnicodeDecodeError as error:
        encoding = stream.raw.encoding
        if encoding != "utf-8":
            raise BadRecord(f"not {encoding.upper()} (it has a broken byte)", "convert the file") from None
        raise BadRecord(f"not UTF-8 ({error.reason}, byte {error.start})", "convert the file") from None
    except (ValueError, RecursionError) as error:
        what = getattr(error, "msg", None) or str(error)
        raise BadRecord(f"not valid JSON ({what})", rule) from None


def _too_large() -> BadRecord:
    return BadRecord(f"a record is larger than {LARGEST_RECORD:,} bytes", "split the file, or check its content")


# --- text --------------------------------------------------------------------------------------------------------------


def _document(member: Member) -> dict[str, str]:
    """A text file as a record. Its title is its first line or, if that is too long for a title, the name of the file.

    The title of an HTML page is its own. Raises BadRecord for what is no text.
    """
    content = member.stream.read(LARGEST_RECORD + 1)
    if len(content) > LARGEST_RECORD:
        raise _too_large()
    is_page = member.name.lower().endswith(PAGES)
    try:
        text = decoding.decode(content, is_page)
    except UnicodeDecodeError as error:
        encoding = error.encoding.upper().removesuffix("-LE").removesuffix("-BE")
        raise BadRecord(f"not {encoding} ({error.reason}, byte {error.start})", "convert the file") from None
    if is_page:
        found = _PAGE_TITLE.search(text)
        first = " ".join(html.unescape(found[1]).split()) if found else ""
    else:
        first = text.strip().partition("\n")[0].strip().lstrip("#").strip()
    is_title = len(first) <= LONGEST_TITLE and any(map(str.isalnum, first))
    return {"title": first if is_title else Path(member.name).stem, "text": text}


_PAGE_TITLE = re.compile(r"<title[^>]*>(.{1,400}?)</title>", re.IGNORECASE | re.DOTALL)


class _Lines:
    """The lines of a text for csv.reader. Those of a row that cannot be read are given again, but for its first one: a
    quote that is never closed makes one row of all that comes after it."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text, self._again = text, list[str]()
        self.row = list[str]()  # the lines of the present row
        self.number = 0  # of the last line before it

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._text)
        self.row.append(line)
        return line

    def accept(self) -> None:
        """Go on to the next row."""
        self.number += len(self.row)
        self.row.clear()

    def give_back(self) -> None:
        """Go on to the line after the first one of the present row."""
        self._again += reversed(self.row[1:])
        self.number += 1
        self.row.clear()


def rows_of_text(
    stream: io.BufferedReader[Any], where: str, delimiter: str, refuse: Refuse = refuse_all
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (where, row) of a CSV or TSV stream (RFC 4180), with the names of columns from its first row.

    If a cell of the first row is too long for a name, that row is a row like the others, and columns are named by their
    number, from 0. Refused are rows with more or fewer cells than columns, with a quote that is not closed, and with
    broken bytes. Raises UserError where the first row is none.
    """
    decoded = decoding.as_utf8(stream)
    head = decoded.peek(BLOCK)
    csv.field_size_limit(LARGEST_RECORD)
    # A broken byte becomes half of a surrogate pair, which no text in UTF-8 has.
    lines = _Lines(io.TextIOWrapper(decoded, "utf-8", "surrogateescape", newline=""))
    reader = csv.reader(lines, delimiter=_delimiter(head, delimiter), strict=True)
    names: list[str] = []
    while True:
        bad = None
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad = BadRecord(f"not valid rows ({error})", "check its quotes")
        place, beginning = f"{where}, line {lines.number + 1}", "".join(lines.row[:1])[:1000]
        if bad is None and any(map(_BROKEN.search, lines.row)):
            encoding = decoded.raw.encoding.upper().removesuffix("-LE").removesuffix("-BE")
            bad = BadRecord(f"not {encoding} (it has a broken byte)", "convert the file")
        if bad is None:
            lines.accept()
            if not row:
                continue
            if not names:
                is_heading = all(len(cell) <= LONGEST_HEADING for cell in row)
                names = _names(row, where) if is_heading else [str(number) for number in range(len(row))]
                if is_heading:
                    continue
            if len(row) == len(names):
                yield place, dict(zip(names, row, strict=True))
                continue
            bad = BadRecord(f"{len(row)} cells, but {len(names)} columns", "correct the row")
        else:
            lines.give_back()
        if not names:
            raise UserError(f"{place}: {bad}")
        refuse(place, bad, beginning, 1)


_BROKEN = re.compile("[\udc80-\udcff]")


def _names(row: list[str], where: str) -> list[str]:
    if len(set(row)) < len(row):
        twice = next(name for name in row if row.count(name) > 1)
        raise UserError(f"{where}, line 1: two columns have the name {twice!r}; rename one")
    return row


def _delimiter(head: bytes, delimiter: str) -> str:
    """A comma, unless the first line has none, but tabs or semicolons."""
    first = head.partition(b"\n")[0].replace(b"\0", b"")
    if delimiter == "," and b"," not in first:
        return "\t" if b"\t" in first else ";" if b";" in first else ","
    return delimiter


# --- Parquet -----------------------------------------------------------------------------------------------------------


def _parquet(member: Member, work: Path, refuse: Refuse) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a Parquet file. Where a group of rows is damaged, what is left of it is refused as a whole."""
    with _on_disk(member, work) as path:
        size = path.stat().st_size
        try:
            file = pq.ParquetFile(path, buffer_size=BLOCK, pre_buffer=False, page_checksum_verification=True)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            announced = sum(group.total_byte_size for group in groups)
            ends = list(accumulate(group.num_rows for group in groups))
        except _PARQUET_DAMAGE as error:
            raise UserError(f"{member.where}: {_damaged(error)}") from None
        with file:
            _refuse_bomb(announced, size, member.where)
            number = out = 0
            for place, end in enumerate(ends):
                try:
                    for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[place], use_threads=False):
                        out += batch.nbytes
                        _refuse_bomb(out, size, member.where)
                        for row in batch.to_pylist():
                            number += 1
                            yield f"{member.where}, row {number}", row
                    if number != end:  # damage in a page's header can make it end early, without an error
                        raise pa.ArrowInvalid(f"the group ends after row {number} of {end}")
                except _PARQUET_DAMAGE as error:
                    refuse(f"{member.where}, after row {number}", _damaged(error), "", max(1, end - number))
                    number = end


_PARQUET_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, NotImplementedError)


def _damaged(error: Exception) -> BadRecord:
    if isinstance(error, OSError) and error.errno is not None:
        raise error  # the system's error, not the file's
    what = (str(error) or type(error).__name__).splitlines()[0]
    return BadRecord(f"not valid Parquet ({what})", "fetch the file again")


def _refuse_bomb(out: int, size: int, where: str) -> None:
    if out > BOMB_BYTES and out > BOMB_RATIO * size:
        raise UserError(
            f"{where}: unpacks to more than {BOMB_RATIO} times its size, which is typical of a zip bomb; "
            "remove the source, or unpack it yourself if you trust it"
        )


@contextmanager
def _on_disk(member: Member, work: Path) -> Iterator[Path]:
    """The member as a file on disk, for readers that seek: the file itself, or a copy in `work` while it is read."""
    if member.path is not None:
        yield member.path
        return
    work.mkdir(parents=True, exist_ok=True)
    copy = work / "member"
    try:
        with copy.open("wb") as file:
            shutil.copyfileobj(member.stream, file, BLOCK)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
