"""Documents that say the same: exact copies, near-duplicates by MinHash and true Jaccard, shared paragraphs.

Documents are compared by their letters (letters, digits, hanzi, symbols; folded in case and width). White space and
punctuation are left out because copies differ there most: sites break lines, indent and punctuate as they like, and a
changed comma would otherwise cost three 3-grams. What is compared is the set of a document's n-grams of letters.

MinHash (Broder 1997) estimates the Jaccard index of two sets by the share of permutations under which both have the
same least element. With its values in bands of rows, two documents meet in a bucket with probability
1 - (1 - J^rows)^bands (Indyk & Motwani 1998; Leskovec et al., Mining of Massive Datasets, chapter 3). Those that meet are
compared truly, and a document goes only where a better one that itself stays is its near-duplicate: no chains, in which
the first and the last have nothing in common.

Memory does not grow with the texts: they, the signatures and the hashes stand in files by shard (Shelf) and are read
back by place. Of each document only its rank, its fate and the one that it duplicates are held: 14 bytes, and 24 more
while documents are put in order.
"""

from __future__ import annotations

import functools
import hashlib
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

NONE = np.uint32(0xFFFFFFFF)  # no document
IDENTITY_RANGES = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0x20000, 0x2F800), (0x30000, 0x33480))
LAST_LETTER = 0x33480  # behind the last ideographs: unassigned, tags and private use
EXACT_NGRAM = 3  # up to so many letters of 21 bits fit into 64 bits; the sets of longer n-grams are of 64-bit hashes
BEST = 16  # of a bucket: each of its documents is compared with so many of its best, not with all
ERRORS = 3  # standard errors under the threshold from which on the signatures alone say that two documents differ
PARTITION = 4_000_000  # hashes that are sorted at once
RANGE = 256  # documents whose pairs stand together in the files of pairs
RANGE_PAIRS = 1_000_000  # pairs of a task, and those that a shard of the comparison has at least, if there are so many
CHUNK_PAIRS = 16_384  # pairs whose signatures are in memory at once: at most 32 MB
CHUNK_BYTES = 8_000_000  # of texts whose n-gram sets are in memory at once: at most 64 MB

_SEED = np.uint64(0x243F6A8885A308D3)
_K1 = np.uint64(0x9E3779B185EBCA87)
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_K3 = np.uint64(0xFF51AFD7ED558CCD)
_K4 = np.uint64(0xC4CEB9FE1A85EC53)


# --- letters, n-grams, signatures -----------------------------------------------------------------------------------


@functools.cache
def letters() -> np.ndarray:
    """What each code point is compared as: uint32 [0x110000]; 0 for what is left out, else the folded code point.

    Left out are white space, punctuation and controls. Full-width letters and capitals become plain small ones where
    they are one character before and after.
    """
    table = np.arange(0x110000, dtype=np.uint32)
    table[LAST_LETTER:] = 0
    ideographs = np.zeros(LAST_LETTER, dtype=bool)
    for start, end in IDENTITY_RANGES:
        ideographs[start:end] = True
    for point in np.flatnonzero(~ideographs).tolist():
        character = chr(point)
        if unicodedata.category(character)[0] in "PZC":
            table[point] = 0
        else:
            folded = unicodedata.normalize("NFKC", character).casefold()
            table[point] = ord(folded) if len(folded) == 1 else point
    return table


