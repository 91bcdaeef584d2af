"""Packed tokens: every document once, from its start token to its end token, one after another without padding.

For each split a folder has the documents in streams: one for each source and, within a source, for each class of weights.
A stream is raw little-endian uint16 (uint32 above 65,536 pieces) in shards <split>-<stream>-<shard>.bin. The streams, one
after another, are the split's tokens. Beside them are <split>.starts.npy (int64: where each document begins, then where
the last one ends), <split>.bytes.npy (int64: the documents' sizes in UTF-8), <split>.source.npy (int32: the number of
each document's source) and index.json.

`Windows` draws training windows from them. Sources are mixed there, by weight. A document is written once, however often
it is read, so the folder does not grow with the weights. If half of a source is read in a pass, the next pass reads the
other half.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from woodblock.base.errors import UserError

Ids = npt.NDArray[np.integer[Any]]  # tokens: uint16 or uint32 on disk, int64 in use
Places = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

INDEX = "index.json"
CLASSES_PER_OCTAVE = 8  # of a document's weight: weights within a class differ by at most 9 %
BUFFERED_TOKENS = 2**19  # of a stream, until they are written: 1 MB; so no file has to stay open
ROUNDS = 8  # of the Feistel network: Luby and Rackoff's four are enough for large domains, ours may have three windows


class Document(NamedTuple):
    """ids: from start token to end token. bytes: the text's size in UTF-8. weight: how often a pass reads it."""

    ids: list[int]
    bytes: int
    source: str = ""
    weight: float = 1.0


def token_type(vocab_size: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """uint16 if every id fits into it, otherwise uint32; little-endian on every machine."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


@dataclass
class _Stream:
    """Documents of one source and of similar weight, while they are written."""

    source: str
    prefix: Path  # of the shards' names
    shard_tokens: int
    shards: list[dict[str, Any]] = field(default_factory=list)
    # For each document: tokens, bytes, weight · tokens. As lists, ten million documents would take a gigabyte.
    lengths: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    weighted: array[float] = field(default_factory=lambda: array("d"))
    waiting: list[Ids] = field(default_factory=list)
    buffered: int = 0

    def add(self, tokens: Ids, size: int, weight: float) -> None:
        self.lengths.append(len(tokens))
        self.sizes.append(size)
        self.weighted.append(weight * len(tokens))
        self.waiting.append(tokens)
        self.buffered += len(tokens)
        if self.buffered >= BUFFERED_TOKENS:
            self.flush()

    def flush(self) -> None:
        tokens = np.concatenate(self.waiting) if self.waiting else np.empty(0)
        self.waiting, self.buffered = [], 0
        while len(tokens):
            if not self.shards or self.shards[-1]["tokens"] == self.shard_tokens:
                self.shards.append({"file": f"{self.prefix.name}-{len(self.shards):05d}.bin", "tokens": 0})
            shard = self.shards[-1]
            head, tokens = np.split(tokens, [self.shard_tokens - shard["tokens"]])
            with (self.prefix.parent / shard["file"]).open("ab" if shard["tokens"] else "wb") as file:
                file.write(head.tobytes())
            shard["tokens"] += len(head)

    def entry(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "documents": len(self.lengths),
            "bytes": sum(self.sizes),
            "tokens": sum(self.lengths),
            "pass_tokens": max(1, round(math.fsum(self.weighted))),
            "shards": self.shards,
        }


def write(
    folder: Path,
    split: str,
    documents: Iterable[Document | tuple[list[int], int]],
    *,
    vocab_size: int,
    shard_tokens: int,
) -> dict[str, Any]:
    """Write one split; returns its entry of the index.

    A shard ends at shard_tokens, also in the middle of a document: readers see one stream. A pass over the split reads
    pass_tokens of a stream: the sum of its documents' tokens times their weights. So a source is read exactly as often as
    its weights say. A single document is read as often as its class on average: within 9 % of its own weight, and exactly
    if all documents of a source have one weight. Raises UserError for a weight that is not above 0, and for an id that
    the vocabulary does not have.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind, largest = token_type(vocab_size), -1
    streams: dict[tuple[str, int], _Stream] = {}
    for ids, size, source, weight in (Document(*document) for document in documents):
        if not 0 < weight < math.inf:
            raise UserError(
                f"a document of {source or 'the corpus'} has weight {weight}; a weight must be above 0 and finite"
            )
        tokens = np.asarray(ids, dtype=np.int64)
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
            raise UserError(
                f"a document of {source or 'the corpus'} has ids from {tokens.min()} to {tokens.max()}, but the tokenizer "
                f"has only {vocab_size} pieces; run tokenizer again"
            )
        largest = max(largest, int(tokens.max(initial=-1)))
        key = (source, math.floor(CLASSES_PER_OCTAVE * math.log2(weight) + 0.5))
        if key not in streams:
            streams[key] = _Stream(source, folder / f"{split}-{len(streams):03d}", shard_tokens)
        streams[key].add(tokens.astype(kind), size, weight)
    for stream in streams.values():
        stream.flush()
    names = sorted({stream.source for stream in streams.values()})
    numbers = [names.index(stream.source) for stream in streams.values()]
    lengths: list[npt.ArrayLike] = [0, *(np.asarray(stream.lengths) for stream in streams.values())]
    per_document = {
        "starts": np.cumsum(np.hstack(lengths), dtype=np.int64),
        "bytes": np.hstack([np.empty(0, np.int64), *(np.asarray(stream.sizes) for stream in streams.values())]),
        "source": np.repeat(np.asarray(numbers, np.int32), [len(stream.sizes) for stream in streams.values()]),
    }
    for name, found in per_document.items():
        np.save(folder / f"{split}.{name}.npy", found)
    entries = [stream.entry() for stream in streams.values()]
    counted = ("documents", "bytes", "tokens", "pass_tokens")
    return {
        **{key: sum(entry[key] for entry in entries) for key in counted},
        "largest_id": largest,
        "sources": {
            name: {key: sum(entry[key] for entry in entries if entry["source"] == name) for key in counted}
            for name in names
        },
        "streams": entries,
    }


def write_index(folder: Path, *, vocab_size: int, tokenizer_sha256: str, splits: dict[str, Any]) -> None:
    record = {
        "dtype": token_type(vocab_size).str,
        "vocab_size": vocab_size,
        "tokenizer_sha256": tokenizer_sha256,
        "splits": splits,
    }
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / INDEX).write_text(text + "\n", encoding="utf-8")


