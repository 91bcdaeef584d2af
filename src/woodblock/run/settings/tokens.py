"""The settings of the stages tokenizer and pack."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from woodblock.run.settings.common import Block, Positive

BYTE_PIECES, SPECIAL_PIECES = 256, 6


class Tokenizer(Block):
    vocab_size: Annotated[int, Field(gt=BYTE_PIECES + SPECIAL_PIECES, lt=2**31)]
    character_coverage: Annotated[float, Field(ge=0.98, le=1)]  # what SentencePiece accepts
    max_chars: Positive


class Pack(Block):
    shard_tokens: Positive
