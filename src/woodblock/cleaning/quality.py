"""A quality score: how well a small character model, counted on the corpus itself, predicts a document.

CCNet (Wenzek et al. 2020, arXiv:1911.00359) scores web text in this way, by the perplexity of a model of Wikipedia. Here
the model is counted on a sample of the corpus after its filters, so nothing has to be fetched. Garbled text, lists of
parts and strings of keywords are improbable under it; text like most of the corpus is probable. The score is in bits per
byte, so that Chinese (three bytes a character) and Latin text can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.cleaning.measures import code_points

Points = npt.NDArray[np.uint32]  # code points
Starts = npt.NDArray[np.int64]  # where each text begins in them, and where the last one ends
Counts = npt.NDArray[np.uint32]
Point = int | np.uint32

PAIRS = 1 << 21  # slots of the counts of pairs, by hash
TRIPLES = 1 << 22
# W, the weight of the shorter context, in counts: with hierarchical Dirichlet priors (MacKay and Peto 1995) p(c | ab) is
# (n(abc) + W p(c | b)) / (n(ab) + W). Chosen on held-out laws, manuals and novels; twice or half of it changes 1 %.
PAIR_WEIGHT = 200.0
TRIPLE_WEIGHT = 20.0
WINDOWS, WINDOW = 4, 512  # a long document is scored on four windows of 512 characters, at even distances


class Model:
    """Counts of characters, pairs and triples (uint32), the last two in hash tables.

    Two pairs or triples in the same slot are counted together. With 2 million characters a table is a quarter full, and
    this error is far below that of the sample.
    """

    def __init__(self, singles: Counts, pairs: Counts, triples: Counts) -> None:
        self.singles, self.pairs, self.triples = singles, pairs, triples

    @classmethod
    def count(cls, texts: Iterable[str]) -> Model:
        """A model counted on some texts: a few million characters are enough."""
        model = cls(np.zeros(1 << 16, np.uint32), np.zeros(PAIRS, np.uint32), np.zeros(TRIPLES, np.uint32))
        for text in texts:
            _count(code_points([text])[0], model.singles, model.pairs, model.triples)
        return model

    def save(self, path: Path) -> None:
        """Write the model as one array, which worker processes map into memory."""
        np.save(path, np.concatenate([self.singles, self.pairs, self.triples]))

    @staticmethod
    def is_whole(path: Path) -> bool:
        """Whether `save` finished a file: a power cut can leave an empty one or a part."""
        try:
            return bool(np.load(path, mmap_mode="r").ndim == 1)
        except (OSError, ValueError, EOFError):
            return False

    @classmethod
    def load(cls, path: Path) -> Model:
        both: Counts = np.load(path, mmap_mode="r")
        return cls(both[: 1 << 16], both[1 << 16 : (1 << 16) + PAIRS], both[(1 << 16) + PAIRS :])

    def bits_per_byte(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """The bits that the model needs for a byte of each text (float64); 0 for an empty text. Usual text needs few."""
        points, starts = code_points(texts)
        out = np.zeros(len(texts))
        if len(texts):
            _score(points, starts, self.singles, self.pairs, self.triples, int(self.singles.sum()), out)
        return out


@njit(cache=True, nogil=True, inline="always")
def _slot(first: Point, second: Point, third: Point, size: int) -> np.int64:
    key = (np.uint64(first) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(second) * np.uint64(0xC2B2AE3D27D4EB4F))
    key = (key ^ (key >> np.uint64(31)) ^ np.uint64(third)) * np.uint64(0xBF58476D1CE4E5B9)
    return np.int64(key >> np.uint64(38)) & (size - 1)


@njit(cache=True, nogil=True)
def _count(points: Points, singles: Counts, pairs: Counts, triples: Counts) -> None:
    before, last = np.uint32(10), np.uint32(10)  # a text begins after an empty line
    for place in range(len(points)):
        point = points[place]
        singles[point & 0xFFFF] += 1
        pairs[_slot(0, last, point, PAIRS)] += 1
        triples[_slot(before + 1, last, point, TRIPLES)] += 1
        before, last = last, point


@njit(cache=True, nogil=True)
def _score(
    points: Points,
    starts: Starts,
    singles: Counts,
    pairs: Counts,
    triples: Counts,
    total: int,
    out: npt.NDArray[np.float64],
) -> None:
    in_pair, in_triple = np.empty(WINDOWS * WINDOW, np.uint32), np.empty(WINDOWS * WINDOW, np.uint32)
    for text in range(len(starts) - 1):
        first, length = starts[text], starts[text + 1] - starts[text]
        windows = 1 if length <= WINDOWS * WINDOW else WINDOWS
        bits, size = 0.0, 0
        for window in range(windows):
            begin, span = first, length
            if windows > 1:
                begin, span = first + (length - WINDOW) * window // (WINDOWS - 1), WINDOW
            # All counts first: they are all over the memory, and in this loop many are fetched at the same time.
            before, last = np.uint32(10), np.uint32(10)
            for at in range(span):
                point = points[begin + at]
                in_pair[at] = pairs[_slot(0, last, point, PAIRS)]
                in_triple[at] = triples[_slot(before + 1, last, point, TRIPLES)]
                before, last = last, point
            last, in_pair_before = np.uint32(10), pairs[_slot(0, 10, 10, PAIRS)]
            for at in range(span):
                point = points[begin + at]
                single = (singles[point & 0xFFFF] + 1.0) / (total + 65536.0)
                pair = (in_pair[at] + PAIR_WEIGHT * single) / (singles[last & 0xFFFF] + PAIR_WEIGHT)
                triple = (in_triple[at] + TRIPLE_WEIGHT * pair) / (in_pair_before + TRIPLE_WEIGHT)
                bits -= np.log2(min(triple, 1.0))
                size += 1 if point < 0x80 else 2 if point < 0x800 else 3 if point < 0x10000 else 4
                last, in_pair_before = point, in_pair[at]
        out[text] = bits / size if size else 0.0
