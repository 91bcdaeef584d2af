"""Text in the wrong encoding: ten ways in which its bytes are read wrong, or lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from support.planted.definitions import Document, Sizes, slug
from support.planted.real_documents import Supply
from support.planted.text_functions import hanzi_share


def windows_1252(data: bytes) -> str:
    """Bytes as browsers read them by that name: the five that it leaves undefined are controls (WHATWG Encoding)."""
    return "".join(bytes([b]).decode("cp1252") if b not in b"\x81\x8d\x8f\x90\x9d" else chr(b) for b in data)


def sprinkled(rng: Random, text: str) -> str:
    """Some of the characters, one in fifty to one in ten, as replacement characters: cut or lost bytes."""
    characters, share = list(text), rng.uniform(0.02, 0.1)
    for place in rng.sample(range(len(text)), max(3, round(share * len(text)))):
        characters[place] = rng.choice(("\ufffd", "\ufffd\ufffd", "\ufffd\ufffd\ufffd"))
    return "".join(characters)


MOJIBAKE: dict[str, Callable[[Random, str], str]] = {
    "UTF-8 as Latin-1": lambda rng, text: text.encode().decode("latin-1"),
    "UTF-8 as Windows-1252": lambda rng, text: windows_1252(text.encode()),
    "UTF-8 as GBK": lambda rng, text: text.encode().decode("gb18030", rng.choice(("replace", "ignore"))),
    "UTF-8 as Big5": lambda rng, text: text.encode().decode("big5", "replace"),
    "UTF-8 twice": lambda rng, text: text.encode().decode("latin-1").encode().decode("latin-1"),
    "GBK as Latin-1": lambda rng, text: text.encode("gb18030").decode("latin-1"),
    "GBK as Big5": lambda rng, text: text.encode("gb18030").decode("big5", "replace"),
    "GBK as UTF-8": lambda rng, text: text.encode("gb18030").decode("utf-8", "replace"),
    "GBK as UTF-8 as GBK": lambda rng, text: (
        text.encode("gb18030").decode("utf-8", "replace").encode().decode("gb18030", "replace")
    ),
    "replacement characters": sprinkled,
}


def planted_mojibake(rng: Random, supply: Supply, sizes: Sizes) -> Iterator[Document]:
    """Documents in the wrong encoding, of each way."""
    for way, garble in MOJIBAKE.items():
        kind = f"mojibake: {way}"
        for i, text in enumerate(supply.take(sizes.each, lambda text: hanzi_share(text) >= 0.5)):
            yield Document(f"{slug(kind)}-{i:05d}", kind, garble(rng, text), original=text)
