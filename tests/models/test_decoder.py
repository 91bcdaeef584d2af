"""The model is Hugging Face's Llama or Qwen3 to 1e-5, counts itself rightly, and says the same with and without a
cache, and within a document whatever stands beside it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support import small_models
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from woodblock.models import hugging_face, kernels
from woodblock.models.decoder import (
    Cache,
    Config,
    Transformer,
    count_parameters,
    document_numbers,
    flops_per_token,
    rotary_frequencies,
    rotary_table,
    rotate,
)

SHAPES = [
    {"heads": 4, "kv_heads": 2},
    {"heads": 4, "kv_heads": 4},
    {"heads": 4, "kv_heads": 1, "layers": 3, "rope_theta": 500.0, "norm_eps": 1e-3},
    {"heads": 1, "kv_heads": 1, "dim": 8, "hidden_dim": 24, "layers": 1},
    {"heads": 4, "kv_heads": 2, "qk_norm": True},
    {"heads": 4, "kv_heads": 1, "qk_norm": True, "norm_eps": 1e-3, "rope_scaling": "linear", "rope_factor": 2.0},
]
# Heads wide and a context long enough that some pairs of channels are kept, some stretched and some in between.
STRETCHED = {"dim": 128, "context": 384, "rope_theta": 500.0, "rope_factor": 3.0}


def ids(model: Transformer, rows: int, length: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, model.config.vocab_size, (rows, length), generator=draw)


def shaken(model: Transformer, seed: int = 0) -> Transformer:
    """The model with norms that are not all one, so that a norm at the wrong place shows."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.copy_(0.5 + torch.rand(weight.shape, generator=draw))
    return model


@pytest.fixture(params=["by hand", "by operations"])
def either_form(request, monkeypatch):
    """Of a layer on a CPU; the second is a GPU's."""
    if request.param == "by operations":
        monkeypatch.setattr(kernels, "LONGEST", 0)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_those_of_transformers(shape, tmp_path):
    model = shaken(small_models.model(**shape))
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path)
    theirs, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True, dtype=torch.float32)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    assert type(theirs).__name__ == ("Qwen3ForCausalLM" if model.config.qk_norm else "LlamaForCausalLM")
    tokens = ids(model, 3, model.config.context)
    with torch.no_grad():
        ours, wanted = model(tokens), theirs(tokens).logits
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)


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


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rows", [1, 300])
def test_loss_and_gradient_are_those_of_cross_entropy(masked, rows, known):
    """300 rows of 12 make more than one of the chunks in which the loss is taken."""
    model = small_models.model(context=12)
    tokens = ids(model, rows, 13)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    if masked:
        targets[torch.rand(targets.shape, generator=torch.Generator().manual_seed(1)) < 0.6] = -1
    loss = model.loss(inputs, targets, count=int((targets >= 0).sum()) if known else None)
    (loss / 3).backward()
    found = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    wanted = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum")
    (wanted / 3).backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-3)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=2e-4 * float(weight.grad.abs().max()))


def test_a_part_of_a_batch_without_targets_adds_nothing():
    model = small_models.model()
    tokens = ids(model, 1, 8)
    loss = model.loss(tokens, torch.full_like(tokens, -1))
    loss.backward()
    assert float(loss.detach()) == 0 and all((weight.grad == 0).all() for weight in model.parameters())


@pytest.mark.parametrize("documents", [False, True])
def test_loss_is_one_graph_for_a_compiler(documents):
    """No break and no value asked for: what torch.compile(fullgraph=True) takes waits for no device."""
    model = small_models.model()
    tokens = ids(model, 2, 21)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    numbers = document_numbers(inputs, 1) if documents else None
    step = torch.compile(model.loss, backend="eager", fullgraph=True)
    found, wanted = (loss(inputs, targets, numbers, targets.numel()) for loss in (step, model.loss))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, list(model.parameters())) for loss in (found, wanted)), atol=1e-4, rtol=1e-4
    )


def test_loss_without_gradients_is_the_same():
    model = small_models.model()
    tokens = ids(model, 2, 20)
    with torch.no_grad():
        quiet = model.loss(tokens[:, :-1], tokens[:, 1:])
    assert quiet == model.loss(tokens[:, :-1], tokens[:, 1:])


