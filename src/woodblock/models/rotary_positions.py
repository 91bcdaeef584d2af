"""Rotary positions (Su et al. 2021), and how they are scaled for a longer context.

Queries and keys are turned by an angle that grows with their position. So their product depends only on the distance
between them.

In shapes B is the batch, T the length, C the channels of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from woodblock.models.configuration import Config

YARN_ROTATIONS = (32.0, 1.0)  # turns within the context: channels with more are kept, channels with fewer are stretched
LLAMA3_ROTATIONS = (4.0, 1.0)  # the same bounds for Llama 3.1


def rotary_frequencies(config: Config) -> tuple[Tensor, float]:
    """How far each pair of channels turns from one position to the next [C / 2], in radians; and a factor for the table.

    Without scaling, pair i turns by θ^(−2i/C). Scaling by a factor f makes a context f times as long look like the one
    that θ was chosen for. `linear` slows every pair by f (Chen et al. 2023, position interpolation). The others keep the
    fast pairs, which tell neighbours apart, and slow by f the pairs that do not turn once within the original context.
    Between these two they interpolate: `llama3` by the number of turns (Grattafiori et al. 2024), `yarn` by the number of
    the pair. `yarn` also multiplies the table by 0.1 ln f + 1, since a longer context needs sharper attention (Peng et
    al. 2024).
    """
    theta, size, factor = config.rope_theta, config.head_dim, config.rope_factor
    plain = 1.0 / theta ** (torch.arange(0, size, 2, dtype=torch.float32) / size)
    turns = config.rope_context / (2 * math.pi) * plain  # within the original context
    match config.rope_scaling:
        case None:
            return plain, 1.0
        case "linear":
            return plain / factor, 1.0
        case "llama3":
            many, few = LLAMA3_ROTATIONS
            kept = ((turns - few) / (many - few)).clamp(0, 1)
            return kept * plain + (1 - kept) * plain / factor, 1.0
        case "yarn":
            # The pair that turns r times: i = C · ln(context / 2πr) / (2 ln θ).
            many, few = (
                size * math.log(config.rope_context / (2 * math.pi * r)) / (2 * math.log(theta)) for r in YARN_ROTATIONS
            )
            first, last = max(0, math.floor(many)), min(size - 1, math.ceil(few))
            width = last - first or 0.001  # if both bounds are the same pair
            stretched = ((torch.arange(size // 2, dtype=torch.float32) - first) / width).clamp(0, 1)
            return (1 - stretched) * plain + stretched * plain / factor, 0.1 * math.log(factor) + 1.0


def rotary_table(config: Config) -> Tensor:
    """Cosines and sines of the rotary angles [2, context, C].

    Position p turns the pair (i, i + C/2) by p times its frequency. The paper pairs neighbouring channels; Hugging Face's
    Llama pairs the two halves, and so do we. The two differ only in the order of the channels of q and k.
    """
    frequencies, factor = rotary_frequencies(config)
    angles = torch.outer(torch.arange(config.context, dtype=torch.float32), frequencies)
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()]) * factor


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn queries or keys x [B, heads, T, C] by a rotary table [2, T, C] or [2, B, 1, T, C]."""
    cos, sin = table.to(x.dtype).unbind()
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin
