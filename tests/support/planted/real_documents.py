"""Real documents and benchmarks' questions: read, chosen so that no two documents are alike, each given out once."""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numba import njit
from support.projects import SHARED

CORPUS = SHARED / "mirror/ddzhu123/seq-monkey/mobvoi_seq_monkey_general_open_corpus.jsonl.tar.bz2"
BENCHMARKS = SHARED / "bench"

APART = 0.3  # Jaccard under which any two real documents of the planted corpus stay


def read_corpus(path: Path) -> Iterator[str]:
    """The texts of a JSONL file, or of the one in a tar archive."""
    if ".tar" in path.suffixes:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    yield from (json.loads(line)["text"] for line in archive.extractfile(member))
    else:
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line)["text"] for line in file)


def read_questions(folder: Path) -> dict[str, list[str]]:
    """The questions of CMMLU, C3 (with their dialogues and passages) and GSM8K, by benchmark."""
    found: dict[str, list[str]] = {"cmmlu": [], "c3": [], "gsm8k": []}
    for path in sorted(folder.glob("cmmlu/*/*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found["cmmlu"] += [row["Question"] for row in csv.DictReader(file)]
    for path in sorted(folder.glob("c3/*.json")):
        for passage, questions, _ in json.loads(path.read_text(encoding="utf-8")):
            found["c3"] += ["\n".join([*passage, question["question"]]) for question in questions[:1]]
    for path in sorted(folder.glob("gsm8k/*.jsonl")):
        with path.open(encoding="utf-8") as file:
            found["gsm8k"] += [json.loads(line)["question"] for line in file]
    return found


def trigrams(text: str) -> np.ndarray:
    """uint64 [n]: the set of a text's character 3-grams, sorted; three code points of 21 bits each, so exact."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    return np.unique(points[:-2] << np.uint64(42) | points[1:-1] << np.uint64(21) | points[2:])


def jaccard(one: str, other: str) -> float:
    first, second = trigrams(one), trigrams(other)
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(1, len(first) + len(second) - shared)


@njit
def _apart(grams, starts, holders, heads, sizes, bound, kept):
    """Set kept [documents]: greedily in order, those whose Jaccard with all that are kept before is under bound.

    grams [starts[d] : starts[d + 1]]: the numbers of document d's 3-grams; holders [heads[g] : heads[g + 1]]: the
    documents that hold 3-gram g, ascending: an inverted index.
    """
    shared = np.zeros(len(sizes), dtype=np.int32)
    for d in range(len(sizes)):
        shared[:d] = 0
        for g in grams[starts[d] : starts[d + 1]]:
            for other in holders[heads[g] : heads[g + 1]]:
                if other >= d:
                    break
                shared[other] += 1
        kept[d] = True
        for other in range(d):
            if kept[other] and shared[other] >= bound * (sizes[d] + sizes[other] - shared[other]):
                kept[d] = False
                break


def apart(texts: list[str], bound: float = APART) -> list[bool]:
    """Which texts stay if, in order, each with a Jaccard of `bound` or more with one that stays is left out. Exact."""
    sets = [trigrams(text) for text in texts]
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    _, numbers = np.unique(np.concatenate(sets), return_inverse=True)
    documents = np.repeat(np.arange(len(sets), dtype=np.int32), sizes)
    holders = documents[np.argsort(numbers, kind="stable")]
    heads = np.concatenate([[0], np.cumsum(np.bincount(numbers))])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    kept = np.zeros(len(sets), dtype=np.bool_)
    _apart(numbers.astype(np.int64), starts, holders, heads, sizes, bound, kept)
    return kept.tolist()


class Supply:
    """Real documents that are far from one another, each given out once."""

    def __init__(self, texts: list[str]) -> None:
        self._left = texts

    def take(self, count: int, fits: Callable[[str], bool] = lambda text: True) -> list[str]:
        """The first `count` that fit, which then are gone. Raises ValueError where there are too few."""
        chosen = []
        left = []
        for text in self._left:
            (chosen if len(chosen) < count and fits(text) else left).append(text)
        if len(chosen) < count:
            raise ValueError(f"{len(chosen)} of the real documents fit, {count} are needed")
        self._left = left
        return chosen
