"""BM25 over Chinese text: an index in plain NumPy arrays, and exact top-k search.

A passage is described by its terms: every Han character, every pair of neighbouring Han characters, and every other
run of letters or digits as one lower-cased word. Bigrams are used instead of words: no segmenter is needed, which could
be wrong. Single characters help where a question has other words than the passage. One more term is the passage's whole
citation (劳动法第三十六条): for 2,000 questions by name and number, on 352 laws, it raises recall@1 from .27 to 1.00.

The weight of a term in a passage (BM25 with Lucene's idf; Robertson & Zaragoza 2009, The Probabilistic Relevance
Framework, and Kamphuis et al. 2020, Which BM25 Do You Mean?) does not depend on the query:

    ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * length / mean_length))

so all weights are computed once, when the index is built, and a search only adds them up (eager scoring; Lù 2024,
BM25S). Most terms are rare. They are kept as postings: the passages that contain them, and their weights. To add a posting
takes about ten times as long as to add an element of a plain row. So a term that is in more than an eighth of all passages
is kept as a row: its weight in every passage.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from woodblock.base.errors import UserError
from woodblock.base.progress import Progress
from woodblock.sources.statutes import article_name, short_name
from woodblock.tables import parquet

Terms = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]

CHUNK_CHARS = 2_000_000  # characters whose terms are sorted at once: about 100 MB
FREQUENT_SHARE = 1 / 8  # of the passages: a term that is in more of them is kept as a row
CITATION_BOOST = 10  # times its idf: more than the weights of the words around it together
LONGEST_NAME = 80  # characters: how far before 第…条 a law's name may start in a query
GROUP = 64  # scores in a group; top_k compares only the largest of each
ARRAYS = ("terms", "starts", "passage_ids", "weights", "row_of_term", "rows")

# Han characters: 〇, the unified ideographs with extensions A to I, and the compatibility ideographs.
_HAN_RANGES = ((0x3007, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
_HAN = np.zeros(0x110000, dtype=bool)
for _first, _last in _HAN_RANGES:
    _HAN[_first : _last + 1] = True
_WORD = re.compile(rf"[^\W_{''.join(f'{chr(first)}-{chr(last)}' for first, last in _HAN_RANGES)}]+")
_ARTICLE = re.compile(r"第[零〇一二三四五六七八九十百千万]+条(?:之[一二三四五六七八九十]+)?")
_ARABIC_ARTICLE = re.compile(r"第\s*([1-9][0-9]{0,4})\s*条")

# A term is a number. A character is its code point; a bigram is two code points side by side, in 42 bits; a word is its
# place in the list of words, above all bigrams (code points end at 0x10FFFF). The other 22 bits of a number are for the
# place of a text. So one sort of plain numbers brings equal terms together.
_POINT_BITS, _TEXT_BITS = 21, 22
_FIRST_WORD = 0x110000 << _POINT_BITS


def normalize(text: str) -> str:
    """The form of a text that is compared: compatibility forms unified (Ａ and A, ① and 1), case folded, 第36条 as
    第三十六条."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _ARABIC_ARTICLE.sub(lambda match: article_name(int(match[1])), plain)


def passage_text(passage: Mapping[str, Any]) -> str:
    """The text of a passage that is indexed, normalized: its law, chapter, number and text."""
    return normalize("\n".join(passage[field] or "" for field in ("law", "chapter", "article", "text")))


def citation(passage: Mapping[str, Any]) -> str:
    """The term that names a passage as people do: 劳动法第三十六条."""
    return normalize(f"{short_name(passage['law'])}{passage['article']}")


def citations(query: str, known: Container[str]) -> list[str]:
    """The citations in a normalized query that are among the known ones, each with the longest name that is known.

    >>> citations("《中华人民共和国劳动法》第三十六条说了什么", {"劳动法第三十六条"})
    ['劳动法第三十六条']
    """
    found = []
    for match in _ARTICLE.finditer(query):
        law = query[: match.start()].rstrip(" 》")
        for start in range(max(0, len(law) - LONGEST_NAME), len(law)):
            if (name := law[start:] + match[0]) in known:
                found.append(name)
                break
    return found


