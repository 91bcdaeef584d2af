"""What a GPU would run, on a CPU: which graphs are compiled, that no step waits for the device, and which types it has.

No machine of CI has a GPU. Here the kernels for CPUs are switched off, as on a GPU; autocast makes bf16, as there; a
backend that compiles nothing counts what torch.compile asks of it; and a mode refuses the operations for which a CPU would
have to wait until a GPU is done.
"""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support import small_models
from torch.utils._python_dispatch import TorchDispatchMode

from woodblock.evaluation import harness, likelihood
from woodblock.inference import generation
from woodblock.models import devices, kernels
from woodblock.models.decoder import document_numbers
from woodblock.training import conversations, loop

LENGTH, ROWS, VOCABULARY = 16, 4, 40
CPU = torch.device("cpu")
USERS_OF_AUTOCAST = (generation, harness, likelihood, loop, conversations)
# Operations whose result has a shape that depends on values, or that hand a value to Python.
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "equal", "is_nonzero", "item"}


@pytest.fixture
def like_a_gpu(monkeypatch):
    monkeypatch.setattr(kernels, "serve", lambda weight, length: False)
    for module in USERS_OF_AUTOCAST:
        monkeypatch.setattr(module, "autocast", lambda device: torch.autocast("cpu", torch.bfloat16))


@pytest.fixture
def graphs(monkeypatch, like_a_gpu):
    """The graphs that torch.compile would have compiled."""
    asked = []

    def count(graph, examples):
        asked.append([tuple(one.shape) for one in examples if isinstance(one, torch.Tensor)])
        return graph.forward

    torch._dynamo.reset()
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compile_module(module, backend=count))
    monkeypatch.setattr(loop, "has_compiler", lambda device: True)
    yield asked
    torch._dynamo.reset()


class NothingWaits(TorchDispatchMode):
    """Refuses operations for which the CPU would wait for the GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        assert name not in WAITS, f"{name} waits for the device"
        mask = name == "index" and any(one is not None and one.dtype == torch.bool for one in args[1])
        assert not mask, "a boolean index asks the device how many elements there are"
        return function(*args, **(kwargs or {}))


def model(**changes):
    return small_models.model(vocab_size=VOCABULARY, init_std=0.1, **changes)


def batch(step: int, length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, VOCABULARY, (ROWS, length + 1), generator=draw)
    targets = tokens[:, 1:].clone()
    targets[torch.rand(targets.shape, generator=draw) < 0.3] = -1
    return tokens[:, :-1], targets


def train(folder, trained, make=batch, steps=4):
    def validate(model, world):
        return {"val_loss": likelihood.nll(model, pieces(), 64)[0]}

    def sample(model):
        return [str(generation.generate(model, [[1, 7, 8], [1, 9]], 4, 2))]

    values = {"optimizer": "muon", "learning_rate": 0.01, "matrix_learning_rate": 0.02, "weight_decay": 0.0}
    values |= {"warmup_share": 0.2, "decay_share": 0.5, "final_lr_share": 0.0, "schedule": "wsd", "clip": 1.0}
    values |= {"micro_batch_tokens": 2 * LENGTH, "validate_every": 2, "checkpoint_every": 9, "keep": "last"}
    journal = SimpleNamespace(name="pretrain", identity={"cmd": "a"}, work=folder / "work", log=folder / "log.csv")
    task = loop.Task(make, steps, validate, lambda step: str(step), sample=sample, samples_every=2)
    place = SimpleNamespace(devices=1, shard=False, compile=True)
    return loop.train(trained, task, SimpleNamespace(**values), place, journal).model.eval()


def pieces():
    """Windows of several lengths."""
    draw = np.random.default_rng(0)
    documents = [draw.integers(0, VOCABULARY, size=length) for length in (3, 17, 30)]
    return [window for document in documents for window in likelihood.windows(document, LENGTH)]


def test_one_graph_serves_all_layers_and_steps_and_nothing_after_them(graphs, tmp_path):
    trained = train(tmp_path, model(layers=3))
    assert len(graphs) == 1, "validation and samples compile nothing either"
    likelihood.nll(trained, pieces(), 64)
    generation.generate(trained, [[1, 7, 8], [1, 9]], 4, 2)
    harness.HarnessModel(trained, small_models.tokenizer(), batch_tokens=64).score([([1, 5], [6]), ([1, 5], [7, 8])])
    assert len(graphs) == 1
    trained(torch.zeros(1, 5, dtype=torch.long)).sum().backward()
    assert len(graphs) == 1, "not even with gradients"


def test_batches_of_many_shapes_compile_a_few_graphs(graphs, tmp_path):
    # As in sft. After the first shape: any length; any length and number of rows; one row, which torch always tells apart.
    train(tmp_path, model(layers=1), make=lambda step: batch(step, LENGTH - step), steps=8)
    assert len(graphs) <= 4


@pytest.mark.parametrize("qk_norm", [False, True])
def test_no_step_waits_for_the_device(like_a_gpu, qk_norm):
    made = model(qk_norm=qk_norm)
    ids, targets = batch(0)
    count = int((targets >= 0).sum())
    with NothingWaits(), torch.autocast("cpu", torch.bfloat16):
        documents = document_numbers(ids, 1)
        for arguments in ((ids, targets), (ids, targets, documents)):
            made.loss(*arguments, count=count).backward()
            made.loss(*arguments, count=targets.numel()).backward()


def test_what_waits_is_noticed():
    with NothingWaits():
        with pytest.raises(AssertionError, match="waits for the device"):
            float(torch.ones(2).sum())
        with pytest.raises(AssertionError, match="boolean index"):
            _ = torch.ones(2)[torch.tensor([True, False])]


def in_bf16(made, ids):
    """Logits [B, T, V] of a model whose layers ran under autocast: products of bf16 numbers in fp32 and not rounded."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        hidden = made.hidden(ids)
    return hidden.bfloat16().double() @ made.embed_tokens.weight.detach().bfloat16().double().T


