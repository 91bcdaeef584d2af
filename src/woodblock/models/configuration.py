"""A decoder's configuration, and what follows from it alone: its parameters, and the operations a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RopeScaling = Literal["linear", "yarn", "llama3"]


@dataclass(frozen=True)
class Config:
    """The numbers that make a decoder: its shape, its positions, and how its weights are drawn."""

    vocab_size: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    hidden_dim: int  # of the feed-forward part
    context: int  # longest sequence
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    init_std: float = 0.02
    qk_norm: bool = False  # an RMSNorm on each head's queries and keys: attention's logits stay bounded
    rope_scaling: RopeScaling | None = None
    rope_factor: float = 1.0  # how many times as long the context is as the one that rope_theta was chosen for

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def rope_context(self) -> int:
        """The context that rope_theta was chosen for; rotary scaling stretches it to `context`."""
        return round(self.context / self.rope_factor)


def count_parameters(config: Config) -> int:
    """The number of parameters, tied embeddings counted once."""
    kv_dim = config.kv_heads * config.head_dim
    attention = 2 * config.dim * config.dim + 2 * config.dim * kv_dim
    norms = 2 * config.dim + 2 * config.head_dim * config.qk_norm
    layer = attention + 3 * config.dim * config.hidden_dim + norms
    return config.vocab_size * config.dim + config.layers * layer + config.dim


def flops_per_token(config: Config, length: int) -> int:
    """Floating-point operations a trained token, forward and backward, at sequences of `length`.

    Six for each weight of a matrix: two in the forward pass, two each for the gradients of its input and of itself. The
    embedding counts once, as the output layer; looking rows up is no product. Attention's two products take 12 · length
    · D a layer, of which half is counted, since it is causal (Kaplan et al. 2020; Chowdhery et al. 2022, appendix B).
    This is torch.utils.flop_counter's count less that masked half, which torch counts whole; neither counts norms,
    rotations, softmax or activations. Document masks take away more of attention, and that is not subtracted: MFU is of
    the model's operations, whatever a batch is made of.
    """
    norms = config.dim + config.layers * (2 * config.dim + 2 * config.head_dim * config.qk_norm)
    return 6 * (count_parameters(config) - norms) + 6 * config.layers * config.dim * length
