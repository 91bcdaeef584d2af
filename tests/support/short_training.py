"""A model of some thousand weights in the real training loop, on batches that depend on their number alone."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from support import small_models

from woodblock.training.loop import Task, train

LENGTH, ROWS = 16, 4
PLACE = SimpleNamespace(devices=1, shard=False, compile=True)
IDENTITY = {"cmd": "python src/pretrain.py", "params": {"seed": 1}, "deps": {"data/packed": "1"}}


def settings(**changes):
    values = {"optimizer": "muon", "learning_rate": 0.01, "matrix_learning_rate": 0.02, "weight_decay": 0.01}
    values |= {"warmup_share": 0.2, "decay_share": 0.5, "final_lr_share": 0.0, "schedule": "wsd", "clip": 1.0}
    values |= {"micro_batch_tokens": LENGTH * ROWS, "validate_every": 4, "checkpoint_every": 2, "keep": "last"}
    return SimpleNamespace(**{**values, **changes})


def batch(step: int, share: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A function of the step alone; a `share` of the targets has no loss, unevenly over the rows."""
    draw = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, 40, (ROWS, LENGTH + 1), generator=draw)
    targets = tokens[:, 1:].clone()
    targets[torch.rand(ROWS, LENGTH, generator=draw) < share * torch.linspace(0.2, 1.8, ROWS)[:, None]] = -1
    return tokens[:, :-1], targets


def task(steps=12, make=batch, **changes):
    def validate(model, world):
        ids, targets = batch(999)
        with torch.no_grad():
            return {"val_loss": float(model.loss(ids, targets)) / targets.numel()}

    return Task(make, steps, validate, describe=lambda step: f"rows of {step}", **changes)


def journal(folder, identity=IDENTITY):
    return SimpleNamespace(name="pretrain", identity=identity, work=folder / "work", log=folder / "log.csv")


def run(folder, *, chosen=None, steps=12, make=batch, model=None, identity=IDENTITY, **changes):
    model = model or small_models.model(vocab_size=40, init_std=0.05)
    chosen = chosen or settings()
    return model, train(model, task(steps, make, **changes), chosen, PLACE, journal(folder, identity))


class Killed(BaseException):
    pass
