"""Sources of data, read as streams of records: what `fetching` brought becomes rows of a table.

Packages are never imported or installed, and archives never unpacked (`archives`): memory holds one record at a time.
Common formats are recognised by inspection (`records`). A special format has a name in params.yaml:

| format | role | what it is |
|---|---|---|
| laws | corpus | SQLite of laws and articles; one record a law in force, headings and articles set as in print |
| articles | documents | the same; one record an article in force |
| chapters | corpus | a JSON list of texts, each a chapter that starts with its title |
| dialogues | instructions | YAML of ChatterBot's corpus: lists of turns |

The fields that a role reads from a record (in upper or lower case; `columns` maps other names to these):

| role | fields |
|---|---|
| corpus | text or content; title beside it |
| instructions | conversations, messages or conversation: [{from, value}], [{role, content}] or [{human, assistant}]; |
| | or prompt, query, question or instruction, with response, answer, output, completion or target; |
| | input is added to an instruction; history holds earlier [prompt, response] pairs; system comes first |
| benchmarks | every text that is asked about, at any depth, by the names of the fields (`benchmark_records`) |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Source
from woodblock.sources import archives, benchmark_records, instruction_records, law_databases
from woodblock.sources.addresses import short_name, shown
from woodblock.sources.decoding import decode
from woodblock.sources.inspection import (
    Row,
    Rows,
    Tally,
    beginning_of,
    each,
    encodable,
    fields_of,
    first_given,
    its_keys,
)
from woodblock.sources.known_files import Fetched
from woodblock.sources.records import BadRecord


def rows(source: Source, fetched: Fetched, role: str, tally: Tally, work: Path) -> Iterator[Row]:
    """Yield the rows of a source for a role (corpus, instructions, documents or benchmarks), as in the schemas of `tables`.

    A document without a group of its own (a law, a chapter) has the group "": dedup groups it by its content.
    tally is filled while the rows are taken. Ids are <name>-<running number>. work: a folder for what must be on disk
    while it is read. Raises UserError for a format that the role cannot use, for a broken record (with its line) unless
    `bad_records` of the source allows it, and for a source without any record.
    """
    reader = _READERS.get((role, source.format))
    if reader is None:
        known = [format or "none (by inspection)" for known_role, format in _READERS if known_role == role]
        raise UserError(
            f"{shown(source.url)}: format {source.format or 'none'} cannot be used for {role}; formats for this role: "
            f"{', '.join(known)}"
        )
    name = source.name or short_name(source.url)
    tally.bad_records = source.bad_records
    count = 0
    with closing(reader(source, fetched, tally, work)) as found:
        for record in islice(found, source.max_records):
            count += 1
            tally.numbers[name] += 1
            number = f"{name}-{tally.numbers[name]}"
            match role:
                case "corpus":
                    yield {"id": number, "group": "", "source": name, "weight": source.weight, **record}
                case "instructions":
                    yield {"id": number, "source": name, "weight": source.weight, **record}
                case "benchmarks":
                    yield {"id": number, "benchmark": name, **record}
                case _:
                    yield {"id": number, **record}
    tally.check_share()
    if not count:
        lost = ", ".join(f"{count:,} {cause.replace('_', ' ')}" for cause, count in sorted((+tally.dropped).items()))
        raise UserError(
            f"{shown(source.url)}: contains no record for {role}{f' (dropped: {lost})' if lost else ''}; check member and "
            "format, or remove the source"
        )


def _texts(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    def row(record: Any) -> Row:
        fields = fields_of(record)
        text, title = fields.get(first_given(fields, ("text", "content")) or "text"), fields.get("title")
        if not isinstance(text, str):
            what = "has no text" if text is None else f"has a text that is a {type(text).__name__}"
            raise BadRecord(
                f"the record {what}, {its_keys(record)}",
                "name the column of the text under columns in params.yaml, or correct or remove the record",
            )
        return {"title": encodable(title, tally) if isinstance(title, str) else "", "text": encodable(text, tally)}

    yield from each(source, fetched, tally, work, row)


def _chapters(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """A JSON list of chapters. Each is a text whose first line is its title; each is a group of its own."""
    with closing(archives.members(fetched, source.url, source.member, (".json",), tally.skipped)) as members:
        for member in members:
            tally.formats.add("chapters")
            where = member.where
            try:
                chapters = json.loads(decode(member.stream.read()))
            except (ValueError, RecursionError):
                raise UserError(f"{where}: not valid JSON; chapters must be one list of texts") from None
            if not isinstance(chapters, list):
                raise UserError(f"{where}: a JSON {type(chapters).__name__}; chapters must be one list of texts")
            for number, text in enumerate(chapters, start=1):
                if not isinstance(text, str):
                    bad = BadRecord(f"chapter {number} is not text", "chapters must be one list of texts")
                    tally.refuse(where, bad, beginning_of(text))
                    continue
                tally.read += 1
                text = encodable(text, tally)
                title = text.strip().partition("\n")[0].strip()
                yield {"title": title, "group": title, "text": text}


_READERS: dict[tuple[str, str | None], Callable[[Source, Fetched, Tally, Path], Rows]] = {
    ("corpus", None): _texts,
    ("corpus", "laws"): law_databases.laws_in_force,
    ("corpus", "chapters"): _chapters,
    ("instructions", None): instruction_records.conversations,
    ("instructions", "dialogues"): instruction_records.dialogues,
    ("documents", "articles"): law_databases.articles_in_force,
    ("benchmarks", None): benchmark_records.questions,
}
