"""Every token after the start token is scored once, with the context promised; sums are those of single tokens."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import small_models

from woodblock.evaluation.likelihood import HeldOut, Window, bits_per_byte, held_out, nll, windows
from woodblock.tokens import packing


@given(length=st.integers(2, 200), context=st.integers(8, 40))
def test_every_token_after_the_first_is_a_target_once(length, context):
    document = np.arange(length)
    pieces = list(windows(document, context))
    targets = [int(token) for piece in pieces for token in piece.targets]
    assert targets == list(range(1, length))
    for number, piece in enumerate(pieces):
        assert 0 < len(piece.targets) <= len(piece.ids) <= context
        # ids are an unbroken run that ends right before the last target
        assert piece.ids.tolist() == list(range(int(piece.ids[0]), int(piece.targets[-1])))
        if number == 0:
            assert piece.ids[0] == 0 and len(piece.targets) == min(context, length - 1)
        else:
            seen = int(piece.targets[0]) - int(piece.ids[0])  # tokens read before it
            assert seen >= context / 2


def test_no_document_is_too_short_and_shorter_is_none():
    (only,) = windows(np.array([1, 2]), 8)
    assert (only.ids.tolist(), only.targets.tolist()) == ([1], [2])
    with pytest.raises(ValueError, match="at least a start and an end token"):
        list(windows(np.array([1]), 8))


@torch.no_grad()
def one_by_one(model, piece: Window) -> float:
    logs = model(torch.from_numpy(piece.ids)[None])[0].double().log_softmax(dim=-1)
    first = len(piece.ids) - len(piece.targets)
    return -sum(float(logs[first + i, int(token)]) for i, token in enumerate(piece.targets))


@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=8),
    batch_tokens=st.sampled_from([1, 16, 64, 1000]),
    seed=st.integers(0, 99),
)
def test_sums_are_those_of_single_tokens(lengths, batch_tokens, seed):
    model = small_models.model(vocab_size=50, context=16)
    draw = np.random.default_rng(seed)
    pieces = [piece for length in lengths for piece in windows(draw.integers(0, 50, length), 16)]
    found = nll(model, pieces, batch_tokens)
    assert found == pytest.approx([one_by_one(model, piece) for piece in pieces], rel=1e-5)


def test_a_document_within_the_context_has_its_likelihood_by_the_chain_rule():
    model = small_models.model(vocab_size=50, context=16)
    document = np.random.default_rng(0).integers(0, 50, 17)
    total = 0.0
    with torch.no_grad():
        for end in range(1, 17):  # each token after all that stands before it, without batch, window or mask
            logits = model(torch.from_numpy(document[:end])[None])[0, -1]
            total -= float(logits.double().log_softmax(dim=-1)[document[end]])
    assert sum(nll(model, windows(document, 16), 64)) == pytest.approx(total, rel=1e-5)


def test_batches_hold_no_more_than_they_may(monkeypatch):
    model = small_models.model(vocab_size=50, context=16)
    shapes = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids: (shapes.append(tuple(ids.shape)), hidden(ids))[1])
    pieces = [Window(np.ones(n, np.int64), np.ones(1, np.int64)) for n in (3, 16, 9, 4, 16, 2, 1)]
    nll(model, pieces, 32)
    assert shapes == [(2, 16), (3, 9), (2, 2)]


def test_bits_per_byte():
    assert bits_per_byte(8 * math.log(2), 4) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="empty"):
        bits_per_byte(1.0, 0)
    # A uniform guess over 256 bytes, and over 2 ** 16 pairs of them, are the same eight bits a byte.
    assert bits_per_byte(100 * math.log(256), 100) == pytest.approx(bits_per_byte(50 * math.log(2**16), 100))


# Sources of held-out documents: the lengths of each one's documents, in tokens.
SPLITS = st.lists(st.lists(st.integers(2, 60), min_size=1, max_size=6), min_size=1, max_size=4)


def split(lengths: list[list[int]], context: int = 16) -> tuple[packing.Packed, HeldOut]:
    """A packed split of random ids; a document has three bytes a token, and 100 more a source."""
    draw = np.random.default_rng(0)
    documents = [
        packing.Document(draw.integers(0, 50, length).tolist(), 3 * length + 100 * number, f"源{number}")
        for number, own in enumerate(lengths)
        for length in own
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entry = packing.write(folder, "validation", documents, vocab_size=50, shard_tokens=37)
        packing.write_index(folder, vocab_size=50, tokenizer_sha256="0" * 64, splits={"validation": entry})
        packed = packing.Packed(folder, "validation")
        return packed, held_out(packed, context)


@given(lengths=SPLITS, context=st.integers(8, 20))
@settings(max_examples=40)
def test_held_out_windows_cover_every_document_and_byte(lengths, context):
    packed, held = split(lengths, context)
    assert held.sources == packed.sources
    targets = [int(token) for window in held.windows for token in window.targets]
    assert targets == [token for i in range(len(packed.bytes)) for token in packed.document(i)[1:].tolist()]
    for number, own in enumerate(lengths):
        assert sum(len(w.targets) for w, s in zip(held.windows, held.source, strict=True) if s == number) == (
            sum(own) - len(own)
        )
        assert held.bytes[held.source == number].sum() == pytest.approx(sum(3 * n + 100 * number for n in own))


@given(lengths=SPLITS, seed=st.integers(0, 9))
@settings(max_examples=40)
def test_bits_per_byte_by_source_are_those_of_its_documents(lengths, seed):
    _, held = split(lengths)
    sums = np.random.default_rng(seed).uniform(0, 100, len(held.windows))
    overall, by_source = held.bits_per_byte(sums.tolist())
    assert overall == pytest.approx(bits_per_byte(sums.sum(), held.bytes.sum()))
    for number, own in enumerate(lengths):
        size = sum(3 * n + 100 * number for n in own)
        assert by_source[f"源{number}"] == pytest.approx(bits_per_byte(sums[held.source == number].sum(), size))


@given(lengths=SPLITS, count=st.integers(1, 80))
@settings(max_examples=40)
def test_a_stratified_sample_has_windows_of_every_source(lengths, count):
    _, held = split(lengths)
    chosen = held.stratified_sample(count)
    assert sorted(set(chosen.tolist())) == chosen.tolist() and len(chosen) < count + len(lengths)
    for number in range(len(lengths)):
        own = np.flatnonzero(held.source == number)
        taken = np.flatnonzero(np.isin(own, chosen))
        share = count * len(own) / len(held.windows)
        assert len(taken) >= max(1, min(len(own), math.floor(share)))
        # evenly: no stretch of the source without one is over twice the average
        gaps = np.diff([-1, *taken, len(own)])
        assert gaps.max() <= 2 * len(own) / len(taken) + 1
    if count >= len(held.windows):
        assert chosen.tolist() == list(range(len(held.windows)))


def test_a_choice_estimates_the_split_whatever_share_each_source_has_of_it():
    _, held = split([[40] * 30, [20], [50] * 3])
    rates = np.asarray([1.0, 2.0, 3.0])  # bits per byte of each source
    sums = held.bytes * rates[held.source] * math.log(2)
    chosen = held.stratified_sample(7)
    overall, by_source = held.bits_per_byte(sums[chosen], chosen)
    assert list(by_source.values()) == pytest.approx(rates)
    assert overall == pytest.approx(bits_per_byte(sums.sum(), held.bytes.sum()))
    with pytest.raises(ValueError, match="no window of 源1 was chosen"):
        held.bits_per_byte(sums[:5], np.arange(5))
