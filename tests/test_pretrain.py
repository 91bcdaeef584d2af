"""Pretraining's baselines count what they may, and its validation covers every byte."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import small_models

import pretrain
from woodblock import packing
from woodblock.errors import UserError
from woodblock.likelihood import bits_per_byte
from woodblock.ngram import KneserNey

VOCAB = 50


def documents(lengths, seed=0):
    draw = np.random.default_rng(seed)
    return [[1, *draw.integers(6, VOCAB, length - 2).tolist(), 2] for length in lengths]


def packed(folder, train, validation, vocab_size=VOCAB):
    splits = {
        split: packing.write(
            folder, split, ((ids, 2 * len(ids)) for ids in found), vocab_size=vocab_size, shard_tokens=37
        )
        for split, found in (("train", train), ("validation", validation))
    }
    packing.write_index(folder, vocab_size=vocab_size, tokenizer_sha256="0" * 64, splits=splits)
    return packing.Packed(folder, "train"), packing.Packed(folder, "validation")


def trained_on(seen, held_out):
    """Bits per byte of Kneser–Ney models that saw these documents."""
    tokens, starts = np.concatenate(seen), np.cumsum([0, *map(len, seen[:-1])])
    tested, begins = np.concatenate(held_out), np.cumsum([0, *map(len, held_out[:-1])])
    return {
        f"{name}_bpb": bits_per_byte(KneserNey(tokens, starts, order, VOCAB).nll(tested, begins), 2 * len(tested))
        for name, order in pretrain.BASELINES.items()
    }


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [(10**9, [0, 1, 2, 3]), (100, [0, 1, 2, 3]), (75, [1, 2, 3]), (50, [1, 3]), (25, [3]), (1, [0])],
)
def test_baselines_count_documents_evenly_within_their_limit(tmp_path, limit, chosen):
    """Four documents of 100 tokens in all: a share of the tokens is that share of the documents, one at least."""
    train, held_out = documents((25, 20, 30, 25)), documents((12, 25), seed=1)
    found = pretrain.baselines(*packed(tmp_path, train, held_out), VOCAB, limit)
    assert found == pytest.approx(trained_on([train[number] for number in chosen], held_out))


def test_validation_covers_every_token_and_byte(tmp_path):
    held_out = documents((12, 2, 100, 33), seed=1)
    _, validation = packed(tmp_path, documents((50,)), held_out)
    pieces, size = pretrain.validation_windows(validation, 16)
    assert size == 2 * sum(map(len, held_out))
    targets = [int(token) for piece in pieces for token in piece.targets]
    assert targets == [token for ids in held_out for token in ids[1:]]


def test_tokens_of_another_tokenizer_are_refused(tmp_path):
    train, _ = packed(tmp_path, documents((50,)), documents((12,)))
    shape = SimpleNamespace(dim=32, layers=1, heads=2, kv_heads=1, hidden_dim=48, context=16)
    shape.rope_theta, shape.norm_eps, shape.init_std = 1e4, 1e-5, 0.02
    folder = small_models.tokenizer_folder()
    with pytest.raises(UserError, match=r"holds ids of 50 pieces, .* has 600; run pack again"):
        pretrain.configure(shape, train, folder)
    same, _ = packed(tmp_path / "same", documents((50,)), documents((12,)), vocab_size=600)
    config = pretrain.configure(shape, same, folder)
    assert (config.vocab_size, config.dim, config.rope_theta, config.context) == (600, 32, 1e4, 16)
