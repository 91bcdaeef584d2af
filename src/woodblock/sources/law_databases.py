"""Databases of laws, in SQLite: each law in force becomes a record, or each of its articles."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Source
from woodblock.sources import archives, statutes
from woodblock.sources.addresses import shown
from woodblock.sources.inspection import Row, Rows, Tally
from woodblock.sources.known_files import Fetched

IN_FORCE = "现行有效"


def laws_in_force(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Yield title, group and text of each law in force, its headings and articles set as in print."""
    for law, _, articles in _law_by_law(source, fetched, tally, work):
        yield {"title": law, "group": statutes.law_group(law), "text": statutes.render_law(law, articles)}


def articles_in_force(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Rows:
    """Yield each article of the laws in force, with law, chapter and number."""
    for law, status, articles in _law_by_law(source, fetched, tally, work):
        for article in articles:
            heading = f"{article['chapter']} {article['section']}".strip()
            row = {"law": law, "chapter": heading, "article": article["article"], "number": article["number"]}
            yield {**row, "status": status, "text": article["text"]}


def _law_by_law(source: Source, fetched: Fetched, tally: Tally, work: Path) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield (law, status, articles) of each law that is in force; the others are counted as superseded.

    A superseded law is nearly word for word the law that replaced it. Articles that are items of an amendment (条目一)
    are called 第一条, as courts cite them, and marked item. An undivided text is one article 全文, number 0.
    """
    tally.formats.add(str(source.format))
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


@contextmanager
def _database(source: Source, fetched: Fetched, work: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite database from an archive. SQLite needs a file, so a copy is in `work` while it is read."""
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
            f"{shown(source.url)} ({source.member}): this is not a database of laws in the expected format ({error}); "
            "check member in params.yaml"
        ) from None
    finally:
        copy.unlink(missing_ok=True)
