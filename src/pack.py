"""Tokenize both splits once, into memory-mapped shards without padding."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
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
            encoded(texts, tokenizer, params.threads),
            vocab_size=tokenizer.vocab_size,
            shard_tokens=params.pack.shard_tokens,
        )
        for split, texts in (("train", weighted(train)), ("validation", once(validation)))
    }
    packing.write_index(
        out,
        vocab_size=tokenizer.vocab_size,
        tokenizer_sha256=digest(tokenizer_folder / "tokenizer.model"),
        splits=splits,
    )
    return {f"{split}_{key}": entry[key] for split, entry in splits.items() for key in ("tokens", "documents", "bytes")}


def once(table: Path) -> Iterator[str]:
    """The text of each document."""
    for record in track(tables.stream(table, ["text"]), "pack", "documents", tables.count(table)):
        yield record["text"]


def weighted(table: Path) -> Iterator[str]:
    """The text of each document as often as its weight says: 2.5 is two times, and a third for half of the documents.

    Which half, a hash of the document's id decides. Repeats follow in whole passes, so none stands beside its like.
    """
    most = max((record["weight"] for record in tables.stream(table, ["weight"])), default=0.0)
    for turn in range(math.ceil(most)):
        records = tables.stream(table, ["id", "weight", "text"])
        for record in track(records, f"pack, pass {turn + 1}", "documents", tables.count(table)):
            if record["weight"] - turn >= 1 or share(f"{turn} {record['id']}") < record["weight"] - turn:
                yield record["text"]


def share(name: str) -> float:
    """A number from 0 to below 1 that a name alone decides."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def encoded(texts: Iterator[str], tokenizer: Tokenizer, threads: int) -> Iterator[tuple[list[int], int]]:
    """Each document from its start token to its end token, with its size in bytes."""
    while batch := list(islice(texts, DOCUMENTS_AT_ONCE)):
        for text, ids in zip(batch, tokenizer.encode_many(batch, threads), strict=True):
            yield [tokenizer.start_id, *ids, tokenizer.end_id], len(text.encode())


if __name__ == "__main__":
    run_stage(pack)
