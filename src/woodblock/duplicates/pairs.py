"""Near-duplicates: find candidate pairs of documents, compare them exactly, and drop the worse ones.

Two documents meet, as a candidate pair, where their signatures agree in a band (sketches.py). Their sets are then compared
exactly. A document is dropped only if a better one that itself stays is its near-duplicate. So there are no chains of
near-duplicates whose first and last have nothing in common.

There are two rounds of shards: the bands are divided to find the pairs that meet; then the ranks of the worse documents
are divided to compare these pairs. For all documents at once, only the ranks, their order and the dropped ones are in
memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.duplicates.equal_values import distinct, is_first, is_frequent
from woodblock.duplicates.shelf import NONE, Shelf, partitions_of
from woodblock.duplicates.sketches import copied_share, gram_set, jaccard
from woodblock.run import shards

Hashes = npt.NDArray[np.uint64]
Pairs = npt.NDArray[np.uint64]  # the worse rank * 2**32 + the better rank
Ranks = npt.NDArray[np.uint32]
Sides = npt.NDArray[np.uint32]  # [2, pairs]: the worse documents of pairs, and the better ones
Indices = npt.NDArray[np.float32]  # Jaccard's

BEST = 16  # each document of a bucket is compared with so many of the bucket's best, not with all
ERRORS = 3  # standard errors: with an estimate so far under the threshold, a pair is not compared exactly
RANGE = 256  # documents whose pairs are together in the files of pairs
RANGE_PAIRS = 1_000_000  # pairs of a task of the comparison, at least, if there are so many
CHUNK_PAIRS = 16_384  # pairs whose signatures are in memory at once: at most 32 MB
CHUNK_BYTES = 8_000_000  # of texts whose n-gram sets are in memory at once: at most 64 MB


class Nearness(NamedTuple):
    """The limits from which on two documents are near-duplicates: settings of the block dedup, with the same names."""

    ngram: int
    threshold: float
    edited: float
    copied: float

    @classmethod
    def of(cls, block: Any) -> Nearness:
        return cls(block.ngram, block.threshold, block.edited, block.copied)


def near_duplicates(
    shelf: Shelf,
    *,
    ranks: Path,
    order: Path,
    bands: int,
    permutations: int,
    nearness: Nearness,
    work: Path,
    workers: int,
) -> tuple[Ranks, Indices, dict[str, int]]:
    """Find the documents to drop for a better one.

    ranks: a file, uint32 [n]: each document's rank, the best 0; NONE for documents that are not compared. order: a file,
    uint32 [n]: the document of each rank. permutations: of a signature. work: a folder for the files of the two rounds of
    shards.

    Returns by rank, for each dropped document, the rank of the better one ([n], else NONE) and their Jaccard index
    ([n], else 0); and how many pairs were candidates, compared, alike and near (see `compare`).
    """
    met = meetings(shelf, ranks, bands)
    shards.work(meet, met, work / "meetings", workers, "dedup: buckets")
    places = [(work / "meetings" / name, band) for name, task in met.items() for band in task.bands]
    tasks = comparisons(shelf, order, places, permutations, nearness)
    done = shards.work(compare, tasks, work / "comparisons", workers, "dedup: pairs")
    better, similar = np.full(len(shelf), NONE, dtype=np.uint32), np.zeros(len(shelf), dtype=np.float32)
    for name in tasks:
        drop_worse(*near_pairs(work / "comparisons" / name), better, similar)
    counts = {key: sum(result[key] for result in done.values()) for key in ("candidates", "compared", "alike", "near")}
    return better, similar, counts


# --- which documents meet ---------------------------------------------------------------------------------------------


class Meeting(NamedTuple):
    """A task: find the pairs that meet in some bands."""

    shelf: Shelf
    ranks: Path  # uint32 [n], NONE for documents that are not compared
    bands: tuple[int, ...]


def meet(task: Meeting, folder: Path) -> dict[str, Any]:
    """Write for each band pairs-<band>.bin, its pairs in ascending order, and ranges-<band>.bin, the places in it where
    each RANGE of the worse document's rank begins. Returns the number of pairs.
    """
    shelf, ranks = task.shelf, np.fromfile(task.ranks, dtype=np.uint32)
    parts = max(1, partitions_of(len(shelf)))
    total = 0
    for band in task.bands:
        with (folder / f"unsorted-{band}.bin").open("wb") as file:
            for part in range(parts):
                bucket_pairs(*_band(shelf, ranks, band, part, parts)).tofile(file)
        pairs = np.fromfile(folder / f"unsorted-{band}.bin", dtype=np.uint64)
        pairs.sort()
        pairs.tofile(folder / f"pairs-{band}.bin")
        (folder / f"unsorted-{band}.bin").unlink()
        borders = np.arange(0, len(shelf) + RANGE, RANGE, dtype=np.uint64) << np.uint64(32)
        np.searchsorted(pairs, borders).astype(np.int64).tofile(folder / f"ranges-{band}.bin")
        total += len(pairs)
    return {"pairs": total}


def _band(shelf: Shelf, ranks: Ranks, band: int, part: int, parts: int) -> tuple[Hashes, Ranks]:
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


def meetings(shelf: Shelf, ranks: Path, bands: int) -> dict[str, Meeting]:
    """The tasks of `meet`: one band each, or several if there are few documents, since a process starts in a second."""
    together = max(1, min(bands, RANGE_PAIRS // max(1, len(shelf))))
    groups = [tuple(range(first, min(bands, first + together))) for first in range(0, bands, together)]
    return {f"bands-{group[0]:04d}": Meeting(shelf, ranks, group) for group in groups}


def bucket_pairs(hashes: Hashes, ranks: Ranks, best: int = BEST) -> Pairs:
    """Pairs of documents with the same hash: each document with at most `best` best ones of its bucket, in any order.

    hashes [n]; ranks [n]. A pair is the worse rank * 2**32 + the better rank.
    """
    shared = is_frequent(hashes, 2)
    hashes, ranks = hashes[shared], ranks[shared]
    order = np.lexsort((ranks, hashes))
    hashes, ranks = hashes[order], ranks[order].astype(np.uint64)
    first = np.maximum.accumulate(np.where(is_first(hashes), np.arange(len(hashes)), 0))
    behind = np.arange(len(hashes)) - first
    found = [np.zeros(0, dtype=np.uint64)]
    for place in range(best):
        worse = np.flatnonzero(behind > place)
        found.append((ranks[worse] << np.uint64(32)) | ranks[first[worse] + place])
    return np.concatenate(found)


# --- which documents are alike ----------------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """A task: compare the pairs whose worse document is in some ranges of ranks."""

    shelf: Shelf
    order: Path  # uint32 [n]: the document of each rank
    pairs: tuple[tuple[str, int], ...]  # folder and number of each band
    first: int  # range
    last: int
    permutations: int
    nearness: Nearness


def compare(task: Comparison, folder: Path) -> dict[str, Any]:
    """Write the pairs of near-duplicates in ascending order: near.bin (uint64, as in bucket_pairs) and jaccard.bin
    (float32).

    Near are the pairs whose exact Jaccard index reaches the threshold; or reaches `edited`, if at least a share `copied`
    of them is a copy. Returns the numbers of pairs: candidates (compared by signatures), compared (exactly), alike (their
    index reaches `edited`, but too little is a copy) and near.
    """
    ngram, threshold, edited, least_copied = task.nearness
    floor = min(threshold, edited)
    margin = ERRORS * (floor * (1 - floor) / task.permutations) ** 0.5
    order = np.fromfile(task.order, dtype=np.uint32)
    pairs = distinct(np.concatenate([_range(Path(name), band, task.first, task.last) for name, band in task.pairs]))
    # In the order of the better document: so the versions of one text are together, and its set is made once.
    pairs = pairs[np.lexsort((pairs >> np.uint64(32), pairs & np.uint64(NONE)))]
    found, values, truly, alike = [np.zeros(0, np.uint64)], [np.zeros(0, np.float32)], 0, 0
    for start in range(0, len(pairs), CHUNK_PAIRS):
        chunk = pairs[start : start + CHUNK_PAIRS]
        sides = order[np.stack([chunk >> np.uint64(32), chunk & np.uint64(NONE)])]
        likely = _agreement(task.shelf, sides, task.permutations) >= floor - margin
        chunk, sides = chunk[likely], sides[:, likely]
        truly += len(chunk)
        similar, copied = _compare_truly(task.shelf, sides, ngram, floor)
        is_near = (similar >= threshold) | (similar >= edited) & (copied >= least_copied)
        alike += int(np.sum(similar >= edited)) - int(np.sum(is_near))
        found.append(chunk[is_near])
        values.append(similar[is_near].astype(np.float32))
    near, indices = np.concatenate(found), np.concatenate(values)
    ascending = np.argsort(near)
    near[ascending].tofile(folder / "near.bin")
    indices[ascending].tofile(folder / "jaccard.bin")
    return {"candidates": len(pairs), "compared": truly, "alike": alike, "near": len(near)}


def _range(folder: Path, band: int, first: int, last: int) -> Pairs:
    """The pairs of a band whose worse document is in the ranges from first to last - 1."""
    start, end = _borders(folder, band)[[first, last]].tolist()
    return np.fromfile(folder / f"pairs-{band}.bin", np.uint64, count=end - start, offset=8 * start)


def _borders(folder: Path, band: int) -> npt.NDArray[np.int64]:
    return np.fromfile(folder / f"ranges-{band}.bin", dtype=np.int64)


def _agreement(shelf: Shelf, sides: Sides, permutations: int) -> npt.NDArray[np.float64]:
    """[pairs]: the share of permutations in which the signatures agree, an estimate of the Jaccard index.

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


