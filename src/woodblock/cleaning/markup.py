"""From pages and Markdown to text: what marks up goes, what is said stays; and lines that every page of a site "
"has go.

`plain` turns a whole HTML page into its readable text (parsed by lexbor, as browsers parse), and takes out of other
text the pieces of HTML and the parts of Markdown that carry no words. Code stays as it is: in fences, indented, and in
back quotes. `without_boilerplate` drops lines of navigation, sharing, copyright and the like; only a line that is
nothing else goes, since the same words stand in running text too.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from html.entities import html5

import numpy as np
from numba import njit
from selectolax.lexbor import LexborHTMLParser, LexborNode

ROUNDS = 6  # markup inside markup: [![badge](…)](…), <<b>i>
GONE = "\0"  # stands for what was taken out, until it is known whether its line has anything else

# --- HTML -------------------------------------------------------------------------------------------------------------


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BLOCKS = _words(
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section "
    "summary table tbody tfoot thead tr ul"
)
# Tags that also stand for something else in angle brackets (<time>, List<b>): these must have an attribute or an end.
DOUBTFUL = _words(
    "a b i s q u address article base body button caption code col data dialog em embed figure font "
    "footer form frame head header input label legend li link main map mark menu meta object option p "
    "param section select small source span strong style sub summary sup svg table td template text "
    "textarea th time title tr track tt ul var video"
)
TAGS = (
    BLOCKS
    | DOUBTFUL
    | _words(
        "abbr acronym area audio bdi bdo big canvas cite colgroup del dfn frameset hgroup iframe img ins kbd "
        "noscript optgroup picture rp rt ruby samp script strike wbr"
    )
)
_NAME = "|".join(sorted({*TAGS, *map(str.upper, TAGS)}, key=lambda tag: (-len(tag), tag)))
TAG = re.compile(
    rf"<(/?)({_NAME})"
    r"(\s(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*'){0,4000})?\s*(/?)>"
)
ESCAPED_TAG = re.compile(rf"&lt;(?:/?(?:{_NAME})(?:\s[^&<>`\n]{{0,200}})?\s*/?)&gt;")
AFTER_ANGLE = re.compile(rf"!--|/?(?:{_NAME})(?![A-Za-z0-9])")
ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
PAGE = re.compile(r"<(?:!doctype\s+html|html|body)[\s>]", re.IGNORECASE)
PAGE_HEAD = 2000  # characters at the beginning in which a page says what it is
MOSTLY_TAGS = 0.25  # of the characters
MANY_TAGS = 12
SILENT = _words(
    "script style noscript template nav footer aside form iframe svg math button select input textarea "
    "object embed canvas audio video map dialog menu head title datalist"
)
SILENT_ROLES = _words("navigation banner contentinfo search complementary menu menubar toolbar dialog")
SILENT_NAME = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|breadcrumbs?|crumbs?|footer|foot|sidebar|side|share|sharing|social|"
    r"pagination|pager|copyright|advert\w*|ads?|login|toolbar|topbar|related|recommend|hot|comments?|"
    r"cookie)(?:$|[\s_-])",
    re.IGNORECASE,
)
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
SPACES = re.compile(r"[ \t\n\r\f\xa0]+")


def plain(text: str) -> str:
    """The text of an HTML page; or the text without its pieces of HTML and without what in Markdown says nothing.

    Kept are headings, lists, emphasis, tables, formulas and all code; of a link its text. Idempotent. Linear in time, but
    for pages whose elements lie in one another by the thousand: lexbor's time grows with the square of the depth.
    """
    if not _has_markup(text):
        return text
    given = text = text.replace(GONE, "")
    for _ in range(ROUNDS):
        before = text
        text = text[_front_matter(text) :]
        marks = _Marks.of(text)
        if "<" in text and _is_page(text):
            text, marks.again = _page(text), True
        pieces = list(_pieces(text))
        text = "".join(piece if code else _prose(piece, marks) for code, piece in pieces)
        if text == before:
            break
        # Where lines went, others may be indented for another reason; where the first went, front matter may begin.
        if not marks.again and not any(code == INDENTED for code, _ in pieces) and not _front_matter(text):
            break
    return text if text == given else text.strip("\n")


def _has_markup(text: str) -> bool:
    """Whether there is anything that `plain` might take out."""
    return (
        ("[" in text and any(mark in text for mark in ("](", "]:", "[toc]", "[TOC]")))
        or ("{" in text and any(mark in text for mark in ("{{<", "{{%", "{#", "{:", "{ #")))
        or ("<" in text and ("<!--" in text or "</" in text))
        or ("&" in text and ENTITY.search(text) is not None)
        or ("<" in text and TAG.search(text) is not None)
        or _front_matter(text) > 0
    )


def _is_page(text: str) -> bool:
    head = text[:PAGE_HEAD].lstrip("\ufeff \t\n")
    if head.startswith("<") and PAGE.search(head):
        return True
    if "```" in text or text.count("</") < MANY_TAGS:
        return False
    tags = [len(match[0]) for match in TAG.finditer(text)]
    return len(tags) >= MANY_TAGS and sum(tags) >= MOSTLY_TAGS * len(text)


def _page(text: str) -> str:
    """The readable text of a page: blocks as lines, items with a dash or number, rows of tables with bars "
    "between cells."""
    tree = LexborHTMLParser(text.encode("utf-8", "replace").decode("utf-8"))  # half a surrogate pair is no text
    if tree.body is None:
        return ""
    pieces: list[str] = []
    stack: list[LexborNode | str] = [tree.body]
    numbers: dict[int, int] = {}  # of items in numbered lists
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            pieces.append(node)
        elif node.tag == "-text":
            pieces.append(TAG.sub(r"`\g<0>`", SPACES.sub(" ", node.text(deep=False) or "")))
        elif node.tag in ("pre", "textarea"):
            code = (node.text() or "").strip("\n")
            pieces.append(f"\n```\n{code}\n```\n" if code.strip() and "```" not in code else f"\n{code}\n")
        elif node.tag == "code":
            pieces.append(f"`{SPACES.sub(' ', node.text() or '').strip()}`")
        elif not node.tag.startswith(("-", "_")) and not _is_silent(node):
            before, after = _marks(node, numbers)
            children = list(node.iter(include_text=True))
            if node.tag == "ol":
                items = [child for child in children if child.tag == "li"]
                numbers.update((item.mem_id, number) for number, item in enumerate(items, 1))
            stack += [after, *reversed(children), before]
    lines = _outside_fences("".join(pieces), lambda line: SPACES.sub(" ", line).strip(" |") or "")
    return "\n".join(lines).strip()


def _outside_fences(text: str, function: Callable[[str], str]) -> Iterator[str]:
    """The lines of a text: inside fences as they are, others by the function, without empty ones."""
    inside = False
    for line in text.split("\n"):
        fence = line.startswith("```")
        if inside or fence:
            yield line
        elif changed := function(line):
            yield changed
        inside ^= fence


def _is_silent(node: LexborNode) -> bool:
    if node.tag in SILENT:
        return True
    if node.tag == "header":
        return not _within(node, ("article", "main"))
    attributes = node.attributes
    if not attributes or node.tag in ("body", "main", "article", "html"):
        return False
    if "hidden" in attributes or attributes.get("role") in SILENT_ROLES or attributes.get("aria-hidden") == "true":
        return True
    if HIDDEN.search(attributes.get("style") or ""):
        return True
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    return node.tag in ("div", "ul", "ol", "section", "p", "dl", "table") and bool(SILENT_NAME.search(names))


