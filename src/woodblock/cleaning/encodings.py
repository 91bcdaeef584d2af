"""Text that was read in the wrong encoding: repaired if nothing was lost, otherwise recognised as broken.

There are three common accidents with Chinese pages: UTF-8 read as Latin-1 or Windows-1252 (ä½ å¥½), UTF-8 read as GBK
(浣犲ソ), GBK read as Latin-1 (ÄãºÃ). Each leaves traces that right text does not have. So a text without traces is never
changed. A text with a part that cannot be repaired stays as it is, and `broken` then recognises it. The tables come from
the encodings themselves: the first 3,755 hanzi of GB/T 2312-1980 are the common ones, and the first 5,401 of Big5; in
UTF-8 (RFC 3629) few bytes can follow each other.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

# The properties of each character of the basic plane, as bits.
COMMON = 1  # a hanzi of GB 2312's first level or of Big5's frequent plane
RARE = 2  # any other hanzi
FIRST = 4  # in GBK: the first two bytes of a hanzi or a mark in UTF-8
SECOND = 8  # in GBK: the last byte of one and the first of the next
THIRD = 16  # in GBK: the last two bytes of one
ACCENTED = 32  # a letter or sign of Latin-1 or Windows-1252 that is seldom beside another
LOST = 64  # U+FFFD and private use
LEAD = 128  # in Latin-1: the first byte of a character in UTF-8
EURO = ACCENTED | SECOND  # byte 80: no other character has these two

LOST_SHARE = 0.0015  # of the characters: in old books, a rare hanzi of a name is sometimes in private use
NAMED = 3  # different characters in private use that may be rare hanzi of names
NAMED_SHARE = 0.1  # of the characters, at most
LOST_ALONE = 0.01  # one lost character counts only if it is so large a share of a short text
SOUP_SHARE = 0.005  # pairs of accented characters, of all pairs; at least 4 pairs, or half of a short text
MISREAD_SHARE = 0.004  # of the hanzi of a text that are UTF-8 read as GBK
ALONE_HANZI = 30  # one such place counts only in a text with at most so many hanzi
RARE_SHARE = 0.35  # rare hanzi in a text of at least RARE_HANZI; names of places and of substances are rare too
RARE_HANZI = 60
ALL_RARE = 0.8  # rare hanzi in a shorter text, of at least eight
FILLER_SHARE = 0.015  # of the characters, at least three: uninitialised memory and replacement characters read as GBK
MISREAD_HANZI = 4  # a part is taken for UTF-8 read as GBK only if so many hanzi come out
ALONE_SHARE = 0.5  # fewer hanzi are enough if the changed parts are so large a share of the text
COMMON_SHARE = 0.7  # of the hanzi in what was repaired
ROUNDS = 3  # a text may have been misread more than once
SKIPPED = 4  # signs of right text that may be before a run of Latin-1
UNALIGNED = 64  # bytes within which a run of UTF-8 in GBK must reach the end of a character

_LATIN = {
    ord(bytes([byte]).decode("cp1252")): byte for byte in range(0x80, 0xA0) if byte not in b"\x81\x8d\x8f\x90\x9d"
}
_CP1252 = "".join(map(chr, _LATIN))
_TAIL = f"[\x80-\xbf{_CP1252}]"
UTF8_IN_LATIN = re.compile(f"[\xc2-\xdf]{_TAIL}|[\xe0-\xef]{_TAIL}{{2}}|[\xf0-\xf4]{_TAIL}{{3}}")
LATIN_RUN = re.compile(f"[\x20-\x7e\x80-\xff{_CP1252}]+")
# Punctuation of right Chinese text too: it may be beside what was misread, and proves nothing.
AMBIGUOUS = "–—‘’“”•…™‹›·×°±÷§®©"
BEFORE_LETTER = re.compile("[\u3400-\u9fff](?=[A-Za-z])")
FILLERS = ("烫烫烫", "屯屯屯", "锟斤拷")


def mend(text: str) -> str:
    """The text with its misread parts as they were written (all of it, some lines, or a part). Idempotent.

    A text that is right is returned as it is; so is a text with a part that cannot be repaired, since bytes are missing.
    Call it before control characters are removed: they may be the tails of UTF-8 read as Latin-1.
    """
    for _ in range(ROUNDS):
        mended = _mend_once(text)
        if mended == text:
            break
        text = mended
    return text


def broken(text: str) -> bool:
    """Whether a text has the traces of a wrong encoding, at rates that right text does not reach."""
    if text.isascii():
        return False
    found = _found(text)
    lost = found.lost - _rare_names(text, found) if found.lost else 0
    if lost > LOST_SHARE * found.units and (lost > 1 or lost > LOST_ALONE * found.units):
        return True
    if found.soup > SOUP_SHARE * found.units and found.soup >= min(4, (found.units - 1) / 2):
        return True
    if 3 * found.misread > MISREAD_SHARE * found.hanzi:
        sure = _misread_surely(text)
        if 3 * sure > MISREAD_SHARE * found.hanzi and (sure > 1 or found.hanzi <= ALONE_HANZI):
            return True
    rare_share = RARE_SHARE if found.hanzi >= RARE_HANZI else ALL_RARE
    if found.rare > rare_share * found.hanzi and found.hanzi >= 8:
        return True
    fillers = sum(text.count(filler) for filler in FILLERS)
    return fillers >= 3 and fillers * len(FILLERS[0]) > FILLER_SHARE * len(text)


def _rare_names(text: str, found: _Found) -> int:
    """How many characters in private use stand for rare hanzi: a name has one or two of them, misread text has many."""
    private = re.findall("[\ue000-\uf8ff]", text)
    return len(private) if len(set(private)) <= NAMED and len(private) <= NAMED_SHARE * found.units else 0


def _mend_once(text: str) -> str:
    if text.isascii():
        return text
    found = _found(text)
    if found.lead:
        mended = _from_latin_utf8(text)
        if mended == text and found.soup:
            mended = _from_latin_gbk(text)
        if mended != text:
            return mended
    return _from_gbk_utf8(text) if found.misread else text


@cache
def _table() -> npt.NDArray[np.uint8]:
    """The bits of each character of the basic plane, as uint8 (65536,)."""
    table = np.zeros(0x10000, np.uint8)
    table[0x3400:0x4DC0] = table[0x4E00:0xA000] = table[0xF900:0xFB00] = RARE
    tails = [*range(0x40, 0x7F), *range(0x80, 0xFF)]
    for lead in range(0x81, 0xFF):
        for tail in tails:
            code = _decoded(bytes([lead, tail]), "gb18030")
            if 0xB0 <= lead <= 0xD7 and tail >= 0xA1 and table[code] == RARE:
                table[code] = COMMON
            begins, ends = _begins(lead), _begins(tail)
            if begins and 0x80 <= tail <= 0xBF:
                table[code] |= FIRST
            if lead <= 0xBF and ends:
                table[code] |= SECOND
            if lead <= 0xBF and 0x80 <= tail <= 0xBF:
                table[code] |= THIRD
    for lead in range(0xA4, 0xC7):
        for tail in [*range(0x40, 0x7F), *range(0xA1, 0xFF)]:
            code = _decoded(bytes([lead, tail]), "big5")
            if table[code] & RARE:
                table[code] ^= COMMON | RARE
    table[0xFFFD] |= LOST
    table[0xE000:0xF900] |= LOST
    table[0xA1:0x100] |= ACCENTED
    table[list(_LATIN)] |= ACCENTED
    table[[ord(c) for c in AMBIGUOUS]] &= 0xFF ^ ACCENTED
    table[0xC2:0xF5] |= LEAD
    table[ord("€")] = EURO
    table[0] = 0
    return table


def _begins(byte: int) -> bool:
    """Whether a byte begins a hanzi, or a mark of Chinese text, in UTF-8."""
    return 0xE2 <= byte <= 0xE9 or byte == 0xEF


def _decoded(raw: bytes, encoding: str) -> int:
    """The character of two bytes, or 0 if they are not one character of the basic plane."""
    text = raw.decode(encoding, "ignore")
    return ord(text) if len(text) == 1 and ord(text) < 0x10000 else 0


def _kinds(text: str) -> npt.NDArray[np.uint8]:
    """The bits of each of a text's UTF-16 units, as uint8 (units,)."""
    return _table()[np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)]


