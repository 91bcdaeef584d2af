"""Conversations for fine-tuning: split by what they are about, tokenized with a loss mask, batched by length.

Each row of a batch is one conversation from its own start token, as at inference. So no conversation sees another. Rows
of similar length share a batch, so there is little padding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from woodblock.models.decoder import Transformer
from woodblock.models.devices import autocast
from woodblock.tables.texts import held_out
from woodblock.tokens.tokenization import Tokenizer
from woodblock.training.instructions import Example

# Ids and targets, equally long; a target below 0 has no loss.
Encoded = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Conversation:
    id: str
    task: str
    split: str  # train or validation
    messages: list[dict[str, str]]
    weight: float = 1.0  # how often an epoch reads it, if it is trained on

    @property
    def prompt(self) -> str:
        """The first thing that the user says."""
        return next(m["content"] for m in self.messages if m["role"] == "user")

    @property
    def reference(self) -> str:
        """The reply to it."""
        return next(m["content"] for m in self.messages if m["role"] == "assistant")


def given(identity: str, messages: list[dict[str, str]], share: float, weight: float = 1.0) -> Conversation:
    """A conversation of the data. A hash of its first prompt decides whether it is held out: no prompt is in both splits."""
    prompt = next(m["content"] for m in messages if m["role"] == "user")
    return Conversation(identity, "given", "validation" if held_out(prompt, share) else "train", messages, weight)


def made(number: int, example: Example, share: float) -> Conversation:
    """A conversation made from a statute. A hash of the article that it is about decides whether it is held out."""
    split = "validation" if held_out(example.key, share) else "train"
    return Conversation(f"{example.task}-{number}", example.task, split, example.messages)


def times(conversation: Conversation) -> int:
    """How often an epoch reads a conversation to train on: its weight, of which a hash of its content decides the fraction.

    So with a weight of 2.5 half of the conversations are read twice, and the others three times.
    """
    whole = int(conversation.weight)
    content = "\n".join(("weight", *(m["content"] for m in conversation.messages)))
    return whole + held_out(content, conversation.weight - whole)


def with_system(messages: Sequence[dict[str, str]], system: str) -> list[dict[str, str]]:
    """The messages with a system prompt before them, unless it is empty or they have their own."""
    if system and messages[0]["role"] != "system":
        return [{"role": "system", "content": system}, *messages]
    return list(messages)


def opening(conversation: Conversation, system: str) -> list[dict[str, str]]:
    """A conversation up to and with its first prompt."""
    first = [m["role"] for m in conversation.messages].index("user")
    return with_system(conversation.messages[: first + 1], system)


def encode(
    conversations: Sequence[Conversation], tokenizer: Tokenizer, system: str, max_tokens: int
) -> tuple[list[Encoded], list[Encoded], dict[str, Any]]:
    """Tokenize conversations; returns those to train on, those held out, and counts.

    Targets are the next tokens where the assistant speaks, also the token that ends its turn; they are −1 elsewhere.
    Conversations over max_tokens are left out and counted: from a reply that is cut, a model would learn not to stop.
    A conversation to train on stands in the result as often as an epoch reads it (see times). It is counted once; one that
    no epoch reads, because its weight is below 1, is counted as left_out_by_weight.
    """
    sides: dict[str, list[Encoded]] = {"train": [], "validation": []}
    counts: Counter[str] = Counter(dropped_long=0)
    for conversation in conversations:
        ids: list[int] = []
        learned: list[bool] = []
        for part, is_learned in tokenizer.chat_parts(with_system(conversation.messages, system)):
            ids += part
            learned += [is_learned] * len(part)
        if len(ids) - 1 > max_tokens:
            counts["dropped_long"] += 1
            continue
        repeats = times(conversation) if conversation.split == "train" else 1
        if not repeats:
            counts["left_out_by_weight"] += 1
            continue
        array = np.asarray(ids, dtype=np.int64)
        targets = np.where(learned[1:], array[1:], -1)
        sides[conversation.split] += [(array[:-1], targets)] * repeats
        counts[conversation.split] += 1
    return sides["train"], sides["validation"], {"conversations": dict(counts)}


def padded(rows: Sequence[Encoded], pad_id: int) -> tuple[Tensor, Tensor]:
    """Rows of any lengths as ids and targets [B, T], padded on the right with pad_id and −1."""
    width = max(len(ids) for ids, _ in rows)
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    targets = np.full((len(rows), width), -1, dtype=np.int64)
    for number, (row_ids, row_targets) in enumerate(rows):
        ids[number, : len(row_ids)], targets[number, : len(row_targets)] = row_ids, row_targets
    return torch.from_numpy(ids), torch.from_numpy(targets)


def by_length(lengths: Sequence[int], order: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Cut rows, in a given order, into batches of at most batch_tokens positions with padding, or of one longer row."""
    batches: list[list[int]] = [[]]
    width = 0
    for i in order:
        width = max(width, lengths[i])
        if batches[-1] and width * (len(batches[-1]) + 1) > batch_tokens:
            batches.append([])
            width = lengths[i]
        batches[-1].append(i)
    return batches


class Batches:
    """The batches of all epochs, by number. Rows are shuffled, then sorted by length within pools of some batches."""

    POOL_BATCHES = 32  # enough to find rows of similar length, few enough to keep the order random

    def __init__(self, rows: Sequence[Encoded], batch_tokens: int, epochs: int, pad_id: int, seed: int) -> None:
        self.rows, self.pad_id = rows, pad_id
        lengths = [len(ids) for ids, _ in rows]
        pool = max(1, self.POOL_BATCHES * batch_tokens * len(rows) // max(1, sum(lengths)))
        self.batches: list[list[int]] = []
        for epoch in range(epochs):
            draw = np.random.default_rng([seed, epoch])
            order = draw.permutation(len(rows)).tolist()
            pools = [sorted(order[i : i + pool], key=lambda i: lengths[i]) for i in range(0, len(order), pool)]
            cut = by_length(lengths, [i for members in pools for i in members], batch_tokens)
            self.batches += [cut[i] for i in draw.permutation(len(cut))]
        positions = sum(len(b) * max(lengths[i] for i in b) for b in self.batches)
        self.padding_share = 1 - epochs * sum(lengths) / positions

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return padded([self.rows[i] for i in self.batches[number]], self.pad_id)


@torch.no_grad()
def reply_loss(model: Transformer, rows: Sequence[Encoded], pad_id: int, batch_tokens: int) -> float:
    """Mean negative log-likelihood of reply tokens and of the tokens that end replies, in nats a token."""
    lengths = [len(ids) for ids, _ in rows]
    order = sorted(range(len(rows)), key=lambda i: lengths[i])
    device, loss, count = model.embed_tokens.weight.device, 0.0, 0
    for batch in by_length(lengths, order, batch_tokens):
        ids, targets = padded([rows[i] for i in batch], pad_id)
        with autocast(device):
            loss += float(model.loss(ids.to(device), targets.to(device)))
        count += int((targets >= 0).sum())
    return loss / count
