"""The stage pretrain makes what the knobs of the model say, and transformers reads it as the same model."""

from __future__ import annotations

import json

import pytest
import torch
from support.small_run import SmallRun
from transformers import AutoModelForCausalLM

from woodblock.models import hugging_face

LENGTH = 1024
NO_SHAPE = dict.fromkeys((f"model__{name}" for name in ("dim", "layers", "heads", "kv_heads", "hidden_dim")), "null")
LONG = {"model__context": LENGTH, "model__rope_scaling": "yarn", "model__rope_factor": 2.0, "model__qk_norm": "true"}
BATCHES = {f"{block}__{key}": LENGTH for block in ("pretrain", "sft") for key in ("batch_tokens", "micro_batch_tokens")}
SHORT = {"pretrain__tokens": 3 * LENGTH, "pretrain__validate_every": 3, "pretrain__samples_every": 0}


@pytest.mark.slow
def test_a_depth_a_long_context_and_documents_apart(tmp_path):
    changes = {**NO_SHAPE, "model__depth": 1, **LONG, **BATCHES, **SHORT}
    runs = {
        masked: SmallRun(tmp_path / masked, **changes, pretrain__document_mask=masked) for masked in ("true", "false")
    }
    said = runs["true"].run()
    runs["false"].run()
    # The same start, the same batches: only what attention sees differs.
    losses = [run.outputs()["curves/pretrain.csv"].decode().splitlines()[1].split(",")[2] for run in runs.values()]
    assert losses[0] != losses[1]
    base = tmp_path / "true/models/base"
    assert json.loads((base / "config.json").read_text())["model_type"] == "qwen3"
    ours, _ = hugging_face.load(base, torch.device("cpu"))
    shape = ours.config
    assert (shape.dim, shape.layers, shape.heads, shape.kv_heads, shape.hidden_dim) == (128, 1, 2, 1, 384)
    assert (shape.context, shape.rope_scaling, shape.rope_factor) == (LENGTH, "yarn", 2.0)
    assert f"{sum(weight.numel() for weight in ours.parameters()):,} parameters" in said
    theirs = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.randint(0, 600, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_depth_alone_is_the_run_of_the_numbers_that_it_means(tmp_path):
    rates = {f"pretrain__{key}": "auto" for key in ("learning_rate", "matrix_learning_rate")}
    batches = {f"pretrain__{key}": "auto" for key in ("batch_tokens", "micro_batch_tokens")}
    changes = {**NO_SHAPE, "model__depth": 1, "pretrain__tokens": 40 * 256}
    auto = SmallRun(tmp_path / "auto", **changes, **rates, **batches)
    said = auto.run()
    resolved = json.loads((auto.folder / "lineage/pretrain.json").read_text())["resolved"]
    assert resolved == {
        "pretrain.batch_tokens": 256,  # 2,048 · (10,240 / 2,000,000)^.38 = 276 tokens, in windows of 32
        "pretrain.micro_batch_tokens": 256,
        "pretrain.learning_rate": 0.015,  # .03 · (256 / 128)^.5 · (256 / 2,048)^.5
        "pretrain.matrix_learning_rate": 0.003,
    }
    assert "40 steps of 256 tokens, learning rates 0.003 (matrices) and 0.015 (the rest)" in said
    explicit = {path.replace(".", "__"): number for path, number in resolved.items()}
    spelled = SmallRun(tmp_path / "spelled", **changes, **explicit)
    spelled.run()
    assert "resolved" not in json.loads((spelled.folder / "lineage/pretrain.json").read_text())
    assert spelled.outputs() == auto.outputs()
    auto.set(pretrain__tokens="auto", model__dim=64)
    assert "given by model.depth, model.dim" in auto.run(code=1)


@pytest.mark.slow
def test_what_cannot_fit_or_be_is_refused_before_training(tmp_path):
    run = SmallRun(tmp_path)
    for changes, says in (
        ({"model__depth": 2}, "model: its size is given by model.depth, model.dim"),
        ({**NO_SHAPE, "model__depth": "null", "model__parameters": 1000}, "1000 is less than the smallest model has"),
        ({"model__parameters": 10**12}, "; no micro-batch would fit: make the model smaller"),
        ({"model__parameters": 10**6, "model__rope_factor": 2.0}, "model.rope_scaling: null does not fit"),
    ):
        run.set(**changes)
        said = run.run(code=1)
        assert says in said and said.count("\n") == 1, said
