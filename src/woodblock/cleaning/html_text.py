"""HTML in a text: the readable text of a whole page; and the replacement for a tag, a comment or an entity.

Pages are parsed by lexbor, as browsers parse them. Pieces of HTML in other text are recognised only by their form. A tag
without an end tag and without attributes may be something else in angle brackets, so it stays.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.entities import html5

from selectolax.lexbor import LexborHTMLParser, LexborNode

from woodblock.structure import blocks

ROW_CHARS = 4000  # how far from a place the beginning of its line is looked for
GONE = "\0"  # replaces what was removed, until it is known whether its line has anything else


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BLOCKS = _words(
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section "
    "summary table tbody tfoot thead tr ul"
)
# Names that may also be something else in angle brackets (<time>, List<b>): these must have an attribute or an end tag.
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
END_TAG = re.compile(r"</([A-Za-z][A-Za-z0-9]*)\s*>")
PAGE = re.compile(r"<(?:!doctype\s+html|html|body)[\s>]", re.IGNORECASE)
PAGE_HEAD = 2000  # characters at the beginning in which a page says that it is one
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
TICKS = re.compile("```+")
SPACES = re.compile(r"[ \t\n\r\f\xa0]+")


# --- pages ------------------------------------------------------------------------------------------------------------


def is_page(text: str) -> bool:
    """Whether a text is an HTML page: it begins as one, or a quarter of it is tags."""
    head = text[:PAGE_HEAD].lstrip("\ufeff \t\n")
    if head.startswith("<") and PAGE.search(head):
        return True
    if "```" in text or text.count("</") < MANY_TAGS:
        return False
    tags = [len(match[0]) for match in TAG.finditer(text)]
    return len(tags) >= MANY_TAGS and sum(tags) >= MOSTLY_TAGS * len(text)


def page_text(text: str) -> str:
    """The readable text of a page: blocks as lines, items with a dash or a number, bars between the cells of tables."""
    tree = LexborHTMLParser(text.encode("utf-8", "replace").decode("utf-8"))  # replaces halves of surrogate pairs
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
            pieces.append(f"\n{fenced(code)}\n" if code.strip() else "\n")
        elif node.tag == "code":
            pieces.append(f"`{SPACES.sub(' ', node.text() or '').strip()}`")
        elif node.tag and not node.tag.startswith(("-", "_")) and not _is_silent(node):
            before, after = _around(node, numbers)
            children = list(node.iter(include_text=True))
            if node.tag == "ol":
                items = [child for child in children if child.tag == "li"]
                numbers.update((item.mem_id, number) for number, item in enumerate(items, 1))
            stack += [after, *reversed(children), before]
    lines: list[str] = []
    for is_code, piece in _apart("".join(pieces)):
        lines += (
            [piece] if is_code else [text for line in piece.split("\n") if (text := SPACES.sub(" ", line).strip(" |"))]
        )
    return "\n".join(lines).strip("\n ")


def _apart(text: str) -> Iterator[tuple[bool, str]]:
    """The pieces of a page's text: (whether it is code, the piece)."""
    for kind, piece in blocks.pieces(text):
        is_code = kind == blocks.FENCED
        yield is_code, piece.removesuffix("\n") if is_code else piece


def fenced(code: str, language: str = "") -> str:
    """Code in a fence that is longer than any in it."""
    marks = max((len(found[0]) for found in TICKS.finditer(code)), default=0) + 1
    fence = "`" * max(3, marks)
    return f"{fence}{language}\n{code}\n{fence}"


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


def _around(node: LexborNode, numbers: dict[int, int]) -> tuple[str, str]:
    """What is put before and after the text of an element."""
    if node.tag == "li":
        return f"\n{numbers[node.mem_id]}. " if node.mem_id in numbers else "\n- ", "\n"
    if node.tag in ("td", "th"):
        return " ", " |"
    if node.tag in BLOCKS:
        return "\n", "\n"
    return "", ""


# --- pieces -----------------------------------------------------------------------------------------------------------


def tag_at(text: str, start: int, closed: frozenset[str], never: set[str]) -> tuple[int, str | None]:
    """(end, replacement) of a comment, a script, a style, preformatted code or a tag; None as replacement: it stays.

    closed: the names of the tags that have an end tag somewhere in the whole text. never: marks that are known not to
    come any more; marks are added to it, so that no text is searched twice for nothing.
    """
    if text.startswith("<!--", start):
        stop = _end(text, "-->", start + 4, never)
        return (stop, GONE) if stop else (start, None)
    found = TAG.match(text, start)
    if not found:
        return start, None
    closing, name, attributes, _ = found.groups()
    tag = name.lower()
    if not closing and name not in closed and tag in DOUBTFUL and "=" not in (attributes or ""):
        return start, None
    if not closing and tag in ("script", "style", "pre"):
        stop = _end(text, f"</{name}>", found.end(), never)
        if stop and tag != "pre":
            return stop, GONE
        if stop:
            code = _unescaped(TAG.sub("", text[found.end() : stop - len(name) - 3])).strip("\n")
            return stop, f"{GONE}\n{fenced(code)}\n{GONE}"
    if tag not in BLOCKS:
        return found.end(), GONE
    line = text.rfind("\n", max(0, start - ROW_CHARS), start) + 1
    in_row = text.startswith("|", line)
    return found.end(), " " if in_row else f"\n{GONE}" if tag == "br" else f"{GONE}\n{GONE}"


def _end(text: str, mark: str, start: int, never: set[str]) -> int:
    """The end of the next such mark; 0 if there is none."""
    place = -1 if mark in never else text.find(mark, start)
    if place < 0:
        never.add(mark)
        return 0
    return place + len(mark)


def entity_at(text: str, start: int) -> tuple[int, str | None]:
    """(end, replacement) of an entity, or of a tag in entities, which becomes code; None as replacement: it stays."""
    if found := ESCAPED_TAG.match(text, start):
        return found.end(), f"`{html.unescape(found[0])}`"
    found = ENTITY.match(text, start)
    return (found.end(), _character(found)) if found else (start, None)


def _character(match: re.Match[str]) -> str | None:
    """The character of an entity; None if it is unknown, or would make a tag or another entity."""
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
