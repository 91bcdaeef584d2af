"""The seeds of an index: which pieces of the questions it looks for, and which pieces are left out.

A seed is a piece of SEED characters, whose hash is kept. Seeds are placed so that each run contains a whole one: with
hanzi one seed in length - 9 characters, with letters one in twice as many. Templates (the usual words of a benchmark's
questions) are left out, and so are seeds that find nothing more than another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from woodblock.decontamination import kernels
from woodblock.decontamination.kernels import CHARACTER, IN_TEMPLATE, SLOT_BITS
from woodblock.decontamination.normal_form import Characters, weight

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]
Marks = npt.NDArray[np.bool_]
Owners = npt.NDArray[np.uint16]  # the benchmark of a question, as a place in a list of names

SEED = 10  # characters; so many in a row are rare, so each place with an equal hash can be compared
TEMPLATE = 10  # different questions; what so many share is the usual words of a benchmark, and no question
COMMON = (
    50  # different questions; so many are never asked about one passage, so what they share is a template at any length
)
CROWD = 16  # if more seeds have one hash, those that are alike in all that is compared are kept only once


@dataclass(frozen=True)
class Texts:
    """Different texts in one array: text i is characters[starts[i] : starts[i] + sizes[i]].

    firsts: how many of a text's characters are in its first line. kinds: equal texts have equal numbers, ascending from 1.
    """

    characters: Characters
    starts: Integers
    sizes: Integers
    firsts: Integers
    kinds: Numbers

    def only(self, chosen: Marks) -> Texts:
        """Some of the texts, in the same array."""
        starts, sizes, firsts = self.starts[chosen], self.sizes[chosen], self.firsts[chosen]
        return Texts(self.characters, starts, sizes, firsts, self.kinds[chosen])

    def weights(self, sizes: Integers) -> Integers:
        """The weight of the first `sizes` characters of each text."""
        pairs = zip(self.starts, sizes, strict=True)
        return np.array([weight(self.characters[start : start + size]) for start, size in pairs], dtype=np.int64)


def table_of_seeds(
    texts: Texts, owners: Owners, wholes: Integers, lengths: Numbers, length: int
) -> tuple[Numbers, Owners, Numbers, Numbers, npt.NDArray[np.uint64]]:
    """positions, owners, wholes, heads and bloom of Overlaps. wholes [texts]: as `wholes_of` gives them.

    lengths [characters]: the lengths of the runs that start there.
    """
    seed = min(SEED, length)
    with_whole = np.flatnonzero(wholes)
    within_runs = kernels.seed_places(texts.starts, texts.sizes, lengths, seed)
    text = np.concatenate([with_whole, np.searchsorted(texts.starts, within_runs, "right") - 1])
    positions = np.concatenate([texts.starts[with_whole], within_runs]).astype(np.uint32)
    owners, whole = owners[text], np.where(np.arange(len(text)) < len(with_whole), wholes[text], 0).astype(np.uint32)
    bits = max(8, len(positions).bit_length())
    hashes = kernels.seed_hashes(texts.characters, positions, seed)
    slots = (hashes >> np.uint64(64 - bits)).astype(np.int64)
    kept = _not_alike(texts.characters, positions, slots, owners, whole, 2 * length - seed, seed)
    order = kept[np.argsort(hashes[kept], kind="stable")]
    heads = np.searchsorted(slots[order], np.arange(2**bits + 1)).astype(np.uint32)
    bloom = np.zeros(2 ** (bits - SLOT_BITS), dtype=np.uint64)
    kernels.fill(bloom, hashes[order])
    return positions[order], owners[order], whole[order], heads, bloom


def wholes_of(texts: Texts, least: Integers, wanted: int) -> tuple[Integers, Integers]:
    """(wholes, formulas) [texts]: how many characters of a text, from its start on, count as a whole; 0 for none.

    It is the first line, if that has at least the weight `least` but less than `wanted`, so that it has no run. Otherwise
    it is the text, under the same condition.
    formulas: 1 where the first line is left out because TEMPLATE different texts begin with it, or have nothing else.
    """
    wholes, formulas = np.zeros_like(texts.sizes), np.zeros_like(texts.sizes)
    weights, firsts = texts.weights(texts.sizes), texts.weights(texts.firsts)
    is_short = (firsts >= least) & (firsts < wanted)
    lines: dict[bytes, set[int]] = {}
    for i in np.flatnonzero(is_short).tolist():
        lines.setdefault(_line(texts, i), set()).add(int(texts.kinds[i]))
    for i in np.flatnonzero(is_short | ((weights >= least) & (weights < wanted))).tolist():
        if is_short[i] and len(lines[_line(texts, i)]) < TEMPLATE:
            wholes[i] = texts.firsts[i]
        else:
            formulas[i] = is_short[i]
            more = texts.firsts[i] < texts.sizes[i] and weights[i] < wanted
            wholes[i] = texts.sizes[i] if more else 0
    return wholes, formulas


def _line(texts: Texts, i: int) -> bytes:
    return (texts.characters[texts.starts[i] : texts.starts[i] + texts.firsts[i]] & CHARACTER).tobytes()


def _not_alike(
    characters: Characters,
    positions: Numbers,
    slots: Integers,
    owners: Owners,
    wholes: Numbers,
    reach: int,
    seed: int,
) -> Integers:
    """The places in `positions` of all seeds, without those in crowded slots that find nothing more than another one.

    Two seeds of one benchmark find the same if their characters agree as far as they are ever compared: `reach` to either
    side. Without this step, a text that is repeated a million times, or 啊啊啊啊…, would be compared a million times.
    """
    crowded = np.flatnonzero(np.bincount(slots)[slots] > CROWD) if len(slots) else np.zeros(0, dtype=np.int64)
    around = kernels.surroundings(characters, positions[crowded], reach, seed)
    order = np.lexsort((positions[crowded], around, wholes[crowded], owners[crowded]))
    ranked = crowded[order]
    alike = kernels.is_like_the_one_before(characters, positions[ranked], reach, seed) & (
        around[order][1:] == around[order][:-1]
    )
    alike &= (owners[ranked][1:] == owners[ranked][:-1]) & (wholes[ranked][1:] == wholes[ranked][:-1])
    return np.setdiff1d(np.arange(len(positions)), ranked[1:][alike])


def mark_templates(texts: Texts, wanted: int, is_public: Marks) -> tuple[Integers, Numbers]:
    """Set IN_TEMPLATE on the characters at which a template of weight `wanted` starts.

    is_public [texts]: whether a text is a benchmark's, and not a held-out document of the pipeline's own tasks.
    Returns ([texts]: how many templates start in each; [characters]: the length of the run that starts there, or 0).

    A template is a run that TEMPLATE or more texts share, but not within a shared run of twice the weight. So a passage is
    not a template, although it is in ten texts if ten questions are asked about it. But a run that COMMON or more texts of
    benchmarks share is an instruction, however long it is.
    """
    short, lengths = _in_many_texts(texts, wanted, TEMPLATE)
    if short.any():
        long, long_lengths = _in_many_texts(texts, 2 * wanted, TEMPLATE)
        common = np.zeros_like(short)
        if long.any():
            common, _ = _in_many_texts(texts.only(is_public), wanted, COMMON)
        kernels.leave_passages_out(short, lengths, long, long_lengths)
        short |= common
        texts.characters[short] |= IN_TEMPLATE
    # A text and the 0 after it are never empty, as reduceat needs.
    counts = np.add.reduceat(short, texts.starts, dtype=np.int64) if len(texts.starts) else np.zeros(0, np.int64)
    return counts, lengths


def common_blocks(texts: Texts, of_questions: Iterable[Iterable[int]], wanted: int) -> Marks:
    """[texts]: whether a block is a template: the same instruction or category beside TEMPLATE different questions.

    of_questions: the texts of each question. A block of twice the weight `wanted` is a passage that many questions are
    asked about, unless COMMON or more questions have it.
    """
    held = np.zeros(len(texts.starts), np.int64)
    for blocks in of_questions:
        held[list(set(blocks))] += 1
    is_passage = texts.weights(texts.sizes) >= 2 * wanted
    return np.asarray((held >= TEMPLATE) & (~is_passage | (held >= COMMON)), np.bool_)


def leave_out(texts: Texts, left_out: Marks, lengths: Numbers) -> None:
    """Set the lengths of all runs in some texts to 0, so that nothing of them is looked for."""
    for start, size in zip(texts.starts[left_out], texts.sizes[left_out], strict=True):
        lengths[start : start + size] = 0


def have_runs(texts: Texts, lengths: Numbers) -> Marks:
    """[texts]: whether a run starts in each that is no template."""
    if not len(texts.starts):
        return np.zeros(0, dtype=np.bool_)
    looked_for = (lengths > 0) & (texts.characters & IN_TEMPLATE == 0)
    found: Marks = np.logical_or.reduceat(looked_for, texts.starts)
    return found


def _in_many_texts(texts: Texts, wanted: int, fewest: int) -> tuple[Marks, Numbers]:
    """[characters]: whether the run of weight `wanted` that starts here is in `fewest` texts; and its length (0: none)."""
    hashes, lengths = kernels.shortest_runs(texts.characters, texts.starts, texts.sizes, wanted)
    bits = max(8, int(np.count_nonzero(lengths)).bit_length() - 1)
    last, number = np.zeros(2**bits, dtype=np.uint32), np.zeros(2**bits, dtype=np.uint8)
    kernels.count_texts(hashes, lengths, texts.starts, texts.sizes, texts.kinds, np.uint64(64 - bits), last, number)
    places = kernels.frequent_runs(hashes, lengths, np.uint64(64 - bits), number, fewest)
    del last, number
    places = places[np.argsort(hashes[places], kind="stable")]
    kinds = texts.kinds[np.searchsorted(texts.starts, places, "right") - 1]
    shared = np.zeros(len(texts.characters), dtype=np.bool_)
    kernels.confirm_shared(texts.characters, places, hashes, lengths, kinds, fewest, shared)
    return shared, lengths
