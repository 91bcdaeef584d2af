"""Measures of a text for filters: its kinds of characters, how its lines end, how much it repeats itself.

They follow Gopher (Rae et al. 2021, arXiv:2112.11446, table A1), which counts words between spaces. Chinese has no spaces,
and segmenting it first would take a hundred times longer than all of this. So everything here counts characters. The
kernels run over code points; a table has the class of each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

Points = npt.NDArray[np.uint32]  # code points
Starts = npt.NDArray[np.int64]  # where each text begins in them, and where the last one ends
Slots = npt.NDArray[np.uint64]  # of a hash table with open addressing

SPACE, NEWLINE, HAN, KANA, HANGUL, LETTER, DIGIT, STOP, PAUSE, SYMBOL = range(10)
CLASSES = 10

STOPS = "。！？!?…；;．"  # they end a sentence or a clause; so does a full stop between a letter and a space
FULL_STOP = 0x2E
# Other marks of running text. Brackets, slashes, pipes and the like are symbols: texts have few, code and tables many.
PAUSES = "，、：,:.“”‘’\"'「」『』《》〈〉（）()—－-·～"

CHUNK = 1 << 15  # characters in which repetition is looked for at once: the tables of a chunk fit into a core's cache
TOP = 4  # characters of the n-gram whose share is measured: about a word and a half
REPEAT = 16  # characters of an n-gram that counts as repeated: about ten words

# The columns of what `measure` returns, in order. Shares are of the characters that are not white space.
MEASURES = (
    "characters",  # white space not counted
    "han",
    "kana",
    "hangul",
    "letter",
    "digit",
    "symbol",
    "stop",  # sentence ends
    "punctuation",  # sentence ends and pauses
    "variety",  # different characters in a chunk, relative to running text of the same length
    "longest_run",  # longest run of one character, as a share
    "ended_lines",  # the share of lines that end with a punctuation mark
    "line_length",  # characters of a line, on average; empty lines do not count
    "repeated_lines",  # characters in lines that came before, as a share
    "templated",  # characters in lines with the same shape as an earlier one but other hanzi, letters or digits, as a share
    "top_ngram",  # characters in the most frequent TOP-gram, as a share; 0 if none comes three times
    "repeated_ngrams",  # characters covered by REPEAT-grams that came before, as a share
)


@lru_cache(maxsize=1)
def classes() -> npt.NDArray[np.uint8]:
    """The class of every code point (uint8, 0x110000 entries)."""
    table = np.full(0x110000, SYMBOL, dtype=np.uint8)
    for point in range(0x10000):
        category = unicodedata.category(chr(point))
        if category[0] == "Z":
            table[point] = SPACE
        elif category[0] in "LM":
            table[point] = LETTER
        elif category in ("Nd", "No"):
            table[point] = DIGIT
    for first, last, kind in (
        (0x3400, 0x9FFF, HAN),
        (0xF900, 0xFAFF, HAN),
        (0x20000, 0x3FFFF, HAN),
        (0x3005, 0x3007, HAN),  # 々〆〇
        (0x3041, 0x30FF, KANA),
        (0x31F0, 0x31FF, KANA),
        (0xAC00, 0xD7A3, HANGUL),
        (0x1100, 0x11FF, HANGUL),
    ):
        table[first : last + 1] = kind
    for characters, kind in ((PAUSES, PAUSE), (STOPS, STOP), ("\t\v\f\r　", SPACE), ("\n", NEWLINE), ("・", PAUSE)):
        table[[ord(c) for c in characters]] = kind
    return table


def measure(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """The MEASURES of each text, as columns (float32, texts × measures). An empty text has zeros."""
    points, starts = code_points(texts)
    out = np.zeros((len(texts), len(MEASURES)), dtype=np.float32)
    if len(texts):
        _measure(points, starts, classes(), out)
    return out


def code_points(texts: Sequence[str]) -> tuple[Points, Starts]:
    """All texts one after the other as code points (uint32), and where each begins and the last one ends (int64)."""
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    return points, starts


@njit(cache=True, nogil=True)
def _measure(points: Points, starts: Starts, kinds: npt.NDArray[np.uint8], out: npt.NDArray[np.float32]) -> None:
    dense = np.empty(CHUNK, dtype=np.uint32)  # a chunk's letters, digits and hanzi
    all_slots = np.zeros(2 * CHUNK, dtype=np.uint64)  # n-grams of a chunk, by hash
    all_counts = np.zeros(2 * CHUNK, dtype=np.int32)
    all_lines = np.zeros(2 * CHUNK, dtype=np.uint64)
    all_shapes = np.zeros(2 * CHUNK, dtype=np.uint64)
    for text in range(len(starts) - 1):
        first, last = starts[text], starts[text + 1]
        # A short text uses only a part of the tables, which keeps them half empty. Emptying all of them would take longer
        # than measuring the text.
        room = 2
        while room < 2 * min(CHUNK, last - first):
            room *= 2
        slots, counts, lines, shapes = all_slots[:room], all_counts[:room], all_lines[:room], all_shapes[:room]
        numbers = np.zeros(CLASSES, dtype=np.int64)
        run, longest, before = 0, 0, np.uint32(0)
        ended, repeated, total_lines = 0, 0, 0
        line_hash, line_length, line_kind = np.uint64(0), 0, SPACE
        shape, marked, templated = np.uint64(0), False, 0
        filled, variety, chunks, top, again, looked = 0, 0.0, 0, 0, 0, 0
        lines[:] = 0
        shapes[:] = 0
        for place in range(first, last + 1):
            point = points[place] if place < last else np.uint32(10)
            kind = kinds[point]
            if (
                point == FULL_STOP
                and line_kind == LETTER
                and (place + 1 == last or kinds[points[place + 1]] <= NEWLINE)
            ):
                kind = STOP  # it ends a sentence, and is not part of a number, a name or an address
            if kind == NEWLINE:
                if line_length:
                    ended += line_kind in (STOP, PAUSE)
                    total_lines += 1
                    # The table of lines is emptied before it is full: after some 30,000 lines.
                    if total_lines % CHUNK == 0:
                        lines[:] = 0
                        shapes[:] = 0
                    if line_length > 1 and _seen(lines, line_hash):
                        repeated += line_length
                    # Lines of verse have the same shape too, but only hanzi and their punctuation.
                    if marked and line_length > 3 and _seen(shapes, shape):
                        templated += line_length
                line_hash, line_length, line_kind = np.uint64(0), 0, SPACE
                shape, marked = np.uint64(0), False
            elif kind != SPACE:
                numbers[kind] += 1
                line_hash = (line_hash ^ np.uint64(point)) * np.uint64(0x9E3779B97F4A7C15)
                line_hash ^= line_hash >> np.uint64(29)
                line_length += 1
                # In a line's shape, a run of hanzi, of letters or of digits is one mark; any other character is itself.
                if kind in (STOP, PAUSE, SYMBOL) or kind != line_kind:
                    mark = point if kind in (STOP, PAUSE, SYMBOL) else np.uint32(kind)
                    shape = (shape ^ np.uint64(mark)) * np.uint64(0xC2B2AE3D27D4EB4F)
                    shape ^= shape >> np.uint64(29)
                marked |= kind in (DIGIT, LETTER, SYMBOL)
                line_kind = kind
                run = run + 1 if point == before else 1
                longest = max(longest, run)
                before = point
                if (
                    kind != SYMBOL and kind != PAUSE and kind != STOP
                ):  # rules and frames repeat in every text with tables
                    dense[filled] = point
                    filled += 1
            if filled == CHUNK or (place == last and filled):
                slots[:] = 0
                distinct = 0
                for at in range(filled):
                    distinct += not _seen(slots, np.uint64(dense[at]) * np.uint64(0x9E3779B97F4A7C15))
                variety += filled * distinct / (5.0 * np.sqrt(filled))
                top += _top(dense, filled, slots, counts)
                again += _repeated(dense, filled, slots)
                looked += filled
                chunks += 1
                filled = 0
        total = numbers.sum()
        if total == 0:
            continue
        row = out[text]
        row[0] = total
        row[1] = numbers[HAN] / total
        row[2] = numbers[KANA] / total
        row[3] = numbers[HANGUL] / total
        row[4] = numbers[LETTER] / total
        row[5] = numbers[DIGIT] / total
        row[6] = numbers[SYMBOL] / total
        row[7] = numbers[STOP] / total
        row[8] = (numbers[STOP] + numbers[PAUSE]) / total
        if looked:
            row[9] = variety / looked
        row[10] = longest / total
        row[11] = ended / total_lines
        row[12] = total / total_lines
        row[13] = repeated / total
        row[14] = templated / total
        row[15] = top / total
        row[16] = again / total


@njit(cache=True, nogil=True, inline="always")
def _seen(slots: Slots, key: np.uint64) -> bool:
    """Whether a key is in a hash table with open addressing; if not, it is added. 0 means an empty slot."""
    key |= np.uint64(1)
    mask = len(slots) - 1
    at = np.int64((key * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(40)) & mask
    while slots[at]:
        if slots[at] == key:
            return True
        at = (at + 1) & mask
    slots[at] = key
    return False


@njit(cache=True, nogil=True)
def _top(dense: Points, filled: int, slots: Slots, counts: npt.NDArray[np.int32]) -> int:
    """Characters in the most frequent TOP-gram of a chunk; 0 if none comes three times."""
    slots[:] = 0
    counts[:] = 0
    mask = len(slots) - 1
    best = 0
    for at in range(filled - TOP + 1):
        key = np.uint64(0)
        for step in range(TOP):
            key = (key ^ np.uint64(dense[at + step])) * np.uint64(0x9E3779B97F4A7C15)
        key |= np.uint64(1)
        slot = np.int64(key >> np.uint64(40)) & mask
        while slots[slot] and slots[slot] != key:
            slot = (slot + 1) & mask
        slots[slot] = key
        counts[slot] += 1
        best = max(best, counts[slot])
    return min(filled, best * TOP) if best >= 3 else 0


@njit(cache=True, nogil=True)
def _repeated(dense: Points, filled: int, slots: Slots) -> int:
    """Characters of a chunk that are in a REPEAT-gram which came earlier in the chunk."""
    slots[:] = 0
    base = np.uint64(0x9E3779B97F4A7C15)
    power = np.uint64(1)
    for _ in range(REPEAT):
        power *= base
    rolling, covered, end = np.uint64(0), 0, 0
    for at in range(filled):
        rolling = rolling * base + np.uint64(dense[at])
        if at >= REPEAT:
            rolling -= power * np.uint64(dense[at - REPEAT])
        if at >= REPEAT - 1 and _seen(slots, rolling ^ (rolling >> np.uint64(31))):
            covered += at + 1 - max(end, at + 1 - REPEAT)
            end = at + 1
    return covered
