"""The syntax of documentation generators: includes, admonitions, tabs, labels, short codes. Its words stay, its marks go.

Known are the forms of Python-Markdown (MkDocs), d2lbook, Hugo, Jekyll, VuePress and Docusaurus, MyST, reStructuredText,
and MDX. Code stays as it is. Tables do too, but for the names of variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from woodblock.cleaning.html_text import fenced
from woodblock.structure import blocks

# One of these stands in every line that has such syntax. To look for each is eight times as fast as one pattern of all.
SIGNS = (
    *("--8<", "_tab:", ":bookmark:", "???", "!!!", '=== "', ":`", "}`", "{{{", ":::", "{%", ".. ", "[!", "</", "/>"),
    *("[Discussion", "[discussion", "[讨论", "toc]", "Toc]", "TOC]", "toc_]", "Toc_]", "TOC_]"),
    *("{:", "{.", "{#", "{ .", "{ #"),
)
COMPONENT_SIGN = re.compile(r"<[A-Z]")
TAB = 4

ADMONITION = re.compile(
    r"([ \t]*)(?:\?\?\?\+?|!!!)[ \t]+[A-Za-z][A-Za-z0-9_-]*(?:[ \t]+(?:inline|end|open|"
    r'no-icon))*(?:[ \t]+"(.*)"|[ \t]+“(.*)”)?[ \t]*'
)
TABBED = re.compile(r'([ \t]*)===[+!]?[ \t]+"(.*)"[ \t]*')
DIRECTIVE = re.compile(
    r"([ \t]*)\.\.[ \t]+(?:note|warning|tip|hint|important|caution|attention|danger|error|seealso|admonition|topic|"
    r"versionadded|versionchanged|deprecated)::[ \t]*(.*)"
)
# Directives whose content is no text, and targets of links.
SILENT = re.compile(
    r"([ \t]*)\.\.[ \t]+(?:(?:toctree|contents|image|figure|index|meta|raw|include|only|highlight|autoclass|automodule|"
    r"autofunction|currentmodule|module|tabularcolumns|sectionauthor|moduleauthor|\|[^|\n]+\|[ \t]+\w+)::.*|_[^:\n]+:.*)"
)
OPTION = re.compile(r"[ \t]*:[\w-]+:.*")
INCLUDES = re.compile(
    r"[ \t>]*(`{3,}|~{3,})[^\n]*\n(?:[ \t>]*(?:;?-+8<-+[^\n]*)?\n)*[ \t>]*;?-+8<-+[^\n]*\n"
    r"(?:[ \t>]*(?:;?-+8<-+[^\n]*)?\n)*[ \t>]*\1[`~]*[ \t]*\n?"
)
# Lines that say nothing to a reader.
GONE = re.compile(
    r"[ \t>]*(?:"
    r";?-+8<-+.*"
    r"|(?::(?:label|eqlabel|width|height|begin_tab|end_tab|bookmark)(?::`[^`\n]*`|:)[ \t]*)+"
    r"|\[(?:Discussions?|讨论(?:区)?)\]\([^()\n]*\)"
    r"|(?:\{%[^{}\n]*%\}[ \t]*)+"
    r"|@?\[{1,2}_?toc_?\]{1,2}(?:\([^()\n]*\))?"
    r"|\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION|INFO|EXAMPLE|QUOTE)\][+-]?"
    r"|\{:?[ \t]*[.#][\w .#:=\"'%-]*\}"
    r")[ \t]*",
    re.IGNORECASE,
)
FENCED_DIV = re.compile(
    r"[ \t]*:{3,}[ \t]*(?:\{[^{}\n]*\}|[\w-]+)?[ \t]*(?:\[(.*)\]|([^\s{].*?))?[ \t]*(?:\{[^{}\n]*\})?[ \t]*"
)
LABEL = re.compile(r"[ \t]*:(?:label|eqlabel|width|height):`[^`\n]*`")
CITED = re.compile(r"[ \t]*(?::cite[a-z]*:|\{cite[a-z:]*\})`[^`\n]*`")
ROLE = re.compile(
    r"(?P<before>[ \t]*)(?::(?P<rst>[a-z][\w+.-]*(?::[a-z][\w+.-]*)?):|\{(?P<myst>[a-z][\w:+.-]*)\})"
    r"`(?P<text>[^`\n]+)`(?P<after>[ \t]*)"
)
TITLED = re.compile(r"(.+?)\s*<[^<>]*>")
REFERENCES = ("numref", "eqref", "ref", "cref", "autoref")
CODE_ROLES = (
    "code",
    "func",
    "class",
    "meth",
    "mod",
    "attr",
    "data",
    "obj",
    "exc",
    "file",
    "command",
    "option",
    "kbd",
    "program",
    "envvar",
    "const",
    "type",
    "any",
    "literal",
    "samp",
)
TEXT_ROLES = (
    "doc",
    "term",
    "guilabel",
    "menuselection",
    "strong",
    "emphasis",
    "sup",
    "sub",
    "abbr",
    "download",
    "math",
    "title",
    "dfn",
)
# What stands in the place of a reference that has no words of its own, by the beginning of its label.
NAMED = {"fig": "图", "img": "图", "tab": "表", "tbl": "表", "eq": "公式", "alg": "算法"}
ELSEWHERE = "相应章节"
VARIABLE = re.compile(r"\{\{\{[ \t]*\.?([\w.-]*)[^{}\n]*\}\}\}")
COMPONENT = re.compile(r"<(/?)([A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+)((?:\s[^<>\n]*?)?)(/?)>")
HIGHLIGHT = re.compile(
    r"\{%-?\s*(?:highlight|codeblock)\s*([\w+#-]*)[^%\n]*%\}\n?(.*?)\n?[ \t]*\{%-?\s*end(?:highlight|codeblock)\s*-?%\}",
    re.DOTALL,
)
LIQUID_RAW = re.compile(r"\{%-?\s*(?:end)?raw\s*-?%\}")


def has_signs(text: str) -> bool:
    """Whether a text may have such syntax."""
    return any(sign in text for sign in SIGNS) or ("<" in text and COMPONENT_SIGN.search(text) is not None)


def _lines_with_signs(text: str) -> set[int]:
    """The numbers of the lines that may have such syntax."""
    places = [found.start() for found in COMPONENT_SIGN.finditer(text)] if "<" in text else []
    for sign in SIGNS:
        place = text.find(sign)
        while place >= 0:
            places.append(place)
            place = text.find(sign, place + 1)
    numbers, number, before = set(), 0, 0
    for place in sorted(places):
        number += text.count("\n", before, place)
        before = place
        numbers.add(number)
    return numbers


def without_syntax(text: str) -> str:
    """The text without the syntax of documentation.

    Admonitions and tabs: their titles and their content stay, four columns further left. An admonition without content
    goes. References (:numref:`fig_a`) become the word for what they point to, since their numbers are nowhere in the text.
    """
    if not has_signs(text):
        return text
    closed = {found[2] for found in COMPONENT.finditer(text) if found[1]} if "</" in text else set()
    writer = _Writer()
    for kind, piece in blocks.pieces(text):
        if kind == blocks.TABLE:
            writer.block(VARIABLE.sub(_variable, piece))
        elif kind == blocks.FENCED and "8<" in piece and INCLUDES.fullmatch(piece):
            continue
        elif kind in blocks.KEPT:
            writer.block(piece)
        elif kind == blocks.RAW:
            writer.block(LIQUID_RAW.sub("", HIGHLIGHT.sub(_highlighted, piece)) if "{%" in piece else piece)
        else:
            marked = _lines_with_signs(piece)
            if not writer.is_inside() and not marked:
                writer.block(piece)
                continue
            last = not piece.endswith("\n")
            lines = piece.split("\n") if last else piece[:-1].split("\n")
            for number, line in enumerate(lines):
                writer.line(line, number in marked, closed, "" if last and number == len(lines) - 1 else "\n")
    return writer.text()


@dataclass
class _Container:
    """An admonition whose lines are being written. body: the column from which on lines are in it."""

    body: int
    shift: int
    title: str | None  # until there is something to write below it
    silent: bool = False
    learns: bool = False  # its first line says how far it is indented
    gap: bool = False  # whether there is an empty line below its title


class _Writer:
    """Writes lines, those in admonitions further left."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._open: list[_Container] = []

    def text(self) -> str:
        return "".join(self._out)

    def is_inside(self) -> bool:
        """Whether the last line is in an admonition, or may be."""
        return bool(self._open)

    def block(self, piece: str) -> None:
        """Code or a table, whose lines move together."""
        self._close(_column(piece))
        if self._open and self._open[-1].silent:
            return
        self._titles()
        shift = sum(container.shift for container in self._open)
        self._out.append("".join(_shifted(line, shift) for line in piece.splitlines(keepends=True)) if shift else piece)

    def line(self, line: str, is_marked: bool, closed: set[str], end: str) -> None:
        if not self._open and not is_marked:
            self._out += [line, end]
            return
        if not line.strip():
            if self._open and self._open[-1].title:
                self._open[-1].gap = True
            else:
                self._out.append(end)
            return
        column = _column(line)
        self._close(column)
        inner = self._open[-1] if self._open else None
        if inner and inner.silent:
            return
        if inner and inner.learns:
            if OPTION.fullmatch(line):
                return
            inner.shift, inner.body, inner.learns = inner.shift + column - inner.body + 1, column, False
        if self._opened(line, column):
            return
        if GONE.fullmatch(line):
            return
        if ":::" in line and (found := FENCED_DIV.fullmatch(line)):
            line = found[1] or found[2] or ""
        line = _inline(line, closed)
        if line.strip():
            self._titles()
            self._out += [_shifted(line, sum(container.shift for container in self._open)), end]

    def _opened(self, line: str, column: int) -> bool:
        """Whether a line opens an admonition, a tab or a directive."""
        if found := ADMONITION.fullmatch(line) or TABBED.fullmatch(line):
            title = next((text for text in found.groups()[1:] if text), None)
            self._open.append(_Container(column + TAB, TAB, " " * column + title if title else None))
        elif ".. " not in line:
            return False
        elif found := DIRECTIVE.fullmatch(line):
            # Its content may be indented by any number of columns: here one more than the directive, until it is known.
            title = " " * column + found[2] if found[2] else None
            self._open.append(_Container(column + 1, 0, title, learns=True))
        elif SILENT.fullmatch(line):
            self._open.append(_Container(column + 1, 0, None, silent=True))
        else:
            return False
        return True

    def _close(self, column: int) -> None:
        while self._open and column < self._open[-1].body:
            gone = self._open.pop()
            if gone.gap:
                self._out.append("\n")
            if gone.learns and gone.title:  # .. note:: a title that is all its text
                self._titles()
                self._out.append(_shifted(gone.title, sum(container.shift for container in self._open)) + "\n")

    def _titles(self) -> None:
        """Write the titles of the admonitions that are open, now that they have content."""
        shift = 0
        for container in self._open:
            if container.title:
                self._out.append(_shifted(container.title, shift) + ("\n\n" if container.gap else "\n"))
                container.title = None
            shift += container.shift


