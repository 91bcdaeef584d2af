"""However a batch is cut the gradient is one; a run that was killed ends with the same bits; NaN names its step."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import small_models
import torch

from woodblock import training
from woodblock.errors import UserError
from woodblock.training import Task, train

LENGTH, ROWS = 16, 4


def settings(**changes):
    values = {"optimizer": "muon", "learning_rate": 0.01, "matrix_learning_rate": 0.02, "weight_decay": 0.01}
    values |= {"warmup_share": 0.2, "decay_share": 0.5, "final_lr_share": 0.0, "schedule": "wsd", "clip": 1.0}
    values |= {"micro_batch_tokens": LENGTH * ROWS, "validate_every": 4, "checkpoint_every": 2}
    return SimpleNamespace(**{**values, **changes})


def batch(step: int, share: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A function of the step alone; a `share` of the targets has no loss, unevenly over the rows."""
    draw = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, 40, (ROWS, LENGTH + 1), generator=draw)
    targets = tokens[:, 1:].clone()
    targets[torch.rand(ROWS, LENGTH, generator=draw) < share * torch.linspace(0.2, 1.8, ROWS)[:, None]] = -1
    return tokens[:, :-1], targets


def task(model, steps=12, make=batch):
    def validate():
        ids, targets = batch(999)
        with torch.no_grad():
            return float(model.loss(ids, targets)) / targets.numel()

    return Task(make, steps, LENGTH, validate, "val_loss")


def run(folder, *, chosen=None, steps=12, make=batch, key="key", model=None):
    model = model or small_models.model(vocab_size=40, init_std=0.05)
    chosen = chosen or settings()
    return model, train(model, task(model, steps, make), chosen, name="pretrain", key=key, work=folder)


def gradient(micro_batch_tokens: int) -> list[torch.Tensor]:
    model = small_models.model(vocab_size=40)
    seen = []
    stepper = SimpleNamespace(
        step=lambda: seen.extend(weight.grad.clone() for weight in model.parameters()), zero_grad=lambda set_to_none: 0
    )
    chosen = settings(micro_batch_tokens=micro_batch_tokens, clip=1e9)
    training._step(model, [stepper], *batch(0, share=0.5), chosen)
    return seen


