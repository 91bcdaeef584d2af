"""Greedy generation is transformers', for prompts of any lengths at once; it stops where it should."""

from __future__ import annotations

import pytest
import torch
from support import small_models
from transformers import AutoModelForCausalLM

from woodblock.base.errors import UserError
from woodblock.inference import generation
from woodblock.inference.generation import generate
from woodblock.models import hugging_face


def prompts(lengths, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randint(6, 600, (length,), generator=draw).tolist() for length in lengths]


def transformers_greedy(theirs, prompt, new, stop):
    found = theirs.generate(
        torch.tensor([prompt]), max_new_tokens=new, do_sample=False, eos_token_id=stop, pad_token_id=5
    )
    return found[0, len(prompt) :].tolist()


@pytest.mark.parametrize(
    "shape",
    [
        {"kv_heads": 2},
        {"kv_heads": 4},
        {"qk_norm": True},
        {"qk_norm": True, "rope_scaling": "yarn", "rope_factor": 4.0},
    ],
)
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_replies_are_those_of_transformers(tmp_path, shape, batch_size):
    model = small_models.model(seed=2, context=64, **shape)
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    asked = prompts((5, 1, 17, 5, 30, 2, 11))
    free = [transformers_greedy(theirs, prompt, 12, None) for prompt in asked]
    assert len({token for reply in free for token in reply}) > 8  # the model has something to say
    stop = free[0][4]  # a token that comes: some stop there, others go on
    wanted = [transformers_greedy(theirs, prompt, 12, stop) for prompt in asked]
    assert generate(model, asked, 12, stop, batch_size=batch_size) == wanted
    assert generate(model, asked, 12, -1, batch_size=batch_size) == free
    assert len(wanted[0]) <= 5 and wanted[0][-1] == stop


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_of_a_reply_comes_twice_and_no_other_token_is_kept_back(size):
    model = small_models.model(vocab_size=12, context=64)
    asked = [[1, 2, 3, 2, 3], [7], [5, 5, 5]]
    free = generate(model, asked, 9, -1)
    assert any(len({tuple(r[i : i + size]) for i in range(10 - size)}) < 10 - size for r in free)  # they do repeat
    for prompt, reply in zip(asked, generate(model, asked, 9, -1, no_repeat_ngram=size), strict=True):
        for end in range(9):
            with torch.no_grad():
                order = model(torch.tensor([[*prompt, *reply[:end]]]))[0, -1].argsort(descending=True).tolist()
            before = reply[:end]
            grams = {tuple(before[i : i + size]) for i in range(end - size + 1)}
            last = before[end - size + 1 :] if size > 1 and end >= size - 1 else []
            allowed = [token for token in order if tuple([*last, token]) not in grams]
            assert reply[end] == allowed[0]


def test_a_reply_ends_with_the_context():
    model = small_models.model(context=16)
    asked = prompts((15, 10, 3))
    replies = generate(model, asked, 100, -1)
    # Each token but the last of a reply is read, at a position below the context.
    assert [len(reply) for reply in replies] == [2, 7, 14]
    for prompt, reply in zip(asked, replies, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *reply[:-1]]]))[0, len(prompt) - 1 :]
        assert reply == logits.argmax(dim=-1).tolist()


@pytest.mark.parametrize("new", [1, 2])
def test_the_number_of_new_tokens_is_a_bound(new):
    assert [len(reply) for reply in generate(small_models.model(), prompts((4, 9)), new, -1)] == [new, new]


def test_a_full_prompt_is_one_line_that_names_its_length():
    with pytest.raises(UserError, match=r"a prompt of 32 tokens fills model.context: 32; shorten it") as error:
        generate(small_models.model(), prompts((3, 32)), 5, 4)
    assert "\n" not in str(error.value)


def test_done_prompts_are_counted_batch_by_batch():
    counts = []
    asked = prompts((3, 4, 5, 6, 7))
    generate(small_models.model(), asked, 2, -1, batch_size=2, on_done=counts.append)
    assert counts == [2, 2, 1]
    assert generate(small_models.model(), [], 2, -1) == []


def test_generation_in_bf16_as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(generation, "autocast", lambda device: torch.autocast("cpu", torch.bfloat16))
    replies = generate(small_models.model(), prompts((4, 9)), 5, -1)
    assert [len(reply) for reply in replies] == [5, 5]
