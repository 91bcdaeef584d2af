"""The index: find all texts that share a long run of characters with a benchmark's question.

If a question is in the training text, it measures memory. So every training text is compared with every question of the
pipeline, and is dropped if the two share a run of `length` characters (Brown et al. 2020, Language Models are Few-Shot
Learners, appendix C, use 13 words; Chinese has no words to count).

The normal forms of texts are compared (normal_form.py). A hanzi says more than a letter, so letters and digits of
alphabets count half; 64 of them are about 13 words.

The index has hashes of short seeds of the questions (seeds.py). The same hash rolls over a text from character to
character (Rabin & Karp 1987). A hash alone decides nothing: where it is found, the characters are compared in both
directions, as far as they agree. So no text is dropped because of a collision, and none is missed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from woodblock.base.errors import UserError
from woodblock.base.files import partial_of, partials_of, remove, replace
from woodblock.base.progress import say
from woodblock.decontamination import kernels
from woodblock.decontamination.kernels import FULL
from woodblock.decontamination.normal_form import Characters, characters_of, digest_of_digests, digest_of_text, weight
from woodblock.decontamination.seeds import (
    SEED,
    Texts,
    common_blocks,
    have_runs,
    leave_out,
    mark_templates,
    table_of_seeds,
    wholes_of,
)
from woodblock.structure.blocks import units

MIN_WHOLE = 10  # as `length` counts; a shorter text (我国的首都是) is only a phrase, and innocent texts have it too
MIN_OWN = (
    20  # the same for OWN: many laws have 本法自公布之日起施行; articles of questions are longer (questions.MIN_UNIT)
)
OWN = "validation"  # the name of the benchmark of the pipeline's own tasks: held-out documents and held-out articles


@dataclass(frozen=True)
class Overlaps:
    """All runs of a set of questions, to be looked for in texts. Made by `of`, or by `load` from what `save` wrote.

    It needs 4 bytes of memory for each character of the questions and 16 to 24 for each seed: about 5 bytes a character
    with length 32 (measured: 4.9, with 50 million hanzi). `of` needs 25 to 40 bytes a character while it runs.
    """

    length: int
    checked: dict[str, dict[str, Any]]  # by benchmark, see `gate.record`
    characters: Characters  # the questions one after the other, with a 0 before, between and after them
    positions: npt.NDArray[np.uint32]  # [seeds]: the place of each seed in `characters`, in the order of their slots
    owners: npt.NDArray[np.uint16]  # [seeds]: the benchmark of its question, as a place in sorted(checked)
    wholes: npt.NDArray[np.uint32]  # [seeds]: how many characters from here on count as a whole; mostly 0: none
    heads: npt.NDArray[np.uint32]  # [2**bits + 1]: the seeds of slot i are heads[i] : heads[i + 1]
    bloom: npt.NDArray[np.uint64]  # [2**(bits - 2)]: three bits for each hash; most hashes of a text are not among them

    @classmethod
    def of(cls, texts: Iterable[tuple[str, str]], length: int, form: Callable[[str], str] | None = None) -> Overlaps:
        """Index texts, given as (benchmark, text) in any order, for runs of `length` hanzi or twice as many letters.

        A text of a benchmark is one question. Its blocks (between empty lines: a passage, a question, a sentence) are looked
        for each by itself. A shorter block is looked for as a whole. So is the first line of a block: it is what is asked.
        The lines after it are choices and answers, which another source may have in another order, or not at all. (A text
        of OWN is one block, and its first line is a title, so it is not looked for.) What is shorter than MIN_WHOLE (for
        OWN: MIN_OWN) is not looked for. A question that has nothing longer is counted as too short to check.

        form: gives the form that cleaning brings a text into. Both forms of a block are looked for.

        What many questions share is no question (seeds.py): runs, first lines and blocks. A question with nothing else is
        not findable, like one that is too short.

        Raises UserError for more than 65,535 benchmarks or 4,294,967,295 characters.
        """
        if length < 1:
            raise ValueError(f"length: {length}; a run has at least one character")
        asked, found = _asked(texts, length, form)
        keys = sorted(found)  # now equal blocks are together, and the given order does not matter
        names = sorted({question.benchmark for question in asked})
        if len(names) >= 2**16:
            raise UserError(f"download.benchmarks: {len(names):,} benchmarks; at most {2**16 - 1:,} can be checked")
        sizes = np.array([found[key].size for key in keys], dtype=np.int64)
        starts = 1 + np.cumsum(sizes + 1) - (sizes + 1)
        total = 1 + int((sizes + 1).sum())
        if total >= 2**32:
            raise UserError(f"download.benchmarks: {total:,} characters; at most {2**32 - 1:,} can be checked")
        characters = np.zeros(total, dtype=np.uint32)
        for key, start, size in zip(keys, starts, sizes, strict=True):
            characters[start : start + size] = found.pop(key)
        place = {name: i for i, name in enumerate(names)}
        owners = np.array([place[key.benchmark] for key in keys], dtype=np.uint16)
        is_new = np.array([i == 0 or keys[i].block != keys[i - 1].block for i in range(len(keys))], dtype=bool)
        firsts = np.array([key.first for key in keys], dtype=np.int64)
        lines = Texts(characters, starts, sizes, firsts, np.cumsum(is_new).astype(np.uint32))
        numbers = {key: i for i, key in enumerate(keys)}
        of_questions = [[numbers[key] for key in question.blocks] for question in asked]
        is_public = owners != place.get(OWN, -1)
        templates, lengths = mark_templates(lines, 2 * length, is_public)
        common = common_blocks(lines, of_questions, 2 * length) & is_public
        least = np.array([2 * _least(key.benchmark) for key in keys], dtype=np.int64)
        wholes, formulas = wholes_of(lines, least, 2 * length)
        wholes[common] = 0
        leave_out(lines, common, lengths)
        can_be_found = (wholes > 0) | have_runs(lines, lengths)
        checked = _counts(asked, of_questions, can_be_found)
        for name, of in checked.items():
            mine = owners == place[name]
            of["templates"] = int((templates + formulas + common)[mine].sum())
        return cls(length, checked, characters, *table_of_seeds(lines, owners, wholes, lengths, length))

    def save(self, path: Path) -> None:
        """Write a folder of .npy files and a JSON: the same bytes for the same texts in any order."""
        path.mkdir(parents=True)
        for name in _ARRAYS:
            np.save(path / f"{name}.npy", getattr(self, name))
        head = {"length": self.length, "checked": self.checked}
        (path / "overlaps.json").write_text(as_json(head), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Overlaps:
        """Read what `save` wrote, mapped into memory: processes that read one folder share its pages."""
        head = json.loads((path / "overlaps.json").read_text(encoding="utf-8"))
        # "c": numba compiles for writable arrays. Nothing is written, so no page is ever copied.
        arrays = (np.asarray(np.load(path / f"{name}.npy", mmap_mode="c")) for name in _ARRAYS)
        return cls(head["length"], head["checked"], *arrays)

    @classmethod
    def made_once(
        cls,
        folder: Path,
        texts: Iterable[tuple[str, str]],
        length: int,
        form: Callable[[str], str] | None = None,
    ) -> Overlaps:
        """The index in a folder. If it is not there yet, or damaged, it is made from the texts and saved, whole or not at
        all."""
        try:
            return cls.load(folder)
        except (OSError, ValueError, EOFError, KeyError, TypeError):
            if folder.exists():
                say(f"dedup: {folder} is damaged; made again")
        for left in (*partials_of(folder), folder):
            remove(left)
        partial = partial_of(folder)
        cls.of(texts, length, form).save(partial)
        replace(partial, folder)
        return cls.load(folder)

    def benchmarks(self, text: str) -> list[str]:
        """The sorted names of the benchmarks with a question that shares a run with the text, or is in it as a whole."""
        characters, _ = characters_of(text)
        found = self._found(characters, np.zeros(0, dtype=np.int32))
        return [name for name, hit in zip(sorted(self.checked), found, strict=True) if hit]

    def without(self, text: str) -> tuple[str, int]:
        """The text without the lines that make it share a run, and how many were removed; the rest shares no run.

        For a run, those lines are removed that are in it as a whole, or with as much as a run needs. If there is no such
        line, the line with the largest part of the run is removed. Lines are the parts between newlines; code or a table
        is one line.
        """
        lines, removed = units(text), 0
        gone, sizes = self._lines(lines)
        while gone:
            kept = [place for place in range(len(lines)) if place not in gone]
            joints = [i for i in range(1, len(kept)) if kept[i] - kept[i - 1] > 1]
            lines, sizes = [lines[place] for place in kept], sizes[kept]
            removed += len(gone)
            # What is left can form new runs only across the places of removed lines.
            gone = {
                start + place
                for start, end in _around_joints(joints, sizes, 2 * self.length)
                for place in self._lines(lines[start:end])[0]
            }
        return "\n".join(lines), removed

    def _lines(self, lines: list[str]) -> tuple[set[int], npt.NDArray[np.int64]]:
        """(the places of the lines to remove; for each line, how many of its characters are compared, or an empty array if
        no line is removed)."""
        characters, places = characters_of("\n".join(lines))
        cover = np.zeros(characters.size + 1, dtype=np.int32)
        if not self._found(characters, cover).any():
            return set(), np.zeros(0, dtype=np.int64)
        edges = np.diff(np.cumsum(cover) > 0, prepend=False).astype(np.int8)  # the last of cover's sums is 0
        begins, ends = np.flatnonzero(edges)[::2], np.flatnonzero(edges)[1::2]
        weights = np.concatenate([[0], np.cumsum(1 + (characters >= FULL))])
        # Line i has the characters borders[i] : borders[i + 1].
        borders = np.searchsorted(places, _sums(np.fromiter(map(len, lines), np.int64, len(lines)) + 1))
        gone: set[int] = set()
        for begin, end in zip(begins, ends, strict=True):
            first, last = (int(np.searchsorted(borders, at, "right")) - 1 for at in (begin, end - 1))
            shares = {
                line: int(weights[min(end, borders[line + 1])] - weights[max(begin, borders[line])])
                for line in range(first, last + 1)
            }
            needed = {line: int(weights[borders[line + 1]] - weights[borders[line]]) for line in shares}
            whole = {n for n, share in shares.items() if 0 < min(2 * self.length, needed[n]) <= share}
            gone |= whole or {max(shares, key=lambda n: (shares[n], -n))}
        return gone, np.diff(borders)

    def _found(self, characters: Characters, cover: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """uint8 [benchmarks]: which of them share a run. cover [characters + 1]: +1 where a run begins, -1 after its end."""
        found = np.zeros(len(self.checked), dtype=np.uint8)
        arrays = (self.characters, self.positions, self.owners, self.wholes, self.heads, self.bloom)
        kernels.scan(characters, *arrays, min(SEED, self.length), 2 * self.length, found, cover)
        return found


_ARRAYS = tuple(field.name for field in fields(Overlaps) if field.name not in ("length", "checked"))


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _sums(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64 [n + 1]: where each of n things, one after the other, begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)])


def _around_joints(joints: list[int], sizes: npt.NDArray[np.int64], reach: int) -> list[tuple[int, int]]:
    """Ranges of lines with `reach` characters on either side of each joint (a place between lines)."""
    # A letter at the end of a line may become a label, or no longer be one, when its neighbour changes.
    total = _sums(np.maximum(sizes - 2, 0))
    ranges: list[tuple[int, int]] = []
    for joint in joints:
        start = max(int(np.searchsorted(total, total[joint] - reach, "right")) - 1, 0)
        if ranges and start <= ranges[-1][1]:
            start = ranges.pop()[0]
        ranges.append((start, int(np.searchsorted(total, total[joint] + reach))))
    return ranges


def _least(benchmark: str) -> int:
    return MIN_OWN if benchmark == OWN else MIN_WHOLE


# --- questions and their blocks ---------------------------------------------------------------------------------------


class Key(NamedTuple):
    """A block in one of its forms; equal forms of equal blocks of one benchmark are one."""

    block: bytes  # digest of the block as it is given
    form: bytes  # digest of this form
    benchmark: str
    first: int  # characters of the first line


@dataclass
class Question:
    """A question; those of one benchmark with equal blocks are one, which was given `times` times."""

    benchmark: str
    digest: bytes
    blocks: tuple[Key, ...]
    too_short: bool
    times: int = 0


def _asked(
    texts: Iterable[tuple[str, str]], length: int, form: Callable[[str], str] | None
) -> tuple[list[Question], dict[Key, Characters]]:
    """(the different questions, the characters of their blocks in each form)."""
    asked: dict[tuple[Key, ...], Question] = {}
    found: dict[Key, Characters] = {}
    for benchmark, text in texts:
        blocks, longest = _blocks(benchmark, text, form)
        if (question := asked.get(key := tuple(blocks))) is None:
            found |= blocks
            digest = digest_of_text(characters_of(text)[0])
            question = Question(benchmark, digest, key, longest < 2 * min(length, _least(benchmark)))
            asked[key] = question
        question.times += 1
    return list(asked.values()), found


def _blocks(benchmark: str, text: str, form: Callable[[str], str] | None) -> tuple[dict[Key, Characters], int]:
    """(the blocks of a question in each form, the weight of the longest)."""
    found: dict[Key, Characters] = {}
    longest = 0
    for block in [text] if benchmark == OWN else text.split("\n\n"):
        given = characters_of(block)[0]
        longest = max(longest, weight(given))
        of_block = digest_of_text(given)
        for written in [block] if form is None or benchmark == OWN else [block, form(block)]:
            characters, places = characters_of(written)
            line = -1 if benchmark == OWN else written.find("\n", len(written) - len(written.lstrip()))
            first = characters.size if line < 0 else int(np.searchsorted(places, line))
            found.setdefault(Key(of_block, digest_of_text(characters), benchmark, first), characters)
    return found, longest


def _counts(
    asked: Iterable[Question], of_questions: Iterable[list[int]], can_be_found: npt.NDArray[np.bool_]
) -> dict[str, dict[str, Any]]:
    """By benchmark: how many questions there are, how many can be found, how many are too short; and their digest."""
    checked: dict[str, dict[str, Any]] = {}
    digests: dict[str, list[bytes]] = {}
    for question, blocks in zip(asked, of_questions, strict=True):
        of = checked.setdefault(question.benchmark, {"questions": 0, "findable": 0, "too_short": 0})
        of["questions"] += question.times
        of["findable"] += question.times * bool(can_be_found[blocks].any())
        of["too_short"] += question.times * question.too_short
        digests.setdefault(question.benchmark, []).append(question.digest)
    return {name: {**of, "sha256": digest_of_digests(digests[name])} for name, of in sorted(checked.items())}
