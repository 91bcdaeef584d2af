"""Decontamination: which texts share a long run of characters with a benchmark's question, exactly.

A question that stands in the training text measures memory. So every training text is compared with every question
that the pipeline asks, and goes where the two share a run of `length` characters (Brown et al. 2020, Language Models
are Few-Shot Learners, appendix C, take 13 words; Chinese has no words to count).

What is compared are letters, digits and hanzi alone, in compatibility form and without case, so that another
punctuation, width or line break hides nothing. A hanzi says more than a letter: letters and digits of alphabets count
half, and 64 of them are about those 13 words.

Of the questions a hash is kept of SEED characters here and there, so that each run holds such a seed whole: of hanzi one
in length - 9 characters, of letters one in twice that. Over a text the same hash rolls from character to character
(Rabin & Karp 1987).
A hash decides nothing: where it is found, the characters themselves are compared, as far as they agree in both
directions. So no text is dropped by a collision, and none is missed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from woodblock.base.errors import UserError

SEED = 10  # characters; so many in a row are rare enough that what they lead to is looked at one by one
MIN_WHOLE = 10  # as `length` counts; what is shorter (我国的首都是) is a phrase, and would cost texts that never saw it
MIN_OWN = 20  # the same for OWN: many laws have 本法自公布之日起施行, and questions.MIN_UNIT asks for longer articles
TEMPLATE = 10  # different questions; what so many share is how a benchmark puts its questions, and none of them
CROWD = 16  # seeds of one hash, from which on those that are alike in all that is compared are kept once
OWN = "validation"  # the benchmark of the pipeline's own tasks: held-out documents and held-out articles

_POINTS = 0x110000
_FULL = 0x2E80  # the first code point of the blocks of hanzi and kana; before them stand the alphabets
_CHARACTER = np.uint32(0x1FFFFF)
_IN_TEMPLATE = np.uint32(0x80000000)  # of a stored character: the run of `length` that starts here is a template
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_WORDS = 2  # a Bloom filter of 64 bits for 2**2 slots of the table, 3 bits set a seed: 1 % of what is not there passes


# ------------------------------------------------------------------------------------------------ normalisation


@functools.cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each code point is compared as: (target [0x110000] uint32, starts uint32, expansions uint32).

    target: 0, nothing; under 0x110000, that character; else 0x110000 + i, the characters expansions[starts[i] :
    starts[i + 1]].
    """
    last = 0x40000  # beyond, there is nothing but tags, variation selectors and private use
    points = [chr(point) for point in range(1, last)]
    # NUL between them keeps neighbours from composing or changing places; each stays by itself.
    decomposed = unicodedata.normalize("NFKD", "\0".join(points).encode("utf-8", "replace").decode("utf-8"))
    folded = unicodedata.normalize("NFKD", decomposed.casefold()).split("\0")
    target, starts, expansions = np.zeros(_POINTS, dtype=np.uint32), [0], []
    for point, forms in enumerate(folded, start=1):
        kept = forms if len(forms) == 1 and forms.isalnum() else "".join(filter(str.isalnum, forms))
        if len(kept) == 1:
            target[point] = ord(kept)
        elif kept:
            target[point] = _POINTS + len(starts) - 1
            expansions += map(ord, kept)
            starts.append(len(expansions))
    target[0xD800:0xE000] = 0  # halves of a surrogate pair, which no text should hold
    return target, np.array(starts, dtype=np.uint32), np.array(expansions, dtype=np.uint32)


