"""A size makes a shape by the stated rule, and the memory of a training step is what torch allocates for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import small_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from woodblock import optimizer, sizes
from woodblock.model import Config, Transformer, count_parameters

REST = {"context": 64}
NAMES = (*sizes.SHAPE, "depth", "parameters")


def block(**given):
    return (
        SimpleNamespace(**dict.fromkeys(NAMES), **{})
        if not given
        else SimpleNamespace(**(dict.fromkeys(NAMES) | given))
    )


def parameters(shape, vocab_size):
    return count_parameters(Config(vocab_size=vocab_size, **shape, **REST))


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
        assert abs(parameters(shape, vocab_size) / number - 1) < 0.06
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


def peak_bytes(run):
    """The most that torch's allocator held at once for what `run` made."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    changes = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = highest = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        highest = max(highest, held)
    return highest


SMALL = {"dim": 128, "layers": 4, "heads": 2, "kv_heads": 1, "hidden_dim": 384, "vocab_size": 600}
WIDE = {"dim": 256, "layers": 2, "heads": 4, "kv_heads": 4, "hidden_dim": 704, "vocab_size": 3000, "qk_norm": True}


@pytest.mark.parametrize(
    ("shape", "tokens", "kind"),
    [(SMALL, 64, "muon"), (SMALL, 64, "adamw"), (SMALL, 512, "adamw"), (WIDE, 256, "muon"), (WIDE, 64, "adam")],
)
def test_memory_of_a_step_is_what_torch_allocates(shape, tokens, kind):
    config = small_models.config(context=64, **shape)
    model = Transformer(config)
    settings = SimpleNamespace(optimizer=kind, learning_rate=0.01, matrix_learning_rate=0.01, weight_decay=0.0)
    ids = torch.zeros(tokens // 64, 64, dtype=torch.long)
    steppers = optimizer.build(model, settings)

    def step():
        """Two micro-batches, so that gradients stand beside what the second one keeps."""
        for _ in range(2):
            model.loss(ids, ids).backward()
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)

    def run():
        """From no weights on, so that all is counted; the second step has the optimizer's state beside it."""
        model.__init__(config)
        steppers[:] = optimizer.build(model, settings)
        step()
        step()

    step()  # what is set up once
    assert sizes.training_bytes(config, tokens, kind) == pytest.approx(peak_bytes(run), rel=0.15)


@given(
    memory=st.integers(0, 10**9),
    kind=st.sampled_from(["muon", "adamw", "adam"]),
    half=st.booleans(),
    qk_norm=st.booleans(),
)
def test_the_largest_micro_batch_fits_and_one_more_token_does_not(memory, kind, half, qk_norm):
    config = small_models.config(dim=128, layers=4, qk_norm=qk_norm)
    tokens = sizes.largest_micro_batch(config, memory, kind, half)
    assert tokens == 0 or sizes.training_bytes(config, tokens, kind, half) <= memory
    assert sizes.training_bytes(config, tokens + 1, kind, half) > memory