def _within(node: LexborNode, tags: tuple[str, ...]) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag in tags:
            return True
        parent = parent.parent
    return False


def _marks(node: LexborNode, numbers: dict[int, int]) -> tuple[str, str]:
    """What stands before and after the text of an element."""
    if node.tag == "li":
        return f"\n{numbers[node.mem_id]}. " if node.mem_id in numbers else "\n- ", "\n"
    if node.tag in ("td", "th"):
        return " ", " |"
    if node.tag in BLOCKS:
        return "\n", "\n"
    return "", ""


# --- code and prose ---------------------------------------------------------------------------------------------------

FENCED, INDENTED = "fenced", "indented"
FENCE = re.compile(r"`{3,}|~{3,}")
TICKS = re.compile(r"````*")  # begins with a literal, by which it is found fast
ITEM = re.compile(r"\s*(?:[-*+] |\d+[.)、] |\?\?\?|!!!|=== )")
MARKED = re.compile(r"\s*(?:[-*+] |\d+[.)] |!\[|\[|<(?:img|br|div|a|p|figure|center|table|ul|ol|details|span)\b)")


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(FENCED, INDENTED or "" for prose; piece) of a text: code is in fences, or indented after an empty line."""
    written = 0
    for start, stop in _fences(text):
        yield from _indented(text[written:start])
        yield FENCED, text[start:stop]
        written = stop
    yield from _indented(text[written:])


def _fences(text: str) -> Iterator[tuple[int, int]]:
    """Where fenced code begins and ends, its fences counted; a fence that is never closed has the rest of the "
    "text."""
    start, mark = -1, ""
    found_marks = FENCE.finditer(text) if "~~~" in text else TICKS.finditer(text) if "```" in text else ()
    for found in found_marks:
        place = found.start()
        line = text.rfind("\n", max(0, place - ROW_CHARS), place) + 1
        before, place = text[line:place], found.end()
        if before.strip(" \t>"):
            continue
        end = text.find("\n", place, place + ROW_CHARS)
        after = text[place : end if end >= 0 else place + ROW_CHARS]
        if start < 0:
            if "`" not in after:
                start, mark = line, found[0]
        elif found[0].startswith(mark) and not after.strip():
            yield start, place
            start = -1
    if start >= 0:
        yield start, len(text)


def _indented(text: str) -> Iterator[tuple[str, str]]:
    """The same of a text without fences."""
    if "\n    " not in text and "\n\t" not in text and not text.startswith(("    ", "\t")):
        yield "", text
        return
    code = in_list = False
    empty, start, place = True, 0, 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            indented = line.startswith(("    ", "\t"))
            is_code = indented and (code or (empty and not (in_list and MARKED.match(line))))
            if not indented:
                in_list = bool(ITEM.match(line))
            if is_code != code:
                yield INDENTED if code else "", text[start:place]
                code, start = is_code, place
            empty = False
        else:
            empty = True
        place += len(line)
    yield INDENTED if code else "", text[start:]


# --- Markdown ---------------------------------------------------------------------------------------------------------

KEYS = (
    "title|author|authors|description|categor(?:y|ies)|tags?|date|layout|summary|alias(?:es)?|icon|keywords?|"
    "permalink|"
    "slug|draft|toc|lang|cover|sidebar|order|star|sticky|isOriginal|hide|comments|mathjax|updated|published|head"
)
FRONT_LINE = r"(?:[A-Za-z_][\w.-]*:(?:[ \t][^\n]*)?|[ \t]+\S[^\n]*|-[ \t][^\n]*|#[^\n]*)"
FRONT_MATTER = re.compile(
    rf"\s*---[ \t]*\n(?:(?:{FRONT_LINE})?\n){{1,400}}?(?:---|\.\.\.)[ \t]*(?:\n+|\Z)"
    r"|\s*\+\+\+[ \t]*\n(?:(?:[\w.-]+[ \t]*=[^\n]*|\[[^\n]*|[ \t]+[^\n]*|"
    r"[\])}#][^\n]*)?\n){1,400}?\+\+\+[ \t]*(?:\n+|\Z)"
)
# The same without its fences, which look like rules that are drawn.
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
    r"^ {0,3}\[(?!\^)([^\[\]\n]{1,200})\]:[ \t]*<?(?:[a-z]+:/?/?|[./#]|www\.|"
    r"mailto:)[^\s<>]*>?(?:[ \t]+[\"'(][^\n]*)?$",
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
NESTED = re.compile(r"[`$<&{!\[]")
FRONT_CHARS = 200  # within which front matter begins
LINE_MARKS = tuple("#-+*>~`:[|!0123456789{")  # at the beginning of a line they mark all of it
NESTING = tuple("<[!{&`$")  # before a link's words, which may then be part of another mark
ROW_START = 40  # within which what begins a line begins, after spaces
ROW_CHARS = 4000  # of a row of a table, in which a break of the line would break the row
EMPTIED = re.compile(rf"[ \t]*(?:(?:[-*+>]|\d+[.)])[ \t]*)?(?:{GONE}[ \t]*)+\n?")
NOT_EMPTY = re.compile(r"\S")
END_TAG = re.compile(r"</([A-Za-z][A-Za-z0-9]*)\s*>")


def _front_matter(text: str) -> int:
    """Where the text begins after its front matter (YAML: title, author, tags)."""
    if not text[:FRONT_CHARS].lstrip().startswith(("---", "+++")) and ":" not in text[:40]:
        return 0
    start = 0
    while match := FRONT_MATTER.match(text, start) or FRONT_KEYS.match(text, start):
        if not NOT_EMPTY.search(text, match.end()):
            break
        start = match.end()
    return start


@dataclass
class _Marks:
    """What of a whole text its pieces must know; and whether what was found in them may hold more."""

    references: frozenset[str]  # names of links that are defined somewhere
    closed: frozenset[str]  # names of tags that end somewhere
    again: bool = False

    @classmethod
    def of(cls, text: str) -> _Marks:
        names = (match[1].casefold() for match in REFERENCE.finditer(text)) if "]:" in text else ()
        closed = (match[1] for match in END_TAG.finditer(text)) if "</" in text else ()
        return cls(frozenset(names), frozenset(closed))


def _prose(text: str, marks: _Marks) -> str:
    """A piece without code as `plain` leaves it."""
    brackets = "[" in text
    links = brackets and "](" in text
    before = text
    if links:
        text = _without_contents(text)
    if brackets and "]:" in text:
        text = REFERENCE.sub(GONE, text)
    if brackets and ("toc]" in text or "TOC]" in text):
        text = TOC_MARK.sub(GONE, text)
    if "{" in text and ("{#" in text or "{:" in text or "{ #" in text):
        text = ANCHOR.sub(r"\1", text)
    marks.again = marks.again or text != before
    wanted = "[!" if links else "[" if marks.references and "]" in text else ""
    wanted += "".join(mark[0] for mark in ("<", "&", "{{") if mark in text)
    if not wanted:
        return _settled(text)
    candidate = _any_of(wanted + "".join(mark for mark in "`$" if mark in text))
    pieces, written, place = [], 0, 0
    begins = True  # whether what was written last is the beginning of a line
    never: set[str] = set()  # ends of comments and scripts that do not come any more
    while match := candidate.search(text, place):
        start = match.start()
        stop, instead = _one(text, start, marks, never)
        if instead is not None:
            if tail := text[max(written, start - ROW_START) : start].rstrip(" \t"):
                begins = tail.endswith("\n")
            # A whole line that goes, and words of a link within a line, are no mark's part; of all else look again.
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
    """A text without GONE, and without the lines that had nothing else."""
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


