"""Personal data: numbers and addresses that lead to a person, each replaced by the name of its kind in brackets.

Checksums are checked: ID cards by GB 11643-1999 (ISO 7064, MOD 11-2) and their date of birth, bank cards by ISO/IEC 7812
(Luhn) and an issuer's prefix. Mobile numbers have no checksum, so they must begin as the numbering plan says and be
separate numbers. IP addresses are masked if they can be a person's; those in RFC 6890's special ranges cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import date
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

import numpy as np
import numpy.typing as npt
from numba import njit

PLACEHOLDERS = {
    "mobile": "[手机号]",
    "email": "[邮箱]",
    "id_card": "[身份证号]",
    "bank_card": "[银行卡号]",
    "ip": "[IP地址]",
}
KINDS = tuple(PLACEHOLDERS)

SHORT_CHARS = 500  # a shorter text is searched without looking for clues first, which would take longer
_HALF_WIDTH = str.maketrans("０１２３４５６７８９Ｘｘx－", "0123456789XXX-")
_DIGIT = "[0-9０-９]"
# Eleven or more digits, with at most a space or a dash between two: perhaps one number of a person, or several.
# (Each expression begins with a class of characters, so that it is found fast, and then looks at what is before it.)
NUMBERS = re.compile(
    rf"{_DIGIT}(?<![A-Za-z0-9０-９_.=#$%\-].)(?<![^0-9０-９]/.)(?:[ \-－]?{_DIGIT}){{10,}}[XxＸｘ]?"
    rf"(?![A-Za-z0-9０-９_%]|[.\-]{_DIGIT})"
)
TOKEN = re.compile(r"\d+X?")

MOBILE = re.compile(r"1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])\d{8}")
ROUND = (1 << 16, 10**6)  # multiples of these are no telephone numbers: 17179869184 is 16 GiB, 13800000000 a limit
COUNTRY = ("86", "0086")

ID_CARD = re.compile(r"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])\d{4}((?:18|19|20)\d{6})\d{3}[\dX]")
OLD_ID_CARD = re.compile(r"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])\d{4}(\d{6})\d{3}")
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
ID_WORDS = re.compile("身份证|身份號|身分证|身分證|身份證|公民身份号码|证件号|證件號")
ID_WORD_CHARS = 24  # before a number

# UnionPay and older cards of Chinese banks have 16 to 19 digits; Visa, Mastercard and JCB 16.
BANK_CARD = re.compile(r"(?:62|9558|6013|6858)\d{12,17}|(?:4\d|5[1-5]|35|2[2-7])\d{14}")

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-/@＠])([A-Za-z0-9_][A-Za-z0-9._%+\-]{0,63})[@＠]"
    r"((?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.){1,6}[A-Za-z]{2,18})(?![A-Za-z0-9\-_@]|\.[A-Za-z0-9]|:[\w/~.]|/)"
)
PASSWORD = re.compile(r"//[^\s/@]*:\Z")  # mysql://user:password@host
NAMELESS = re.compile("git|[xX]+")
NO_MAILBOX = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local|internal|service)(?:\.(?:com|net|org|cn))?$", re.I
)

IPV4 = re.compile(
    r"[0-9](?<![A-Za-z0-9_.\-].)(?<![A-Za-z]/.)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![A-Za-z0-9_\-]|\.[A-Za-z0-9])"
)
# Public IPv6 addresses are in 2000::/3.
IPV6 = re.compile(r"[23](?<![A-Za-z0-9_:.].)[0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![A-Za-z0-9_:]|\.[0-9])")
VERSION = re.compile(
    r"(?:\bv|\bver\.?|version|release|版本|版本号|版|第|[§§]|章|节|条|图|表)\s*(?:为|是)?\s*[:：]?\s*$", re.I
)
BEFORE_CHARS = 16
SECTION = 31  # in numbers of sections and versions, all parts are small
# Not a person's: private, shared, loopback, link-local, documentation, benchmarking, multicast, reserved (RFC 6890).
_SPECIAL: list[IPv4Network | IPv6Network] = [
    *map(IPv4Network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")),
    *map(IPv4Network, ("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15")),
    *map(IPv4Network, ("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3")),
    *map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
]


def mask(text: str, kinds: Collection[str] = KINDS) -> tuple[str, dict[str, int]]:
    """The text with each piece of personal data replaced by its placeholder, and how many of each kind there were.

    kinds: which of KINDS to look for; the counts have only those that were found. Idempotent. Nothing is masked inside a
    longer string of digits or letters. Raises ValueError for an unknown kind.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"{unknown[0]} is not a kind of personal data; the kinds are {', '.join(KINDS)}")
    counts: dict[str, int] = {}

    def masked(kind: str) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        return PLACEHOLDERS[kind]

    if "email" in kinds and ("@" in text or "＠" in text):
        text = EMAIL.sub(lambda m: m[0] if _no_mailbox(m) else masked("email"), text)
    numbers, addresses, new_addresses = _clues(text)
    if numbers and not {"mobile", "id_card", "bank_card"}.isdisjoint(kinds):
        text = _numbers(text, kinds, masked)
    if "ip" in kinds:
        text = IPV4.sub(lambda m: masked("ip") if _of_a_person(m) else m[0], text) if addresses else text
        text = IPV6.sub(lambda m: masked("ip") if _of_a_person(m) else m[0], text) if new_addresses else text
    return text, dict(sorted(counts.items()))


def _clues(text: str) -> tuple[bool, bool, bool]:
    """Whether a text may have a number of eleven digits, an IPv4 address, an IPv6 address; if not, it is not searched."""
    if len(text) < SHORT_CHARS:
        return True, "." in text, ":" in text
    return _near_one_another(np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16))


