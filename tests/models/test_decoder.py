"""The model is Hugging Face's Llama or Qwen3 to 1e-5, and says the same within a document whatever stands beside it."""

from __future__ import annotations

import itertools

import pytest
import torch
from support import small_models
from support.small_models import SHAPES, ids, shaken
from transformers import AutoModelForCausalLM

from woodblock.models import hugging_face
from woodblock.models.decoder import Transformer, document_numbers


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


@pytest.mark.parametrize("documents", [False, True])
def test_loss_is_one_graph_for_a_compiler(documents):
    """No break and no value asked for: what torch.compile(fullgraph=True) takes waits for no device."""
    model = small_models.model()
    tokens = ids(model, 2, 21)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    numbers = document_numbers(inputs, 1) if documents else None
    step = torch.compile(model.loss, backend="eager", fullgraph=True)
    found, wanted = (loss(inputs, targets, numbers, count=targets.numel()) for loss in (step, model.loss))
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, list(model.parameters())) for loss in (found, wanted)), atol=1e-4, rtol=1e-4
    )


def test_nothing_later_changes_what_is_said_earlier():
    model = small_models.model()
    one = ids(model, 1, 20)
    other = one.clone()
    other[:, 12:] = (other[:, 12:] + 1) % model.config.vocab_size
    with torch.no_grad():
        first, second = model(one), model(other)
    torch.testing.assert_close(first[:, :12], second[:, :12], atol=1e-5, rtol=0)
    assert (first[:, 12:] - second[:, 12:]).abs().max() > 0.1


def test_too_long_a_sequence_is_refused():
    model = small_models.model()
    with pytest.raises(ValueError, match="33 tokens are more than the model's context of 32"):
        model.hidden(ids(model, 1, 33))


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
