"""What a line of a text is by its own marks: a fence, a delimiter of a table, an item of a list. Compiled, over UTF-8.

The rules are those of CommonMark and GFM, with the forms of Python-Markdown, reStructuredText and terminals beside them.
Where writers are less strict than the rules (a fence that is indented less than its list), what they meant is taken.
"""

# ruff: noqa: SIM102, SIM110 - numba compiles no generator expressions
from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

# What a line is. LAID_OUT: text whose indentation has a meaning (in a list, in pseudo-code). RAW: a comment, script or
# preformatted text in HTML, which `markup` looks at as a whole.
PROSE, LAID_OUT, FENCED, INDENTED, TABLE, RAW = range(6)
TAB = 4
DEPTH = 32  # lists inside lists
FENCE = 3  # marks of a fence, at least
RUN = 3  # dashes of a column's rule in a table without bars
LONG_LINE = 120  # bytes: so long a line of hanzi is a paragraph, even without a mark at its end
LIST, STRICT = 1, 2  # kinds of containers: a list; an admonition or a directive, which has no lazy lines

NEWLINE, RETURN, SPACE, TABULATOR = 10, 13, 32, 9
BAR, PLUS, DASH, EQUALS, COLON, TICK, TILDE = 124, 43, 45, 61, 58, 96, 126


def as_bytes(words: str) -> Bytes:
    """Words as bytes, each with a zero after it; ~ is a space in a word."""
    return np.frombuffer(words.replace(" ", "\0").replace("~", " ").encode() + b"\0", np.uint8)


CODE_DIRECTIVES = as_bytes("code sourcecode parsed-literal math literalinclude prompt highlight")
# Raw HTML and code of Liquid: how it begins, how it ends. After the first four, > or a space must follow.
RAW_KINDS = 8
OPENINGS = as_bytes("<pre <script <style <textarea <!-- {%~highlight {%~codeblock {%~raw")
CLOSINGS = as_bytes("</pre> </script> </style> </textarea> --> {%~endhighlight {%~endcodeblock {%~endraw")


# --- lines ------------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def line_starts(data: Bytes) -> tuple[Places, Places]:
    """Where each line begins, in bytes and in characters; and where the text ends."""
    count = 1
    for byte in data:
        count += byte == NEWLINE
    starts, characters = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    starts[0] = characters[0] = 0
    line, seen = 1, 0
    for place in range(len(data)):
        byte = data[place]
        seen += byte & 0xC0 != 0x80
        if byte == NEWLINE:
            starts[line], characters[line] = place + 1, seen
            line += 1
    starts[count], characters[count] = len(data), seen
    return starts, characters


@njit(cache=True, nogil=True)
def line_end(data: Bytes, starts: Places, line: int) -> int:
    """Where a line ends, without its newline and the spaces before it."""
    start, end = starts[line], starts[line + 1]
    while end > start and (data[end - 1] <= SPACE and data[end - 1] in (NEWLINE, RETURN, SPACE, TABULATOR)):
        end -= 1
    return int(end)


