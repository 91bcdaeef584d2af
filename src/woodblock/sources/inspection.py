"""Inspection: read the records of a source whatever its format, and count what was dropped or repaired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Column, Source
from woodblock.sources import archives, records
from woodblock.sources.addresses import shown
from woodblock.sources.known_files import Fetched

Row = dict[str, Any]
Rows = Generator[Row, None, None]  # closed when no more rows are wanted


@dataclass
class Tally:
    """How many records of a source were dropped or repaired, by cause; the formats that were found, with their packing;
    and the last number given under each name."""

    dropped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    formats: set[str] = field(default_factory=set)


def inspected(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where, record) of each record of a source's members, with the column names that `columns` gives them.

    `records.format_of` recognises each member's format; tally is filled while the records are taken. work: a folder for
    what must be on disk while it is read. Raises UserError for what cannot be read, and for plain text beside records.
    """
    text_at: str | None = None
    table_at: str | None = None
    with closing(archives.members(fetched, source.url, source.member, records.ENDINGS)) as members:
        for member in members:
            format = records.format_of(member)
            tally.formats.add(f"{format} ({member.packing})" if member.packing else format)
            if format == "text":
                text_at = text_at or member.where
            else:
                table_at = table_at or member.where
            if text_at and table_at and source.member is None:
                # The text is most likely a note about the data. It must not be read as a document.
                raise UserError(
                    f"{shown(source.url)}: contains both records ({table_at}) and plain text ({text_at}); "
                    "name the member to read in params.yaml"
                )
            for where, record in records.records(member, format, work):
                yield where, _renamed(record, source.columns or {}, where)


def _renamed(record: Any, columns: Mapping[Column, str], where: str) -> Any:
    if not columns or not isinstance(record, dict):
        return record
    for theirs in columns.values():
        if theirs not in record:
            raise UserError(
                f"{where}: the record has no {theirs!r}, {its_keys(record)}; correct columns in params.yaml"
            )
    return {**record, **{ours: record[theirs] for ours, theirs in columns.items()}}


def fields_of(where: str, record: Any) -> dict[str, Any]:
    """The record with its keys in lower case. Raises UserError for one that is not an object."""
    if not isinstance(record, dict):
        raise UserError(f"{where}: a JSON {type(record).__name__}, not an object; each record must be an object")
    return {str(key).lower(): value for key, value in record.items()}


def first_given(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of the names under which a record has a value."""
    return next((name for name in names if fields.get(name) is not None), None)


def its_keys(record: dict[str, Any]) -> str:
    """For an error about a field that a record lacks: the names of the fields that it has."""
    return f"but {', '.join(map(str, record)) or 'nothing'}"


def encodable(text: str, tally: Tally) -> str:
    """The text with U+FFFD for lone surrogates, which JSON can write ("\\ud800") and UTF-8 cannot; they are counted."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        tally.mended["lone_surrogates"] += 1
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
