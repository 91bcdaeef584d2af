"""The settings of the stage download: the sources, and what is said of each.

Unlike the other settings, this file is code that the stage depends on: what a source leaves unsaid is said here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from woodblock.run.settings.common import Block, Positive

# What a record's fields are called here; `columns` says what the data set calls them.
Column = Literal[
    "text", "title", "messages", "prompt", "response", "instruction", "input", "output", "history", "system"
]


class Source(Block):
    url: Annotated[str, Field(pattern=r"^(pypi|hf|ms|https?|file)://.+")]
    licence: str
    format: Literal["laws", "chapters", "dialogues", "articles"] | None = None  # None: by inspection
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    columns: dict[Column, Annotated[str, Field(min_length=1)]] | None = None
    name: Annotated[str, Field(min_length=1)] | None = None
    member: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_records: Positive | None = None


class Download(Block):
    shard_chars: Positive
    corpus: Annotated[list[Source], Field(min_length=1)]
    instructions: list[Source]
    documents: list[Source]
    benchmarks: list[Source]