def _column(line: str) -> int:
    """How many columns a line is indented."""
    column = 0
    for character in line:
        if character == " ":
            column += 1
        elif character == "\t":
            column += TAB - column % TAB
        else:
            break
    return column


def _shifted(line: str, shift: int) -> str:
    """A line so many columns further left, as far as it is indented."""
    place = column = 0
    while column < shift and place < len(line) and line[place] in " \t":
        column += 1 if line[place] == " " else TAB - column % TAB
        place += 1
    return " " * max(0, column - shift) + line[place:] if place else line


def _inline(line: str, closed: set[str]) -> str:
    """A line without labels, references, variables and components."""
    if ":`" in line or "}`" in line:
        line = ROLE.sub(_role, LABEL.sub("", CITED.sub("", line)))
    if "{{{" in line:
        line = VARIABLE.sub(_variable, line)
    if "<" in line and ("</" in line or "/>" in line or closed or "=" in line):
        line = COMPONENT.sub(
            lambda found: "" if found[1] or found[4] or found[2] in closed or "=" in found[3] else found[0], line
        )
    return line


def _role(found: re.Match[str]) -> str:
    """The words of a role: its title, its code, or the word for what it points to."""
    name, text = (found["rst"] or found["myst"]).rpartition(":")[2], found["text"]
    if titled := TITLED.fullmatch(text):
        return f"{found['before']}{titled[1]}{found['after']}"
    if name in CODE_ROLES:
        return f"{found['before']}`{text.lstrip('~!')}`{found['after']}"
    if name in TEXT_ROLES:
        return (
            f"{found['before']}${text}${found['after']}"
            if name == "math"
            else f"{found['before']}{text}{found['after']}"
        )
    if name not in REFERENCES:
        return found[0]
    if found.string[: found.start()].endswith(("图", "表", "公式", "式", "算法", "章节", "节", "章")):
        return ""
    word = NAMED.get(re.split("[_:-]", text)[0], "公式" if name == "eqref" else ELSEWHERE)
    return word if found.start() else found["before"] + word


def _variable(found: re.Match[str]) -> str:
    """The name of a variable, in the place of its value, which is nowhere in the text: {{{ .starter }}} is starter."""
    return found[1].rpartition(".")[2]


def _highlighted(found: re.Match[str]) -> str:
    return fenced(found[2], found[1])
