"""The settings of the stage download: the sources, and the keys of a source.

Unlike the other settings, this file is a dep of its stage: the defaults of a source shape what download makes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from woodblock.run.settings.common import Block, Positive

# The names of a record's fields here; `columns` says which names the data set has for them.
Column = Literal[
    "text",
    "title",
    "messages",
    "prompt",
    "response",
    "instruction",
    "input",
    "output",
    "history",
    "system",
    "question",  # this one and the next ones: of benchmarks
    "choices",
    "answer",
    "passage",
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
    limits: Any = None  # its own limits of clean, or none; settings/everything.py checks them
    bad_records: Annotated[float, Field(ge=0, lt=1)] = 0.0  # the share of records that may be broken


class Download(Block):
    shard_chars: Positive
    corpus: list[Source]
    instructions: list[Source]
    documents: list[Source]
    benchmarks: list[Source]
