"""What a planted corpus is made of: its documents, what must come of each, and how many there are of each kind."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How many documents are planted."""

    rest: int = 2000  # real documents that must stay
    each: int = 60  # documents of each kind, or more
    personal: int = 90  # documents with personal data, each with one piece of every kind and of every decoy
    pages: int = 100  # documents that are put into pages, and as many into HTML and into Markdown
    questions: int = 80  # documents with a question of each kind; some are held out, and no training text


SIZES = Sizes()


@dataclass(frozen=True)
class Document:
    """A document of the planted corpus. What must come of it is said by the fields after the text.

    id: kind and number. parent: the id of the document of which this is a copy. original: the text before it was
    garbled. gone: (kind, string) of what must not stand in it any more; kept: (kind, string) of what must; body: the
    text around which things were planted. question: what a training text must not hold.
    """

    id: str
    kind: str
    text: str
    parent: str = ""
    original: str = ""
    body: str = ""
    question: str = ""
    gone: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Planted:
    """The corpus, in the order of its table, and the benchmarks' questions: (id, benchmark, text)."""

    documents: list[Document]
    benchmarks: list[tuple[str, str, str]]


def slug(kind: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