@njit(cache=True, nogil=True)
def _near_one_another(units: npt.NDArray[np.uint16]) -> tuple[bool, bool, bool]:
    """Whether there are 11 digits, 3 dots between digits, and 2 colons, as close together as in a number and in the two
    kinds of addresses.
    """
    digits = np.full(11, -100, np.int64)  # the places of the last eleven
    dots = np.full(3, -100, np.int64)
    colon, number, of_dots = -100, 0, 0
    numbers = addresses = new_addresses = False
    was_digit = False
    for place in range(len(units)):
        unit = units[place]
        is_digit = 0x30 <= unit <= 0x39 or 0xFF10 <= unit <= 0xFF19
        if is_digit:
            numbers |= place - digits[(number + 1) % 11] <= 20
            digits[number % 11] = place
            number += 1
        elif unit == 0x3A:
            new_addresses |= place - colon <= 5
            colon = place
        elif unit == 0x2E and was_digit and place + 1 < len(units):
            after = units[place + 1]
            if 0x30 <= after <= 0x39 or 0xFF10 <= after <= 0xFF19:
                addresses |= place - dots[(of_dots + 1) % 3] <= 8
                dots[of_dots % 3] = place
                of_dots += 1
        was_digit = is_digit
    return numbers, addresses, new_addresses


def _no_mailbox(match: re.Match[str]) -> bool:
    """Whether an address is nobody's: xxx@qq.com, the user of a repository or a service, a domain for examples."""
    if PASSWORD.search(match.string, max(0, match.start() - BEFORE_CHARS * 4), match.start()):
        return True
    return bool(NAMELESS.fullmatch(match[1]) or NO_MAILBOX.search(match[2]))


def _numbers(text: str, kinds: Collection[str], masked: Callable[[str], str]) -> str:
    """The text with the numbers of persons masked."""
    pieces, end = [], 0
    for match in NUMBERS.finditer(text):
        half = match[0].translate(_HALF_WIDTH)
        for kind, start, stop in _found(half, kinds, match):
            start += match.start()
            if kind == "mobile" and start > end and text[start - 1] in "+＋":
                start -= 1
            pieces += [text[end:start], masked(kind)]
            end = match.start() + stop
    return "".join(pieces) + text[end:] if pieces else text


def _found(half: str, kinds: Collection[str], match: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of each number of a person in a run of digits in half width, in order."""
    tokens = [(m.start(), m.end()) for m in TOKEN.finditer(half)]
    at = 0
    while at < len(tokens):
        for size in (1, 2, 3, 4, 5):  # groups: a country code and 3-4-4; a card in fours
            group = tokens[at : at + size]
            if len(group) < size:
                continue
            start, stop = group[0][0], group[-1][1]
            if half[max(0, start - 1) : start] == "-" or half[stop : stop + 1] == "-":
                continue
            kind = _kind([half[a:b] for a, b in group], match, start)
            if kind and kind in kinds:
                yield kind, start, stop
                at += size
                break
        else:
            at += 1


def _kind(groups: list[str], match: re.Match[str], start: int) -> str:
    """The kind of number that groups of digits make; "" for none."""
    sizes = [len(group) for group in groups]
    digits = "".join(groups)
    if _is_mobile(groups, sizes):
        return "mobile"
    if len(groups) == 1 and _is_id_card(digits):
        return "id_card"
    in_fours = sizes[:4] == [4, 4, 4, 4] and len(sizes) <= 5 and all(size <= 3 for size in sizes[4:])
    if (len(groups) == 1 or in_fours) and BANK_CARD.fullmatch(digits) and luhn(digits):
        return "bank_card"
    if len(groups) == 1 and len(digits) == 15 and _is_old_id_card(digits):
        place = match.start() + start
        if ID_WORDS.search(match.string, max(0, place - ID_WORD_CHARS), place):
            return "id_card"
    return ""


def _is_mobile(groups: list[str], sizes: list[int]) -> bool:
    if groups[0] in COUNTRY and len(groups) > 1:
        groups, sizes = groups[1:], sizes[1:]
    digits = "".join(groups)
    if sizes not in ([11], [3, 4, 4], [13], [15]):
        return False
    for code in COUNTRY:
        if len(digits) == 11 + len(code) and len(sizes) == 1:
            digits = digits.removeprefix(code)
    return bool(MOBILE.fullmatch(digits)) and all(int(digits) % number for number in ROUND)


def _is_id_card(digits: str) -> bool:
    found = ID_CARD.fullmatch(digits)
    return found is not None and _is_date(found[1]) and id_check(digits[:17]) == digits[17]


def _is_old_id_card(digits: str) -> bool:
    found = OLD_ID_CARD.fullmatch(digits)
    return found is not None and _is_date("19" + found[1])


def _is_date(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True


def id_check(digits: str) -> str:
    """The eighteenth character of an ID card from its 17 digits (GB 11643-1999): 0 to 9 or X."""
    return "10X98765432"[sum(int(d) * weight for d, weight in zip(digits, ID_WEIGHTS, strict=True)) % 11]


def luhn(digits: str) -> bool:
    """Whether the last digit of a card's number is the right one (ISO/IEC 7812-1, annex B)."""
    doubled = (int(d) * (2 if n % 2 else 1) for n, d in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _of_a_person(match: re.Match[str]) -> bool:
    """Whether what looks like an IP address is a public one, and not the number of a version or a section."""
    try:
        address = ip_address(match[0])
    except ValueError:
        return False
    if any(address in network for network in _SPECIAL if network.version == address.version):
        return False
    if isinstance(address, IPv6Address):
        return True
    if max(address.packed) <= SECTION:
        return False
    before = match.string[max(0, match.start() - BEFORE_CHARS) : match.start()]
    return not VERSION.search(before)