def count_terms(
    texts: Sequence[str], labels: Sequence[Sequence[str]], words: dict[str, int], grow: bool
) -> tuple[Terms, Places, Places]:
    """How often each term occurs in each text: (terms uint64, places of the texts int64, counts int64).

    The three arrays have the same length and are sorted by term, then text. texts: normalized. labels: for each text,
    further words that are not read from it. words: word → its place in the list of words; a new word is added if `grow`,
    and left out otherwise. Raises ValueError for more than 2^22 texts.
    """
    if len(texts) > 1 << _TEXT_BITS:
        raise ValueError(f"{len(texts)} texts at once; at most {1 << _TEXT_BITS}")
    joined = "".join(f"{text}\0" for text in texts)  # the separator is no Han character: no bigram spans two texts
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
    owners = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)

    is_han = _HAN[points]
    singles = np.flatnonzero(is_han)
    pairs = np.flatnonzero(is_han[:-1] & is_han[1:])
    points = points.astype(np.uint64)
    terms = [points[singles], points[pairs] << np.uint64(_POINT_BITS) | points[pairs + 1]]
    starts = [singles, pairs]
    first_points = np.cumsum(lengths) - lengths
    found = []
    labelled = (
        (label, first) for text_labels, first in zip(labels, first_points, strict=True) for label in text_labels
    )
    for word, start in chain(((match[0], match.start()) for match in _WORD.finditer(joined)), labelled):
        place = words.setdefault(word, len(words)) if grow else words.get(word)
        if place is not None:
            found.append((_FIRST_WORD + place, start))
    if found:
        word_terms, word_starts = zip(*found, strict=True)
        terms.append(np.array(word_terms, dtype=np.uint64))
        starts.append(np.array(word_starts))

    packed = np.concatenate(terms) << np.uint64(_TEXT_BITS) | owners[np.concatenate(starts)]
    packed, counts = np.unique(packed, return_counts=True)
    return packed >> np.uint64(_TEXT_BITS), (packed & np.uint64((1 << _TEXT_BITS) - 1)).astype(np.int64), counts