def _normalised(text: str) -> tuple[np.ndarray, np.ndarray]:
    """A text as it is compared: (characters uint32, for each its place in the text uint32)."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return _translate(codes, *_table())


def normalised(text: str) -> str:
    """A text as it is compared: letters, digits and hanzi of its NFKD, case folded.

    NFKD and not NFKC: the two are one form to compare, as accents and other marks are left out, and a decomposition
    can be looked up character by character. Traditional characters stay. A letter of a to z that stands alone between
    hanzi goes: it is the label of a choice for the most part (A. 土地 B. 资金), which some write and others do not.

    >>> normalised("Ｗｏｏｄ－Ｂｌｏｃｋ，雕版！ ½ Å")
    'woodblock雕版12a'
    >>> normalised("维生素有：A.脂溶的；Ｂ、水溶的")
    '维生素有脂溶的水溶的'
    """
    return _normalised(text)[0].tobytes().decode("utf-32-le")


@njit(cache=True, nogil=True)
def _translate(codes, target, starts, expansions):
    size = 0
    for code in codes:
        goal = target[code]
        if goal >= 0x110000:
            size += starts[goal - 0x110000 + 1] - starts[goal - 0x110000]
        elif goal:
            size += 1
    characters, places = np.empty(size, np.uint32), np.empty(size, np.uint32)
    n = 0
    for place in range(codes.size):
        goal = target[codes[place]]
        if goal >= 0x110000:
            for i in range(starts[goal - 0x110000], starts[goal - 0x110000 + 1]):
                characters[n], places[n] = expansions[i], place
                n += 1
        elif goal:
            characters[n], places[n] = goal, place
            n += 1
    n, before = 0, np.uint32(_FULL)
    for i in range(size):
        character = characters[i]
        is_letter = 0x61 <= character <= 0x7A
        if not (is_letter and before >= _FULL and (i + 1 == size or characters[i + 1] >= _FULL)):
            characters[n], places[n] = character, places[i]
            n += 1
        before = character
    return characters[:n], places[:n]


# ------------------------------------------------------------------------------------------------ the index


@dataclass(frozen=True)
class Overlaps:
    """All runs of a set of questions, to be looked for in texts. Made by `of`, or by `load` from what `save` wrote.

    In memory it takes 4 bytes a character of the questions and 16 to 24 a seed: about 5 bytes a character at length 32
    (measured: 4.9 of 50 million hanzi). `of` needs 25 to 40 for a while.
    """

    length: int
    checked: dict[str, dict[str, Any]]  # by benchmark: questions, sha256, too_short, templates (see `record`)
    characters: np.ndarray  # uint32: the questions one after the other, a 0 before, between and behind them
    positions: np.ndarray  # uint32 [seeds]: where in `characters` each seed stands, in the order of their slots
    owners: np.ndarray  # uint16 [seeds]: whose question, as a place in sorted(checked)
    wholes: np.ndarray  # uint32 [seeds]: how many characters from here on count as a whole; mostly 0, none
    heads: np.ndarray  # uint32 [2**bits + 1]: the seeds of slot i are heads[i] : heads[i + 1]
    bloom: np.ndarray  # uint64 [2**(bits - 2)]: three bits for each hash, which say at once that most are not here

    @classmethod
    def of(cls, texts: Iterable[tuple[str, str]], length: int) -> Overlaps:
        """Index texts, (benchmark, text) pairs in any order, for runs of `length` hanzi, or twice as many letters.

        A text that is shorter is looked for as a whole. So is the first line of a text: it is what is asked, and the
        lines that follow are choices and answers, which others may put in another order or leave out. (The first line
        of the documents of OWN is a title, and is not.) What is shorter than MIN_WHOLE is not looked for; a text
        without anything longer is counted as too short to check. (MIN_OWN takes its place for OWN.)

        Runs that stand in TEMPLATE different texts or more are how questions are put (下列关于…的说法中，正确的是) and
        are not looked for, unless they are part of a passage, shared by as many at twice the length. Nor is a first
        line that so many share.

        Raises UserError for more than 65,535 benchmarks or 4,294,967,295 characters.
        """
        if length < 1:
            raise ValueError(f"length: {length}; runs have a character or more")
        counts: dict[str, dict[str, int]] = {}
        found: dict[tuple[bytes, str, int], np.ndarray] = {}  # by digest, benchmark, and characters of the first line
        for benchmark, text in texts:
            characters, places = _normalised(text)
            of = counts.setdefault(benchmark, {"questions": 0, "too_short": 0})
            of["questions"] += 1
            of["too_short"] += _weight(characters) < 2 * min(length, _least(benchmark))
            line = -1 if benchmark == OWN else text.find("\n", len(text) - len(text.lstrip()))
            first = characters.size if line < 0 else int(np.searchsorted(places, line))
            found.setdefault((_digest(characters), benchmark, first), characters)
        keys = sorted(found)  # equal texts come one after the other, and the order given is forgotten
        names = sorted(counts)
        digests: dict[str, list[bytes]] = {name: [] for name in names}
        for digest, owner, _ in keys:
            digests[owner].append(digest)
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
        owners = np.array([place[owner] for _, owner, _ in keys], dtype=np.uint16)
        is_new = np.array([i == 0 or keys[i][0] != keys[i - 1][0] for i in range(len(keys))], dtype=bool)
        firsts = np.array([first for *_, first in keys], dtype=np.int64)
        lines = _Texts(characters, starts, sizes, firsts, np.cumsum(is_new).astype(np.uint32))
        templates, lengths = _mark_templates(lines, 2 * length)
        least = np.array([2 * _least(owner) for _, owner, _ in keys], dtype=np.int64)
        wholes, formulas = _wholes(lines, least, 2 * length)
        checked = {
            name: {
                **counts[name],
                "sha256": _digest_of_all(digests[name]),
                "templates": int((templates + formulas)[owners == place[name]].sum()),
            }
            for name in names
        }
        return cls(length, checked, characters, *_index(lines, owners, wholes, lengths, length))

    def save(self, path: Path) -> None:
        """Write a folder of .npy files and a JSON, the same bytes for the same texts in whatever order they came."""
        path.mkdir(parents=True)
        for name in _ARRAYS:
            np.save(path / f"{name}.npy", getattr(self, name))
        head = {"length": self.length, "checked": self.checked}
        (path / "overlaps.json").write_text(_json(head), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Overlaps:
        """Read what `save` wrote, mapped into memory: processes that read one folder share its pages."""
        head = json.loads((path / "overlaps.json").read_text(encoding="utf-8"))
        # "c": numba compiles for arrays that can be written; nothing is, so that no page is ever copied.
        arrays = (np.asarray(np.load(path / f"{name}.npy", mmap_mode="c")) for name in _ARRAYS)
        return cls(head["length"], head["checked"], *arrays)

    def benchmarks(self, text: str) -> list[str]:
        """The names, sorted, of the benchmarks of which a question shares a run with the text, or stands in it whole."""
        characters, _ = _normalised(text)
        found = self._found(characters, np.zeros(0, dtype=np.int32))
        return [name for name, hit in zip(sorted(self.checked), found, strict=True) if hit]

    def without(self, text: str) -> tuple[str, int]:
        """The text without those of its lines that make it share a run, and how many went; the rest shares none.

        A run takes with it the lines that lie in it whole or with as much as a run needs. Of a run that lies across
        lines so that none does, the line with most of it goes. Lines are what stands between newlines.
        """
        lines, removed = text.split("\n"), 0
        gone, sizes = self._lines(lines)
        while gone:
            kept = [place for place in range(len(lines)) if place not in gone]
            joints = [i for i in range(1, len(kept)) if kept[i] - kept[i - 1] > 1]
            lines, sizes = [lines[place] for place in kept], sizes[kept]
            removed += len(gone)
            # What is left can only form runs anew over where lines stood.
            gone = {
                start + place
                for start, end in _around_joints(joints, sizes, 2 * self.length)
                for place in self._lines(lines[start:end])[0]
            }
        return "\n".join(lines), removed

    def _lines(self, lines: list[str]) -> tuple[set[int], np.ndarray]:
        """(the places of the lines that go, how many characters each of the lines is compared by; empty if none goes)."""
        characters, places = _normalised("\n".join(lines))
        cover = np.zeros(characters.size + 1, dtype=np.int32)
        if not self._found(characters, cover).any():
            return set(), np.zeros(0, dtype=np.int64)
        edges = np.diff(np.cumsum(cover) > 0, prepend=False).astype(np.int8)  # the last of cover's sums is 0
        begins, ends = np.flatnonzero(edges)[::2], np.flatnonzero(edges)[1::2]
        weights = np.concatenate([[0], np.cumsum(1 + (characters >= _FULL))])
        # Line i holds the characters borders[i] : borders[i + 1].
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

    def _found(self, characters: np.ndarray, cover: np.ndarray) -> np.ndarray:
        """uint8 [benchmarks]: of which there is a run. cover [characters + 1]: +1 where one begins, -1 behind it."""
        found = np.zeros(len(self.checked), dtype=np.uint8)
        arrays = (self.characters, self.positions, self.owners, self.wholes, self.heads, self.bloom)
        _scan(characters, *arrays, min(SEED, self.length), 2 * self.length, found, cover)
        return found


_ARRAYS = tuple(field.name for field in fields(Overlaps) if field.name not in ("length", "checked"))


@dataclass(frozen=True)
class _Texts:
    """Different texts in one array: text i is characters[starts[i] : starts[i] + sizes[i]].

    firsts: how many of its characters are in its first line. kinds: the same number for equal texts, ascending from 1.
    """

    characters: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    firsts: np.ndarray
    kinds: np.ndarray

    def weights(self, sizes: np.ndarray) -> np.ndarray:
        """Of the first `sizes` characters of each text."""
        pairs = zip(self.starts, sizes, strict=True)
        return np.array([_weight(self.characters[start : start + size]) for start, size in pairs], dtype=np.int64)


def _sums(sizes: np.ndarray) -> np.ndarray:
    """int64 [n + 1]: where each of n things begins that lie one after the other, and the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes)])


