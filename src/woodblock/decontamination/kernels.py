"""Kernels: the compiled loops of decontamination, over characters as numbers.

All are in one file with the constants that they read: numba's cache does not notice a change in another file.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Characters = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.uint32]  # places, lengths
Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Marks = npt.NDArray[np.bool_]

FULL = 0x2E80  # the first code point of the blocks of hanzi and kana; the alphabets are before it
POINTS = 0x110000  # code points; in the table of the normal form, numbers from here on stand for several characters
CHARACTER = np.uint32(0x1FFFFF)  # the bits of a stored character that are the character
IN_TEMPLATE = np.uint32(0x80000000)  # the bit that says: the run of `length` that starts here is a template
# 2**2 slots of the table share a word of 64 bits of the Bloom filter, and a seed sets 3 bits of it. Of the hashes that are
# not in the table, 1 % pass.
SLOT_BITS = 2

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


# --- the normal form --------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def translate(
    codes: Characters, target: Numbers, starts: Numbers, expansions: Characters
) -> tuple[Characters, Numbers]:
    """(characters, the place of each in the text) for a text's code points; see normal_form.py."""
    size = 0
    for code in codes:
        goal = target[code]
        if goal >= POINTS:
            size += starts[goal - POINTS + 1] - starts[goal - POINTS]
        elif goal:
            size += 1
    characters, places = np.empty(size, np.uint32), np.empty(size, np.uint32)
    n = 0
    for place in range(codes.size):
        goal = target[codes[place]]
        if goal >= POINTS:
            for i in range(starts[goal - POINTS], starts[goal - POINTS + 1]):
                characters[n], places[n] = expansions[i], place
                n += 1
        elif goal:
            characters[n], places[n] = goal, place
            n += 1
    n, before = 0, np.uint32(FULL)
    for i in range(size):
        character = characters[i]
        is_letter = 0x61 <= character <= 0x7A
        if not (is_letter and before >= FULL and (i + 1 == size or characters[i + 1] >= FULL)):
            characters[n], places[n] = character, places[i]
            n += 1
        before = character
    return characters[:n], places[:n]


# --- hashes of seeds and runs -----------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, inline="always")
def _power(length: int) -> np.uint64:
    """_BASE to the power of length - 1: the factor of the first of `length` characters in their hash."""
    power = np.uint64(1)
    for _ in range(length - 1):
        power *= _BASE
    return power


@njit(cache=True, nogil=True, inline="always")
def _mix(code: np.uint64) -> np.uint64:
    """The value of a polynomial, mixed so that all its bits have an effect on the upper ones, which address the tables."""
    return (code ^ (code >> np.uint64(29))) * _MIX


@njit(cache=True, nogil=True, inline="always")
def _bits(mixed: np.uint64) -> np.uint64:
    """The three bits of a hash in its word of the (blocked) Bloom filter (Putze, Sanders & Singler 2007)."""
    bits = np.uint64(1) << (mixed & np.uint64(63))
    bits |= np.uint64(1) << (mixed >> np.uint64(6) & np.uint64(63))
    return bits | np.uint64(1) << (mixed >> np.uint64(12) & np.uint64(63))


@njit(cache=True, nogil=True, inline="always")
def _shift(size: int) -> np.uint64:
    """How far a hash is shifted right to become an index below `size`, a power of two."""
    shift = 64
    while size > 1:
        shift -= 1
        size >>= 1
    return np.uint64(shift)


@njit(cache=True, nogil=True, inline="always")
def _half(character: np.uint32) -> int:
    """A character's weight, in halves of what `length` counts."""
    return 2 if character >= FULL else 1


# --- looking for seeds in a text --------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def scan(
    text: Characters,
    characters: Characters,
    positions: Numbers,
    owners: npt.NDArray[np.uint16],
    wholes: Numbers,
    heads: Numbers,
    bloom: Hashes,
    seed: int,
    wanted: int,
    found: npt.NDArray[np.uint8],
    cover: npt.NDArray[np.int32],
) -> None:
    """Look for all seeds in a text. Mark the benchmarks that were found and, if cover has elements, the runs."""
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
        at, slot, is_covered = i - seed + 1, mixed >> (shift - np.uint64(SLOT_BITS)), cover.size == 0
        for j in range(heads[slot], heads[slot + np.uint64(1)]):
            if not (is_covered and found[owners[j]]):
                place = np.int64(positions[j])
                runs, most = _compare(text, at, characters, place, seed, np.int64(wholes[j]), wanted, cover)
                if runs:
                    found[owners[j]] = 1
                is_covered |= runs == most


