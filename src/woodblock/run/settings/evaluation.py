"""The settings of the stages that measure a model and report: benchmark, rag_index, rag_eval and report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from woodblock.run.settings.common import Block, Positive, Rate, Share


class Benchmark(Block):
    tasks: Annotated[
        list[Literal["validation", "continuation", "source_law", "source_law_verbatim"]], Field(min_length=1)
    ]
    questions_per_group: Annotated[int, Field(ge=4, le=40)]  # questions come in fours
    questions: Annotated[int, Field(ge=4)]
    validation_chars: Positive
    batch_tokens: Positive
    bootstrap: Annotated[int, Field(ge=100)]


class RagIndex(Block):
    k1: Rate
    b: Share


class RagEval(Block):
    queries: Positive
    questions: str | None
    questions_sha256: str | None
    answers: Positive
    passages: Annotated[int, Field(ge=1, le=10)]
    max_new_tokens: Positive


class Report(Block):
    title: str
