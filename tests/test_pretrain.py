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
    ("limit", "whole"), [(10**9, 4), (100, 4), (99, 3), (60, 3), (59, 2), (30, 2), (29, 1), (10, 1)]
)
def test_baselines_count_whole_documents_within_their_limit(tmp_path, limit, whole):
    """Documents end at 10, 30, 60 and 100 tokens."""
    train, held_out = documents((10, 20, 30, 40)), documents((12, 25), seed=1)
    found = pretrain.baselines(*packed(tmp_path, train, held_out), VOCAB, limit)
    assert found == pytest.approx(trained_on(train[:whole], held_out))


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_a_first_document_over_the_limit_is_cut(tmp_path, limit):
    train, held_out = documents((10, 20)), documents((12,), seed=1)
    found = pretrain.baselines(*packed(tmp_path, train, held_out), VOCAB, limit)
    assert found == pytest.approx(trained_on([train[0][:limit]], held_out))


@pytest.mark.parametrize("limit", [3, 10, 11])
def test_one_document_alone(tmp_path, limit):
    train, held_out = documents((10,)), documents((12,), seed=1)
    found = pretrain.baselines(*packed(tmp_path, train, held_out), VOCAB, limit)
    assert found == pytest.approx(trained_on([train[0][:limit]], held_out))


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
