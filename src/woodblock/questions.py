"""The benchmark's questions, made from validation text alone, and the baselines that read nothing.

Both tasks are four-way choices that come in blocks of four questions with the same four choices, each right once.
Whoever prefers one choice whatever the question asks, for its length, its style or its frequency, is right in exactly
one question of four: what is above chance was read in the question. (That answers can be told without their question
is the finding of Gururangan et al. 2018; HellaSwag, Zellers et al. 2019, filters by a model, this balances by design.)
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from woodblock.errors import UserError

CHOICES = 4
CHANCE = 1 / CHOICES
FULL = 12  # the credit of a right choice: two, three or four that tie share it evenly

MIN_UNIT = 30  # characters: shorter articles say too little to be told apart ("本法自2020年1月1日起施行。")
MAX_UNIT = 200  # characters: what is asked about fits the context of a small model, with its law's name before it
MIN_PARAGRAPH = 40  # characters
MIN_PART = 15  # characters on either side of a cut
MASK = "某"
PATIENCE = 400  # fours of laws tried in a row without a block
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
    kept = {}
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
        halves = {}
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
            "validation split; take it out, or raise clean.validation_share"
        )
    return _at_most(asked, limit, random.Random(f"continuation {seed}"))


def source_law(units: Sequence[Unit], per_group: int, limit: int, seed: int) -> list[Question]:
    """Which law does this article stand in: four-way choices between names of laws.

    A law's subject stands in its name and all over its articles: of questions drawn freely from the default data,
    overlap alone answers .88. So a block is kept only if overlap is right in one of its four questions, ties shared,
    and what is above chance was not told by shared characters. (Clark et al. 2018, ARC, keep what word co-occurrence
    answers wrongly. Always wrong would be a hint as well, hence one in four.)

    per_group: most questions that a law is the answer of; limit: most in all. A law is wrong in exactly three times as
    many questions as it is right in, and laws are right equally often as far as their articles allow. Articles that
    name their law are left out. Raises UserError where four laws make no block.
    """
    askable = [unit for unit in units if unit.names and not any(name in unit.text for name in unit.names)]
    articles, names = _by_group(askable), {unit.group: unit.names[0] for unit in askable}
    rng = random.Random(f"source_law {seed}")
    for members in articles.values():
        rng.shuffle(members)
    column = {law: number for number, law in enumerate(names)}
    # [articles, laws] for each law: the share of each law's name that stands in its articles.
    shares = {
        law: np.array([[_share(name, unit.text) for name in names.values()] for unit in members])
        for law, members in articles.items()
    }
    left = {law: list(range(len(members))) for law, members in sorted(articles.items())}
    counts: Counter[str] = Counter()
    asked: list[list[Question]] = []
    misses = 0
    while misses < PATIENCE and CHOICES * (len(asked) + 1) <= limit:
        laws = [law for law in left if left[law] and counts[law] < per_group]
        if len(laws) < CHOICES:
            break
        # Those asked least come first; where they make no block, any four.
        ranks = {law: (counts[law] if misses < PATIENCE // 2 else 0, rng.random()) for law in laws}
        laws = sorted(laws, key=ranks.__getitem__)[:CHOICES]
        columns = [column[law] for law in laws]
        found = []  # for each law: credit of choosing by overlap → the first article left that has it
        for place, law in enumerate(laws):
            credits, first = np.unique(_credits(shares[law][left[law]][:, columns], place), return_index=True)
            found.append(dict(zip(credits.tolist(), first.tolist(), strict=True)))
        even = [credits for credits in product(*found) if sum(credits) == FULL]
        if not even:
            misses += 1
            continue
        misses = 0
        chosen = [first[credit] for first, credit in zip(found, rng.choice(even), strict=True)]
        block = [articles[law][left[law].pop(place)] for law, place in zip(laws, chosen, strict=True)]
        counts.update(laws)
        choices = [names[law] for law in laws]
        asked.append(_block("source_law", block, [unit.text for unit in block], choices, rng))
    if not asked:
        raise UserError(
            f"benchmark.tasks: source_law needs articles of {CHOICES} laws that the corpus holds out, and there are "
            f"{len(articles)}; take it out, or raise clean.validation_share"
        )
    return _in_order(asked)


def shortest(question: Question) -> float:
    """The credit of choosing the choice with the fewest bytes: 1, 0, or a share where some are equally short."""
    return _credit([-len(choice.encode()) for choice in question.choices], question.answer)


def overlap(question: Question) -> float:
    """The credit of choosing the choice with the largest share of its character bigrams in the context."""
    return _credit([_share(choice, question.context) for choice in question.choices], question.answer)


def _credit(scores: Sequence[float], answer: int) -> float:
    return float(_credits(np.array([scores]), answer)[0]) / FULL


def _credits(scores: np.ndarray, answer: int) -> np.ndarray:
    """What choosing the best of scores [questions, choices] earns where `answer` is right, in units of 1 / FULL."""
    best = scores == scores.max(axis=1, keepdims=True)
    return np.where(best[:, answer], FULL // best.sum(axis=1), 0)


def _share(choice: str, text: str) -> float:
    """The share of a choice's character bigrams that stand in a text."""
    pairs = [choice[i : i + 2] for i in range(len(choice) - 1)]
    return sum(pair in text for pair in pairs) / max(len(pairs), 1)


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
    return _in_order(rng.sample(blocks, min(len(blocks), limit // CHOICES)))


def _in_order(blocks: list[list[Question]]) -> list[Question]:
    return sorted((question for block in blocks for question in block), key=lambda one: (one.group, one.id))


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