@dataclass(frozen=True)
class Index:
    """An inverted index with the passages that it finds. N passages, V terms, P postings, F frequent terms.

    terms: [V], sorted. starts: [V + 1], where the postings of each term begin; a frequent term has none.
    passage_ids: [P], ascending within a term; in NumPy's own index type, so that it need not convert them.
    weights: [P]. row_of_term: [V], the row of a frequent term, else -1. rows: [F, N].
    words: word → its place in the list of words. passages: one row a passage, with law, chapter, article and text.
    """

    terms: Terms
    starts: Places
    passage_ids: Places
    weights: Weights
    row_of_term: npt.NDArray[np.int32]
    rows: Weights
    words: dict[str, int]
    k1: float
    b: float
    passages: pd.DataFrame

    @classmethod
    def build(cls, passages: pd.DataFrame, k1: float, b: float) -> Index:
        """Index passages, one chunk of them at a time.

        Memory: at most about 35 bytes a posting (measured: 30 M postings, 1.1 GB).
        Raises UserError where there is no passage.
        """
        if passages.empty:
            raise UserError("there is no passage to index; name documents under download.documents in params.yaml")
        words: dict[str, int] = {}
        lengths = np.zeros(len(passages), dtype=np.int64)  # in terms
        runs = []
        progress = Progress("index", len(passages), "passages")
        for first, texts, labels in _chunks(passages):
            terms, owners, counts = count_terms(texts, labels, words, grow=True)
            lengths[first : first + len(texts)] = np.bincount(owners, counts, len(texts))
            terms, run_starts, frequencies = np.unique(terms, return_index=True, return_counts=True)
            runs.append((terms, run_starts, frequencies, (owners + first).astype(np.int32), counts.astype(np.int32)))
            progress.advance(len(texts))
        progress.close()

        terms = np.unique(np.concatenate([run[0] for run in runs]))
        frequencies = np.zeros(len(terms), dtype=np.int64)  # the number of passages that contain each term
        for run in runs:
            frequencies[np.searchsorted(terms, run[0])] += run[2]
        idf = np.log1p((len(passages) - frequencies + 0.5) / (frequencies + 0.5))
        # A citation is a field of its own: it is boosted, and the length of the text does not lower its weight.
        citation_places = [place for word, place in words.items() if not _WORD.fullmatch(word)]
        is_citation = np.isin(terms, _FIRST_WORD + np.array(citation_places, dtype=np.uint64))
        idf[is_citation] *= CITATION_BOOST
        discount = k1 * (1 - b + b * lengths / max(1.0, lengths.mean()))

        frequent = frequencies > len(passages) * FREQUENT_SHARE
        row_of_term = np.where(frequent, np.cumsum(frequent) - 1, -1).astype(np.int32)
        rows = np.zeros((frequent.sum(), len(passages)), dtype=np.float32)
        starts = np.concatenate([[0], np.cumsum(np.where(frequent, 0, frequencies))])
        passage_ids = np.empty(starts[-1], dtype=np.int64)
        weights = np.empty(starts[-1], dtype=np.float32)
        filled = starts[:-1].copy()  # where the next posting of each term goes; runs come in the order of the passages
        while runs:
            run_terms, run_starts, run_frequencies, ids, times = runs.pop(0)
            term = np.repeat(np.searchsorted(terms, run_terms), run_frequencies)
            weight = idf[term] * times / (times + np.where(is_citation[term], k1, discount[ids]))
            rank = np.arange(len(ids)) - np.repeat(run_starts, run_frequencies)  # of a passage, within term and run
            in_row = frequent[term]
            rows[row_of_term[term[in_row]], ids[in_row]] = weight[in_row]
            target = (filled[term] + rank)[~in_row]
            passage_ids[target], weights[target] = ids[~in_row], weight[~in_row]
            filled += np.bincount(term, minlength=len(terms))
        return cls(terms, starts, passage_ids, weights, row_of_term, rows, words, k1, b, passages)

    def save(self, folder: Path) -> None:
        """Write a new folder: the arrays as .npy, the rest of the index as index.json, the passages as a table."""
        folder = Path(folder)
        folder.mkdir(parents=True)
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        settings = {"k1": self.k1, "b": self.b, "passages": len(self.passages), "words": list(self.words)}
        text = json.dumps(settings, ensure_ascii=False, sort_keys=True)
        (folder / "index.json").write_text(text + "\n", encoding="utf-8")
        columns = parquet.schema(**{name: "int64" if name == "number" else "string" for name in self.passages.columns})
        parquet.write(folder / "passages", _records(self.passages), columns)

    @classmethod
    def load(cls, folder: Path) -> Index:
        """Open a saved index. The arrays are mapped, not read: a search touches only the terms of its query.

        Raises UserError where the folder has no index, or only a part of one.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            words = {word: place for place, word in enumerate(settings["words"])}
            k1, b = settings["k1"], settings["b"]
            # A plain view: slices of a memmap object cost a microsecond more each.
            arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray) for name in ARRAYS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder}: there is no index here ({error}); run rag_index, or dvc checkout {folder}"
            ) from None
        return cls(**arrays, words=words, k1=k1, b=b, passages=parquet.read(folder / "passages"))

    def search(self, queries: Sequence[str], k: int) -> tuple[Places, Weights]:
        """The k best passages of each query, best first: (ids int64 [queries, k], scores float32 [queries, k]).

        Of passages with equal scores the earlier comes first. Where fewer than k passages have a term of the query, the
        rest is id -1 with score 0. A query may be any text; a repeated term counts each time. Raises ValueError for a
        string instead of a list, and for k below 1.
        """
        if isinstance(queries, str) or k < 1:
            raise ValueError(f"search takes a list of queries and k of at least 1, not {queries!r} and {k}")
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        best = np.zeros((len(queries), k), dtype=np.float32)
        for query, (terms, counts) in enumerate(self._terms_of(queries)):
            found, scores = top_k(self._scores(terms, counts), k)
            ids[query, : len(found)], best[query, : len(found)] = found, scores
        return ids, best

    def characters_only(self) -> Index:
        """The same passages, described only by their single characters: a baseline for the other terms.

        Characters sort before all other terms, so this is a view. Lengths still count terms of every kind.
        """
        count = int(np.searchsorted(self.terms, 1 << _POINT_BITS))
        return replace(
            self,
            terms=self.terms[:count],
            starts=self.starts[: count + 1],
            row_of_term=self.row_of_term[:count],
            words={},
        )

    def _terms_of(self, queries: Sequence[str]) -> Iterator[tuple[Places, Places]]:
        """For each query: the places of its terms in `terms`, and how often it has each; unknown terms are left out."""
        texts = [normalize(query) for query in queries]
        labels = [citations(text, self.words) for text in texts]
        terms, owners, counts = count_terms(texts, labels, self.words, grow=False)
        places = np.searchsorted(self.terms, terms)
        known = places < len(self.terms)
        known[known] = self.terms[places[known]] == terms[known]
        places, owners, counts = places[known], owners[known], counts[known]
        order = np.argsort(owners, kind="stable")
        bounds = np.searchsorted(owners[order], np.arange(len(queries) + 1))
        for first, last in pairwise(bounds):
            chosen = order[first:last]
            yield places[chosen], counts[chosen]

    def _scores(self, places: Places, counts: Places) -> Weights:
        """The BM25 score of every passage: float32 [N]."""
        scores = np.zeros(self.rows.shape[1], dtype=np.float32)
        columns = (self.row_of_term[places], self.starts[places], self.starts[places + 1], counts)
        for row, first, last, count in zip(*(column.tolist() for column in columns), strict=True):
            weights = self.rows[row] if row >= 0 else self.weights[first:last]
            if count > 1:
                weights = weights * np.float32(count)
            if row >= 0:
                scores += weights
            else:
                np.add.at(scores, self.passage_ids[first:last], weights)
        return scores


def top_k(scores: Weights, k: int) -> tuple[Places, Weights]:
    """Places and values of the k largest positive scores, largest first; of equal scores the earlier first.

    The scores are divided into groups, and each group is reduced to its maximum. At least k scores reach the k-th largest
    maximum, and few others do. Only these are sorted. It takes an eighth of the time of a partition of all scores.
    """
    bound = 0.0
    groups = len(scores) // GROUP
    if groups > k:
        maxima = scores[: groups * GROUP].reshape(GROUP, groups).max(axis=0)
        bound = np.partition(maxima, groups - k)[groups - k]
    candidates = np.flatnonzero(scores >= bound if bound > 0 else scores > 0)
    best = candidates[np.argsort(-scores[candidates], kind="stable")[:k]]
    return best, scores[best]


def _chunks(passages: pd.DataFrame) -> Iterator[tuple[int, list[str], list[list[str]]]]:
    """Yield (place of the first, texts, labels) of chunks of passages with about CHUNK_CHARS characters each."""
    texts: list[str] = []
    labels: list[list[str]] = []
    first = chars = 0
    for place, passage in enumerate(_records(passages)):
        texts.append(passage_text(passage))
        labels.append([citation(passage)] if _ARTICLE.fullmatch(passage["article"]) else [])
        chars += len(texts[-1])
        if chars >= CHUNK_CHARS:
            yield first, texts, labels
            first, texts, labels, chars = place + 1, [], [], 0
    if texts:
        yield first, texts, labels


def _records(frame: pd.DataFrame) -> Iterable[dict[str, Any]]:
    """The rows as dictionaries, one at a time."""
    names = list(frame.columns)
    return (dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None))
