"""The settings of the model: its size and its shape, and whether the numbers of a shape fit together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from woodblock.base import sizes
from woodblock.run.settings.common import Block, Positive, Rate
from woodblock.run.settings.tokens import BYTE_PIECES


class Model(Block):
    depth: Annotated[int, Field(ge=1, le=1000)] | None
    parameters: Annotated[int, Field(ge=1, le=10**13)] | None
    dim: Positive | None
    layers: Positive | None
    heads: Positive | None
    kv_heads: Positive | None
    hidden_dim: Positive | None
    qk_norm: bool
    context: Annotated[int, Field(ge=8)]
    rope_theta: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    rope_scaling: Literal["linear", "yarn", "llama3"] | None
    rope_factor: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    norm_eps: Rate
    init_std: Rate

    @model_validator(mode="after")
    def rope_stretches(self) -> Model:
        if (self.rope_scaling is None) != (self.rope_factor == 1):
            raise ValueError(
                f"model.rope_scaling: {self.rope_scaling or 'null'} does not fit model.rope_factor: "
                f"{self.rope_factor}; null needs 1.0; linear, yarn and llama3 need more than 1.0"
            )
        stretched_from = self.context / self.rope_factor
        if stretched_from < 8 or not stretched_from.is_integer():
            fits = [f for f in range(2, 65) if self.context % f == 0 and self.context // f >= 8]
            raise ValueError(
                f"model.rope_factor: {self.rope_factor} does not divide model.context: {self.context} into a context of "
                f"8 tokens or more; use one of {fits[:4]}, or another context"
            )
        return self

    @model_validator(mode="after")
    def heads_divide(self) -> Model:
        shape = sizes.shape(self, BYTE_PIECES)  # raises unless the size is given in exactly one way
        if self.dim is None:
            return self
        dim, heads, kv_heads = shape["dim"], shape["heads"], shape["kv_heads"]
        if dim % heads or (dim // heads) % 2:
            fits = [h for h in range(1, dim + 1) if dim % h == 0 and (dim // h) % 2 == 0]
            near = sorted(fits, key=lambda h: abs(h - heads))[:4]
            raise ValueError(
                f"model.heads: {heads} does not divide model.dim: {dim} into heads of even size; "
                f"use one of {sorted(near)}"
            )
        if heads % kv_heads:
            fits = [k for k in range(1, heads + 1) if heads % k == 0]
            raise ValueError(f"model.kv_heads: {kv_heads} does not divide model.heads: {heads}; use one of {fits}")
        return self
