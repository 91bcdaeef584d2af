"""Known-item queries: each is made from what is right, and nothing that is right is counted wrong."""

from __future__ import annotations

import random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.base.errors import UserError
from woodblock.retrieval import known_items
from woodblock.retrieval.bm25 import Index
from woodblock.retrieval.known_items import KEPT, draw, half_remembered, ranks, scores
from woodblock.sources.statutes import article_name

SHARED_CLAUSE = "应当依法承担民事责任"
SUBJECTS = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"


def passages() -> pd.DataFrame:
    texts = [f"{a}{b}机关和{b}{a}组织应当{a}{b}{a}，{SHARED_CLAUSE}。" for a in SUBJECTS[:6] for b in SUBJECTS[6:16]]
    texts[-1] = texts[-2]  # two articles of one text
    count = len(texts)
    return pd.DataFrame(
        {
            "law": ["中华人民共和国甲法"] * 30 + ["乙条例"] * (count - 30),
            "chapter": [""] * count,
            "article": [*map(article_name, range(1, 31)), *map(article_name, range(1, count - 29))],
            "number": [*range(1, 31), *range(1, count - 29)],
            "text": texts,
        }
    )


def test_kinds_take_turns_and_what_is_right_is_right():
    frame = passages()
    queries = draw(frame, 90, seed=1)
    assert [query.kind for query in queries[:3]] == ["fragment", "number", "memory"]
    assert len(queries) == 90
    for query in queries:
        assert query.right
        right = frame.iloc[sorted(query.right)]
        if query.kind == "memory":
            assert right["text"].nunique() == 1
            assert len(right) == (frame["text"] == right["text"].iloc[0]).sum()
        if query.kind == "number":
            assert len(right) == 1
            assert right["article"].iloc[0] in query.text or str(right["number"].iloc[0]) in query.text
    shared = [query for query in queries if query.kind == "fragment" and SHARED_CLAUSE in query.text]
    assert shared and all(len(query.right) == len(frame) for query in shared)


def test_drawing_is_decided_by_the_seed():
    assert draw(passages(), 60, seed=1) == draw(passages(), 60, seed=1)
    assert draw(passages(), 60, seed=1) != draw(passages(), 60, seed=2)
    assert draw(passages(), 30, seed=1) == draw(passages(), 60, seed=1)[:30]


def test_fewer_passages_give_fewer_queries():
    assert 2 * len(passages()) < len(draw(passages(), 10_000, seed=1)) <= 3 * len(passages())


def test_documents_without_numbers_or_clauses_are_an_error():
    frame = pd.DataFrame({"law": ["甲"], "chapter": [""], "article": ["全文"], "number": [0], "text": ["短。"]})
    with pytest.raises(UserError, match="no query can be made from these documents"):
        draw(frame, 10, seed=1)


@given(st.lists(st.text(alphabet="天地玄黄宇宙洪荒", min_size=1, max_size=20), max_size=12), st.integers(0, 10**6))
def test_memory_keeps_pairs_of_the_text(clauses, seed):
    text = "，".join(clauses)
    remembered = half_remembered(text, random.Random(seed))
    assert remembered is None or len(remembered.replace(" ", "")) <= 2 * known_items.MOST_PAIRS
    pairs = [clause[i : i + 2] for clause in clauses for i in range(0, len(clause), 2)]
    for piece in (remembered or "").split():
        assert all(piece[i : i + 2] in pairs for i in range(0, len(piece) - 1, 2))


def test_memory_keeps_the_share_that_it_says():
    rng = random.Random(0)
    text = "，".join(SUBJECTS[i : i + 10] for i in range(0, 20, 10))
    kept = [len((half_remembered(text, rng) or "").replace(" ", "")) for _ in range(3000)]
    # Queries below FEWEST_PAIRS are dropped, so the mean of those that remain lies above KEPT.
    remaining = [count for count in kept if count]
    assert KEPT * 20 < sum(remaining) / len(remaining) < 1.4 * KEPT * 20


def test_scores_of_ranks():
    found = scores([1, 2, 0, 10])
    assert found["recall@1"] == 0.25
    assert found["recall@10"] == 0.75
    assert found["mrr@10"] == pytest.approx((1 + 0.5 + 0.1) / 4)
    assert found["recall@1_stderr"] == pytest.approx((0.25 * 0.75 / 4) ** 0.5)
    assert found["queries"] == 4


def test_ranks_count_from_one():
    index = Index.build(passages(), 1.2, 0.75)
    queries = draw(index.passages, 60, seed=3)
    found = ranks(index, queries)
    ids, _ = index.search([query.text for query in queries], 10)
    for query, rank, row in zip(queries, found, ids.tolist(), strict=True):
        if rank:
            assert row[rank - 1] in query.right
        assert not set(row[: (rank or 11) - 1]) & query.right
    assert all(rank == 1 for query, rank in zip(queries, found, strict=True) if query.kind == "number")