def _one(text: str, start: int, marks: _Marks, never: set[str]) -> tuple[int, str | None]:
    """(end, what stands instead) of the mark that begins at a place; None where it stays up to its end."""
    character = text[start]
    if character in "`$":
        found = SPAN.match(text, start)
        return (found.end(), None) if found and (character == "`" or "](" not in found[0]) else (start, None)
    if character == "<":
        return _angle(text, start, marks, never)
    if character == "&":
        if found := ESCAPED_TAG.match(text, start):
            return found.end(), f"`{html.unescape(found[0])}`"
        found = ENTITY.match(text, start)
        return (found.end(), _entity(found)) if found else (start, None)
    if character == "{":
        found = SHORTCODE.match(text, start)
        return (found.end(), GONE) if found else (start, None)
    if character == "!":
        found = IMAGE.match(text, start)
        return (found.end(), GONE) if found else (start, None)
    return _bracket(text, start, marks)


def _bracket(text: str, start: int, marks: _Marks) -> tuple[int, str | None]:
    """A link, whose text stays; of code such as f[0](x) all does."""
    if found := LINK.match(text, start):
        in_word = start and re.match(r"[A-Za-z0-9_\])]", text[start - 1])
        if ("/" in found[2] or "#" in found[2]) if in_word else LINK_TARGET.search(found[2]):
            return found.end(), found[1] or GONE
    found = BY_REFERENCE.match(text, start) if marks.references else None
    if found and (found[2] or found[1]).casefold() in marks.references:
        return found.end(), found[1]
    return start, None


def _angle(text: str, start: int, marks: _Marks, never: set[str]) -> tuple[int, str | None]:
    """A comment, a script, a style, preformatted code or a tag."""
    if text.startswith("<!--", start):
        stop = _end(text, "-->", start + 4, never)
        return (stop, GONE) if stop else (start, None)
    found = TAG.match(text, start)
    if not found:
        return start, None
    closing, name, attributes, _ = found.groups()
    tag = name.lower()
    if not closing and name not in marks.closed and tag in DOUBTFUL and "=" not in (attributes or ""):
        return start, None
    if not closing and tag in ("script", "style", "pre"):
        stop = _end(text, f"</{name}>", found.end(), never)
        if stop and tag != "pre":
            return stop, GONE
        if stop:
            code = _unescaped(TAG.sub("", text[found.end() : stop - len(name) - 3])).strip("\n")
            return stop, f"{GONE}\n```\n{code}\n```\n{GONE}" if "```" not in code else code
    if tag not in BLOCKS:
        return found.end(), GONE
    line = text.rfind("\n", max(0, start - ROW_CHARS), start) + 1
    in_row = text.startswith("|", line)
    return found.end(), " " if in_row else f"\n{GONE}" if tag == "br" else f"{GONE}\n{GONE}"


def _end(text: str, mark: str, start: int, never: set[str]) -> int:
    """Where a mark ends; 0 if it does not come."""
    place = -1 if mark in never else text.find(mark, start)
    if place < 0:
        never.add(mark)
        return 0
    return place + len(mark)


def _entity(match: re.Match[str]) -> str | None:
    """The character of an entity; None where it is unknown, or would make a tag or another entity."""
    character = html.unescape(match[0])
    after = match.string[match.end() : match.end() + 1]
    if character == match[0] or character in ("\ufffd", "") or (match[1][0] != "#" and match[1] + ";" not in html5):
        return None
    if character == "<" and AFTER_ANGLE.match(match.string, match.end()):
        return None
    if character == "&" and (after.isalnum() or after == "#"):
        return None
    return " " if character == "\xa0" else "\\|" if character == "|" else character


def _unescaped(code: str) -> str:
    return html.unescape(code) if "&" in code else code


def _without_contents(text: str) -> str:
    """A text without its lists of links to its own headings, and lists of links under 目录."""
    if text.count("](") < TOC_ITEMS or ("](#" not in text and not any(word in text for word in TOC_WORDS)):
        return text
    lines = text.split("\n")
    kept: list[str] = []
    place = 0
    while place < len(lines):
        stop, items, own = place, 0, True
        while stop < len(lines) and (not lines[stop].strip() or (found := TOC_ITEM.fullmatch(lines[stop]))):
            if lines[stop].strip():
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


# --- lines that every page has ----------------------------------------------------------------------------------------

LINE_CHARS = 200  # a longer line is text, whatever stands in it
SEP = r"[\s|｜/\\>»›→·•,，、;；:：\-—_~\[\]【】()（）<《》«‹+*#&。.!！]"
NO_STOP = r"[^。．！？；\n]"  # inside a sentence
FIELD = r"\s{0,3}[:：]\s{0,3}"
VALUE = r"[^\s:：。！？|｜，,；]{1,20}+"
VALUES = rf"{VALUE}(?: {VALUE}(?!\s{{0,3}}[:：])){{0,2}}"
DATE = r"\d{2,4}\s?[-/.年]\s?\d{1,2}\s?[-/.月]\s?\d{1,2}\s?日?(?:\s{0,3}\d{1,2}:\d{2}(?::\d{2})?)?"
# The way to a page: arrows or bars between names; or dashes or strokes, which names then do not have.
WAY = (
    r"(?:(?:\s{0,3}[>»›→＞|]{1,2}\s{0,3}[^\s>»›→＞|。．！？；，\n][^>»›→＞|。．！？；，\n]{0,40}){1,8}+"
    r"|(?:\s{0,3}[/—-]\s{0,3}[^\s/—。．！？；，\n-][^/—。．！？；，\n-]{0,40}){1,8}+)\s{0,3}[>»]?"
)


def _any(words: str) -> str:
    """One of the words, as a regular expression, longer ones first (␠ is a space in a word)."""
    return "|".join(re.escape(word.replace("␠", " ")) for word in sorted(words.split(), key=lambda w: (-len(w), w)))