def test_scores_have_logits_in_fp32_though_products_are_bf16(like_a_gpu):
    made = model()
    one = pieces()[1]
    logits = in_bf16(made, torch.from_numpy(one.ids)[None])[0]
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(one.targets), reduction="sum")
    assert likelihood.nll(made, [one], 64)[0] == pytest.approx(wanted.item(), abs=1e-4)
    rounded = torch.nn.functional.cross_entropy(
        logits.bfloat16().double(), torch.from_numpy(one.targets), reduction="sum"
    )
    assert abs(rounded - wanted) > 1e-3, "a test that can fail"
    scorer = harness.HarnessModel(made, small_models.tokenizer(), batch_tokens=64)
    ((score, _),) = scorer.score([(one.ids[:1].tolist(), one.targets.tolist())])
    assert score == pytest.approx(-float(wanted), abs=1e-4)


def test_replies_tell_close_logits_apart(like_a_gpu):
    # Two tokens whose logits are equal after rounding to bf16; argmax would take the first.
    made = model()
    ids = torch.tensor([[1, 7, 8]])
    with torch.no_grad():
        made.norm.weight.zero_()
        made.norm.weight[:2] = 1.0
        made.embed_tokens.weight[:, :2] = 0.0
        with torch.autocast("cpu", torch.bfloat16):
            signs = made.hidden(ids)[0, -1, :2].sign()
        made.embed_tokens.weight[5, :2] = signs * torch.tensor([8.0, 0.0])
        made.embed_tokens.weight[6, :2] = signs * torch.tensor([8.0, 0.002])
    logits = in_bf16(made, ids)[0, -1]
    assert logits[6] > logits[5] and logits[6].bfloat16() == logits[5].bfloat16()
    assert generation.generate(made, [ids[0].tolist()], 1, -1) == [[6]]


@pytest.mark.parametrize(("has_units", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_without_units_for_bf16_computes_in_fp32(monkeypatch, has_units, kind):
    # V100, T4: torch says that it supports bf16, by emulation, when that is not excluded.
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has_units
    )
    assert devices.products_dtype(torch.device("cuda")) == kind
    assert devices.products_dtype(CPU) == torch.float32
    assert torch.is_autocast_enabled("cpu") is False
    with devices.autocast(CPU):
        assert torch.is_autocast_enabled("cpu") is False


def test_cublas_is_told_before_its_first_product(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        devices.make_deterministic()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
