"""Duplicate documents: what documents are compared by, and which of them stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.duplicates import paragraphs, sketches
from woodblock.duplicates.equal_values import is_first, is_frequent
from woodblock.duplicates.pairs import Nearness, near_duplicates
from woodblock.duplicates.shelf import NONE, Columns, Shelf, write_columns
from woodblock.tables import texts


class Shingles(NamedTuple):
    """How documents are sketched: settings of the block dedup, with the same names, and the seed."""

    ngram: int
    bands: int
    rows: int
    paragraph_chars: int
    validation_share: float
    seed: int

    @classmethod
    def of(cls, block: Any, seed: int) -> Shingles:
        return cls(block.ngram, block.bands, block.rows, block.paragraph_chars, block.validation_share, seed)


def sketch_documents(part: Path, shingles: Shingles, folder: Path) -> int:
    """Write what documents are compared by, and their texts; returns their number."""
    with pq.ParquetFile(part) as file:  # read_table and to_numpy would import pandas, which takes time
        table = file.read(columns=["text", "quality", "group"])
    starts, data = utf8(table["text"])
    starts.tofile(folder / "starts.bin")
    data.tofile(folder / "texts.bin")
    factors, summands = sketches.permutations(shingles.seed, shingles.bands * shingles.rows)
    found = sketches.sketch(data, starts, shingles.ngram, factors, summands, shingles.paragraph_chars)
    sketches.keep(found, shingles.bands, shingles.rows, folder)
    qualities = [np.zeros(0), *(np.from_dlpack(chunk) for chunk in table["quality"].chunks)]
    np.concatenate(qualities).tofile(folder / "qualities.bin")
    named = zip(table["group"].to_pylist(), found.fingerprints, strict=True)
    held_out = [texts.held_out(group_of(group, mark), shingles.validation_share) for group, mark in named]
    np.array(held_out, dtype=np.bool_).tofile(folder / "held_out.bin")
    return len(table)


def group_of(group: str, fingerprint: npt.NDArray[np.uint64]) -> str:
    """The group of a document: its own (a law, a chapter) or, without one, a name for its letters.

    So the split depends on nothing but the document: not on its place in the source, and not on the other documents.
    Documents with the same letters are on the same side. fingerprint: of the letters, as `sketches.sketch` gives it.
    """
    return group or f"{int(fingerprint[0]):016x}{int(fingerprint[1]):016x}"


def utf8(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """The texts of a column, one after the other: where each begins and the last one ends, and their bytes."""
    starts, pieces, total = [np.zeros(1, dtype=np.int64)], [np.zeros(0, dtype=np.uint8)], 0
    for chunk in column.chunks:
        if len(chunk):
            _, offsets, data = chunk.cast(pa.large_string()).buffers()
            places = np.frombuffer(offsets, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            pieces.append(np.frombuffer(data or b"", dtype=np.uint8)[places[0] : places[-1]])
            starts.append(places[1:] - places[0] + total)
            total += int(places[-1] - places[0])
    return np.concatenate(starts), np.concatenate(pieces)


def compare_documents(
    shelf: Shelf, settings: Any, work: Path, workers: int, lap: Callable[[str], None]
) -> tuple[Columns, dict[str, int]]:
    """The fate of each document, and how many pairs were compared. Writes the paragraphs to remove to work/paragraphs.

    A fate is `original` (uint32: the place of the better document for which this one is dropped, or NONE) and `similar`
    (float32: their Jaccard index; 0 for an exact copy, which was not compared). Memory: 14 bytes a document for its rank
    and its fate, and 24 more while documents are sorted.

    settings: the block dedup. workers: the number of processes. lap: called with the name of each step when it is done.
    """
    lengths = shelf.column("lengths", np.uint32)
    ranks = ranking(shelf.column("qualities", np.float64), lengths)
    order = np.argsort(ranks).astype(np.uint32)
    original = exact_copies(shelf, ranks)
    comparable = np.where((original == NONE) & (lengths >= settings.ngram), ranks, NONE)
    write_columns(work / "ranks", {"ranks": comparable, "order": order})
    lap("exact")

    better, similar, counts = near_duplicates(
        shelf,
        ranks=work / "ranks" / "ranks.bin",
        order=work / "ranks" / "order.bin",
        bands=settings.bands,
        permutations=settings.bands * settings.rows,
        nearness=Nearness.of(settings),
        work=work,
        workers=workers,
    )
    is_near = better[ranks] != NONE
    original[is_near] = order[better[ranks][is_near]]
    lap("near")

    held_out = shelf.column("held_out", np.bool_)
    trained = np.where((original == NONE) & ~held_out, ranks, NONE)
    paragraphs.find_repeated(shelf, trained, settings.paragraph_documents, work / "paragraphs")
    lap("paragraphs")
    return {"original": original, "similar": similar[ranks]}, counts


def ranking(qualities: npt.NDArray[np.float64], lengths: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """[n]: each document's rank, 0 for the best: by quality, then by length, then by order.

    A quality that is NaN is the lowest.
    """
    order = np.lexsort((np.arange(len(lengths)), -lengths.astype(np.int64), -qualities))
    ranks = np.empty(len(order), dtype=np.uint32)
    ranks[order] = np.arange(len(order), dtype=np.uint32)
    return ranks


def exact_copies(shelf: Shelf, ranks: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """[n]: for each document that is an exact copy, the best of the copies; NONE for the best, and for all others."""
    original = np.full(len(shelf), NONE, dtype=np.uint32)
    for _, documents, fingerprints in shelf.partitions("fingerprints", 2):
        shared = is_frequent(fingerprints[:, 0], 2)
        documents, fingerprints = documents[shared], fingerprints[shared]
        order = np.lexsort((ranks[documents], fingerprints[:, 1], fingerprints[:, 0]))
        fingerprints, documents = fingerprints[order], documents[order]
        is_best = is_first(fingerprints)
        best = documents[np.flatnonzero(is_best)][np.cumsum(is_best) - 1]
        original[documents[~is_best]] = best[~is_best]
    return original