class Packed:
    """One split of a packed folder, memory-mapped: nothing is read until it is used.

    starts [documents + 1], bytes [documents] and source [documents] are arrays; sources has the names of the sources,
    sorted; len() is the number of tokens. Raises UserError for a folder or split that is not there, and for files that
    are not as the index says.
    """

    def __init__(self, folder: Path, split: str) -> None:
        folder = Path(folder)
        self.index: dict[str, Any] = _read_index(folder / INDEX)
        if split not in self.index["splits"]:
            raise UserError(f"{folder}: there is no split {split}, only {', '.join(sorted(self.index['splits']))}")
        self.entry: dict[str, Any] = self.index["splits"][split]
        if not self.entry["tokens"]:
            raise UserError(f"{folder}: {split} has no documents; metrics/dedup.json says what was dropped")
        if self.entry["largest_id"] >= self.index["vocab_size"]:
            raise UserError(
                f"{folder}: {split} has the id {self.entry['largest_id']}, but its tokenizer has only "
                f"{self.index['vocab_size']} pieces; run pack again"
            )
        kind = np.dtype(self.index["dtype"])
        shards = [shard for stream in self.entry["streams"] for shard in stream["shards"]]
        self._maps = [_mapped(folder / shard["file"], kind, shard["tokens"]) for shard in shards]
        self.shards = [np.frombuffer(pages, kind) for pages in self._maps]
        self.ends: list[int] = np.cumsum([len(shard) for shard in self.shards]).tolist()
        self.sources: list[str] = sorted(self.entry["sources"])
        documents = self.entry["documents"]
        self.starts: Places = _loaded(folder / f"{split}.starts.npy", np.int64, documents + 1)
        self.bytes: Places = _loaded(folder / f"{split}.bytes.npy", np.int64, documents)
        self.source: npt.NDArray[np.int32] = _loaded(folder / f"{split}.source.npy", np.int32, documents)
        if not self.ends[-1] == self.entry["tokens"] == int(self.starts[-1]):
            raise UserError(
                f"{folder}: the numbers of tokens of {split} differ: files {self.ends[-1]}, documents {self.starts[-1]}, "
                f"index {self.entry['tokens']}; run pack again"
            )

    def __len__(self) -> int:
        return self.ends[-1]

    def expect_scattered_reads(self) -> None:
        """If the split is larger than the machine's memory, tell the system to read only the pages that are used.

        By default it reads their neighbours too. This is right if all fits into memory. If not, the neighbours are gone
        before a window needs them: for 12,800 windows of 512 tokens, 13 MB, the system read 1.9 GB from disk by default,
        and 62 MB with this.
        """
        if sum(map(len, self._maps)) > memory() and hasattr(mmap, "MADV_RANDOM"):
            for pages in self._maps:
                pages.madvise(mmap.MADV_RANDOM)

    def copy(self, start: int, out: Ids) -> None:
        """Fill `out` [n], of any integer type, with the tokens start … start + n − 1 of the split, across shards."""
        shard, done = bisect_right(self.ends, start), 0
        while done < len(out):
            offset = start + done - (self.ends[shard - 1] if shard else 0)
            piece = self.shards[shard][offset : offset + len(out) - done]
            out[done : done + len(piece)] = piece
            done, shard = done + len(piece), shard + 1

    def tokens(self, start: int, stop: int) -> Places:
        """Tokens [stop − start] of the split as int64."""
        out = np.empty(max(0, stop - start), np.int64)
        self.copy(start, out)
        return out

    def count(self, token: int) -> int:
        """How often a token is in the split."""
        return sum(int(np.count_nonzero(shard == token)) for shard in self.shards)

    def document(self, number: int) -> Places:
        """Tokens of one document, start and end token included, as int64."""
        return self.tokens(int(self.starts[number]), int(self.starts[number + 1]))


def memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _read_index(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; run the pack stage, or dvc checkout")
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, vocab_size = index["dtype"], index["vocab_size"]
        entries = [entry["streams"] for entry in index["splits"].values()]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} is not an index of this version ({error}); run pack again") from None
    if entries and kind != token_type(vocab_size).str:
        raise UserError(
            f"{path}: dtype is {kind}, but {vocab_size} pieces need {token_type(vocab_size).str}; run pack again"
        )
    return index


def _mapped(path: Path, kind: np.dtype[Any], tokens: int) -> mmap.mmap:
    size = path.stat().st_size if path.is_file() else None
    if size != tokens * kind.itemsize:
        found = "is not there" if size is None else f"has {size} bytes"
        raise UserError(
            f"{path} {found}, but the index expects {tokens} tokens of {kind.itemsize} bytes; run pack again"
        )
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _loaded(path: Path, kind: type[np.integer[Any]], length: int) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if length else None)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}); run pack again") from None
    if array.shape != (length,) or array.dtype != kind:
        raise UserError(
            f"{path} has {array.dtype} {array.shape}, but the index expects {length} of {np.dtype(kind)}; run pack again"
        )
    return array


class Windows:
    """Training windows of context + 1 tokens, drawn without replacement, in another random order in every pass.

    A pass reads `pass_tokens` of each stream. A stream is read in a circle: pass p continues where pass p − 1 ended. So a
    weight of 3 means three rounds in a pass, and a weight of one half means one half and then the other. All that a pass
    reads is joined to a ring and cut, from a random place on, into windows that overlap by one token: the last target of
    one is the first input of the next. Every token is a target once each time it is read. The exception is a tail of less
    than `context` tokens, which is another one in each pass. There is no padding.

    Window i depends only on the seed and on i, and is computed in constant time and memory: a keyed permutation is used
    instead of a shuffled list. So a run can start at any window at once, whatever the size of the corpus.
    """

    def __init__(self, packed: Packed, context: int, seed: int) -> None:
        streams = packed.entry["streams"]
        self.packed, self.context, self.seed = packed, context, seed
        self.lengths = np.asarray([stream["tokens"] for stream in streams], np.int64)
        self.bases = np.cumsum(self.lengths) - self.lengths  # where each stream begins in the split
        self.taken = np.asarray([stream["pass_tokens"] for stream in streams], np.int64)  # tokens of each, in a pass
        self.reach = np.cumsum(self.taken)  # where each stream ends in a pass
        self.tokens_per_pass = int(self.reach[-1])
        if self.tokens_per_pass <= context:
            raise UserError(
                f"the training split has {self.tokens_per_pass} tokens a pass, too few for windows of model.context: "
                f"{context}; add text, or use a context of at most {self.tokens_per_pass - 1}"
            )
        self.per_pass = self.tokens_per_pass // context
        packed.expect_scattered_reads()
        self.tail = self.tokens_per_pass - self.per_pass * context  # tokens of a pass that are not targets in it
        self._pass: tuple[int, int, Keys, Places] | None = None

    def of_pass(self, number: int) -> tuple[int, Keys, Places]:
        """For a pass: where its first window begins, the keys of its order [ROUNDS], and where each stream continues."""
        known = self._pass  # read only once: another thread may make batches of another pass
        if known is None or known[0] != number:
            state = np.random.SeedSequence([self.seed, number]).generate_state(ROUNDS + 1, np.uint64)
            drawn = np.asarray(state, np.uint64)  # unchanged: only for the type checker
            lengths, taken = self.lengths.tolist(), self.taken.tolist()  # Python's integers do not overflow
            places = np.asarray([number * n % length for n, length in zip(taken, lengths, strict=True)], np.int64)
            known = self._pass = number, int(drawn[0]) % self.tokens_per_pass, drawn[1:], places
        return known[1:]

    def __getitem__(self, number: int) -> Places:
        """Window `number` [context + 1] of an endless sequence of passes, as int64."""
        window: Places = self.batch(number, 1)[0]
        return window

    def batch(self, first: int, count: int, out: Places | None = None) -> Places:
        """Windows first … first + count − 1 as [count, context + 1], int64.

        out: if given, it is filled and returned. Tokens are copied once, from the memory map to their place.
        """
        out = np.empty((count, self.context + 1), np.int64) if out is None else out
        done = 0
        while done < count:
            number, place = divmod(first + done, self.per_pass)
            rows = out[done : done + min(count - done, self.per_pass - place)]
            self._fill(number, place, rows)
            done += len(rows)
        return out

    def _fill(self, number: int, place: int, rows: Places) -> None:
        """Fill rows [count, context + 1] with the windows of one pass from `place` on."""
        offset, keys, _ = self.of_pass(number)
        order = permuted(np.arange(place, place + len(rows)), self.per_pass, keys)
        begins = (offset + order * self.context) % self.tokens_per_pass
        starts, runs = self.located(number, begins)
        whole = (runs > self.context).tolist()
        for row, begin, start, is_whole in zip(rows, begins.tolist(), starts.tolist(), whole, strict=True):
            if is_whole:
                self.packed.copy(start, row)
                continue
            done = 0
            for first, stop in self._pieces(number, begin):
                self.packed.copy(first, row[done : done + stop - first])
                done += stop - first

    def pieces(self, number: int) -> list[tuple[int, int]]:
        """The runs of tokens (start, stop) in the split that window `number` consists of, in its order."""
        turn, place = divmod(number, self.per_pass)
        offset, keys, _ = self.of_pass(turn)
        return self._pieces(turn, offset + int(permuted(np.asarray([place]), self.per_pass, keys)[0]) * self.context)

    def _pieces(self, number: int, begin: int) -> list[tuple[int, int]]:
        """The runs of a window that begins at a place of a pass. A new run begins at the end of a stream, of what the pass
        reads of it, and of the pass."""
        found, done = [], 0
        while done <= self.context:
            (start,), (run,) = self.located(number, np.asarray([(begin + done) % self.tokens_per_pass]))
            length = min(int(run), self.context + 1 - done)
            found.append((int(start), int(start) + length))
            done += length
        return found

    def located(self, number: int, places: Places) -> tuple[Places, Places]:
        """For places [n] of a pass: their places in the split [n], and how many tokens from there are read in a row [n]."""
        *_, goes_on = self.of_pass(number)
        stream = np.searchsorted(self.reach, places, side="right")
        left = self.reach[stream] - places  # in what the pass reads of the stream
        inside = (goes_on[stream] + self.taken[stream] - left) % self.lengths[stream]
        return self.bases[stream] + inside, np.minimum(left, self.lengths[stream] - inside)