class _Found(NamedTuple):
    """Counts of what a text has."""

    units: int  # of UTF-16
    hanzi: int
    rare: int  # of these
    lost: int
    lead: int
    soup: int  # pairs of accented characters side by side
    misread: (
        int  # places where two characters of UTF-8 were read as three of GBK, or as one and the euro sign (byte 80)
    )


def _found(text: str) -> _Found:
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    return _Found(len(units), *_count(units, _table()))


@njit(cache=True, nogil=True)
def _count(units: npt.NDArray[np.uint16], table: npt.NDArray[np.uint8]) -> tuple[int, int, int, int, int, int]:
    hanzi = rare = lost = lead = soup = misread = 0
    first = before = np.uint8(0)  # the kinds of the two units before
    for unit in units:
        kind = table[unit]
        hanzi += kind & (COMMON | RARE) != 0
        rare += kind & RARE != 0
        lost += kind & LOST != 0
        lead += kind & LEAD != 0
        soup += kind & before & ACCENTED != 0
        # `&` and not `and`: a wrong guess of the processor takes longer than computing all of it.
        misread += (first & FIRST != 0) & (before & SECOND != 0) & (kind & THIRD != 0)
        misread += (before & FIRST != 0) & (kind == EURO)
        first, before = before, kind
    return hanzi, rare, lost, lead, soup, misread


