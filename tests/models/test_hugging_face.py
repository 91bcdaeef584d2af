"""A model folder is whole, loads as what was saved, with ours and with transformers, and mends nothing in silence."""

from __future__ import annotations

import json
import os
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import small_models
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from woodblock.base.errors import UserError
from woodblock.models import hugging_face

CPU = torch.device("cpu")


@pytest.fixture
def saved(tmp_path):
    model = small_models.model()
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path / "model")
    return model, tmp_path / "model"


def test_what_is_saved_comes_back(saved):
    model, path = saved
    found, tokenizer = hugging_face.load(path, CPU)
    assert found.config == model.config and not found.training
    for (name, one), (_, other) in zip(model.named_parameters(), found.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    assert tokenizer.encode("国家") == small_models.tokenizer().encode("国家")


def test_the_files_are_those_of_a_hugging_face_folder_without_ours(saved):
    _, path = saved
    assert sorted(file.name for file in path.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]
    config = AutoConfig.from_pretrained(path)
    assert config.model_type == "llama" and config.tie_word_embeddings
    assert config.rope_parameters["rope_theta"] == 10_000.0
    assert "auto_map" not in json.loads((path / "config.json").read_text())
    generation = GenerationConfig.from_pretrained(path)
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (1, [2, 4], 5)
    assert not generation.do_sample and generation.max_length == 32
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert tokenizer.chat_template and tokenizer.model_max_length == 32 and tokenizer.padding_side == "left"
    settings = json.loads((path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"  # transformers 4 knows no other that fits
    assert settings["add_prefix_space"] is False  # llama.cpp's own default is true


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_who_may_read_the_files_is_for_the_umask_to_say(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        hugging_face.save(small_models.model(), small_models.tokenizer_folder(), tmp_path / "model")
    finally:
        os.umask(before)
    found = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "model").iterdir()}
    assert "model.safetensors" in found and set(found.values()) == {mode}


def test_a_batch_of_prompts_is_padded_so_that_replies_are_those_of_each_alone(saved):
    _, path = saved
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    texts = ["国家", "国家应当保护自然人的合法权益"]
    length = {"max_new_tokens": 6, "min_new_tokens": 6}
    together = theirs.generate(**tokenizer(texts, padding=True, return_tensors="pt"), **length)
    for text, reply in zip(texts, together, strict=True):
        (alone,) = theirs.generate(**tokenizer([text], return_tensors="pt"), **length)
        assert reply[-6:].tolist() == alone[-6:].tolist()


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("kind", [None, "yarn", "llama3"])
def test_a_folder_saved_again_by_transformers_is_the_same_model(tmp_path, kind, qk_norm):
    rope = {"rope_scaling": kind, "rope_factor": 4.0} if kind else {}
    model = small_models.shaken(small_models.model(qk_norm=qk_norm, **rope))
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    # In shards, as a large model is.
    AutoModelForCausalLM.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs", max_shard_size="60KB")
    assert not (tmp_path / "theirs/model.safetensors").exists()
    found, tokenizer = hugging_face.load(tmp_path / "theirs", CPU)
    assert found.config == model.config
    for (name, one), (_, other) in zip(model.named_parameters(), found.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    assert tokenizer.encode("国家 ▁") == small_models.tokenizer().encode("国家 ▁")
    hugging_face.save(found, tmp_path / "theirs", tmp_path / "third")  # as sft does from such a base
    assert AutoTokenizer.from_pretrained(tmp_path / "third").chat_template


@pytest.mark.parametrize("kind", [None, "linear", "yarn", "llama3"])
def test_the_config_of_transformers_4_is_read(tmp_path, kind):
    rope = {"rope_scaling": kind, "rope_factor": 4.0} if kind else {}
    model = small_models.model(**rope)
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    values["rope_scaling"] = (
        {k: v for k, v in values.pop("rope_parameters").items() if k != "rope_theta"} if kind else None
    )
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert hugging_face.read_config(tmp_path) == model.config


def test_two_savings_give_the_same_bytes_and_a_copy_of_a_copy_too(saved, tmp_path):
    model, path = saved
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path / "again")
    hugging_face.save(
        hugging_face.load(path, CPU)[0], path, tmp_path / "third"
    )  # sft's tokenizer folder is the base model's
    for file in path.iterdir():
        for other in ("again", "third"):
            assert file.read_bytes() == (tmp_path / other / file.name).read_bytes(), file.name


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("kind", [None, "linear", "yarn", "llama3"])
def test_numbers_of_the_config_come_back(tmp_path, kind, qk_norm):
    rope = {"rope_scaling": kind, "rope_factor": 4.0} if kind else {}
    numbers = {"rope_theta": 500.0, "norm_eps": 1e-6, "init_std": 0.07, "kv_heads": 1, "context": 48}
    model = small_models.model(qk_norm=qk_norm, **rope, **numbers)
    hugging_face.save(model, small_models.tokenizer_folder(), tmp_path)
    assert hugging_face.read_config(tmp_path) == model.config


@pytest.mark.parametrize("damage", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_refused(saved, damage):
    _, path = saved
    weights = load_file(path / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    match damage:
        case "missing":
            del weights[name]
        case "extra":
            name = "model.layers.1.mlp.up_proj.bias"
            weights[name] = torch.zeros(3)
        case "shape":
            weights[name] = weights[name][:-1].contiguous()
    save_file(weights, path / "model.safetensors")
    with pytest.raises(UserError, match=f"does not match config.json; the first difference is {name}") as error:
        hugging_face.load(path, CPU)
    assert "\n" not in str(error.value)


def test_another_kind_of_model_is_refused(saved):
    _, path = saved
    values = json.loads((path / "config.json").read_text())
    for change in ({"model_type": "bert"}, {"tie_word_embeddings": False}):
        (path / "config.json").write_text(json.dumps(values | change))
        with pytest.raises(UserError, match="only Llama and Qwen3 with tied embeddings can be read"):
            hugging_face.load(path, CPU)
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    for change in ({"head_dim": 16}, {"rope_parameters": dynamic}):
        (path / "config.json").write_text(json.dumps(values | change))
        with pytest.raises(UserError, match="cannot use its head_dim or rope_parameters"):
            hugging_face.load(path, CPU)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.model"])
def test_a_folder_that_misses_a_file_is_one_line(saved, name):
    _, path = saved
    (path / name).unlink()
    (path / "tokenizer.json").unlink()  # which is read where there is no tokenizer.model
    with pytest.raises(UserError, match=f"{name}") as error:
        hugging_face.load(path, CPU)
    assert "\n" not in str(error.value)


def test_a_torn_weights_file_is_one_line(saved):
    _, path = saved
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model.safetensors cannot be read") as error:
        hugging_face.load(path, CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b'{"model_type"', b"\xff", b"[]"])
def test_a_config_that_cannot_be_read_is_an_error_in_one_line(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config.json: cannot be read; run the stage that makes it, or dvc checkout"):
        hugging_face.read_config(tmp_path)