def _around_joints(joints: list[int], sizes: np.ndarray, reach: int) -> list[tuple[int, int]]:
    """Ranges of lines that hold `reach` characters on either side of each joint (a place between lines)."""
    # A letter at either end of a line may be a label or none, as its neighbour changes.
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


def _weight(characters: np.ndarray) -> int:
    """2 for each hanzi and 1 for each letter or digit: twice what `length` counts."""
    return characters.size + int(np.count_nonzero((characters & _CHARACTER) >= _FULL))


def _index(
    texts: _Texts, owners: np.ndarray, wholes: np.ndarray, lengths: np.ndarray, length: int
) -> tuple[np.ndarray, ...]:
    """positions, owners, wholes, heads and bloom of Overlaps. wholes [texts]: as `_wholes` has them.

    lengths [characters]: of the runs that start there.
    """
    seed = min(SEED, length)
    with_whole = np.flatnonzero(wholes)
    within_runs = _seeds(texts.starts, texts.sizes, lengths, seed)
    text = np.concatenate([with_whole, np.searchsorted(texts.starts, within_runs, "right") - 1])
    positions = np.concatenate([texts.starts[with_whole], within_runs]).astype(np.uint32)
    owners, wholes = owners[text], np.where(np.arange(len(text)) < len(with_whole), wholes[text], 0).astype(np.uint32)
    bits = max(8, len(positions).bit_length())
    hashes = _hashes(texts.characters, positions, seed)
    slots = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    kept = _not_alike(texts.characters, positions, slots, owners, wholes, 2 * length - seed, seed)
    order = kept[np.argsort(hashes[kept], kind="stable")]
    heads = np.searchsorted(slots[order], np.arange(2**bits + 1)).astype(np.uint32)
    bloom = np.zeros(2 ** (bits - _WORDS), dtype=np.uint64)
    _fill(bloom, hashes[order])
    return positions[order], owners[order], wholes[order], heads, bloom


