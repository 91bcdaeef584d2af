"""The benchmark's questions, made from validation text alone, and the baselines that read nothing.

Both tasks are four-way choices that come in blocks of four questions with the same four choices, each right once.
Whoever prefers one choice whatever the question asks, for its length, its style or its frequency, is right in exactly
one question of four: what is above chance was read in the question. (That answers can be told without their question
is the finding of Gururangan et al. 2018; HellaSwag, Zellers et al. 2019, filters by a model, this balances by design.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from woodblock.base.errors import UserError

CHOICES = 4

MIN_UNIT = 30  # characters: shorter articles say too little to be told apart ("本法自2020年1月1日起施行。")
MAX_UNIT = 200  # characters: what is asked about fits the context of a small model, with its law's name before it
MIN_PARAGRAPH = 40  # characters
MIN_PART = 15  # characters on either side of a cut
MASK = "某"
LENGTH_SPREAD = 0.1  # of the right rest's length: how far that of a wrong one may be from it

_CUT = re.compile(r"[，。；：](?![\s”’》〉）】」』])")
# Amendments, decisions and interpretations are called after the law that they amend or interpret.
_DERIVED = re.compile(r"修正案|决定|决议|解释")


@dataclass(frozen=True)
class Unit:
    """A text that questions are made from: an article of a law, or a paragraph of a document."""

    id: str
    group: str  # the law or document: bootstrap resamples these
    text: str
    heading: str = ""  # what stands right before the text: "第五条　"
    names: tuple[str, ...] = ()  # the law's names, the full one first; empty where it has none of its own


@dataclass(frozen=True)
class Question:
    """A four-way choice.

    continuation: `context` is how an article starts, `choices` are ways to go on.
    source_law: `context` is an article, masked or (source_law_verbatim) as it stands; `choices` are laws' names.
    """

    task: str
    id: str
    group: str
    heading: str
    context: str
    choices: tuple[str, ...]
    answer: int


def paragraphs(id: str, group: str, text: str) -> list[Unit]:
    """The paragraphs of a document that are long enough to ask about."""
    lines = (line.strip() for line in text.split("\n"))
    return [Unit(f"{id}#{n}", group, line) for n, line in enumerate(lines) if len(line) >= MIN_PARAGRAPH]


def unseen(units: Iterable[Unit], training: Iterable[str]) -> list[Unit]:
    """The units of MIN_UNIT to MAX_UNIT characters whose text stands in no training text, and twice nowhere."""
    haystack = "\0".join(_plain(text) for text in training)
    kept: dict[str, Unit] = {}
    for unit in units:
        if MIN_UNIT <= len(unit.text) <= MAX_UNIT and (text := _plain(unit.text)) not in haystack:
            kept.setdefault(text, unit)
    return list(kept.values())


def has_own_name(law: str) -> bool:
    """Whether a law has a name of its own, and not that of a law that it amends, decides on or interprets."""
    return not _DERIVED.search(law)


def cut(text: str) -> int | None:
    """Where to cut a text in two: after the punctuation mark nearest to its middle; None where there is none.

    Both parts have MIN_PART characters or more. No mark is taken that white space or a closing bracket follows, so
    that no token of any vocabulary straddles the cut, and no part starts with what belongs to the other.
    """
    places = [match.end() for match in _CUT.finditer(text)]
    places = [place for place in places if MIN_PART <= place <= len(text) - MIN_PART]
    return min(places, key=lambda place: abs(2 * place - len(text)), default=None)


def continuation(units: Sequence[Unit], per_group: int, limit: int, seed: int) -> list[Question]:
    """How does this text go on: four-way choices between rests of one group's texts, all of like length.

    per_group: most questions of a group, of which whole fours are used; limit: most in all. The rests of a block
    differ, and each is within LENGTH_SPREAD of every other's length in characters. Raises UserError where no group
    yields a block.
    """
    asked = []
    for group, members in sorted(_by_group(units).items()):
        halves: dict[str, Unit] = {}
        for unit in members:
            if place := cut(unit.text):
                halves.setdefault(unit.text[place:], unit)  # a rest that stands twice would have two right answers
        rests = sorted(halves, key=lambda rest: (len(rest), rest))
        blocks = list(_alike(rests))
        rng = random.Random(f"continuation {seed} {group}")
        rng.shuffle(blocks)
        for block in blocks[: per_group // CHOICES]:
            owners = [halves[rest] for rest in block]
            contexts = [unit.text[: len(unit.text) - len(rest)] for unit, rest in zip(owners, block, strict=True)]
            asked.append(_block("continuation", owners, contexts, block, rng))
    if not asked:
        raise UserError(
            "benchmark.tasks: continuation finds no four texts of one group with rests of like length in the "
            "validation split; take it out, or raise dedup.validation_share"
        )
    return _at_most(asked, limit, random.Random(f"continuation {seed}"))


def source_law(units: Sequence[Unit], per_group: int, limit: int, seed: int, verbatim: bool = False) -> list[Question]:
    """Which law does this article stand in: four-way choices between names of laws.

    per_group: most questions that a law is the answer of; limit: most in all. A law is wrong in exactly three times as
    many questions as it is right in, and below the limit all laws with articles enough are right equally often.
    Articles that name their law are left out, and what an article shares with any of the four names is masked (see
    `masked`): the law is to be told by what the article says, and not by matching characters. With `verbatim` the same
    questions come unmasked. Raises UserError where fewer than four laws have an article to ask about.
    """
    groups = _by_group(unit for unit in units if unit.names and not any(name in unit.text for name in unit.names))
    rng = random.Random(f"source_law {seed}")
    for members in groups.values():
        rng.shuffle(members)
    left = {group: members[:per_group] for group, members in sorted(groups.items())}
    asked = []
    # The four laws with most left, again and again: it leaves nothing over where the four largest allow it.
    while len(left) >= CHOICES:
        ranked = sorted(left, key=lambda group: (-len(left[group]), rng.random()))
        block = [left[group].pop() for group in ranked[:CHOICES]]
        left = {group: members for group, members in left.items() if members}
        names = [unit.names[0] for unit in block]
        contexts = [unit.text if verbatim else masked(unit.text, names) for unit in block]
        asked.append(_block("source_law_verbatim" if verbatim else "source_law", block, contexts, names, rng))
    if not asked:
        raise UserError(
            f"benchmark.tasks: source_law needs articles of {CHOICES} laws that the corpus holds out, and there are "
            f"{len(groups)}; take it out, or raise dedup.validation_share"
        )
    return _at_most(asked, limit, rng)


def masked(text: str, names: Sequence[str]) -> str:
    """The text with 某 for every character of a bigram that it shares with one of the names.

    A law's subject stands in its name and all over its articles: unmasked, choosing the name with the most bigrams in
    common is right in almost nine questions of ten, and reads nothing. Hermann et al. 2015 (Teaching machines to read)
    masked what is asked for to the same end; 某 is how Chinese law reports leave a name out.
    """
    known = {pair for name in names for pair in _bigrams(name)}
    hidden = {place for i, pair in enumerate(_bigrams(text)) if pair in known for place in (i, i + 1)}
    return "".join(MASK if i in hidden else character for i, character in enumerate(text))


def shortest(question: Question) -> float:
    """The credit of choosing the choice with the fewest bytes: 1, 0, or a share where some are equally short."""
    return _credit([-len(choice.encode()) for choice in question.choices], question.answer)


def overlap(question: Question) -> float:
    """The credit of choosing the choice with the largest share of its character bigrams in the context."""
    return _credit([_share(choice, question.context) for choice in question.choices], question.answer)


def _credit(scores: Sequence[float], answer: int) -> float:
    """What choosing the best of the scores earns where `answer` is right; choices that tie share it."""
    best = max(scores)
    return (scores[answer] == best) / scores.count(best)


def _share(choice: str, text: str) -> float:
    """The share of a choice's character bigrams that stand in a text."""
    pairs = _bigrams(choice)
    return sum(pair in text for pair in pairs) / max(len(pairs), 1)


