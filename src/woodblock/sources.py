"""Sources of data, read as streams of records: what `fetching` brought is opened in place and becomes rows of a table.

Archives are never unpacked to disk, and packages never imported or installed: memory holds one record at a time.
A format says how records are read:

| format | role | what it is |
|---|---|---|
| laws | corpus | SQLite of laws and articles; one record a law in force, headings and articles set as in print |
| articles | documents | the same; one record an article in force |
| chapters | corpus | a JSON list of texts, each a chapter that starts with its title |
| dialogues | instructions | YAML of ChatterBot's corpus: lists of utterances by turns |
| jsonl | corpus | {"text": …} a line, title beside it if there is one |
| jsonl | instructions | {"conversations": [{"from", "value"}, …]} or {"messages": [{"role", "content"}, …]} a line |
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import re
import shutil
import sqlite3
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import yaml

from woodblock import statutes
from woodblock.errors import UserError
from woodblock.fetching import Fetched, hub_parts

IN_FORCE = "现行有效"

MEGABYTE = 1 << 20
Row = dict[str, Any]


@dataclass
class Tally:
    """How many records of a source were dropped and mended, by cause; and the last number given under each name."""

    dropped: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)


# --- opening ----------------------------------------------------------------------------------------------------------

_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)
_TAR = re.compile(r"\.(tar|tar\.(gz|bz2|xz)|tgz|tbz2?|txz)$", re.IGNORECASE)
_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".tbz": bz2.open,
    ".tbz2": bz2.open,
    ".xz": lzma.open,
    ".txz": lzma.open,
}


@contextmanager
def _whole(url: str) -> Iterator[None]:
    """Turn what a damaged file raises into a user's error."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's error (a full disk, say), not the archive's
        raise UserError(
            f"{url}: the file is broken or cut short ({str(error) or type(error).__name__}); "
            "remove .woodblock/downloads, or the local file, and fetch it again"
        ) from None


