"""Remove markup from a text: an HTML page becomes its text; tags, entities and marks of Markdown are removed.

Code and tables stay as they are. A mark may be inside another, so the steps are repeated
until nothing changes any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from woodblock.cleaning import documentation, html_text, markdown_text
from woodblock.cleaning.html_text import GONE
from woodblock.structure import blocks

ROUNDS = 6  # markup inside markup: [![badge](…)](…), <<b>i>
NESTED = re.compile(r"[`$<&{!\[]")
LINE_MARKS = tuple("#-+*>~`:[|!0123456789{")  # at the beginning of a line they change the meaning of the line
NESTING = tuple("<[!{&`$")  # after one of these, the words of a link may be part of another mark
ROW_START = 40  # how far back the beginning of a line is looked for, over spaces
EMPTIED = re.compile(rf"[ \t]*(?:(?:[-*+>]|\d+[.)])[ \t]*)?(?:{GONE}[ \t]*)+\n?")


def plain(text: str) -> str:
    """The text of an HTML page; or a text without its pieces of HTML and without the parts of Markdown that are no text.

    Headings, lists and formulas are kept; of a link only its text. Code and tables stay. Idempotent. Linear in time,
    except for pages with thousands of nested elements: lexbor's time grows with the square of the depth.
    """
    if not _has_markup(text):
        return text
    given = text = text.replace(GONE, "")
    for _ in range(ROUNDS):
        before = text
        text = text[markdown_text.front_matter(text) :]
        marks = _Marks.of(text)
        if "<" in text and html_text.is_page(text):
            text, marks.again = html_text.page_text(text), True
        text = documentation.without_syntax(text)
        pieces = _code_and_prose(text)
        text = "".join(piece if kind in blocks.KEPT else _prose(piece, marks) for kind, piece in pieces)
        if text == before:
            break
        # After lines were removed, others may count as indented code, and front matter may now be at the beginning.
        if (
            not marks.again
            and not any(kind == blocks.INDENTED for kind, _ in pieces)
            and not markdown_text.front_matter(text)
        ):
            break
    return text if text == given else text.strip("\n")


def _code_and_prose(text: str) -> list[blocks.Piece]:
    """The pieces of a text. What is neither code nor a table is one piece up to the next of them: marks go over lines."""
    found: list[blocks.Piece] = []
    for kind, group in groupby(
        blocks.pieces(text), lambda piece: piece.kind if piece.kind in blocks.KEPT else blocks.PROSE
    ):
        found.append(blocks.Piece(kind, "".join(piece.text for piece in group)))
    return found


def _kept_kind(piece: blocks.Piece) -> int:
    return piece.kind if piece.kind in blocks.KEPT else blocks.PROSE


def _has_markup(text: str) -> bool:
    """Whether there is anything that `plain` might remove."""
    return (
        ("[" in text and any(mark in text for mark in ("](", "]:", "[toc]", "[TOC]")))
        or ("{" in text and any(mark in text for mark in ("{{<", "{{%", "{#", "{:", "{ #")))
        or ("<" in text and ("<!--" in text or "</" in text))
        or ("&" in text and html_text.ENTITY.search(text) is not None)
        or ("<" in text and html_text.TAG.search(text) is not None)
        or markdown_text.front_matter(text) > 0
        or documentation.has_signs(text)
    )


@dataclass
class _Marks:
    """What the pieces must know about the whole text; and whether another round may find more marks."""

    references: frozenset[str]  # names of links that are defined somewhere
    closed: frozenset[str]  # names of tags that end somewhere
    again: bool = False

    @classmethod
    def of(cls, text: str) -> _Marks:
        names = (match[1].casefold() for match in markdown_text.REFERENCE.finditer(text)) if "]:" in text else ()
        closed = (match[1] for match in html_text.END_TAG.finditer(text)) if "</" in text else ()
        return cls(frozenset(names), frozenset(closed))


def _prose(text: str, marks: _Marks) -> str:
    """A piece of prose without its marks."""
    brackets = "[" in text
    links = brackets and "](" in text
    before = text
    if links:
        text = markdown_text.without_contents(text)
    if brackets and "]:" in text:
        text = markdown_text.REFERENCE.sub(GONE, text)
    if brackets and ("toc]" in text or "TOC]" in text):
        text = markdown_text.TOC_MARK.sub(GONE, text)
    if "{" in text and ("{#" in text or "{:" in text or "{ #" in text):
        text = markdown_text.ANCHOR.sub(r"\1", text)
    marks.again = marks.again or text != before
    wanted = "[!" if links else "[" if marks.references and "]" in text else ""
    wanted += "".join(mark[0] for mark in ("<", "&", "{{") if mark in text)
    if not wanted:
        return _settled(text)
    candidate = _any_of(wanted + "".join(mark for mark in "`$" if mark in text))
    pieces, written, place = [], 0, 0
    begins = True  # whether the next character is at the beginning of a line
    never: set[str] = set()  # ends of comments and scripts that are known not to come any more
    while match := candidate.search(text, place):
        start = match.start()
        stop, instead = _mark_at(text, start, marks, never)
        if instead is not None:
            if tail := text[max(written, start - ROW_START) : start].rstrip(" \t"):
                begins = tail.endswith("\n")
            # A whole removed line, and the words of a link within a line, cannot be part of another mark. After anything
            # else another round is needed.
            whole_line = instead == GONE and begins and text[stop : stop + 1] in ("", "\n")
            within = text[start] == "[" and instead != GONE and not NESTED.search(instead)
            within = within and not (begins and instead[0] in LINE_MARKS) and text[start - 1 : start] not in NESTING
            marks.again = marks.again or not (whole_line or within)
            begins = whole_line
            pieces += [text[written:start], instead]
            written = stop
        place = max(stop, start + 1)
    return _settled("".join([*pieces, text[written:]]))


def _settled(text: str) -> str:
    """A text without GONE, and without the lines that have nothing else."""
    if GONE not in text:
        return text
    pieces, written = [], 0
    while (place := text.find(GONE, written)) >= 0:
        start = max(written, text.rfind("\n", written, place) + 1)
        stop = text.find("\n", place) + 1 or len(text)
        line = text[start:stop]
        pieces += [text[written:start], "" if EMPTIED.fullmatch(line) else line.replace(GONE, "")]
        written = stop
    return "".join(pieces) + text[written:]


@cache
def _any_of(characters: str) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, characters)))


def _mark_at(text: str, start: int, marks: _Marks, never: set[str]) -> tuple[int, str | None]:
    """(end, replacement) of the mark that begins at a place; None as replacement: it stays, up to its end."""
    character = text[start]
    if character in "`$":
        found = markdown_text.SPAN.match(text, start)
        return (found.end(), None) if found and (character == "`" or "](" not in found[0]) else (start, None)
    if character == "<":
        return html_text.tag_at(text, start, marks.closed, never)
    if character == "&":
        return html_text.entity_at(text, start)
    if character == "{":
        found = markdown_text.SHORTCODE.match(text, start)
        return (found.end(), GONE) if found else (start, None)
    if character == "!":
        found = markdown_text.IMAGE.match(text, start)
        return (found.end(), GONE) if found else (start, None)
    return markdown_text.link_at(text, start, marks.references)