# Said on buttons and in bars of a page, and as whole lines nowhere else.
BUTTONS = _any(
    """
    返回顶部 回到顶部 返回页首 回顶部 返回首页 回到首页 返回主页 返回列表 返回上一页 返回上页 返回上一级 返回目录 网站首页
    加入收藏 收藏本站 收藏本页 收藏此页 设为首页 网站地图 站点地图 打印本页 打印本文 打印此页 打印页面 打印文章 关闭窗口
    关闭本页 关闭此页 关闭页面 分享本文 分享本页 分享文章 分享朋友圈 分享到朋友圈 一键分享 我要分享 我要评论 我要纠错
    我要投稿 发表评论 提交评论 查看评论 写评论 写下你的评论 写下你的评论... 写下您的评论 立即登录 立即注册 免费注册 请登录
    用户登录 会员登录 会员注册 用户注册 忘记密码 忘记密码？ 找回密码 微信登录 QQ登录 手机登录 扫码登录 登录后查看更多
    登录后评论 请登录后发表评论 请登录后评论 请先登录 登录后可评论 登录后发表评论 登录后才能发表评论 无障碍浏览 无障碍阅读
    长者模式 适老化 电脑版 触屏版 客户端下载 下载客户端 下载APP APP下载 打开APP APP内打开 广告合作 不良信息举报 举报中心
    网站导航 RSS订阅 邮件订阅 订阅我们 关注我们 关注作者 跳转到主要内容 跳到主要内容 跳至主要内容 跳转到内容 跳至内容
    切换城市 换一换 换一批 只看该作者 只看楼主 倒序浏览 点击展开全文 本版积分规则 全部接受 全部拒绝 接受全部 仅必要
    我知道了 同意并继续 接受并继续 同意并关闭 网警提醒您 请点击此处
    """
)
# Said there too, but also elsewhere: a line must have several of these, or stand beside such lines.
UI = _any(
    """
    首页 主页 登录 登陆 注册 登录注册 退出 退出登录 会员中心 个人中心 我的订单 购物车 收藏 收藏夹 打印 关闭 返回 分享 转发
    转发至 点赞 举报 纠错 字号 顶部 导航 上一篇 下一篇 上一页 下一页 上一章 下一章 上一节 下一节 尾页 末页 更多 搜一搜
    帮助中心 客服中心 下载中心 手机版 关于我们 关于本站 联系我们 联系客服 加入我们 商务合作 广告服务 招聘信息 版权声明
    免责声明 法律声明 隐私政策 隐私声明 隐私条款 服务条款 用户协议 诚聘英才 招贤纳士 友情链接 意见反馈 投诉建议 在线客服
    客服热线 官方微信 官方微博 微信公众号 关注微信 关注微博 简体中文 繁体中文 繁體中文 English 中文版 英文版 繁体版 无障碍
    TOP Top Login Register Sign␠in Sign␠up Share Print 接受 拒绝 了解更多 管理设置 立即打开 高级模式 阅读模式 按热度 按时间
    匿名发表 验证码 点击刷新 展开 收起
    """
)
WORDS = _any(
    """
    正文 内容 新闻 新闻中心 国内 国际 社会 体育 娱乐 财经 科技 汽车 房产 教育 健康 军事 历史 文化 旅游 时尚 游戏 视频 图片
    直播 博客 论坛 社区 资讯 专题 专栏 评论 问答 读书 地方 数码 亲子 星座 彩票 股票 基金 理财 证券 银行 保险 法治 公益 三农
    健身 美食 家居 育儿 女性 情感 音乐 电影 电视 小说 动漫 宠物 母婴 招聘 人才 求职 租房 二手房 二手 观点 要闻 热点 滚动
    港澳 台湾 本地 天气 地图 邮箱 网盘 商城 购物 团购 贴图 时评 访谈 调查 博文 产品 产品中心 服务 服务中心 人才招聘 下载
    帮助 客服 我的 订单 赞 踩 顶 字体 大 中 小 默认 超大 正常 搜索 站内搜索 全文 菜单 公司简介 公司新闻 行业动态 通知公告
    政务公开 政策法规 办事服务 互动交流 机构设置 案例 解决方案 Home About Contact News Menu Search EN 中文
    """
)
SITES = _any(
    """
    微信好友 微信朋友圈 微信 朋友圈 好友 新浪微博 微博 腾讯微博 QQ空间 QQ好友 QQ 空间 人人网 人人 豆瓣 开心网 百度贴吧 贴吧
    百度 知乎 头条 今日头条 抖音 小红书 钉钉 领英 复制链接 复制 邮件 Facebook Twitter LinkedIn Line Weibo WeChat Email 更多
    一键 二维码
    """
)
MEDIA = _any(
    """
    网 报 社 台 频道 客户端 公众号 网站 在线 论坛 博客 微博 头条 微信 周刊 杂志 发布 官网 百家号 网易 新浪 搜狐 腾讯 知乎
    互联网 网络 编辑部 宣传部 办公室 新闻办
    """
)
HEADS = _any(
    """
    热门搜索 热门标签 热门关键词 热门推荐 热门文章 热门新闻 热门评论 热门排行 热搜 热搜榜 大家都在搜 猜你喜欢 你可能喜欢
    你可能还喜欢 你可能感兴趣的内容 您可能感兴趣的文章 相关推荐 相关新闻 相关文章 相关链接 相关专题 相关报道 相关资讯
    精彩推荐 精选推荐 编辑推荐 为您推荐 为你推荐 今日推荐 热点推荐 热点新闻 最新文章 最新资讯 最新推荐 阅读排行 阅读排行榜
    点击排行 点击排行榜 友情链接 网友评论 最新评论 全部评论 精彩评论
    """
)
# Headings of lists of other pages, in books and documents too: these go with the titles after them, if there are any.
READING = _any("相关阅读 延伸阅读 拓展阅读 推荐阅读 扩展阅读 更多阅读 更多推荐 更多文章")
# Fields of the head and the foot of a page. One of the first is enough; of the others a line must have several.
SURE_FIELDS = "|".join(
    [
        rf"(?:责任编辑|责编|值班编辑|实习编辑|网络编辑|文字编辑|本文编辑|本期编辑|执行编辑|编辑整理|"
        rf"网编){FIELD}{VALUES}",
        rf"(?:稿件|文章|信息|新闻|内容|本文|资料)?(?:来源|稿源|出处){FIELD}(?:[《「]?[^\s:：。！？|"
        rf"｜，,；]{{0,14}}(?:{MEDIA})[》」]?"
        r"|(?:www\.)?[A-Za-z0-9-]{1,30}(?:\.[A-Za-z]{2,6}){1,3})",
        r"(?:浏览次数|浏览量|阅读次数|阅读量|点击次数|点击数|点击量|点击率|访问次数|访问量|人气|浏览|阅读|点击)"
        rf"{FIELD}[\[(（]?\s?\d[\d,.]{{0,9}}[万wWkK+]{{0,2}}\s?次?[\])）]?",
        rf"(?:发布时间|发布日期|发表时间|发稿时间|添加时间|录入时间|上传时间){FIELD}{DATE}",
        r"(?:字体|字号)\s?(?:大小)?\s?[:：]?\s{0,3}[\[【(（]?\s?(?:大|T|特大|超大)[\s|｜/\]】\[【]{0,4}(?:中|"
        r"默认|正常)"
        r"[\s|｜/\]】\[【]{0,4}小\s?[\])）】]?",
    ]
)
DESK = (
    r"(?:编辑|审核|审校|校对|初审|复审|终审|一审|二审|三审|一校|二校|三校|监制|总编|供稿|签发|统筹|录入)"
    rf"{FIELD}{VALUES}"
)
FIELDS = (
    "(?:作者|记者|主编|撰稿|摄影|摄像|图|文|文/图|发布人|发布者|发布机构|发布单位|更新时间|更新日期|最后更新|"
    "时间|日期|分类|栏目|评论|收藏|点赞|分享|"
    rf"转发|标签){FIELD}{VALUES}|{DATE}|\d{{1,6}}\s?次?(?:阅读|浏览|评论|点赞|收藏|人阅读|播放|人点赞|条评论|"
    rf"人评论|人参与|人收藏|人喜欢|评论数?)"
)
PARTS = re.compile(
    rf"(?:(?P<sure>{SURE_FIELDS}|{BUTTONS})|(?P<desk>{DESK})|(?P<field>{FIELDS})|(?P<ui>{UI})|(?P<word>{WORDS}|"
    rf"{SITES})"
    rf"|(?P<count>\d{{1,7}}[+万kKwW]?\s?[人条次个]?))(?={SEP}|$)|(?P<between>{SEP}+)"
)
# Each rule: pairs of characters of which one is in every line that the rule knows (␠ is a space). This is the rule of parts.
PART_PAIRS = (
    "回顶 回首 回主 回列 回上 回目 回页 到顶 到首 站首 站地 站导 点地 收藏 设为 首页 主页 打印 关闭 分享 登录 "
    "登陆 注册 忘记 找回 无障 长者 适老 脑版 触屏 "
    "户端 PP 告合 告服 良信 报中 S订 件订 阅我 注我 于我 系我 入我 务合 权声 责声 律声 私政 私声 户协 聘英 贤纳 "
    "情链 见反 诉建 线客 方微 众号 注微 体中 "
    "體中 写评 表评 看评 要评 要纠 要投 一篇 一页 一章 一节 尾页 末页 更多 娱乐 财经 字号 字体 任编 责编 班编 "
    "习编 络编 字编 文编 期编 行编 辑整 网编 来源 稿源 "
    "出处 览次 览量 读次 读量 击次 击数 击量 击率 问次 问量 人气 浏览 阅读 点击 布时 布日 表时 稿时 加时 入时 "
    "传时 辑： 辑: 审： 审: 核： 核: 校： 校: 对： 对: "
    "制： 发： 者： 者: 请先 后可 后才 请登 下你 下您 交评 转到 跳到 跳至 换城 换一 只看 序浏 击展 点赞 举报 Lo Si"
)
FORBIDDEN = (
    r"(?:(?:侵权|违者|翻版|盗版|翻印)必究|(?:请勿|不得|禁止|严禁)[^，。\n]{0,16}|"
    r"未经[^，。\n]{0,20}[，,]?(?:请勿|不得|禁止|严禁)[^。\n]{0,30}|"
    r"All [Rr]ights [Rr]eserved|保留[^，。\n]{0,10})[。.！!]?"
)
OWNER = r"[^。．！？；\n]{0,90}"
ICP = (
    r"[\u4e00-\u9fff]?\s?ICP\s?(?:备案|备|证)(?:案|编)?(?:序|字|号)?\s?[:：]?\s?第?\s?(?:[\u4e00-\u9fff]ICP[备证])?"
    r"[\dA-Z-]{5,14}\s?号?(?:-\d{1,4})?"
)
FOOT = (
    rf"{ICP}|[\u4e00-\u9fff]?公网安备\s?[\d\[\]号-]{{6,22}}|©|\([cC]\)(?=\s?(?:19|20)\d\d)|"
    r"(?:Copyright|COPYRIGHT)(?=[\s:：]{0,3}(?:©|\(|[12]|by|所有))|版权所有(?![者人权的归属及和与]|\w*\s?的)"
)
HEAD = re.compile(
    rf"[【\[]?(?:{HEADS}|{READING})[】\]]?(?:\s?[(（]\d{{1,7}}[)）])?\s?[:：>»+…]{{0,3}}(?:更多>{{0,2}})?"
)
RULES: list[tuple[str, list[str]]] = [
    (
        "首页 主页 位置 位于 迎来 迎访 迎光 迎您 站内 一篇 一页 一章 一节 上篇 下篇 尾页 末页",
        [
            # where a page stands in its site, and in a list
            r"(?:您|你|我)?(?:的|现在的|当前的|现在|目前|当前)?(?:所在的?)?(?:当前|现在|所在)?(?:位置|位于|在)"
            rf"{FIELD}[^\s>»›→＞|/—-]{{1,16}}{WAY}",
            rf"(?:网站|中心)?(?:首页|主页){WAY}",
            r"(?=.{0,80}(?:上一?页|下一?页|首\s?页|末\s?页|尾\s?页))"
            r"(?>(?:(?:共|第)\s?\d{1,6}\s?(?:页|条记录|条|篇)(?:/\s?共?\s?\d{1,6}\s?页)?|首\s?页|上一?页|"
            r"下一?页|末\s?页|尾\s?页|"
            r"前一页|后一页|跳转?到?第?|页|确定|GO|Go|\d{1,5}(?:/\d{1,5})?|\.{2,3}|…{1,2}|[\s<>«»‹›\[\]【】()|"
            r"｜,，]){2,80})",
            rf"(?:您好|你好)?[，,！!]?\s?欢迎(?:来到|访问|光临|您来到|您访问)[^。．\n]{{1,20}}?[！!，,。\s]{{1,2}}"
            rf"(?=[^。\n]{{0,12}}(?:登录|注册))(?>(?:请|{BUTTONS}|登录|注册|{SEP}){{1,20}})",
            rf"站内搜索[:：]?\s?(?:{HEADS})?[:：]{NO_STOP}{{0,80}}",
            r"(?:[<«‹【\[]\s?)?(?:上一篇|下一篇|上一条|下一条|上一章|下一章|上一节|下一节|前一篇|后一篇|上篇|"
            r"下篇)(?:文章|新闻|博文)?"
            rf"(?:{FIELD}[^。；\n]{{0,100}}|(?:\s{{1,4}}|[】\]»>→]\s?){NO_STOP}{{0,100}})",
        ],
    ),
    (
        "沙发 明上 明发 性发 请文 请遵 觉遵 人评 有评 时没 暂无 前没 登录 注册 两句 热评 与评 条评 部评 新评 表于 "
        "复于 分享 "
        "转发 转载 荐给 荐到 扫一 扫码 扫描 长按 关注 订阅 众号 信号 方微 Q群 流群 服微 服Q PP 户端",
        [
            r"(?:欢迎|喜欢就|点击|快来)?(?:把本文)?(?:分享|转发|转载|推荐)(?:到|至|给)(?:朋友|好友)?\s?[:：]?"
            rf"(?>(?:{SITES}|{SEP}){{0,40}})",
            r"(?:打开|使用|用|请用|请使用|通过)?(?:手机)?(?:微信|支付宝|QQ|手机|浏览器)?[“\"「]?(?:扫一扫|扫码|"
            r"扫描|长按识别|长按|识别)[”\"」]?"
            rf"{NO_STOP}{{0,30}}(?:二维码|关注|分享|下载|公众号|朋友圈|手机|登录|更多|加群|加入|阅读|看|报名|"
            rf"咨询){NO_STOP}{{0,24}}[。！!~]?",
            r"(?:欢迎|请|点击|快来|敬请|立即|马上|记得)\s?(?:扫码|扫描|搜索|长按|微信搜索|"
            r"微信)?[^。．；\n]{0,12}(?:关注|订阅|添加|收藏)[^。．；\n]{0,24}"
            r"(?:公众号|微信|微博|视频号|抖音|头条号|我们|本站|小程序|二维码)[^。．\n]{0,24}[。！!~]{0,3}",
            r"(?:扫码|微信|微信搜索|扫描二维码)?\s?(?:关注|订阅)[^。．，,；\n]{0,14}(?:公众号|微信|视频号|微博|"
            r"客户端)[，,\s]{0,2}"
            r"(?:获取|获得|查看|了解|阅读|浏览|接收|更多|第一时间|随时|看|学习|每天)[^。．；\n]{0,30}[。！!]?",
            rf"一键(?:分享|转发)(?:到|至|给){NO_STOP}{{1,40}}",
            r"(?:官方|本站)?(?:微信|QQ)?(?:关注|搜索)?(?:公众号|微信号|官方微信|官方微博|QQ群|交流群|客服微信|客服QQ|"
            r"订阅号)[:：]\s?[\w\u4e00-\u9fff@-]{2,24}",
            r"(?:下载|安装|打开)[^。．！？；，\n]{0,12}(?:APP|App|客户端)[，,\s]{0,2}(?:查看|阅读全文|阅读|体验|"
            r"看|浏览|"
            r"发现|享受)"
            r"[^。．！？；，\n]{0,16}(?:[，,][^。．！？；，\n]{0,10})?[。！!]?",
            # bars of comments
            r"(?:还没有|暂时没有|暂无|目前没有)[^。．\n]{0,8}(?:评论|留言)[^。．\n]{0,16}[。！!]?",
            r"[^。．\n]{0,20}(?:抢沙发|坐沙发)[^。．\n]{0,10}[。！!]?",
            r"(?:文明上网|文明发言|理性发言|请文明|评论请遵守|请自觉遵守)[^。．\n]{0,60}[。！!]?",
            rf"(?:您|你)?(?:需要|必须|请先?|尚未)\s?(?:登录|注册)(?:后|之后|才)[^。．\n]{{0,16}}(?>(?:\s|"
            rf"{BUTTONS}|登录|注册|{SEP}){{0,16}})",
            rf"(?:我来说两句|我要说两句|网友热评|参与评论|条评论|最新评论|"
            rf"全部评论)(?:\s?[(（][^()（）]{{1,16}}[)）])?(?:\s{{0,3}}(?:{BUTTONS}|{UI}))?",
            rf"(?:发表于|回复于|发布于|楼主)\s?{DATE}{SEP}{{1,6}}(?:(?:{BUTTONS}|{UI}|"
            rf"\d{{1,3}}[楼#]){SEP}{{0,6}}){{1,6}}",
        ],
    ),
    (
        "证␠ 证| 证： 证: 良信 辨率 GM 位访 位浏 位来 个访 个浏 版权 CP 网安 信业 Po PO yr YR ©2 ©␠ ©1 ␠© c) "
        "C) Ri RI 主办 承办 术支 识码 服电 服热 服Q 报电 报热 "
        "报邮 诉电 "
        "诉热 系电 系Q 务热 务电 询电 询热 闻热",
        [
            # the foot of a page
            rf"[^。．！？；，\n]{{0,50}}(?:{FOOT}){OWNER}(?:[,，。；\s]{{0,3}}{FORBIDDEN})?\.?",
            r"(?:[^\s|｜。，；]{2,24}(?:许可证|备案号|经营性网站备案信息|营业执照)[^。，；|"
            r"｜\n]{0,24}[|｜\s]{1,4}){1,8}[^\s|｜。，；]{2,24}(?:许可证|备案号|备案信息|营业执照)"
            r"[^。，；\n]{0,24}",
            r"[^\s|"
            r"｜。，；]{2,16}许可证(?:编?号)?[:：\s]{1,2}[\u4e00-\u9fff]{0,4}[〔(（\[]?\d{4}[〕)）\]]?\s?\d{3,6}(?:-\d{1,4})?号?",
            rf"(?:违法和?|网上)?(?:和|有害)?(?:不良|违法)(?:和不良)?信息举报(?:电话|邮箱|热线|"
            rf"中心)[:：]?{NO_STOP}{{0,90}}",
            r"建议(?:您)?(?:使用|采用)[^。．，；\n]{0,24}(?:分辨率|浏览器)[^。．；\n]{0,40}",
            r"GMT\s?[+-]\s?\d{1,2}[^。\n]{0,120}",
            rf"(?:技术支持[:：]{NO_STOP}{{2,30}}[\s|｜]{{1,3}})?(?:您|你)是(?:本站)?第\s?\d{{1,10}}\s?(?:位|"
            rf"个)(?:访客|访问者|浏览者|来访者)",
            rf"{OWNER}(?:All [Rr]ights? [Rr]eserved|all rights? reserved|ALL RIGHTS? RESERVED)\.?{OWNER}",
            rf"(?:版权所有|版权归[^。；\n]{{1,20}}所有)[,，。；\s]{{0,3}}{FORBIDDEN}",
            r"增值电信业务经营许可证(?:编?号)?[:：]?\s?[\w\u4e00-\u9fff()（）〔〕\[\]-]{4,24}",
            r"(?:Powered by|Theme by|Designed by|POWERED BY)\s[^。！？；\n]{2,60}",
            r"技术支持[:：][^。！？；，\n]{2,20}(?:公司|科技|网络|中心|工作室)",
            rf"(?:主办|承办|主管|协办|技术支持|指导)(?:单位|方)?[:：]{NO_STOP}{{2,30}}(?:[\s|"
            rf"｜]{{1,4}}{NO_STOP}{{2,60}})?"
            rf"(?:技术支持|承办|主办|ICP|公网安备|网站标识码){NO_STOP}{{0,60}}",
            rf"(?:政府)?网站标识码\s?[:：]?\s?\d{{6,12}}{NO_STOP}{{0,60}}",
            r"(?:(?:本站|网站|本网站)?(?:客服|联系|服务|举报|投诉|新闻热线|咨询)(?:电话|热线|邮箱|"
            r"QQ)[:：]\s?[\w@.\-()（）\s/、转]{6,50}){1,3}",
        ],
    ),
    (
        "网注 站注 报注 刊注 文链 文地 章链 章地 转载 转发 镜像 摘编 转贴 摘自 转自 来自 选自 声明 侵权 ",
        [
            # who may copy
            r"[【\[(（*※]?(?:注[:：])?\s?(?:本文|文章|如需|如若|欢迎|若|如)?"
            rf"{NO_STOP}{{0,24}}(?:转载|转发){NO_STOP}{{0,12}}(?:请|务必|须|需|敬请){NO_STOP}{{0,6}}(?:注明|"
            rf"标明|保留|联系)[^\n]{{0,150}}",
            r"[【\[(（*※]?(?:本站|本网|本文|原创|作品|内容|文章|声明|版权|所有|"
            r"[:：,，\s]){0,6}未经[^。．！？；，,\n]{0,12}"
            r"(?:授权|许可|允许|书面|本站|本网|作者|同意)[^。．！？；，,\n]{0,8}[，,]?\s?(?:任何(?:单位|个人|"
            r"媒体|网站|组织|机构)[^。．，\n]{0,12})?"
            r"(?:不得|禁止|严禁|谢绝|请勿|勿)[^。．！？；，\n]{0,8}(?:转载|镜像|摘编|转贴)(?!他人|其)[^\n]{0,40}",
            r"[【\[(（*※]?(?:本文|文章|以上内容|内容)(?:转载|转|摘|来|"
            r"节选)自[:：]?\s?[^。！？；，\n]{2,40}[】\])）。]?",
            rf"凡?本(?:网|站|报|刊)?(?:所有)?注明{NO_STOP}{{0,30}}(?:来源|稿件|作品|文章)[^\n]{{0,150}}(?:转载|"
            rf"版权|授权|来源)[^\n]{{0,60}}",
            r"[^。．，；\n]{0,16}版权(?:与|及|和)免责声明[:：]?[^\n]{0,160}",
            r"著作权归[^。．，；\n]{1,12}所有[。，,][^\n]{0,20}转载[^\n]{0,60}",
            r"(?:本文|文章|原文|转载)(?:链接|地址|网址|出处)[:：]\s?(?:https?://|www\.)\S{3,180}",
            r"[【\[(（*※]?(?:免责声明|特别声明|郑重声明|版权声明|声明)[】\])）]?[:：][^\n]{0,60}(?:本站|本网|"
            r"本文|转载|网友|侵权|网络)[^\n]{0,140}",
            rf"{NO_STOP}{{0,50}}(?:如有|如果?|若有?|涉及|存在|如涉){NO_STOP}{{0,8}}(?:侵权|版权问题|"
            rf"侵犯){NO_STOP}{{0,24}}"
            r"(?:联系我们|联系本站|与我们联系|联系删除|通知我们|告知我们|联系作者|请联系|及时删除|立即删除|"
            r"予以删除|来信)[^\n]{0,60}",
        ],
    ),
    (
        "ki 器版 器过 器太 器不 aS 新隐 新用 新服 新了",
        [
            rf"(?:本站|本网站|我们|该网站|此网站|网站)[^。；\n]{{0,14}}使用\s?了?\s?[Cc]ookies?{NO_STOP}{{0,60}}"
            r"(?:体验|同意|接受|继续|政策|服务|隐私)[^\n]{0,100}",
            rf"[^。．，；\n]{{0,14}}使用\s?了?\s?[Cc]ookies?\s?(?:以便|来|以|是为了|用于|"
            rf"，以){NO_STOP}{{0,20}}(?:体验|服务|内容)[^\n]{{0,100}}",
            r"我们使用\s?[Cc]ookies?[^。\n]{0,40}(?:偏好|流量)[^\n]{0,60}",
            r"[^。．\n]{0,20}请?允许(?:本站|我们|本网站)使用\s?[Cc]ookies?[^\n]{0,30}",
            r"(?:您|你)的浏览器(?:版本)?(?:过低|太旧|不支持|较低|已过时)[^\n]{0,60}(?:升级|浏览器|访问|"
            r"体验)[^\n]{0,40}",
            r"请(?:启用|开启|打开|允许)\s?(?:JavaScript|Javascript|JS)[^。\n]{0,40}(?:刷新|浏览器|正常|"
            r"使用)[^\n]{0,30}",
            r"(?:本站|我们|本网站)已?更新了?[^。\n]{0,12}(?:隐私|协议|条款)[^\n]{0,80}",
            r"(?:我?(?:同意|接受|拒绝|允许|管理|知道)(?:所有|全部|必要)?(?:的)?\s?[Cc]ookies?(?:设置|"
            r"政策)?(?:并继续|并关闭)?[\s|｜/]{0,3}){1,4}",
            r"(?:We|This (?:web)?site) uses? cookies[^\n]{0,160}",
        ],
    ),
    (
        "更多 全文 原文 详情 细】 细] 剩余 余下 完整 加载 e> e+ 广告 赞助 AD Ad",
        [
            # more to read, and advertising
            r"[\[【(（<>\s]{0,3}(?:点击|点此|请点击|戳|展开|点我)?(?:查看|阅读|浏览|展开|显示|加载|了解|展示|获取)"
            r"(?:更多|全文|全部|原文|详情|余下全文|剩余全文|剩余\d{1,3}%|更多内容|更多精彩|完整内容|更多评论|"
            r"更多信息)"
            r"[^。．！？，；\n]{0,6}(?:>{1,3}|»|…|\.{3}|↓|∨)?[\]】)）\s]{0,3}",
            r"[\[【(（]?\s?(?:更多|详细|详情|全文|阅读全文|阅读原文|more|More|MORE|Read [Mm]ore)(?:内容|精彩|"
            r"资讯|新闻|请点击|详情)?"
            r"\s?(?:>{1,3}|»|＞{1,3}|…|\.{3}|\+|↓|[\]】)）])\s?",
            r"(?:阅读全文|阅读原文|查看原文|展开全文|收起全文|点击加载更多|加载更多|正在加载|加载中)(?:[.…]{0,6})",
            r"[\[【(（]?(?:广告|推广|AD|Ad|ADVERTISEMENT|Advertisement|广告位|广告位招租|赞助商链接|赞助商广告|"
            r"赞助内容)[\]】)）]?",
            r"(?:广告位招租|广告招租|\[广告\]|【广告】|【推广】|广告[:：])[^\n]{0,60}",
        ],
    ),
    (
        "加微 加Q 加V 加薇 信号 领取 抢购 购买 咨询 试听 报名",
        [
            r"[^。．，；\n]{0,20}(?:加微信|加QQ|加V信|加薇信|"
            r"微信号)\s?[:：]?\s?[A-Za-z0-9_-]{5,20}[^。．\n]{0,30}[。！!]{0,3}",
            r"[^。．，；“”\n]{0,12}(?:点击领取|免费领取|立即领取|限时抢购|点击购买|立即购买|点击咨询|立即咨询|"
            r"免费试听|立即报名)"
            r"[^。．，；“”\n]{0,16}[。！!]{0,3}",
        ],
    ),
    (
        "热门 热搜 关阅 伸阅 展阅 多阅 多推 多文 在搜 标签 关搜 关标 猜你 能喜 能还 感兴 关推 关新 关文 关链 "
        "关专 关报 关资 彩推 选推 辑推 您推 你推 日推 点推 点新 新推 "
        "新文 新资 读排 击排 情链 荐阅 友评 新评 部评 彩评",
        [
            # words that others looked for, and the headings of lists of links
            r"(?:(?:热门|热搜|大家都在|相关|最近|今日)(?:搜索|标签|热搜|搜|关键词)?(?:词|榜)?|标签|Tags?|TAGS?)[:：]"
            r"\s{0,3}(?:[^\s。！？；，,、|｜/:：#·]{1,16}+(?:[\s、，,|｜/#·]{1,4}+|$)){2,30}+",
            rf"(?:{HEADS})(?:\s?[(（]\d{{1,7}}[)）])?\s?[:：>»+…]{{0,3}}(?:更多>{{0,2}})?",
            r"友情链接[:：][^。\n]{0,190}",
        ],
    ),
    (
        ":/ ww",
        [r"(?:[-*•·]\s{0,3})?(?:<?(?:https?://|www\.)[^\s\u4e00-\u9fff，。；]{3,180}>?[\s,，、;；|]{0,3}){1,8}"],
    ),
]
STATUTE = re.compile(r"第[零〇一二三四五六七八九十百千\d]{1,9}[编章节条款项]|[（(][一二三四五六七八九十]{1,3}[)）]")
LIST_MARKS = ("- ", "* ", "+ ")  # of a list of Markdown, whose items are short by nature
LISTING = re.compile("[、，,；;]")
TITLE_CHARS = 40
TITLES = 12
NO_LINE = ("#", "|", "\t", "    ", "```", "~~~", "//", "/*", "$")


