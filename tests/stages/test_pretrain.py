"""Pretraining's baselines count what they may; batches are named; samples are the same at every call."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from support import small_models

import pretrain
from woodblock.base.digests import digest
from woodblock.base.errors import UserError
from woodblock.evaluation.likelihood import bits_per_byte
from woodblock.evaluation.ngram import KneserNey
from woodblock.tokens import packing

VOCAB = 50


def documents(lengths, seed=0):
    draw = np.random.default_rng(seed)
    return [[1, *draw.integers(6, VOCAB, length - 2).tolist(), 2] for length in lengths]


def packed(folder, train, validation, vocab_size=VOCAB, tokenizer="0" * 64):
    splits = {
        split: packing.write(
            folder, split, ((ids, 2 * len(ids)) for ids in found), vocab_size=vocab_size, shard_tokens=37
        )
        for split, found in (("train", train), ("validation", validation))
    }
    packing.write_index(folder, vocab_size=vocab_size, tokenizer_sha256=tokenizer, splits=splits)
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
    assert found.pop("baseline_tokens") == sum(len(train[number]) for number in chosen)
    assert found == pytest.approx(trained_on([train[number] for number in chosen], held_out))


def test_tokens_of_another_tokenizer_are_refused(tmp_path):
    train, _ = packed(tmp_path, documents((50,)), documents((12,)))
    shape = SimpleNamespace(dim=32, layers=1, heads=2, kv_heads=1, hidden_dim=48, context=16)
    shape.depth = shape.parameters = shape.rope_scaling = None
    shape.rope_theta, shape.rope_factor, shape.norm_eps, shape.init_std, shape.qk_norm = 1e4, 1.0, 1e-5, 0.02, False
    folder = small_models.tokenizer_folder()
    with pytest.raises(UserError, match=r"made for a vocabulary of 50 pieces, but .* has 600; run pack"):
        pretrain.configure(shape, train, folder)
    other, _ = packed(tmp_path / "other", documents((50,)), documents((12,)), vocab_size=600)
    with pytest.raises(
        UserError, match=r"made with another tokenizer of the same size \(sha256 0{12}….*; run pack"
    ) as error:
        pretrain.configure(shape, other, folder)
    assert "\n" not in str(error.value)
    made_with = digest(folder / "tokenizer.model")
    same, _ = packed(tmp_path / "same", documents((50,)), documents((12,)), vocab_size=600, tokenizer=made_with)
    config = pretrain.configure(shape, same, folder)
    assert (config.vocab_size, config.dim, config.rope_theta, config.context) == (600, 32, 1e4, 16)
    shape.dim = shape.layers = shape.heads = shape.kv_heads = shape.hidden_dim = None
    shape.depth, shape.qk_norm, shape.rope_scaling, shape.rope_factor = 2, True, "yarn", 2.0
    config = pretrain.configure(shape, same, folder)
    assert (config.dim, config.layers, config.hidden_dim, config.kv_heads) == (128, 2, 384, 1)
    assert (config.qk_norm, config.rope_scaling, config.rope_factor) == (True, "yarn", 2.0)


def test_a_batch_is_named_by_its_documents(tmp_path):
    train, _ = packed(tmp_path, documents((25, 20, 3, 30, 25, 40)), documents((12,)))
    windows = packing.Windows(train, 16, seed=3)
    everything = set()
    for number in range(2 * windows.per_pass):
        said = pretrain.named_documents(windows, number, 1)
        named = [int(word) for word in said.removeprefix("documents ").split(", ")]
        assert named == sorted(set(named)) and said.startswith("documents ")
        joined = np.concatenate([train.tokens(start, stop) for start, stop in windows.pieces(number)])
        assert joined.tolist() == windows[number].tolist()
        in_them = {token for document in named for token in train.document(document).tolist()}
        assert set(joined.tolist()) <= in_them
        everything |= set(named)
    assert everything == set(range(6))
    assert pretrain.named_documents(windows, 0, windows.per_pass, most=2) == "documents 0, 1 and 4 more"


def test_samples_are_the_same_at_every_call_and_fit_the_context():
    tokenizer = small_models.tokenizer()
    texts = [small_models.sentence(Random(number)) * 3 for number in range(7)]
    validation = SimpleNamespace(
        bytes=np.asarray([len(text.encode()) for text in texts]),
        document=lambda number: np.asarray([tokenizer.start_id, *tokenizer.encode(texts[number]), tokenizer.end_id]),
    )
    sampler = pretrain.Sampler(validation, tokenizer, 32)
    assert len(sampler.prompts) == pretrain.SAMPLES
    for prompt, number in zip(sampler.prompts, (0, 2, 4), strict=True):
        assert prompt and texts[number].startswith(prompt)
    model = small_models.model(context=32)
    assert sampler(model) == sampler(model) != sampler(small_models.model(seed=1, context=32))
