"""Sketches: what a text is compared by: its letters, the set of their n-grams, and the MinHash signature of that set.

Documents are compared by their letters (letters, digits, hanzi, symbols; folded in case and width). White space and
punctuation are left out because copies differ there most: sites change line breaks, indentation and punctuation, and one
changed comma would change three 3-grams. What is compared is the set of a document's n-grams of letters.

MinHash (Broder 1997) estimates the Jaccard index of two sets by the share of permutations under which both have the same
smallest element. If the values of a signature are divided into bands of rows, two documents meet in a bucket with
probability 1 - (1 - J^rows)^bands (Indyk & Motwani 1998; Leskovec et al., Mining of Massive Datasets, chapter 3).
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.duplicates.equal_values import distinct
from woodblock.structure import blocks

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

IDENTITY_RANGES = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0x20000, 0x2F800), (0x30000, 0x33480))
LAST_LETTER = 0x33480  # after the last ideographs: only unassigned points, tags and private use
EXACT_NGRAM = 3  # so many letters of 21 bits fit into 64 bits; for longer n-grams the sets have 64-bit hashes
NO_GRAM = np.uint32(0xFFFFFFFF)  # in a signature: there is no n-gram

# The kernels read these. They must be in the same file: numba's cache does not notice a change in another one.
_SEED = np.uint64(0x243F6A8885A308D3)
_K1 = np.uint64(0x9E3779B185EBCA87)
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_K3 = np.uint64(0xFF51AFD7ED558CCD)
_K4 = np.uint64(0xC4CEB9FE1A85EC53)


@functools.cache
def letters() -> Numbers:
    """For each code point the one that it is compared as [0x110000]: 0 if it is left out, else the folded one.

    White space, punctuation and controls are left out. Full-width letters and capitals become plain small letters, if
    the result is one character too.
    """
    table = np.arange(0x110000, dtype=np.uint32)
    table[LAST_LETTER:] = 0
    ideographs = np.zeros(LAST_LETTER, dtype=bool)
    for start, end in IDENTITY_RANGES:
        ideographs[start:end] = True
    for point in np.flatnonzero(~ideographs).tolist():
        character = chr(point)
        if unicodedata.category(character)[0] in "PZC":
            table[point] = 0
        else:
            folded = unicodedata.normalize("NFKC", character).casefold()
            table[point] = ord(folded) if len(folded) == 1 else point
    return table


def permutations(seed: int, count: int) -> tuple[Numbers, Numbers]:
    """The factors (odd) and summands of `count` permutations x -> a x + b of the 32-bit numbers [count]."""
    drawn = [hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8).digest() for number in range(count)]
    pairs = np.frombuffer(b"".join(drawn), dtype="<u4").reshape(count, 2).astype(np.uint32)
    return np.ascontiguousarray(pairs[:, 0] | np.uint32(1)), np.ascontiguousarray(pairs[:, 1])


class Sketches(NamedTuple):
    """What n documents are compared by."""

    signatures: Numbers  # [n, permutations]: the smallest hashes; all ones if there is no n-gram
    fingerprints: Hashes  # [n, 2]: equal only if the letters are (without letters, if the bytes are)
    lengths: Numbers  # [n], in letters
    paragraphs: Hashes  # [p]: hashes of the letters of long paragraphs, in order
    owners: Numbers  # [p]: the document that each is in
    spans: Places  # [p, 2]: the places in the data where each begins and ends


def sketch(
    data: Bytes,
    starts: Places,
    ngram: int,
    factors: Numbers,
    summands: Numbers,
    paragraph_letters: int,
) -> Sketches:
    """Sketch n documents. data: their UTF-8, one after the other. starts: [n + 1]. paragraph_letters: the fewest letters of
    a paragraph that counts. Code, a table or a list is one paragraph (structure.blocks): it stays or goes as a whole.
    """
    n = len(starts) - 1
    signatures = np.full((n, len(factors)), NO_GRAM, dtype=np.uint32)
    fingerprints, lengths = np.empty((n, 2), dtype=np.uint64), np.empty(n, dtype=np.uint32)
    units = [blocks.paragraphs(data[start:end]) + start for start, end in pairwise(starts)]
    most = len(data) // paragraph_letters + 1
    paragraphs, owners, spans = np.empty(most, np.uint64), np.empty(most, np.uint32), np.empty((most, 2), np.int64)
    places = np.concatenate([np.zeros((0, 2), np.int64), *units])
    found = _sketch(
        *(data, starts, places, letters(), ngram, _base(ngram), factors, summands, paragraph_letters),
        *(signatures, fingerprints, lengths, paragraphs, owners, spans),
    )
    return Sketches(signatures, fingerprints, lengths, paragraphs[:found], owners[:found], spans[:found])


def gram_set(data: bytes, ngram: int) -> Hashes:
    """The set of a text's n-grams of letters, sorted. data: its UTF-8."""
    return distinct(_grams(np.frombuffer(data, dtype=np.uint8), letters(), ngram, _base(ngram)))