def without_boilerplate(text: str) -> tuple[str, int]:
    """The text without its lines of navigation, sharing, copyright, advertising and the like; and how many went.

    A line goes only as a whole, and only if it is nothing else: sentences that say 版权所有 or 首页 stay, and so do
    headings, rows of tables, articles of statutes and all code. What says little by itself (新闻, 微信, the title of
    another page) goes where it stands beside such lines. Idempotent. Linear in time.
    """
    suspects = _suspects(text)
    if not suspects:
        return text, 0
    lines = text.split("\n")
    gone = _Page(lines, suspects, set()).gone()
    if gone and ("```" in text or "~~~" in text):
        code = _code_lines(text)
        gone = _Page(lines, {number: suspects[number] for number in suspects.keys() - code}, code).gone()
    if not gone:
        return text, 0
    return "\n".join(line for number, line in enumerate(lines) if number not in gone), len(gone)


class _Page:
    """The lines of a text, each looked at once at most."""

    def __init__(self, lines: list[str], suspects: dict[int, int], code: set[int]) -> None:
        self.lines, self.suspects, self.code = lines, suspects, code
        self._seen: dict[int, Counter[str]] = {}

    def gone(self) -> set[int]:
        """The numbers of the lines that go."""
        gone: set[int] = set()
        met: set[int] = set()
        for number in sorted(self.suspects):
            if number not in met and self._of(number):
                run = self._run(number)
                met.update(run)
                gone.update(self._gone_of(run))
            if self._of(number)["head"]:
                gone.update(self._titles(number))
        return gone

    def _of(self, number: int) -> Counter[str]:
        """What a line is made of; nothing where there is anything else in it."""
        if number not in self._seen:
            line = self.lines[number]
            looked_at = number not in self.code and len(line) <= LINE_CHARS and not line.startswith(NO_LINE)
            self._seen[number] = _line(line, self.suspects.get(number, 0)) if looked_at else Counter()
        return self._seen[number]

    def _run(self, number: int) -> list[int]:
        """The lines around one that are also of parts, with single empty lines between them."""
        run = [number]
        for step in (-1, 1):
            place, empty = number + step, 0
            while 0 <= place < len(self.lines) and empty < 2:
                if not self.lines[place].strip():
                    empty += 1
                elif self._of(place):
                    run.append(place)
                    empty = 0
                else:
                    break
                place += step
        return run

    def _gone_of(self, run: list[int]) -> Iterator[int]:
        """Those lines of a run that go: by themselves, or as words among others of a page."""
        words = [
            number for number in run if (of := self._of(number)) and not set(of) & {"sure", "desk", "field", "link"}
        ]
        total = sum((self._of(number) for number in words), Counter())
        sure = [number for number in run if _is_enough(self._of(number))]
        yield from sure
        seeds = sum(not self._of(number)["link"] for number in sure if number not in words)
        if 2 * seeds + total["ui"] + total["word"] // 3 >= 2:
            yield from (number for number in words if not self.lines[number].startswith(LIST_MARKS))

    def _titles(self, head: int) -> list[int]:
        """A heading of a list of other pages, and their titles."""
        place = head + 1
        while place < len(self.lines) and place - head <= TITLES and _is_title(self.lines[place]):
            place += 1
        return list(range(head, place)) if place - head > 2 and head not in self.code else []