def _characters(bit: int) -> str:
    """The characters with a bit, for a character class of a regular expression."""
    return re.escape("".join(chr(code) for code in np.flatnonzero(_table() & bit)))


@cache
def _misread_pattern() -> re.Pattern[str]:
    """Matches what _Found.misread counts."""
    return re.compile(f"[{_characters(FIRST)}](?:€|[{_characters(SECOND)}][{_characters(THIRD)}])")


def _misread_surely(text: str) -> int:
    """The number of places of _Found.misread that give common hanzi or marks. (韬光父, a right text, would give 霰庸.)"""
    read = (_gbk_bytes(match.group()).decode("utf-8", "replace") for match in _misread_pattern().finditer(text))
    return sum(not (_kinds(characters) & (RARE | LOST)).any() for characters in read)


def _common_hanzi(text: str) -> tuple[int, bool]:
    """The number of hanzi in a text; and whether most of them are common and no character is lost."""
    kinds = _kinds(text)
    common, rare, lost = (np.count_nonzero(kinds & bit) for bit in (COMMON, RARE, LOST))
    return int(common + rare), bool(not lost and common >= COMMON_SHARE * (common + rare))


def _enough(hanzi: int, changed: int, text: str) -> bool:
    return hanzi >= MISREAD_HANZI or changed >= ALONE_SHARE * len(text)


# UTF-8 read as Latin-1 or Windows-1252


def _from_latin_utf8(text: str) -> str:
    """The text with each run of Latin letters that is UTF-8 decoded. If such runs are cut or mixed, it is unchanged."""
    found = sure = 0
    whole = True

    def decoded(match: re.Match[str]) -> str:
        nonlocal found, sure, whole
        run = match.group()
        try:
            character = _latin_bytes(run).decode("utf-8")
        except UnicodeDecodeError:
            whole = False
            return run
        found += 1
        # "é——" may be French and a dash, or three bytes of UTF-8. "Ã©" and "ä½\xa0" can only be UTF-8.
        sure += any(c not in AMBIGUOUS for c in run[1:]) if len(run) > 2 else run[0] in "ÂÃ" and run[1] <= "\xff"
        return character

    mended = UTF8_IN_LATIN.sub(decoded, text)
    if not whole or (sure < 2 and found < ALONE_SHARE * len(text) / 3) or 2 * sure < found:
        return text
    rests = UTF8_IN_LATIN.split(text)
    for n, rest in enumerate(rests):
        before, after = rest[-1:] if n + 1 < len(rests) else "", rest[:1] if n else ""
        cut = any("\x80" <= c <= "\xff" or (c in _CP1252 and c not in AMBIGUOUS) for c in before + after)
        if cut or "Ã" in rest or "Â" in rest or _found(rest).soup:
            return text  # bytes are missing here
    return mended


def _latin_bytes(text: str) -> bytes:
    """The bytes that give a text when they are read as Latin-1 or Windows-1252."""
    return text.translate(_LATIN).encode("latin-1")


# GBK read as Latin-1 or Windows-1252


def _from_latin_gbk(text: str) -> str:
    """The text with each run of Latin-1 that is GBK decoded. If a run with accented pairs is not GBK, it is unchanged."""
    runs: list[tuple[int, int, str]] = []
    hanzi = changed = 0
    for match in LATIN_RUN.finditer(text):
        run = match.group()
        if run.isascii():
            continue
        skipped, decoded, found = _gbk(run)
        pairs = _found(run).soup
        if not decoded and pairs:
            return text
        if (
            decoded
            and "\ufffd" in text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
        ):
            return text
        if decoded:
            runs.append((match.start() + skipped, match.end(), decoded))
            if pairs:
                hanzi += found
                changed += len(run) - skipped
    if not _enough(hanzi, changed, text):
        return text
    pieces, end = [], 0
    for start, stop, decoded in runs:
        pieces += [text[end:start], decoded]
        end = stop
    return "".join(pieces) + text[end:]


def _gbk(run: str) -> tuple[int, str, int]:
    """A run of Latin-1 as GBK: the number of right characters before it, the text ("" if it is not GBK), its hanzi."""
    first = next(n for n, c in enumerate(run) if not c.isascii())
    for start in range(first, min(first + SKIPPED, len(run))):
        raw = _latin_bytes(run[start:])
        text = raw.decode("gb18030", "ignore") if len(set(raw)) > 1 else ""  # not ×× or ——
        hanzi, common = _common_hanzi(text)
        whole = text and text.encode("gb18030") == raw
        wide = sum(c > "\x7f" for c in text)
        high = sum(byte > 0x7F for byte in raw)
        # Nearly every character must be of GB 2312, whose bytes are both above 7F.
        if whole and common and high >= 1.9 * wide and _chinese(text) and not _out_of_step(text):
            return start, text, hanzi
        if run[start] not in AMBIGUOUS:
            break
    return 0, "", 0


