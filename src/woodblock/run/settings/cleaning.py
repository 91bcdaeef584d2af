"""The settings of the stages clean and dedup."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

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
    max_spam: Annotated[float, Field(ge=0)]
    personal_data: list[Literal["mobile", "email", "id_card", "bank_card", "ip"]]
    quality_chars: Positive
    max_bits: Rate | None
    weight_by_quality: Annotated[float, Field(ge=0)]


# The settings of clean that are no filters: they hold for all sources.
SHARED = {"simplified", "personal_data", "quality_chars", "weight_by_quality"}


def check_limits(limits: Any, key: str) -> None:
    """Check what a source says under `limits`: none, or limits of clean with their values. key: where it stands.

    Raises ValueError, in one line.
    """
    if limits is None or limits == "none":
        return
    known = {name: hint for name, hint in get_type_hints(Clean, include_extras=True).items() if name not in SHARED}
    if not isinstance(limits, dict) or not limits:
        raise ValueError(f"{key}: {limits!r} is not possible; write none, or limits of clean as {{max_digits: 0.5}}")
    for name, value in limits.items():
        if name not in known or name == "model_config":
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise ValueError(f"{key}.{name}: {value!r} is no limit of clean that a source can have; {hint}")
        try:
            TypeAdapter(known[name], config=ConfigDict(strict=True)).validate_python(value)
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"]
            raise ValueError(f"{key}.{name}: {value!r} is not possible; {said[0].lower()}{said[1:]}") from None


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