@njit(cache=True, nogil=True)
def _compare(
    text: Characters,
    at: int,
    characters: Characters,
    place: np.int64,
    seed: int,
    whole: np.int64,
    wanted: int,
    cover: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """(the number of runs around a seed that the text at `at` and the question at `place` share, the most that there can
    be). Marks them in cover."""
    most = wanted - seed + 1
    right = 0
    while right < wanted and at + right < text.size and characters[place + right] & CHARACTER == text[at + right]:
        right += 1
    if right < seed:
        return 0, most
    left, reach, runs = 0, wanted - seed, 0
    # The 0 on both sides of every question ends the loop, since a text has no 0.
    while left < reach and at > left and characters[place - left - 1] & CHARACTER == text[at - left - 1]:
        left += 1
    weight, end = 0, at - left
    for begin in range(at - left, at + 1 if 2 * (left + right) >= wanted else at - left):
        while weight < wanted and end < at + right:
            weight += _half(text[end])
            end += 1
        if weight < wanted:
            break
        if not characters[place + begin - at] & IN_TEMPLATE:
            runs += 1
            _mark(cover, begin, end)
        weight -= _half(text[begin])
    if whole and right >= whole:
        runs = max(runs, 1)
        _mark(cover, at, at + whole)
    return runs, most


@njit(cache=True, nogil=True, inline="always")
def _mark(cover: npt.NDArray[np.int32], begin: int, end: int | np.int64) -> None:
    """Note that a run goes from begin to end - 1."""
    if cover.size:
        cover[begin] += 1
        cover[end] -= 1


# --- choosing seeds ---------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def seed_places(starts: Integers, sizes: Integers, lengths: Numbers, seed: int) -> Integers:
    """Places of seeds, each as far as possible after the one before it, so that every run contains a whole seed."""
    places = np.empty(0, np.int64)
    for turn in range(2):  # count, then keep
        n = 0
        for text in range(starts.size):
            begin = starts[text]
            while begin < starts[text] + sizes[text] and lengths[begin]:
                # Of the runs that contain no seed yet, the one that starts here ends first.
                place = begin + np.int64(lengths[begin]) - seed
                if turn == 1:
                    places[n] = place
                n += 1
                begin = place + 1
        if turn == 0:
            places = np.empty(n, np.int64)
    return places


@njit(cache=True, nogil=True)
def seed_hashes(characters: Characters, positions: Numbers, seed: int) -> Hashes:
    """[positions]: the hash of each seed, the same as in scan."""
    hashes = np.empty(positions.size, np.uint64)
    for i in range(positions.size):
        code = np.uint64(0)
        for j in range(seed):
            code = code * _BASE + np.uint64(characters[positions[i] + j] & CHARACTER)
        hashes[i] = _mix(code)
    return hashes


@njit(cache=True, nogil=True)
def fill(bloom: Hashes, hashes: Hashes) -> None:
    """Set the bits of all hashes in the Bloom filter."""
    shift = _shift(bloom.size)
    for mixed in hashes:
        bloom[mixed >> shift] |= _bits(mixed)


@njit(cache=True, nogil=True)
def surroundings(characters: Characters, positions: Numbers, reach: int, seed: int) -> Hashes:
    """[positions]: a hash of a seed and of `reach` characters on either side, with their marks."""
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
def is_like_the_one_before(characters: Characters, positions: Numbers, reach: int, seed: int) -> Marks:
    """[positions - 1]: whether a seed has the same characters as the one before it, also `reach` to either side."""
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


# --- runs that many texts share ---------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def shortest_runs(characters: Characters, starts: Integers, sizes: Integers, wanted: int) -> tuple[Hashes, Numbers]:
    """(hashes, lengths) [characters] of the shortest runs of weight `wanted`; length 0 if there is none.

    A run starts at its character, is within one text and has at most `wanted` characters.
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
def count_texts(
    hashes: Hashes,
    lengths: Numbers,
    starts: Integers,
    sizes: Integers,
    kinds: Numbers,
    shift: np.uint64,
    last: Numbers,
    number: npt.NDArray[np.uint8],
) -> None:
    """Count in number [slots] how many different texts have a run with a hash of this slot, up to 255."""
    for text in range(starts.size):
        for place in range(starts[text], starts[text] + sizes[text]):
            slot = hashes[place] >> shift
            if lengths[place] and last[slot] != kinds[text]:
                last[slot] = kinds[text]
                number[slot] = min(number[slot] + 1, 255)


@njit(cache=True, nogil=True)
def frequent_runs(
    hashes: Hashes, lengths: Numbers, shift: np.uint64, number: npt.NDArray[np.uint8], fewest: int
) -> Integers:
    """The places of the runs whose slot has `fewest` texts or more, ascending."""
    places = np.empty(0, np.int64)
    for turn in range(2):  # count, then keep
        n = 0
        for place in range(hashes.size):
            if lengths[place] and number[hashes[place] >> shift] >= fewest:
                if turn == 1:
                    places[n] = place
                n += 1
        if turn == 0:
            places = np.empty(n, np.int64)
    return places


@njit(cache=True, nogil=True)
def confirm_shared(
    characters: Characters,
    places: Integers,
    hashes: Hashes,
    lengths: Numbers,
    kinds: Numbers,
    fewest: int,
    shared: Marks,
) -> None:
    """Set `shared` for the runs that are in `fewest` or more different texts. places: sorted by hash, then ascending.

    For each hash, the runs that are equal to its first are counted. What is left has the same hash, but is another run;
    its turn comes later.
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
        for run in equal:
            done[run] = True
            shared[places[run]] = different >= fewest


@njit(cache=True, nogil=True)
def leave_passages_out(short: Marks, short_lengths: Numbers, long: Marks, long_lengths: Numbers) -> None:
    """Unset in `short` the runs that are within a run of `long`."""
    reach = np.int64(0)
    for place in range(short.size):
        if long[place]:
            reach = max(reach, place + np.int64(long_lengths[place]))
        if short[place] and place + np.int64(short_lengths[place]) <= reach:
            short[place] = False
