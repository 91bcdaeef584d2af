"""Compare our index with bm25s (Lù 2024) on the same passages and the same terms: python performance/retrieval.py

Queries are clauses of indexed passages in a question's wording. bm25s gets its terms ready-made, as lists, and its
queries as ids; our times hold the whole way from text. One thread; the two alternate, round by round, and medians are
reported. With numba installed, bm25s is measured with its compiled backend too. Scores must agree, or it stops.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import bm25s  # noqa: E402
import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from woodblock.base.progress import say, track  # noqa: E402
from woodblock.retrieval import bm25  # noqa: E402
from woodblock.tables import parquet  # noqa: E402

K, K1, B = 10, 1.2, 0.75
CLAUSE = re.compile(r"[^，。；：、！？“”《》（）\s]{8,30}")


def terms_as_lists(texts: list[str], words: dict[str, int]) -> list[list[str]]:
    """The terms that `retrieval.count_terms` finds, as the lists of strings that bm25s takes."""
    terms, owners, counts = bm25.count_terms(texts, [[]] * len(texts), words, grow=True)
    lists: list[list[str]] = [[] for _ in texts]
    for term, owner, count in zip(terms.tolist(), owners.tolist(), counts.tolist(), strict=True):
        lists[owner] += [str(term)] * count
    return lists


def measure(times: dict[str, list[float]], name: str, work: Callable[..., object], *args: Any, **options: Any) -> None:
    start = time.perf_counter()
    work(*args, **options)
    times.setdefault(name, []).append(time.perf_counter() - start)


def one_by_one(ask: Callable[..., object], backend: str, queries: list[list[int]]) -> None:
    for query in queries:
        ask(backend, [query])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="?", type=Path, default=Path("data/dedup/documents"), help="table to index")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    passages = parquet.read(arguments.documents)
    # A passage that cites nothing has no label, so that both sides have the same terms and the same weights.
    passages["article"] = ""
    rng = random.Random(1)
    clauses = [clause for text in passages["text"] if (clause := CLAUSE.search(text))]
    queries = [f"{clause[0]}是哪部法律规定的？" for clause in rng.sample(clauses, min(arguments.queries, len(clauses)))]
    words: dict[str, int] = {}  # of the corpus, and of the queries after it
    corpus = terms_as_lists([bm25.passage_text(passage) for passage in passages.to_dict("records")], words)
    query_terms = terms_as_lists([bm25.normalize(query) for query in queries], words)

    backends = ["numpy", *(["numba"] if importlib.util.find_spec("numba") else [])]
    say(f"{len(passages):,} passages, {len(queries):,} queries, top {K}; bm25s {bm25s.__version__}, {backends}")
    times: dict[str, list[float]] = {}
    theirs = {}
    for _ in track(range(3), "index", "rounds"):
        measure(times, "woodblock index", bm25.Index.build, passages, K1, B)
        for backend in backends:
            theirs[backend] = bm25s.BM25(method="lucene", k1=K1, b=B, backend=backend)
            measure(times, f"bm25s {backend} index", theirs[backend].index, corpus, show_progress=False)
    ours = bm25.Index.build(passages, K1, B)

    def ask_theirs(backend: str, queries: list[list[int]]) -> np.ndarray:
        return theirs[backend].retrieve(queries, k=K, show_progress=False).scores

    query_ids = {}
    for backend, index in theirs.items():
        known = [[term for term in terms if term in index.vocab_dict] for terms in query_terms]
        query_ids[backend] = [[index.vocab_dict[term] for term in terms] for terms in known]
        # It also compiles, where there is a compiler.
        worst = float(np.abs(ask_theirs(backend, query_ids[backend]) - ours.search(queries, K)[1]).max())
        if worst > 1e-3:
            raise SystemExit(f"scores differ from bm25s {backend} by {worst}")
    for _ in track(range(arguments.rounds), "search", "rounds"):
        measure(times, "woodblock batch", ours.search, queries, K)
        measure(times, "woodblock one by one", lambda: [ours.search([query], K) for query in queries])
        for backend, ids in query_ids.items():
            measure(times, f"bm25s {backend} batch", ask_theirs, backend, ids)
            measure(times, f"bm25s {backend} one by one", one_by_one, ask_theirs, backend, ids)

    medians = {name: statistics.median(values) for name, values in times.items()}
    figures = {
        f"{name} {'s' if name.endswith('index') else 'queries/s'}": round(
            value if name.endswith("index") else len(queries) / value, 2
        )
        for name, value in medians.items()
    }
    for name, value in figures.items():
        print(f"{value:12,.2f}  {name}")
    print(json.dumps({"passages": len(passages), "queries": len(queries), "k": K, **figures}, sort_keys=True))


if __name__ == "__main__":
    main()
