"""Sources of data, read as streams of records: what `fetching` brought is opened in place and becomes rows of a table.

Packages are never imported or installed, and archives never unpacked (`archives`): memory holds one record at a time.
Formats that are met everywhere are told by inspection (`records`); a format of its own kind has a name in params.yaml:

| format | role | what it is |
|---|---|---|
| laws | corpus | SQLite of laws and articles; one record a law in force, headings and articles set as in print |
| articles | documents | the same; one record an article in force |
| chapters | corpus | a JSON list of texts, each a chapter that starts with its title |
| dialogues | instructions | YAML of ChatterBot's corpus: lists of utterances by turns |

What a record gives to a role, by the names of its fields (upper case or lower; `columns` calls others by these names):

| role | fields |
|---|---|
| corpus | text or content; title beside it |
| instructions | conversations, messages or conversation: [{from, value}], [{role, content}] or [{human, assistant}]; |
| | or prompt, query, question or instruction, with response, answer, output, completion or target; |
| | input is added to an instruction; history holds earlier [prompt, response] pairs; system comes first |
| benchmarks | every text within it, however deep |
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Source
from woodblock.sources import archives, records, statutes
from woodblock.sources.fetching import Fetched, hub_parts, shown

IN_FORCE = "现行有效"
SHORTEST_BENCHMARK_STRING = 4  # characters: options (A), labels and numbers say nothing about a question

Row = dict[str, Any]


@dataclass
class Tally:
    """How many records of a source were dropped and mended, by cause; the formats it was found to have, by packing; and
    the last number given under each name."""

    dropped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    formats: set[str] = field(default_factory=set)


def rows(source: Source, fetched: Fetched, role: str, tally: Tally, work: Path) -> Iterator[Row]:
    """Yield the rows of a source for a role: corpus, instructions, documents or benchmarks, as the schemas of `tables`.

    tally is filled as the rows are taken. Ids are <name>-<running number>. work: a folder for what has to lie on disk
    while it is read. Raises UserError for a format that the role does not know, for a broken record (with its line), and
    for a source without any record.
    """
    reader = _READERS.get((role, source.format))
    if reader is None:
        known = [format or "none (by inspection)" for known_role, format in _READERS if known_role == role]
        raise UserError(
            f"{shown(source.url)}: format {source.format or 'none'} gives no {role}; known there: {', '.join(known)}"
        )
    name = source.name or short_name(source.url)
    count = 0
    with closing(reader(source, fetched, tally, work)) as found:
        for record in islice(found, source.max_records):
            count += 1
            tally.numbers[name] += 1
            number = f"{name}-{tally.numbers[name]}"
            match role:
                case "corpus":
                    yield {"id": number, "group": number, "source": name, "weight": source.weight, **record}
                case "instructions":
                    yield {"id": number, "source": name, **record}
                case "benchmarks":
                    yield {"id": number, "benchmark": name, **record}
                case _:
                    yield {"id": number, **record}
    if not count:
        raise UserError(
            f"{shown(source.url)}: it holds no record for {role}; check member and format, or remove the source"
        )


def short_name(url: str) -> str:
    """What a source is called in ids: the package, the data set, or the file without its endings.

    >>> short_name("ms://ddzhu123/seq-monkey/general.jsonl.tar.bz2"), short_name("file://my/texts.jsonl.gz")
    ('seq-monkey', 'texts')
    """
    kind, _, rest = url.partition("://")
    if kind == "pypi":
        return rest.partition("==")[0]
    if kind in ("hf", "ms"):
        return hub_parts(url)[1]
    return unquote(urlsplit(url).path or rest).rstrip("/").rpartition("/")[2].partition(".")[0] or "source"


def _mended(text: str, tally: Tally) -> str:
    """The text with U+FFFD for lone surrogates, which JSON can spell ("\\ud800") and UTF-8 cannot."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        tally.mended["lone_surrogates"] += 1
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# --- records by inspection ---------------------------------------------------------------------------------------------


