"""Which lines of a text belong together: fenced and indented code, tables, lists, raw HTML. Compiled, over UTF-8.

The rules are those of CommonMark and GFM, with the forms of Python-Markdown, reStructuredText and terminals beside them.
Where writers are less strict than the rules (a fence that is indented less than its list), what they meant is taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from woodblock.structure.block_marks import (
    CLOSINGS,
    COLON,
    DEPTH,
    FENCED,
    INDENTED,
    LAID_OUT,
    LIST,
    OPENINGS,
    PROSE,
    RAW,
    RAW_KINDS,
    SPACE,
    STRICT,
    TAB,
    TABLE,
    TABULATOR,
    Bytes,
    Places,
    begins,
    begins_numbered,
    container_indent,
    fence_end,
    fence_size,
    find_word,
    first_filled,
    is_break,
    is_code_directive,
    is_link,
    is_sentence,
    is_tag,
    line_end,
    line_starts,
    marker_width,
    quote_marks,
    table_end,
)


@njit(cache=True, nogil=True)
def _chunk_end(data: Bytes, starts: Places, line: int, column: int) -> int:
    """The line after the lines that are empty or indented at least so far; empty ones at the end do not count."""
    last, count = line, len(starts) - 1
    for number in range(line, count):
        end = line_end(data, starts, number)
        at, indented = first_filled(data, starts[number], end)
        if at < end:
            if indented < column:
                break
            last = number + 1
    return last


@njit(cache=True, nogil=True)
def _is_code(data: Bytes, starts: Places, line: int, stop: int) -> bool:
    """Whether indented lines are code. They are not, if most are Chinese sentences, or if all are links or images."""
    lines, sentences, links = 0, 0, 0
    for number in range(line, stop):
        end = line_end(data, starts, number)
        at, _ = first_filled(data, starts[number], end)
        if at < end:
            lines += 1
            sentences += is_sentence(data, at, end)
            links += is_link(data, at, end)
    return 2 * sentences <= lines and links < lines


@njit(cache=True, nogil=True)
def _lay_out(data: Bytes, starts: Places, kinds: Bytes, units: Places) -> None:
    """Mark the lines of prose whose indentation is no paragraph's: YAML, pseudo-code, lists of contents. They are a unit.

    It is a run of lines in which some are indented further than the first (or than a line before with a colon at its
    end), unless most of the indented ones are Chinese sentences.
    """
    count, line = len(starts) - 1, 0
    headed, head = False, 0
    while line < count:
        end = line_end(data, starts, line)
        at, column = first_filled(data, starts[line], end)
        if kinds[line] != PROSE or at == end:
            headed = headed and at == end
            line += 1
            continue
        first, stop = line, line
        least, deeper, sentences, indented = column if not headed else min(head, column), False, 0, 0
        while stop < count and kinds[stop] == PROSE:
            end = line_end(data, starts, stop)
            at, column = first_filled(data, starts[stop], end)
            if at == end:
                break
            deeper |= column > least
            if column:
                indented += 1
                sentences += is_sentence(data, at, end)
            head, headed = (
                column,
                data[end - 1] == COLON
                or (end - at >= 3 and data[end - 3] == 0xEF and data[end - 2] == 0xBC and data[end - 1] == 0x9A),
            )
            stop += 1
        if deeper and 2 * sentences <= indented:
            for number in range(first, stop):
                kinds[number], units[number] = LAID_OUT, units[first]
        line = stop


# --- the whole text ---------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _raw_end(data: Bytes, starts: Places, line: int, place: int, end: int, never: npt.NDArray[np.bool_]) -> int:
    """The line after raw HTML that begins in a line and goes on over others; the line if there is none.

    never [RAW_KINDS]: which end marks are known not to come any more.
    """
    at = place
    while at < end:
        if data[at] == 60 or (data[at] == 123 and at + 1 < end and data[at + 1] == 37):
            for kind in range(RAW_KINDS):
                after = 0 if never[kind] else begins(data, at, end, OPENINGS, kind)
                if not after or (kind < 4 and not (after < end and data[after] in (62, SPACE, TABULATOR))):
                    continue
                found = find_word(data, after, CLOSINGS, kind)
                if found < 0:
                    never[kind] = True
                    continue
                if found < end:
                    at = found
                    break
                number = line
                while starts[number + 1] <= found:
                    number += 1
                return number + 1
        at += 1
    return line


@njit(cache=True, nogil=True)
def analyse(data: Bytes, raw: bool) -> tuple[Places, Places, Bytes, Places, npt.NDArray[np.bool_]]:
    """What each of n lines is: where they begin in bytes and in characters [n + 1], their kinds [n], the numbers of the
    paragraphs that they are in [n] (a block, a list or a single line; -1 for an empty line between paragraphs), and
    whether a block begins in them [n]. raw: whether to look for raw HTML.
    """
    starts, characters = line_starts(data)
    count = len(starts) - 1
    kinds, units = np.zeros(count, np.uint8), np.full(count, -1, np.int64)
    firsts = np.zeros(count, np.bool_)
    offsets, sorts, depth = np.zeros(DEPTH, np.int64), np.zeros(DEPTH, np.int64), 0
    never = np.zeros(RAW_KINDS, np.bool_)
    quotes, line, unit, listed, numbered, looked = 0, 0, 0, False, False, 0
    after_empty = True
    while line < count:
        end = line_end(data, starts, line)
        marks, start = quote_marks(data, starts[line], end, DEPTH)
        place, column = first_filled(data, start, end)
        if marks != quotes:
            quotes, depth, listed = marks, 0, False
        if place == end:
            after_empty, numbered = True, False
            line += 1
            continue
        width = 0 if is_break(data, place, end) else marker_width(data, place, end)
        fence = fence_size(data, place, end)
        if data[place] == 35 and column < TAB and place + 1 < end and data[place + 1] in (35, SPACE):
            depth, listed = 0, False  # a heading ends all lists
        while depth > 0 and column < offsets[depth - 1]:
            if not (after_empty or width > 0 or fence > 0 or sorts[depth - 1] == STRICT):
                break
            depth -= 1
        base = offsets[depth - 1] if depth > 0 else 0
        was_listed, listed = listed, False
        for number in range(depth):
            listed |= sorts[number] == LIST
        # Code that is indented after an empty line. In a list, further items and pictures are indented as much.
        if after_empty and line >= looked and column >= base + TAB and fence == 0 and quotes == 0:
            looked = _chunk_end(data, starts, line, base + TAB)
            is_item = depth > 0 and (width > 0 or is_link(data, place, end) or is_tag(data, place, end))
            if not is_item and container_indent(data, place, end) == 0 and _is_code(data, starts, line, looked):
                unit += not (listed and was_listed)
                firsts[line] = True
                kinds[line:looked] = INDENTED
                units[line:looked] = unit
                line, after_empty, numbered = looked, False, False
                continue
            if is_item:
                looked = line + 1
        indented, inside = column, depth
        while width > 0 and depth < DEPTH:
            offsets[depth], sorts[depth] = column + width, LIST
            depth += 1
            listed = True
            place, column = min(end, place + width), column + width
            at, more = first_filled(data, place, end)
            if at >= end:
                break
            place, column = at, column + more
            width = 0 if more >= TAB else marker_width(data, place, end)
        # What belongs together is one paragraph: a list, or lines that are numbered as in Chinese.
        is_numbered = not listed and place < end and begins_numbered(data, place, end)
        unit += not ((listed and was_listed) or (is_numbered and numbered and not after_empty))
        numbered = is_numbered
        units[line] = unit
        after_empty = False
        if place >= end:
            kinds[line] = LAID_OUT if indented > 0 else PROSE
            line += 1
            continue
        kind, stop = PROSE, line
        size = fence_size(data, place, end)
        if size > 0:
            kind, stop = FENCED, fence_end(data, starts, line, data[place], size, quotes)
        if stop == line and raw:
            kind, stop = RAW, _raw_end(data, starts, line, place, end, never)
        if stop == line:
            kind, stop = TABLE, table_end(data, starts, line, place, quotes)
        if stop == line and end - place >= 2 and not quotes:
            directive = is_code_directive(data, place, end)
            if directive or (data[end - 1] == COLON and data[end - 2] == COLON):
                below = line + 1
                while below < count and line_end(data, starts, below) == starts[below]:
                    below += 1
                if below < count and (directive or below > line + 1):
                    last = _chunk_end(data, starts, below, column + 1)
                    if last > below and directive:
                        kind, stop = INDENTED, last
                    elif last > below:
                        kinds[below:last] = INDENTED
                        units[line:last] = unit
                        firsts[below] = True
                        kinds[line] = LAID_OUT if inside > 0 and indented >= base and indented > 0 else PROSE
                        line = last
                        continue
        if stop > line:
            firsts[line] = True
            kinds[line:stop] = kind
            units[line:stop] = unit
            line = stop
            continue
        size = container_indent(data, place, end)
        if size > 0 and depth < DEPTH:
            offsets[depth], sorts[depth] = column + size, STRICT
            depth += 1
        kinds[line] = LAID_OUT if inside > 0 and indented > 0 and indented >= base else PROSE
        line += 1
    # Empty lines between two lines of a paragraph belong to it.
    last = -1
    for number in range(count):
        if units[number] >= 0:
            if last >= 0 and units[last] == units[number]:
                units[last:number] = units[number]
            last = number
    _lay_out(data, starts, kinds, units)
    return starts, characters, kinds, units, firsts
