"""Known-item queries: questions whose right passage is known, because they are made from it.

They measure whether an index finds its own passages again. They are easier than questions that people ask in their own
words, but they cost nothing: nobody has to judge which passages are relevant (Azzopardi, de Rijke & Balog 2007, Building
Simulated Queries for Known-Item Topics). There are three kinds, equally many of each:

fragment  a clause of 8 to 30 characters, quoted in a question; every passage with this clause is right
number    law and number, in the ways that people write them; that article is right
memory    a half-remembered article: its clauses in another order, with only 40 % of their character pairs;
          every passage with the same text is right
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice, zip_longest
from typing import Any, TypeVar

import pandas as pd

from woodblock.base.errors import UserError
from woodblock.evaluation import statistics
from woodblock.retrieval.bm25 import Index
from woodblock.sources.statutes import cite, short_name

Key = TypeVar("Key", bound=Hashable)

DEPTH = 10  # how many of the best passages are looked at
KEPT = 0.4  # of the character pairs, in a query of the kind `memory`
FEWEST_PAIRS = 4  # in a query of the kind `memory`: eight characters
MOST_PAIRS = 30

_CLAUSE = re.compile(r"[^，。；：、！？…“”‘’\"'《》〈〉（）()\s]+")
_NUMBERED = re.compile(r"第[零一二三四五六七八九十百千万]+条")

ABOUT_A_CLAUSE = (
    "“{}”是哪部法律规定的？",
    "{}，法律上是怎么说的？",
    "哪一条规定了{}？",
    "请问“{}”出自哪里？",
)
BY_NUMBER = (
    lambda law, article, number: f"{short_name(law)}{article}是怎么规定的？",
    lambda law, article, number: f"{cite(law, article)}的内容是什么？",
    lambda law, article, number: f"{short_name(law)}第{number}条说了什么？",
    lambda law, article, number: f"请告诉我{cite(short_name(law), article)}。",
)


@dataclass(frozen=True)
class Query:
    """A question, and the ids of the passages that are right answers to it."""

    kind: str
    text: str
    right: frozenset[int]


def draw(passages: pd.DataFrame, count: int, seed: int) -> list[Query]:
    """Draw `count` queries, the kinds in turn; fewer if the passages do not give so many.

    passages: with law, article, number and text; a passage's id is its place. Deterministic in passages and seed.
    Raises UserError where no query can be made.
    """
    texts, places = list(passages["text"]), _Places(passages["text"])
    laws, articles, numbers = (list(passages[name]) for name in ("law", "article", "number"))

    def fragment(rng: random.Random, i: int) -> Query | None:
        clauses = [clause for clause in _CLAUSE.findall(texts[i]) if 8 <= len(clause) <= 30]
        if not clauses:
            return None
        clause = rng.choice(clauses)
        return Query("fragment", rng.choice(ABOUT_A_CLAUSE).format(clause), places.holding(clause))

    def number(rng: random.Random, i: int) -> Query | None:
        if not _NUMBERED.fullmatch(articles[i]):
            return None
        text = rng.choice(BY_NUMBER)(laws[i], articles[i], numbers[i])
        return Query("number", text, frozenset(same_place[laws[i], articles[i]]))

    def memory(rng: random.Random, i: int) -> Query | None:
        text = half_remembered(texts[i], rng)
        return Query("memory", text, frozenset(same_text[texts[i]])) if text else None

    same_text, same_place = _group(texts), _group(zip(laws, articles, strict=True))
    # Each kind has a random generator of its own, so that a change to one kind does not change the queries of the others.
    kinds = [_drawn(make, len(texts), random.Random(f"{seed} {make.__name__}")) for make in (fragment, number, memory)]
    in_turn = chain.from_iterable(zip_longest(*kinds))
    queries = list(islice((query for query in in_turn if query is not None), count))
    if not queries:
        raise UserError(
            "no query can be made from these documents: none has an article number or enough text; add longer documents"
        )
    return queries


def half_remembered(text: str, rng: random.Random) -> str | None:
    """What a reader might remember of a text; None where that is too little for a query.

    Every clause is cut into pairs of characters. Each pair is kept with probability KEPT, and the clauses are shuffled.
    At most MOST_PAIRS pairs are kept: nobody types more.
    """
    clauses = _CLAUSE.findall(text)
    rng.shuffle(clauses)
    pieces, pairs = [], 0
    for clause in clauses:
        kept = [clause[i : i + 2] for i in range(0, len(clause), 2) if rng.random() < KEPT][: MOST_PAIRS - pairs]
        pairs += len(kept)
        if kept:
            pieces.append("".join(kept))
    return " ".join(pieces) if pairs >= FEWEST_PAIRS else None


def ranks(index: Index, queries: list[Query]) -> list[int]:
    """The rank of the first right passage of each query, from 1; 0 where none is among the first DEPTH."""
    found, _ = index.search([query.text for query in queries], DEPTH)
    return [
        next((rank for rank, passage in enumerate(row, 1) if passage in query.right), 0)
        for row, query in zip(found.tolist(), queries, strict=True)
    ]


def scores(ranks: list[int], name: str = "recall") -> dict[str, Any]:
    """recall@1 and recall@10 with their standard errors, and mrr@10. name: another word than recall; where a query has
    several right passages, of which one is enough, it is a hit.

    recall@k: the share of queries with a right passage among the first k. mrr@10: the mean of 1 / rank of the first right
    passage, where a query counts 0 if none is among the first ten.
    """
    result: dict[str, Any] = {"queries": len(ranks), "mrr@10": sum(1 / rank for rank in ranks if rank) / len(ranks)}
    for depth in (1, DEPTH):
        share = sum(0 < rank <= depth for rank in ranks) / len(ranks)
        result[f"{name}@{depth}"] = share
        result[f"{name}@{depth}_stderr"] = statistics.share_stderr(share, len(ranks))
    return result


def _drawn(make: Callable[[random.Random, int], Query | None], count: int, rng: random.Random) -> Iterator[Query]:
    """Queries made of passages in random order, each passage once."""
    return (query for i in rng.sample(range(count), count) if (query := make(rng, i)) is not None)


def _group(keys: Iterable[Key]) -> dict[Key, list[int]]:
    groups: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return groups


class _Places:
    """Finds the texts that contain a string, in one scan of all of them."""

    def __init__(self, texts: pd.Series) -> None:
        self._joined = "\0".join(texts)
        self._starts = [0, *accumulate(len(text) + 1 for text in texts)]

    def holding(self, string: str) -> frozenset[int]:
        found, at = set(), self._joined.find(string)
        while at >= 0:
            place = bisect_right(self._starts, at) - 1
            found.add(place)
            at = self._joined.find(string, self._starts[place + 1])
        return frozenset(found)
