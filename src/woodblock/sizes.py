"""How large a model is: its shape from one number, and the memory that a step of its training takes.

Nothing here loads torch, so params.yaml is checked with it before any stage starts.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from woodblock.model import Config

HEAD_DIM = 64
WIDTH_STEP = 2 * HEAD_DIM  # heads come in pairs: the two query heads that share a key–value head
ASPECT = 64  # dim / layers
CLOSE = 0.05  # of the parameters: as far off as an aspect that is twice or half ASPECT
SHAPE = ("dim", "layers", "heads", "kv_heads", "hidden_dim")


def of_width(dim: int, layers: int) -> dict[str, int]:
    """The shape of a width: heads of 64, two of them a key–value head, SwiGLU's hidden layer of 8/3 · dim, rounded up
    to a multiple of 64, so that its three matrices hold what two of 4 · dim would (Shazeer 2020; LLaMA)."""
    heads = dim // HEAD_DIM
    hidden = 64 * math.ceil(8 * dim / 3 / 64)
    return {"dim": dim, "layers": layers, "heads": heads, "kv_heads": max(1, heads // 2), "hidden_dim": hidden}


def of_depth(layers: int) -> dict[str, int]:
    """The shape of a depth: 64 times as wide, rounded up to whole pairs of heads."""
    return of_width(WIDTH_STEP * math.ceil(ASPECT * layers / WIDTH_STEP), layers)


def of_parameters(parameters: int, vocab_size: int) -> dict[str, int]:
    """The shape whose parameters, with a vocabulary, are near a number and whose dim / layers is near 64.

    Of each width (64, 128, 256, 384, …) the number of layers that comes nearest; of these the shape that is least off,
    where 5 % of the parameters weigh as much as an aspect twice or half of 64. Loss hardly depends on the aspect between
    30 and 100 (Kaplan et al. 2020, figure 5), so the count goes first; but a single wide layer, or fifty of one head, is
    not a language model that anyone wants. At 6,144 pieces, 215 million give the book's shape and 6 million give 6 layers
    of 256. Raises ValueError for fewer parameters than the smallest shape has.
    """
    least = _count(of_width(HEAD_DIM, 1), vocab_size)
    if parameters < least:
        raise ValueError(
            f"model.parameters: {parameters} is less than the smallest model has with a vocabulary of {vocab_size}; "
            f"{least} would do"
        )
    shapes, dim = [], HEAD_DIM
    while not shapes or _count(of_width(dim, 1), vocab_size) <= 1.25 * parameters:
        bare, layer = _count(of_width(dim, 0), vocab_size), _layer(of_width(dim, 1))
        shapes.append(of_width(dim, max(1, round((parameters - bare) / layer))))
        dim = WIDTH_STEP if dim < WIDTH_STEP else dim + WIDTH_STEP

    def off(shape: dict[str, int]) -> float:
        aspect = abs(math.log2(shape["dim"] / shape["layers"] / ASPECT))
        return abs(_count(shape, vocab_size) / parameters - 1) / CLOSE + aspect

    return min(shapes, key=off)


def shape(model: Any, vocab_size: int) -> dict[str, int]:
    """The shape that params' model block means: the one it spells out, or that of its depth or parameters.

    Raises ValueError unless exactly one of the three is given, and as `of_parameters` does.
    """
    given = [name for name in SHAPE if getattr(model, name) is not None]
    ways = [name for name in ("depth", "parameters") if getattr(model, name) is not None]
    if len(ways) + bool(given) != 1:
        named = ", ".join(f"model.{name}" for name in (*ways, *given)) or "none"
        raise ValueError(
            f"model: its size is given by {named}; give model.depth, or model.parameters, or all of "
            f"{', '.join(SHAPE)}, and null for the others"
        )
    if missing := [name for name in SHAPE if given and name not in given]:
        raise ValueError(
            f"model.{missing[0]} is null; a shape that is spelled out needs all of {', '.join(SHAPE)}, or set all of "
            "them null and give model.depth or model.parameters"
        )
    if given:
        return {name: getattr(model, name) for name in SHAPE}
    return of_depth(model.depth) if model.depth is not None else of_parameters(model.parameters, vocab_size)


def _layer(shape: dict[str, int]) -> int:
    dim, kv_dim = shape["dim"], shape["kv_heads"] * HEAD_DIM
    return 2 * dim * dim + 2 * dim * kv_dim + 3 * dim * shape["hidden_dim"] + 2 * dim


def _count(shape: dict[str, int], vocab_size: int) -> int:
    """Parameters without those of QK-norm, which are few."""
    return vocab_size * shape["dim"] + shape["layers"] * _layer(shape) + shape["dim"]


Optimizer = Literal["muon", "adamw", "adam"]


def training_bytes(config: Config, micro_batch_tokens: int, optimizer: Optimizer, half: bool = False) -> int:
    """Memory in bytes that training takes at its peak, beside the libraries' own: an estimate from the shape.

    Weights, gradients and the optimizer's state in fp32; and whichever is more, what a forward pass keeps for the backward
    pass or what Muon's step holds. half: matrices' inputs are kept in bf16, as autocast does on a GPU. On a CPU it is
    within 15 % of what torch allocates (tests/test_sizes.py); on a GPU, where compilation keeps less, an upper bound
    that nobody has measured yet.
    """
    return fixed_bytes(config, optimizer, half) + max(
        _activation_bytes(config, micro_batch_tokens, half), _step_bytes(config, optimizer)
    )


def largest_micro_batch(config: Config, memory: int, optimizer: Optimizer, half: bool = False) -> int:
    """The most tokens of a micro-batch with which training_bytes stays within `memory` bytes; 0 where none does."""
    return bisect.bisect_right(
        range(1, 2**32), memory, key=lambda tokens: training_bytes(config, tokens, optimizer, half)
    )


def fixed_bytes(config: Config, optimizer: Optimizer, half: bool = False) -> int:
    """Bytes of weights, their bf16 copies where half, gradients and optimizer state: what no micro-batch changes."""
    matrices, others = _matrix_parameters(config), config.vocab_size * config.dim
    states = 4 * matrices + 8 * others if optimizer == "muon" else 8 * (matrices + others)
    return (10 if half else 8) * (matrices + others) + states


def _matrix_parameters(config: Config) -> int:
    kv_dim = config.kv_heads * config.head_dim
    return config.layers * config.dim * (2 * config.dim + 2 * kv_dim + 3 * config.hidden_dim)


def _activation_bytes(config: Config, tokens: int, half: bool) -> int:
    """What a forward pass keeps: numbers a token of each layer, by what they are inputs of.

    A norm keeps its input, that input normalised, and its output, which a projection reads; attention its queries, keys,
    values and output; SwiGLU gate, up, silu(gate) and their product. The loss keeps its gradients instead of logits.
    """
    dim, kv_dim = config.dim, config.kv_heads * config.head_dim
    norms = 2 * 2 * dim + (2 * (dim + kv_dim) if config.qk_norm else 0)  # always fp32
    read = 2 * dim + (2 * dim + 2 * kv_dim) + 4 * config.hidden_dim
    last = 4 * dim
    size = 2 if half else 4
    kept = tokens * (config.layers * (4 * norms + size * read) + 4 * last) + 4 * config.vocab_size * dim
    gate_gradients = 2 * size * tokens * config.hidden_dim  # of the layer that the backward pass is at
    logits = 2 * 4 * min(tokens, 256) * config.vocab_size  # of a chunk, and as probabilities
    return kept + max(gate_gradients, logits)


def _step_bytes(config: Config, optimizer: Optimizer) -> int:
    """Muon takes all matrices of a shape at once: gradients looked ahead, stacked, orthogonalised and multiplied."""
    if optimizer != "muon":
        return 0
    dim, kv_dim = config.dim, config.kv_heads * config.head_dim
    stacks: dict[tuple[int, int], int] = {}
    for rows, columns, count in (
        (dim, dim, 2),
        (kv_dim, dim, 2),
        (config.hidden_dim, dim, 2),
        (dim, config.hidden_dim, 1),
    ):
        stacks[rows, columns] = stacks.get((rows, columns), 0) + count * rows * columns
    return 4 * 6 * config.layers * max(stacks.values())
