"""Parameters and operations of a configuration are those that torch counts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import small_models
from support.small_models import ids
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from woodblock.models import kernels
from woodblock.models.configuration import Config, count_parameters, flops_per_token
from woodblock.models.decoder import Transformer


def test_parameters_of_the_books_models():
    book = Config(vocab_size=6144, dim=1024, layers=18, heads=16, kv_heads=8, hidden_dim=2752, context=512)
    smaller = Config(vocab_size=6144, dim=768, layers=12, heads=16, kv_heads=8, hidden_dim=2048, context=512)
    assert count_parameters(book) == 215_127_040
    assert count_parameters(smaller) == 82_594_560
    with torch.device("meta"):
        assert sum(p.numel() for p in Transformer(book).parameters()) == 215_127_040


@st.composite
def shapes(draw):
    kv_heads, group, head_dim = (draw(st.sampled_from(sizes)) for sizes in ((1, 2, 3), (1, 2, 4), (2, 8, 16)))
    return {
        "dim": kv_heads * group * head_dim,
        "heads": kv_heads * group,
        "kv_heads": kv_heads,
        "layers": draw(st.integers(1, 3)),
        "hidden_dim": draw(st.integers(1, 70)),
        "vocab_size": draw(st.integers(2, 700)),
        "qk_norm": draw(st.booleans()),
    }


@settings(max_examples=25)
@given(shape=shapes(), rows=st.integers(1, 3), length=st.integers(1, 32), by_hand=st.booleans())
def test_parameters_and_operations_are_those_that_torch_counts(shape, rows, length, by_hand):
    """Exactly, but for what is stated at flops_per_token: torch counts attention's masked half as well."""
    model = small_models.model(**shape)
    config = model.config
    assert count_parameters(config) == sum(weight.numel() for weight in model.parameters())
    tokens = ids(model, rows, length + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "LONGEST", kernels.LONGEST if by_hand else 0)
        # Attention as matrix products: torch's counter knows no operations of the fused kernel for CPUs.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    masked_half = 6 * config.layers * config.dim * length
    assert counter.get_total_flops() == rows * length * (flops_per_token(config, length) + masked_half)
