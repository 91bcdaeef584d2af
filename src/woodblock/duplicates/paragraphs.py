"""Repeated paragraphs: a paragraph that many documents have stays only in the best of them.

A paragraph is a line, or a whole block of code, a table or a list (structure.blocks). sketches.py decides by what they are
compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from woodblock.cleaning.repairing import repair
from woodblock.duplicates.equal_values import is_first, is_frequent
from woodblock.duplicates.shelf import NONE, Shelf
from woodblock.tables.funnel import Funnel


def find_repeated(shelf: Shelf, ranks: npt.NDArray[np.uint32], fewest: int, folder: Path) -> None:
    """Find the paragraphs that `fewest` or more documents have; each stays only in the best of them.

    ranks [n]: NONE for documents that are left out. For each partition of the hashes it writes, in ascending order, the
    numbers of the paragraphs to remove (goes-<p>.bin, int64: counted through the shards' files) and the documents in which
    they stay (stays-<p>.bin, uint32). Paragraphs with equal 64-bit hashes count as equal: among a hundred million
    paragraphs, the chance that any two different ones have the same hash is one in 3,700. firsts.bin (int64 [shards + 1])
    has the number of each shard's first paragraph, then the number of all. The time grows with the paragraphs alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.cumsum([0, *shelf.sizes("owners", 4)]).astype(np.int64).tofile(folder / "firsts.bin")
    found = shelf.partitions("paragraphs", 1, owners="owners")
    for partition, (numbers, documents, hashes) in enumerate(found):
        held = np.flatnonzero(ranks[documents] != NONE)
        held = held[is_frequent(hashes[held, 0], fewest)]
        goes, stays = _not_the_best(hashes[held, 0], ranks[documents[held]], documents[held], numbers[held], fewest)
        goes.tofile(folder / f"goes-{partition}.bin")
        stays.tofile(folder / f"stays-{partition}.bin")


class Gone(NamedTuple):
    """A paragraph to remove: its bytes in its document's UTF-8, and the place of the document that keeps it."""

    start: int
    end: int
    keeper: int


def that_go(folder: Path, shelf: Shelf, shard: int) -> dict[int, list[Gone]]:
    """The paragraphs to remove from the documents of one shard, in order, by the document's place in the shard.

    folder: what `find_repeated` wrote.
    """
    first, last = np.fromfile(folder / "firsts.bin", np.int64, count=2, offset=8 * shard).tolist()
    numbers, keepers = [np.zeros(0, np.int64)], [np.zeros(0, np.uint32)]
    for partition in range(len(list(folder.glob("goes-*.bin")))):
        path = folder / f"goes-{partition}.bin"
        if not path.stat().st_size:
            continue
        goes = np.memmap(path, np.int64, "r")  # of which the search reads a few pages
        start, end = np.searchsorted(goes, [first, last]).tolist()
        numbers.append(np.array(goes[start:end]) - first)
        keepers.append(np.fromfile(folder / f"stays-{partition}.bin", np.uint32, count=end - start, offset=4 * start))
    chosen = np.concatenate(numbers)
    order = np.argsort(chosen)
    chosen = chosen[order]
    documents = shelf.shard("owners", shard, np.uint32)[chosen]
    starts = shelf.shard("starts", shard, np.int64)[documents]
    spans = shelf.shard("spans", shard, np.int64).reshape(-1, 2)[chosen] - starts[:, None]
    found: dict[int, list[Gone]] = {}
    for document, (start, end), keeper in zip(
        documents.tolist(), spans.tolist(), np.concatenate(keepers)[order].tolist(), strict=True
    ):
        found.setdefault(document, []).append(Gone(start, end, keeper))
    return found


def without(record: Mapping[str, Any], gone: Sequence[Gone], funnel: Funnel) -> str:
    """A document's text without some of its paragraphs. The first of them is kept as a sample."""
    data = record["text"].encode("utf-8")
    pieces, behind = [], 0
    for start, end, _ in gone:
        pieces.append(data[behind:start])
        behind = end + 1  # its newline is removed too
    pieces.append(data[behind:])
    funnel.change("paragraphs")
    funnel.counts["paragraphs_removed"] += len(gone)
    start, end, keeper = gone[0]
    funnel.sample("paragraphs", record, data[start:end].decode("utf-8"), str(keeper), len(gone))
    return tidy(b"".join(pieces).decode("utf-8"))


def tidy(text: str) -> str:
    """A text from which paragraphs were removed, without the empty lines that they left."""
    return repair(text)


def _not_the_best(
    hashes: npt.NDArray[np.uint64],
    ranks: npt.NDArray[np.uint32],
    documents: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    fewest: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """The numbers, ascending, of the paragraphs to remove, and the documents in which they stay."""
    order = np.lexsort((numbers, ranks, hashes))
    hashes, documents, numbers = hashes[order], documents[order], numbers[order]
    new_hash = is_first(hashes)
    new_document = new_hash | is_first(documents)
    group = np.cumsum(new_hash) - 1
    holders = np.bincount(group[new_document], minlength=int(new_hash.sum()))
    best = documents[np.flatnonzero(new_hash)]
    goes = (holders[group] >= fewest) & (documents != best[group])
    ascending = np.argsort(numbers[goes])
    return numbers[goes][ascending], best[group][goes][ascending].astype(np.uint32)
