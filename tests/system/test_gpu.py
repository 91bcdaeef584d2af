"""What is computed on a GPU is what a CPU computes in fp32, within the tolerances of bf16 that are stated here.

Each test takes its device from a parameter: the case `cpu` runs the same code everywhere, the case `cuda` needs a GPU
(pytest -m gpu) and is skipped without one.
"""

from __future__ import annotations

import copy
import itertools

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from support import measured_memory, small_models
from support.small_run import SmallRun
from torch import Tensor
from torch.nn.attention import flex_attention

from woodblock.models import cross_entropy, decoder
from woodblock.models.cross_entropy import LinearCrossEntropy
from woodblock.models.decoder import Transformer, attend, document_mask, document_numbers
from woodblock.training import memory
from woodblock.training.optimizer import NEWTON_SCHULZ_STEPS, QUINTIC, orthogonalise

NEEDS_CUDA = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))
CUDA = pytest.param("cuda", marks=NEEDS_CUDA)
DEVICES = ["cpu", CUDA]

# bf16 keeps eight bits of a number, so each is off by up to 2^-9, .002. A sum over many targets is off by far less of its
# size; what goes through all layers and back by some times as much (on a CPU under autocast: 3e-5, and .022 at most).
LOSS, GRADIENT = 5e-4, 5e-2


def off(found: Tensor, wanted: Tensor) -> float:
    """The distance of two tensors, relative to the size of the second."""
    return float((found.detach().cpu().double() - wanted.double()).norm() / wanted.double().norm())


def rows_of_documents(length: int, rows: int = 6) -> Tensor:
    """Ids [rows, length + 1] in which documents of up to half a row begin with a start token of 1."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(6, 600, (rows, length + 1), generator=draw)
    for row in ids:
        lengths = torch.randint(1, length // 2, (8,), generator=draw)
        row[[place for place in itertools.accumulate(lengths.tolist()) if place <= length]] = 1
    return ids


def loss_and_gradients(model: Transformer, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
    loss = model.loss(*batch)
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("device", DEVICES)
def test_loss_and_gradient_in_bf16_are_those_of_fp32_on_a_cpu(device, documents, qk_norm):
    """With documents FlexAttention on a GPU; on a CPU the boolean mask, under autocast as a GPU has it."""
    model = small_models.model(context=256, dim=64, hidden_dim=128, init_std=0.1, qk_norm=qk_norm)
    tokens = rows_of_documents(256)
    batch = (tokens[:, :-1], tokens[:, 1:], *([document_numbers(tokens[:, :-1], 1)] if documents else []))
    there = copy.deepcopy(model).to(device)
    wanted, gradients = loss_and_gradients(model, batch)
    with torch.autocast(device, torch.bfloat16):
        loss, found = loss_and_gradients(there, tuple(tensor.to(device) for tensor in batch))
    assert loss.dtype == torch.float32 and off(loss, wanted) < LOSS
    for name, gradient in gradients.items():
        assert off(found[name], gradient) < GRADIENT, name


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [384, 200])
@pytest.mark.parametrize("device", DEVICES)
def test_flex_attention_is_attention_under_the_boolean_mask(device, length, kind, monkeypatch):
    """Compiled and with its gradient on a GPU; forward and uncompiled on a CPU, which has no more of it."""
    monkeypatch.setattr(decoder, "is_fused", lambda documents, head_dim: True)
    if device == "cpu":
        monkeypatch.setattr(decoder, "compiled", lambda function: function)
    draw = torch.Generator().manual_seed(0)
    documents = torch.randint(0, 2, (2, length), generator=draw).cumsum(1).to(device) // 20
    block = document_mask(documents, 16)
    assert isinstance(block, flex_attention.BlockMask) and (length < 256 or block.sparsity() > 0)
    monkeypatch.setattr(decoder, "is_fused", lambda documents, head_dim: False)
    mask = document_mask(documents, 16)
    assert mask.dtype == torch.bool and 0 < mask.sum() < mask.numel() / 2
    heads = [torch.randn(2, count, length, 16, generator=draw).to(device, kind) for count in (4, 2, 2)]
    if device != "cpu":
        heads = [tensor.requires_grad_() for tensor in heads]
    found, wanted = attend(*heads, block), attend(*heads, mask)
    tolerance = 1e-5 if kind == torch.float32 else 1e-2
    assert off(found, wanted.detach().cpu()) < tolerance
    if device != "cpu":
        one, other = (torch.autograd.grad(out.float().square().sum(), heads) for out in (found, wanted))
        for mine, theirs in zip(one, other, strict=True):
            assert off(mine, theirs.cpu()) < 3 * tolerance


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("device", DEVICES)
def test_linear_cross_entropy_is_that_of_torch(device, kind, monkeypatch):
    """In three chunks, the last a part of one, and with targets that do not count among those that do."""
    monkeypatch.setattr(cross_entropy, "rows_at_once", lambda vocab_size, device: 300)
    draw = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(700, 16, generator=draw), torch.randn(50, 16, generator=draw)
    targets = torch.randint(-3, 50, (700,), generator=draw)
    assert (targets < 0).any()
    here, there = (
        [tensor.to(place).detach().requires_grad_() for tensor in (hidden, weight)] for place in ("cpu", device)
    )
    with torch.autocast(device, kind, enabled=kind != torch.float32):
        loss = LinearCrossEntropy.apply(*there, targets.to(device))
    (loss / 7).backward()
    wanted = F.cross_entropy(here[0] @ here[1].T, targets.clamp(min=-1), ignore_index=-1, reduction="sum")
    (wanted / 7).backward()
    exact = kind == torch.float32
    assert loss.dtype == torch.float32 and off(loss, wanted.detach()) < (1e-6 if exact else LOSS)
    for mine, theirs in zip(there, here, strict=True):
        assert mine.grad.dtype == torch.float32 and off(mine.grad, theirs.grad) < (1e-5 if exact else 1e-2)
    assert (there[0].grad[targets.to(device) < 0] == 0).all()


@pytest.mark.parametrize("device", [CUDA])
def test_the_loss_waits_for_nothing(device):
    model = small_models.model(context=64, dim=64, init_std=0.1).to(device)
    tokens = rows_of_documents(64).to(device)
    targets = tokens[:, 1:].clone()
    targets[:, ::3] = -1
    count = int((targets >= 0).sum())
    with torch.autocast(device, torch.bfloat16):
        torch.cuda.set_sync_debug_mode("error")
        try:
            all_of_them, known = (model.loss(tokens[:, :-1], targets, count=given) for given in (None, count))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert off(known, all_of_them.detach().cpu()) < LOSS


def in_float64(gradients: Tensor) -> Tensor:
    """Newton–Schulz's steps, written out."""
    a, b, c = QUINTIC
    x = gradients.double()
    x = x / x.norm(dim=(-2, -1), keepdim=True)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + b * gram @ x + c * gram @ gram @ x
    return x


