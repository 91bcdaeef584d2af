"""How a model went on from the same beginnings as it trained: a page of Markdown for a reader, and read back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

TITLE = "# How the model went on, greedily, as it trained"
NONE = "None was asked for: `pretrain.samples_every` is 0."


class Document(NamedTuple):
    """The beginning of a document, and its continuation after each of some steps, in their order."""

    prompt: str
    taken: list[tuple[int, str]]


def as_markdown(samples: Sequence[dict[str, Any]], prompts: Sequence[str]) -> str:
    """A heading for each prompt, and under it its continuation after each of the steps.

    samples: of each step its number, "step", and "texts", one a prompt.
    """
    lines = [TITLE]
    for number, prompt in enumerate(prompts if samples else []):
        lines += ["", f"## {_cell(prompt)}", "", "| step | continuation |", "| ---: | :--- |"]
        lines += [f"| {taken['step']} | {_cell(taken['texts'][number])} |" for taken in samples]
    if not samples:
        lines += ["", NONE]
    return "\n".join(lines) + "\n"


def from_markdown(page: str) -> list[Document]:
    """What `as_markdown` wrote, but for runs of white space, which are one space on the page."""
    found: list[Document] = []
    for line in page.splitlines():
        if line.startswith("## "):
            found.append(Document(_text(line.removeprefix("## ")), []))
        elif row := re.fullmatch(r"\| (\d+) \| (.*) \|", line):
            found[-1].taken.append((int(row[1]), _text(row[2])))
    return found


def _cell(text: str) -> str:
    """A text within a line of Markdown: no line breaks, and nothing that is a mark there."""
    return re.sub(r"([\\|`*_<>#\[\]])", r"\\\1", " ".join(text.split()))


def _text(cell: str) -> str:
    return re.sub(r"\\(.)", r"\1", cell)
