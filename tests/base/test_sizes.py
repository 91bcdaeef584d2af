"""A depth or a number of parameters makes a shape, and a shape a batch, rates and a budget, by the stated rules."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.base import sizes
from woodblock.models.configuration import Config, count_parameters

NAMES = (*sizes.SHAPE, "depth", "parameters")


def block(**given):
    return (
        SimpleNamespace(**dict.fromkeys(NAMES), **{})
        if not given
        else SimpleNamespace(**(dict.fromkeys(NAMES) | given))
    )


def parameters(shape, vocab_size):
    return count_parameters(Config(vocab_size=vocab_size, **shape, context=64))


@pytest.mark.parametrize(
    ("number", "dim", "layers"), [(6_000_000, 256, 6), (215_127_040, 1024, 18), (82_594_560, 768, 12)]
)
def test_parameters_give_shapes_that_are_known(number, dim, layers):
    shape = sizes.of_parameters(number, 6144)
    assert (shape["dim"], shape["layers"]) == (dim, layers)
    assert abs(parameters(shape, 6144) / number - 1) < 0.001


@given(st.integers(200_000, 10**11), st.sampled_from([300, 4096, 6144, 65536]))
def test_a_shape_of_parameters_is_near_them_and_valid(number, vocab_size):
    least = sizes.of_width(sizes.HEAD_DIM, 1)
    if number < parameters(least, vocab_size):
        with pytest.raises(ValueError, match=f"use at least {parameters(least, vocab_size)}$"):
            sizes.of_parameters(number, vocab_size)
        return
    shape = sizes.of_parameters(number, vocab_size)
    assert abs(parameters(shape, vocab_size) / number - 1) < 0.25
    if number > 40 * vocab_size * 64 and number > 3_000_000:  # more than an embedding
        assert abs(parameters(shape, vocab_size) / number - 1) < 0.1  # .09 of 3.5 million with 300 pieces
        assert 16 < shape["dim"] / shape["layers"] <= 192
    assert shape["dim"] == 64 * shape["heads"] and shape["heads"] % shape["kv_heads"] == 0
    assert shape["hidden_dim"] % 64 == 0 and 0 <= shape["hidden_dim"] - 8 * shape["dim"] / 3 < 64


@given(st.integers(1, 200))
def test_a_depth_is_64_times_as_wide(depth):
    shape = sizes.of_depth(depth)
    assert shape["layers"] == depth and 0 <= shape["dim"] - 64 * depth <= 64
    assert shape["heads"] == 2 * shape["kv_heads"] == shape["dim"] // 64


def test_a_size_is_given_in_one_way():
    full = dict(zip(sizes.SHAPE, (128, 4, 4, 2, 384), strict=True))
    assert sizes.shape(block(**full), 600) == full
    assert sizes.shape(block(depth=6), 600) == sizes.of_depth(6)
    assert sizes.shape(block(parameters=6_000_000), 6144) == sizes.of_parameters(6_000_000, 6144)
    for given_too, names in (
        ({}, "given by none"),
        ({"depth": 6, "parameters": 6_000_000}, "given by model.depth, model.parameters;"),
        (full | {"depth": 6}, "given by model.depth, model.dim, model.layers"),
        ({"dim": 128, "heads": 4}, "model.layers is null"),
    ):
        with pytest.raises(ValueError, match=names):
            sizes.shape(block(**given_too), 600)


@given(st.integers(1, 60), st.booleans(), st.sampled_from([300, 6144]))
def test_parameters_are_counted_without_torch_as_with_it(depth, qk_norm, vocab_size):
    odd = dict(zip(sizes.SHAPE, (96, depth, 6, 3, 200), strict=True))  # heads of 16
    for given_shape in ({"depth": depth}, odd):
        model = block(**given_shape)
        model.qk_norm = qk_norm
        config = Config(vocab_size=vocab_size, **sizes.shape(model, vocab_size), context=64, qk_norm=qk_norm)
        assert sizes.parameters(model, vocab_size) == count_parameters(config)


RULED = ("tokens", "batch_tokens", "micro_batch_tokens", "learning_rate", "matrix_learning_rate")


def asked(depth=4, *, context=256, optimizer="muon", devices=1, vocab_size=6144, **explicit):
    """Params of a depth in which everything is auto that is not given."""
    model = block(depth=depth)
    model.qk_norm, model.context = False, context
    pretrain = SimpleNamespace(**(dict.fromkeys(RULED, "auto") | {"optimizer": optimizer} | explicit))
    return SimpleNamespace(
        model=model,
        pretrain=pretrain,
        train=SimpleNamespace(devices=devices),
        tokenizer=SimpleNamespace(vocab_size=vocab_size),
    )


def test_the_rule_gives_back_what_it_is_anchored_at():
    found = sizes.pretraining(asked(depth=4, tokens=2_000_000))
    assert found == {
        "batch_tokens": 2048,
        "micro_batch_tokens": 2048,
        "learning_rate": 0.03,
        "matrix_learning_rate": 0.006,
    }
    for kind in ("adamw", "adam"):
        assert sizes.pretraining(asked(tokens=2_000_000, optimizer=kind))["learning_rate"] == 0.002


def test_exponents_are_those_that_are_stated():
    narrow, wide = (sizes.pretraining(asked(depth, batch_tokens=2048)) for depth in (4, 16))
    assert (wide["learning_rate"], wide["matrix_learning_rate"]) == (0.015, 0.003)  # four times as wide: a half
    assert (narrow["learning_rate"], narrow["matrix_learning_rate"]) == (0.03, 0.006)
    assert sizes.pretraining(asked(16, batch_tokens=2048, optimizer="adamw"))["learning_rate"] == 0.0005  # a quarter
    assert (
        sizes.pretraining(asked(4, batch_tokens=8192))["matrix_learning_rate"] == 0.012
    )  # four times the batch: twice
    budget = 2_000_000 * 2 ** (5 / 0.38)
    assert sizes.pretraining(asked(tokens=round(budget)))["batch_tokens"] == 2048 * 32


CONTEXTS = st.sampled_from([16, 100, 256, 384, 512, 4096, 65536])
KINDS = st.sampled_from(["muon", "adamw", "adam"])


@given(st.integers(1, 200), CONTEXTS, KINDS, st.integers(1, 9) | st.just("auto"))
def test_what_the_rule_gives_is_whole_and_fits_together(depth, context, optimizer, devices):
    params = asked(depth, context=context, optimizer=optimizer, devices=devices)
    found = sizes.pretraining(params)
    batch, micro = found["batch_tokens"], found["micro_batch_tokens"]
    windows, rest = divmod(batch, context)
    assert rest == 0 and windows.bit_count() == 1 and windows >= (1 if devices == "auto" else devices)
    assert micro % context == 0 and batch % micro == 0 and (micro <= 32_768 or micro == context)
    budget = 20 * sizes.parameters(params.model, 6144)
    assert found["tokens"] % batch == 0 and budget <= found["tokens"] < budget + batch
    near = 2048 * (budget / 2_000_000) ** 0.38
    assert near / 1.5 < batch < near * 1.5 or windows == 1 or windows < 2 * (devices if devices != "auto" else 1)
    for name in ("learning_rate", "matrix_learning_rate"):
        assert found[name] == float(f"{found[name]:.3g}") > 0


@given(st.integers(1, 150), CONTEXTS, KINDS)
def test_a_larger_model_has_no_smaller_batch_and_budget_and_no_higher_rates_at_one_batch(depth, context, optimizer):
    one, next_one = (sizes.pretraining(asked(d, context=context, optimizer=optimizer)) for d in (depth, depth + 1))
    assert one["tokens"] < next_one["tokens"] and one["batch_tokens"] <= next_one["batch_tokens"]
    fixed = {"context": context, "optimizer": optimizer, "batch_tokens": 64 * context}
    one, next_one = (sizes.pretraining(asked(d, **fixed)) for d in (depth, depth + 1))
    for name in ("learning_rate", "matrix_learning_rate"):
        assert one[name] >= next_one[name]


@given(st.sets(st.sampled_from(RULED)), st.integers(1, 50))
def test_what_is_given_is_left_alone_and_counts(names, depth):
    values = {"tokens": 3_333_333, "batch_tokens": 6 * 256, "micro_batch_tokens": 256}
    values |= {"learning_rate": 0.1, "matrix_learning_rate": 0.2}
    explicit = {name: values[name] for name in names}
    found = sizes.pretraining(asked(depth, **explicit))
    assert set(found) == set(RULED) - names
    batch = found.get("batch_tokens", 1536)
    if "micro_batch_tokens" in found:
        assert found["micro_batch_tokens"] == min(batch, 32_768)
    if "tokens" in found:
        assert found["tokens"] % batch == 0
    if "learning_rate" in found:
        wanted = 0.03 * math.sqrt(256 / sizes.of_depth(depth)["dim"] * batch / 2048)
        assert found["learning_rate"] == pytest.approx(wanted, rel=5e-3)


def test_a_part_of_a_batch_divides_it():
    found = sizes.pretraining(asked(context=384, batch_tokens=128 * 384))["micro_batch_tokens"]
    assert found == 64 * 384  # 85 windows would fit into 32,768 tokens
