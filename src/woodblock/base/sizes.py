"""The shape of a model from its depth or its number of parameters, and the numbers to pretrain a model of that size.

Nothing here loads torch, so params.yaml can be checked with it before any stage starts.
"""

from __future__ import annotations

import math
from typing import Any

HEAD_DIM = 64
WIDTH_STEP = 2 * HEAD_DIM  # heads come in pairs: the two query heads that share a key–value head
ASPECT = 64  # dim / layers
CLOSE = 0.05  # so large a share of parameters too many or too few counts like an aspect of twice or half ASPECT
SHAPE = ("dim", "layers", "heads", "kv_heads", "hidden_dim")

AUTO = "auto"
TOKENS_A_PARAMETER = 20
# What was measured to be good (docs/pretraining.md): the rates of a width and a batch, and the batch of a budget.
ANCHOR_DIM, ANCHOR_BATCH, ANCHOR_TOKENS = 256, 2_048, 2_000_000
MUON_RATE, BESIDE_MUON_RATE, ADAM_RATE = 0.006, 0.03, 0.002
BATCH_EXPONENT = 0.38  # of the budget
MUON_EXPONENT, ADAM_EXPONENT = -0.5, -1.0  # of the width
MICRO_BATCH_TOKENS = 32_768  # at most; a larger batch is taken in parts


