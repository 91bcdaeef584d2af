"""performance/gpu.py: what of it runs on a CPU. Its figures need a GPU."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "performance"))  # behind src, whose scripts bear names of its own
import gpu

from woodblock.models.configuration import Config, count_parameters
from woodblock.models.decoder import Transformer

ROOT = Path(__file__).parents[2]
TINY = Config(vocab_size=64, dim=32, layers=2, heads=2, kv_heads=1, hidden_dim=48, context=16)
CPU = torch.device("cpu")


def test_the_model_is_the_books():
    assert count_parameters(gpu.BOOK) == 215_127_040


@pytest.mark.parametrize("documents", [False, True])
def test_the_gradient_is_the_same_however_a_batch_is_cut(documents):
    tokens = next(gpu.batches(TINY, CPU, 8 * TINY.context))
    gradients, losses = [], []
    for rows in (8, 2):
        model = Transformer(TINY).initialise(1)
        losses.append(float(gpu.accumulate(model, tokens, gpu.Variant(rows, documents=documents), CPU)))
        gradients.append(model.embed_tokens.weight.grad)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] == pytest.approx(math.log(64), rel=0.05)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_variant_is_measured(optimizer):
    found = gpu.measure(TINY, gpu.Variant(2, "none", optimizer=optimizer), CPU, 4 * TINY.context, timed=2)
    assert found.tokens_per_second > 0 and 0 < found.mfu < 1 and 0 < found.optimizer_share < 1


def test_documents_begin_in_the_batches():
    tokens = next(gpu.batches(TINY, CPU, 4096 * TINY.context))
    assert tokens.shape == (4096, TINY.context + 1)
    assert (tokens == gpu.START_ID).float().mean() == pytest.approx(1 / gpu.DOCUMENT_TOKENS, rel=0.3)


def test_nothing_but_torch_and_numpy_is_needed():
    """Everything else that this environment has is hidden, as on a machine that has torch alone."""
    code = """
import sys
import torch
known = set(sys.modules)
sys.path.insert(0, "performance")
import gpu
from importlib.metadata import packages_distributions
installed = set(packages_distributions()) - {"torch", "numpy"}
print(sorted(installed & {name.partition(".")[0] for name in set(sys.modules) - known}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_it_says_so_in_a_line():
    done = subprocess.run([sys.executable, "performance/gpu.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 1 and "no CUDA device" in done.stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("variant", [gpu.Variant(4), gpu.Variant(4, "whole"), gpu.Variant(4, documents=True)])
def test_a_variant_is_measured_on_a_gpu(variant):
    shape = Config(vocab_size=256, dim=64, layers=2, heads=2, kv_heads=1, hidden_dim=128, context=256)
    found = gpu.measure(shape, variant, torch.device("cuda"), 8 * 256, timed=3)
    assert 0 < found.mfu < 1 and found.memory_mb > 0
