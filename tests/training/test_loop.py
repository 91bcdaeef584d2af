"""However a batch is cut the gradient is one; a run that was killed ends with the same bits; what goes wrong is named."""

from __future__ import annotations

import os
import shutil
import signal

import pytest
import torch
from support import small_models
from support.short_training import IDENTITY, LENGTH, PLACE, ROWS, Killed, batch, journal, run, settings, task

from woodblock.base.errors import UserError
from woodblock.models import kernels
from woodblock.training import checkpoint, loop, watch
from woodblock.training.distributed import World
from woodblock.training.loop import train


def gradient(micro_batch_tokens: int) -> list[torch.Tensor]:
    model = small_models.model(vocab_size=40)
    ids, targets = batch(0, share=0.5)
    loop.accumulate(model, (ids, targets), int((targets >= 0).sum()), micro_batch_tokens)
    return [weight.grad for weight in model.parameters()]


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


def test_rows_without_targets_change_nothing():
    """Such rows fill up the last process's share of a batch, and may be all of a micro-batch."""
    ids, targets = batch(0)
    found = []
    for rows in (ROWS, ROWS + 1):
        model = small_models.model(vocab_size=40)
        longer = (torch.cat([ids, ids[:1]])[:rows], torch.cat([targets, torch.full_like(targets[:1], -1)])[:rows])
        found.append((float(loop.accumulate(model, longer, targets.numel(), LENGTH)), model))
    assert found[0][0] == found[1][0]
    for one, other in zip(*(model.parameters() for _, model in found), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_what_a_step_reports():
    model = small_models.model(vocab_size=40)
    ids, targets = batch(0, share=0.5)
    with torch.no_grad():
        wanted = float(model.loss(ids, targets))
    norm = sum(float(g.square().sum()) for g in gradient(LENGTH * ROWS)) ** 0.5
    loss = loop.accumulate(model, (ids, targets), int((targets >= 0).sum()), LENGTH)
    found = loop.update(model, [], 0.01, World(torch.device("cpu")))
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    assert float(found) == pytest.approx(norm, rel=1e-4)  # before clipping
    clipped = sum(float(weight.grad.square().sum()) for weight in model.parameters()) ** 0.5
    assert clipped == pytest.approx(0.01, rel=1e-3)


def test_document_numbers_reach_the_model():
    ids, targets = batch(0)
    losses = [
        float(loop.accumulate(small_models.model(vocab_size=40), (ids, targets, numbers), targets.numel(), LENGTH))
        for numbers in (torch.zeros_like(ids), torch.arange(LENGTH).expand(ROWS, -1) // 4)
    ]
    plain = float(loop.accumulate(small_models.model(vocab_size=40), (ids, targets), targets.numel(), LENGTH))
    assert losses[0] == pytest.approx(plain, rel=1e-5) != pytest.approx(losses[1], rel=1e-5)


def test_training_learns_and_its_curve_says_so(tmp_path):
    model, result = run(tmp_path, steps=30, make=lambda step: batch(step % 2))
    curve = result.curve
    assert curve["step"].tolist() == [4, 8, 12, 16, 20, 24, 28, 30]
    assert curve["tokens"].tolist() == [LENGTH * ROWS * step for step in curve["step"]]
    assert list(curve.columns) == ["step", "tokens", "train_loss", "learning_rate", "grad_norm", "val_loss"]
    assert curve["train_loss"].iloc[-1] < 0.7 * curve["train_loss"].iloc[0]
    assert curve["learning_rate"].max() == 0.01 and curve["learning_rate"].iloc[-1] < 0.002
    assert result.tokens == 30 * LENGTH * ROWS
    assert (
        result.rates["tokens_per_second"] > 0 and result.rates["flops_per_second"] > result.rates["tokens_per_second"]
    )
    assert 0 < result.rates["mfu_percent"] < 100
    assert result.model is model and model.training


def test_the_curve_holds_means_since_its_last_row(tmp_path):
    """With a learning rate of next to nothing, each step's loss is that of the first weights."""
    still = settings(learning_rate=1e-30, matrix_learning_rate=1e-30, weight_decay=0.0)
    model, result = run(tmp_path, steps=4, chosen=still, make=lambda step: batch(step, share=0.5))
    with torch.no_grad():
        losses = [float(model.loss(*batch(step, share=0.5))) for step in range(4)]
    counts = [int((batch(step, share=0.5)[1] >= 0).sum()) for step in range(4)]
    assert result.curve["train_loss"].tolist() == [pytest.approx(sum(losses) / sum(counts), abs=2e-6)]


@pytest.mark.parametrize("kind", ["muon", "adamw", "adam"])
@pytest.mark.parametrize("stop", [1, 5, 7, 12])  # before any checkpoint, at one with a row, between rows, at the end
def test_a_killed_run_ends_with_the_same_bits(tmp_path, kind, stop):
    chosen = settings(optimizer=kind, micro_batch_tokens=2 * LENGTH)
    sampled = {"sample": lambda model: [str(float(model.norm.weight.detach().sum()))], "samples_every": 3}
    straight, wanted = run(tmp_path / "straight", chosen=chosen, **sampled)

    asked = []

    def dies(step):
        asked.append(step)
        if step == stop:
            raise Killed
        return batch(step)

    def counts(step):
        asked.append(step)
        return batch(step)

    if stop < 12:
        with pytest.raises(Killed):
            run(tmp_path / "work", chosen=chosen, make=dies, **sampled)
        first = list(asked)
        stopped, result = run(tmp_path / "work", chosen=chosen, make=counts, **sampled)
        assert asked[len(first) :] == list(range(stop - stop % 2, 12))  # from the last checkpoint on
    else:  # killed after the last step, before its results were kept: nothing is trained again
        run(tmp_path / "work", chosen=chosen, **sampled)
        stopped, result = run(tmp_path / "work", chosen=chosen, make=dies, **sampled)
        assert not asked and result.rates["mfu_percent"] > 0
    for (name, one), (_, other) in zip(straight.named_parameters(), stopped.named_parameters(), strict=True):
        assert torch.equal(one, other), name
    assert result.curve.equals(wanted.curve)
    assert result.samples == wanted.samples and [taken["step"] for taken in result.samples] == [3, 6, 9, 12]
    assert result.tokens == wanted.tokens


def test_a_torn_checkpoint_costs_steps_and_no_bit(tmp_path, capsys):
    straight, wanted = run(tmp_path / "straight")

    def dies(step):
        if step == 7:
            raise Killed
        return batch(step)

    with pytest.raises(Killed):
        run(tmp_path / "torn", make=dies)
    newest = tmp_path / "torn" / "work" / "checkpoint.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    stopped, result = run(tmp_path / "torn")
    said = capsys.readouterr().err
    assert "continuing from the one before it" in said and "goes on after step 4 of 12" in said
    assert all(torch.equal(*pair) for pair in zip(straight.parameters(), stopped.parameters(), strict=True))
    assert result.curve.equals(wanted.curve)


def test_a_foreign_checkpoint_is_refused_and_one_beside_is_named(tmp_path, capsys):
    run(tmp_path, steps=2)
    other = {**IDENTITY, "params": {"seed": 2}}
    with pytest.raises(
        UserError, match=r"is the checkpoint of a run with different params \(seed: 1, here 2\); remove it"
    ):
        run(tmp_path, steps=2, identity=other)
    (tmp_path / "work").rename(tmp_path / "work-one")
    capsys.readouterr()
    beside = journal(tmp_path, other)
    beside.work = tmp_path / "work-two"
    train(small_models.model(vocab_size=40), task(2), settings(), PLACE, beside)
    assert (
        "work-one/checkpoint.pt is of a run with different params (seed: 1, here 2); this run starts from the beginning"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_after_its_step_and_the_second_at_once(tmp_path, number):
    straight, wanted = run(tmp_path / "straight")

    def signals(times):
        def make(step):
            if step == 6:
                for _ in range(times):
                    os.kill(os.getpid(), number)
            return batch(step)

        return make

    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "once", make=signals(1))
    assert checkpoint.load(tmp_path / "once/work", IDENTITY, "pretrain")["position"]["step"] == 7  # its own step, saved
    stopped, result = run(tmp_path / "once")
    assert all(torch.equal(*pair) for pair in zip(straight.parameters(), stopped.parameters(), strict=True))
    assert result.curve.equals(wanted.curve)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "twice", make=signals(2))
    assert checkpoint.load(tmp_path / "twice/work", IDENTITY, "pretrain")["position"]["step"] == 6  # the one before
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers


@pytest.mark.parametrize(
    ("step", "stands"), [(0, "there is no checkpoint yet"), (3, "the checkpoint of step 2 is in ")]
)
def test_a_loss_that_is_no_number_names_its_step_and_batch(tmp_path, step, stands):
    model = small_models.model(vocab_size=40)

    def poisoned(number):
        if number == step:
            with torch.no_grad():
                model.norm.weight[0] = float("nan")
        return batch(number)

    says = (
        rf"loss nan, gradient norm nan at step {step}; the batch was rows of {step}; {stands}.*; try a lower pretrain"
    )
    with pytest.raises(UserError, match=says) as error:
        run(tmp_path, make=poisoned, model=model)
    assert "\n" not in str(error.value) and "matrix_learning_rate (0.02)" in str(error.value)
    kept = checkpoint.load(tmp_path / "work", IDENTITY, "pretrain")
    assert kept is None if step == 0 else all(weight.isfinite().all() for weight in kept["model"].values())


@pytest.mark.parametrize(
    ("step", "windows", "says"),
    [
        (0, 4, "at step 0, with pretrain.micro_batch_tokens: 128; lower it to 64, .*; there is no checkpoint yet"),
        (
            3,
            3,
            "at step 3, with pretrain.micro_batch_tokens: 96; lower it to 32, .*; the checkpoint of step 2 is in",
        ),
        (
            3,
            1,
            "at step 3, with pretrain.micro_batch_tokens: 32; it is one window, the smallest; with train.shard: true and",
        ),
    ],
)
def test_a_full_gpu_is_one_line_that_says_what_would_do(tmp_path, monkeypatch, step, windows, says):
    model, steps = small_models.model(vocab_size=40), []

    def fills_up(*tensors, **kwargs):
        if len(steps) > step:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has a total of …")
        return type(model).loss(model, *tensors, **kwargs)

    def counted(number):
        steps.append(number)
        return batch(number)

    monkeypatch.setattr(model, "loss", fills_up)
    chosen = settings(micro_batch_tokens=windows * model.config.context)
    with pytest.raises(UserError, match=says) as error:
        run(tmp_path, make=counted, model=model, chosen=chosen)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    if step:  # the checkpoint that is said to stand does
        run(tmp_path, model=small_models.model(vocab_size=40), chosen=chosen)
        assert checkpoint.load(tmp_path / "work", IDENTITY, "pretrain")["position"]["step"] == 12


def test_a_run_that_diverges_is_stopped(tmp_path):
    """From step 30 on the embeddings are noise again, and learn nothing."""
    model = small_models.model(vocab_size=40, init_std=0.05)
    chosen = settings(schedule="cosine", checkpoint_every=10)

    def spoiled(step):
        if step >= 30:
            with torch.no_grad():
                model.embed_tokens.weight.normal_(0, 1, generator=torch.Generator().manual_seed(step))
        return batch(step % 2)

    with pytest.raises(
        UserError, match=r"the loss has diverged: [\d.]+ nats at step 49, over 1.5 times .* for 20 steps"
    ):
        run(tmp_path, make=spoiled, model=model, steps=200, chosen=chosen)


def test_a_batch_without_targets_is_one_line(tmp_path):
    def empty(step):
        ids, targets = batch(step)
        return ids, torch.full_like(targets, -1)

    with pytest.raises(UserError, match=r"step 0: the batch \(rows of 0\) has no token to learn from;") as error:
        run(tmp_path, make=empty)
    assert "\n" not in str(error.value)


def test_the_live_log_has_every_ten_steps_and_is_cut_back(tmp_path):
    chosen = settings(checkpoint_every=12)

    def dies(step):
        if step == 22:
            raise Killed
        return batch(step)

    with pytest.raises(Killed):
        run(tmp_path, steps=30, chosen=chosen, make=dies)
    assert [row["step"] for row in watch.read(tmp_path / "log.csv")] == ["10", "20"]
    with (tmp_path / "log.csv").open("a") as file:
        file.write("21,13")  # as a kill leaves it
    run(tmp_path, steps=30, chosen=chosen)
    rows = watch.read(tmp_path / "log.csv")
    assert [row["step"] for row in rows] == ["10", "22", "30"]  # from step 12 on, ten at a time
    for row in rows:
        assert float(row["tokens"]) == float(row["step"]) * ROWS * LENGTH
        assert 0 < float(row["loss"]) < 5 and float(row["mfu"]) < 1
        assert all(float(row[name]) > 0 for name in ("learning_rate", "grad_norm", "tokens_per_second", "memory_mb"))
    assert float(rows[0]["seconds"]) < float(rows[1]["seconds"]) < float(rows[2]["seconds"])


@pytest.mark.slow
def test_compiled_layers_have_the_gradients_of_others(monkeypatch):
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler, which torch.compile needs on a CPU")
    wanted = gradient(LENGTH * ROWS)
    monkeypatch.setattr(kernels, "serve", lambda weight, length: False)  # as on a GPU
    model = small_models.model(vocab_size=40)
    loop.compile_layers(model)
    ids, targets = batch(0, share=0.5)
    loop.accumulate(model, (ids, targets), int((targets >= 0).sum()), LENGTH * ROWS)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    for found, weight in zip(wanted, model.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, found, atol=1e-5, rtol=1e-3)
