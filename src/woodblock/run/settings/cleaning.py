"""The settings of the stages clean and dedup."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from woodblock.run.settings.common import Block, Count, Positive, Rate, Share


class Clean(Block):
    simplified: bool
    languages: Annotated[list[Annotated[str, Field(pattern=r"^[a-z]{2}$")]], Field(min_length=1)]
    min_han: Share
    min_chars: Count
    max_top_ngram: Share
    max_repeated_ngrams: Share
    max_repeated_lines: Share
    max_longest_run: Share
    max_templated: Share
    min_variety: Annotated[float, Field(ge=0)]
    max_digits: Share
    max_symbols: Share
    max_punctuation: Share
    min_punctuation: Share
    min_stops: Share
    max_list_line: Annotated[float, Field(ge=0)]
    max_links: Share
    personal_data: list[Literal["mobile", "email", "id_card", "bank_card", "ip"]]
    quality_chars: Positive
    max_bits: Rate
    weight_by_quality: Annotated[float, Field(ge=0)]


class Dedup(Block):
    ngram: Annotated[int, Field(ge=1, le=16)]
    bands: Positive
    rows: Positive
    threshold: Annotated[float, Field(gt=0, le=1)]
    edited: Annotated[float, Field(gt=0, le=1)]
    copied: Share
    paragraph_chars: Positive
    paragraph_documents: Annotated[int, Field(ge=2)]
    overlap_chars: Annotated[int, Field(ge=12)]
    validation_share: Annotated[float, Field(gt=0, lt=1)]
