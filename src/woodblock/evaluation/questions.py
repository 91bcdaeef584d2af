"""The benchmark's questions, made only from validation text, and two baselines: the shortest choice, and bigram overlap.

Both tasks are choices between four answers. They come in blocks of four questions with the same four choices, each right
once. A model that prefers one choice without looking at the question (for its length, its style or its frequency) is
right in exactly one of four questions. So a score above chance comes from reading the question. (In many benchmarks the
answer can be guessed without the question: Gururangan et al. 2018. HellaSwag, Zellers et al. 2019, filters such questions
out with a model; here the blocks prevent them.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from woodblock.base.errors import UserError

CHOICES = 4


class TooFew(UserError):
    """The held-out text has not enough for one block of a task's questions."""


MIN_UNIT = 30  # characters: shorter articles are too much alike ("本法自2020年1月1日起施行。")
MAX_UNIT = 200  # characters: a longer text with its law's name would not fit the context of a small model
MIN_PARAGRAPH = 40  # characters
MIN_PART = 15  # characters on either side of a cut
MASK = "某"
LENGTH_SPREAD = 0.1  # the largest allowed difference in length between the endings of a block, as a share

_CUT = re.compile(r"[，。；：](?![\s”’》〉）】」』])")
# Amendments, decisions and interpretations have the name of the law that they amend or interpret.
_DERIVED = re.compile(r"修正案|决定|决议|解释")


@dataclass(frozen=True)
class Unit:
    """A text that questions are made from: an article of a law, or a paragraph of a document."""

    id: str
    group: str  # the law or document: bootstrap resamples these
    text: str
    heading: str = ""  # what comes right before the text: "第五条　"
    names: tuple[str, ...] = ()  # the law's names, the full one first; empty where it has none of its own


@dataclass(frozen=True)
class Question:
    """A choice between four answers.

    continuation: `context` is the beginning of an article, `choices` are four endings.
    source_law: `context` is an article, masked or (source_law_verbatim) unchanged; `choices` are the names of four laws.
    """

    task: str
    id: str
    group: str
    heading: str
    context: str
    choices: tuple[str, ...]
    answer: int
    block: str  # the same for the four questions that have the same choices


def paragraphs(id: str, group: str, text: str) -> list[Unit]:
    """The paragraphs of a document that are long enough to ask about."""
    lines = (line.strip() for line in text.split("\n"))
    return [Unit(f"{id}#{n}", group, line) for n, line in enumerate(lines) if len(line) >= MIN_PARAGRAPH]


def unseen(units: Iterable[Unit], training: Iterable[str]) -> list[Unit]:
    """The units of MIN_UNIT to MAX_UNIT characters whose text is in no training text; of equal units only the first."""
    haystack = "\0".join(_plain(text) for text in training)
    kept: dict[str, Unit] = {}
    for unit in units:
        if MIN_UNIT <= len(unit.text) <= MAX_UNIT and (text := _plain(unit.text)) not in haystack:
            kept.setdefault(text, unit)
    return list(kept.values())


def has_own_name(law: str) -> bool:
    """Whether a law has a name of its own, and not the name of a law that it amends or interprets."""
    return not _DERIVED.search(law)


def cut(text: str) -> int | None:
    """Where to cut a text in two: after the punctuation mark nearest to its middle; None where there is none.

    Both parts have MIN_PART characters or more. A mark is not used if white space or a closing bracket follows it. So no
    token of any vocabulary crosses the cut, and the second part does not start with something that belongs to the first.
    """
    places = [match.end() for match in _CUT.finditer(text)]
    places = [place for place in places if MIN_PART <= place <= len(text) - MIN_PART]
    return min(places, key=lambda place: abs(2 * place - len(text)), default=None)