def _line(line: str, rules: int) -> Counter[str]:
    """What a line is made of: parts by kind, "sure" or "link" where a rule knows all of it; nothing otherwise."""
    line = line.strip(" \u3000\xa0")
    if not line or STATUTE.match(line):
        return Counter()
    known = [number for number, rule in enumerate(_rules(), 1) if rules >> number & 1 and rule.fullmatch(line)]
    found = Counter[str]()
    if known:
        found["link" if known == [len(RULES)] else "sure"] = 1
    if rules & _HEAD_BITS and HEAD.fullmatch(line):
        found["head"] = 1
    if found:
        return found
    if line[0] not in _part_beginnings():
        return found
    place = 0
    while place < len(line):
        match = PARTS.match(line, place)
        if not match:
            return Counter()
        found[match.lastgroup or ""] += 1
        place = match.end()
    if not set(found) - {"between", "count"} or (found["word"] >= 2 and LISTING.search(line)):
        return Counter()
    return found


@cache
def _part_beginnings() -> frozenset[str]:
    """The characters that a part may begin with, and some others: what a line that has none of them is not made of."""
    words = (word[0] for words in (BUTTONS, UI, WORDS, SITES) for word in words.replace("\\", "").split("|"))
    fields = (c for c in SURE_FIELDS + DESK + FIELDS if c.isalnum())
    return frozenset([*words, *fields, *"0123456789", *filter(re.compile(SEP).match, map(chr, range(0x10000)))])