@pytest.mark.parametrize("shape", [(3, 24, 16), (2, 64, 192), (4, 192, 64), (2, 96, 96)])
@pytest.mark.parametrize("device", DEVICES)
def test_newton_schulz_is_its_formula(device, shape):
    """On a GPU in bf16, which is .015 off where a CPU rounds as it does."""
    gradients = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalise(gradients.to(device))
    assert found.dtype == torch.float32 and found.device.type == device
    assert off(found, in_float64(gradients)) < (1e-4 if device == "cpu" else 0.03)


@pytest.mark.parametrize(
    ("device", "masked"),
    [
        pytest.param("cpu", True, marks=pytest.mark.slow),
        pytest.param("cuda", False, marks=NEEDS_CUDA),
        pytest.param("cuda", True, marks=NEEDS_CUDA),
    ],
)
def test_a_run_that_was_killed_goes_on_to_what_an_unbroken_one_reaches(tmp_path, device, masked):
    """Compiled on a GPU. On a CPU with the same bits; on a GPU only to rounding: torch is asked to be deterministic where
    it can be (folder.make_deterministic), and cuBLAS is left free to sum in another order."""
    changes = {"device": device, "train__compile": "true", "pretrain__document_mask": str(masked).lower()}
    straight, broken = (SmallRun(tmp_path / name, **changes) for name in ("straight", "broken"))
    straight.run()
    assert broken.kill(lambda: broken.saved() > 0) is not None, "it had finished before it was killed"
    assert "goes on after step" in broken.run()
    if device == "cpu":
        assert broken.outputs() == straight.outputs()
        return
    one, other = (pd.read_csv(project.folder / "curves/pretrain.csv") for project in (broken, straight))
    pd.testing.assert_frame_equal(one, other, rtol=1e-2)
    assert one["train_loss"].iloc[-1] < one["train_loss"].iloc[0]


@pytest.mark.parametrize("kind", ["muon", "adamw"])
@pytest.mark.parametrize("device", DEVICES)
def test_memory_of_training_is_what_was_estimated(device, kind):
    """On a GPU with layers compiled, and large enough that the libraries' own tens of MB are little beside it."""
    if device == "cpu":
        config, tokens = small_models.config(context=64, **measured_memory.NARROW), 256
    else:
        shape = {"dim": 512, "layers": 8, "heads": 8, "kv_heads": 4, "hidden_dim": 1408, "vocab_size": 6144}
        config, tokens = small_models.config(context=512, **shape), 16384
    peak = measured_memory.peak_bytes(lambda: measured_memory.two_steps(config, tokens, kind, device), device)
    assert memory.training_bytes(config, tokens, kind, device) == pytest.approx(peak, rel=memory.TOLERANCE)
