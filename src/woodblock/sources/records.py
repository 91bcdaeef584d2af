"""Records: those of a file, one at a time, whatever its format. Memory holds one record and a little more.

The file's name and its first bytes tell the format:

| format | what is a record |
|---|---|
| jsonl | a line, which is a JSON value |
| json | an element of the file's one list; or each of several values, one after the other |
| csv, tsv | a row; the first row has the names of the columns |
| parquet | a row |
| text | the file |

Text is UTF-8 with or without a byte order mark, UTF-16 with one, or else GB18030, which includes GBK and GB2312. JSON is
UTF-8.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.base.errors import UserError
from woodblock.sources.archives import Member
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
}
ENDINGS = tuple(_BY_ENDING)


def format_of(member: Member) -> str:
    """The format of a file, by its name and first bytes. Raises UserError for a format that cannot be read."""
    head = member.head
    if head.startswith(b"PAR1"):
        return "parquet"
    named = _BY_ENDING.get(Path(member.name).suffix.lower())
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if named in ("json", "jsonl", None) and text.startswith(b"["):
        return "jsonl" if _is_line(text) and text.partition(b"\n")[2].strip() else "json"
    if named in ("json", None) and text.startswith(b"{"):
        return "jsonl" if _is_line(text) else "json"
    if named == "text" and member.name.lower().endswith(".txt") and text.startswith(b"{") and _is_line(text):
        return "jsonl"  # many data sets give JSON Lines this name
    if named == "json":
        return "jsonl"  # its reader says what is wrong with the first line
    if named is None and b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(
            f"{member.where}: its format is unknown; it should be {', '.join(ENDINGS)}, or one of these packed with tar, "
            "zip, gzip, bzip2, xz or zstd"
        )
    return named or "text"


def _is_line(text: bytes) -> bool:
    """Whether the first line is a whole JSON value. A line that is longer than the head is taken for one if it starts
    an object."""
    line, end, _ = text.partition(b"\n")
    if not end and len(text) >= BLOCK - 64:
        return text.startswith(b"{")
    try:
        _parse(line)
        return True
    except (ValueError, RecursionError):
        return False


def records(member: Member, format: str, work: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where, record) of each record of a file: a dict for a row, any JSON value, or the text of a text file.

    format: as format_of gives it. work: a folder for the copy of a packed Parquet file while it is read.
    Raises UserError, which names the place, for what is not in that format, and for a record over LARGEST_RECORD.
    """
    match format:
        case "jsonl":
            yield from json_lines(member.stream, member.where)
        case "json":
            yield from json_values(member.stream, member.where)
        case "csv" | "tsv":
            yield from rows_of_text(member.stream, member.where, "\t" if format == "tsv" else ",")
        case "parquet":
            yield from _parquet(member, work)
        case _:
            yield member.where, _document(member)


# --- JSON --------------------------------------------------------------------------------------------------------------


def json_lines(stream: IO[bytes], where: str) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of a JSON Lines stream, one line in memory at a time; skip blank lines.

    Raises UserError, which names `where` and the line, for text that is not UTF-8 or not valid JSON.
    """
    number = 0
    while line := stream.readline(LARGEST_RECORD):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) == LARGEST_RECORD:
            raise _too_large(f"{where}, line {number}")
        if not line or line.isspace():
            continue
        yield (place := f"{where}, line {number}"), _value(line, place, "each line must be one object")


def json_values(stream: IO[bytes], where: str) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of each element of a list, or of each of several values, one after the other.

    The list is never in memory as a whole: its elements are cut out one by one. Raises UserError, as json_lines does.
    """
    for number, value in enumerate(_cut(stream, where), start=1):
        yield (place := f"{where}, record {number}"), _value(value, place, "the file must be one list of objects")


# A string, or a bracket or comma. If the string is still open at the end of the buffer, the group is empty.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)|[{}\[\],]', re.DOTALL)


def _cut(stream: IO[bytes], where: str) -> Iterator[bytes]:
    """The bytes of each value, cut at the commas and brackets around it. What is inside a value is not parsed."""
    buffer = stream.read(BLOCK).removeprefix(codecs.BOM_UTF8).lstrip()
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
            raise _too_large(f"{where}, record {count + 1}")
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