def jaccard(one: Hashes, other: Hashes) -> float:
    """The Jaccard index of two sets, as gram_set gives them; 0 where both are empty."""
    common = int(_common(one, other))
    return common / max(1, len(one) + len(other) - common)


def copied_share(one: Sequence[Hashes], other: Sequence[Hashes]) -> float:
    """The estimated share of two texts that is copied from one to the other, with or without edits: 0 to 1.

    one, other: the sets of a text's n-grams and of its 2n-grams. A copy with a share e of edited letters keeps (1 - e)^n
    of its n-grams and (1 - e)^2n of its 2n-grams. A text with only a copied share s keeps s of both. Together, the common
    parts (Dice's index) are c(n) = s (1 - e)^n, so s = c(n)^2 / c(2n). A Jaccard index alone cannot tell an edited copy
    from another text of the same form: similar laws of two cities have as many common 3-grams as two copies with a tenth
    of their letters edited.
    """
    short, long = (2 * int(_common(a, b)) / max(1, len(a) + len(b)) for a, b in zip(one, other, strict=True))
    return min(1.0, short * short / long) if long else 0.0


def band_hashes(signatures: Numbers, bands: int, rows: int) -> Hashes:
    """[bands, n]: documents whose signatures agree in all rows of a band have the same hash there."""
    values = signatures.reshape(-1, bands, rows).astype(np.uint64)
    hashes = np.full(values.shape[:2], _SEED, dtype=np.uint64)
    for row in range(rows):
        hashes = (hashes ^ values[:, :, row]) * _K1
        hashes ^= hashes >> np.uint64(29)
    return np.ascontiguousarray(hashes.T)


def meeting_probability(similarity: float, bands: int, rows: int) -> float:
    """The probability that two documents with this Jaccard index meet in a bucket of at least one band."""
    return 1 - (1 - similarity**rows) ** bands


def keep(found: Sketches, bands: int, rows: int, folder: Path) -> None:
    """Write the sketches of a shard as files of a Shelf."""
    for name in found._fields:
        getattr(found, name).tofile(folder / f"{name}.bin")
    band_hashes(found.signatures, bands, rows).tofile(folder / "bands.bin")


def _base(ngram: int) -> np.uint64:
    """The base of the number whose digits are the letters of an n-gram; if they fit, the number is the n-gram itself."""
    return np.uint64(1 << 21) if ngram <= EXACT_NGRAM else _K1


# --- kernels ----------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, inline="always")
def _mix(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> np.uint64(33))) * _K3
    x = (x ^ (x >> np.uint64(29))) * _K4
    return x ^ (x >> np.uint64(32))


@njit(cache=True, nogil=True, inline="always")
def _point(data: Bytes, i: int) -> tuple[np.uint32, int]:
    """The code point that begins at byte i of valid UTF-8, and where the next begins."""
    lead = np.uint32(data[i])
    if lead < 0x80:
        return lead, i + 1
    if lead < 0xE0:
        return ((lead & np.uint32(0x1F)) << np.uint32(6)) | (np.uint32(data[i + 1]) & np.uint32(0x3F)), i + 2
    second, third = np.uint32(data[i + 1]) & np.uint32(0x3F), np.uint32(data[i + 2]) & np.uint32(0x3F)
    if lead < 0xF0:
        return ((lead & np.uint32(0x0F)) << np.uint32(12)) | (second << np.uint32(6)) | third, i + 3
    high = ((lead & np.uint32(0x07)) << np.uint32(18)) | (second << np.uint32(12)) | (third << np.uint32(6))
    return high | (np.uint32(data[i + 3]) & np.uint32(0x3F)), i + 4


