"""Packed tokens: every document once, from its start token to its end token, one after another without padding.

A folder holds for each split the shards <split>-00000.bin, … (raw little-endian uint16, or uint32 above 65,536 pieces),
<split>.starts.npy (int64: where each document begins, then where the last one ends), <split>.bytes.npy (int64: the
documents' sizes in UTF-8), and index.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from woodblock.errors import UserError

INDEX = "index.json"


def token_type(vocab_size: int) -> np.dtype:
    """The narrowest of uint16 and uint32 that holds every id; little-endian whatever the machine."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


def write(
    folder: Path, split: str, documents: Iterable[tuple[list[int], int]], *, vocab_size: int, shard_tokens: int
) -> dict[str, Any]:
    """Write one split; returns its entry of the index.

    documents: (ids from start token to end token, the text's size in bytes). A shard ends at shard_tokens, wherever in a
    document that is: readers see one stream.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind, room, shards, starts, sizes = token_type(vocab_size), 0, [], [0], []
    file = None
    try:
        for ids, size in documents:
            tokens = np.asarray(ids, dtype=kind)
            starts.append(starts[-1] + len(tokens))
            sizes.append(size)
            while len(tokens):
                if not room:
                    if file is not None:
                        file.close()
                    shards.append(f"{split}-{len(shards):05d}.bin")
                    file, room = (folder / shards[-1]).open("wb"), shard_tokens
                head, tokens = tokens[:room], tokens[room:]
                file.write(head.tobytes())
                room -= len(head)
    finally:
        if file is not None:
            file.close()
    np.save(folder / f"{split}.starts.npy", np.asarray(starts, dtype=np.int64))
    np.save(folder / f"{split}.bytes.npy", np.asarray(sizes, dtype=np.int64))
    return {"shards": shards, "tokens": starts[-1], "documents": len(sizes), "bytes": sum(sizes)}


def write_index(folder: Path, *, vocab_size: int, tokenizer_sha256: str, splits: dict[str, Any]) -> None:
    record = {
        "dtype": token_type(vocab_size).str,
        "vocab_size": vocab_size,
        "tokenizer_sha256": tokenizer_sha256,
        "splits": splits,
    }
    (folder / INDEX).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


class Packed:
    """One split of a packed folder, memory-mapped: nothing is read until it is used.

    starts [documents + 1] and bytes [documents] are arrays; len() is the number of tokens.
    """

    def __init__(self, folder: Path, split: str) -> None:
        path = Path(folder) / INDEX
        if not path.is_file():
            raise UserError(f"{path}: there is no such file; run the pack stage, or dvc checkout")
        self.index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entry = self.index["splits"][split]
        kind = np.dtype(self.index["dtype"])
        self.shards = [np.memmap(Path(folder) / name, dtype=kind, mode="r") for name in entry["shards"]]
        self.ends = np.cumsum([len(shard) for shard in self.shards])
        self.starts = np.load(Path(folder) / f"{split}.starts.npy", mmap_mode="r")
        self.bytes = np.load(Path(folder) / f"{split}.bytes.npy", mmap_mode="r")
        if int(self.ends[-1]) != entry["tokens"] or int(self.starts[-1]) != entry["tokens"]:
            raise UserError(
                f"{folder}: {split} has {self.ends[-1]} tokens, its index says {entry['tokens']}; run pack again"
            )

    def __len__(self) -> int:
        return int(self.ends[-1])

    def tokens(self, start: int, stop: int) -> np.ndarray:
        """Tokens [stop − start] of the stream as int64, across shards."""
        pieces, shard = [], int(np.searchsorted(self.ends, start, side="right"))
        while start < stop:
            offset = start - (int(self.ends[shard - 1]) if shard else 0)
            piece = self.shards[shard][offset : offset + stop - start]
            pieces.append(piece)
            start, shard = start + len(piece), shard + 1
        return np.concatenate(pieces).astype(np.int64) if pieces else np.empty(0, np.int64)

    def document(self, number: int) -> np.ndarray:
        """Tokens of one document, start and end token included, as int64."""
        return self.tokens(int(self.starts[number]), int(self.starts[number + 1]))


class Windows:
    """Training windows of context + 1 tokens, drawn without replacement and shuffled anew in every epoch.

    Epoch e cuts the stream at a random offset below `context` into windows that overlap by one token (the last target of
    one is the first input of the next), so epochs see different cuts; what stands before the offset and the tail that
    fills no window are left out, others each time. Window i is a function of the seed and i alone: a run can start
    anywhere.
    """

    def __init__(self, packed: Packed, context: int, seed: int) -> None:
        if len(packed) < 2 * context + 1:
            raise UserError(
                f"the training split has {len(packed)} tokens, too few for windows of model.context: {context}; "
                f"give more text, or a context of at most {(len(packed) - 1) // 2}"
            )
        self.packed, self.context, self.seed = packed, context, seed
        self.per_epoch = (len(packed) - context) // context  # whatever the offset, so many fit
        self._epoch, self._offset, self._order = -1, 0, np.empty(0, np.int64)

    def __getitem__(self, number: int) -> np.ndarray:
        """Window `number` [context + 1] of an endless sequence of epochs, as int64."""
        epoch, place = divmod(number, self.per_epoch)
        if epoch != self._epoch:
            draw = np.random.default_rng([self.seed, epoch])
            self._epoch, self._offset = epoch, int(draw.integers(self.context))
            self._order = draw.permutation(self.per_epoch)
        start = self._offset + int(self._order[place]) * self.context
        return self.packed.tokens(start, start + self.context + 1)

    def batch(self, first: int, count: int) -> np.ndarray:
        """Windows first … first + count − 1 as [count, context + 1]."""
        return np.stack([self[number] for number in range(first, first + count)])
