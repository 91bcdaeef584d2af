"""The training loop, one for pretraining and fine-tuning: accumulate, clip, step; validate; save; resume.

Batch b is a function of its number alone, so a run that was killed goes on from its last checkpoint with the same
batches, and ends with the same bits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import Tensor

from woodblock import checkpoint
from woodblock import optimizer as optimizers
from woodblock.errors import UserError
from woodblock.model import Transformer, autocast, flops_per_token
from woodblock.progress import Progress, say


class Settings(optimizers.Settings, Protocol):
    micro_batch_tokens: int
    clip: float
    validate_every: int
    checkpoint_every: int


@dataclass
class Task:
    """What is trained on: `batch(step)` gives ids and targets, both [B, T] on the CPU, targets below 0 without loss;
    `validate()` gives the figure that the curve shows under the name `figure`."""

    batch: Callable[[int], tuple[Tensor, Tensor]]
    steps: int
    length: int  # T
    validate: Callable[[], float]
    figure: str


@dataclass
class Position:
    """Where a run stands; kept in its checkpoints."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # spent in steps, over all the processes that the run took
    rows: list[dict[str, float]] = field(default_factory=list)  # of the curve
    since: list[tuple[float, int, float]] = field(
        default_factory=list
    )  # loss, targets, norm of steps after the last row


def train(model: Transformer, task: Task, settings: Settings, *, name: str, key: str, work: Path) -> dict[str, Any]:
    """Train in place; returns {"curve": DataFrame, "tokens", "tokens_per_second", "flops_per_second"}.

    The curve has a row a validation: step, tokens (positions trained so far), train_loss (nats a target, the mean since
    the last row), learning_rate, grad_norm (before clipping, likewise the mean) and the task's figure. Checkpoints are
    kept in `work`. Raises UserError, naming the step, when the loss is no number any more.
    """
    steppers = optimizers.build(model, settings)
    saved = work / "checkpoint.pt"
    position = _resume(model, steppers, saved, key)
    if position.step:
        say(f"{name}: goes on after step {position.step} of {task.steps}")
    progress = Progress(name, task.steps, "steps", done=position.step)
    while position.step < task.steps:
        share = optimizers.learning_rate_share(position.step, task.steps, settings)
        for group in (group for stepper in steppers for group in stepper.param_groups):
            group["lr"] = share * group["peak"]
        started = time.perf_counter()
        ids, targets = task.batch(position.step)
        loss, count, norm = _step(model, steppers, ids, targets, settings)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise UserError(
                f"loss {loss}, gradient norm {norm} at step {position.step}; lower {name}.learning_rate "
                f"({settings.learning_rate}) or {name}.matrix_learning_rate ({settings.matrix_learning_rate})"
            )
        position.seconds += time.perf_counter() - started
        position.step, position.tokens = position.step + 1, position.tokens + ids.numel()
        position.since.append((loss, count, norm))
        last = position.step == task.steps
        if last or position.step % settings.validate_every == 0:
            position.rows.append(_row(model, task, position, share * settings.learning_rate))
            position.since.clear()
        if last or position.step % settings.checkpoint_every == 0:
            _save(model, steppers, saved, key, position)
        rate = position.tokens / position.seconds
        progress.advance(note=f"loss {loss / count:.3f}, {rate:,.0f} tokens/s")
    progress.close()
    rate = position.tokens / position.seconds
    return {
        "curve": pd.DataFrame(position.rows),
        "tokens": position.tokens,
        "tokens_per_second": rate,
        "flops_per_second": rate * flops_per_token(model.config, task.length),
    }


def _step(
    model: Transformer, steppers: list[torch.optim.Optimizer], ids: Tensor, targets: Tensor, settings: Settings
) -> tuple[float, int, float]:
    """One optimizer step; returns the summed loss in nats, the number of targets and the gradient's norm.

    Micro-batches are weighted by their targets: the gradient is that of the batch's mean, however it was cut.
    """
    device = model.embed_tokens.weight.device
    count = int((targets >= 0).sum())
    if not count:
        raise UserError("a batch without a single target: no token of it would be learned; look at the data")
    rows = max(1, settings.micro_batch_tokens // ids.shape[1])
    loss = torch.zeros((), device=device)
    for part_ids, part_targets in zip(ids.split(rows), targets.split(rows), strict=True):
        with autocast(device):
            part = model.loss(part_ids.to(device, non_blocking=True), part_targets.to(device, non_blocking=True))
        (part / count).backward()
        loss += part.detach()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    for stepper in steppers:
        stepper.step()
        stepper.zero_grad(set_to_none=True)
    return float(loss), count, float(norm)


def _row(model: Transformer, task: Task, position: Position, learning_rate: float) -> dict[str, float]:
    losses, counts, norms = zip(*position.since, strict=True)
    model.eval()
    figure = task.validate()
    model.train()
    row = {
        "step": position.step,
        "tokens": position.tokens,
        "train_loss": sum(losses) / sum(counts),
        "learning_rate": learning_rate,
        "grad_norm": sum(norms) / len(norms),
        task.figure: figure,
    }
    return {key: round(value, 6) for key, value in row.items()}


def _save(model: Transformer, steppers: list[torch.optim.Optimizer], path: Path, key: str, position: Position) -> None:
    state = {"model": model.state_dict(), "optimizers": [s.state_dict() for s in steppers], "position": vars(position)}
    checkpoint.save(path, key, state)


def _resume(model: Transformer, steppers: list[torch.optim.Optimizer], path: Path, key: str) -> Position:
    state = checkpoint.load(path, key)
    if state is None:
        return Position()
    model.load_state_dict(state["model"])
    for stepper, saved in zip(steppers, state["optimizers"], strict=True):
        stepper.load_state_dict(saved)
    return Position(**state["position"])
