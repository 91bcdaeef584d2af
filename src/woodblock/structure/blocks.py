"""The blocks of a text: code, tables, lists and raw HTML. All else is prose, and a line of it is a paragraph.

Every step that changes lines asks here first, so that code and tables come out as they went in.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from woodblock.structure.block_kernels import analyse
from woodblock.structure.block_marks import FENCED, INDENTED, LAID_OUT, PROSE, RAW, TABLE

__all__ = ["FENCED", "INDENTED", "LAID_OUT", "PROSE", "RAW", "TABLE"]

KEPT = (FENCED, INDENTED, TABLE)  # what no step of cleaning changes, but for personal data
# A text without any of these has only prose in it, so it need not be looked at line by line.
SIGNS = ("\n ", "\n\t", "```", "~~~", "|", "::", "\n+", "<pre", "<PRE", "<!--", "<script", "<style", "{%", "== ", "-- ")
BOX = re.compile("[\u2502-\u257f]")
RAW_SIGNS = ("<pre", "<PRE", "<Pre", "<!--", "<script", "<SCRIPT", "<style", "<STYLE", "{%")


class Piece(NamedTuple):
    """Whole lines of a text that are of one kind, with their newlines."""

    kind: int
    text: str


def pieces(text: str) -> list[Piece]:
    """A text cut into pieces: each block is one, and so is all that stands between two blocks."""
    if not has_signs(text):
        return [Piece(PROSE, text)]
    _, places, kinds, _, firsts = analyse(_bytes(text), _has_raw(text))
    if not kinds.any():
        return [Piece(PROSE, text)]
    borders = np.flatnonzero((kinds[1:] != kinds[:-1]) | firsts[1:]) + 1
    starts = [0, *borders.tolist(), len(kinds)]
    cuts, sorts = places[starts].tolist(), kinds[starts[:-1]].tolist()
    return [Piece(kind, text[first:last]) for kind, (first, last) in zip(sorts, pairwise(cuts), strict=True)]


def kept_lines(text: str) -> set[int]:
    """The numbers of the lines in code and tables."""
    if not has_signs(text):
        return set()
    kinds = analyse(_bytes(text), _has_raw(text))[2]
    return set(np.flatnonzero(np.isin(kinds, KEPT)).tolist())


def units(text: str) -> list[str]:
    """The lines of a text without their newlines; a block of code or a table counts as one line."""
    found: list[str] = []
    cut = pieces(text)
    for kind, piece in cut:
        lines = piece.removesuffix("\n")
        found += [lines] if kind in KEPT else lines.split("\n")
    return [*found, ""] if cut[-1].text.endswith("\n") else found


def paragraphs(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Where the paragraphs of a text begin and end [p, 2], in bytes of its UTF-8, without the last newline.

    A fence, indented code, a table and a list (with all that is in it) are each one paragraph; so are adjacent lines that
    are numbered as in Chinese. Of all other text, each line is one.
    """
    starts, _, _, numbers, _ = analyse(data, True)
    inside = np.flatnonzero(numbers >= 0)
    first = inside[np.flatnonzero(np.diff(numbers[inside], prepend=-1))]
    last = inside[np.flatnonzero(np.diff(numbers[inside], append=-1))]
    ends = starts[last + 1] - (last + 1 < len(starts) - 1)
    return np.stack([starts[first], ends], axis=1)


def has_signs(text: str) -> bool:
    """Whether a text may have blocks."""
    return text.startswith((" ", "\t", "+")) or any(sign in text for sign in SIGNS) or BOX.search(text) is not None


def _has_raw(text: str) -> bool:
    return any(sign in text for sign in RAW_SIGNS)


def _bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
