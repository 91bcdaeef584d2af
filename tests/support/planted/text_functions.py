"""What a text is compared by, what of it is running text, and how a line or a sentence is put into it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from random import Random


def bare(text: str) -> str:
    """Letters, digits and hanzi alone, in one width and case: what questions are compared by."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def hanzi_share(text: str) -> float:
    return sum("\u4e00" <= c <= "\u9fff" for c in text) / max(1, len(text))


def is_prose(line: str) -> bool:
    """A line that is running Chinese text, without marks of any format, and that nobody should take away."""
    return (
        len(line) >= 15
        and hanzi_share(line) >= 0.7
        and line.rstrip()[-1] in "。！？；：”）"
        and line[0] not in "#|-*>`"
    )


def squeezed(text: str) -> str:
    return "".join(text.split())


def put_in(rng: Random, text: str, blocks: Iterable[str]) -> str:
    """The text with each block on lines of its own, somewhere between two of its lines."""
    lines = text.split("\n")
    for block in blocks:
        lines.insert(rng.randint(1, len(lines)), block)
    return "\n".join(lines)


def after_sentence(rng: Random, text: str, sentence: str) -> str:
    """The text with a sentence added to one of its lines of prose, or on a line of its own after one."""
    lines = text.split("\n")
    full = [i for i, line in enumerate(lines) if line.strip()]
    place = rng.choice([i for i in full if is_prose(lines[i])] or full)  # what was added before may have left no prose
    stops = [found.end() for found in re.finditer("。", lines[place])] or [len(lines[place])]
    at = rng.choice(stops)
    lines[place] = rng.choice((lines[place] + "\n" + sentence, lines[place][:at] + sentence + lines[place][at:]))
    return "\n".join(lines)
