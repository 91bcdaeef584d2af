"""What training really allocates: two steps of a small model, by torch's own accounts."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch.profiler import ProfilerActivity, profile

from woodblock.models.decoder import Transformer
from woodblock.models.devices import autocast
from woodblock.training import optimizer
from woodblock.training.loop import compile_layers

NARROW = {"dim": 128, "layers": 4, "heads": 2, "kv_heads": 1, "hidden_dim": 384, "vocab_size": 600}


def peak_bytes(run, device="cpu"):
    """The most that torch's allocator held at once for what `run` made, and gives back."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        made = run()
        highest = torch.cuda.max_memory_allocated() - before
        del made
        return highest
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        made = run()
    changes = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = highest = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        held += change.nbytes()
        highest = max(highest, held)
    del made
    return highest


def two_steps(config, tokens, kind, device="cpu"):
    """Two steps of two micro-batches, as training takes them: the last one has gradients and the optimizer's state beside
    it. Gives back what must live on between steps."""
    chosen = SimpleNamespace(optimizer=kind, learning_rate=0.01, matrix_learning_rate=0.01, weight_decay=0.0)
    ids = torch.zeros(tokens // config.context, config.context, dtype=torch.long, device=device)
    model = Transformer(config).to(device)
    if device == "cuda":
        compile_layers(model)
    steppers = optimizer.build(model, chosen)
    for _ in range(2):
        for _ in range(2):
            with autocast(ids.device):
                loss = model.loss(ids, ids)
            loss.backward()
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
    return model, steppers
