"""Tokenize both splits once, into memory-mapped shards without padding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from woodblock import packing, tables
from woodblock.lineage import digest
from woodblock.progress import Progress
from woodblock.stage import Run, run_stage
from woodblock.tokenization import Tokenizer

DOCUMENTS_AT_ONCE = 256


def pack(params: Any, tokenizer_folder: Path, train: Path, validation: Path, out: Path, run: Run) -> dict[str, Any]:
    tokenizer = Tokenizer.load(tokenizer_folder)
    splits = {
        split: packing.write(
            out,
            split,
            encoded(table, tokenizer, params.threads),
            vocab_size=tokenizer.vocab_size,
            shard_tokens=params.pack.shard_tokens,
        )
        for split, table in (("train", train), ("validation", validation))
    }
    packing.write_index(
        out,
        vocab_size=tokenizer.vocab_size,
        tokenizer_sha256=digest(tokenizer_folder / "tokenizer.model"),
        splits=splits,
    )
    return {f"{split}_{key}": entry[key] for split, entry in splits.items() for key in ("tokens", "documents", "bytes")}


def encoded(table: Path, tokenizer: Tokenizer, threads: int) -> Iterator[tuple[list[int], int]]:
    """Each document from its start token to its end token, with its size in bytes."""
    progress = Progress("pack", tables.count(table), "documents")
    texts_left = (record["text"] for record in tables.stream(table, ["text"]))
    while texts := list(islice(texts_left, DOCUMENTS_AT_ONCE)):
        for text, ids in zip(texts, tokenizer.encode_many(texts, threads), strict=True):
            yield [tokenizer.start_id, *ids, tokenizer.end_id], len(text.encode())
        progress.advance(len(texts))
    progress.close()


if __name__ == "__main__":
    run_stage(pack)
