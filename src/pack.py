"""Tokenize both splits once, into memory-mapped shards without padding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from woodblock.base.digests import digest
from woodblock.base.progress import track
from woodblock.run.stage import Run, run_stage
from woodblock.tables import parquet
from woodblock.tokens import packing
from woodblock.tokens.tokenization import Tokenizer

DOCUMENTS_AT_ONCE = 256


def pack(params: Any, tokenizer_folder: Path, train: Path, validation: Path, out: Path, run: Run) -> dict[str, Any]:
    tokenizer = Tokenizer.load(tokenizer_folder)
    encoded_tokens: Counter[str] = Counter()
    splits = {
        split: packing.write(
            out,
            split,
            counted(encoded(records, tokenizer, run.processes), split, encoded_tokens),
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
    held = {split: packing.Packed(out, split) for split in splits}
    drawn, drawn_by_source = draw(packing.Windows(held["train"], params.model.context, seed=0))
    metrics: dict[str, Any] = drawn | {"train_sources": drawn_by_source}
    for split, found in held.items():
        metrics |= {f"{split}_{key}": found.entry[key] for key in ("tokens", "documents", "bytes")}
        metrics[f"{split}_padding_share"] = found.count(tokenizer.pad_id) / len(found)
        metrics[f"{split}_cropped_share"] = 1 - len(found) / encoded_tokens[split]
        by_source = metrics.setdefault(f"{split}_sources", {})
        for name, entry in found.entry["sources"].items():
            by_source[name] = by_source.get(name, {}) | densities(entry)
    return metrics


def densities(entry: dict[str, int]) -> dict[str, float]:
    """The number of a source's documents and tokens, its tokens per byte and its tokens per document."""
    return {
        "documents": entry["documents"],
        "tokens": entry["tokens"],
        "tokens_per_byte": entry["tokens"] / entry["bytes"],
        "tokens_per_document": entry["tokens"] / entry["documents"],
    }


def draw(windows: packing.Windows) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """What training reads in a pass, in all and by source: its windows, those within one document, and the tail left out.

    The tail has the same length for every seed. The share of windows within one document depends a little on the seed; it
    is that of seed 0. (Held-out documents are read whole and one by one, so they have no such numbers.)
    """
    single, entries = packing.of_one_document(windows), windows.packed.entry["sources"]
    figures = {
        "pass_tokens": windows.tokens_per_pass,
        "pass_windows": windows.per_pass,
        "tail_tokens": windows.tail,
        "tail_share": windows.tail / windows.tokens_per_pass,
        "one_document_share": sum(within for within, _ in single.values()) / windows.per_pass,
    }
    by_source = {
        name: {
            "pass_share": entries[name]["pass_tokens"] / windows.tokens_per_pass,
            "one_document_share": within / max(1, count),
        }
        for name, (within, count) in single.items()
    }
    return figures, by_source


def read(table: Path) -> Iterator[dict[str, Any]]:
    """Text, source and weight of each document."""
    records = parquet.stream(table, ["text", "source", "weight"])
    return track(records, "pack", "documents", parquet.count(table))


def once(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Held-out documents are read once, whatever their weight."""
    for record in records:
        yield {**record, "weight": 1.0}


def counted(documents: Iterable[packing.Document], name: str, tokens: Counter[str]) -> Iterator[packing.Document]:
    """Yield the documents and count their tokens under a name, before any document is cropped."""
    for document in documents:
        tokens[name] += len(document.ids)
        yield document


def encoded(records: Iterable[dict[str, Any]], tokenizer: Tokenizer, threads: int) -> Iterator[packing.Document]:
    """Tokenize each document, with a start token before it and an end token after it."""
    records = iter(records)
    while batch := list(islice(records, DOCUMENTS_AT_ONCE)):
        texts = [record["text"] for record in batch]
        for record, ids in zip(batch, tokenizer.encode_many(texts, threads), strict=True):
            ids = [tokenizer.start_id, *ids, tokenizer.end_id]
            yield packing.Document(ids, len(record["text"].encode()), record["source"], record["weight"])


if __name__ == "__main__":
    run_stage(pack)
