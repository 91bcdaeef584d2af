"""The memory that training takes, estimated from a model's shape before anything is allocated.

At its peak a step holds weights, gradients and the optimizer's state, and whichever is more: what the forward pass keeps
for the backward pass with what the backward pass is busy with, or what Muon's step is busy with. The libraries' own
memory comes on top. What is counted here is what the code of model.py, kernels.py and optimizer.py keeps.
"""

from __future__ import annotations

import bisect
from typing import Literal

from woodblock import kernels
from woodblock.model import Config, chunk_rows

Optimizer = Literal["muon", "adamw", "adam"]
NUMBER = 4  # bytes of fp32


def training_bytes(config: Config, micro_batch_tokens: int, optimizer: Optimizer, device: str) -> int:
    """Bytes that training holds at its peak, with windows of the model's context.

    device: "cpu", where all is fp32; or another, where matrices' inputs are bf16. On a CPU it is within 15 % of what
    torch's allocator counts (tests/test_memory.py). On a GPU nobody has measured it yet; compiled layers keep less, so
    it is meant as an upper bound there.
    """
    passes = _pass_bytes(config, micro_batch_tokens, device)
    return fixed_bytes(config, optimizer, device) + max(passes, _step_bytes(config, optimizer))


def largest_micro_batch(config: Config, memory: int, optimizer: Optimizer, device: str) -> int:
    """The most tokens of a micro-batch with which training_bytes stays within `memory` bytes; 0 where none does."""
    return bisect.bisect_right(
        range(1, 2**32), memory, key=lambda tokens: training_bytes(config, tokens, optimizer, device)
    )


def fixed_bytes(config: Config, optimizer: Optimizer, device: str) -> int:
    """Bytes of weights and gradients, of the weights' bf16 copies on a GPU, and of the optimizer's state."""
    matrices, others = config.layers * sum(_matrices(config)), config.vocab_size * config.dim
    states = matrices + 2 * others if optimizer == "muon" else 2 * (matrices + others)
    copies = 0 if device == "cpu" else 2 * (matrices + others)
    return NUMBER * (2 * (matrices + others) + states) + copies


def _matrices(config: Config) -> tuple[int, ...]:
    """Weights of a layer's matrices by shape: queries and output, keys and values, gate and up, down."""
    dim, kv_dim = config.dim, config.kv_heads * config.head_dim
    if kv_dim == dim:
        return 4 * dim * dim, 2 * config.hidden_dim * dim, config.hidden_dim * dim
    return 2 * dim * dim, 2 * kv_dim * dim, 2 * config.hidden_dim * dim, config.hidden_dim * dim


def _step_bytes(config: Config, optimizer: Optimizer) -> int:
    """Muon takes all matrices of a shape at once, and holds five of each: gradients looked ahead, stacked, scaled,
    orthogonalised, and a product under way."""
    return 5 * NUMBER * config.layers * max(_matrices(config)) if optimizer == "muon" else 0


def _pass_bytes(config: Config, tokens: int, device: str) -> int:
    """What is kept for the backward pass, and the most that is at work beside it: at a layer, at the logits, or where
    the loss hands over its gradients, which it keeps instead of logits."""
    dim, hidden, embedding = config.dim, config.hidden_dim, config.vocab_size * config.dim
    by_hand = device == "cpu" and config.context <= kernels.LONGEST
    half = 1 if device == "cpu" else 0.5
    kept = _kept_by_hand(config) if by_hand else _kept(config, half)
    layer = tokens * (3 * hidden + 2 * dim) + 7 * hidden * dim if by_hand else tokens * 2 * hidden * half
    logits = min(tokens, chunk_rows(config.vocab_size, device)) * config.vocab_size * (1 if half == 1 else 2)
    kept_by_loss = embedding + tokens * 4 * dim  # and by the last norm
    return int(NUMBER * (tokens * config.layers * kept + kept_by_loss + max(layer, logits, embedding + tokens * dim)))


def _kept_by_hand(config: Config) -> float:
    """Numbers that a layer of kernels.py keeps of a token: both halves their normalised input; attention queries, keys,
    values, what was heard, by head and by position, and its weights; SwiGLU gate, up, silu(gate) and their product."""
    dim, kv_dim, length = config.dim, config.kv_heads * config.head_dim, config.context
    seen = sum(
        (min(length, start + kernels.BLOCK) - start) * min(length, start + kernels.BLOCK)
        for start in range(0, length, kernels.BLOCK)
    )
    heard = dim if config.kv_heads == 1 else 2 * dim  # one head's is laid out by position as it is
    attention = 2 * dim + 2 * kv_dim + heard + config.heads * seen / length
    return attention + (dim + kv_dim) * config.qk_norm + dim + 4 * config.hidden_dim


def _kept(config: Config, half: float) -> float:
    """The same of a layer in single operations: a norm keeps its input, that input normalised, and its output; attention
    in one fused operation keeps no weights. half: the size of what matrices read, against fp32."""
    dim, kv_dim = config.dim, config.kv_heads * config.head_dim
    norms = 4 * dim + 2 * (dim + kv_dim) * config.qk_norm
    return norms + half * (4 * dim + 2 * kv_dim + 4 * config.hidden_dim)
