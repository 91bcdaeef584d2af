"""Texts that are alike, what brute force says of them, and what the first round of dedup leaves of them."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from woodblock.duplicates import sketches
from woodblock.duplicates.shelf import Shelf
from woodblock.duplicates.sketches import Sketches

TEXTS = st.text(alphabet="甲乙丙丁戊ａAb1 　，。\n\t-é𠀀😀", max_size=40)


def plain(text: str) -> str:
    """Letters as the table has them, said in another way."""
    kept = []
    for character in text:
        if unicodedata.category(character)[0] not in "PZC":
            folded = unicodedata.normalize("NFKC", character).casefold()
            kept.append(folded if len(folded) == 1 else character)
    return "".join(kept)


def grams(text: str, ngram: int = 3) -> set[str]:
    letters = plain(text)
    return {letters[i : i + ngram] for i in range(len(letters) - ngram + 1)}


def brute_force(one: str, other: str, ngram: int = 3) -> float:
    a, b = grams(one, ngram), grams(other, ngram)
    return len(a & b) / max(1, len(a | b))


def laid_out(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), starts


def sketched(texts: list[str], ngram: int = 3, permutations: int = 40, seed: int = 1, paragraph: int = 8) -> Sketches:
    return sketches.sketch(*laid_out(texts), ngram, *sketches.permutations(seed, permutations), paragraph)


def edited(text: str, share: float, chance: random.Random) -> str:
    """A copy with a share of its characters replaced."""
    characters = list(text)
    for place in chance.sample(range(len(text)), round(share * len(text))):
        characters[place] = chr(chance.randrange(0x4E00, 0x9000))
    return "".join(characters)


def family(documents: int, seed: int) -> list[str]:
    """Texts of 20 to 300 characters, many of which are edited copies of others, and of copies."""
    chance = random.Random(seed)
    texts: list[str] = []
    for _ in range(documents):
        if texts and chance.random() < 0.6:
            texts.append(edited(chance.choice(texts), chance.choice([0.0, 0.02, 0.05, 0.1, 0.2, 0.3]), chance))
        else:
            texts.append("".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(chance.randrange(20, 300))))
    return texts


def shelf_of(folder: Path, texts: list[str], shard: int, bands: int, rows: int, **options: int) -> Shelf:
    """What round one leaves of the texts, in shards of so many documents."""
    sizes = {}
    for number in range(0, len(texts), shard):
        name, part = f"s{number:05d}", texts[number : number + shard]
        (folder / name).mkdir(parents=True)
        sketches.keep(sketched(part, permutations=bands * rows, **options), bands, rows, folder / name)
        data, starts = laid_out(part)
        data.tofile(folder / name / "texts.bin")
        starts.tofile(folder / name / "starts.bin")
        sizes[name] = len(part)
    return Shelf.of(folder, sizes)