def test_nothing_later_changes_what_is_said_earlier():
    model = small_models.model()
    one = ids(model, 1, 20)
    other = one.clone()
    other[:, 12:] = (other[:, 12:] + 1) % model.config.vocab_size
    with torch.no_grad():
        first, second = model(one), model(other)
    torch.testing.assert_close(first[:, :12], second[:, :12], atol=1e-5, rtol=0)
    assert (first[:, 12:] - second[:, 12:]).abs().max() > 0.1


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


def test_too_long_a_sequence_is_refused():
    model = small_models.model()
    with pytest.raises(ValueError, match="33 tokens are over the model's context of 32"):
        model.hidden(ids(model, 1, 33))


def test_rotary_positions_are_relative_and_keep_lengths():
    table = rotary_table(small_models.config(dim=64, heads=4, context=64))
    draw = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 1, 16, generator=draw) for _ in range(2))

    def product(i, j):
        return (rotate(q, table[:, i : i + 1]) * rotate(k, table[:, j : j + 1])).sum()

    torch.testing.assert_close(product(7, 3), product(44, 40))
    assert (product(7, 3) - product(7, 5)).abs() > 1e-3
    torch.testing.assert_close(rotate(q, table[:, 9:10]).norm(), q.norm())


def cut(draw, length, lengths):
    """Row of ids [length] in which documents begin, with a start token of 1, after `lengths` tokens of the last."""
    row = torch.randint(6, 600, (length,), generator=draw)
    for place in itertools.accumulate(lengths):
        row[place] = 1
    return row


DOCUMENTS = [(5, 9, 1, 20), (0, 30), (39,), (0, 1, 1, 1), (13, 13)]  # of rows of 40; the first starts in mid-document


def test_documents_are_numbered_from_their_start_tokens():
    rows = torch.tensor([[7, 1, 8, 1, 1], [1, 9, 9, 9, 2]])
    assert document_numbers(rows, 1).tolist() == [[0, 1, 1, 2, 3], [1, 1, 1, 1, 1]]


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_with_documents_each_is_read_as_if_it_stood_alone(kv_heads, qk_norm):
    """Loss and gradient too: those of all the documents one by one."""
    model = shaken(small_models.model(context=40, kv_heads=kv_heads, qk_norm=qk_norm, init_std=0.1))
    draw = torch.Generator().manual_seed(0)
    tokens = torch.stack([cut(draw, 41, lengths) for lengths in DOCUMENTS])
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    documents = document_numbers(inputs, 1)
    found = model.hidden(inputs, documents=documents)
    loss = model.loss(inputs, targets, documents)
    loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    wanted, alone = torch.empty_like(found), torch.zeros(())
    for row, numbers in enumerate(documents):
        for number in numbers.unique():
            here = numbers == number
            wanted[row, here] = model.hidden(inputs[row, here][None])[0]
            alone = alone + model.loss(inputs[row, here][None], targets[row, here][None])
    alone.backward()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss, alone, atol=0, rtol=1e-6)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(gradients[name], weight.grad, rtol=0, atol=1e-5 * float(weight.grad.abs().max()))
    with torch.no_grad():
        assert (found - model.hidden(inputs)).abs().max() > 0.1  # it does matter
        one = model.hidden(inputs, documents=torch.zeros_like(documents))
        torch.testing.assert_close(one, model.hidden(inputs), atol=1e-5, rtol=0)


def test_documents_and_a_cache_exclude_each_other():
    model = small_models.model()
    tokens = ids(model, 1, 4)
    with pytest.raises(ValueError, match="it goes with no document numbers"):
        model.hidden(tokens, Cache(model.config, 1, 8, model.embed_tokens.weight), torch.zeros_like(tokens))


def test_initial_weights_are_of_the_seed_and_the_stated_spread():
    config = small_models.config(dim=128, hidden_dim=256, layers=4, init_std=0.02)
    model, same, other = (Transformer(config).initialise(seed) for seed in (1, 1, 2))
    weights = dict(model.named_parameters())
    assert all(torch.equal(weights[name], weight) for name, weight in same.named_parameters())
    assert not torch.equal(weights["embed_tokens.weight"], other.embed_tokens.weight)
    for name, weight in weights.items():
        if weight.ndim == 1:
            assert (weight == 1).all()
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            assert not weight.any()  # a layer begins as one that adds nothing
        else:
            assert abs(float(weight.detach().std()) / 0.02 - 1) < 0.05, name
            assert abs(float(weight.detach().mean())) < 0.05 * 0.02, name
