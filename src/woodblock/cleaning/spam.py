"""Spam: texts that sell bets, sex, forged papers, loans without questions and the like, or a shop's keywords.

No word makes spam. A judgment names the bets and how they were sold, a page on health names the disease and its hotline, an
encyclopedia has an article on baccarat. Spam is several kinds of evidence at once, in little text:

- what is offered, in the words of the offer (a bonus for signing up, a diploma that the register shows);
- the trade that it belongs to (kinds of bets, …);
- the seller's manner (at once, guaranteed, in confidence, round the clock);
- a way to reach the seller: the name of a messenger with an account, a mobile number, an address of a page;
- keywords of a shop in the same phrases again and again.

Against it count the words of those who report, forbid, warn, heal or explain. A finding has points, and a text the average
over its windows of WINDOW characters, so that a long text is not spam for one paragraph. Before that, what hides words is
undone: other widths and styles of characters (NFKC), signs, spaces and pictures between them, hanzi that look or sound like
the right one, Traditional characters. The words are in spam_words.py.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.cleaning import spam_words
from woodblock.cleaning.measures import Points, code_points

READ_CHARS = 6000  # of a text: its beginning
LEAST_CHARS = 12  # in shorter texts there is no room for evidence of two kinds
FULL_CHARS = 200  # in a shorter text a finding says more, at most twice as much: the square root of what is missing
WINDOW = 400  # letters, digits and hanzi

# The points of a finding, and the most that findings of its kind can give in a window.
OFFER, OFFERS = 3.0, 15.0
AGAIN = 0.5  # for each repetition of an offer
TRADE, TRADES = 1.5, 6.0
MANNER, MANNERS = 1.0, 4.0
SHOP, SHOPS = 0.8, 10.0
REPEATED = 30.0  # for the share of repeated 4-grams above COMMON_REPEATS, at most as much as the shop words give
COMMON_REPEATS = 0.25
SOME_REPEATS = 0.12  # with a smaller share, shop words count for less than half
REPORT, REPORTS = 2.5, 20.0  # taken off
REACHED = (
    6.0  # the most for ways to reach the seller; they count only beside ASIDE points of offers, trades and shop words
)
ASIDE = 2.5

_KINDS = (spam_words.OFFERS, spam_words.TRADES, spam_words.MANNERS, spam_words.SHOPS, spam_words.REPORTS)
LONGEST = 8  # characters of a word
HEADS = 1 << 18  # slots for the first two characters of words
SLOTS = 1 << 15

_ACCOUNT = re.compile(
    r"(?:微信|微|v信|vx|wx|wechat|加v|qq|扣扣|球球|企鹅|q群?|群|telegram|tg|(?:加|联系|咨询|客服)(?:飞机|电报)|纸飞机|电报|whatsapp|skype|line|蝙蝠|陌陌)"
    r"(?:同|号|号码|客服|id|账号|咨询|联系|添加|或|加|也|是|交流|群|频道|在线|官方)*(?=[a-z0-9]{0,14}\d)[a-z][a-z0-9]{4,19}"
    r"|(?:微信|微|v信|vx|wx|wechat|加v|qq|扣扣|球球|企鹅|q群?|群|telegram|tg|whatsapp|skype)(?:同|号|号码|客服|id|账号|咨询|联系|群)*\d{5,11}(?!\d)"
)
_LURE = re.compile(
    r"(?:加|添加|联系|搜|扫|关注|咨询|进|入)(?:我|一下|下|客服|老师|导师|助理|管理员?|经理|小[编妹姐]|专员|的|本人|下方|官方){0,3}"
    r"(?:微信|v信|vx|v|微|qq|扣扣|群|tg|飞机|电报|企鹅|公众号)"
)
_PHONE = re.compile(
    r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)[48]00\d{7}(?!\d)|(?:电话|热线|手机|致电|拨打|tel)(?:号码?|咨询)?0?\d{7,12}(?!\d)"
)
_PAGE = re.compile(
    r"[a-z0-9][a-z0-9-]*\s*[.。点]\s*(?:com|net|cc|vip|top|xyz|club|info|app|bet|win|tv|me|co|pw|site|online|fun|shop|live|cn)\b"
)
_SIGNS = re.compile(r"[\W_]+")


class _Words(NamedTuple):
    """The words in hash tables: heads marks the first two characters; slots, numbers and kinds hold whole words."""

    plain: Points  # of each code point, the one that it stands for; 0 for signs and spaces
    heads: npt.NDArray[np.bool_]
    slots: npt.NDArray[np.uint64]
    numbers: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int8]  # by number
    words: list[str]


@lru_cache(maxsize=1)
def _words() -> _Words:
    words, kinds = [], []
    for kind, said in enumerate(_KINDS):
        for word in spam_words.expanded(said):
            words.append(word)
            kinds.append(kind)
    heads, slots = np.zeros(HEADS, np.bool_), np.zeros(SLOTS, np.uint64)
    numbers = np.zeros(SLOTS, np.int32)
    _fill(*code_points(words), heads, slots, numbers)
    return _Words(_plain(), heads, slots, numbers, np.array(kinds, np.int8), words)


def _plain() -> Points:
    table = np.zeros(0x110000, np.uint32)
    for point in [*range(0x30, 0x3400), *range(0x4E00, 0xA000), *range(0xF900, 0x10000), *range(0x1D400, 0x1F190)]:
        folded = revealed(chr(point))
        table[point] = ord(folded[0]) if folded else 0
    table[0x3400:0x4E00], table[0x20000:0x30000] = np.arange(0x3400, 0x4E00), np.arange(0x20000, 0x30000)
    return table


def revealed(text: str) -> str:
    """The letters, digits and hanzi of a text alone, in their plain forms: 加 Ｖ❤信 becomes 加v信."""
    return _SIGNS.sub("", _folded(text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().translate(_ALIKE)


_ALIKE = str.maketrans(spam_words.ALIKE)


def points(text: str, least: float = 0.0) -> float:
    """The points of a text, or 0 if it has `least` or fewer: spam has 10 or more, and hardly any other text has 5."""
    text = text[:READ_CHARS]
    counts, size, _ = _counted(text)
    if size < LEAST_CHARS:
        return 0.0
    windows = len(counts)
    offers, again, trades, manners, shops, reports, different_shops = counts.T.astype(np.float64)
    selling = np.minimum(OFFERS, OFFER * offers + AGAIN * again) + np.minimum(TRADES, TRADE * trades)
    stuffed = np.minimum(SHOPS, SHOP * shops) * (different_shops >= 3)
    against = np.minimum(REPORTS, REPORT * reports).sum() - np.minimum(MANNERS, MANNER * manners).sum()
    # Nearly all texts end here: with all that could still be found they would not have enough.
    weight = min(2.0, max(1.0, FULL_CHARS / size) ** 0.5)
    if selling.sum() + 1.5 * stuffed.sum() - against <= windows * (least / weight - REACHED):
        return 0.0
    total = float(selling.sum() - against)
    bare = revealed(text)
    sold = float(selling.sum())
    for number in np.flatnonzero(stuffed):
        window = bare[number * WINDOW : (number + 1) * WINDOW]
        share = _repeated(window)
        shop = stuffed[number] * min(0.5, share / SOME_REPEATS / 2)
        shop += min(stuffed[number], REPEATED * max(0.0, share - COMMON_REPEATS))
        total, sold = total + shop, sold + shop
    reached = _reached(_folded(text), bare) if sold >= ASIDE * windows else 0.0
    found = float(weight * (total / windows + reached))
    return found if found > max(0.0, least) else 0.0


def reason(text: str) -> str:
    """The first of a text's words of offers, trades and shops, for the samples of what was dropped."""
    words = _words()
    found = [words.words[number] for number in _counted(text[:READ_CHARS])[2]]
    kept = [word for word in dict.fromkeys(found) if words.kinds[words.words.index(word)] in (0, 1, 3)]
    return " ".join(kept[:6])


