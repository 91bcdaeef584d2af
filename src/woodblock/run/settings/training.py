"""The settings of the stages pretrain and sft, and of the devices that both run on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from woodblock.base import sizes
from woodblock.run.settings.common import Block, Count, Positive, Rate, Share


def _or_auto(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Accept the word auto, or what `check` accepts. Any other value gives one error; with a union type it would be two."""
    if value == sizes.AUTO:
        return value
    try:
        return check(value)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        raise PydanticCustomError("or_auto", "{said}, or auto", {"said": said}) from None


CountOrAuto = Annotated[Positive, WrapValidator(_or_auto)]
RateOrAuto = Annotated[Rate, WrapValidator(_or_auto)]


class Training(Block):
    """What pretraining and fine-tuning share: one loop, one optimizer."""

    optimizer: Literal["muon", "adamw", "adam"]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup_share: Share
    decay_share: Share
    final_lr_share: Share
    schedule: Literal["wsd", "cosine"]
    clip: Rate
    keep: Literal["best", "last"]
    validate_every: Positive
    checkpoint_every: Positive


class Train(Block):
    """The devices that train. A run that was stopped may continue with other values."""

    devices: CountOrAuto
    shard: bool
    compile: bool


class Pretrain(Training):
    """A key that says auto is a number in the checked params: the model's size decides it (Params.size_decides)."""

    tokens: CountOrAuto
    batch_tokens: CountOrAuto
    micro_batch_tokens: CountOrAuto
    learning_rate: RateOrAuto
    matrix_learning_rate: RateOrAuto
    max_epochs: Rate | None
    document_mask: bool
    samples_every: Count
    baseline_tokens: Positive


class Sft(Training):
    batch_tokens: Positive
    micro_batch_tokens: Positive
    learning_rate: Rate
    matrix_learning_rate: Rate
    article_examples: Count
    well_known_laws: list[str]
    validation_share: Annotated[float, Field(gt=0, lt=1)]
    epochs: Positive
    max_tokens: Positive
    system: str
    prompts: Positive
    max_new_tokens: Positive
    no_repeat_ngram: Count
