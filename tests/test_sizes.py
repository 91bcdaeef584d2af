"""A depth or a number of parameters makes a shape, by the stated rule."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock import sizes
from woodblock.model import Config, count_parameters

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
        with pytest.raises(ValueError, match=f"{parameters(least, vocab_size)} would do"):
            sizes.of_parameters(number, vocab_size)
        return
    shape = sizes.of_parameters(number, vocab_size)
    assert abs(parameters(shape, vocab_size) / number - 1) < 0.25
    if number > 40 * vocab_size * 64 and number > 3_000_000:  # more than an embedding
        assert abs(parameters(shape, vocab_size) / number - 1) < 0.08
        assert 16 < shape["dim"] / shape["layers"] < 192
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
