"""The parts of Markdown that are no text: front matter, targets of links, images, tables of contents."""

from __future__ import annotations

import re

from woodblock.cleaning.html_text import GONE

KEYS = (
    "title|author|authors|description|categor(?:y|ies)|tags?|date|layout|summary|alias(?:es)?|icon|keywords?|permalink|"
    "slug|draft|toc|lang|cover|sidebar|order|star|sticky|isOriginal|hide|comments|mathjax|updated|published|head"
)
FRONT_LINE = r"(?:[A-Za-z_][\w.-]*:(?:[ \t][^\n]*)?|[ \t]+\S[^\n]*|-[ \t][^\n]*|#[^\n]*)"
FRONT_MATTER = re.compile(
    rf"\s*---[ \t]*\n(?:(?:{FRONT_LINE})?\n){{1,400}}?(?:---|\.\.\.)[ \t]*(?:\n+|\Z)"
    r"|\s*\+\+\+[ \t]*\n(?:(?:[\w.-]+[ \t]*=[^\n]*|\[[^\n]*|[ \t]+[^\n]*|[\])}#][^\n]*)?\n){1,400}?"
    r"\+\+\+[ \t]*(?:\n+|\Z)"
)
# The same without its fences, which may have been removed as drawn rules.
FRONT_KEYS = re.compile(rf"\s*(?:{KEYS}):(?:[ \t][^\n]*)?\n(?:{FRONT_LINE}\n)*\n+(?=\S)")
SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]{1,1000}\1(?!`)|\$\$[^$]{1,4000}\$\$|(?<![\\$])\$[^$\n]{1,400}\$")
LINK_TEXT = r"(?:[^\[\]\n]|\\[\[\]]|\[[^\[\]\n]{0,200}\]){0,400}"
TARGET = (
    r"\([ \t]*(?:<[^<>\n]{0,1000}>|[^\s()<>]{0,1000}(?:\([^\s()]{0,200}\)[^\s()]{0,1000}){0,4})"
    r"(?:[ \t]+(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?[ \t]*\)"
)
IMAGE = re.compile(
    rf"!\[[^\[\]\n]{{0,400}}(?:\[[^\[\]\n]{{0,200}}\][^\[\]\n]{{0,400}})?\]{TARGET}(?:\{{[^{{}}\n]{{0,200}}\}})?"
)
LINK = re.compile(rf"\[({LINK_TEXT})\]({TARGET})")
LINK_TARGET = re.compile(r"[/.#:%]|^\([ \t]*\)$")
REFERENCE = re.compile(
    r"^ {0,3}\[(?!\^)([^\[\]\n]{1,200})\]:[ \t]*"
    r"<?(?:[a-z]+:/?/?|[./#]|www\.|mailto:)[^\s<>]*>?(?:[ \t]+[\"'(][^\n]*)?$",
    re.MULTILINE,
)
BY_REFERENCE = re.compile(r"\[([^\[\]\n]{1,300})\] ?\[([^\[\]\n]{0,200})\]")
SHORTCODE = re.compile(r"\{\{([<%])[^{}\n]{0,400}[>%]\}\}")
ANCHOR = re.compile(r"^(#{1,6} [^\n]*?)[ \t]*\{:?[ \t]*[#.][\w\u4e00-\u9fff .#:=\"'-]{0,200}\}[ \t]*$", re.MULTILINE)
TOC_MARK = re.compile(r"^[ \t]*\[{1,2}toc\]{1,2}[ \t]*$", re.MULTILINE | re.IGNORECASE)
TOC_ITEM = re.compile(rf"[ \t]*(?:[-*+]|\d+[.)])[ \t]+\**\[{LINK_TEXT}\]\((#?)[^\n]{{0,500}}\)\**[ \t]*")
TOC_HEADING = re.compile(
    r"[ \t]*(?:#{1,6}[ \t]*|\**)(?:目录|目次|本文目录|文章目录|Table of Contents|Contents|TOC)[:：]?\**[ \t]*",
    re.IGNORECASE,
)
TOC_WORDS = ("目录", "目次", "ontents", "TOC")
TOC_ITEMS = 3
FRONT_CHARS = 200  # front matter begins within so many characters
NOT_EMPTY = re.compile(r"\S")


def front_matter(text: str) -> int:
    """The place where the text begins, after its front matter (YAML: title, author, tags)."""
    if not text[:FRONT_CHARS].lstrip().startswith(("---", "+++")) and ":" not in text[:40]:
        return 0
    start = 0
    while match := FRONT_MATTER.match(text, start) or FRONT_KEYS.match(text, start):
        if not NOT_EMPTY.search(text, match.end()):
            break
        start = match.end()
    return start


def without_contents(text: str) -> str:
    """A text without its lists of links to its own headings, and lists of links under 目录."""
    if text.count("](") < TOC_ITEMS or ("](#" not in text and not any(word in text for word in TOC_WORDS)):
        return text
    lines = text.split("\n")
    kept: list[str] = []
    place = 0
    while place < len(lines):
        stop, items, own = place, 0, True
        while stop < len(lines):
            if lines[stop].strip():
                if not (found := TOC_ITEM.fullmatch(lines[stop])):
                    break
                items += 1
                own &= found[1] == "#"
            elif not items:
                break
            stop += 1
        last = next((n for n in range(len(kept) - 1, max(-1, len(kept) - 4), -1) if kept[n].strip()), -1)
        headed = last >= 0 and TOC_HEADING.fullmatch(kept[last]) is not None
        if items >= TOC_ITEMS and (own or headed):
            if headed:
                del kept[last:]
            kept += [""] if stop < len(lines) and kept and kept[-1].strip() else []
            place = stop
        else:
            stop = max(stop, place + 1)
            kept += lines[place:stop]
            place = stop
    return "\n".join(kept)


def link_at(text: str, start: int, references: frozenset[str]) -> tuple[int, str | None]:
    """(end, replacement) of a link, which is its text; None as replacement: all stays, as in code such as f[0](x).

    references: the names of links that are defined somewhere in the whole text.
    """
    if found := LINK.match(text, start):
        in_word = start and re.match(r"[A-Za-z0-9_\])]", text[start - 1])
        if ("/" in found[2] or "#" in found[2]) if in_word else LINK_TARGET.search(found[2]):
            return found.end(), found[1] or GONE
    found = BY_REFERENCE.match(text, start) if references else None
    if found and (found[2] or found[1]).casefold() in references:
        return found.end(), found[1]
    return start, None
