"""The parts of performance/pretrain.py whose figures are computed and not measured."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "performance"))  # behind src, whose scripts bear names of its own
import peer_book
import prepared
import race
from race import Clock, Job

from woodblock.evaluation import likelihood
from woodblock.models.configuration import Config
from woodblock.models.decoder import Transformer

SHAPE = {"dim": 32, "layers": 2, "heads": 4, "kv_heads": 2, "hidden_dim": 48, "context": 16}


def a_job(tmp_path, **budget):
    return Job("ours", SHAPE, {}, tmp_path, tmp_path, 1, **{"seconds": None, "tokens": None} | budget)


def test_the_target_is_met_on_the_line_between_two_points():
    values = [3.0, 2.6, 2.5, 2.2]
    curve = [[0, 0, value] for value in values]
    assert race.first_at_most([10, 20, 30, 40], values.__getitem__, 2.55, curve) == pytest.approx(25)
    assert race.first_at_most([10, 20, 30, 40], values.__getitem__, 2.0, curve) is None
    assert race.first_at_most([10, 20, 30, 40], values.__getitem__, 3.5, curve) == 10


@given(st.lists(st.floats(1, 4), min_size=2, max_size=9, unique=True), st.floats(-0.3, 0.3), st.floats(1, 4))
def test_the_target_is_met_where_the_exact_values_cross_it_whatever_the_cheap_ones_say(values, off, target):
    values = sorted(values, reverse=True)
    seconds = [float(10 * i) for i in range(len(values))]
    found = race.first_at_most(seconds, values.__getitem__, target, [[0, 0, value + off] for value in values])
    if found is None:
        assert values[-1] > target
    else:
        assert found == 0 or np.interp(found, seconds, values) == pytest.approx(target, abs=1e-6)
        assert found > 0 or values[0] <= target


def test_points_of_a_curve_lie_before_its_end():
    assert race.marks(120) == [20, 40, 60, 80, 100]
    assert race.marks(600)[:8] == [20, 40, 60, 80, 100, 120, 180, 240]
    assert race.marks(600)[-1] == 540


def test_a_cosine_rises_to_its_peak_and_ends_low():
    shares = [race.cosine(share, 0.1, 0.2) for share in np.linspace(0, 1, 101)]
    assert shares[0] == 0 and max(shares) == shares[10] == 1 and shares[-1] == pytest.approx(0.2)
    assert all(a >= b for a, b in itertools.pairwise(shares[10:]))
    assert race.cosine(0.0, 0.0, 0.1) == 1


def test_a_clock_stops_before_the_step_that_would_end_after_the_budget(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(race.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(race, "save_file", lambda weights, path: now.__setitem__(0, now[0] + 5.0))  # writing takes 5 s
    clock = Clock(a_job(tmp_path, seconds=50.0), dict)
    while clock.more():
        now[0] += 7.0
        clock.step(100)
    trained = clock.finish()
    assert (trained["seconds"], trained["steps"], trained["tokens"]) == (49.0, 7, 700)
    assert [(s.seconds, s.tokens) for s in clock.snapshots] == [(21.0, 300), (42.0, 600), (49.0, 700)]
    assert clock.share() == pytest.approx(49 / 50)


def test_a_budget_of_tokens_is_spent_whatever_the_time(tmp_path):
    clock = Clock(a_job(tmp_path, tokens=250), lambda: {"w": torch.zeros(2)})
    while clock.more():
        clock.step(100)
    assert clock.finish()["tokens"] == 300 and len(clock.snapshots) == 1


def test_the_books_model_is_scored_as_it_is_trained(tmp_path):
    config = Config(vocab_size=50, **SHAPE)
    theirs = peer_book.Llama(config)
    ours = Transformer(config)
    ours.load_state_dict(theirs.state_dict())
    ids = torch.arange(2 * 16).view(2, 16) % 50
    torch.testing.assert_close(theirs(ids), ours(ids), atol=1e-5, rtol=1e-4)


def test_weights_of_a_snapshot_score_as_in_memory(tmp_path):
    config = Config(vocab_size=50, **SHAPE)
    model = Transformer(config).initialise(3)
    clock = Clock(a_job(tmp_path, tokens=1), model.state_dict)
    clock.step(1)
    clock.finish()
    documents = [np.arange(number, number + 30) % 50 for number in range(120)]
    pieces = [piece for document in documents for piece in likelihood.windows(document, config.context)]
    expected = likelihood.bits_per_byte(sum(likelihood.nll(model, pieces, 4096)), 120 * 70)
    score = race.Score(config, documents, [70] * 120)
    assert score(clock.snapshots[0], whole=True) == pytest.approx(expected)
    assert score(clock.snapshots[0], whole=False) == pytest.approx(expected, rel=0.05)


def test_the_books_tokenizer_has_its_ids_and_folds_wide_forms():
    texts = ["一二三，四五六！" * 20, "雕版印书，一印再印。" * 20]
    tokenizer = prepared.train_book_tokenizer(texts)
    assert [tokenizer.token_to_id(token) for token in prepared.BOOK_SPECIAL] == list(range(5))
    assert tokenizer.decode(tokenizer.encode("四五六！").ids) == "四五六!"