def _bigrams(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(len(text) - 1)]


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _by_group(units: Iterable[Unit]) -> dict[str, list[Unit]]:
    groups: dict[str, list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.group, []).append(unit)
    return groups


def _alike(rests: Sequence[str]) -> Iterable[Sequence[str]]:
    """Fours of rests, sorted by length, whose lengths are within LENGTH_SPREAD of each other."""
    start = 0
    while start + CHOICES <= len(rests):
        block = rests[start : start + CHOICES]
        if len(block[-1]) <= (1 + LENGTH_SPREAD) * len(block[0]):
            yield block
            start += CHOICES
        else:
            start += 1


def _at_most(blocks: list[list[Question]], limit: int, rng: random.Random) -> list[Question]:
    """The questions of whole blocks: as many, drawn at random, as `limit` questions hold."""
    kept = rng.sample(blocks, min(len(blocks), limit // CHOICES))
    return sorted((question for block in kept for question in block), key=lambda one: (one.group, one.id))


def _block(
    task: str, units: Sequence[Unit], contexts: Sequence[str], choices: Sequence[str], rng: random.Random
) -> list[Question]:
    """Four questions with the same choices: each is right once, and each time in another place."""
    places = rng.sample(range(CHOICES), CHOICES)
    questions = []
    for unit, context, right, answer in zip(units, contexts, choices, places, strict=True):
        shown = [choice for choice in choices if choice != right]
        rng.shuffle(shown)
        shown.insert(answer, right)
        questions.append(Question(task, unit.id, unit.group, unit.heading, context, tuple(shown), answer))
    return questions