def _chinese(text: str) -> bool:
    """Whether all characters of a text that are not ASCII can be in Chinese text."""
    return all(c <= "\x7f" or "\u2010" <= c <= "\u266f" or "\u3000" <= c <= "\uffef" for c in text)


def _out_of_step(text: str) -> bool:
    """Whether a hanzi of GBK swallowed the first letter of a word (珿uava): a byte is missing before it."""
    before = (match.group().encode("gb18030") for match in BEFORE_LETTER.finditer(text))
    return any(len(code) == 2 and code[1:].isalpha() for code in before)


# UTF-8 read as GBK


def _from_gbk_utf8(text: str) -> str:
    """The text with each run of GBK that is UTF-8 decoded. If bytes of such a run are missing, it is unchanged."""
    decoded = _utf8(text)
    if decoded and _enough(_common_hanzi(decoded)[0], len(text), text):
        return decoded
    lines = text.split("\n")
    hanzi = changed = 0
    for n, line in enumerate(lines):
        if not _misread_pattern().search(line):
            continue
        mended = _utf8(line) or _utf8_runs(line)
        if not mended:
            return text
        gained = _common_hanzi(mended)[0] - 2 * (len(mended) - len(line)) if len(mended) > len(line) else 0
        hanzi += max(gained, 2 * (len(line) - len(mended)))  # three characters of GBK give two
        changed += len(line)
        lines[n] = mended
    if not _enough(hanzi, changed, text):
        return text
    for n, line in enumerate(lines):  # lines with only one hanzi or mark have no trace of their own
        if not line.isascii() and (decoded := _utf8(line)) and all(c <= "\x7f" or c >= "\u0800" for c in decoded):
            lines[n] = decoded
    return "\n".join(lines)


def _gbk_bytes(text: str) -> bytes:
    """The bytes that give a text when they are read as GBK; b"" if no bytes do."""
    try:
        return b"\x80".join(part.encode("gb18030") for part in text.split("€"))
    except UnicodeEncodeError:
        return b""


def _utf8(text: str) -> str:
    """The text as it was written, if it was UTF-8 read as GBK; otherwise ""."""
    try:
        decoded = _gbk_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return decoded if _common_hanzi(decoded)[1] else ""


def _utf8_runs(line: str) -> str:
    """A line with its runs of UTF-8 read as GBK decoded; "" if bytes are missing beside a run, or if there is none."""
    raw = _gbk_bytes(line)
    characters = _character_places(raw)
    pieces, written, start = [], 0, 0
    while start < len(raw):
        stop = _aligned_utf8(raw, characters, start)
        decoded = raw[start:stop].decode("utf-8", "replace")
        hanzi, common = _common_hanzi(decoded)
        if hanzi >= 2 and common:
            before = line[characters[start] - 1 : characters[start]] if start > written else ""
            if raw[stop : stop + 1] > b"\x7f" or (_kinds(before) & FIRST).any():
                return ""
            pieces += [line[characters[written] : characters[start]], decoded]
            written = start = stop
        else:
            start = max(start + 1, stop)
            while characters[start] < 0:
                start += 1
    mended = "".join(pieces) + line[characters[written] :]
    return "" if not pieces or "\ufffd" in mended or _misread_pattern().search(mended) else mended


def _character_places(raw: bytes) -> list[int]:
    """For each place in bytes of GB 18030, and for their end: the number of the character that begins there, or -1."""
    characters = [-1] * len(raw) + [0]
    place = number = 0
    while place < len(raw):
        characters[place] = number
        number += 1
        if raw[place] <= 0x80:
            place += 1
        else:
            place += 4 if raw[place + 1 : place + 2].isdigit() else 2
    characters[len(raw)] = number
    return characters


def _aligned_utf8(raw: bytes, characters: list[int], start: int) -> int:
    """Where the UTF-8 from `start` on ends together with a character of GB 18030; `start` if there is no such place."""
    place = aligned = start
    while place < len(raw) and place - aligned <= UNALIGNED:
        lead = raw[place]
        size = (
            1
            if lead < 0x80
            else 2
            if 0xC2 <= lead < 0xE0
            else 3
            if 0xE0 <= lead < 0xF0
            else 4
            if 0xF0 <= lead < 0xF5
            else 0
        )
        tails = raw[place + 1 : place + size]
        if not size or len(tails) != size - 1 or any(tail & 0xC0 != 0x80 for tail in tails):
            break
        place += size
        if characters[place] >= 0:
            aligned = place
    return aligned
