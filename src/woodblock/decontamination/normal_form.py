"""The normal form in which texts are compared: only letters, digits and hanzi, simplified, in one width and case.

So other punctuation, other widths, other line breaks or Traditional characters cannot hide a question.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import opencc

from woodblock.decontamination import kernels
from woodblock.decontamination.kernels import CHARACTER, FULL, POINTS

# Traditional or Taiwan's, and what is written for them; OpenCC leaves these to phrases.
VARIANTS = {"著": "着", "瞭": "了", "妳": "你", "牠": "它", "祇": "只"}

Characters = npt.NDArray[np.uint32]  # code points, or their places in a text


def normalised(text: str) -> str:
    """The normal form of a text: letters, digits and hanzi of its NFKD, case folded.

    Accents and other marks are left out, so NFKD and NFKC would give the same; NFKD can be looked up character by
    character. Traditional characters become Simplified ones, one by one (OpenCC): the same on both sides, whatever `clean`
    does. A single letter from a to z between hanzi is left out: it is mostly the label
    of a choice (A. 土地 B. 资金), which some write and others do not.

    >>> normalised("Ｗｏｏｄ－Ｂｌｏｃｋ，雕版！ ½ Å")
    'woodblock雕版12a'
    >>> normalised("面積與維生素")
    '面积与维生素'
    >>> normalised("维生素有：A.脂溶的；Ｂ、水溶的")
    '维生素有脂溶的水溶的'
    """
    return characters_of(text)[0].tobytes().decode("utf-32-le")


def characters_of(text: str) -> tuple[Characters, Characters]:
    """The normal form of a text: (characters uint32, the place of each in the text uint32)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return kernels.translate(codes, *_table())


def weight(characters: Characters) -> int:
    """2 for each hanzi and 1 for each letter or digit: twice what `length` counts."""
    return characters.size + int(np.count_nonzero((characters & CHARACTER) >= FULL))


def digest_of_text(characters: Characters) -> bytes:
    """sha256 of a text in normal form."""
    return hashlib.sha256(characters.astype("<u4").tobytes()).digest()


def digest_of_digests(digests: Iterable[bytes]) -> str:
    """sha256, in hexadecimal, over the different digests, sorted: it does not depend on the order of the texts."""
    return hashlib.sha256(b"".join(sorted(set(digests)))).hexdigest()


@functools.cache
def _table() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """The normal form of each code point: (target [0x110000] uint32, starts uint32, expansions uint32).

    A target of 0 is nothing; one below 0x110000 is that character; 0x110000 + i stands for the characters
    expansions[starts[i] : starts[i + 1]].
    """
    last = 0x40000  # beyond it there are only tags, variation selectors and private use
    points = [chr(point) for point in range(1, last)]
    # With NUL between them, neighbours cannot compose or change places.
    decomposed = unicodedata.normalize("NFKD", "\0".join(points).encode("utf-8", "replace").decode("utf-8"))
    folded = _simplified(unicodedata.normalize("NFKD", decomposed.casefold())).split("\0")
    target, starts = np.zeros(POINTS, dtype=np.uint32), [0]
    expansions: list[int] = []
    for point, forms in enumerate(folded, start=1):
        kept = forms if len(forms) == 1 and forms.isalnum() else "".join(filter(str.isalnum, forms))
        if len(kept) == 1:
            target[point] = ord(kept)
        elif kept:
            target[point] = POINTS + len(starts) - 1
            expansions += map(ord, kept)
            starts.append(len(expansions))
    target[0xD800:0xE000] = 0  # halves of a surrogate pair, which no text should have
    return target, np.array(starts, dtype=np.uint32), np.array(expansions, dtype=np.uint32)


def _simplified(text: str) -> str:
    """The text with Simplified characters, each by itself: no phrase decides, so equal characters stay equal."""
    distinct = sorted({c for c in text if ord(c) >= FULL})
    converter = opencc.OpenCC("t2s")
    lines = converter.convert(converter.convert("\n".join(distinct))).split("\n")
    simple = {old: new if len(new) == 1 else old for old, new in zip(distinct, lines, strict=True)}
    return text.translate(str.maketrans(simple | VARIANTS))
