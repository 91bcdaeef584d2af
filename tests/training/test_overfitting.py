"""Text that is read too often is named; `auto` stops in time; the best weights are kept, also of a run that was killed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from support.short_training import IDENTITY, Killed, batch, run, settings

from woodblock.base import sizes
from woodblock.tokens import packing
from woodblock.training import checkpoint, overfitting

RULED = ("tokens", "batch_tokens", "micro_batch_tokens", "learning_rate", "matrix_learning_rate")


def windows(folder, **sources):
    """The windows of a packed split. sources: by name, the tokens of a document and its weight."""
    documents = (packing.Document([7] * tokens, tokens, name, weight) for name, (tokens, weight) in sources.items())
    entry = packing.write(folder, "train", documents, vocab_size=40, shard_tokens=10**6)
    packing.write_index(folder, vocab_size=40, tokenizer_sha256="0" * 64, splits={"train": entry})
    return packing.Windows(packing.Packed(folder, "train"), 16, seed=1)


def params_of(depth, *, max_epochs=4, **given):
    """Params of a depth, and the run of a stage that found numbers for what is not given."""
    model = SimpleNamespace(depth=depth, parameters=None, qk_norm=False, context=16, **dict.fromkeys(sizes.SHAPE))
    block = SimpleNamespace(optimizer="muon", max_epochs=max_epochs, **(dict.fromkeys(RULED, "auto") | given))
    params = SimpleNamespace(
        model=model, pretrain=block, train=SimpleNamespace(devices=1), tokenizer=SimpleNamespace(vocab_size=40)
    )
    numbers = sizes.pretraining(params)
    vars(block).update(numbers)
    return params, SimpleNamespace(chosen={f"pretrain.{name}": number for name, number in numbers.items()})


@pytest.mark.parametrize("depth", [1, 12])
@pytest.mark.parametrize("tokens", [5_000, 300_000])
@pytest.mark.parametrize("most", [1, 2.5, 4])
def test_auto_stops_at_so_many_epochs(tmp_path, depth, tokens, most):
    params, run = params_of(depth, max_epochs=most)
    ruled = params.pretrain.tokens
    block, said = overfitting.within_epochs(params, run, windows(tmp_path, a=(tokens, 1.0)))
    assert 0.9 * most * tokens < block.tokens <= most * tokens and block.tokens % block.batch_tokens == 0
    assert (
        len(said) == 1 and f"auto stops at {most:g} epochs" in said[0] and f"{block.tokens:,} tokens instead" in said[0]
    )
    assert f"of {ruled:,}" in said[0]
    # Batch and rates are those of the budget that is used, and the lineage has them.
    wanted = sizes.pretraining(_asked(params, block.tokens))
    assert {name: getattr(block, name) for name in wanted} == wanted
    assert run.chosen == {f"pretrain.{name}": getattr(block, name) for name in RULED}
    assert block.optimizer == "muon"


def _asked(params, tokens):
    block = SimpleNamespace(**(vars(params.pretrain) | dict.fromkeys(RULED, "auto") | {"tokens": tokens}))
    return SimpleNamespace(**(vars(params) | {"pretrain": block}))


def test_what_is_given_is_obeyed_and_what_fits_is_left_alone(tmp_path):
    text = windows(tmp_path, a=(10_000, 1.0))
    params, run = params_of(1, tokens=310_000, batch_tokens=1_000)
    block, (said,) = overfitting.within_epochs(params, run, text)
    assert block.tokens == 310_000 and "31.0 epochs" in said and "lower pretrain.tokens to 40,000" in said
    params, run = params_of(1, max_epochs=None)
    block, (said,) = overfitting.within_epochs(params, run, text)
    assert block is params.pretrain and "the text is read" in said  # told otherwise: as often as the rule says
    params, run = params_of(1, batch_tokens=64, learning_rate=0.5)
    block, said = overfitting.within_epochs(params, run, text)
    assert (block.tokens, block.batch_tokens, block.learning_rate) == (40_000, 64, 0.5)
    params, run = params_of(1, tokens=40_000)
    assert overfitting.within_epochs(params, run, text) == (params.pretrain, [])


def test_a_source_that_is_read_more_often_is_named(tmp_path):
    text = windows(tmp_path, web=(9_000, 1.0), wiki=(1_000, 5.0))
    assert overfitting.repeats(11_000, text) == []
    (said,) = overfitting.repeats(16_000, text)
    assert "1.6 epochs" in said and "that of wiki 5.7 times" in said
    (said,) = overfitting.repeats(44_000, windows(tmp_path / "even", a=(9_000, 1.0), b=(1_000, 1.0)))
    assert "4.4 epochs" in said and "that of" not in said


def row(step, train, score):
    return {"step": step, "train_loss": train, "val_bpb": score}


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([3.0, 2.0, 1.5], ""),
        (
            [3.0, 1.50, 1.51],
            "val_bpb was lowest after step 20, at 1.500, and is 1.510 after the last, step 30; the weights",
        ),
        (
            [3.0, 1.73, 2.95],
            "the model overfitted: the training loss fell further, but val_bpb was lowest after step 20",
        ),
        ([float("nan"), 1.0, float("nan")], "val_bpb was lowest after step 20, at 1.000, and is nan"),
        ([float("nan"), float("nan")], ""),
    ],
)
def test_a_run_that_overfitted_says_so(scores, says):
    rows = [row(10 * (place + 1), 4.0 - place, score) for place, score in enumerate(scores)]
    said = overfitting.in_words(overfitting.judge(rows, "val_bpb"), "pretrain", "val_bpb", "best")
    assert says in said and bool(says) == bool(said)
    worse = overfitting.judge([row(1, 2.0, 1.0), row(2, 3.0, 2.0)], "val_bpb")
    assert worse.rise == 1.0 and "got worse" in overfitting.in_words(worse, "sft", "val_bpb", "last")
    assert "the last weights are kept (sft.keep: last)" in overfitting.in_words(worse, "sft", "val_bpb", "last")


MEMORISED = {"steps": 24, "make": lambda step: batch(step % 2)}  # two batches by heart: the held-out loss soon rises
BEST = settings(keep="best", validate_every=3, checkpoint_every=4, learning_rate=0.02)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return run(tmp_path_factory.mktemp("straight"), chosen=BEST, **MEMORISED)


def test_the_best_weights_are_kept(tmp_path, straight, capsys):
    model, result = straight
    curve = result.curve
    best = int(curve["step"][curve["val_loss"].idxmin()])
    assert result.kept_step == best < 24 and best % 4  # no checkpoint was of the same step
    assert result.rise == pytest.approx(curve["val_loss"].iloc[-1] / curve["val_loss"].min() - 1) and result.rise > 0.01
    ids, targets = batch(999)
    with torch.no_grad():
        assert float(model.loss(ids, targets)) / targets.numel() == pytest.approx(curve["val_loss"].min(), abs=1e-6)
    capsys.readouterr()
    last, other = run(tmp_path, chosen=settings(**{**vars(BEST), "keep": "last"}), **MEMORISED)
    said = capsys.readouterr().err
    assert other.kept_step == 24 and other.curve.equals(curve) and other.rise == result.rise
    assert (
        f"pretrain: the model overfitted: the training loss fell further, but val_loss was lowest after step {best}"
        in said
    )
    assert any(not torch.equal(*pair) for pair in zip(model.parameters(), last.parameters(), strict=True))


@pytest.mark.parametrize("stop", [2, 10, 14, 23])
def test_a_killed_run_keeps_the_same_best_weights(tmp_path, straight, stop):
    def dies(step):
        if step == stop:
            raise Killed
        return batch(step % 2)

    with pytest.raises(Killed):
        run(tmp_path, chosen=BEST, steps=24, make=dies)
    model, result = run(tmp_path, chosen=BEST, **MEMORISED)
    assert all(torch.equal(*pair) for pair in zip(straight[0].parameters(), model.parameters(), strict=True))
    assert result.curve.equals(straight[1].curve) and result.kept_step == straight[1].kept_step
    # Killed after the last step, before the results were written: nothing is trained again, and the model is the same.
    again, _ = run(tmp_path, chosen=BEST, steps=24, make=dies)
    assert all(torch.equal(*pair) for pair in zip(straight[0].parameters(), again.parameters(), strict=True))


def test_a_checkpoint_of_the_best_step_holds_its_weights_once(tmp_path):
    chosen = settings(keep="best", validate_every=4, checkpoint_every=4)
    run(tmp_path, chosen=chosen, steps=4)
    state = checkpoint.load(tmp_path / "work", IDENTITY, "pretrain")
    assert state["best"] == {} and state["position"]["best_step"] == 4