def continuation(units: Sequence[Unit], per_group: int, limit: int, seed: int) -> list[Question]:
    """Which ending belongs to this beginning? Questions with four endings of texts of one group, of similar length.

    per_group: most questions of a group (whole blocks of four are used); limit: most in all. The endings of a block are
    all different, and their lengths in characters differ by at most LENGTH_SPREAD. Raises TooFew where no group has
    texts for a block.
    """
    asked = []
    for group, members in sorted(_by_group(units).items()):
        halves: dict[str, Unit] = {}
        for unit in members:
            if place := cut(unit.text):
                halves.setdefault(unit.text[place:], unit)  # the same ending twice would give two right answers
        rests = sorted(halves, key=lambda rest: (len(rest), rest))
        blocks = list(_alike(rests))
        rng = random.Random(f"continuation {seed} {group}")
        rng.shuffle(blocks)
        for block in blocks[: per_group // CHOICES]:
            owners = [halves[rest] for rest in block]
            contexts = [unit.text[: len(unit.text) - len(rest)] for unit, rest in zip(owners, block, strict=True)]
            asked.append(_block("continuation", owners, contexts, block, rng))
    if not asked:
        raise TooFew(
            "benchmark.tasks: continuation needs four texts of one group with endings of similar length, and the "
            "validation split has none; remove continuation, or raise dedup.validation_share"
        )
    return _at_most(asked, limit, random.Random(f"continuation {seed}"))


def source_law(units: Sequence[Unit], per_group: int, limit: int, seed: int, verbatim: bool = False) -> list[Question]:
    """Which law is this article from? Questions with the names of four laws.

    per_group: most questions with one law as the answer; limit: most in all. Each law is a wrong choice exactly three
    times as often as it is the right one. Below the limit, all laws with enough articles are right equally often.
    Articles that name their law are left out. What an article has in common with any of the four names is masked (see
    `masked`): the content of the article must tell the law, not matching characters. With `verbatim` the same questions
    are not masked. Raises TooFew where fewer than four laws have an article to ask about.
    """
    groups = _by_group(unit for unit in units if unit.names and not any(name in unit.text for name in unit.names))
    rng = random.Random(f"source_law {seed}")
    for members in groups.values():
        rng.shuffle(members)
    left = {group: members[:per_group] for group, members in sorted(groups.items())}
    asked = []
    # Take one article each from the four laws with the most left, again and again. So as few as possible are left over.
    while len(left) >= CHOICES:
        ranked = sorted(left, key=lambda group: (-len(left[group]), rng.random()))
        block = [left[group].pop() for group in ranked[:CHOICES]]
        left = {group: members for group, members in left.items() if members}
        names = [unit.names[0] for unit in block]
        contexts = [unit.text if verbatim else masked(unit.text, names) for unit in block]
        asked.append(_block("source_law_verbatim" if verbatim else "source_law", block, contexts, names, rng))
    if not asked:
        raise TooFew(
            f"benchmark.tasks: source_law needs articles from {CHOICES} held-out laws, but there are only {len(groups)}; "
            "remove source_law, or raise dedup.validation_share"
        )
    return _at_most(asked, limit, rng)


def masked(text: str, names: Sequence[str]) -> str:
    """The text with 某 for every character of a bigram that it has in common with one of the names.

    A law's subject is in its name and everywhere in its articles. Without masks, the name with the most common bigrams is
    the right one in almost nine of ten questions: nothing needs to be understood. Hermann et al. 2015 (Teaching machines
    to read) masked names for the same reason. Chinese law reports write 某 for a name that they leave out.
    """
    known = {pair for name in names for pair in _bigrams(name)}
    hidden = {place for i, pair in enumerate(_bigrams(text)) if pair in known for place in (i, i + 1)}
    return "".join(MASK if i in hidden else character for i, character in enumerate(text))


def shortest(question: Question) -> float:
    """The score for taking the choice with the fewest bytes: 1 or 0, or a share where several are equally short."""
    return _credit([-len(choice.encode()) for choice in question.choices], question.answer)


def overlap(question: Question) -> float:
    """The score for taking the choice with the largest share of its character bigrams in the context."""
    return _credit([_share(choice, question.context) for choice in question.choices], question.answer)


def _credit(scores: Sequence[float], answer: int) -> float:
    """1 if the best of the scores is that of `answer`, else 0; if several are best, they share the 1."""
    best = max(scores)
    return (scores[answer] == best) / scores.count(best)


def _share(choice: str, text: str) -> float:
    """The share of a choice's character bigrams that are in a text."""
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
    """Blocks of four endings whose lengths differ by at most LENGTH_SPREAD. rests: sorted by length."""
    start = 0
    while start + CHOICES <= len(rests):
        block = rests[start : start + CHOICES]
        if len(block[-1]) <= (1 + LENGTH_SPREAD) * len(block[0]):
            yield block
            start += CHOICES
        else:
            start += 1


def _at_most(blocks: list[list[Question]], limit: int, rng: random.Random) -> list[Question]:
    """The questions of whole blocks, drawn at random, at most `limit` in all."""
    kept = rng.sample(blocks, min(len(blocks), limit // CHOICES))
    return sorted((question for block in kept for question in block), key=lambda one: (one.group, one.id))


def _block(
    task: str, units: Sequence[Unit], contexts: Sequence[str], choices: Sequence[str], rng: random.Random
) -> list[Question]:
    """Four questions with the same choices. Each choice is right once, and the right one is in each place once."""
    places = rng.sample(range(CHOICES), CHOICES)
    questions = []
    for unit, context, right, answer in zip(units, contexts, choices, places, strict=True):
        shown = [choice for choice in choices if choice != right]
        rng.shuffle(shown)
        shown.insert(answer, right)
        block = min(other.id for other in units)
        questions.append(Question(task, unit.id, unit.group, unit.heading, context, tuple(shown), answer, block))
    return questions
