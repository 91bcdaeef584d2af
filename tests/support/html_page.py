"""Reads an HTML page in tests: whether its tags nest, its text, what it would load, the rows of its tables."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that the tags nest, and keeps the text, the ids, the links and what the page would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.ids, self.links, self.loads = "", [], [], []
        self.feed(html)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name == "href" and tag == "a":
                self.links.append(value)
            if name in ("src", "srcset", "data", "action") or (name == "href" and tag != "a"):
                self.loads.append(value)

    def handle_startendtag(self, tag, attrs) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def table_rows(html: str, section: str) -> list[list[str]]:
    """The cells of all rows of the tables of a section."""
    part = html[html.index(f'<section id="{section}">') :]
    part = part[: part.index("</section>")]
    rows = re.findall(r"<tr.*?</tr>", part, re.DOTALL)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]
