"""A decoder's configuration, and two numbers that follow from it: its parameters, and the operations a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RopeScaling = Literal["linear", "yarn", "llama3"]


@dataclass(frozen=True)
class Config:
    """The numbers that define a decoder: its shape, its positions, and how its weights are drawn."""

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
    rope_factor: float = 1.0  # the context, as a multiple of the one that rope_theta was chosen for

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


def flops(config: Config, positions: int, targets: int, squares: int) -> int:
    """Floating-point operations of training on some sequences, forward and backward.

    positions: of all sequences, without padding. targets: how many of them have a target. squares: the sum of the squared
    lengths. Each weight of a matrix takes six for a position: two in the forward pass, two each for the gradients of its
    input and of itself. The output layer (the embedding, which is tied) takes them only where there is a target; looking
    up a row takes none. Attention's two products take 12 · length² · D a layer. Half of this is counted, since attention
    is causal (Kaplan et al. 2020; Chowdhery et al. 2022, appendix B). torch.utils.flop_counter gives the same number, but
    counts both halves. Norms, rotations, softmax and activations are not counted.
    """
    norms = config.dim + config.layers * (2 * config.dim + 2 * config.head_dim * config.qk_norm)
    output = config.vocab_size * config.dim
    layers = count_parameters(config) - norms - output
    return 6 * (layers * positions + output * targets + config.layers * config.dim * squares)


def flops_per_token(config: Config, length: int) -> int:
    """Floating-point operations for a trained token, in full sequences of `length` with a target at every position."""
    return flops(config, length, length, length**2) // length