def _compare_truly(
    shelf: Shelf, sides: Sides, ngram: int, threshold: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """[pairs]: the exact Jaccard indices, and the copied shares (0 where the index is too low).

    Texts are read CHUNK_BYTES at a time.
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
        long: dict[int, Hashes] = {}  # sets of 2n-grams: only few pairs need them
        for pair, (one, other) in enumerate(local.reshape(2, end - start).T.tolist(), start):
            similar[pair] = jaccard(sets[one], sets[other])
            if similar[pair] >= threshold:
                for text in {one, other} - long.keys():
                    long[text] = gram_set(texts[text], 2 * ngram)
                copied[pair] = copied_share((sets[one], long[one]), (sets[other], long[other]))
        start = end
    return similar, copied


def _as_many_as_fit(places: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> int:
    """How many pairs, from the first on, have texts of at most CHUNK_BYTES together; at least one."""
    held: set[int] = set()
    total = 0
    for pair, both in enumerate(places.T.tolist()):
        total += sum(int(sizes[place]) for place in set(both) - held)
        held.update(both)
        if total > CHUNK_BYTES and pair:
            return pair
    return int(places.shape[1])


def comparisons(
    shelf: Shelf, order: Path, pairs: Sequence[tuple[Path, int]], permutations: int, nearness: Nearness
) -> dict[str, Comparison]:
    """The tasks of `compare`, in the order of the worse document's rank: eight of similar size, or more, of about
    RANGE_PAIRS pairs each. Tasks and results do not depend on the number of processes.
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
            tasks[f"ranks-{first:06d}"] = Comparison(shelf, order, names, first, number + 1, permutations, nearness)
            first, held = number + 1, 0
    return tasks


def near_pairs(folder: Path) -> tuple[Pairs, Indices]:
    """What `compare` wrote: the pairs and their Jaccard indices."""
    return np.fromfile(folder / "near.bin", np.uint64), np.fromfile(folder / "jaccard.bin", np.float32)


# --- which documents are dropped --------------------------------------------------------------------------------------


def drop_worse(pairs: Pairs, values: Indices, original: Ranks, similar: Indices) -> None:
    """Drop each document that has a near-duplicate which is better and itself stays. Changes original and similar.

    pairs: ascending, as in bucket_pairs; their documents are no better than those of earlier calls. values: their Jaccard
    indices. original [n], by rank: the rank of the better document, or NONE for a document that stays. similar [n], by
    rank: the Jaccard index of the two. If there are several better ones, the best counts.
    """
    _greedy((pairs >> np.uint64(32)).astype(np.uint32), pairs.astype(np.uint32), values, original, similar, NONE)


@njit(cache=True, nogil=True)
def _greedy(worse: Ranks, better: Ranks, values: Indices, original: Ranks, similar: Indices, none: np.uint32) -> None:
    for i in range(worse.size):
        if original[worse[i]] == none and original[better[i]] == none:
            original[worse[i]] = better[i]
            similar[worse[i]] = values[i]