def _value(text: bytes, place: str, rule: str) -> Any:
    try:
        return _parse(text)
    except UnicodeDecodeError as error:
        raise UserError(f"{place}: not UTF-8 ({error.reason}, byte {error.start}); convert the file") from None
    except (ValueError, RecursionError) as error:
        what = getattr(error, "msg", None) or str(error)
        raise UserError(f"{place}: not valid JSON ({what}); {rule}") from None


def _too_large(place: str) -> UserError:
    return UserError(f"{place}: a record is larger than {LARGEST_RECORD:,} bytes; split the file, or check its content")


# --- text --------------------------------------------------------------------------------------------------------------


def encoding_of(head: bytes, whole: bool, where: str) -> str:
    """The encoding of a text by its first bytes. whole: whether these are all its bytes.

    What comes before the first wrong byte tells GB18030 from damaged UTF-8: a text in GB18030 hardly ever begins with four
    East Asian characters that are valid UTF-8. Raises UserError for UTF-8 that is damaged or cut short.
    """
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
        return "utf-8"
    except UnicodeDecodeError as error:
        before = head[: error.start].decode("utf-8")
        if sum(character >= "\u0800" for character in before) >= 4 or (whole and error.end == len(head) and before):
            raise _no_text(where, error) from None
        return "gb18030"


def _no_text(where: str, error: UnicodeDecodeError) -> UserError:
    return UserError(f"{where}: not {error.encoding.upper()} ({error.reason}, byte {error.start}); convert the file")


def _document(member: Member) -> dict[str, str]:
    """A text file as a record. Its title is its first line or, if that is too long for a title, the name of the file."""
    content = member.stream.read(LARGEST_RECORD + 1)
    if len(content) > LARGEST_RECORD:
        raise _too_large(member.where)
    try:
        text = content.decode(encoding_of(content, True, member.where))
    except UnicodeDecodeError as error:
        raise _no_text(member.where, error) from None
    first = text.strip().partition("\n")[0].strip().lstrip("#").strip()
    is_title = len(first) <= LONGEST_TITLE and any(map(str.isalnum, first))
    return {"title": first if is_title else Path(member.name).stem, "text": text}


def rows_of_text(stream: io.BufferedReader[Any], where: str, delimiter: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (where, row) of a CSV or TSV stream (RFC 4180), with the names of columns from its first row.

    If a cell of the first row is too long for a name, that row is a row like the others, and columns are named by their
    number, from 0. Raises UserError for a row with more or fewer cells than columns, and for a quote that is not closed.
    """
    head = stream.peek(BLOCK)
    csv.field_size_limit(LARGEST_RECORD)
    line = 0
    try:
        text = io.TextIOWrapper(stream, encoding_of(head, len(head) < BLOCK, where), newline="")
        reader = csv.reader(text, delimiter=_delimiter(head, delimiter), strict=True)
        names: list[str] = []
        for row in reader:
            line = reader.line_num
            if not row:
                continue
            if not names:
                is_heading = all(len(cell) <= LONGEST_HEADING for cell in row)
                names = _names(row, where) if is_heading else [str(place) for place in range(len(row))]
                if is_heading:
                    continue
            if len(row) != len(names):
                raise UserError(f"{where}, line {line}: {len(row)} cells, but {len(names)} columns; correct the row")
            yield f"{where}, line {line}", dict(zip(names, row, strict=True))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}, after line {line}: not {error.encoding.upper()} ({error.reason}); convert the file"
        ) from None
    except csv.Error as error:
        raise UserError(f"{where}, after line {line}: not valid rows ({error}); check its quotes") from None


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


def _parquet(member: Member, work: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with _on_disk(member, work) as path:
        number = 0
        try:
            size = path.stat().st_size
            with pq.ParquetFile(path, buffer_size=BLOCK, pre_buffer=False, page_checksum_verification=True) as file:
                groups = (file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
                _refuse_bomb(sum(groups), size, member.where)
                out = 0
                for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False):
                    out += batch.nbytes
                    _refuse_bomb(out, size, member.where)
                    for row in batch.to_pylist():
                        number += 1
                        yield f"{member.where}, row {number}", row
        except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the system's error, not the file's
            what = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"{member.where}, after row {number}: not valid Parquet ({what}); fetch the file again"
            ) from None


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
