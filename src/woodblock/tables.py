"""Tables: folders of Parquet parts with zstd, written and read as streams, the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.errors import UserError

ROWS_PER_PART = 200_000
ROWS_PER_GROUP = 10_000


def schema(**columns: str) -> pa.Schema:
    """A schema from names of Arrow types: schema(id="string", chars="int64").

    "messages" stands for a conversation: a list of {role, content}.
    """
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {"messages": pa.list_(message)}
    return pa.schema([(name, types.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()])


CORPUS = schema(id="string", group="string", source="string", title="string", text="string")
INSTRUCTIONS = schema(id="string", source="string", messages="messages")
DOCUMENTS = schema(
    id="string", law="string", chapter="string", article="string", number="int64", status="string", text="string"
)


def write(folder: Path, records: Iterable[dict[str, Any]], columns: pa.Schema) -> int:
    """Write records as part-00000.parquet, … of a new folder; returns their number.

    At most ROWS_PER_GROUP records are held in memory. An empty table is one part without rows.
    """
    folder.mkdir(parents=True)
    written, part, writer = 0, 0, None
    rows: list[dict[str, Any]] = []

    def flush() -> None:
        nonlocal writer, part
        if writer is None:
            writer = pq.ParquetWriter(folder / f"part-{part:05d}.parquet", columns, compression="zstd")
            part += 1
        writer.write_table(pa.Table.from_pylist(rows, schema=columns), row_group_size=ROWS_PER_GROUP)
        rows.clear()

    try:
        for record in records:
            rows.append(record)
            written += 1
            if len(rows) == ROWS_PER_GROUP:
                flush()
            if written % ROWS_PER_PART == 0 and writer is not None:
                writer.close()
                writer = None
        if rows or part == 0:
            flush()
    finally:
        if writer is not None:
            writer.close()
    return written


def parts(folder: Path) -> list[Path]:
    """The parts of a table, in order. Raises UserError where there are none."""
    found = sorted(Path(folder).glob("part-*.parquet"))
    if not found:
        raise UserError(f"{folder}: no table here (part-*.parquet); run the stage that makes it, or dvc checkout")
    return found


def count(folder: Path) -> int:
    """The number of records, from the parts' footers alone."""
    return sum(pq.read_metadata(part).num_rows for part in parts(folder))


def stream(folder: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records one by one, a row group in memory at a time."""
    for part in parts(folder):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=1000, columns=columns):
                yield from batch.to_pylist()


def read(folder: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """The whole table as a DataFrame: for tables that are known to fit in memory."""
    return pd.concat([pd.read_parquet(part, columns=columns) for part in parts(folder)], ignore_index=True)