def _counted(text: str) -> tuple[npt.NDArray[np.int64], int, list[int]]:
    """(counts [windows, 7] of different offers, repeated offers, different trades, manners, shop words (all), different
    reports, different shop words; the number of letters, digits and hanzi; the numbers of the words found, in order)."""
    words = _words()
    read, _ = code_points([text])
    counts = np.zeros((len(read) // WINDOW + 1, 7), np.int64)
    found = np.zeros(len(read) + 1, np.int32)
    size, hits = _count(read, words.plain, words.heads, words.slots, words.numbers, words.kinds, counts, found)
    # A last window that is short is part of the one before.
    windows = max(1, (size + WINDOW // 2) // WINDOW)
    if windows < len(counts):
        counts[windows - 1] += counts[windows:].sum(axis=0)
    return counts[:windows], size, found[:hits].tolist()


def _repeated(text: str) -> float:
    """The share of 4-grams that came before."""
    grams = [text[place : place + 4] for place in range(len(text) - 3)]
    return 1 - len(set(grams)) / max(1, len(grams))


def _reached(folded: str, bare: str) -> float:
    """The points for ways to reach the seller."""
    found = 5.0 * bool(_ACCOUNT.search(bare)) + 2.0 * bool(_LURE.search(bare)) + 3.0 * bool(_PHONE.search(bare))
    return min(REACHED, found + 2.0 * bool(_PAGE.search(folded)))


@njit(cache=True, nogil=True, inline="always")
def _mixed(key: np.uint64, point: np.uint32) -> np.uint64:
    key = (key ^ np.uint64(point)) * np.uint64(0x9E3779B97F4A7C15)
    return key ^ (key >> np.uint64(29))


@njit(cache=True, nogil=True)
def _fill(
    points: Points,
    starts: npt.NDArray[np.int64],
    heads: npt.NDArray[np.bool_],
    slots: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int32],
) -> None:
    mask = len(slots) - 1
    for word in range(len(starts) - 1):
        key = np.uint64(0)
        for place in range(starts[word], starts[word + 1]):
            key = _mixed(key, points[place])
            if place == starts[word] + 1 or starts[word + 1] - starts[word] == 1:
                heads[np.int64(key >> np.uint64(40)) & (len(heads) - 1)] = True
        slot = np.int64(key >> np.uint64(40)) & mask
        while slots[slot] and slots[slot] != key:
            slot = (slot + 1) & mask
        if not slots[slot]:  # a word of two kinds is of the first
            slots[slot], numbers[slot] = key, word


@njit(cache=True, nogil=True)
def _count(
    points: Points,
    plain: Points,
    heads: npt.NDArray[np.bool_],
    slots: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int32],
    kinds: npt.NDArray[np.int8],
    counts: npt.NDArray[np.int64],
    found: npt.NDArray[np.int32],
) -> tuple[int, int]:
    """Fill counts and found, as _counted returns them; returns how many characters and words there are."""
    bare = np.zeros(len(points) + LONGEST, np.uint32)
    places = np.zeros(
        len(points) + LONGEST, np.int32
    )  # how many characters come before, all digits of a number counted
    size, filled = 0, 0
    for point in points:
        folded = plain[point]
        if folded == 0:
            continue
        digit = 0x30 <= folded <= 0x39
        if digit:
            folded = np.uint32(0x30)
        if not (digit and filled and bare[filled - 1] == 0x30):
            bare[filled], places[filled] = folded, size
            filled += 1
        size += 1
    mask = len(slots) - 1
    seen = np.full(len(kinds), -1, np.int32)  # the last window in which a word was found
    hits, at = 0, 0
    while at < filled:
        key, best, length = np.uint64(0), -1, 0
        for step in range(min(LONGEST, filled - at)):
            key = _mixed(key, bare[at + step])
            if step == 1 and not heads[np.int64(key >> np.uint64(40)) & (len(heads) - 1)]:
                break
            if step:
                slot = np.int64(key >> np.uint64(40)) & mask
                while slots[slot] and slots[slot] != key:
                    slot = (slot + 1) & mask
                if slots[slot]:
                    best, length = numbers[slot], step + 1  # the longest word that begins here
        if best < 0:
            at += 1
            continue
        window, kind = places[at] // WINDOW, kinds[best]
        new = seen[best] != window
        seen[best] = window
        if kind == 0:
            counts[window, 0 if new else 1] += 1
        elif kind == 3:
            counts[window, 4] += 1
            counts[window, 6] += new
        elif new:
            counts[window, kind + 1 if kind < 4 else 5] += 1
        found[hits] = best
        hits += 1
        at += length
    return size, hits
