"""A model says the same with and without a cache, for rows of any lengths."""

from __future__ import annotations

import pytest
import torch
from support import small_models
from support.small_models import SHAPES, ids

from woodblock.models.kv_cache import Cache


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES)
def test_a_cache_changes_nothing_step_by_step(shape):
    model = small_models.model(**shape)
    tokens = ids(model, 2, 20)
    wanted = model.hidden(tokens)
    cache = Cache(model.config, 2, 20, model.embed_tokens.weight)
    for step in range(20):
        found = model.hidden(tokens[:, step : step + 1], cache)
        cache.lengths = cache.lengths + 1
        torch.testing.assert_close(found[:, 0], wanted[:, step], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_cache_holds_rows_of_any_lengths():
    model = small_models.model(seed=1)
    prompts, width, steps = (3, 9, 1, 14), 14, 10
    tokens = ids(model, len(prompts), 32, seed=2)
    wanted = model.hidden(tokens)
    cache = Cache(model.config, len(prompts), width + steps, model.embed_tokens.weight)
    padded = tokens[:, :width].clone()
    for row, length in enumerate(prompts):
        padded[row, length:] = 7
    first = model.hidden(padded, cache)
    lengths = torch.tensor(prompts)
    rows = torch.arange(len(prompts))
    torch.testing.assert_close(first[rows, lengths - 1], wanted[rows, lengths - 1], atol=1e-4, rtol=1e-4)
    cache.lengths = lengths.clone()
    for step in range(steps):
        if step == 4:  # a row that has ended is taken out
            keep = torch.tensor([True, False, True, True])
            cache, rows, tokens, wanted = cache.take(keep), rows[:3], tokens[keep], wanted[keep]
        places = cache.lengths
        found = model.hidden(tokens[rows, places][:, None], cache)[:, 0]
        torch.testing.assert_close(found, wanted[rows, places], atol=1e-4, rtol=1e-4)
        cache.lengths = cache.lengths + 1


@torch.no_grad()
def test_a_cache_holds_what_autocast_makes():
    """On a GPU keys and values come in bf16; here too, when asked."""
    model = small_models.model()
    tokens = ids(model, 2, 12)
    cache = Cache(model.config, 2, 16, model.embed_tokens.weight)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.hidden(tokens, cache)
        wanted = model.hidden(tokens)
    assert cache.keys.dtype == cache.values.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted, atol=0.05, rtol=0.05)


def test_documents_and_a_cache_exclude_each_other():
    model = small_models.model()
    tokens = ids(model, 1, 4)
    with pytest.raises(ValueError, match="it cannot be used with document numbers"):
        model.hidden(tokens, Cache(model.config, 1, 8, model.embed_tokens.weight), torch.zeros_like(tokens))