@njit(cache=True, nogil=True)
def first_filled(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """(place, column) of the first character that is no space and no tab."""
    column, place = 0, start
    while place < end and data[place] in (SPACE, TABULATOR):
        column = column + 1 if data[place] == SPACE else column + TAB - column % TAB
        place += 1
    return place, column


@njit(cache=True, nogil=True)
def quote_marks(data: Bytes, start: int, end: int, most: int) -> tuple[int, int]:
    """(how many, place after them) of the marks > at the beginning of a line."""
    depth, place = 0, start
    while depth < most:
        at, column = first_filled(data, place, end)
        if at >= end or data[at] != 62 or (column >= TAB and depth == 0):
            break
        depth += 1
        place = at + 1
        if place < end and data[place] == SPACE:
            place += 1
    return depth, place


@njit(cache=True, nogil=True)
def word_place(words: Bytes, number: int) -> tuple[int, int]:
    """Where a word begins and ends in words; (-1, -1) if there are not so many."""
    start = 0
    for place in range(len(words)):
        if words[place] == 0:
            if number == 0:
                return start, place
            start, number = place + 1, number - 1
    return -1, -1


@njit(cache=True, nogil=True)
def begins(data: Bytes, place: int, end: int, words: Bytes, number: int) -> int:
    """The place after a word that stands at a place, in small letters or capitals; 0 if it does not."""
    first, last = word_place(words, number)
    if first < 0 or end - place < last - first:
        return 0
    for at in range(last - first):
        byte = data[place + at]
        if byte != words[first + at] and not (65 <= byte <= 90 and byte + 32 == words[first + at]):
            return 0
    return place + last - first


@njit(cache=True, nogil=True)
def find_word(data: Bytes, place: int, words: Bytes, number: int) -> int:
    """The place of the next such word; -1 if there is none."""
    first, _ = word_place(words, number)
    for at in range(place, len(data)):
        if data[at] == words[first] and begins(data, at, len(data), words, number):
            return at
    return -1


# --- marks at the beginning of a line ---------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def is_break(data: Bytes, place: int, end: int) -> bool:
    """Whether a line is a thematic break: three or more of one of - * _ with spaces between."""
    mark, count = data[place], 0
    if mark not in (DASH, 42, 95):
        return False
    for at in range(place, end):
        if data[at] == mark:
            count += 1
        elif data[at] not in (SPACE, TABULATOR):
            return False
    return count >= 3


@njit(cache=True, nogil=True)
def marker_width(data: Bytes, place: int, end: int) -> int:
    """The width of the mark of a list's item with the spaces after it; 0 if there is none."""
    at = place
    if data[at] in (DASH, 42, PLUS):
        at += 1
    else:
        while at < end and 48 <= data[at] <= 57:
            at += 1
        if at == place or at - place > 9 or at >= end or data[at] not in (46, 41):
            return 0
        at += 1
    if at >= end:
        return at - place + 1
    if data[at] not in (SPACE, TABULATOR):
        return 0
    after, spaces = first_filled(data, at, end)
    return at - place + (spaces if after < end and spaces <= TAB else 1)


@njit(cache=True, nogil=True)
def container_indent(data: Bytes, place: int, end: int) -> int:
    """How far what belongs to a line is indented: 4 for an admonition, a tab or a footnote, 2 for a directive; else 0."""
    first = data[place]
    if end - place < 4:
        return 0
    if first in (33, 63, EQUALS) and data[place + 1] == first and data[place + 2] == first:
        at = place + 3
        while at < end and data[at] in (PLUS, 33):
            at += 1
        if at >= end or data[at] != SPACE:
            return 0
        at, _ = first_filled(data, at, end)
        return 4 if first != EQUALS or (at < end and data[at] == 34) else 0
    if first == 91 and data[place + 1] == 94:
        for at in range(place + 2, end - 1):
            if data[at] == 93:
                return 4 if data[at + 1] == COLON else 0
    if first == 46 and data[place + 1] == 46 and data[place + 2] == SPACE:
        for at in range(place + 3, end - 1):
            if data[at] == COLON and data[at + 1] == COLON:
                return 2
    return 0


@njit(cache=True, nogil=True)
def is_code_directive(data: Bytes, place: int, end: int) -> bool:
    """Whether a line is a directive of reStructuredText whose content is no prose: .. code-block:: python."""
    if end - place < 8 or data[place] != 46 or data[place + 1] != 46 or data[place + 2] != SPACE:
        return False
    at = place + 3
    for number in range(7):
        if begins(data, at, end, CODE_DIRECTIVES, number):
            return True
    return False


@njit(cache=True, nogil=True)
def fence_size(data: Bytes, place: int, end: int) -> int:
    """How many marks open a fence here; 0 if there is none."""
    mark = data[place]
    if mark not in (TICK, TILDE):
        return 0
    at = place
    while at < end and data[at] == mark:
        at += 1
    if at - place < FENCE:
        return 0
    if mark == TICK:
        for after in range(at, end):
            if data[after] == TICK:
                return 0
    return at - place


@njit(cache=True, nogil=True)
def fence_end(data: Bytes, starts: Places, line: int, mark: int, size: int, quotes: int) -> int:
    """The line after a fence that opens in a line: after its closing mark, its quote, or the text."""
    count = len(starts) - 1
    for number in range(line + 1, count):
        end = line_end(data, starts, number)
        depth, place = quote_marks(data, starts[number], end, quotes)
        if depth < quotes:
            return number
        at, _ = first_filled(data, place, end)
        first = at
        while at < end and data[at] == mark:
            at += 1
        if at - first >= size and at == end:
            return number + 1
    return count


# --- tables -----------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def has_bar(data: Bytes, place: int, end: int) -> bool:
    for at in range(place, end):
        if data[at] == BAR and not (at > place and data[at - 1] == 92):
            return True
    return False


@njit(cache=True, nogil=True)
def is_delimiter(data: Bytes, place: int, end: int) -> bool:
    """Whether a line divides a table's head from its rows: |:---|---:|, ---|---, ----+----."""
    if place >= end or data[place] not in (BAR, DASH, COLON):
        return False
    dashes, bars = 0, 0
    for at in range(place, end):
        byte = data[at]
        dashes += byte == DASH
        bars += byte in (BAR, PLUS)
        if byte not in (BAR, DASH, COLON, PLUS, SPACE, TABULATOR):
            return False
    return dashes > 0 and bars > 0


@njit(cache=True, nogil=True)
def is_border(data: Bytes, place: int, end: int) -> bool:
    """Whether a line is a border of a drawn table: +----+====+."""
    if end - place < 3 or data[place] != PLUS or data[end - 1] != PLUS:
        return False
    for at in range(place, end):
        if data[at] not in (PLUS, DASH, EQUALS, COLON):
            return False
    return True


@njit(cache=True, nogil=True)
def column_rules(data: Bytes, place: int, end: int, mark: int) -> int:
    """How many runs of a mark a line consists of, with spaces between; 0 if it has anything else, or short runs."""
    runs, at = 0, place
    while at < end:
        first = at
        while at < end and data[at] == mark:
            at += 1
        if at - first < (2 if mark == EQUALS else RUN):
            return 0
        runs += 1
        while at < end and data[at] in (SPACE, TABULATOR):
            at += 1
    return runs


@njit(cache=True, nogil=True)
def is_box(data: Bytes, place: int, end: int, ruled: bool) -> bool:
    """Whether a line begins with a character of a drawn box (U+2500 to U+257F). ruled: also with a plain rule ─ ━."""
    if end - place < 3 or data[place] != 0xE2 or data[place + 1] not in (0x94, 0x95):
        return False
    return ruled or data[place + 1] == 0x95 or data[place + 2] > 0x81


@njit(cache=True, nogil=True)
def place_in(data: Bytes, starts: Places, line: int, quotes: int) -> tuple[int, int, bool]:
    """(first filled place, end, whether it is in the same quote and not empty) of a line."""
    end = line_end(data, starts, line)
    depth, place = quote_marks(data, starts[line], end, quotes)
    at, _ = first_filled(data, place, end)
    return at, end, depth == quotes and at < end


@njit(cache=True, nogil=True)
def table_end(data: Bytes, starts: Places, line: int, place: int, quotes: int) -> int:
    """The line after a table that begins in a line, at a place after quotes and marks of lists; the line if none does."""
    count, end = len(starts) - 1, line_end(data, starts, line)
    first = data[place]
    # Rows with bars: a head with a delimiter below, or two rows that begin with a bar.
    if has_bar(data, place, end) and line + 1 < count:
        at, stop, same = place_in(data, starts, line + 1, quotes)
        if same and (is_delimiter(data, at, stop) or (first == BAR and data[at] == BAR)):
            number = line + 1
            while number < count:
                at, stop, same = place_in(data, starts, number, quotes)
                if not same or not (has_bar(data, at, stop) or is_delimiter(data, at, stop)):
                    break
                number += 1
            return number
    if is_border(data, place, end):
        last, number = line, line + 1
        while number < count:
            at, stop, same = place_in(data, starts, number, quotes)
            if not same:
                break
            if data[at] in (BAR, PLUS):
                last = number
            number += 1
        return last + 1 if last > line else line
    if is_box(data, place, end, True):
        number, boxes = line, 0
        while number < count:
            at, stop, same = place_in(data, starts, number, quotes)
            if not same or not is_box(data, at, stop, True):
                break
            boxes += is_box(data, at, stop, False)
            number += 1
        return number if boxes and number - line >= 2 else line
    if first == EQUALS and column_rules(data, place, end, EQUALS) >= 2:
        # A simple table of reStructuredText ends with a rule before an empty line.
        number, empty = line + 1, 0
        while number < count:
            at, stop, same = place_in(data, starts, number, quotes)
            empty = 0 if same else empty + 1
            if empty > 1:
                break
            if same and stop - at == end - place and column_rules(data, at, stop, EQUALS) >= 2:
                if number + 1 == count or not place_in(data, starts, number + 1, quotes)[2]:
                    return number + 1
            number += 1
        return line
    if line + 1 < count and column_rules(data, place, end, DASH) == 0:
        at, stop, same = place_in(data, starts, line + 1, quotes)
        if same and data[at] == DASH and column_rules(data, at, stop, DASH) >= 2:
            number = line + 1
            while number < count and place_in(data, starts, number, quotes)[2]:
                number += 1
            return number
    return line


# --- indentation ------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def is_hanzi(data: Bytes, place: int, end: int) -> bool:
    """Whether hanzi or Chinese punctuation begins at a place."""
    if end - place < 3:
        return False
    lead = data[place]
    if lead == 0xE2:
        return bool(data[place + 1] >= 0xBA or (data[place + 1] == 0x80 and data[place + 2] in (0x98, 0x9C)))
    return bool(0xE3 <= lead <= 0xE9 or lead == 0xEF)


@njit(cache=True, nogil=True)
def is_sentence(data: Bytes, place: int, end: int) -> bool:
    """Whether a line is Chinese running text: it begins with hanzi, and has a mark of a sentence at its end or is long."""
    if not is_hanzi(data, place, end):
        return False
    one, two, three = data[end - 3], data[end - 2], data[end - 1]
    if one == 0xE3 and two == 0x80:
        return three in (0x82, 0x8D, 0x8F, 0x81)
    if one == 0xEF and two == 0xBC:
        return three in (0x81, 0x9F, 0x8C)
    if one == 0xE2 and two == 0x80:
        return three in (0xA6, 0x9D)
    if end - place < LONG_LINE:
        return False
    high = 0
    for at in range(place, end):
        high += data[at] >= 0x80
    return 4 * high >= 3 * (end - place)


@njit(cache=True, nogil=True)
def is_link(data: Bytes, place: int, end: int) -> bool:
    """Whether a line begins with a link, an image, a tag or a short code."""
    first = data[place]
    second = data[place + 1] if place + 1 < end else 0
    if first == 33:
        return second == 91
    if first == 91:
        for at in range(place, end - 1):
            if data[at] == 93 and data[at + 1] == 40:
                return True
        return False
    return first == 123 and second == 123 and place + 2 < end and data[place + 2] in (60, 37)


@njit(cache=True, nogil=True)
def is_tag(data: Bytes, place: int, end: int) -> bool:
    return (
        end - place > 2
        and data[place] == 60
        and (data[place + 1] == 47 or 97 <= data[place + 1] <= 122 or 65 <= data[place + 1] <= 90)
    )


@njit(cache=True, nogil=True)
def begins_numbered(data: Bytes, place: int, end: int) -> bool:
    """Whether a line begins as an item of a Chinese list: （一） (1) 一、 1、 1．①"""
    at = place
    bracket = False
    if data[at] == 40:
        at, bracket = at + 1, True
    elif end - at > 3 and data[at] == 0xEF and data[at + 1] == 0xBC and data[at + 2] == 0x88:
        at, bracket = at + 3, True
    elif end - at > 3 and data[at] == 0xE2 and data[at + 1] == 0x91 and 0xA0 <= data[at + 2] <= 0xB3:
        return True
    first = at
    while at < end:
        if 48 <= data[at] <= 57:
            at += 1
        elif end - at >= 3 and is_numeral(data[at], data[at + 1], data[at + 2]):
            at += 3
        else:
            break
    if at == first or at >= end or at - first > 12:
        return False
    if data[at] == 41:
        return True
    if end - at < 3:
        return False
    if data[at] == 0xEF and data[at + 1] == 0xBC:
        return data[at + 2] == 0x89 or (data[at + 2] == 0x8E and not bracket)
    return not bracket and data[at] == 0xE3 and data[at + 1] == 0x80 and data[at + 2] == 0x81


@njit(cache=True, nogil=True)
def is_numeral(one: int, two: int, three: int) -> bool:
    """Whether three bytes are one of 一二三四五六七八九十百零〇."""
    point = (one & 0x0F) << 12 | (two & 0x3F) << 6 | (three & 0x3F)
    return one & 0xF0 == 0xE0 and point in (
        0x4E00,
        0x4E8C,
        0x4E09,
        0x56DB,
        0x4E94,
        0x516D,
        0x4E03,
        0x516B,
        0x4E5D,
        0x5341,
        0x767E,
        0x96F6,
        0x3007,
    )
