"""How a model continued the same beginnings while it trained: written as a page of Markdown, and read back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

TITLE = "# How the model went on, greedily, as it trained"
NONE = "None was asked for: `pretrain.samples_every` is 0."


class Document(NamedTuple):
    """The beginning of a document, and its continuation after some steps, as (step, text) in order."""

    prompt: str
    taken: list[tuple[int, str]]


def as_markdown(samples: Sequence[dict[str, Any]], prompts: Sequence[str]) -> str:
    """A heading for each prompt, and below it a table of its continuations by step.

    samples: one for each step: its number, "step", and "texts", one for each prompt.
    """
    lines = [TITLE]
    for number, prompt in enumerate(prompts if samples else []):
        lines += ["", f"## {_cell(prompt)}", "", "| step | continuation |", "| ---: | :--- |"]
        lines += [f"| {taken['step']} | {_cell(taken['texts'][number])} |" for taken in samples]
    if not samples:
        lines += ["", NONE]
    return "\n".join(lines) + "\n"


def from_markdown(page: str) -> list[Document]:
    """What `as_markdown` wrote, except that each run of white space has become one space."""
    found: list[Document] = []
    for line in page.splitlines():
        if line.startswith("## "):
            found.append(Document(_text(line.removeprefix("## ")), []))
        elif row := re.fullmatch(r"\| (\d+) \| (.*) \|", line):
            found[-1].taken.append((int(row[1]), _text(row[2])))
    return found


def _cell(text: str) -> str:
    """A text for one line of Markdown: without line breaks, its special characters escaped."""
    return re.sub(r"([\\|`*_<>#\[\]])", r"\\\1", " ".join(text.split()))


def _text(cell: str) -> str:
    return re.sub(r"\\(.)", r"\1", cell)
