"""The text of performance/pretrain.py, and what is made of it before any clock starts: tokenizers and tokens.

The documents of the book's corpus in file order, shuffled by Random(7); the first 120 are held out, of each the first
2,000 characters. Both tokenizers are trained on the same share of the rest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
from woodblock.base.digests import digest  # noqa: E402
from woodblock.base.progress import say, track  # noqa: E402
from woodblock.run import code  # noqa: E402
from woodblock.run.settings.sources import Source  # noqa: E402
from woodblock.sources import fetching, reading  # noqa: E402
from woodblock.sources.inspection import Tally  # noqa: E402
from woodblock.tokens import packing, tokenization  # noqa: E402

CORPUS = "ms://ddzhu123/seq-monkey/mobvoi_seq_monkey_general_open_corpus.jsonl.tar.bz2"
DOCUMENTS = 8936
HELD_OUT, HELD_OUT_CHARS = 120, 2000
VOCABULARY = 6144
# Characters of training text that a tokenizer reads: the default of params.yaml. (On all 55 M, the book's takes 8 minutes
# and 7.3 GB.)
TOKENIZER_CHARS = 20_000_000
THREADS = 2
BOOK_CHARS, BOOK_TOKENS = 512, 512  # the book cuts documents into pieces of so many, then truncates or pads to so many
BOOK_PIECES = 40_000  # of them are tokenized: 600 s here take 3,000
BOOK_SPECIAL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")  # ids 0 to 4
BOOK_START, BOOK_END = 3, 4  # and its padding is its end


@cache
def read(mirror: Path) -> list[str]:
    """All documents in file order. Raises SystemExit where the corpus is not the one that the bar was set on."""
    source = Source(url=CORPUS, licence="the sources' own; nothing is kept")
    fetched = fetching.fetch(source, str(mirror), Path(".woodblock/downloads"))
    found = reading.rows(source, fetched, "corpus", Tally(), Path(".woodblock/work"))
    texts = [row["text"] for row in track(found, "reading the corpus", "documents", DOCUMENTS)]
    if len(texts) != DOCUMENTS:
        raise SystemExit(f"{mirror}: {len(texts):,} documents, not {DOCUMENTS:,}: figures would not compare")
    return texts


def split(texts: list[str]) -> tuple[list[str], list[str]]:
    """(training texts, held-out texts)."""
    texts = list(texts)
    Random(7).shuffle(texts)
    return texts[HELD_OUT:], [text[:HELD_OUT_CHARS] for text in texts[:HELD_OUT]]


def prepare(whose: str, mirror: Path, home: Path, character_coverage: float) -> Path:
    """The folder with what is made for "ours" (and the Trainer's) or "book" before the clock starts. It is made once for
    a corpus, the settings and the source code of reading, tokenizing and packing.

    Ours has tokenizer/ and packed/ (splits train and validation); the book's has its tokenizer, rows.npy to train on and
    the held-out documents in its tokens. character_coverage is of our tokenizer, as in params.yaml.
    """
    files = {file for module in (tokenization, packing, reading) for file in code.needed(Path(module.__file__))}
    source = sorted(code.digests([str(file) for file in files]).values())
    said = [str(mirror), *([str(character_coverage)] if whose == "ours" else [])]
    made_from = "\n".join([digest(Path(__file__)), *source, *said])
    folder = home / f"{whose}-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    train, held_out = split(read(mirror))
    started, partial = time.perf_counter(), folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if whose == "ours":
        _prepare_ours(train, held_out, partial, character_coverage)
    else:
        _prepare_book(train, held_out, partial)
    partial.rename(folder)
    say(f"tokenizer and tokens of {whose} made in {time.perf_counter() - started:.0f} s")
    return folder


def sample(train: list[str]) -> list[str]:
    """Of the training texts, about TOKENIZER_CHARS characters, evenly."""
    return train[:: max(1, round(sum(map(len, train)) / TOKENIZER_CHARS))]


def _prepare_ours(train: list[str], held_out: list[str], folder: Path, character_coverage: float) -> None:
    model = tokenization.train(sample(train), VOCABULARY, character_coverage)
    tokenization.save(model, folder / "tokenizer")
    tokenizer = tokenization.Tokenizer.load(folder / "tokenizer")

    def encoded(texts: list[str]) -> Iterator[tuple[list[int], int]]:
        for start in range(0, len(texts), 256):
            some = texts[start : start + 256]
            for text, ids in zip(some, tokenizer.encode_many(some, THREADS), strict=True):
                yield [tokenizer.start_id, *ids, tokenizer.end_id], len(text.encode())

    splits = {
        name: packing.write(
            folder / "packed", name, encoded(texts), vocab_size=tokenizer.vocab_size, shard_tokens=100_000_000
        )
        for name, texts in (("train", train), ("validation", held_out))
    }
    sha256 = digest(folder / "tokenizer/tokenizer.model")
    packing.write_index(folder / "packed", vocab_size=tokenizer.vocab_size, tokenizer_sha256=sha256, splits=splits)


def _prepare_book(train: list[str], held_out: list[str], folder: Path) -> None:
    """The book's tokens: `rows.npy` [pieces, 512], pieces drawn once, each from its start token on; no end token
    (a piece that is cut from a document does not end it, and its end is its padding, which has no loss)."""
    tokenizer = train_book_tokenizer(sample(train))
    tokenizer.save(str(folder / "tokenizer.json"))
    pieces = [text[start : start + BOOK_CHARS] for text in train for start in range(0, len(text), BOOK_CHARS)]
    Random(7).shuffle(pieces)
    del pieces[BOOK_PIECES:]
    rows = np.full((len(pieces), BOOK_TOKENS), BOOK_END, dtype=np.uint16)
    rows[:, 0] = BOOK_START
    for start in track(range(0, len(pieces), 1024), "the book's tokens", "times 1,024 pieces"):
        for row, found in enumerate(tokenizer.encode_batch(pieces[start : start + 1024]), start):
            ids = found.ids[: BOOK_TOKENS - 1]
            rows[row, 1 : len(ids) + 1] = ids
    np.save(folder / "rows.npy", rows)
    documents = [[BOOK_START, *tokenizer.encode(text).ids, BOOK_END] for text in held_out]
    sizes = [len(text.encode()) for text in held_out]
    (folder / "held_out.json").write_text(json.dumps({"documents": documents, "bytes": sizes}))


def train_book_tokenizer(texts: list[str]) -> FastTokenizer:
    """A byte-level BPE after NFKC, of pairs that occur twice at least."""
    tokenizer = FastTokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        special_tokens=list(BOOK_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    return tokenizer


def held_out_of_woodblock(prepared: Path) -> tuple[list[np.ndarray], list[int]]:
    """The held-out documents in woodblock's tokens, start and end token included, and their bytes."""
    packed = packing.Packed(prepared / "packed", "validation")
    return [packed.document(i) for i in range(len(packed.bytes))], [int(size) for size in packed.bytes]


def held_out_of_book(prepared: Path) -> tuple[list[np.ndarray], list[int]]:
    """The same in the book's tokens. Its tokenizer changes the text (NFKC); bytes are those of the text itself."""
    found = json.loads((prepared / "held_out.json").read_text())
    return [np.asarray(document) for document in found["documents"]], found["bytes"]
