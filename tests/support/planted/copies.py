"""Copies of documents that stay: as they are, spaced in another way, edited, or with paragraphs in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from support.planted.definitions import Document, Sizes, slug

EDITED = (5, 10, 20)  # per cent of the characters


def edited(rng: Random, text: str, percent: int, pool: str, kinds: int = 3) -> str:
    """The text with `percent` of its characters edited: in turn one replaced, one put before, one left out.

    The places are drawn without repetition; what comes in is drawn from `pool`, and differs from what it replaces.
    kinds: 1 replaces only. Of a share s that leaves a 3-gram whole with (1 - s)^3, and a Jaccard of .75 at a twentieth
    and .57 at a tenth; in turn it is (1 - 2s/3)^3 (1 - s/3)^2, .78 and .61, for what is put in breaks but two 3-grams.
    """
    characters = list(text)
    places = rng.sample(range(len(text)), round(len(text) * percent / 100))
    for turn, place in enumerate(places):
        new = rng.choice(pool)
        while new == text[place]:
            new = rng.choice(pool)
        characters[place] = (new, new + text[place], "")[turn % kinds]
    return "".join(characters)


def respaced(rng: Random, text: str) -> str:
    """The same text as another page lays it out: line ends, blank lines, spaces at the ends and starts of lines."""
    end = rng.choice(("\r\n", "\n\n", "\n \n", " \n", "\n\u3000\u3000"))
    return rng.choice(("", "\n", "\ufeff", " ")) + end.join(text.split("\n")) + rng.choice(("\n", "  ", "\r\n\r\n"))


def swapped(rng: Random, text: str) -> str:
    """The text with its lines, less the first, in another order."""
    first, *lines = [line for line in text.split("\n") if line.strip()]
    order = lines[:]
    while order == lines:
        rng.shuffle(order)
    return "\n".join([first, *order])


def planted_copies(rng: Random, originals: list[Document], sizes: Sizes) -> Iterator[Document]:
    """Copies of each kind, each of another of the originals."""
    pool = "".join(rng.sample("".join(document.text for document in originals[:200]), 5000))
    pool = "".join(filter(str.isalnum, pool))
    left = originals[:]
    rng.shuffle(left)

    def some(kind: str, change: Callable[[str], str], fits: Callable[[str], bool] = bool) -> Iterator[Document]:
        chosen = [document for document in left if fits(document.text)][: sizes.each]
        for number, document in enumerate(chosen):
            left.remove(document)
            yield Document(f"{slug(kind)}-{number:05d}", kind, change(document.text), parent=document.id)

    yield from some("copy", lambda text: text)
    yield from some("copy, other spacing", lambda text: respaced(rng, text))
    for percent in EDITED:
        yield from some(f"edited {percent} %", lambda text, percent=percent: edited(rng, text, percent, pool))
        yield from some(f"replaced {percent} %", lambda text, percent=percent: edited(rng, text, percent, pool, 1))
    yield from some("swapped paragraphs", lambda text: swapped(rng, text), lambda t: len({*t.split("\n")} - {""}) >= 5)