def of_width(dim: int, layers: int) -> dict[str, int]:
    """The shape of a width: heads of 64 channels; one key–value head for two query heads; a hidden layer of 8/3 · dim,
    rounded up to a multiple of 64. So SwiGLU's three matrices are as large as two of 4 · dim (Shazeer 2020; LLaMA)."""
    heads = dim // HEAD_DIM
    hidden = 64 * math.ceil(8 * dim / 3 / 64)
    return {"dim": dim, "layers": layers, "heads": heads, "kv_heads": max(1, heads // 2), "hidden_dim": hidden}


def of_depth(layers: int) -> dict[str, int]:
    """The shape of a depth: 64 times as wide, rounded up to whole pairs of heads."""
    return of_width(WIDTH_STEP * math.ceil(ASPECT * layers / WIDTH_STEP), layers)


def of_parameters(parameters: int, vocab_size: int) -> dict[str, int]:
    """The shape that has about so many parameters, with its vocabulary, and whose aspect dim / layers is near 64.

    For each width (64, 128, 256, 384, …) take the number of layers that comes nearest. Of these shapes take the one that
    is least off: 5 % of the parameters too many or too few count as much as an aspect of twice or half of 64. The count
    weighs more, since the loss hardly depends on an aspect between 30 and 100 (Kaplan et al. 2020, figure 5). But the
    aspect counts too: nobody wants a language model of one wide layer, or of fifty layers with one head. At 6,144
    pieces, 215 million give the book's shape and 6 million give 6 layers of 256. Raises ValueError for fewer parameters
    than the smallest shape has.
    """
    least = _count(of_width(HEAD_DIM, 1), vocab_size)
    if parameters < least:
        raise ValueError(
            f"model.parameters: {parameters} is less than the smallest model has with a vocabulary of {vocab_size}; "
            f"use at least {least}"
        )
    shapes: list[dict[str, int]] = []
    dim = HEAD_DIM
    while not shapes or _count(of_width(dim, 1), vocab_size) <= 1.25 * parameters:
        bare, layer = _count(of_width(dim, 0), vocab_size), _layer(of_width(dim, 1))
        shapes.append(of_width(dim, max(1, round((parameters - bare) / layer))))
        dim = WIDTH_STEP if dim < WIDTH_STEP else dim + WIDTH_STEP

    def off(shape: dict[str, int]) -> float:
        aspect = abs(math.log2(shape["dim"] / shape["layers"] / ASPECT))
        return abs(_count(shape, vocab_size) / parameters - 1) / CLOSE + aspect

    return min(shapes, key=off)


def shape(model: Any, vocab_size: int) -> dict[str, int]:
    """The shape that the block model of params gives: key by key, or by depth, or by parameters.

    Raises ValueError unless it is given in exactly one of these ways, and as `of_parameters` does.
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
            f"model.{missing[0]} is null; give all of {', '.join(SHAPE)}, or set all of them to null and give model.depth "
            "or model.parameters"
        )
    if given:
        return {name: getattr(model, name) for name in SHAPE}
    return of_depth(model.depth) if model.depth is not None else of_parameters(model.parameters, vocab_size)


def parameters(model: Any, vocab_size: int) -> int:
    """The number of parameters of the model in params, as models' count_parameters counts them. Raises as `shape` does."""
    size = shape(model, vocab_size)
    of_qk_norm = 2 * size["layers"] * (size["dim"] // size["heads"]) if model.qk_norm else 0
    return _count(size, vocab_size) + of_qk_norm


def pretraining(params: Any, most: int | None = None) -> dict[str, int | float]:
    """The numbers for those keys of the block pretrain that are "auto": the model's size decides them.

    - tokens: 20 a parameter (Hoffmann et al. 2022), rounded up to whole batches; with `most`, at most so many, rounded
      down to whole batches, but one at least.
    - batch_tokens: 2,048 · (tokens / 2,000,000)^0.38 (the exponent: Bergsma et al. 2025, "Power lines: scaling laws for
      weight decay and batch size in LLM pre-training"). The number of windows of model.context is rounded to a power of
      two, and is at least train.devices: each rank needs one.
    - micro_batch_tokens: the batch, or the largest part that divides it and has no more than 32,768 tokens.
    - matrix_learning_rate, for Muon: 0.006 · (dim / 256)^−½ · (batch / 2,048)^½. Muon's update has the root mean square of
      an Adam update, so its spectral norm grows as √dim; the first factor keeps that norm the same (Yang, Simon &
      Bernstein 2023, "A spectral condition for feature learning"). The second factor is the rule for adaptive optimizers
      (Malladi et al. 2022).
    - learning_rate: for AdamW beside Muon 0.03, with Muon's factors (our choice; no paper has this rule). For AdamW or
      Adam on all weights 0.002 · (dim / 256)^−1 (Yang et al. 2022, µP), with the same factor of the batch. Rates are
      rounded to three significant digits.

    Only train.devices, of all that belongs to the machine, has an effect. Raises ValueError as `shape` does.
    """
    block, context = params.pretrain, params.model.context
    dim = shape(params.model, params.tokenizer.vocab_size)["dim"]
    tokens, batch = block.tokens, block.batch_tokens
    if tokens == AUTO:
        wanted = TOKENS_A_PARAMETER * parameters(params.model, params.tokenizer.vocab_size)
        tokens = wanted if most is None else min(wanted, most)
    if batch == AUTO:
        ranks = 1 if params.train.devices == AUTO else params.train.devices
        batch = _windows(tokens, context, ranks) * context
    batches = -(-tokens // batch) if most is None else max(1, min(-(-tokens // batch), most // batch))
    muon = block.optimizer == "muon"
    base, exponent = (BESIDE_MUON_RATE, MUON_EXPONENT) if muon else (ADAM_RATE, ADAM_EXPONENT)
    ruled = {
        "tokens": batches * batch,
        "batch_tokens": batch,
        "micro_batch_tokens": _micro_batch(batch, context),
        "learning_rate": _rate(base, exponent, dim, batch),
        "matrix_learning_rate": _rate(MUON_RATE, MUON_EXPONENT, dim, batch),
    }
    return {name: number for name, number in ruled.items() if getattr(block, name) == AUTO}


def _windows(tokens: int, context: int, ranks: int) -> int:
    """The number of windows in a batch for a budget of tokens: a power of two."""
    wanted = ANCHOR_BATCH * (tokens / ANCHOR_TOKENS) ** BATCH_EXPONENT / context
    return 1 << max(0, round(math.log2(wanted)), (ranks - 1).bit_length())


def _micro_batch(batch: int, context: int) -> int:
    windows = max(1, batch // context)
    most = min(windows, max(1, MICRO_BATCH_TOKENS // context))
    return context * next(n for n in range(most, 0, -1) if windows % n == 0)


def _rate(base: float, exponent: float, dim: int, batch: int) -> float:
    return float(f"{base * (dim / ANCHOR_DIM) ** exponent * math.sqrt(batch / ANCHOR_BATCH):.3g}")


def _layer(shape: dict[str, int]) -> int:
    dim, kv_dim = shape["dim"], shape["kv_heads"] * shape["dim"] // shape["heads"]
    return 2 * dim * dim + 2 * dim * kv_dim + 3 * dim * shape["hidden_dim"] + 2 * dim


def _count(shape: dict[str, int], vocab_size: int) -> int:
    """Parameters without those of QK-norm, which are few."""
    return vocab_size * shape["dim"] + shape["layers"] * _layer(shape) + shape["dim"]
