"""Rotary positions are relative, and scaled as transformers scales them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support import small_models
from support.small_models import ids, shaken
from transformers import AutoModelForCausalLM

from woodblock.models import hugging_face
from woodblock.models.decoder import Transformer
from woodblock.models.rotary_positions import rotary_frequencies, rotary_table, rotate

# Heads wide and a context long enough that some pairs of channels are kept, some stretched and some in between.
STRETCHED = {"dim": 128, "context": 384, "rope_theta": 500.0, "rope_factor": 3.0}


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("kind", ["linear", "yarn", "llama3"])
def test_stretched_positions_are_those_of_transformers(kind, qk_norm, tmp_path):
    model = shaken(small_models.model(qk_norm=qk_norm, rope_scaling=kind, init_std=0.1, **STRETCHED))
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    found, _ = rotary_frequencies(model.config)
    torch.testing.assert_close(found, theirs.model.rotary_emb.inv_freq, rtol=1e-6, atol=0)
    ratio = rotary_frequencies(replace(model.config, rope_scaling=None))[0] / found
    assert ratio.max() == pytest.approx(3) and (kind == "linear" or ratio.min() == 1)
    assert kind == "linear" or ((ratio > 1.01) & (ratio < 2.99)).any()
    tokens = ids(model, 2, model.config.context)
    plain = Transformer(replace(model.config, rope_scaling=None))
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        ours, wanted, unscaled = model(tokens), theirs(tokens).logits, plain(tokens)
    torch.testing.assert_close(ours, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)
    assert (ours - unscaled).abs().max() > 1e-2


def test_rotary_positions_are_relative_and_keep_lengths():
    table = rotary_table(small_models.config(dim=64, heads=4, context=64))
    draw = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 1, 16, generator=draw) for _ in range(2))

    def product(i, j):
        return (rotate(q, table[:, i : i + 1]) * rotate(k, table[:, j : j + 1])).sum()

    torch.testing.assert_close(product(7, 3), product(44, 40))
    assert (product(7, 3) - product(7, 5)).abs() > 1e-3
    torch.testing.assert_close(rotate(q, table[:, 9:10]).norm(), q.norm())
