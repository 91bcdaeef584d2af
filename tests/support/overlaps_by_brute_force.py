"""Decontamination by brute force: a matcher that compares everything with everything, and cases for it."""

from __future__ import annotations

import functools
import unicodedata

import opencc
from hypothesis import strategies as st

from woodblock.decontamination.index import MIN_OWN, MIN_WHOLE, OWN
from woodblock.decontamination.normal_form import VARIANTS
from woodblock.decontamination.seeds import COMMON, TEMPLATE

CONVERTER = opencc.OpenCC("t2s")
# Hanzi, letters, what comes apart (ﬁ, ㎏, ½, Å, ﷺ), astral characters, accents that stand alone, and what goes.
ALPHABET = "甲乙丙丁ａab1ﬁ㎏½Å\u030aﷺ𠀀𝐀ß，。 \n"


def plain(text: str) -> list[tuple[str, int]]:
    """What is compared, as (character, place in the text)."""
    kept = []
    for place, character in enumerate(text):
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
        kept += [(simple(c), place) for c in folded if c.isalnum()]

    def alphabetic(i: int) -> bool:
        return 0 <= i < len(kept) and kept[i][0] < "\u2e80"

    return [
        pair
        for i, pair in enumerate(kept)
        if not ("a" <= pair[0] <= "z" and not alphabetic(i - 1) and not alphabetic(i + 1))
    ]


@functools.cache
def simple(character: str) -> str:
    converted = CONVERTER.convert(CONVERTER.convert(character))
    return VARIANTS.get(converted, converted)


def characters(text: str) -> str:
    return "".join(c for c, _ in plain(text))


def weight(text: str) -> int:
    return sum(2 if c >= "\u2e80" else 1 for c in text)


def windows(text: str, wanted: int) -> list[tuple[int, int]]:
    """The shortest runs of weight `wanted`, one from each start."""
    found = []
    for start in range(len(text)):
        end = next((e for e in range(start, len(text) + 1) if weight(text[start:e]) >= wanted), None)
        if end is not None:
            found.append((start, end))
    return found


def shared_by_many(texts: set[str], wanted: int, fewest: int = TEMPLATE) -> set[str]:
    holders: dict[str, set[str]] = {}
    for text in texts:
        for start, end in windows(text, wanted):
            holders.setdefault(text[start:end], set()).add(text)
    return {run for run, of in holders.items() if len(of) >= fewest}


def first_line(benchmark: str, text: str) -> str:
    """What is asked: the characters of the text, as it is compared, that stand in its first line."""
    end = text.find("\n", len(text) - len(text.lstrip())) if benchmark != OWN else -1
    return "".join(c for c, place in plain(text) if end < 0 or place < end)


def needles(questions: list[tuple[str, str]], length: int) -> dict[str, set[str]]:
    """By benchmark, every string that no text may hold."""
    asked = [
        (benchmark, characters(text), [text] if benchmark == OWN else text.split("\n\n"))
        for benchmark, text in questions
    ]
    blocks = [(benchmark, block) for benchmark, _, of in asked for block in of]
    texts = {characters(block) for _, block in blocks}
    public = {characters(block) for benchmark, block in blocks if benchmark != OWN}
    short, long = shared_by_many(texts, 2 * length), shared_by_many(texts, 4 * length)
    common = shared_by_many(public, 2 * length, COMMON) if long else set()
    begun: dict[str, set[str]] = {}
    holders: dict[tuple[str, str], set[str]] = {}
    for benchmark, block in blocks:
        begun.setdefault(first_line(benchmark, block), set()).add(characters(block))
    for benchmark, _, of in asked:
        for block in of:
            holders.setdefault((benchmark, characters(block)), set()).add(tuple(map(characters, of)))
    found: dict[str, set[str]] = {}
    for benchmark, text in blocks:
        of, whole, first = found.setdefault(benchmark, set()), characters(text), first_line(benchmark, text)
        held = len(holders[benchmark, whole])
        is_passage = weight(whole) >= 4 * length and held < COMMON
        if benchmark != OWN and held >= TEMPLATE and not is_passage:
            continue
        passages = [(s, e) for s, e in windows(whole, 4 * length) if whole[s:e] in long]
        for start, end in windows(whole, 2 * length):
            is_within = any(s <= start and end <= e for s, e in passages)
            run = whole[start:end]
            if run not in short or (is_within and run not in common):
                of.add(run)
        least = 2 * (MIN_OWN if benchmark == OWN else MIN_WHOLE)
        if least <= weight(first) < 2 * length and len(begun[first]) < TEMPLATE:
            of.add(first)
        elif least <= weight(whole) < 2 * length and first != whole:
            of.add(whole)
    return found


def brute_benchmarks(questions: list[tuple[str, str]], length: int, text: str) -> list[str]:
    haystack = characters(text)
    return sorted(b for b, of in needles(questions, length).items() if any(run in haystack for run in of))


def brute_lines(questions: list[tuple[str, str]], length: int, text: str) -> set[int]:
    """The lines that one turn of `without` takes."""
    pairs = plain(text)
    haystack, lines = "".join(c for c, _ in pairs), [text[:place].count("\n") for _, place in pairs]
    covered = [False] * len(haystack)
    for run in set().union(*needles(questions, length).values()) if questions else ():
        start = haystack.find(run)
        while start >= 0:
            covered[start : start + len(run)] = [True] * len(run)
            start = haystack.find(run, start + 1)
    gone, start = set(), 0
    while start < len(covered):
        if not covered[start]:
            start += 1
            continue
        end = start
        while end < len(covered) and covered[end]:
            end += 1
        shares = {n: weight("".join(c for c, of in zip(haystack[start:end], lines[start:end], strict=True) if of == n))
                  for n in range(lines[start], lines[end - 1] + 1)}  # fmt: skip
        sizes = {n: weight("".join(c for c, of in zip(haystack, lines, strict=True) if of == n)) for n in shares}
        whole = {n for n, share in shares.items() if 0 < min(2 * length, sizes[n]) <= share}
        gone |= whole or {max(shares, key=lambda n: (shares[n], -n))}
        start = end
    return gone


@st.composite
def cases(draw):
    """(questions, length, text): the text is made of pieces of the questions, so that they overlap everywhere."""
    alphabet = draw(st.sampled_from([ALPHABET, "甲乙", "甲乙\n", "ab\n", "甲a1\n，"]))
    length = draw(st.integers(1, 16))
    text = st.text(alphabet, max_size=draw(st.sampled_from([12, 60])))
    names = st.sampled_from(["一", "二", OWN])
    questions = draw(st.lists(st.tuples(names, text), max_size=6))
    questions += [(draw(names), question) for _, question in questions if draw(st.booleans())]
    if questions and draw(st.booleans()):  # a formula that many share
        formula = draw(st.text(alphabet, max_size=30))
        questions += [("二", formula + "\n" * draw(st.booleans()) + draw(text)) for _ in range(TEMPLATE)]
    pieces = []
    for _ in range(draw(st.integers(0, 4))):
        if questions:
            _, source = draw(st.sampled_from(questions))
            start = draw(st.integers(0, len(source)))
            pieces.append(source[start : draw(st.integers(start, len(source)))])
        pieces.append(draw(st.text(alphabet, max_size=4)))
    return questions, length, "".join(pieces)
