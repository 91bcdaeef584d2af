"""The shelf: data about records in files, one for each shard, read back by a record's place in the table.

Texts, signatures and hashes stay on disk, so memory does not grow with them. For all records at once, only columns of a
few bytes each are in memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)
Columns = dict[str, npt.NDArray[Any]]  # by name, one value for each record
Places = npt.NDArray[np.integer[Any]]  # of records, in the whole table

NONE = np.uint32(0xFFFFFFFF)  # no record
PARTITION = 4_000_000  # hashes that are sorted at once


class Partition(NamedTuple):
    """Some rows of a file of all shards, in order."""

    numbers: npt.NDArray[np.int64]  # [rows]: the number of each row, counted through the shards' files
    documents: npt.NDArray[np.int64]  # [rows]: the place of its document in the whole table
    rows: npt.NDArray[np.uint64]  # [rows, width]


class Shelf(NamedTuple):
    """Files of rows by shard, <folder>/<shard>/<name>.bin, read back by a record's place in the whole table."""

    folder: Path
    shards: tuple[str, ...]
    starts: npt.NDArray[np.int64]  # [shards + 1]: the place of each shard's first record, then the number of records

    @classmethod
    def of(cls, folder: Path, sizes: Mapping[str, int]) -> Shelf:
        """sizes: the number of records in each shard, in order."""
        return cls(folder, tuple(sizes), np.concatenate([[0], np.cumsum(list(sizes.values()))]).astype(np.int64))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def shard(self, name: str, number: int, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
        """A whole file of one shard."""
        return np.fromfile(self.folder / self.shards[number] / f"{name}.bin", dtype=dtype)

    def column(self, name: str, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
        """A file of all shards, with one value for each record: for values of a few bytes."""
        return np.concatenate([np.zeros(0, dtype), *(self.shard(name, i, dtype) for i in range(len(self.shards)))])

    def rows(self, name: str, dtype: type[Scalar], width: int, documents: Places) -> npt.NDArray[Scalar]:
        """[documents, width]: the rows of some documents. documents: ascending places."""
        found = np.empty((len(documents), width), dtype=dtype)
        size = found.itemsize * width
        for number, first, last in self._by_shard(documents):
            with (self.folder / self.shards[number] / f"{name}.bin").open("rb") as file:
                for i in range(first, last):
                    place = (int(documents[i]) - int(self.starts[number])) * size
                    found[i] = np.frombuffer(os.pread(file.fileno(), size, place), dtype=dtype)
        return found

    def texts(self, documents: Places) -> Iterator[bytes]:
        """The texts of some documents, as UTF-8. documents: ascending places."""
        for number, first, last in self._by_shard(documents):
            starts = self.shard("starts", number, np.int64)
            with (self.folder / self.shards[number] / "texts.bin").open("rb") as file:
                for i in range(first, last):
                    place = int(documents[i]) - int(self.starts[number])
                    start, end = int(starts[place]), int(starts[place + 1])
                    yield os.pread(file.fileno(), end - start, start)

    def shard_columns(self, folder: Path, number: int, **dtypes: Any) -> Columns:
        """The values of one shard in files of the whole table, as `write_columns` wrote them to another folder."""
        first, last = self.starts[number : number + 2].tolist()
        return {
            name: np.fromfile(
                folder / f"{name}.bin", dtype, count=last - first, offset=first * np.dtype(dtype).itemsize
            )
            for name, dtype in dtypes.items()
        }

    def partitions(self, name: str, width: int, owners: str | None = None) -> Iterator[Partition]:
        """All rows of a file of hashes, uint64 [rows, width], in partitions by the hash in their first column.

        Equal rows are in the same partition, and rows are in order. Each shard's file is read once, and its rows are written
        to a file for each partition, so the time grows with the rows alone. Memory holds one shard or one partition.
        owners: the file with the document of each row, uint32, as its place in the shard; without it, row i is document i.
        The partitions stand on disk, in a folder beside this one, with 12 bytes a row besides the rows.
        """
        sizes = self.sizes(name, 8 * width)
        count, firsts = partitions_of(sum(sizes)), np.cumsum([0, *sizes]).tolist()
        work = self.folder.with_name(f"{self.folder.name}-{name}-partitions")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for number in range(len(self.shards)):
            rows = self.shard(name, number, np.uint64).reshape(-1, width)
            places = np.arange(len(rows), dtype=np.int64)
            documents = int(self.starts[number]) + (self.shard(owners, number, np.uint32) if owners else places)
            partition = rows[:, 0] % np.uint64(max(count, 1))
            order = np.argsort(partition, kind="stable")
            borders = np.searchsorted(partition[order], np.arange(count + 1, dtype=np.uint64)).tolist()
            for one, (start, end) in enumerate(pairwise(borders)):
                chosen = order[start:end]
                _append(work / f"numbers-{one}.bin", firsts[number] + chosen)
                _append(work / f"documents-{one}.bin", documents[chosen].astype(np.uint32))
                _append(work / f"rows-{one}.bin", rows[chosen])
        for one in range(count):
            yield Partition(
                np.fromfile(work / f"numbers-{one}.bin", np.int64),
                np.fromfile(work / f"documents-{one}.bin", np.uint32).astype(np.int64),
                np.fromfile(work / f"rows-{one}.bin", np.uint64).reshape(-1, width),
            )
        shutil.rmtree(work)

    def sizes(self, name: str, row: int) -> list[int]:
        """The number of rows in the file of each shard. row: bytes of a row."""
        return [(self.folder / shard / f"{name}.bin").stat().st_size // row for shard in self.shards]

    def _by_shard(self, documents: Places) -> Iterator[tuple[int, int, int]]:
        borders = np.searchsorted(documents, self.starts)
        for number in range(len(self.shards)):
            if borders[number] < borders[number + 1]:
                yield number, int(borders[number]), int(borders[number + 1])


def partitions_of(total: int) -> int:
    """The number of partitions for so many hashes, so that each has about PARTITION hashes."""
    return -(-total // PARTITION)


def _append(path: Path, values: npt.NDArray[Any]) -> None:
    with path.open("ab") as file:
        values.tofile(file)


def write_columns(folder: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays as raw files <folder>/<name>.bin; a shard can read its own rows of them (`Shelf.shard_columns`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        values.tofile(folder / f"{name}.bin")
