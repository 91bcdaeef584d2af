"""Judge what came out: what was found of each kind, what was missed, and the share that must be found."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from support.planted.definitions import Document, Planted
from support.planted.real_documents import jaccard
from support.planted.text_functions import bare, is_prose, squeezed

BARS = {"rest": 0.99, "edited 10 %": 0.8, "replaced 10 %": 0.8, "edited 20 %": 0.0, "replaced 20 %": 0.0}  # else .95


@dataclass
class Row:
    """Of one kind: how many were planted, and which were missed: (id, what is wrong, an excerpt)."""

    kind: str
    planted: int = 0
    missed: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return 1 - len(self.missed) / self.planted if self.planted else 1.0


def judge(planted: Planted, train: dict[str, str], validation: dict[str, str]) -> list[Row]:
    """What was found of each kind, in the order of planting's first of each kind.

    train, validation: the texts that came out, by id. A copy is found if it and its original are not both there; what
    is garbled, if it is gone or as good as its original; a machine list, if it is gone. Of pages and personal data each
    planted line or string is counted by itself. A document with a question counts unless it is held out; it is found if
    it is gone or no longer holds the question. The rest is kept if it is there, or its copy.
    """
    rows: dict[str, Row] = {}
    after = train | validation
    families: dict[str, list[str]] = defaultdict(list)
    for document in planted.documents:
        families[document.parent or document.id].append(document.id)

    def count(kind: str, document: Document, fault: str, excerpt: str = "") -> None:
        row = rows.setdefault(kind, Row(kind))
        row.planted += 1
        if fault:
            row.missed.append((document.id, fault, excerpt))

    for document in planted.documents:
        text = after.get(document.id)
        gone = text is None
        if document.kind == "rest":
            lost = not any(member in after for member in families[document.id])
            count("rest", document, "lost" if lost else "", document.text)
        elif document.parent:
            both = not gone and document.parent in after
            share = (
                f"both are there, Jaccard {jaccard(document.text, _text(planted, document.parent)):.2f}" if both else ""
            )
            count(document.kind, document, share, document.text)
        elif document.original:
            mended = not gone and is_mended(text, document.original)
            count(document.kind, document, "" if gone or mended else "garbled", text or "")
        elif document.question:
            if document.id not in validation:
                holds = not gone and bare(document.question) in bare(text)
                count(document.kind, document, "holds it" if holds else "", document.question)
        elif document.kind.startswith("list: "):
            count(document.kind, document, "" if gone else "is there", text or "")
        for kind, mark in document.gone:
            left = None if gone else _remains(kind, mark, text)
            count(kind, document, "" if left is None else "is there", f"{mark} … {left}")
        for kind, mark in document.kept:
            there = not gone and squeezed(mark) in squeezed(text)
            count(kind, document, "" if there else "document is gone" if gone else "is gone", mark)
        if document.body:
            share = 0.0 if gone else _kept_share(document.body, text)
            count(
                f"stays: text of {document.kind}",
                document,
                "" if share >= 0.9 else f"{share:.0%} is there",
                document.text,
            )
    return sorted(rows.values(), key=lambda row: (row.kind != "rest", row.kind))


def is_mended(text: str, original: str) -> bool:
    """Whether a text says what the original says, if perhaps not all of it: the pipeline leaves out lines and marks.

    Of its 3-grams of hanzi .97 stand in the original: where characters are merely left out, one in fifty or more, what
    is joined over the gaps does not. Half of the original's are there, and no replacement character.
    """

    def hanzi(text: str) -> set[str]:
        runs = re.findall("[\u4e00-\u9fff]+", text)
        return {run[i : i + 3] for run in runs for i in range(len(run) - 2)}

    now, before = hanzi(text), hanzi(original)
    shared = len(now & before)
    return "\ufffd" not in text and shared >= 0.97 * len(now) and shared >= 0.5 * len(before)


def _text(planted: Planted, name: str) -> str:
    return next(document.text for document in planted.documents if document.id == name)


def _remains(kind: str, mark: str, text: str) -> str | None:
    """Where a planted string still stands in a text: its line; None where it is gone.

    Of personal data also its telling part alone: the last eight digits of a number, what stands before the @. A short
    line of a page ("分享") must only be gone as a line of its own.
    """
    lines = text.split("\n")
    if kind.startswith("page: ") and len(mark) < 8:
        return next((line for line in lines if line.strip() == mark.strip()), None)
    if kind.startswith("personal: ") and "@" in mark:
        marks = [mark, mark.split("@")[0] + "@"]
    elif kind.startswith("personal: ") and "ip" not in kind.split():
        number = re.sub(r"\D", "", mark)
        marks = [mark, number, number[-8:]]
    else:
        marks = [mark.strip()]
    return next((line for line in lines for one in marks if one in line), None)


def _kept_share(body: str, text: str) -> float:
    """The share of the characters in a body's lines of prose that are still there."""
    lines = [squeezed(line) for line in body.split("\n") if is_prose(line)]
    there = squeezed(text)
    return sum(len(line) for line in lines if line in there) / sum(map(len, lines))


def table(rows: list[Row]) -> str:
    width = max(len(row.kind) for row in rows)
    head = f"{'kind':{width}}  planted  found  share"
    return "\n".join(
        [
            head,
            *(
                f"{row.kind:{width}}  {row.planted:7d}  {row.planted - len(row.missed):5d}  {row.recall:.3f}"
                for row in rows
            ),
        ]
    )


def bar(kind: str) -> float:
    """The least share that must be found (of the rest and of what stays: kept) of a kind; 0 where it is only measured."""
    return BARS.get(kind, 0.95)
