"""Names, numbers and layout of Chinese statutes, for all stages that handle laws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

REPUBLIC = "中华人民共和国"
WHOLE_TEXT = (
    "全文"  # the "article" of a decision or an interpretation that is not divided into articles; its number is 0
)
IDEOGRAPHIC_SPACE = "　"

_DIGITS = "零一二三四五六七八九"
_UNITS = ("", "十", "百", "千")
_NUMERAL = re.compile(r"[零一二三四五六七八九十百千万]+")
_QUOTED = re.compile(r"《([^《》]+)》")
_AMENDMENT = re.compile(r"^(.+?)修正案(?:$|[（(第].*)")
# A law by its short name: 刑法, 民法典; but not 办法 (measures), which are not national laws.
_SHORT_LAW = re.compile(r"^(?!中华人民共和国).*(?:(?<!办)法|法典)$")


def law_group(title: str) -> str:
    """The law that a title belongs to. So what amends or interprets a law is in the same split as the law.

    A title that quotes 《X》 (an interpretation of X, a decision to change X) belongs to X; an amendment (修正案) to
    the law that it amends; every other title to itself. Laws come under their full name, with 中华人民共和国 before
    it, also where a title gives the short one. Applying it twice changes nothing.

    >>> law_group("刑法修正案（三）")
    '中华人民共和国刑法'
    """
    name = title.strip()
    if quoted := _QUOTED.search(name):
        name = quoted[1].strip() or name
    if amendment := _AMENDMENT.match(name):
        name = amendment[1]
    return REPUBLIC + name if _SHORT_LAW.match(name) else name


def short_name(law: str) -> str:
    """The name without 中华人民共和国 before it, as people say it."""
    return law.removeprefix(REPUBLIC) or law


def cite(law: str, article: str) -> str:
    """A citation in the usual form: 《law》article.

    >>> cite("中华人民共和国民法典", "第一条")
    '《中华人民共和国民法典》第一条'
    """
    return f"《{law}》{article}"


def chinese_number(number: int) -> str:
    """A number from 0 to 99,999,999 in Chinese numerals, as statutes count their articles.

    Raises ValueError outside of that range.

    >>> chinese_number(120), chinese_number(1005)
    ('一百二十', '一千零五')
    """
    if not 0 <= number < 10**8:
        raise ValueError(f"{number} is not within 0 and 99,999,999")
    high, low = divmod(number, 10_000)
    if not high:
        numeral = _below_ten_thousand(low) if low else "零"
    else:
        # A gap below 万 is read as one 零: 一万零五, 一万零五百.
        gap = "零" if 0 < low < 1000 else ""
        numeral = f"{_below_ten_thousand(high)}万{gap}{_below_ten_thousand(low)}"
    return numeral.removeprefix("一") if numeral.startswith("一十") else numeral


def _below_ten_thousand(number: int) -> str:
    numeral = ""
    for position, digit in zip(range(3, -1, -1), f"{number:04d}", strict=True):
        if digit != "0":
            numeral += _DIGITS[int(digit)] + _UNITS[position]
        elif numeral and not numeral.endswith("零"):
            numeral += "零"
    return numeral.rstrip("零")


def parse_chinese_number(numeral: str) -> int:
    """The number that a Chinese numeral stands for: the inverse of `chinese_number`. It accepts 〇 and 一十 too.

    Raises ValueError for anything else ("十百", "一百五", ""): a guessed number would be a wrong citation.
    """
    plain = numeral.replace("〇", "零")
    if plain.startswith("一十"):
        plain = plain[1:]
    if _NUMERAL.fullmatch(plain):
        total, digit, section = 0, 0, 0
        for character in plain:
            if character in _DIGITS:
                digit = _DIGITS.index(character)
            elif character == "万":
                total, section, digit = total + (section + digit) * 10_000, 0, 0
            else:
                # 十 at the head of a numeral stands for 一十.
                section, digit = section + (digit or 1) * 10 ** _UNITS.index(character), 0
        number = total + section + digit
        # The loop above also reads wrong numerals. A right one is equal to what chinese_number writes.
        if number < 10**8 and chinese_number(number) == plain:
            return number
    raise ValueError(f"{numeral!r} is no Chinese number")


def article_name(number: int) -> str:
    """The name of an article: 120 → 第一百二十条. Raises ValueError below 1."""
    if number < 1:
        raise ValueError(f"articles count from 1, not {number}")
    return f"第{chinese_number(number)}条"


def parse_article_name(name: str) -> int:
    """The inverse of `article_name`: 第一百二十条 → 120. Raises ValueError for anything else."""
    if found := re.fullmatch("第(.+)条", name):
        return parse_chinese_number(found[1])
    raise ValueError(f"{name!r} is no article's name")


def render_law(title: str, articles: Iterable[Mapping[str, Any]]) -> str:
    """A whole law as the document that people read: its title, its headings, and its articles.

    articles: in order, each with article ("第一条") and text, and with chapter and section where there are any.
    Headings stand on a line of their own where they change. 第一条　… is set as in print, with an ideographic space;
    an article that is an item of an amendment (`item`: True) as 一、…; a text that is not divided (全文) stands bare.
    """
    lines = [title, ""]
    chapter = section = ""
    for article in articles:
        if (heading := article.get("chapter") or "") != chapter:
            chapter, section = heading, ""
            lines += ["", _heading(chapter)] if chapter else []
        if (heading := article.get("section") or "") != section:
            section = heading
            lines += [_heading(section)] if section else []
        name, text = article["article"], article["text"].strip()
        if name == WHOLE_TEXT:
            lines.append(text)
        elif article.get("item"):
            lines.append(f"{name.removeprefix('第').removesuffix('条')}、{text}")
        else:
            lines.append(f"{name}{IDEOGRAPHIC_SPACE}{text}")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _heading(text: str) -> str:
    return text.strip().replace(" ", IDEOGRAPHIC_SPACE, 1)