def of_one_document(windows: Windows) -> dict[str, tuple[int, int]]:
    """By source: how many windows of the first pass are within one document, and how many there are. A window belongs to
    the source that it begins in."""
    packed, context = windows.packed, windows.context
    offset, *_ = windows.of_pass(0)
    within, counted = np.zeros((2, len(packed.sources)), dtype=np.int64)
    for first in range(0, windows.per_pass, 2**20):  # so many at once: memory does not grow with the corpus
        places = np.arange(first, min(first + 2**20, windows.per_pass))
        starts, runs = windows.located(0, (offset + places * context) % windows.tokens_per_pass)
        first_document = np.searchsorted(packed.starts, starts, side="right") - 1
        last_document = np.searchsorted(packed.starts, starts + context, side="right") - 1
        source = packed.source[first_document]
        single = (runs > context) & (first_document == last_document)
        within += np.bincount(source[single], minlength=len(within))
        counted += np.bincount(source, minlength=len(counted))
    return dict(zip(packed.sources, zip(within.tolist(), counted.tolist(), strict=True), strict=True))


def permuted(places: Places, size: int, keys: Keys) -> Places:
    """Where a keyed permutation of 0 … size − 1 takes each of `places` [n]; int64 [n].

    It is a Feistel network over pairs (left, right) of 0 … side − 1, with one round for each key; side² is the smallest
    square of at least `size`. A result that is not below `size` goes through the network again. Sources: Luby & Rackoff
    1988, How to construct pseudorandom permutations; Black & Rogaway 2002, Ciphers with arbitrary finite domains,
    sections 3 and 4.
    """
    side = np.uint64(math.isqrt(size - 1) + 1)
    found = _feistel(np.asarray(places).astype(np.uint64), side, keys)
    while (outside := found >= size).any():
        found[outside] = _feistel(found[outside], side, keys)
    return found.astype(np.int64)


def _feistel(values: Keys, side: np.uint64, keys: Keys) -> Keys:
    left, right = np.divmod(values, side)
    for key in keys:
        left, right = right, (left + _mixed(right ^ key) % side) % side
    return left * side + right


def _mixed(x: Keys) -> Keys:
    """SplitMix64's finaliser: each bit of x [n] changes each bit of the result with a probability of about one half.

    Source: Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators, figure 17.
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