def _is_enough(found: Counter[str]) -> bool:
    """Whether a line of such parts is of a page and of nothing else."""
    return bool(
        found["sure"]
        or found["link"]
        or found["desk"] >= 2
        or (found["desk"] and found["field"])
        or found["field"] >= 3
        or found["ui"] >= 2
        or (found["ui"] and found["word"])
        or found["word"] >= 5
    )


def _is_title(line: str) -> bool:
    """Whether a line may be the title of another page: short and no sentence."""
    line = line.strip()
    return (
        4 <= len(line) <= TITLE_CHARS
        and line[-1] not in "。；：，、;:,.|`$”）"
        and not (line[-1] in "？！" and "，" in line)
        and not line.startswith(NO_LINE)
        and not STATUTE.match(line)
        and any("\u4e00" <= c <= "\u9fff" for c in line)
    )


def _code_lines(text: str) -> set[int]:
    """The numbers of the lines in fences."""
    inside: set[int] = set()
    number = written = 0
    for start, stop in _fences(text):
        number += text.count("\n", written, start)
        last = number + text.count("\n", start, stop)
        inside.update(range(number, last + 1))
        number, written = last, stop
    return inside


# The bit of the rule that has the pairs of headings of other pages: the last but one.
_HEAD_BITS = 1 << len(RULES) - 1


