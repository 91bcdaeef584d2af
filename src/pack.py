"""Tokenize both splits once, into memory-mapped shards without padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from woodblock import packing, tables
from woodblock.lineage import digest
from woodblock.progress import track
from woodblock.stage import Run, run_stage
from woodblock.tokenization import Tokenizer

DOCUMENTS_AT_ONCE = 256


def pack(params: Any, tokenizer_folder: Path, train: Path, validation: Path, out: Path, run: Run) -> dict[str, Any]:
    tokenizer = Tokenizer.load(tokenizer_folder)
    splits = {
        split: packing.write(
            out,
            split,
            encoded(records, tokenizer, params.threads),
            vocab_size=tokenizer.vocab_size,
            shard_tokens=params.pack.shard_tokens,
        )
        for split, records in (("train", read(train)), ("validation", once(read(validation))))
    }
    packing.write_index(
        out,
        vocab_size=tokenizer.vocab_size,
        tokenizer_sha256=digest(tokenizer_folder / "tokenizer.model"),
        splits=splits,
    )
    return {f"{split}_{key}": entry[key] for split, entry in splits.items() for key in ("tokens", "documents", "bytes")}


def read(table: Path) -> Iterator[dict[str, Any]]:
    """Text, source and weight of each document."""
    records = tables.stream(table, ["text", "source", "weight"])
    return track(records, "pack", "documents", tables.count(table))


def once(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Held-out documents are read once, whatever their weight."""
    for record in records:
        yield {**record, "weight": 1.0}


def encoded(records: Iterable[dict[str, Any]], tokenizer: Tokenizer, threads: int) -> Iterator[packing.Document]:
    """Each document from its start token to its end token."""
    records = iter(records)
    while batch := list(islice(records, DOCUMENTS_AT_ONCE)):
        texts = [record["text"] for record in batch]
        for record, ids in zip(batch, tokenizer.encode_many(texts, threads), strict=True):
            ids = [tokenizer.start_id, *ids, tokenizer.end_id]
            yield packing.Document(ids, len(record["text"].encode()), record["source"], record["weight"])


if __name__ == "__main__":
    run_stage(pack)
