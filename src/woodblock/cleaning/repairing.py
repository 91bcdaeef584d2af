"""Repair a text: NFC, plain spaces and line ends; remove what no reader sees, keep what the author wrote."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.structure import blocks

Points = npt.NDArray[np.uint32]  # code points

# Invisible: byte order marks, zero-width and bidirectional controls, soft hyphens, C0 and C1 controls.
INVISIBLE = re.compile(
    "[\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064\u00ad\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
NEWLINES = re.compile("\r\n|\r|\x85|\u2028|\u2029")
LINE_ENDS = re.compile("[\x85\u2028\u2029]")
# In code and tables, only these are removed; and at the beginning of any line what is invisible, which hides its marks.
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
AT_LINE_START = re.compile("^[\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2064\u00ad]+", re.MULTILINE)
THIN_SPACES = re.compile("[\u2000-\u200a\u202f\u205f]")  # typesetters' spaces, mostly inside numbers
ODD = re.compile(f"{INVISIBLE.pattern}|[\r\x85\u2028\u2029\u2000-\u200a\u202f\u205f]")
# Before these, the indentation of a paragraph is removed.
CHINESE = re.compile("[\u2e80-\u2fff\u3001-\u9fff\uff00-\uffef“‘《（]")
DRAWN = "-=_*+|~—─━"  # drawn lines (frames, rules) consist of these
RULE = 4  # of at least so many
ROUNDS = 5  # what one round removes may be what made lines code, or kept them from being it
PIECE = "\u2581"  # SentencePiece's mark for a space: decoding would turn it into one

# The properties of each character of the basic plane, as bits.
_SPACE, _ODD, _CHINESE, _DRAWN = 1, 2, 4, 8


def repair(text: str) -> str:
    """The text in NFC, without what only machines and typesetters put there. Idempotent.

    NFC and not NFKC, so that full-width ，！？ stay as the author wrote them. Removed are: white space at the ends of lines,
    the indentation of Chinese paragraphs, drawn lines, empty lines after the first of several, and white space around the
    text. Code and tables stay as they are, but for their line ends and for control characters. So does the indentation of
    what stands in lists, and of pseudo-code.
    """
    if "\r" in text or LINE_ENDS.search(text):
        text = NEWLINES.sub("\n", text)
    if not blocks.has_signs(text):
        return settled(text).text
    text = AT_LINE_START.sub("", CONTROLS.sub("", text))
    for _ in range(ROUNDS):
        before, text = text, _repaired(text)
        if text == before or not blocks.has_signs(text):
            break
    return text


def _repaired(text: str) -> str:
    """One round of `repair`: after it, other lines may count as code."""
    out: list[str] = []
    empty = False  # whether there is an empty line before the next piece
    for kind, piece in blocks.pieces(text):
        if kind in (blocks.PROSE, blocks.LAID_OUT):
            found = settled(piece, kind == blocks.LAID_OUT, whole=not out and kind == blocks.PROSE)
        else:
            found = Settled(piece.removesuffix("\n"), False, False)
        empty |= found.before
        if found.text:
            out += ["\n\n" if empty else "\n", found.text]
            empty = found.after
        empty |= found.after
    return "".join(out[1:]).rstrip()


class Settled(NamedTuple):
    """Lines as `repair` leaves them, and whether there was an empty line before and after them."""

    text: str
    before: bool
    after: bool


def settled(text: str, laid_out: bool = False, whole: bool = True) -> Settled:
    """Lines of prose as `repair` leaves them. laid_out: with their indentation. whole: they begin the text."""
    normal = unicodedata.normalize("NFC", text)
    points = _code_points(normal)
    out = np.empty_like(points)
    start, end, stop, odd = _settle(points, _kinds(), out, laid_out, whole)
    if odd:  # before NFC: a letter and its accent may become neighbours when something between them is removed
        normal = unicodedata.normalize("NFC", THIN_SPACES.sub("", INVISIBLE.sub("", NEWLINES.sub("\n", text))))
        points = _code_points(normal)
        out = np.empty_like(points)
        start, end, stop, _ = _settle(points, _kinds(), out, laid_out, whole)
    if end - start == len(points) and PIECE not in normal:
        return Settled(normal, False, False)
    return Settled(out[start:end].tobytes().decode("utf-32-le", "surrogatepass"), start > 0, stop - end > 1)


def _code_points(text: str) -> Points:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """The bits of each character of the basic plane, as uint8 (65536,); others have none."""
    kinds = np.zeros(0x10000, dtype=np.uint8)
    for point in range(0x10000):
        character = chr(point)
        kinds[point] = (
            _SPACE * character.isspace()
            | _ODD * (ODD.match(character) is not None)
            | _CHINESE * (CHINESE.match(character) is not None)
            | _DRAWN * (character in DRAWN)
        )
    return kinds


@njit(cache=True, nogil=True)
def _settle(
    points: Points, kinds: npt.NDArray[np.uint8], out: Points, laid_out: bool, whole: bool
) -> tuple[int, int, int, bool]:
    """Write the text with its lines as `repair` leaves them; returns where it starts and ends in `out`, where the empty
    lines after it end, and whether it has odd characters: then what was written cannot be used.
    """
    # Places in `out`: of the next character; of the line's start; after the line's last character that is no space. And
    # the number of newlines before.
    n, line, filled, newlines = 0, 0, 0, 0
    # Whether the line has only spaces so far; its number of drawn characters; whether it has no others.
    head, drawn, is_drawn, wide = True, 0, True, False
    for place in range(len(points) + 1):
        point = points[place] if place < len(points) else np.uint32(10)
        if point == 10:
            if is_drawn and drawn >= RULE:
                n = line
            else:
                if filled > line:
                    newlines = 0
                n = filled
                if newlines < 2 and place < len(points):
                    out[n] = 10
                    n += 1
                    newlines += 1
            line = filled = n
            head, drawn, is_drawn, wide = True, 0, True, False
            continue
        if point == 0x2581:
            point = np.uint32(0x5F)
        kind = kinds[point] if point < 0x10000 else np.uint8(0)
        if kind & _ODD:
            return 0, 0, 0, True
        if not kind & _SPACE:
            if head and kind & _CHINESE and (wide or not laid_out):
                n = line
            is_drawn &= kind & _DRAWN != 0 and (head or n == filled)
            head = False
            drawn += 1
            filled = n + 1
        elif head:
            wide |= point == 0x3000  # typesetters indent with it, and programmers do not
        out[n] = point
        n += 1
    start, stop = 0, n
    while start < n and (out[start] == 10 or (whole and out[start] < 0x10000 and kinds[out[start]] & _SPACE)):
        start += 1
    while n > start and out[n - 1] == 10:
        n -= 1
    return start, n, stop, False
