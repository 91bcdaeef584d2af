"""The shelf: data about records in files, one for each shard, read back by a record's place in the table.

Texts, signatures and hashes stay on disk, so memory does not grow with them. For all records at once, only columns of a
few bytes each are in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)
Columns = dict[str, npt.NDArray[Any]]  # by name, one value for each record
Places = npt.NDArray[np.integer[Any]]  # of records, in the whole table

NONE = np.uint32(0xFFFFFFFF)  # no record
PARTITION = 4_000_000  # hashes that are sorted at once


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

    def partitions(self, name: str, width: int, total: int) -> Iterator[list[npt.NDArray[Any]]]:
        """The `total` rows of a file of hashes, uint64 [rows, width], in partitions by the hash in their first column.

        Equal rows are in the same partition. A partition is [shard of each row, its place in the shard, rows]. The files
        are read again for each partition, so only one is in memory.
        """
        count = partitions_of(total)
        for partition in range(count):
            held = []
            for number in range(len(self.shards)):
                rows = self.shard(name, number, np.uint64).reshape(-1, width)
                chosen = np.flatnonzero(rows[:, 0] % np.uint64(count) == partition)
                held.append((np.full(len(chosen), number), chosen, rows[chosen]))
            yield [np.concatenate(column) for column in zip(*held, strict=True)]

    def _by_shard(self, documents: Places) -> Iterator[tuple[int, int, int]]:
        borders = np.searchsorted(documents, self.starts)
        for number in range(len(self.shards)):
            if borders[number] < borders[number + 1]:
                yield number, int(borders[number]), int(borders[number + 1])


def partitions_of(total: int) -> int:
    """The number of partitions for so many hashes, so that each has about PARTITION hashes."""
    return -(-total // PARTITION)


def write_columns(folder: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays as raw files <folder>/<name>.bin; a shard can read its own rows of them (`Shelf.shard_columns`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in columns.items():
        values.tofile(folder / f"{name}.bin")
