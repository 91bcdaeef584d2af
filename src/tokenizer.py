"""Train the tokenizer on the training text; check it on every validation document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from woodblock.base.progress import say, track
from woodblock.run.stage import run_stage
from woodblock.tables import parquet
from woodblock.tokens import tokenization


def tokenizer(params: Any, train: Path, validation: Path, out: Path) -> dict[str, Any]:
    settings = params.tokenizer
    say(f"tokenizer: training {settings.vocab_size:,} pieces")
    texts = sample(train, settings.max_chars)
    tokenization.save(tokenization.train(texts, settings.vocab_size, settings.character_coverage), out)
    metrics = check(out, validation)
    # Both must be 0: every later stage depends on it.
    if metrics["roundtrip_failures"] or metrics["hf_mismatches"]:
        raise RuntimeError(f"the tokenizer does not give texts back exactly, or its two forms differ: {metrics}")
    return {"vocab_size": settings.vocab_size, **metrics}


PIECE = 10_000  # characters: so much of a long document is taken or left out at once


def sample(train: Path, max_chars: int) -> Iterator[str]:
    """Training texts, evenly over the corpus, of max_chars characters at most; long ones in pieces, if not all is taken."""
    total = sum(len(record["text"]) for record in parquet.stream(train, ["text"]))
    share, taken, seen = max_chars / total if total > max_chars else 1.0, 0, 0
    for record in parquet.stream(train, ["text"]):
        size = PIECE if share < 1 else max(1, len(record["text"]))
        for start in range(0, len(record["text"]), size):
            piece = record["text"][start : start + size]
            seen += len(piece)
            if taken < share * seen:
                piece = piece[: max_chars - taken]
                taken += len(piece)
                yield piece


def check(folder: Path, validation: Path) -> dict[str, Any]:
    """Round trips, and ids of SentencePiece against those of the Hugging Face folder, over every validation document."""
    ours, theirs = tokenization.Tokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
    size = tokens = failures = mismatches = 0
    for record in track(
        parquet.stream(validation, ["text"]), "tokenizer: checking", "documents", parquet.count(validation)
    ):
        text = record["text"]
        ids = ours.encode(text)
        failures += ours.decode(ids) != text
        # Split, since transformers would take a text that spells "<pad>" for the token; ours never does.
        mismatches += ids != theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
        size, tokens = size + len(text.encode()), tokens + len(ids)
    return {"bytes_per_token": size / tokens, "roundtrip_failures": failures, "hf_mismatches": mismatches}


if __name__ == "__main__":
    run_stage(tokenizer)