def _records(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where, record) of each record of a source's members, with its columns called as `columns` has them."""
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
                # Notes beside the data, most likely, which would pass for documents.
                raise UserError(
                    f"{shown(source.url)}: it holds both records ({table_at}) and plain text ({text_at}); "
                    "say in params.yaml which member is meant"
                )
            for where, record in records.records(member, format, work):
                yield where, _renamed(record, source.columns or {}, where)


def _renamed(record: Any, columns: dict[str, str], where: str) -> Any:
    if not columns or not isinstance(record, dict):
        return record
    for theirs in columns.values():
        if theirs not in record:
            raise UserError(f"{where}: the record has no {theirs!r}, {_keys(record)}; mend columns in params.yaml")
    return {**record, **{ours: record[theirs] for ours, theirs in columns.items()}}


def _keys(record: dict[str, Any]) -> str:
    return f"but {', '.join(map(str, record)) or 'nothing'}"


def _object(where: str, record: Any) -> dict[str, Any]:
    """The record with its keys in lower case."""
    if not isinstance(record, dict):
        raise UserError(f"{where}: a JSON {type(record).__name__}, not an object; each record is one object")
    return {str(key).lower(): value for key, value in record.items()}


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if fields.get(name) is not None), None)


def _texts(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for where, record in _records(source, fetched, tally, work):
        fields = _object(where, record)
        text, title = fields.get(_first(fields, ("text", "content")) or "text"), fields.get("title")
        if not isinstance(text, str):
            what = "has no text" if text is None else f"has a text that is a {type(text).__name__}"
            raise UserError(
                f"{where}: the record {what}, {_keys(record)}; name the column of the text under columns in params.yaml, "
                "mend or remove it"
            )
        yield {"title": _mended(title, tally) if isinstance(title, str) else "", "text": _mended(text, tally)}


def _benchmark(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for _, record in _records(source, fetched, tally, work):
        texts = [text for text in _strings(record) if len(text) >= SHORTEST_BENCHMARK_STRING]
        if texts:
            yield {"text": _mended("\n".join(texts), tally)}
        else:
            tally.dropped["no_text"] += 1


def _strings(value: Any) -> Iterator[str]:
    """Every string within a value, in order. Not recursive: JSON may nest deeper than Python calls."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            stack.extend(reversed(value.values()))
        elif isinstance(value, list | tuple):
            stack.extend(reversed(value))


# --- instructions ------------------------------------------------------------------------------------------------------

_ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
}
_CONVERSATIONS = ("messages", "conversations", "conversation", "dialogue")
_PROMPTS = ("prompt", "query", "question", "instruction", "input")
_RESPONSES = ("response", "answer", "output", "completion", "target", "reply")


def _conversations(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for where, record in _records(source, fetched, tally, work):
        fields = _object(where, record)
        name = _first(fields, _CONVERSATIONS)
        messages = _turns(where, fields[name]) if name else _pair(where, fields, record)
        system = fields.get("system")
        if isinstance(system, str) and system.strip() and not (messages and messages[0]["role"] == "system"):
            messages = [_message("system", system), *messages]
        messages = [{**message, "content": _mended(message["content"], tally)} for message in messages]
        if conversation := _well_formed(messages, tally):
            yield {"messages": conversation}


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _turns(where: str, turns: Any) -> list[dict[str, str]]:
    """The messages of a list of turns."""
    if not isinstance(turns, list):
        raise UserError(
            f'{where}: its conversations are no list; a record is {{"conversations": [{{"from", "value"}}, …]}}'
        )
    messages: list[dict[str, str]] = []
    for turn in turns:
        if isinstance(turn, dict) and isinstance(turn.get("human"), str) and isinstance(turn.get("assistant"), str):
            messages += [_message("user", turn["human"]), _message("assistant", turn["assistant"])]
            continue
        speaker = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
        content = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
        if not isinstance(speaker, str) or speaker.lower() not in _ROLES or not isinstance(content, str):
            raise UserError(f'{where}: turn {len(messages) + 1} is no {{"from": "human" or "assistant", "value": "…"}}')
        messages.append(_message(_ROLES[speaker.lower()], content))
    return messages


def _pair(where: str, fields: dict[str, Any], record: dict[str, Any]) -> list[dict[str, str]]:
    """The messages of a record with a prompt and a response, and of what was said before."""
    asked = next((name for name in _PROMPTS if name in fields), None)
    replied = next((name for name in _RESPONSES if name in fields), None)
    if asked is None or replied is None:
        raise UserError(
            f"{where}: the record has no conversations, and no prompt with a response, {_keys(record)}; "
            "name its columns under columns in params.yaml"
        )
    prompt, response = fields[asked], fields[replied]
    if isinstance(prompt, list) and isinstance(response, list):
        return [*_turns(where, prompt), *_turns(where, response)]
    more = fields.get("input") if asked != "input" else None
    for name, value in ((asked, prompt), (replied, response), ("input", more)):
        if not isinstance(value, str | None):
            raise UserError(f"{where}: {name} is a {type(value).__name__}, no text; mend or remove the record")
    prompt = "\n".join(part for part in (prompt, more) if part)
    return [*_history(where, fields.get("history")), _message("user", prompt), _message("assistant", response or "")]


def _history(where: str, pairs: Any) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = []
    for pair in pairs or []:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise UserError(f"{where}: history is no list of [prompt, response]; mend or remove the record")
        messages += [_message("user", pair[0]), _message("assistant", pair[1])]
    return messages


def _well_formed(messages: list[dict[str, str]], tally: Tally) -> list[dict[str, str]] | None:
    """The conversation, less a last question that nobody answers; None, counted by cause, if it teaches nothing.

    What is left is [system,] user, assistant, user, assistant …: the order that a chat template lays out.
    """
    head = 1 if messages and messages[0]["role"] == "system" else 0
    if any(m["role"] != ("user", "assistant")[i % 2] for i, m in enumerate(messages[head:])):
        tally.dropped["turns_out_of_order"] += 1
        return None
    whole = len(messages)
    if whole > head and messages[-1]["role"] == "user":
        messages = messages[:-1]
    if len(messages) == head:
        tally.dropped["no_reply"] += 1
        return None
    if any(not m["content"].strip() for m in messages[head:]):
        tally.dropped["empty_turn"] += 1
        return None
    tally.mended["trailing_questions"] += whole - len(messages)
    return messages


# --- formats of their own kind ------------------------------------------------------------------------------------------


def _dialogues(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    """Conversations of ChatterBot's corpus: YAML files that list conversations, each a list of utterances by turns."""
    with closing(archives.members(fetched, source.url, source.member, (".yml", ".yaml"))) as members:
        for member in members:
            tally.formats.add("dialogues")
            try:
                # The base loader keeps scalars as they are written: "1" and "yes" are utterances here.
                content = yaml.load(member.stream.read(), Loader=yaml.BaseLoader)
            except (yaml.YAMLError, ValueError, RecursionError) as error:
                line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
                raise UserError(f"{member.where}{line}: no valid YAML; mend the file, or name another member") from None
            if not isinstance(content, dict) or not isinstance(content.get("conversations"), list):
                raise UserError(f"{member.where}: no conversations in it; name a member of ChatterBot's form")
            for turns in content["conversations"]:
                if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                    tally.dropped["not_text"] += 1
                    continue
                messages = [
                    {"role": ("user", "assistant")[i % 2], "content": _mended(turn, tally)}
                    for i, turn in enumerate(turns)
                ]
                if conversation := _well_formed(messages, tally):
                    yield {"messages": conversation}


def _chapters(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    """A JSON list of chapters, each a text whose first line is its title, and which is a group of its own."""
    with closing(archives.members(fetched, source.url, source.member, (".json",))) as members:
        for member in members:
            tally.formats.add("chapters")
            where = member.where
            try:
                chapters = json.loads(member.stream.read().decode("utf-8"))
            except (ValueError, RecursionError):
                raise UserError(f"{where}: no valid JSON; chapters are one list of texts") from None
            if not isinstance(chapters, list):
                raise UserError(f"{where}: a JSON {type(chapters).__name__}; chapters are one list of texts")
            for number, text in enumerate(chapters, start=1):
                if not isinstance(text, str):
                    raise UserError(f"{where}: chapter {number} is no text; chapters are one list of texts")
                text = _mended(text, tally)
                title = text.strip().partition("\n")[0].strip()
                yield {"title": title, "group": title, "text": text}


@contextmanager
def _database(source: Source, fetched: Fetched, work: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite database out of an archive: SQLite wants a file, so it lies in `work` while it is read."""
    work.mkdir(parents=True, exist_ok=True)
    copy = work / "database"
    try:
        members = archives.members(fetched, source.url, source.member, (".db", ".sqlite"))
        with closing(members), copy.open("wb") as file:
            shutil.copyfileobj(next(members).stream, file)
        with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.Error as error:
        raise UserError(
            f"{shown(source.url)} ({source.member}): not the database of laws that was expected ({error})"
        ) from None
    finally:
        copy.unlink(missing_ok=True)


def _laws_in_force(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield (law, status, articles) of each law that is in force; the others are counted as superseded.

    What is superseded repeats, nearly word for word, what took its place. Articles that are items of an amendment
    (条目一) are called 第一条, as courts cite them, and marked item; an undivided text is one article 全文, number 0.
    """
    tally.formats.add(source.format)
    with _database(source, fetched, work) as database:
        for law in database.execute("SELECT law_id, law_name, status FROM laws ORDER BY rowid").fetchall():
            if law["status"] != IN_FORCE:
                tally.dropped["superseded"] += 1
                continue
            found = database.execute(
                "SELECT chapter, section, article_no, article_text FROM articles WHERE law_id = ? ORDER BY id",
                (law["law_id"],),
            )
            articles = [_article(source, law["law_name"], dict(article)) for article in found]
            yield law["law_name"], law["status"], articles


def _article(source: Source, law: str, article: Row) -> Row:
    name = article["article_no"]
    item = name.startswith("条目")
    if item:
        name = f"第{name.removeprefix('条目')}条"
    try:
        number = 0 if name == statutes.WHOLE_TEXT else statutes.parse_article_name(name)
    except ValueError:
        raise UserError(f"{shown(source.url)}: {law} has an article {name!r} whose number cannot be read") from None
    return {
        "chapter": article["chapter"] or "",
        "section": article["section"] or "",
        "article": name,
        "number": number,
        "item": item,
        "text": article["article_text"],
    }


def _laws(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for law, _, articles in _laws_in_force(source, fetched, tally, work):
        yield {"title": law, "group": statutes.law_group(law), "text": statutes.render_law(law, articles)}


def _articles(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for law, status, articles in _laws_in_force(source, fetched, tally, work):
        for article in articles:
            heading = f"{article['chapter']} {article['section']}".strip()
            row = {"law": law, "chapter": heading, "article": article["article"], "number": article["number"]}
            yield {**row, "status": status, "text": article["text"]}


_READERS: dict[tuple[str, str | None], Callable[[Source, Fetched, Tally, Path], Iterator[Row]]] = {
    ("corpus", None): _texts,
    ("corpus", "laws"): _laws,
    ("corpus", "chapters"): _chapters,
    ("instructions", None): _conversations,
    ("instructions", "dialogues"): _dialogues,
    ("documents", "articles"): _articles,
    ("benchmarks", None): _benchmark,
}