def streams(
    fetched: Fetched, url: str, member: str | None, endings: tuple[str, ...]
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, binary stream) of each regular file in question, in the order of the archive.

    member: one name in the archive, a folder of it ("data/zh/"), or None for all that have one of the endings. A file
    that is no archive is its own only member. Each stream is to be read before the next is taken: the archive is read
    in one pass, and nothing is unpacked. Raises UserError where nothing answers, or where the archive is broken.
    """
    others: list[str] = []
    found = False
    with _whole(url):
        for name, stream in _members(fetched):
            others = sorted([*others, name], key=lambda other: (not other.endswith(endings), other))[:3]
            if not name or _wanted(name, member, endings):
                found = True
                yield name or fetched.name, stream
    if not found:
        what = f"no {member}" if member else f"no {' or '.join(endings)} file"
        raise UserError(f"{url}: it holds {what}, but {', '.join(others) or 'nothing'}; mend member in params.yaml")


def _read(stream: IO[bytes], url: str) -> bytes:
    with _whole(url):
        return stream.read()


def _wanted(name: str, member: str | None, endings: tuple[str, ...]) -> bool:
    if member is None:
        # "._name" is what a Mac adds to an archive beside the file of that name.
        return name.lower().endswith(endings) and not Path(name).name.startswith(".")
    return name == member or (member.endswith("/") and name.startswith(member) and name.lower().endswith(endings))


def _members(fetched: Fetched) -> Iterator[tuple[str, IO[bytes]]]:
    """Every regular file of an archive, as (name, stream); a file that is no archive is one member without a name."""
    name = fetched.name.lower()
    opener = _OPENERS.get(Path(name).suffix, lambda path: path.open("rb"))
    if name.endswith((".zip", ".whl")):
        with zipfile.ZipFile(fetched.path) as archive:
            for info in archive.infolist():
                kind = info.external_attr >> 28  # of the Unix mode: 8 is a regular file, 0 where the packer gave none
                if not info.is_dir() and kind in (0, 8):
                    with archive.open(info) as stream:
                        yield info.filename, stream
    elif _TAR.search(name):
        # Not tarfile's own "r|bz2": that reads only the first of several bz2 streams, and takes a cut for the end.
        with opener(fetched.path) as raw:
            with tarfile.open(fileobj=raw, mode="r|") as archive:
                for info in archive:
                    archive.members = []  # it would remember them all
                    if info.isreg() and (stream := archive.extractfile(info)):
                        yield info.name, stream
            while raw.read(MEGABYTE):  # to the end, where the checksum stands
                pass
    else:
        with opener(fetched.path) as stream:
            yield "", stream


# --- reading ----------------------------------------------------------------------------------------------------------


def rows(source: Any, fetched: Fetched, role: str, tally: Tally, work: Path) -> Iterator[Row]:
    """Yield the rows of a source for a role: corpus, instructions or documents, as the schemas of `tables` have them.

    tally is filled as the rows are taken. Ids are <name>-<running number>. Raises UserError for a format that the role
    does not know, for a broken record (with its line), and for a source without any record.
    """
    reader = _READERS.get((role, source.format))
    if reader is None:
        known = [format for known_role, format in _READERS if known_role == role]
        raise UserError(f"{source.url}: format {source.format} gives no {role}; known there: {', '.join(known)}")
    name = source.name or short_name(source.url)
    count = 0
    with closing(reader(source, fetched, tally, work)) as records:
        for record in islice(records, source.max_records):
            count += 1
            tally.numbers[name] += 1
            number = f"{name}-{tally.numbers[name]}"
            row = {"id": number, "source": name, **record} if role != "documents" else {"id": number, **record}
            if role == "corpus":
                row.setdefault("group", number)
            yield row
    if not count:
        raise UserError(f"{source.url}: it holds no record for {role}; check member and format, or remove the source")


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


def json_lines(stream: IO[bytes], where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON Lines stream, one line in memory at a time; skip blank lines.

    Raises UserError naming `where` and the line for text that is no UTF-8, no JSON, or no object.
    """
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.isspace() or not line:
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(
                f"{where}, line {number}: no UTF-8 ({error.reason}, byte {error.start}); convert the file"
            ) from None
        except (ValueError, RecursionError) as error:
            what = getattr(error, "msg", None) or str(error)
            raise UserError(f"{where}, line {number}: no JSON ({what}); each line is one object") from None
        if not isinstance(record, dict):
            raise UserError(
                f"{where}, line {number}: a JSON {type(record).__name__}, not an object; each line is one record"
            )
        yield number, record


def _mended(text: str, tally: Tally) -> str:
    """The text with U+FFFD for lone surrogates, which JSON can spell ("\\ud800") and UTF-8 cannot."""
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        tally.mended["lone_surrogates"] += 1
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _jsonl(source: Any, fetched: Fetched) -> Iterator[tuple[str, dict[str, Any]]]:
    with closing(streams(fetched, source.url, source.member, (".jsonl", ".json"))) as members:
        for name, stream in members:
            where = source.url if name == fetched.name else f"{source.url} ({name})"
            with _whole(source.url):
                for number, record in json_lines(stream, where):
                    yield f"{where}, line {number}", record