def test_a_batch_in_parts_gives_the_gradient_of_the_whole():
    whole = gradient(LENGTH * ROWS)
    model = small_models.model(vocab_size=40)
    ids, targets = batch(0, share=0.5)
    counts = (targets >= 0).sum(dim=1)
    assert len(set(counts.tolist())) > 1  # so that a mean of the rows' means is another one
    torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), ignore_index=-1).backward()
    for found, weight in zip(whole, model.parameters(), strict=True):
        torch.testing.assert_close(found, weight.grad, atol=1e-6, rtol=1e-4)
    for micro in (1, LENGTH, 3 * LENGTH):
        for found, wanted in zip(gradient(micro), whole, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


def test_what_a_step_reports():
    model = small_models.model(vocab_size=40)
    ids, targets = batch(0, share=0.5)
    with torch.no_grad():
        wanted = float(model.loss(ids, targets))
    norm = sum(float(g.square().sum()) for g in gradient(LENGTH * ROWS)) ** 0.5
    loss, count, found = training._step(model, [], ids, targets, settings(micro_batch_tokens=LENGTH, clip=0.01))
    assert loss == pytest.approx(wanted, rel=1e-5) and count == int((targets >= 0).sum())
    assert found == pytest.approx(norm, rel=1e-4)  # before clipping
    clipped = sum(float(weight.grad.square().sum()) for weight in model.parameters()) ** 0.5
    assert clipped == pytest.approx(0.01, rel=1e-3)


def test_training_learns_and_its_curve_says_so(tmp_path):
    model, result = run(tmp_path, steps=30, make=lambda step: batch(step % 2))
    curve = result["curve"]
    assert curve["step"].tolist() == [4, 8, 12, 16, 20, 24, 28, 30]
    assert curve["tokens"].tolist() == [LENGTH * ROWS * step for step in curve["step"]]
    assert list(curve.columns) == ["step", "tokens", "train_loss", "learning_rate", "grad_norm", "val_loss"]
    assert curve["train_loss"].iloc[-1] < 0.7 * curve["train_loss"].iloc[0]
    assert curve["learning_rate"].max() == 0.01 and curve["learning_rate"].iloc[-1] < 0.002
    assert result["tokens"] == 30 * LENGTH * ROWS
    assert result["tokens_per_second"] > 0 and result["flops_per_second"] > result["tokens_per_second"]
    assert model.training


def test_the_curve_holds_means_since_its_last_row(tmp_path):
    """With a learning rate of next to nothing, each step's loss is that of the first weights."""
    still = settings(learning_rate=1e-30, matrix_learning_rate=1e-30, weight_decay=0.0)
    model, result = run(tmp_path, steps=4, chosen=still, make=lambda step: batch(step, share=0.5))
    with torch.no_grad():
        losses = [float(model.loss(*batch(step, share=0.5))) for step in range(4)]
    counts = [int((batch(step, share=0.5)[1] >= 0).sum()) for step in range(4)]
    assert result["curve"]["train_loss"].tolist() == [pytest.approx(sum(losses) / sum(counts), abs=2e-6)]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("kind", ["muon", "adamw", "adam"])
@pytest.mark.parametrize("stop", [1, 5, 7, 12])  # before any checkpoint, at one with a row, between rows, at the end
def test_a_killed_run_ends_with_the_same_bits(tmp_path, kind, stop):
    chosen = settings(optimizer=kind, micro_batch_tokens=2 * LENGTH)
    straight, wanted = run(tmp_path / "straight", chosen=chosen)

    asked = []

    def dies(step):
        asked.append(step)
        if step == stop:
            raise Killed
        return batch(step)

    if stop < 12:
        with pytest.raises(Killed):
            run(tmp_path / "work", chosen=chosen, make=dies)
        first = list(asked)
        stopped, result = run(tmp_path / "work", chosen=chosen, make=lambda step: (asked.append(step), batch(step))[1])
        assert asked[len(first) :] == list(range(stop - stop % 2, 12))  # from the last checkpoint on
    else:  # killed after the last step, before its results were kept: nothing is trained again
        run(tmp_path / "work", chosen=chosen)
        stopped, result = run(tmp_path / "work", chosen=chosen, make=dies)
        assert not asked
    for (name, one), (_, other) in zip(straight.named_parameters(), stopped.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    assert result["curve"].equals(wanted["curve"])
    assert result["tokens"] == wanted["tokens"]


def test_a_foreign_checkpoint_is_refused(tmp_path):
    run(tmp_path, steps=2)
    with pytest.raises(UserError, match="belongs to the run key, this is another"):
        run(tmp_path, steps=2, key="another")


@pytest.mark.parametrize("step", [0, 3])
def test_a_loss_that_is_no_number_names_its_step(tmp_path, step):
    model = small_models.model(vocab_size=40)

    def poisoned(number):
        if number == step:
            with torch.no_grad():
                model.norm.weight[0] = float("nan")
        return batch(number)

    with pytest.raises(UserError, match=rf"loss nan, gradient norm nan at step {step}; lower pretrain") as error:
        run(tmp_path, make=poisoned, model=model)
    assert "\n" not in str(error.value) and "matrix_learning_rate (0.02)" in str(error.value)


def test_a_batch_without_targets_is_one_line(tmp_path):
    def empty(step):
        ids, targets = batch(step)
        return ids, torch.full_like(targets, -1)

    with pytest.raises(UserError, match="without a single target") as error:
        run(tmp_path, make=empty)
    assert "\n" not in str(error.value)
