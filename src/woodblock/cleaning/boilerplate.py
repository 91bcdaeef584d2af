"""Remove boilerplate: lines that every page of a site has, such as navigation, sharing, copyright and advertising.

A line is removed only if it is nothing else, since running text has the same words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.cleaning.boilerplate_rules import (
    BUTTONS,
    DESK,
    FIELDS,
    HEAD,
    PART_PAIRS,
    PARTS,
    RULES,
    SEP,
    SITES,
    SURE_FIELDS,
    UI,
    WORDS,
)
from woodblock.structure.blocks import has_signs, kept_lines

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]
Bits = npt.NDArray[np.uint32]

LINE_CHARS = 200  # a longer line is text, whatever is in it
STATUTE = re.compile(r"第[零〇一二三四五六七八九十百千\d]{1,9}[编章节条款项]|[（(][一二三四五六七八九十]{1,3}[)）]")
LIST_MARKS = ("- ", "* ", "+ ")  # of a list in Markdown, whose items are usually short
LISTING = re.compile("[、，,；;]")
TITLE_CHARS = 40
TITLES = 12
# The bit of the last rule but one, which has the pairs of headings of other pages.
HEAD_BIT = 1 << len(RULES) - 1
NO_LINE = ("#", "|", "\t", "    ", "```", "~~~", "//", "/*", "$")


def without_boilerplate(text: str) -> tuple[str, int]:
    """The text without its lines of navigation, sharing, copyright, advertising and the like; and their number.

    A line is removed only as a whole, and only if it is nothing else. Sentences with 版权所有 or 首页 stay, and so do
    headings, rows of tables, articles of statutes and all code. What could also be text (新闻, 微信, the title of another
    page) is removed only beside such lines. Idempotent. Linear in time.
    """
    suspects = _suspects(text)
    if not suspects:
        return text, 0
    lines = text.split("\n")
    gone = _Lines(lines, suspects, set()).gone()
    if gone and has_signs(text):
        code = kept_lines(text)
        gone = _Lines(lines, {number: suspects[number] for number in suspects.keys() - code}, code).gone()
    if not gone:
        return text, 0
    return "\n".join(line for number, line in enumerate(lines) if number not in gone), len(gone)


class _Lines:
    """The lines of a text. Each is analysed at most once."""

    def __init__(self, lines: list[str], suspects: dict[int, int], code: set[int]) -> None:
        self.lines, self.suspects, self.code = lines, suspects, code
        self._seen: dict[int, Counter[str]] = {}

    def gone(self) -> set[int]:
        """The numbers of the lines to remove."""
        gone: set[int] = set()
        met: set[int] = set()
        for number in sorted(self.suspects):
            if number not in met and self._of(number):
                run = self._run(number)
                met.update(run)
                gone.update(self._gone_of(run))
            if self._of(number)["head"]:
                gone.update(self._titles(number))
        return gone

    def _of(self, number: int) -> Counter[str]:
        """The parts of a line, counted by kind; empty if there is anything else in it."""
        if number not in self._seen:
            line = self.lines[number]
            looked_at = number not in self.code and len(line) <= LINE_CHARS and not line.startswith(NO_LINE)
            self._seen[number] = _parts_of(line, self.suspects.get(number, 0)) if looked_at else Counter()
        return self._seen[number]

    def _run(self, number: int) -> list[int]:
        """The line and its neighbours that consist of parts too, with single empty lines between them."""
        run = [number]
        for step in (-1, 1):
            place, empty = number + step, 0
            while 0 <= place < len(self.lines) and empty < 2:
                if not self.lines[place].strip():
                    empty += 1
                elif self._of(place):
                    run.append(place)
                    empty = 0
                else:
                    break
                place += step
        return run

    def _gone_of(self, run: list[int]) -> Iterator[int]:
        """The lines of a run to remove: those that are enough by themselves, and words beside such lines."""
        words = [
            number for number in run if (of := self._of(number)) and not set(of) & {"sure", "desk", "field", "link"}
        ]
        total = sum((self._of(number) for number in words), Counter())
        sure = [number for number in run if _is_enough(self._of(number))]
        yield from sure
        seeds = sum(not self._of(number)["link"] for number in sure if number not in words)
        if 2 * seeds + total["ui"] + total["word"] // 3 >= 2:
            yield from (number for number in words if not self.lines[number].startswith(LIST_MARKS))

    def _titles(self, head: int) -> list[int]:
        """The heading of a list of other pages, and the titles below it."""
        place = head + 1
        while place < len(self.lines) and place - head <= TITLES and _is_title(self.lines[place]):
            place += 1
        return list(range(head, place)) if place - head > 2 and head not in self.code else []


def _parts_of(line: str, rules: int) -> Counter[str]:
    """The parts of a line, counted by kind: "sure" or "link" if a rule matches all of it; empty if nothing does."""
    line = line.strip(" \u3000\xa0")
    if not line or STATUTE.match(line):
        return Counter()
    known = [number for number, rule in enumerate(_rules(), 1) if rules >> number & 1 and rule.fullmatch(line)]
    found = Counter[str]()
    if known:
        found["link" if known == [len(RULES)] else "sure"] = 1
    if rules & HEAD_BIT and HEAD.fullmatch(line):
        found["head"] = 1
    if found:
        return found
    if line[0] not in _part_beginnings():
        return found
    place = 0
    while place < len(line):
        match = PARTS.match(line, place)
        if not match:
            return Counter()
        found[match.lastgroup or ""] += 1
        place = match.end()
    if not set(found) - {"between", "count"} or (found["word"] >= 2 and LISTING.search(line)):
        return Counter()
    return found


@cache
def _part_beginnings() -> frozenset[str]:
    """The characters that a part can begin with, and some more. A line that begins with another does not have parts."""
    words = (word[0] for words in (BUTTONS, UI, WORDS, SITES) for word in words.replace("\\", "").split("|"))
    fields = (c for c in SURE_FIELDS + DESK + FIELDS if c.isalnum())
    return frozenset([*words, *fields, *"0123456789", *filter(re.compile(SEP).match, map(chr, range(0x10000)))])


def _is_enough(found: Counter[str]) -> bool:
    """Whether such parts are enough to call the line boilerplate."""
    return bool(
        found["sure"]
        or found["link"]
        or found["desk"] >= 2
        or (found["desk"] and found["field"])
        or found["field"] >= 3
        or found["ui"] >= 2
        or (found["ui"] and found["word"])
        or found["word"] >= 5
    )


def _is_title(line: str) -> bool:
    """Whether a line may be the title of another page: it is short and not a sentence."""
    line = line.strip()
    return (
        4 <= len(line) <= TITLE_CHARS
        and line[-1] not in "。；：，、;:,.|`$”）"
        and not (line[-1] in "？！" and "，" in line)
        and not line.startswith(NO_LINE)
        and not STATUTE.match(line)
        and any("\u4e00" <= c <= "\u9fff" for c in line)
    )


@cache
def _rules() -> list[re.Pattern[str]]:
    return [re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) for _, patterns in RULES]


@cache
def _pairs() -> tuple[Bytes, Bits, Codes, Bits]:
    """Tables for pairs: which characters begin one (uint8 (65536,): 0, or the number of a bit plus one); which end one
    (bits, uint32 (65536,)); the pairs, sorted; the rules of each pair, as bits.
    """
    rules: dict[int, int] = {}
    for number, pairs in enumerate([PART_PAIRS, *(pairs for pairs, _ in RULES)]):
        for pair in pairs.split():
            first, second = tuple(pair.replace("␠", " "))
            code = ord(first) << 16 | ord(second)
            rules[code] = rules.get(code, 0) | 1 << number
    codes = np.array(sorted(rules), np.uint32)
    firsts, seconds = np.zeros(0x10000, np.uint8), np.zeros(0x10000, np.uint32)
    for number, first in enumerate(np.unique(codes >> 16).tolist()):
        firsts[first] = 1 + number % 32
        seconds[codes[codes >> 16 == first] & 0xFFFF] |= np.uint32(1 << number % 32)
    return firsts, seconds, codes, np.array([rules[code] for code in codes.tolist()], np.uint32)


def _suspects(text: str) -> dict[int, int]:
    """The numbers of the lines with a pair of some rule, each with its rules as bits."""
    if len(text) < 2:
        return {}
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    numbers, bits = _lines_with_pairs(units, *_pairs(), LINE_CHARS)
    return dict(zip(numbers.tolist(), bits.tolist(), strict=True))


@njit(cache=True, nogil=True)
def _lines_with_pairs(
    units: npt.NDArray[np.uint16], firsts: Bytes, seconds: Bits, codes: Codes, rules: Bits, longest: int
) -> tuple[npt.NDArray[np.int64], Bits]:
    """The numbers (int64) of the lines of at most `longest` units that have a pair, and their rules as bits (uint32)."""
    numbers, bits = np.empty(16, np.int64), np.empty(16, np.uint32)
    found, number, start, of_line = 0, 0, 0, np.uint32(0)
    for place in range(len(units) + 1):
        unit = units[place] if place < len(units) else np.uint16(10)
        if unit == 10:
            if of_line and place - start <= longest:
                if found == len(numbers):
                    numbers, bits = np.append(numbers, numbers), np.append(bits, bits)
                numbers[found], bits[found] = number, of_line
                found += 1
            number, start, of_line = number + 1, place + 1, np.uint32(0)
        elif firsts[unit] and place + 1 < len(units) and seconds[units[place + 1]] >> (firsts[unit] - 1) & 1:
            code = np.uint32(unit) << np.uint32(16) | np.uint32(units[place + 1])
            low, high = 0, len(codes)
            while low < high:
                middle = (low + high) // 2
                if codes[middle] < code:
                    low = middle + 1
                else:
                    high = middle
            if low < len(codes) and codes[low] == code:
                of_line |= rules[low]
    return numbers[:found], bits[:found]
