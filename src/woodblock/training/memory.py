"""The memory that training takes, estimated from a model's shape before anything is allocated.

At its peak, a step needs memory for weights, gradients and the optimizer's state, and the larger of two more: what the
forward pass keeps for the backward pass together with what the backward pass works on; or what Muon's step works on. The
libraries' own memory comes on top. Counted here is what the code of decoder.py, kernels.py and optimizer.py keeps.
"""

from __future__ import annotations

import bisect
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import torch

from woodblock.base.errors import UserError
from woodblock.models import cross_entropy, kernels
from woodblock.models.configuration import Config
from woodblock.run import ranks
from woodblock.tables import parquet
from woodblock.training import distributed, hardware
from woodblock.training.distributed import Place

Optimizer = Literal["muon", "adamw", "adam"]
NUMBER = 4  # bytes of fp32
TOLERANCE = 0.15


class Parallelism(NamedTuple):
    """How many ranks share a batch, whether each has only a part of the weights (FSDP), and how many threads of a CPU each
    has."""

    ranks: int = 1
    shard: bool = False
    threads: int = 1


class Settings(Protocol):
    """The keys of a stage's block in params.yaml that decide the memory."""

    optimizer: Optimizer
    batch_tokens: int
    micro_batch_tokens: int


def training_bytes(config: Config, micro_batch_tokens: int, optimizer: Optimizer, device: str, threads: int = 1) -> int:
    """The bytes that training needs at its peak, with windows of the model's context.

    device: "cpu", where all is fp32; there the estimate is within 15 % of what torch's allocator counts
    (tests/training/test_memory.py). Or a type of GPU, where inputs of matrices are bf16 and layers are compiled; there it
    counts what a compiler has to keep, the inputs of norms and products, and nobody has measured it yet. threads: of a
    CPU; they share a micro-batch's windows, and each has gradients of its own (threads.py).
    """
    parts = max(1, min(threads, micro_batch_tokens // config.context)) if device == "cpu" else 1
    passes = parts * _pass_bytes(config, -(-micro_batch_tokens // parts), device)
    if parts > 1:  # each thread's gradients, beside the sum over earlier micro-batches
        passes += parts * NUMBER * (config.layers * sum(_matrices(config)) + config.vocab_size * config.dim)
    return fixed_bytes(config, optimizer, device) + max(passes, _step_bytes(config, optimizer))


def largest_micro_batch(config: Config, room: int, optimizer: Optimizer, device: str, threads: int = 1) -> int:
    """The most tokens in a micro-batch with which training_bytes stays within `room`; 0 if there is no such number."""
    return bisect.bisect_right(
        range(1, 2**32), room, key=lambda tokens: training_bytes(config, tokens, optimizer, device, threads)
    )


def check(config: Config, settings: Settings, place: Place, length: int, device: torch.device, name: str) -> None:
    """Refuse a micro-batch that the device has no room for, before the model is built.

    settings: the block `name` of params. length: of its sequences. A rank that makes no outputs checks nothing: other
    ranks may already use their memory, so it would see less. Raises UserError as check_room does.
    """
    if ranks.only_helps():
        return
    count = distributed.rank_count(place.devices, device)
    sharded = place.shard and count > 1
    # Threads take rows of their own only if each rank has the whole weights (loop.accumulate).
    each = 1 if sharded else max(1, torch.get_num_threads() // count)
    room = hardware.free_memory(device)
    check_room(config, settings, length, room, device.type, Parallelism(count, sharded, each), name)


def check_room(
    config: Config, settings: Settings, length: int, room: int | None, device: str, parallel: Parallelism, name: str
) -> None:
    """Refuse a micro-batch that does not fit into `room` bytes.

    settings: the block `name` of params. length: of its sequences. room: free bytes of the device, or None where the
    system does not say (then nothing is refused).
    Raises UserError, with the largest micro-batch that fits, if even TOLERANCE less than the estimate is over the room: as
    it is only an estimate, what might just fit is not refused.
    """
    if room is None:
        return
    if device == "cpu":  # the ranks share its memory
        room //= parallel.ranks
    here = replace(config, context=length)
    elsewhere = 0
    if parallel.shard:
        elsewhere = fixed_bytes(here, settings.optimizer, device) * (parallel.ranks - 1) // parallel.ranks
    tokens = max(length, min(settings.micro_batch_tokens, settings.batch_tokens // parallel.ranks))
    need = training_bytes(here, tokens, settings.optimizer, device, parallel.threads) - elsewhere
    if need * (1 - TOLERANCE) <= room:
        return
    most = largest_micro_batch(here, room + elsewhere, settings.optimizer, device, parallel.threads)
    most = min(most, settings.micro_batch_tokens)
    sizes = range(most // config.context * config.context, 0, -config.context)
    fitting = next((size for size in sizes if settings.batch_tokens % size == 0), None)
    instead = f"{fitting} would fit" if fitting else "no micro-batch would fit: make the model smaller"
    each = "" if parallel.ranks == 1 else f" in each of {parallel.ranks} ranks"
    raise UserError(
        f"{name}.micro_batch_tokens: {settings.micro_batch_tokens} needs about {need / 2**30:.3g} GiB{each}, but only "
        f"{room / 2**30:.3g} GiB of memory are free for it; {instead}"
    )


# A conversation in Python: its objects; and for each byte of its text the text itself, and a quarter of a token with its
# target. Measured with conversations of 300 to 9,000 bytes (tests/training/test_memory.py).
CONVERSATION_BYTES, TEXT_FACTOR = 2300, 6


def conversations_bytes(table: Path) -> int:
    """About the bytes that the conversations of a table take when sft has read and tokenized them."""
    return parquet.count(table) * CONVERSATION_BYTES + TEXT_FACTOR * parquet.uncompressed_bytes(table)


def check_conversations(table: Path, place: Place, device: torch.device) -> None:
    """Refuse conversations that the machine has no room for, before they are read: each rank of sft holds all of them.

    Raises UserError if even half of the estimate is over the free memory. A rank that makes no outputs checks nothing.
    """
    room, count = hardware.free_memory(torch.device("cpu")), distributed.rank_count(place.devices, device)
    need = conversations_bytes(table)
    if ranks.only_helps() or room is None or count * need / 2 <= room:
        return
    each = "" if count == 1 else f" in each of {count} ranks"
    raise UserError(
        f"sft holds all conversations in memory: {parquet.count(table):,} need about {need / 2**30:.3g} GiB{each}, but only "
        f"{room / 2**30:.3g} GiB are free; take fewer, with max_records for a source in download.instructions"
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
    """Bytes that Muon's step works on. It takes all matrices of a shape at once, and needs five of each: the gradients
    with momentum, stacked, scaled, orthogonalised, and one product."""
    return 5 * NUMBER * config.layers * max(_matrices(config)) if optimizer == "muon" else 0


def _pass_bytes(config: Config, tokens: int, device: str) -> int:
    """Bytes that are kept for the backward pass, and the most that is worked on beside them: in a layer, at the logits, or
    where the loss returns its gradients, which it keeps instead of logits."""
    dim, hidden, vocabulary = config.dim, config.hidden_dim, config.vocab_size
    embedding = vocabulary * dim
    by_hand = device == "cpu" and config.context <= kernels.LONGEST
    on_gpu = device != "cpu"
    kept = _kept_compiled(config) if on_gpu else _kept_by_hand(config) if by_hand else _kept(config)
    rows = (
        kernels.rows_of_even_chunks(tokens, vocabulary) if by_hand else cross_entropy.rows_at_once(vocabulary, device)
    )
    layer = tokens * (3 * hidden + 2 * dim) + 7 * hidden * dim if by_hand else tokens * (1 if on_gpu else 2) * hidden
    logits = min(tokens, rows) * vocabulary * (2 if on_gpu else 1)
    kept_by_loss = embedding + tokens * 4 * dim  # and by the last norm
    return int(NUMBER * (tokens * config.layers * kept + kept_by_loss + max(layer, logits, embedding + tokens * dim)))


def _kept_by_hand(config: Config) -> float:
    """The numbers that a layer of kernels.py keeps for a token: for both halves the normalised input; for attention
    queries, keys, values, its results and its weights; for SwiGLU gate and up."""
    dim, kv_dim, length = config.dim, config.kv_heads * config.head_dim, config.context
    seen = sum(
        (min(length, start + kernels.BLOCK) - start) * min(length, start + kernels.BLOCK)
        for start in range(0, length, kernels.BLOCK)
    )
    attention = dim + 2 * kv_dim + 2 * dim + config.heads * seen / length
    return attention + (dim + kv_dim) * config.qk_norm + dim + 2 * config.hidden_dim


def _kept(config: Config) -> float:
    """The same for a layer in single operations. A norm keeps its input, the normalised input, and its output. Attention
    is one fused operation and keeps no weights."""
    dim, kv_dim = config.dim, config.kv_heads * config.head_dim
    norms = 4 * dim + 2 * (dim + kv_dim) * config.qk_norm
    return norms + 4 * dim + 2 * kv_dim + 4 * config.hidden_dim


def _kept_compiled(config: Config) -> float:
    """The same for a compiled layer: in fp32 the residual stream before each half; in bf16 the inputs of products, but for
    SwiGLU only gate and up, from which the rest is computed again."""
    dim, kv_dim = config.dim, config.kv_heads * config.head_dim
    halves = 2 * dim + (2 * dim + 2 * kv_dim) + 2 * config.hidden_dim + (dim + kv_dim) * config.qk_norm
    return 2 * dim + halves / 2
