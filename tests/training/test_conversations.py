"""Conversations are split by what they are about, learned from in their replies alone, and each seen once an epoch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import small_models

from woodblock.training import conversations
from woodblock.training.conversations import (
    Batches,
    Conversation,
    by_length,
    encode,
    opening,
    padded,
    reply_loss,
    with_system,
)
from woodblock.training.instructions import Example

PAD = 5


def talk(*said: str, system: str = "") -> list[dict[str, str]]:
    messages = [{"role": ["user", "assistant"][n % 2], "content": text} for n, text in enumerate(said)]
    return [{"role": "system", "content": system}, *messages] if system else messages


def row(length: int, first: int = 6) -> tuple[np.ndarray, np.ndarray]:
    ids = np.arange(first, first + length)
    return ids, np.where(np.arange(length) % 2, ids + 1, -1)


def test_one_prompt_or_article_is_on_one_side():
    share, sides = 0.3, Counter()
    for n in range(300):
        same = {conversations.given(f"{n}-{k}", talk(f"问题{n}", f"答{k}"), share).split for k in range(3)}
        examples = [Example(task, f"某法第{n}条", f"{task}？", "答。") for task in ("which_law", "continue", "exists")]
        about = {conversations.made(k, example, share).split for k, example in enumerate(examples)}
        assert len(same) == len(about) == 1
        sides.update([*same, *about])
    assert 0.2 < sides["validation"] / sum(sides.values()) < 0.4


def test_the_system_prompt_of_a_conversation_is_its_own():
    assert with_system(talk("问", "答"), "") == talk("问", "答")
    assert with_system(talk("问", "答"), "你是助手") == talk("问", "答", system="你是助手")
    assert with_system(talk("问", "答", system="别的"), "你是助手") == talk("问", "答", system="别的")
    conversation = Conversation("1", "given", "train", talk("问", "答", "再问", "再答", system="别的"))
    assert opening(conversation, "你是助手") == talk("问", system="别的")
    assert (conversation.prompt, conversation.reference) == ("问", "答")


def test_targets_are_the_next_tokens_of_replies_and_their_ends_alone():
    tokenizer = small_models.tokenizer()
    messages = talk("国家应当保护什么？", "环境。", "还有呢？", "水源。")
    train, held_out, counts = encode([Conversation("1", "given", "train", messages)], tokenizer, "你是助手", 500)
    ((ids, targets),) = train
    whole = tokenizer.encode_chat(talk("国家应当保护什么？", "环境。", "还有呢？", "水源。", system="你是助手"))
    assert ids.tolist() == whole[:-1] and len(ids) == len(targets)
    assert [int(t) for t in targets if t >= 0] == [
        *tokenizer.encode("环境。"),
        tokenizer.turn_end_id,
        *tokenizer.encode("水源。"),
        tokenizer.turn_end_id,
    ]
    assert all(target in (-1, after) for target, after in zip(targets.tolist(), whole[1:], strict=True))
    assert held_out == [] and counts == {"conversations": {"dropped_long": 0, "train": 1}}


def test_long_conversations_are_left_out_and_counted():
    tokenizer = small_models.tokenizer()
    said = [Conversation(f"{n}", "given", "validation", talk("问", "国家" * n)) for n in range(40)]
    lengths = [len(tokenizer.encode_chat(c.messages)) - 1 for c in said]
    limit = sorted(lengths)[20]
    train, held_out, counts = encode(said, tokenizer, "", limit)
    fit = sum(length <= limit for length in lengths)
    assert 0 < fit < 40 and train == [] and [len(ids) for ids, _ in held_out] == [n for n in lengths if n <= limit]
    assert counts["conversations"] == {"dropped_long": 40 - fit, "validation": fit}


def test_padding_has_neither_tokens_nor_loss():
    ids, targets = padded([row(2), row(5)], PAD)
    assert ids.tolist() == [[6, 7, PAD, PAD, PAD], [6, 7, 8, 9, 10]]
    assert targets.tolist() == [[-1, 8, -1, -1, -1], [-1, 8, -1, 10, -1]]


LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=80)


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 300))
def test_batches_by_length_hold_all_rows_in_order_within_their_size(lengths, batch_tokens):
    order = np.random.default_rng(0).permutation(len(lengths)).tolist()
    batches = by_length(lengths, order, batch_tokens)
    assert [i for batch in batches for i in batch] == order
    assert all(len(batch) * max(lengths[i] for i in batch) <= batch_tokens for batch in batches if len(batch) > 1)


@settings(max_examples=50)
@given(lengths=LENGTHS, batch_tokens=st.integers(50, 300), epochs=st.integers(1, 3), seed=st.integers(0, 9))
def test_every_epoch_sees_every_row_once(lengths, batch_tokens, epochs, seed):
    rows = [row(length, first=6 + 100 * n) for n, length in enumerate(lengths)]
    batches = Batches(rows, batch_tokens, epochs, PAD, seed)
    drawn, positions, one_epoch = [], 0, []
    for number in range(len(batches)):
        ids, targets = batches[number]
        assert ids.shape == targets.shape and ids.numel() <= batch_tokens
        positions += ids.numel()
        drawn += ids[:, 0].tolist()
        if len(drawn) % len(rows) == 0:  # no batch reaches into the next epoch
            one_epoch.append(sorted(drawn[-len(rows) :]))
    assert one_epoch == [sorted(6 + 100 * n for n in range(len(rows)))] * epochs
    assert batches.padding_share == pytest.approx(1 - epochs * sum(lengths) / positions)


def test_batches_are_of_the_seed_are_shuffled_anew_and_pad_little():
    draw = np.random.default_rng(0)
    rows = [row(int(length), first=6 + n) for n, length in enumerate(draw.integers(5, 200, 1000))]
    first, same, other = (Batches(rows, 2000, 2, PAD, seed).batches for seed in (1, 1, 2))
    assert first == same != other
    half = len(first) // 2
    assert sorted(map(sorted, first[:half])) != sorted(map(sorted, first[half:]))
    assert Batches(rows, 2000, 2, PAD, 1).padding_share < 0.06
    widths = [max(len(rows[i][0]) for i in batch) for batch in first[:half]]
    assert widths != sorted(widths)  # lengths come in any order, or the last steps would see long rows alone


def test_reply_loss_is_a_mean_over_tokens_however_it_is_batched():
    model = small_models.model(context=64)
    draw = np.random.default_rng(0)
    rows = []
    for length in (3, 40, 12, 1, 25, 25):
        ids = draw.integers(6, 600, length)
        targets = np.where(draw.random(length) < 0.4, draw.integers(6, 600, length), -1)
        rows.append((ids, targets))
    total, count = 0.0, 0
    with torch.no_grad():
        for ids, targets in rows:
            logs = model(torch.from_numpy(ids)[None])[0].log_softmax(dim=-1)
            for place, target in enumerate(targets.tolist()):
                if target >= 0:
                    total, count = total - float(logs[place, target]), count + 1
    for batch_tokens in (1, 64, 10_000):
        assert reply_loss(model, rows, PAD, batch_tokens) == pytest.approx(total / count, rel=1e-5)


def test_a_weight_is_how_often_an_epoch_reads_a_conversation():
    def read(weight, split="train"):
        said = [Conversation(str(n), "given", split, talk(f"问题{n}", f"答{n}"), weight) for n in range(200)]
        train, held_out, counts = encode(said, small_models.tokenizer(), "", 500)
        return [ids.tobytes() for ids, _ in train], held_out, counts["conversations"]

    once, _, counts = read(1.0)
    assert len(once) == counts["train"] == len(set(once)) == 200
    four, _, counts = read(4.0)
    assert four == [row for row in once for _ in range(4)] and counts["train"] == 200
    some, _, _ = read(2.5)
    assert {some.count(row) for row in once} == {2, 3}
    assert 460 <= len(some) <= 540  # 500, and three standard deviations of a draw of halves
    assert some == read(2.5)[0]
    few, _, counts = read(0.25)
    assert set(few) < set(once) and len(few) == len(set(few)) == counts["train"] == 200 - counts["left_out_by_weight"]
    assert 30 <= len(few) <= 70
    train, held_out, _ = read(4.0, "validation")
    assert not train and len(held_out) == 200  # what is held out is measured once