@cache
def _rules() -> list[re.Pattern[str]]:
    return [re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) for _, patterns in RULES]


@cache
def _pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Which characters begin a pair (uint8 (65536,): 0 or one more than a bit) and end it (bits, uint32 (65536,)); the
    pairs, sorted; the rules of each.
    """
    rules: dict[int, int] = {}
    for number, pairs in enumerate([PART_PAIRS, *(pairs for pairs, _ in RULES)]):
        for pair in pairs.split():
            first, second = pair.replace("␠", " ")
            code = ord(first) << 16 | ord(second)
            rules[code] = rules.get(code, 0) | 1 << number
    codes = np.array(sorted(rules), np.uint32)
    firsts, seconds = np.zeros(0x10000, np.uint8), np.zeros(0x10000, np.uint32)
    for number, first in enumerate(np.unique(codes >> 16).tolist()):
        firsts[first] = 1 + number % 32
        seconds[codes[codes >> 16 == first] & 0xFFFF] |= np.uint32(1 << number % 32)
    return firsts, seconds, codes, np.array([rules[code] for code in codes.tolist()], np.uint32)


def _suspects(text: str) -> dict[int, int]:
    """The numbers of the lines that have a pair of some rule, each with the bits of its rules."""
    if len(text) < 2:
        return {}
    units = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    numbers, bits = _lines_with_pairs(units, *_pairs(), LINE_CHARS)
    return dict(zip(numbers.tolist(), bits.tolist(), strict=True))


@njit(cache=True, nogil=True)
def _lines_with_pairs(units, firsts, seconds, codes, rules, longest):
    """The numbers (int64) of the lines of up to `longest` units that have a pair, and the bits of their rules (uint32)."""
    numbers, bits = np.empty(16, np.int64), np.empty(16, np.uint32)
    found, number, start, of_line = 0, 0, 0, np.uint32(0)
    for place in range(len(units) + 1):
        unit = units[place] if place < len(units) else np.uint16(10)
        if unit == 10:
            if of_line and place - start <= longest:
                if found == len(numbers):
                    numbers, bits = np.append(numbers, numbers), np.append(bits, bits)
                numbers[found], bits[found] = number, of_line
                found += 1
            number, start, of_line = number + 1, place + 1, np.uint32(0)
        elif firsts[unit] and place + 1 < len(units) and seconds[units[place + 1]] >> (firsts[unit] - 1) & 1:
            code = np.uint32(unit) << np.uint32(16) | np.uint32(units[place + 1])
            low, high = 0, len(codes)
            while low < high:
                middle = (low + high) // 2
                if codes[middle] < code:
                    low = middle + 1
                else:
                    high = middle
            if low < len(codes) and codes[low] == code:
                of_line |= rules[low]
    return numbers[:found], bits[:found]