@njit(cache=True, nogil=True)
def _sketch(
    data: Bytes,
    starts: Places,
    units: Places,
    table: Numbers,
    ngram: int,
    base: np.uint64,
    factors: Numbers,
    summands: Numbers,
    paragraph_letters: int,
    signatures: Numbers,
    fingerprints: Hashes,
    lengths: Numbers,
    paragraphs: Hashes,
    owners: Numbers,
    spans: Places,
) -> int:
    longest = 0
    for d in range(starts.size - 1):
        longest = max(longest, starts[d + 1] - starts[d])
    codes, hashes = np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    seen = np.empty(4096, np.uint32)
    found = unit = 0
    for d in range(starts.size - 1):
        n, unit_letters = 0, 0
        one, two, of_unit = _SEED, _K2, _SEED
        i, end = starts[d], starts[d + 1]
        while i <= end:
            if unit < len(units) and i == units[unit, 1]:
                if unit_letters >= paragraph_letters:
                    paragraphs[found], owners[found] = _mix(of_unit), d
                    spans[found] = units[unit]
                    found += 1
                unit += 1
            if unit < len(units) and i == units[unit, 0]:
                unit_letters, of_unit = 0, _SEED
            if i < end:
                point, following = _point(data, i)
            else:
                point, following = np.uint32(10), i + 1  # the last paragraph ends with the text
            code = table[point]
            if code:
                codes[n] = code
                n += 1
                one = (one ^ np.uint64(code)) * _K1
                one ^= one >> np.uint64(32)
                two = (two + np.uint64(code)) * _K3
                two ^= two >> np.uint64(29)
                of_unit = (of_unit ^ np.uint64(code)) * _K4
                of_unit ^= of_unit >> np.uint64(32)
                unit_letters += 1
            i = following
        if n == 0:
            for j in range(starts[d], end):
                one = (one ^ np.uint64(data[j])) * _K1
                one ^= one >> np.uint64(32)
                two = (two + np.uint64(data[j])) * _K3
                two ^= two >> np.uint64(29)
        fingerprints[d, 0], fingerprints[d, 1], lengths[d] = one, two, n

        # Most repeated n-grams come again within a few thousand. A small table removes them before the permutations.
        seen[:] = 0
        grams = 0
        for i in range(n - ngram + 1):
            number = np.uint64(0)
            for j in range(ngram):
                number = number * base + np.uint64(codes[i + j])
            x = np.uint32(_mix(number) >> np.uint64(32))
            if seen[x & np.uint32(4095)] != x or x == 0:
                seen[x & np.uint32(4095)] = x
                hashes[grams] = x
                grams += 1
        if grams:
            while grams % 4:  # four at a time fill the processor's vector units; repeating one changes no minimum
                if grams == hashes.size:
                    break
                hashes[grams] = hashes[0]
                grams += 1
            signature = signatures[d]
            whole = grams - grams % 4
            for i in range(0, whole, 4):
                x0, x1, x2, x3 = hashes[i], hashes[i + 1], hashes[i + 2], hashes[i + 3]
                for j in range(factors.size):
                    a, b = factors[j], summands[j]
                    low = min(np.uint32(a * x0 + b), np.uint32(a * x1 + b))
                    high = min(np.uint32(a * x2 + b), np.uint32(a * x3 + b))
                    signature[j] = min(signature[j], min(low, high))
            for i in range(whole, grams):
                for j in range(factors.size):
                    signature[j] = min(signature[j], np.uint32(factors[j] * hashes[i] + summands[j]))
    return found


@njit(cache=True, nogil=True)
def _grams(data: Bytes, table: Numbers, ngram: int, base: np.uint64) -> Hashes:
    codes = np.empty(data.size, np.uint32)
    n, i = 0, 0
    while i < data.size:
        point, i = _point(data, i)
        code = table[point]
        if code:
            codes[n] = code
            n += 1
    grams = np.empty(max(0, n - ngram + 1), np.uint64)
    for i in range(grams.size):
        number = np.uint64(0)
        for j in range(ngram):
            number = number * base + np.uint64(codes[i + j])
        grams[i] = number
    return grams


@njit(cache=True, nogil=True)
def _common(one: Hashes, other: Hashes) -> int:
    i, j, common = 0, 0, 0
    while i < one.size and j < other.size:
        x, y = one[i], other[j]
        common += x == y
        i += x <= y
        j += y <= x
    return common
