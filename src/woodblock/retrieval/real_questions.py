"""Questions that people asked in their own words, with the articles that answer them: a harder test than known items.

The file has a JSON object a line: `question`, and `gold`, the articles that answer it: a dictionary of names and texts, a
list of names, or one name. A name is the law's and the article's together: 中华人民共和国民法典第一千零三条. So STARD (Su et
al. 2024) has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from woodblock.base.digests import digest
from woodblock.base.errors import UserError
from woodblock.retrieval.known_items import Query
from woodblock.sources.statutes import short_name

KIND = "real"


def read(path: Path, sha256: str | None) -> list[tuple[str, dict[str, str]]]:
    """The questions of a file, each with its articles: names and texts, which are empty where the file has only names.

    Raises UserError, with the line, for a file that is not there, is not what sha256 says, or has another form.
    """
    if not path.is_file():
        raise UserError(f"rag_eval.questions: {path} is not there; give another file, or null")
    if (found := digest(path)) != sha256:
        raise UserError(
            f"rag_eval.questions: {path} has the sha256 {found}, but rag_eval.questions_sha256 says {sha256}; write the sum "
            "of the file you mean, so that the stage runs again when the file changes"
        )
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            question, gold = record["question"], _named(record["gold"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"rag_eval.questions: line {number} of {path} has no question with its articles ({error!r}); a line is "
                '{"question": "…", "gold": {"law and article": "text"}}'
            ) from None
        questions.append((question, gold))
    return questions


def _named(gold: Any) -> dict[str, str]:
    if isinstance(gold, str):
        return {gold: ""}
    if isinstance(gold, list):
        return dict.fromkeys(map(str, gold), "")
    return {name: str(text) for name, text in gold.items()}


def find(questions: list[tuple[str, dict[str, str]]], passages: pd.DataFrame) -> list[Query]:
    """A query for each question of which an article is among the passages, by its name or its text; the others are left
    out: no search could find what is not in the index.

    passages: with law, article and text; a passage's id is its place. A law may have its short name or its full one. Texts
    are compared without spaces and punctuation. Raises UserError where no question has an article there.
    """
    names: dict[str, set[int]] = {}
    texts: dict[str, set[int]] = {}
    columns = (passages[name] for name in ("law", "article", "text"))
    for place, (law, article, text) in enumerate(zip(*columns, strict=True)):
        names.setdefault(_plain_name(law + article), set()).add(place)
        texts.setdefault(_plain(text), set()).add(place)
    queries = [Query(KIND, question, _places(gold, names, texts)) for question, gold in questions]
    if not (found := [query for query in queries if query.right]):
        raise UserError(
            f"rag_eval.questions: none of its {len(questions)} questions has its article among the {len(passages)} passages "
            "of the index; add the laws to download.documents, or set it to null"
        )
    return found


def _places(gold: Mapping[str, str], names: Mapping[str, set[int]], texts: Mapping[str, set[int]]) -> frozenset[int]:
    places: set[int] = set()
    for name, text in gold.items():
        places |= names.get(_plain_name(name), set())
        places |= texts.get(_plain(text), set()) if _plain(text) else set()
    return frozenset(places)


def _plain_name(name: str) -> str:
    """A name without 《》, 中华人民共和国 and the year or version in brackets."""
    return short_name(re.sub(r"[《》\s]|[（(][^）)]*(?:年|修正|修订)[^）)]*[）)]", "", name))


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)