def permutations(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The factors (odd) and summands of `count` permutations x -> a x + b of the 32-bit numbers: two uint32 [count]."""
    drawn = [hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8).digest() for number in range(count)]
    pairs = np.frombuffer(b"".join(drawn), dtype="<u4").reshape(count, 2).astype(np.uint32)
    return np.ascontiguousarray(pairs[:, 0] | np.uint32(1)), np.ascontiguousarray(pairs[:, 1])


class Sketches(NamedTuple):
    """What is kept of n documents to compare them by."""

    signatures: np.ndarray  # uint32 [n, permutations]: the least hashes; all ones where there is no n-gram
    fingerprints: np.ndarray  # uint64 [n, 2]: equal only where the letters are (of the bytes, where there are none)
    lengths: np.ndarray  # uint32 [n], in letters
    paragraphs: np.ndarray  # uint64 [p]: hashes of the letters of long lines, in order
    owners: np.ndarray  # uint32 [p]: the document that each stands in
    spans: np.ndarray  # int64 [p, 2]: the bytes of the data where each begins and ends


def sketch(
    data: np.ndarray,
    starts: np.ndarray,
    ngram: int,
    factors: np.ndarray,
    summands: np.ndarray,
    paragraph_letters: int,
) -> Sketches:
    """Sketch n documents. data: uint8, their UTF-8 one after the other; starts: int64 [n + 1]; paragraph_letters: the
    fewest letters of a line that is a paragraph. Indented lines and lines between fences (```) are none: code that many
    pages show would lose a line here and there, and be wrong.
    """
    n = len(starts) - 1
    signatures = np.full((n, len(factors)), NONE, dtype=np.uint32)
    fingerprints, lengths = np.empty((n, 2), dtype=np.uint64), np.empty(n, dtype=np.uint32)
    most = len(data) // paragraph_letters + 1
    paragraphs, owners, spans = np.empty(most, np.uint64), np.empty(most, np.uint32), np.empty((most, 2), np.int64)
    found = _sketch(
        *(data, starts, letters(), ngram, _base(ngram), factors, summands, paragraph_letters),
        *(signatures, fingerprints, lengths, paragraphs, owners, spans),
    )
    return Sketches(signatures, fingerprints, lengths, paragraphs[:found], owners[:found], spans[:found])


def gram_set(data: bytes, ngram: int) -> np.ndarray:
    """The set of a text's n-grams of letters: uint64, sorted. data: its UTF-8."""
    return _distinct(_grams(np.frombuffer(data, dtype=np.uint8), letters(), ngram, _base(ngram)))


def _distinct(values: np.ndarray) -> np.ndarray:
    """The different values, ascending. (Sorting is a third of np.unique's time, which hashes.)"""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]]


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """The Jaccard index of two sets, as gram_set gives them; 0 where both are empty."""
    common = int(_common(one, other))
    return common / max(1, len(one) + len(other) - common)


def copied_share(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """The share of two texts that is a copy of the other, edited here and there or not; 1 up to the error of the sets.

    one, other: the sets of a text's n-grams and of its 2n-grams. A copy of which a share e of the letters was edited
    keeps (1 - e)^n of its n-grams and (1 - e)^2n of its 2n-grams; a text of which only a share s is copied, the rest
    being of its own, keeps s of both. With both, the parts in common (Dice's index) are c(n) = s (1 - e)^n, so that
    s = c(n)^2 / c(2n). A Jaccard index alone can't tell an edited copy from a text of the same form: two laws of two
    cities share as many 3-grams as two copies with a tenth of their letters edited.
    """
    short, long = (2 * int(_common(a, b)) / max(1, len(a) + len(b)) for a, b in zip(one, other, strict=True))
    return min(1.0, short * short / long) if long else 0.0


def band_hashes(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """uint64 [bands, n]: documents whose signatures agree in all rows of a band have the same hash there."""
    values = signatures.reshape(-1, bands, rows).astype(np.uint64)
    hashes = np.full(values.shape[:2], _SEED, dtype=np.uint64)
    for row in range(rows):
        hashes = (hashes ^ values[:, :, row]) * _K1
        hashes ^= hashes >> np.uint64(29)
    return np.ascontiguousarray(hashes.T)


def meeting_probability(similarity: float, bands: int, rows: int) -> float:
    """The probability that two documents of this Jaccard index meet in a bucket of one band or more."""
    return 1 - (1 - similarity**rows) ** bands


def _base(ngram: int) -> np.uint64:
    """What the letters of an n-gram are the digits to: where they fit, the number is the n-gram itself."""
    return np.uint64(1 << 21) if ngram <= EXACT_NGRAM else _K1


@njit(cache=True, nogil=True, inline="always")
def _mix(x):
    x = (x ^ (x >> np.uint64(33))) * _K3
    x = (x ^ (x >> np.uint64(29))) * _K4
    return x ^ (x >> np.uint64(32))


@njit(cache=True, nogil=True, inline="always")
def _point(data, i):
    """The code point that begins at byte i of valid UTF-8, and where the next begins."""
    lead = np.uint32(data[i])
    if lead < 0x80:
        return lead, i + 1
    if lead < 0xE0:
        return ((lead & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F)), i + 2
    second, third = np.uint32(data[i + 1]) & np.uint32(0x3F), np.uint32(data[i + 2]) & np.uint32(0x3F)
    if lead < 0xF0:
        return ((lead & np.uint32(0x0F)) << np.uint32(12)) | (second << np.uint32(6)) | third, i + 3
    high = ((lead & np.uint32(0x07)) << np.uint32(18)) | (second << np.uint32(12)) | (third << np.uint32(6))
    return high | (np.uint32(data[i + 3]) & np.uint32(0x3F)), i + 4


@njit(cache=True, nogil=True, inline="always")
def _is_fence(data, start, end):
    """Whether a line opens or closes a block of code, as in Markdown."""
    while start < end and data[start] == 32:
        start += 1
    return end - start >= 3 and data[start] == 96 and data[start + 1] == 96 and data[start + 2] == 96


@njit(cache=True, nogil=True)
def _sketch(
    data,
    starts,
    table,
    ngram,
    base,
    factors,
    summands,
    paragraph_letters,
    signatures,
    fingerprints,
    lengths,
    paragraphs,
    owners,
    spans,
):
    longest = 0
    for d in range(starts.size - 1):
        longest = max(longest, starts[d + 1] - starts[d])
    codes, hashes = np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    seen = np.empty(4096, np.uint32)
    found = 0
    for d in range(starts.size - 1):
        n, line, line_letters, in_code = 0, starts[d], 0, False
        one, two, of_line = _SEED, _K2, _SEED
        i, end = starts[d], starts[d + 1]
        while i <= end:
            if i < end:
                point, following = _point(data, i)
            else:
                point, following = np.uint32(10), i + 1  # the last line ends with the text
            code = table[point]
            if code:
                codes[n] = code
                n += 1
                one = (one ^ np.uint64(code)) * _K1
                one ^= one >> np.uint64(32)
                two = (two + np.uint64(code)) * _K3
                two ^= two >> np.uint64(29)
                of_line = (of_line ^ np.uint64(code)) * _K4
                of_line ^= of_line >> np.uint64(32)
                line_letters += 1
            elif point == 10:
                fence = _is_fence(data, line, min(i, end))
                in_code ^= fence
                if line_letters >= paragraph_letters and not (in_code or fence or data[line] == 32 or data[line] == 9):
                    paragraphs[found], owners[found] = _mix(of_line), d
                    spans[found, 0], spans[found, 1] = line, i
                    found += 1
                line, line_letters, of_line = following, 0, _SEED
            i = following
        if n == 0:
            for j in range(starts[d], end):
                one = (one ^ np.uint64(data[j])) * _K1
                one ^= one >> np.uint64(32)
                two = (two + np.uint64(data[j])) * _K3
                two ^= two >> np.uint64(29)
        fingerprints[d, 0], fingerprints[d, 1], lengths[d] = one, two, n

        # Most repeated n-grams are met again within a few thousand: a small table keeps them from 240 permutations.
        seen[:] = 0
        grams = 0
        for i in range(n - ngram + 1):
            number = np.uint64(0)
            for j in range(ngram):
                number = number * base + np.uint64(codes[i + j])
            x = np.uint32(_mix(number) >> np.uint64(32))
            if seen[x & np.uint32(4095)] != x or x == 0:
                seen[x & np.uint32(4095)] = x
                hashes[grams] = x
                grams += 1
        if grams:
            while grams % 4:  # four at a time keep the processor's vector units busy; one twice changes no minimum
                if grams == hashes.size:
                    break
                hashes[grams] = hashes[0]
                grams += 1
            signature = signatures[d]
            whole = grams - grams % 4
            for i in range(0, whole, 4):
                x0, x1, x2, x3 = hashes[i], hashes[i + 1], hashes[i + 2], hashes[i + 3]
                for j in range(factors.size):
                    a, b = factors[j], summands[j]
                    low = min(np.uint32(a * x0 + b), np.uint32(a * x1 + b))
                    high = min(np.uint32(a * x2 + b), np.uint32(a * x3 + b))
                    signature[j] = min(signature[j], min(low, high))
            for i in range(whole, grams):
                for j in range(factors.size):
                    signature[j] = min(signature[j], np.uint32(factors[j] * hashes[i] + summands[j]))
    return found


@njit(cache=True, nogil=True)
def _grams(data, table, ngram, base):
    codes = np.empty(data.size, np.uint32)
    n, i = 0, 0
    while i < data.size:
        point, i = _point(data, i)
        code = table[point]
        if code:
            codes[n] = code
            n += 1
    grams = np.empty(max(0, n - ngram + 1), np.uint64)
    for i in range(grams.size):
        number = np.uint64(0)
        for j in range(ngram):
            number = number * base + np.uint64(codes[i + j])
        grams[i] = number
    return grams


@njit(cache=True, nogil=True)
def _common(one, other):
    i, j, common = 0, 0, 0
    while i < one.size and j < other.size:
        x, y = one[i], other[j]
        common += x == y
        i += x <= y
        j += y <= x
    return common


# --- what stands on disk, by shard ----------------------------------------------------------------------------------


class Shelf(NamedTuple):
    """Files of rows by shard, <folder>/<shard>/<name>.bin, read back by a document's place in the whole corpus."""

    folder: Path
    shards: tuple[str, ...]
    starts: np.ndarray  # int64 [shards + 1]: the place of each shard's first document, then the number of documents

    @classmethod
    def of(cls, folder: Path, sizes: Mapping[str, int]) -> Shelf:
        """sizes: the documents of each shard, in order."""
        return cls(folder, tuple(sizes), np.concatenate([[0], np.cumsum(list(sizes.values()))]).astype(np.int64))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def shard(self, name: str, number: int, dtype: Any) -> np.ndarray:
        """A whole file of one shard."""
        return np.fromfile(self.folder / self.shards[number] / f"{name}.bin", dtype=dtype)

    def column(self, name: str, dtype: Any) -> np.ndarray:
        """A file of all shards, one value a document: for values of a few bytes."""
        return np.concatenate([np.zeros(0, dtype), *(self.shard(name, i, dtype) for i in range(len(self.shards)))])

    def rows(self, name: str, dtype: Any, width: int, documents: np.ndarray) -> np.ndarray:
        """[documents, width]: some documents' rows. documents: ascending places."""
        found = np.empty((len(documents), width), dtype=dtype)
        size = found.itemsize * width
        for number, first, last in self._by_shard(documents):
            with (self.folder / self.shards[number] / f"{name}.bin").open("rb") as file:
                for i in range(first, last):
                    place = (int(documents[i]) - int(self.starts[number])) * size
                    found[i] = np.frombuffer(os.pread(file.fileno(), size, place), dtype=dtype)
        return found

    def texts(self, documents: np.ndarray) -> Iterator[bytes]:
        """The texts of some documents, as UTF-8. documents: ascending places."""
        for number, first, last in self._by_shard(documents):
            starts = self.shard("starts", number, np.int64)
            with (self.folder / self.shards[number] / "texts.bin").open("rb") as file:
                for i in range(first, last):
                    place = int(documents[i]) - int(self.starts[number])
                    start, end = int(starts[place]), int(starts[place + 1])
                    yield os.pread(file.fileno(), end - start, start)

    def _by_shard(self, documents: np.ndarray) -> Iterator[tuple[int, int, int]]:
        borders = np.searchsorted(documents, self.starts)
        for number in range(len(self.shards)):
            if borders[number] < borders[number + 1]:
                yield number, int(borders[number]), int(borders[number + 1])


def keep_sketches(found: Sketches, bands: int, rows: int, folder: Path) -> None:
    """Write the sketches of a shard as files of a Shelf."""
    for name, values in zip(found._fields, found, strict=True):
        values.tofile(folder / f"{name}.bin")
    band_hashes(found.signatures, bands, rows).tofile(folder / "bands.bin")


def ranking(qualities: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """uint32 [n]: each document's rank, the best first: by quality, then by length, then by order.

    A quality that is no number is the lowest.
    """
    order = np.lexsort((np.arange(len(lengths)), -lengths.astype(np.int64), -qualities))
    ranks = np.empty(len(order), dtype=np.uint32)
    ranks[order] = np.arange(len(order), dtype=np.uint32)
    return ranks


def _partitions(shelf: Shelf, name: str, width: int, total: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Partitions of about PARTITION rows by the hash in their first column, so that equal rows are together: for each
    its number, and [shard of each row, place in the shard, rows]. The files are read anew for each: one is in memory.
    """
    count = -(-total // PARTITION)
    for partition in range(count):
        held = []
        for number in range(len(shelf.shards)):
            rows = shelf.shard(name, number, np.uint64).reshape(-1, width)
            chosen = np.flatnonzero(rows[:, 0] % np.uint64(count) == partition)
            held.append((np.full(len(chosen), number), chosen, rows[chosen]))
        yield partition, [np.concatenate(column) for column in zip(*held, strict=True)]


def _shared(hashes: np.ndarray, fewest: int) -> np.ndarray:
    """bool [n]: the hashes that occur `fewest` times or more. Few do, and what is costly is done for them alone."""
    values = np.sort(hashes)
    values = _distinct(values[fewest - 1 :][values[fewest - 1 :] == values[: len(values) - fewest + 1]])
    if not len(values):
        return np.zeros(len(hashes), dtype=np.bool_)
    return values[np.minimum(np.searchsorted(values, hashes), len(values) - 1)] == hashes


# --- exact copies ---------------------------------------------------------------------------------------------------


def exact_copies(shelf: Shelf, ranks: np.ndarray) -> np.ndarray:
    """uint32 [n]: for each document that is a copy the best of its copies; NONE for the best, and for all others."""
    original = np.full(len(shelf), NONE, dtype=np.uint32)
    for _, (numbers, places, fingerprints) in _partitions(shelf, "fingerprints", 2, len(shelf)):
        shared = _shared(fingerprints[:, 0], 2)
        documents, fingerprints = (shelf.starts[numbers] + places)[shared], fingerprints[shared]
        order = np.lexsort((ranks[documents], fingerprints[:, 1], fingerprints[:, 0]))
        fingerprints, documents = fingerprints[order], documents[order]
        is_first = np.concatenate([[True], np.any(fingerprints[1:] != fingerprints[:-1], axis=1)])[: len(documents)]
        best = documents[np.flatnonzero(is_first)][np.cumsum(is_first) - 1]
        original[documents[~is_first]] = best[~is_first]
    return original


# --- near-duplicates ------------------------------------------------------------------------------------------------


def bucket_pairs(hashes: np.ndarray, ranks: np.ndarray, best: int = BEST) -> np.ndarray:
    """Pairs of documents with one hash, each with the at most `best` best of its bucket: uint64, in any order.

    hashes: uint64 [n]; ranks: uint32 [n]. A pair is the worse rank * 2**32 + the better rank.
    """
    shared = _shared(hashes, 2)
    hashes, ranks = hashes[shared], ranks[shared]
    order = np.lexsort((ranks, hashes))
    hashes, ranks = hashes[order], ranks[order].astype(np.uint64)
    is_first = np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)]
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(hashes)), 0))
    behind = np.arange(len(hashes)) - first
    found = [np.zeros(0, dtype=np.uint64)]
    for place in range(best):
        worse = np.flatnonzero(behind > place)
        found.append((ranks[worse] << np.uint64(32)) | ranks[first[worse] + place])
    return np.concatenate(found)


class Meeting(NamedTuple):
    """A task: find the pairs that meet in some bands."""

    shelf: Shelf
    ranks: Path  # uint32 [n], NONE for documents that are not compared
    bands: tuple[int, ...]
    best: int


def meet(task: Meeting, folder: Path) -> dict[str, Any]:
    """Write pairs-<band>.bin, the pairs of each band in ascending order, and ranges-<band>.bin, where each RANGE of the
    worse document's rank begins in it. Returns the number of pairs.
    """
    shelf, ranks = task.shelf, np.fromfile(task.ranks, dtype=np.uint32)
    parts = max(1, -(-len(shelf) // PARTITION))
    total = 0
    for band in task.bands:
        with (folder / f"unsorted-{band}.bin").open("wb") as file:
            for part in range(parts):
                bucket_pairs(*_band(shelf, ranks, band, part, parts), task.best).tofile(file)
        pairs = np.fromfile(folder / f"unsorted-{band}.bin", dtype=np.uint64)
        pairs.sort()
        pairs.tofile(folder / f"pairs-{band}.bin")
        (folder / f"unsorted-{band}.bin").unlink()
        borders = np.arange(0, len(shelf) + RANGE, RANGE, dtype=np.uint64) << np.uint64(32)
        np.searchsorted(pairs, borders).astype(np.int64).tofile(folder / f"ranges-{band}.bin")
        total += len(pairs)
    return {"pairs": total}


def _band(shelf: Shelf, ranks: np.ndarray, band: int, part: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of one band that are in one partition, and the ranks of their documents."""
    chosen, chosen_ranks = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    for number, name in enumerate(shelf.shards):
        first, last = int(shelf.starts[number]), int(shelf.starts[number + 1])
        size = last - first
        hashes = np.fromfile(shelf.folder / name / "bands.bin", np.uint64, count=size, offset=8 * size * band)
        wanted = (hashes % np.uint64(parts) == part) & (ranks[first:last] != NONE)
        chosen.append(hashes[wanted])
        chosen_ranks.append(ranks[first:last][wanted])
    return np.concatenate(chosen), np.concatenate(chosen_ranks)


def meetings(shelf: Shelf, ranks: Path, bands: int, best: int = BEST) -> dict[str, Meeting]:
    """The tasks of `meet`: one band each; where documents are few, several, for a process takes a second to start."""
    together = max(1, min(bands, RANGE_PAIRS // max(1, len(shelf))))
    groups = [tuple(range(first, min(bands, first + together))) for first in range(0, bands, together)]
    return {f"bands-{group[0]:04d}": Meeting(shelf, ranks, group, best) for group in groups}


class Comparison(NamedTuple):
    """A task: compare the pairs whose worse document is in some ranges of ranks."""

    shelf: Shelf
    order: Path  # uint32 [n]: the document of each rank
    pairs: tuple[tuple[str, int], ...]  # folder and number of each band
    first: int  # range
    last: int
    ngram: int
    permutations: int
    threshold: float
    edited: float
    copied: float


def compare(task: Comparison, folder: Path) -> dict[str, Any]:
    """Write the pairs whose true Jaccard index reaches the threshold, or reaches `edited` where a share `copied` is a
    copy, in ascending order: near.bin (uint64, as bucket_pairs has them) and jaccard.bin (float32). Returns how many were
    compared by signatures, truly, and how many have the index but are too much their own.
    """
    floor = min(task.threshold, task.edited)
    margin = ERRORS * (floor * (1 - floor) / task.permutations) ** 0.5
    order = np.fromfile(task.order, dtype=np.uint32)
    pairs = _distinct(np.concatenate([_range(Path(name), band, task.first, task.last) for name, band in task.pairs]))
    # In the order of the better document: the versions of one text lie together, and its set is made once.
    pairs = pairs[np.lexsort((pairs >> np.uint64(32), pairs & np.uint64(NONE)))]
    found, values, truly, alike = [np.zeros(0, np.uint64)], [np.zeros(0, np.float32)], 0, 0
    for start in range(0, len(pairs), CHUNK_PAIRS):
        chunk = pairs[start : start + CHUNK_PAIRS]
        sides = order[np.stack([chunk >> np.uint64(32), chunk & np.uint64(NONE)])]
        likely = _agreement(task.shelf, sides, task.permutations) >= floor - margin
        chunk, sides = chunk[likely], sides[:, likely]
        truly += len(chunk)
        similar, copied = _compare_truly(task.shelf, sides, task.ngram, floor)
        is_near = (similar >= task.threshold) | (similar >= task.edited) & (copied >= task.copied)
        alike += int(np.sum(similar >= task.edited) - np.sum(is_near))
        found.append(chunk[is_near])
        values.append(similar[is_near].astype(np.float32))
    near, values = np.concatenate(found), np.concatenate(values)
    ascending = np.argsort(near)
    near[ascending].tofile(folder / "near.bin")
    values[ascending].tofile(folder / "jaccard.bin")
    return {"candidates": len(pairs), "compared": truly, "alike": alike, "near": len(near)}


def _range(folder: Path, band: int, first: int, last: int) -> np.ndarray:
    """The pairs of a band whose worse document is in the ranges from first to last - 1."""
    start, end = _borders(folder, band)[[first, last]].tolist()
    return np.fromfile(folder / f"pairs-{band}.bin", np.uint64, count=end - start, offset=8 * start)


def _borders(folder: Path, band: int) -> np.ndarray:
    return np.fromfile(folder / f"ranges-{band}.bin", dtype=np.int64)


def _agreement(shelf: Shelf, sides: np.ndarray, permutations: int) -> np.ndarray:
    """float [pairs]: the share of permutations in which the signatures agree: an estimate of the Jaccard index.

    sides: [2, pairs], places of documents.
    """
    documents, places = np.unique(sides, return_inverse=True)
    signatures = shelf.rows("signatures", np.uint32, permutations, documents)
    one, other = places.reshape(sides.shape)
    agreement = np.empty(len(one))
    for start in range(0, len(one), 1024):
        chosen = slice(start, start + 1024)
        agreement[chosen] = (signatures[one[chosen]] == signatures[other[chosen]]).mean(axis=1)
    return agreement


def _compare_truly(shelf: Shelf, sides: np.ndarray, ngram: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """float [pairs]: the Jaccard indices of the pairs' sets, and their copied shares (0 where the index is too low).

    Texts are read for CHUNK_BYTES at a time.
    """
    documents, places = np.unique(sides, return_inverse=True)
    places = places.reshape(sides.shape)
    similar, copied = np.zeros(sides.shape[1]), np.zeros(sides.shape[1])
    sizes = shelf.rows("lengths", np.uint32, 1, documents)[:, 0].astype(np.int64) * 3
    start = 0
    while start < len(similar):
        end = _as_many_as_fit(places[:, start:], sizes) + start
        wanted, local = np.unique(places[:, start:end], return_inverse=True)
        texts = list(shelf.texts(documents[wanted]))
        sets = [gram_set(text, ngram) for text in texts]
        long: dict[int, np.ndarray] = {}  # of 2n-grams: few pairs come so far
        for pair, (one, other) in enumerate(local.reshape(2, end - start).T.tolist(), start):
            similar[pair] = jaccard(sets[one], sets[other])
            if similar[pair] >= threshold:
                for text in {one, other} - long.keys():
                    long[text] = gram_set(texts[text], 2 * ngram)
                copied[pair] = copied_share((sets[one], long[one]), (sets[other], long[other]))
        start = end
    return similar, copied


def _as_many_as_fit(places: np.ndarray, sizes: np.ndarray) -> int:
    """How many pairs from the first on have texts of CHUNK_BYTES together; one at least."""
    held: set[int] = set()
    total = 0
    for pair, both in enumerate(places.T.tolist()):
        total += sum(int(sizes[place]) for place in set(both) - held)
        held.update(both)
        if total > CHUNK_BYTES and pair:
            return pair
    return places.shape[1]


def comparisons(
    shelf: Shelf,
    order: Path,
    pairs: Sequence[tuple[Path, int]],
    ngram: int,
    permutations: int,
    threshold: float,
    edited: float,
    copied: float,
) -> dict[str, Comparison]:
    """The tasks of `compare`, in the order of the worse document's rank: eight of like size, or more of RANGE_PAIRS pairs
    each; up to the pairs of a RANGE. Which they are does not depend on the number of processes, nor does what comes out.
    """
    ranges = -(-len(shelf) // RANGE)
    counts = np.zeros(ranges, dtype=np.int64)
    for folder, band in pairs:
        counts += np.diff(_borders(folder, band))
    names = tuple((str(folder), band) for folder, band in pairs)
    tasks, first, held = {}, 0, 0
    enough = min(RANGE_PAIRS, int(counts.sum()) // 8 + 1)
    for number in range(ranges):
        held += int(counts[number])
        if held >= enough or number == ranges - 1:
            tasks[f"ranks-{first:06d}"] = Comparison(
                *(shelf, order, names, first, number + 1, ngram, permutations, threshold, edited, copied)
            )
            first, held = number + 1, 0
    return tasks


def near_pairs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `compare` wrote: the pairs (uint64) and their Jaccard indices (float32)."""
    return np.fromfile(folder / "near.bin", np.uint64), np.fromfile(folder / "jaccard.bin", np.float32)


def drop_worse(pairs: np.ndarray, values: np.ndarray, original: np.ndarray, similar: np.ndarray) -> None:
    """Decide who goes: a document whose near-duplicate is better and stays itself. Changes original and similar.

    pairs: uint64, ascending, as bucket_pairs has them, of documents no better than those of earlier calls; values:
    their Jaccard indices. original: uint32 [n], by rank: the rank of the better one, or NONE for what stays; similar:
    float32 [n], by rank: the Jaccard index of the two. Of several the best counts.
    """
    _greedy((pairs >> np.uint64(32)).astype(np.uint32), pairs.astype(np.uint32), values, original, similar)


@njit(cache=True, nogil=True)
def _greedy(worse, better, values, original, similar):
    for i in range(worse.size):
        if original[worse[i]] == NONE and original[better[i]] == NONE:
            original[worse[i]] = better[i]
            similar[worse[i]] = values[i]


# --- paragraphs -----------------------------------------------------------------------------------------------------


def repeated_paragraphs(shelf: Shelf, ranks: np.ndarray, fewest: int, folder: Path) -> None:
    """Find the paragraphs that `fewest` documents hold or more; each stays in the best of them alone.

    ranks: uint32 [n], NONE for documents that do not take part. Writes for each partition of the hashes, in ascending
    order, the numbers of the paragraphs that go (goes-<p>.bin, int64: counted through the shards' files) and the
    documents in which they stay (stays-<p>.bin, uint32). Two paragraphs are taken for the same by 64 bits: among a
    hundred million, the chance that any two others agree is one in 3,700.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = _paragraph_starts(shelf)
    for partition, (numbers, places, hashes) in _partitions(shelf, "paragraphs", 1, int(starts[-1])):
        owners = [
            shelf.starts[number] + shelf.shard("owners", number, np.uint32)[places[numbers == number]]
            for number in range(len(shelf.shards))
        ]
        documents = np.concatenate(owners)
        held = np.flatnonzero(ranks[documents] != NONE)
        held = held[_shared(hashes[held, 0], fewest)]
        goes, stays = _not_the_best(
            *(hashes[held, 0], ranks[documents[held]], documents[held], (starts[numbers] + places)[held], fewest)
        )
        goes.tofile(folder / f"goes-{partition}.bin")
        stays.tofile(folder / f"stays-{partition}.bin")


def _paragraph_starts(shelf: Shelf) -> np.ndarray:
    """int64 [shards + 1]: the number of each shard's first paragraph, then of all."""
    sizes = [(shelf.folder / name / "owners.bin").stat().st_size // 4 for name in shelf.shards]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _not_the_best(
    hashes: np.ndarray, ranks: np.ndarray, documents: np.ndarray, numbers: np.ndarray, fewest: int
) -> tuple[np.ndarray, np.ndarray]:
    """The numbers, ascending, of the paragraphs that go, and the documents in which they stay."""
    order = np.lexsort((numbers, ranks, hashes))
    hashes, documents, numbers = hashes[order], documents[order], numbers[order]
    new_hash = np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)]
    new_document = new_hash | np.concatenate([[True], documents[1:] != documents[:-1]])[: len(hashes)]
    group = np.cumsum(new_hash) - 1
    holders = np.bincount(group[new_document], minlength=int(new_hash.sum()))
    best = documents[np.flatnonzero(new_hash)]
    goes = (holders[group] >= fewest) & (documents != best[group])
    ascending = np.argsort(numbers[goes])
    return numbers[goes][ascending], best[group][goes][ascending].astype(np.uint32)


def paragraphs_that_go(folder: Path, shelf: Shelf, shard: int) -> Iterator[tuple[int, int, int, int]]:
    """Of one shard, in order: document (its place in the shard), bytes of the shard's texts where the paragraph begins
    and ends, and the document that keeps it (its place in the corpus). folder: what `repeated_paragraphs` wrote.
    """
    first, last = _paragraph_starts(shelf)[shard : shard + 2].tolist()
    numbers, keepers = [np.zeros(0, np.int64)], [np.zeros(0, np.uint32)]
    for partition in range(len(list(folder.glob("goes-*.bin")))):
        goes = np.fromfile(folder / f"goes-{partition}.bin", dtype=np.int64)
        start, end = np.searchsorted(goes, [first, last]).tolist()
        numbers.append(goes[start:end] - first)
        keepers.append(np.fromfile(folder / f"stays-{partition}.bin", np.uint32, count=end - start, offset=4 * start))
    chosen = np.concatenate(numbers)
    owners = shelf.shard("owners", shard, np.uint32)
    spans = shelf.shard("spans", shard, np.int64).reshape(-1, 2)
    order = np.argsort(chosen)
    for number, keeper in zip(chosen[order].tolist(), np.concatenate(keepers)[order].tolist(), strict=True):
        yield int(owners[number]), int(spans[number, 0]), int(spans[number, 1]), keeper
