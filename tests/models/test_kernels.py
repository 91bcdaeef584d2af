"""The layer by hand is the layer: outputs and every gradient, at shapes that fill no block."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import small_models

from woodblock.models import kernels
from woodblock.models.decoder import Transformer, document_numbers

START = 7  # stands for the token that begins a document


def outputs_and_gradients(model: Transformer, ids, documents):
    hidden = model.hidden(ids, documents=documents)
    pull = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(3))
    return [hidden, *torch.autograd.grad((hidden * pull).sum(), list(model.parameters()))]


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 21),
    rows=st.integers(1, 3),
    heads=st.sampled_from([(4, 4), (4, 2), (4, 1), (1, 1)]),
    qk_norm=st.booleans(),
    masked=st.booleans(),
    block=st.sampled_from([4, 8, 128]),
    scaling=st.sampled_from([None, "yarn"]),
)
def test_outputs_and_gradients_are_those_of_the_plain_layer(length, rows, heads, qk_norm, masked, block, scaling):
    shape = {"heads": heads[0], "kv_heads": heads[1], "qk_norm": qk_norm, "rope_scaling": scaling}
    model = small_models.model(**shape, rope_factor=2.0 if scaling else 1.0)
    draw = torch.Generator().manual_seed(length)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:  # norms that are all ones would hide that they are left out
                weight.copy_(1 + 0.3 * torch.randn(weight.shape, generator=draw))
    ids = torch.randint(0, 20, (rows, length), generator=draw)
    documents = document_numbers(ids, START) if masked else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "BLOCK", block)
        found = outputs_and_gradients(model, ids, documents)
        patch.setattr(kernels, "serve", lambda weight, length: False)
        wanted = outputs_and_gradients(model, ids, documents)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5 * max(1.0, float(other.detach().abs().max())), rtol=1e-4)


def test_they_serve_on_a_cpu_in_fp32_alone():
    weight = torch.zeros(1)
    assert kernels.serve(weight, kernels.LONGEST)
    assert not kernels.serve(weight, kernels.LONGEST + 1)
    assert not kernels.serve(weight.bfloat16(), 8)
    assert not kernels.serve(weight.to("meta"), 8)


def test_a_graph_may_be_walked_twice():
    model = small_models.model()
    hidden = model.hidden(torch.arange(12)[None]).sum()
    first = torch.autograd.grad(hidden, list(model.parameters()), retain_graph=True)
    second = torch.autograd.grad(hidden, list(model.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