def _texts(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for where, record in _jsonl(source, fetched):
        text, title = record.get("text"), record.get("title")
        if not isinstance(text, str):
            what = "has no text" if text is None else f"has a text that is a {type(text).__name__}"
            raise UserError(f'{where}: the record {what}; a corpus record is {{"text": "…"}}: mend or remove it')
        yield {"title": _mended(title, tally) if isinstance(title, str) else "", "text": _mended(text, tally)}


_ROLES = {"human": "user", "user": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}


def _conversations(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for where, record in _jsonl(source, fetched):
        turns = record.get("conversations", record.get("messages"))
        if not isinstance(turns, list):
            raise UserError(
                f'{where}: the record has no conversations; it is {{"conversations": [{{"from", "value"}}, …]}}'
            )
        messages = []
        for turn in turns:
            speaker = turn.get("from", turn.get("role")) if isinstance(turn, dict) else None
            content = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
            if not isinstance(speaker, str) or speaker not in _ROLES or not isinstance(content, str):
                raise UserError(
                    f'{where}: turn {len(messages) + 1} is no {{"from": "human" or "assistant", "value": "…"}}'
                )
            messages.append({"role": _ROLES[speaker], "content": _mended(content, tally)})
        if conversation := _well_formed(messages, tally):
            yield {"messages": conversation}


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


def _dialogues(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    """Conversations of ChatterBot's corpus: YAML files that list conversations, each a list of utterances by turns."""
    with closing(streams(fetched, source.url, source.member, (".yml", ".yaml"))) as members:
        for name, stream in members:
            try:
                # The base loader keeps scalars as they are written: "1" and "yes" are utterances here.
                content = yaml.load(_read(stream, source.url), Loader=yaml.BaseLoader)
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
                raise UserError(
                    f"{source.url} ({name}{line}): no valid YAML; mend the file, or name another member"
                ) from None
            if not isinstance(content, dict) or not isinstance(content.get("conversations"), list):
                raise UserError(f"{source.url} ({name}): no conversations in it; name a member of ChatterBot's form")
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


def _chapters(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    """A JSON list of chapters, each a text whose first line is its title, and which is a group of its own."""
    with closing(streams(fetched, source.url, source.member, (".json",))) as members:
        for name, stream in members:
            where = f"{source.url} ({name})"
            try:
                chapters = json.loads(_read(stream, source.url).decode("utf-8"))
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
def _database(source: Any, fetched: Fetched, work: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite database out of an archive: SQLite wants a file, so it lies in `work` while it is read."""
    work.mkdir(parents=True, exist_ok=True)
    copy = work / "database"
    try:
        with closing(streams(fetched, source.url, source.member, (".db", ".sqlite"))) as members:
            _, stream = next(members)
            with _whole(source.url), copy.open("wb") as file:
                shutil.copyfileobj(stream, file)
        with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.Error as error:
        raise UserError(
            f"{source.url} ({source.member}): not the database of laws that was expected ({error})"
        ) from None
    finally:
        copy.unlink(missing_ok=True)


def _laws_in_force(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield (law, status, articles) of each law that is in force; the others are counted as superseded.

    What is superseded repeats, nearly word for word, what took its place. Articles that are items of an amendment
    (条目一) are called 第一条, as courts cite them, and marked item; an undivided text is one article 全文, number 0.
    """
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


def _article(source: Any, law: str, article: Row) -> Row:
    name = article["article_no"]
    item = name.startswith("条目")
    if item:
        name = f"第{name.removeprefix('条目')}条"
    try:
        number = 0 if name == statutes.WHOLE_TEXT else statutes.parse_article_name(name)
    except ValueError:
        raise UserError(f"{source.url}: {law} has an article {name!r} whose number cannot be read") from None
    return {
        "chapter": article["chapter"] or "",
        "section": article["section"] or "",
        "article": name,
        "number": number,
        "item": item,
        "text": article["article_text"],
    }


def _laws(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for law, _, articles in _laws_in_force(source, fetched, tally, work):
        yield {"title": law, "group": statutes.law_group(law), "text": statutes.render_law(law, articles)}


def _articles(source: Any, fetched: Fetched, tally: Tally, work: Path) -> Iterator[Row]:
    for law, status, articles in _laws_in_force(source, fetched, tally, work):
        for article in articles:
            heading = f"{article['chapter']} {article['section']}".strip()
            row = {"law": law, "chapter": heading, "article": article["article"], "number": article["number"]}
            yield {**row, "status": status, "text": article["text"]}


_READERS: dict[tuple[str, str], Callable[[Any, Fetched, Tally, Path], Iterator[Row]]] = {
    ("corpus", "laws"): _laws,
    ("corpus", "chapters"): _chapters,
    ("corpus", "jsonl"): _texts,
    ("instructions", "dialogues"): _dialogues,
    ("instructions", "jsonl"): _conversations,
    ("documents", "articles"): _articles,
}
