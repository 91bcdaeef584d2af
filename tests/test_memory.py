"""The memory of training is what torch allocates for it, and what is said to fit does fit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import small_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from woodblock import kernels, memory, optimizer
from woodblock.model import Transformer

NARROW = {"dim": 128, "layers": 4, "heads": 2, "kv_heads": 1, "hidden_dim": 384, "vocab_size": 600}
WIDE = {"dim": 256, "layers": 2, "heads": 4, "kv_heads": 4, "hidden_dim": 704, "vocab_size": 3000, "qk_norm": True}


def peak_bytes(run):
    """The most that torch's allocator held at once for what `run` made, and gives back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        made = run()
    changes = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = highest = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        highest = max(highest, held)
    del made
    return highest


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize(
    ("shape", "context", "tokens", "kind"),
    [
        (NARROW, 64, 64, "muon"),  # most is Muon's step
        (NARROW, 64, 64, "adamw"),  # most is weights and state
        (NARROW, 256, 512, "adamw"),  # most is what layers keep
        (WIDE, 64, 256, "muon"),
        (WIDE, 64, 64, "adam"),
    ],
)
def test_memory_of_training_is_what_torch_allocates(shape, context, tokens, kind, by_hand, monkeypatch):
    config = small_models.config(context=context, **shape)
    chosen = SimpleNamespace(optimizer=kind, learning_rate=0.01, matrix_learning_rate=0.01, weight_decay=0.0)
    ids = torch.zeros(tokens // context, context, dtype=torch.long)
    if not by_hand:
        monkeypatch.setattr(kernels, "LONGEST", 0)

    def train():
        """Two steps of two micro-batches: the last one has gradients and the optimizer's state beside it."""
        model = Transformer(config)
        steppers = optimizer.build(model, chosen)
        for _ in range(2):
            for _ in range(2):
                model.loss(ids, ids).backward()
            for stepper in steppers:
                stepper.step()
                stepper.zero_grad(set_to_none=True)
        return model, steppers

    assert memory.training_bytes(config, tokens, kind, "cpu") == pytest.approx(peak_bytes(train), rel=0.15)


@settings(max_examples=50)
@given(
    room=st.integers(0, 10**9),
    kind=st.sampled_from(["muon", "adamw", "adam"]),
    device=st.sampled_from(["cpu", "cuda"]),
    qk_norm=st.booleans(),
)
def test_the_largest_micro_batch_fits_and_one_more_token_does_not(room, kind, device, qk_norm):
    config = small_models.config(dim=128, layers=4, qk_norm=qk_norm)
    tokens = memory.largest_micro_batch(config, room, kind, device)
    assert tokens == 0 or memory.training_bytes(config, tokens, kind, device) <= room
    assert memory.training_bytes(config, tokens + 1, kind, device) > room
