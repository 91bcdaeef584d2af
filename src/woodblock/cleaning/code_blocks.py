"""Code in a text: in fences, or indented after an empty line. All else is prose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

FENCED, INDENTED = "fenced", "indented"
FENCE = re.compile(r"`{3,}|~{3,}")
TICKS = re.compile(r"````*")  # it begins with a literal, so it is found fast
ITEM = re.compile(r"\s*(?:[-*+] |\d+[.)、] |\?\?\?|!!!|=== )")
MARKED = re.compile(r"\s*(?:[-*+] |\d+[.)] |!\[|\[|<(?:img|br|div|a|p|figure|center|table|ul|ol|details|span)\b)")
ROW_CHARS = 4000  # how far from a place the beginning and the end of its line are looked for


def code_and_prose(text: str) -> Iterator[tuple[str, str]]:
    """Cut a text into code and prose: pairs of (FENCED, INDENTED, or "" for prose) and the piece."""
    written = 0
    for start, stop in fences(text):
        yield from _indented(text[written:start])
        yield FENCED, text[start:stop]
        written = stop
    yield from _indented(text[written:])


def fences(text: str) -> Iterator[tuple[int, int]]:
    """Where fenced code begins and ends, with its fences. A fence that is not closed goes to the end of the text."""
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
    """The same as `code_and_prose`, for a text without fences."""
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


def outside_fences(text: str, function: Callable[[str], str]) -> Iterator[str]:
    """The lines of a text. Inside fences they are unchanged; the others go through the function, and empty ones are left
    out."""
    inside = False
    for line in text.split("\n"):
        fence = line.startswith("```")
        if inside or fence:
            yield line
        elif changed := function(line):
            yield changed
        inside ^= fence