def _wholes(texts: _Texts, least: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """(wholes, formulas), int64 [texts]: how much of a text from its start on counts as a whole, in characters or 0.

    That is its first line, if that has weight `least` but runs of weight `wanted` cannot be looked for in it; and else
    the text, if so with that.
    formulas: 1 where the first line is left out because TEMPLATE different texts begin so.
    """
    wholes, formulas = np.zeros_like(texts.sizes), np.zeros_like(texts.sizes)
    weights, firsts = texts.weights(texts.sizes), texts.weights(texts.firsts)
    is_short = (firsts >= least) & (firsts < wanted)
    lines: dict[bytes, set[int]] = {}
    for i in np.flatnonzero(is_short):
        lines.setdefault(_line(texts, i), set()).add(int(texts.kinds[i]))
    for i in np.flatnonzero(is_short | ((weights >= least) & (weights < wanted))):
        if is_short[i] and (texts.firsts[i] == texts.sizes[i] or len(lines[_line(texts, i)]) < TEMPLATE):
            wholes[i] = texts.firsts[i]
        else:
            formulas[i] = is_short[i]
            wholes[i] = texts.sizes[i] if weights[i] < wanted else 0
    return wholes, formulas


def _line(texts: _Texts, i: int) -> bytes:
    return (texts.characters[texts.starts[i] : texts.starts[i] + texts.firsts[i]] & _CHARACTER).tobytes()


def _not_alike(
    characters: np.ndarray,
    positions: np.ndarray,
    slots: np.ndarray,
    owners: np.ndarray,
    wholes: np.ndarray,
    reach: int,
    seed: int,
) -> np.ndarray:
    """The places in `positions` of all seeds but those of crowded slots that find nothing which another does not.

    Two seeds of one benchmark whose characters agree as far as they are ever compared, `reach` to either side, find the
    same. Without this, one text repeated a million times, or 啊啊啊啊…, would be compared a million times over.
    """
    crowded = np.flatnonzero(np.bincount(slots)[slots] > CROWD) if len(slots) else np.zeros(0, dtype=np.int64)
    around = _around(characters, positions[crowded], reach, seed)
    order = np.lexsort((positions[crowded], around, wholes[crowded], owners[crowded]))
    ranked = crowded[order]
    alike = _alike(characters, positions[ranked], reach, seed) & (around[order][1:] == around[order][:-1])
    alike &= (owners[ranked][1:] == owners[ranked][:-1]) & (wholes[ranked][1:] == wholes[ranked][:-1])
    return np.setdiff1d(np.arange(len(positions)), ranked[1:][alike])


def _mark_templates(texts: _Texts, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Set _IN_TEMPLATE on the characters at which a template of weight `wanted` starts.

    Returns (int64 [texts]: how many; uint32 [characters]: the length of the run that starts there, 0 for none).

    A passage that ten questions are asked about stands in ten texts too, and is no template: that is a run which
    TEMPLATE texts or more share, but which is not within one of twice the weight that they share.
    """
    short, lengths = _shared(texts, wanted)
    if short.any():
        long, long_lengths = _shared(texts, 2 * wanted)
        _leave_passages_out(short, lengths, long, long_lengths)
        texts.characters[short] |= _IN_TEMPLATE
    # A text and the 0 behind it are one piece or more, as reduceat needs.
    counts = np.add.reduceat(short, texts.starts, dtype=np.int64) if len(texts.starts) else np.zeros(0, np.int64)
    return counts, lengths


def _shared(texts: _Texts, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """[characters]: whether the run of weight `wanted` that starts here is in TEMPLATE texts; how long it is (0: none)."""
    hashes, lengths = _runs(texts.characters, texts.starts, texts.sizes, wanted)
    bits = max(8, int(np.count_nonzero(lengths)).bit_length() - 1)
    last, number = np.zeros(2**bits, dtype=np.uint32), np.zeros(2**bits, dtype=np.uint8)
    _count(hashes, lengths, texts.starts, texts.sizes, texts.kinds, np.uint64(64 - bits), last, number)
    places = _frequent(hashes, lengths, np.uint64(64 - bits), number)
    del last, number
    places = places[np.argsort(hashes[places], kind="stable")]
    kinds = texts.kinds[np.searchsorted(texts.starts, places, "right") - 1]
    shared = np.zeros(len(texts.characters), dtype=np.bool_)
    _confirm(texts.characters, places, hashes, lengths, kinds, shared)
    return shared, lengths


# ------------------------------------------------------------------------------------------------ the gate


def own_texts(
    validation: Iterable[Mapping[str, Any]], documents: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """What the pipeline's own tasks ask about, as pairs for `Overlaps.of`: held-out documents, held-out articles.

    validation: rows of data/dedup/validation (text); documents: rows of data/dedup/documents (text, split). The stage
    dedup and the stage benchmark both take it from here, so that they speak of the same texts.
    """
    yield from ((OWN, row["text"]) for row in validation)
    yield from ((OWN, row["text"]) for row in documents if row["split"] == "validation")


def fingerprint(texts: Iterable[str]) -> str:
    """sha256 over the sorted sha256 of the different normalised texts: the same for the same questions in any order."""
    return _digest_of_all(_digest(_normalised(text)[0]) for text in texts)


def record(checks: Iterable[Overlaps], dropped: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What was checked, as it stands in data/dedup/decontamination.json, which the stage benchmark asks.

    checks: every index that all training text (pretraining, instructions, articles) was compared with. dropped: by
    benchmark, what went for it by role ({"cmmlu": {"documents": 3, "conversations": 1}}); a benchmark for which
    nothing went may be left out.

    {"length": 32, "benchmarks": {"cmmlu": {"questions": 11917, "sha256": …, "too_short": 96, "templates": 40,
    "dropped": {…}}}}: of each benchmark the number of its questions, the `fingerprint` of their texts, how many are
    too short to be checked, and at how many places of its questions a run starts that was
    taken for a template.

    Raises UserError where two checks speak of one benchmark (a source of download.benchmarks called validation), and
    ValueError where they are of different lengths or where something was dropped for a benchmark not checked.
    """
    checks = list(checks)
    if len({check.length for check in checks}) != 1:
        raise ValueError("checks of one length are needed, and one at least")
    benchmarks: dict[str, Any] = {}
    for check in checks:
        if twice := sorted(benchmarks.keys() & check.checked.keys()):
            raise UserError(f"download.benchmarks: {twice[0]} is checked twice; give the source another name")
        benchmarks |= {name: {**of, "dropped": dict(dropped.get(name, {}))} for name, of in check.checked.items()}
    if unknown := sorted(set(dropped) - set(benchmarks)):
        raise ValueError(f"texts were dropped for {unknown[0]}, which was not checked")
    return {"length": checks[0].length, "benchmarks": benchmarks}


def write(path: Path, recorded: Mapping[str, Any]) -> None:
    """Write a `record` as JSON, sorted and indented."""
    path.write_text(_json(recorded), encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote. Raises UserError for a file that is no record."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        if recorded["length"] >= 1 and all(of["sha256"] for of in recorded["benchmarks"].values()):
            return recorded
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UserError(f"{path}: no record of a decontamination; run dedup again, or dvc checkout {path}")


def is_clean(recorded: Mapping[str, Any], benchmark: str, texts: Iterable[str]) -> bool:
    """Whether the training text was compared with the very texts, all of them and no others, under this name."""
    of = recorded["benchmarks"].get(benchmark)
    return of is not None and of["sha256"] == fingerprint(texts)


def _digest(characters: np.ndarray) -> bytes:
    return hashlib.sha256(characters.astype("<u4").tobytes()).digest()


def _digest_of_all(digests: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(set(digests)))).hexdigest()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


# ------------------------------------------------------------------------------------------------ kernels


@njit(cache=True, nogil=True, inline="always")
def _power(length):
    """_BASE to the power of length - 1: what the first of `length` characters weighs in their hash."""
    power = np.uint64(1)
    for _ in range(length - 1):
        power *= _BASE
    return power


@njit(cache=True, nogil=True, inline="always")
def _mix(code):
    """A polynomial's value with all of its bits spread over the upper ones, by which the tables are addressed."""
    return (code ^ (code >> np.uint64(29))) * _MIX


@njit(cache=True, nogil=True, inline="always")
def _bits(mixed):
    """The three bits of a hash in its word of the Bloom filter (of blocks; Putze, Sanders & Singler 2007)."""
    bits = np.uint64(1) << (mixed & np.uint64(63))
    bits |= np.uint64(1) << (mixed >> np.uint64(6) & np.uint64(63))
    return bits | np.uint64(1) << (mixed >> np.uint64(12) & np.uint64(63))


@njit(cache=True, nogil=True, inline="always")
def _shift(size):
    """By how much a hash is shifted right to be an index under `size`, a power of two."""
    shift = 64
    while size > 1:
        shift -= 1
        size >>= 1
    return np.uint64(shift)


@njit(cache=True, nogil=True, inline="always")
def _half(character):
    """A character's weight, in halves of what `length` counts."""
    return 2 if character >= _FULL else 1


@njit(cache=True, nogil=True)
def _scan(text, characters, positions, owners, wholes, heads, bloom, seed, wanted, found, cover):
    """Look for all seeds in a text; mark the benchmarks found, and, where cover has elements, the runs."""
    shift, first_weight, code = _shift(bloom.size), _power(seed), np.uint64(0)
    for i in range(text.size):
        if i >= seed:
            code -= np.uint64(text[i - seed]) * first_weight
        code = code * _BASE + np.uint64(text[i])
        if i < seed - 1:
            continue
        mixed = _mix(code)
        bits = _bits(mixed)
        if bloom[mixed >> shift] & bits != bits:
            continue
        at, slot, is_covered = i - seed + 1, mixed >> (shift - np.uint64(_WORDS)), cover.size == 0
        for j in range(heads[slot], heads[slot + np.uint64(1)]):
            if not (is_covered and found[owners[j]]):
                place = np.int64(positions[j])
                runs, most = _compare(text, at, characters, place, seed, np.int64(wholes[j]), wanted, cover)
                if runs:
                    found[owners[j]] = 1
                is_covered |= runs == most


@njit(cache=True, nogil=True)
def _compare(text, at, characters, place, seed, whole, wanted, cover):
    """(runs that text at `at` and question at `place` share around their seed, the most there can be); marks cover."""
    most = wanted - seed + 1
    right = 0
    while right < wanted and at + right < text.size and characters[place + right] & _CHARACTER == text[at + right]:
        right += 1
    if right < seed:
        return 0, most
    left, reach, runs = 0, wanted - seed, 0
    # A text holds no 0, which stands on both sides of every question.
    while left < reach and at > left and characters[place - left - 1] & _CHARACTER == text[at - left - 1]:
        left += 1
    weight, end = 0, at - left
    for begin in range(at - left, at + 1 if 2 * (left + right) >= wanted else at - left):
        while weight < wanted and end < at + right:
            weight += _half(text[end])
            end += 1
        if weight < wanted:
            break
        if not characters[place + begin - at] & _IN_TEMPLATE:
            runs += 1
            _mark(cover, begin, end)
        weight -= _half(text[begin])
    if whole and right >= whole:
        runs = max(runs, 1)
        _mark(cover, at, at + whole)
    return runs, most


@njit(cache=True, nogil=True, inline="always")
def _mark(cover, begin, end):
    if cover.size:
        cover[begin] += 1
        cover[end] -= 1


@njit(cache=True, nogil=True)
def _seeds(starts, sizes, lengths, seed):
    """int64: places of seeds such that every run holds one whole, each as far behind the one before it as can be."""
    places = np.empty(0, np.int64)
    for turn in range(2):  # count, then keep
        n = 0
        for text in range(starts.size):
            begin = starts[text]
            while begin < starts[text] + sizes[text] and lengths[begin]:
                # The run from here on ends first of those that the seeds so far are not within.
                place = begin + np.int64(lengths[begin]) - seed
                if turn == 1:
                    places[n] = place
                n += 1
                begin = place + 1
        if turn == 0:
            places = np.empty(n, np.int64)
    return places


@njit(cache=True, nogil=True)
def _hashes(characters, positions, seed):
    """uint64 [positions]: the hash of each seed, the same that _scan computes."""
    hashes = np.empty(positions.size, np.uint64)
    for i in range(positions.size):
        code = np.uint64(0)
        for j in range(seed):
            code = code * _BASE + np.uint64(characters[positions[i] + j] & _CHARACTER)
        hashes[i] = _mix(code)
    return hashes


@njit(cache=True, nogil=True)
def _fill(bloom, hashes):
    shift = _shift(bloom.size)
    for mixed in hashes:
        bloom[mixed >> shift] |= _bits(mixed)


@njit(cache=True, nogil=True)
def _around(characters, positions, reach, seed):
    """uint64 [positions]: a hash of a seed and what stands `reach` characters to either side, marks included."""
    hashes = np.empty(positions.size, np.uint64)
    for i in range(positions.size):
        code, place = np.uint64(1), np.int64(positions[i])
        for j in range(1, reach + 1):
            character = characters[place - j]
            code = (code * _BASE) ^ np.uint64(character) ^ (code >> np.uint64(31))
            if character == 0:
                break
        for j in range(reach + seed):
            character = characters[place + j]
            code = (code * _BASE) ^ np.uint64(character) ^ (code >> np.uint64(31))
            if character == 0:
                break
        hashes[i] = code
    return hashes


@njit(cache=True, nogil=True)
def _alike(characters, positions, reach, seed):
    """bool [positions - 1]: whether a seed's characters, `reach` to either side, are those of the one before it."""
    alike = np.ones(max(positions.size - 1, 0), np.bool_)
    for i in range(1, positions.size):
        one, other = np.int64(positions[i - 1]), np.int64(positions[i])
        for step, far in ((-1, reach), (1, reach + seed - 1)):
            for j in range(far + 1):
                character = characters[one + step * j]
                if character != characters[other + step * j]:
                    alike[i - 1] = False
                if character == 0 or not alike[i - 1]:
                    break
    return alike


@njit(cache=True, nogil=True)
def _runs(characters, starts, sizes, wanted):
    """(hashes uint64, lengths uint32) [characters] of the shortest runs of weight `wanted`; length 0 where there is none.

    A run starts at its character, lies in one text and has at most `wanted` characters.
    """
    hashes, lengths = np.zeros(characters.size, np.uint64), np.zeros(characters.size, np.uint32)
    powers = np.ones(wanted + 1, np.uint64)
    for i in range(wanted):
        powers[i + 1] = powers[i] * _BASE
    for text in range(starts.size):
        code, weight, end, stop = np.uint64(0), 0, starts[text], starts[text] + sizes[text]
        for begin in range(starts[text], stop):
            while weight < wanted and end < stop:
                code = code * _BASE + np.uint64(characters[end])
                weight += _half(characters[end])
                end += 1
            if weight < wanted:
                break
            hashes[begin], lengths[begin] = _mix(code), end - begin
            code -= np.uint64(characters[begin]) * powers[end - begin - 1]
            weight -= _half(characters[begin])
    return hashes, lengths


@njit(cache=True, nogil=True)
def _count(hashes, lengths, starts, sizes, kinds, shift, last, number):
    """Into number [slots]: how many different texts hold a run with a hash of this slot, up to 255."""
    for text in range(starts.size):
        for place in range(starts[text], starts[text] + sizes[text]):
            slot = hashes[place] >> shift
            if lengths[place] and last[slot] != kinds[text]:
                last[slot] = kinds[text]
                number[slot] = min(number[slot] + 1, 255)


@njit(cache=True, nogil=True)
def _frequent(hashes, lengths, shift, number):
    """int64: the places of the runs whose slot has TEMPLATE texts or more, ascending."""
    places = np.empty(0, np.int64)
    for turn in range(2):  # count, then keep
        n = 0
        for place in range(hashes.size):
            if lengths[place] and number[hashes[place] >> shift] >= TEMPLATE:
                if turn == 1:
                    places[n] = place
                n += 1
        if turn == 0:
            places = np.empty(n, np.int64)
    return places


@njit(cache=True, nogil=True)
def _leave_passages_out(short, short_lengths, long, long_lengths):
    """Unset in short the runs that lie within one of long."""
    reach = 0
    for place in range(short.size):
        if long[place]:
            reach = max(reach, place + np.int64(long_lengths[place]))
        if short[place] and place + np.int64(short_lengths[place]) <= reach:
            short[place] = False


@njit(cache=True, nogil=True)
def _confirm(characters, places, hashes, lengths, kinds, shared):
    """Set shared at those runs that are in TEMPLATE different texts or more. places: by hash, then ascending.

    Of each hash, runs equal to its first are counted and done; what is left is another run of the same hash.
    """
    done = np.zeros(places.size, np.bool_)
    for first in range(places.size):
        if done[first]:
            continue
        different, before, i, length = 0, np.int64(-1), first, lengths[places[first]]
        equal = np.zeros(0, np.int64)
        for turn in range(2):  # count, then keep
            n, i = 0, first
            while i < places.size and hashes[places[i]] == hashes[places[first]]:
                same = not done[i] and lengths[places[i]] == length
                j = 0
                while same and j < length:
                    same = characters[places[first] + j] == characters[places[i] + j]
                    j += 1
                if same:
                    if turn == 0 and kinds[i] != before:
                        different += 1
                        before = np.int64(kinds[i])
                    if turn == 1:
                        equal[n] = i
                    n += 1
                i += 1
            if turn == 0:
                equal = np.empty(n, np.int64)
        for i in equal:
            done[i] = True
            shared[places[i]] = different >= TEMPLATE
