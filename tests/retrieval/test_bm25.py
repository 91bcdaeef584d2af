"""The index against BM25 written out plainly, against bm25s, and against itself built and stored in other ways."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.base.digests import digest
from woodblock.base.errors import UserError
from woodblock.retrieval import bm25
from woodblock.retrieval.bm25 import Index, citations, count_terms, normalize, passage_text, top_k
from woodblock.tables import parquet

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
K1, B = 1.2, 0.75

# Few characters, so that terms repeat within and across texts.
TEXTS = st.lists(st.text(alphabet="法律人民权义务第一条a1Ａ，。 \n\0", max_size=40), min_size=1, max_size=12)


def passages_of(texts: list[str], **columns: list) -> pd.DataFrame:
    count = len(texts)
    given = {"law": ["某法"] * count, "chapter": [""] * count, "article": [""] * count, "number": [0] * count}
    return pd.DataFrame({**given, "text": texts, **columns})


def plain_terms(text: str) -> Counter[str]:
    """Characters, bigrams and words, read one by one."""
    text = unicodedata.normalize("NFKC", text).casefold()
    han = re.findall(r"[㐀-鿿〇]+", text)
    characters = [character for run in han for character in run]
    bigrams = [run[i : i + 2] for run in han for i in range(len(run) - 1)]
    return Counter(characters + bigrams + re.findall(r"[^\W_㐀-鿿〇]+", text))


def plain_bm25(texts: list[str], query: str) -> list[float]:
    documents = [plain_terms(text) for text in texts]
    lengths = [document.total() for document in documents]
    mean = sum(lengths) / len(lengths)
    scores = []
    for document, length in zip(documents, lengths, strict=True):
        score = 0.0
        for term, count in plain_terms(query).items():
            df = sum(term in other for other in documents)
            tf = document[term]
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            score += count * idf * tf / (tf + K1 * (1 - B + B * length / mean))
        scores.append(score)
    return scores


@given(TEXTS, st.text(alphabet="法律人民权义务a1，", max_size=20))
def test_scores_are_those_of_bm25_written_out(texts, query):
    frame = passages_of(texts)
    ids, scores = Index.build(frame, K1, B).search([query], len(texts))
    wanted = plain_bm25([passage_text(passage) for passage in frame.to_dict("records")], query)
    found = {i: score for i, score in zip(ids[0].tolist(), scores[0].tolist(), strict=True) if i >= 0}
    assert {i for i, score in enumerate(wanted) if score > 0} == set(found)
    for i, score in found.items():
        assert score == pytest.approx(wanted[i], rel=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@given(TEXTS)
def test_terms_of_a_batch_are_those_of_each_text(texts):
    texts = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
    words: dict[str, int] = {}
    terms, owners, counts = count_terms(texts, [[] for _ in texts], words, grow=True)
    names = {bm25._FIRST_WORD + place: word for word, place in words.items()}
    found = [Counter() for _ in texts]
    for term, owner, count in zip(terms.tolist(), owners.tolist(), counts.tolist(), strict=True):
        high, low = divmod(term, 1 << 21)
        found[owner][names.get(term) or (chr(high) if high else "") + chr(low)] += count
    assert found == [plain_terms(text) for text in texts]
    assert np.all(np.diff(terms.astype(np.int64)) >= 0)


def test_bm25s_gives_the_same_scores():
    bm25s = pytest.importorskip("bm25s")
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("法律人民权利义务，"), size=rng.integers(1, 60))) for _ in range(200)]
    theirs = bm25s.BM25(method="lucene", k1=K1, b=B)
    theirs.index([list(plain_terms(f"某法\n{text}").elements()) for text in texts], show_progress=False)
    query = "人民的权利法律人民"
    known = [term for term in plain_terms(query).elements() if term in theirs.vocab_dict]
    wanted = np.sort(theirs.get_scores(known))[::-1][:10]
    ids, scores = Index.build(passages_of(texts), K1, B).search([query], 10)
    np.testing.assert_allclose(scores[0], wanted, rtol=1e-4)
    np.testing.assert_allclose(theirs.get_scores(known)[ids[0]], scores[0], rtol=1e-4)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0]), max_size=700), st.integers(1, 20))
def test_top_k_is_the_head_of_a_stable_sort(values, k):
    scores = np.array(values, dtype=np.float32)
    found, best = top_k(scores, k)
    wanted = sorted((i for i, value in enumerate(values) if value > 0), key=lambda i: (-values[i], i))[:k]
    assert found.tolist() == wanted
    assert best.tolist() == [values[i] for i in wanted]


def statutes(count: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    clauses = [
        "当事人应当",
        "依照法律规定",
        "人民法院",
        "承担责任",
        "有权",
        "国家保护",
        "不得",
        "公民的合法权益",
        "2020年",
        "WTO",
    ]
    texts = ["，".join(rng.choice(clauses, size=rng.integers(1, 9))) + "。" for _ in range(count)]
    numbers = [i % 60 + 1 for i in range(count)]
    return passages_of(
        texts,
        law=[f"中华人民共和国{'甲乙丙丁戊'[i // 60 % 5]}法" for i in range(count)],
        article=[bm25.article_name(number) for number in numbers],
        number=numbers,
    )


QUERIES = ["人民法院保护公民", "甲法第三十六条", "wto 2020年 责任责任", "没有", "", "xyz"]


@pytest.mark.parametrize(("name", "value"), [("CHUNK_CHARS", 50), ("FREQUENT_SHARE", 0.0), ("FREQUENT_SHARE", 1.0)])
def test_chunks_and_rows_change_no_score(monkeypatch, name, value):
    ids, scores = Index.build(statutes(), K1, B).search(QUERIES, 20)
    monkeypatch.setattr(bm25, name, value)
    other = Index.build(statutes(), K1, B)
    assert name == "CHUNK_CHARS" or (other.weights.size == 0) == (value == 0.0)
    other_ids, other_scores = other.search(QUERIES, 20)
    np.testing.assert_array_equal(ids, other_ids)
    np.testing.assert_array_equal(scores, other_scores)


def test_batch_and_single_queries_agree():
    index = Index.build(statutes(), K1, B)
    ids, scores = index.search(QUERIES, 7)
    for row, query in enumerate(QUERIES):
        single_ids, single_scores = index.search([query], 7)
        np.testing.assert_array_equal(ids[row], single_ids[0])
        np.testing.assert_array_equal(scores[row], single_scores[0])


def test_saved_and_loaded_it_is_the_same(tmp_path):
    built = Index.build(statutes(), K1, B)
    built.save(tmp_path / "index")
    loaded = Index.load(tmp_path / "index")
    for name in bm25.ARRAYS:
        np.testing.assert_array_equal(getattr(built, name), getattr(loaded, name))
    assert (loaded.words, loaded.k1, loaded.b) == (built.words, K1, B)
    pd.testing.assert_frame_equal(loaded.passages, built.passages, check_dtype=False)
    np.testing.assert_array_equal(built.search(QUERIES, 5)[0], loaded.search(QUERIES, 5)[0])


def test_bytes_do_not_depend_on_the_hash_seed(tmp_path):
    parquet.write(tmp_path / "documents", statutes(120).to_dict("records"), parquet.schema(
        law="string", chapter="string", article="string", number="int64", text="string"
    ))  # fmt: skip
    code = (
        "import sys; from pathlib import Path; from woodblock.tables import parquet;"
        "from woodblock.retrieval.bm25 import Index;"
        "Index.build(parquet.read(Path(sys.argv[1])), 1.2, 0.75).save(Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-c", code, str(tmp_path / "documents"), str(tmp_path / seed)]
        subprocess.run(command, env=environment, check=True, cwd=tmp_path)
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


@pytest.mark.parametrize(
    "query",
    [
        "甲法第三十六条",
        "《中华人民共和国甲法》第三十六条是怎么规定的？",
        "根据我国甲法第36条",
        "甲法第３６条",
        "《甲法》 第 36 条说了什么，公民的合法权益，当事人应当，依照法律规定",
    ],
)
def test_a_citation_finds_its_article(query):
    index = Index.build(statutes(), K1, B)
    best = index.passages.iloc[index.search([query], 1)[0][0, 0]]
    assert (best["law"], best["article"]) == ("中华人民共和国甲法", "第三十六条")


def test_the_longest_name_counts():
    known = {"合同法第三条", "劳动合同法第三条"}
    assert citations("劳动合同法第三条", known) == ["劳动合同法第三条"]
    assert citations("合同法第三条和劳动合同法第三条", known) == ["合同法第三条", "劳动合同法第三条"]
    assert citations("第三条，刑法第三条", known) == []


@given(st.text())
def test_any_query_is_answered(query):
    ids, scores = SMALL.search([query], 3)
    assert ((ids >= 0) == (scores > 0)).all()
    assert isinstance(normalize(query), str)


SMALL = Index.build(statutes(20), K1, B)


def test_queries_that_find_less_than_k():
    ids, scores = SMALL.search(["\ud800", "", "国家"], 50)
    assert ids.shape == scores.shape == (3, 50)
    assert (ids[:2] == -1).all()
    assert (ids[2] >= 0).sum() == sum("国" in text for text in map(passage_text, SMALL.passages.to_dict("records")))
    assert SMALL.search([], 3)[0].shape == (0, 3)


def test_equal_scores_come_in_the_order_of_the_passages():
    index = Index.build(passages_of(["国家保护"] * 300), K1, B)
    assert index.search(["保护"], 10)[0][0].tolist() == list(range(10))


@pytest.mark.parametrize(("queries", "k"), [("甲法", 1), (["甲法"], 0)])
def test_wrong_calls_are_refused(queries, k):
    with pytest.raises(ValueError, match="search takes a list"):
        SMALL.search(queries, k)


def test_characters_only_knows_no_bigram():
    alone = SMALL.characters_only()
    assert (alone.terms < 1 << 21).all()
    found, scores = alone.search(["国家"], 1)
    place = found[0, 0]
    parts = [SMALL.search([character], 20) for character in "国家"]
    wanted = sum(scores[0][ids[0] == place].sum() for ids, scores in parts)
    assert scores[0, 0] == pytest.approx(wanted, rel=1e-5)


def test_no_passage_is_an_error():
    with pytest.raises(UserError, match=r"no passage to index.*download\.documents"):
        Index.build(passages_of([]), K1, B)


def test_passages_without_any_term_find_nothing():
    index = Index.build(passages_of(["，。", ""], law=["", ""]), K1, B)
    assert index.search(["国家，"], 2)[0].tolist() == [[-1, -1]]


@pytest.mark.parametrize("harm", ["nothing", "an array missing", "an array cut", "no JSON"])
def test_what_is_no_index_is_an_error(tmp_path, harm):
    folder = tmp_path / "index"
    if harm != "nothing":
        SMALL.save(folder)
    if harm == "an array missing":
        (folder / "starts.npy").unlink()
    if harm == "an array cut":
        (folder / "weights.npy").write_bytes((folder / "weights.npy").read_bytes()[:-8])
    if harm == "no JSON":
        (folder / "index.json").write_text("{")
    with pytest.raises(UserError, match="no index here") as error:
        Index.load(folder)
    assert "\n" not in str(error.value)


def test_terms_are_sorted_and_postings_ascend():
    index = replace(Index.build(statutes(), K1, B))
    assert (np.diff(index.terms.astype(np.int64)) > 0).all()
    for first, last in zip(index.starts[:-1], index.starts[1:], strict=True):
        assert (np.diff(index.passage_ids[first:last]) > 0).all()


def test_questions_that_people_asked():
    """STARD (Su et al. 2024): 771 lay questions; its own gold articles are the pool."""
    path = SHARED / "data/rag/stard/queries.jsonl"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here: STARD is no part of the project")
    asked = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    gold = sorted({item for question in asked for item in question["gold"].items()})
    places = {name: place for place, (name, _) in enumerate(gold)}
    index = Index.build(passages_of([f"{name}\n{text}" for name, text in gold]), K1, B)
    ids, _ = index.search([question["question"] for question in asked], 10)
    ranks = [
        next((rank for rank, i in enumerate(row, 1) if i in {places[name] for name in question["gold"]}), math.inf)
        for row, question in zip(ids.tolist(), asked, strict=True)
    ]
    assert sum(1 / rank for rank in ranks) / len(ranks) > 0.59
