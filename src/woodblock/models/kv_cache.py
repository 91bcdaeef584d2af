"""The key–value cache: keys and values of earlier tokens are kept, and not computed again for each generated token.

In shapes B is the batch, T the length of the new part, K the key–value heads, C the channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

from woodblock.models.configuration import Config


class Cache:
    """Keys and values of what was read so far, for generation: [layers, B, K, length, C] each.

    lengths [B] is the number of tokens in each row. Rows are aligned at their starts, so prompts of different lengths need
    no padding on the left: in a shorter row, what is beyond its length is masked, and overwritten later.
    """

    def __init__(self, config: Config, batch: int, length: int, like: Tensor) -> None:
        shape = (config.layers, batch, config.kv_heads, length, config.head_dim)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.lengths = torch.zeros(batch, dtype=torch.long, device=like.device)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write new keys and values [B, K, T, C] after each row's length; return all of the layer's."""
        if keys.dtype != self.keys.dtype:  # under autocast: kept in attention's type, in half the memory
            self.keys, self.values = self.keys.to(keys.dtype), self.values.to(values.dtype)
        batch, kv_heads, new, _ = keys.shape
        rows = torch.arange(batch, device=keys.device)[:, None, None]
        heads = torch.arange(kv_heads, device=keys.device)[None, :, None]
        places = (self.lengths[:, None] + torch.arange(new, device=keys.device))[:, None, :]
        self.keys[layer][rows, heads, places] = keys
        self.values[layer][rows, heads, places] = values
        return self.keys[layer], self.values[layer]

    def take(self, rows: Tensor) -> Cache:
        """The cache of only some rows. rows: a mask [B]."""
        left = object.__new__(Cache)
        left.keys, left.values, left.lengths = self.keys[:, rows], self.values[:, rows], self.lengths[rows]
        return left
