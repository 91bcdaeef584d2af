"""Tables: folders of Parquet parts with zstd, written and read as streams. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.base.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

ROWS_PER_PART = 200_000
ROWS_PER_GROUP = 10_000
CHARACTERS_PER_GROUP = 8_000_000


def schema(**columns: str) -> pa.Schema:
    """A schema from names of Arrow types: schema(id="string", chars="int64").

    "messages" stands for a conversation: a list of {role, content}.
    """
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {"messages": pa.list_(message)}
    return pa.schema([(name, types.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()])


# weight: how often the text is read in one pass over the corpus (packing.Windows reads by it), or in an epoch of sft.
CORPUS = schema(id="string", group="string", source="string", title="string", weight="float64", text="string")
CLEANED = CORPUS.append(pa.field("quality", pa.float64()))
INSTRUCTIONS = schema(id="string", source="string", weight="float64", messages="messages")
DOCUMENTS = schema(
    id="string", law="string", chapter="string", article="string", number="int64", status="string", text="string"
)
BENCHMARKS = schema(id="string", benchmark="string", text="string")
# Samples of what a step dropped, or of what was kept; value is what was measured.
DROPS = schema(id="string", source="string", step="string", reason="string", value="float64", text="string")
SPLIT_DOCUMENTS = DOCUMENTS.append(pa.field("split", pa.string()))


class Writer:
    """Writes records as part-00000.parquet, … of a new folder; use it in a `with` statement.

    At most ROWS_PER_GROUP records are held in memory. An empty table is one part without rows. part_characters: a part
    ends with the record that brings it to so many characters; without it only the number of rows ends a part.
    """

    def __init__(self, folder: Path, columns: pa.Schema, part_characters: int | None = None) -> None:
        self.folder, self.columns, self.written = Path(folder), columns, 0
        self.part_characters, self._in_part = part_characters, 0
        self.folder.mkdir(parents=True)
        self._rows: list[dict[str, Any]] = []
        self._characters = 0
        self._part = 0
        self._file: pq.ParquetWriter | None = None

    def add(self, record: dict[str, Any]) -> None:
        self._rows.append(record)
        size = characters(record)
        self._characters += size
        self._in_part += size
        self.written += 1
        part_is_full = self.written % ROWS_PER_PART == 0 or (
            self.part_characters is not None and self._in_part >= self.part_characters
        )
        if part_is_full or len(self._rows) == ROWS_PER_GROUP or self._characters >= CHARACTERS_PER_GROUP:
            self._flush()
        if part_is_full:
            self._close_part()

    def _flush(self) -> None:
        if self._file is None:
            part = self.folder / f"part-{self._part:05d}.parquet"
            self._file = pq.ParquetWriter(part, self.columns, compression="zstd")
            self._part += 1
        self._file.write_table(_table(self._rows, self.columns), row_group_size=ROWS_PER_GROUP)
        self._rows.clear()
        self._characters = 0

    def _close_part(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._in_part = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and (self._rows or self._part == 0):
            self._flush()
        self._close_part()


def _table(rows: Sequence[Mapping[str, Any]], columns: pa.Schema) -> pa.Table:
    """The records as an Arrow table; a field that a record lacks is null."""
    arrays = [_array([row.get(field.name) for row in rows], field.type) for field in columns]
    return pa.Table.from_arrays(arrays, schema=columns)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The values as an Arrow array. The usual types are made from buffers, without pa.array: it imports pandas to see
    whether it was given a Series, and that takes a quarter of a second in every process that writes.
    """
    if pa.types.is_string(kind) and all(type(value) is str for value in values):
        encoded = [value.encode() for value in values]
        return pa.Array.from_buffers(kind, len(values), [None, _offsets(encoded), pa.py_buffer(b"".join(encoded))])
    for number, has_kind in ((float, pa.types.is_float64), (int, pa.types.is_int64)):
        if has_kind(kind) and all(type(value) is number for value in values):
            return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.array(values, dtype=number))])
    if pa.types.is_list(kind) and all(type(value) is list for value in values):
        items = _array(list(chain.from_iterable(values)), kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [None, _offsets(values)], children=[items])
    if pa.types.is_struct(kind) and all(type(value) is dict for value in values):
        fields = [_array([value.get(field.name) for value in values], field.type) for field in kind]
        return pa.Array.from_buffers(kind, len(values), [None], children=fields)
    return pa.array(values, type=kind)


def _offsets(values: Sequence[Sized]) -> pa.Buffer:
    return pa.py_buffer(np.cumsum([0, *map(len, values)], dtype=np.int32))


def characters(record: dict[str, Any]) -> int:
    """The characters of a record's texts, and of its messages'."""
    texts = (value for value in record.values() if isinstance(value, str))
    return sum(map(len, texts)) + sum(len(message["content"]) for message in record.get("messages", ()))


def write(
    folder: Path, records: Iterable[dict[str, Any]], columns: pa.Schema, part_characters: int | None = None
) -> int:
    """Write records as a table, in a stream; returns their number."""
    with Writer(folder, columns, part_characters) as writer:
        for record in records:
            writer.add(record)
    return writer.written


def parts(folder: Path) -> list[Path]:
    """The parts of a table, in order. Raises UserError where there are none."""
    found = sorted(Path(folder).glob("part-*.parquet"))
    if not found:
        raise UserError(
            f"{folder}: there is no table here (part-*.parquet); run the stage that makes it, or dvc checkout {folder}"
        )
    return found


def count(folder: Path) -> int:
    """The number of records, from the parts' footers alone."""
    return sum(pq.read_metadata(part).num_rows for part in parts(folder))


def uncompressed_bytes(folder: Path) -> int:
    """The bytes of all values without compression, from the parts' footers alone."""
    footers = [pq.read_metadata(part) for part in parts(folder)]
    return sum(footer.row_group(n).total_byte_size for footer in footers for n in range(footer.num_row_groups))


def stream(folder: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records one by one, a row group in memory at a time."""
    for part in parts(folder):
        yield from stream_part(part, columns)


def stream_part(part: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of one part, a row group in memory at a time."""
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=1000, columns=columns):
            yield from batch.to_pylist()


def read(folder: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The whole table as a DataFrame: for tables that are known to fit in memory."""
    import pandas as pd  # takes a third of a second, and most processes that work on shards do not need it

    return pd.concat([pd.read_parquet(part, columns=columns) for part in parts(folder)], ignore_index=True)
