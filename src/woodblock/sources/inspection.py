"""Inspection: read the records of a source whatever its format, and count what was dropped or repaired."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Column, Source
from woodblock.sources import archives, records
from woodblock.sources.addresses import shown
from woodblock.sources.known_files import Fetched
from woodblock.sources.records import BadRecord

BAD_SAMPLES = 10  # bad records of a source that are shown
ONLY_BAD = 1000  # after so many bad records and no good one, the source is refused
Row = dict[str, Any]
Rows = Generator[Row, None, None]  # closed when no more rows are wanted


@dataclass
class Tally:
    """How many records of a source were dropped or repaired, by cause; the formats that were found, with their packing;
    the files that were skipped, by kind; the last number given under each name; and the bad records.

    read: records that were read, bad ones not among them. bad_samples: where a bad record is, what is wrong with it, and
    how it begins.
    """

    bad_records: float = 0.0  # the share of all records that may be bad
    dropped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    formats: set[str] = field(default_factory=set)
    read: int = 0
    bad: int = 0
    bad_samples: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, where: str, bad: BadRecord, beginning: bytes | str = "", records: int = 1) -> None:
        """Count a bad record, or several that are lost together. Raises UserError where bad_records allows none."""
        if not self.bad_records:
            raise UserError(
                f"{where}: {bad.what}; {bad.way_out}, or skip and count such records: set bad_records of this source in "
                "params.yaml to the share that may be bad, such as 0.001"
            )
        self.bad += records
        if len(self.bad_samples) < BAD_SAMPLES:
            text = beginning.decode("utf-8", "replace") if isinstance(beginning, bytes) else beginning
            text = text[:200].encode("utf-8", "replace").decode("utf-8")
            self.bad_samples.append({"where": where, "reason": bad.what, "beginning": text})
        if self.bad >= ONLY_BAD and not self.read:
            self.check_share()

    def check_share(self) -> None:
        """Raises UserError where more records are bad than bad_records allows."""
        if self.bad and self.bad > self.bad_records * (self.read + self.bad):
            first = self.bad_samples[0]
            raise UserError(
                f"{first['where']}: {first['reason']}; {self.bad:,} of {self.read + self.bad:,} records are bad, a share of "
                f"{self.bad / (self.read + self.bad):.4g}, but bad_records of this source is {self.bad_records:g}; correct "
                "the file, or raise bad_records"
            )


def inspected(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where, record) of each record of a source's members, with the column names that `columns` gives them.

    `records.format_of` recognises each member's format; tally is filled while the records are taken, and bad ones are
    refused by it. work: a folder for what must be on disk while it is read. Raises UserError for what cannot be read, and
    for plain text beside records.
    """
    text_at: str | None = None
    table_at: str | None = None
    wanted = archives.members(fetched, source.url, source.member, records.ENDINGS, tally.skipped)
    with closing(wanted) as members:
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
            for where, record in records.records(member, format, work, tally.refuse):
                try:
                    renamed = _renamed(record, source.columns or {})
                except BadRecord as bad:
                    tally.refuse(where, bad, beginning_of(record))
                else:
                    tally.read += 1
                    yield where, renamed


def each(
    source: Source, fetched: Fetched, tally: Tally, work: Path, read: Callable[[Any], Row | None]
) -> Iterator[Row]:
    """Yield what `read` makes of each record that `inspected` finds; None is left out.

    A record for which it raises BadRecord is refused by the tally.
    """
    for where, record in inspected(source, fetched, tally, work):
        try:
            row = read(record)
        except BadRecord as bad:
            tally.read -= 1
            tally.refuse(where, bad, beginning_of(record))
        else:
            if row is not None:
                yield row


def beginning_of(record: Any) -> str:
    """The beginning of a record, as a sample shows it."""
    return json.dumps(record, ensure_ascii=False, default=str)[:200]


def _renamed(record: Any, columns: Mapping[Column, str]) -> Any:
    if not columns or not isinstance(record, dict):
        return record
    for theirs in columns.values():
        if theirs not in record:
            raise BadRecord(f"the record has no {theirs!r}, {its_keys(record)}", "correct columns in params.yaml")
    return {**record, **{ours: record[theirs] for ours, theirs in columns.items()}}


def fields_of(record: Any) -> dict[str, Any]:
    """The record with its keys in lower case. Raises BadRecord for one that is not an object."""
    if not isinstance(record, dict):
        raise BadRecord(f"a JSON {type(record).__name__}, not an object", "each record must be an object")
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
