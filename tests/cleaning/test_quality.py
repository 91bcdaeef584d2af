"""The quality model: probabilities that sum to one, and scores that tell text from what is none."""

from __future__ import annotations

import random

import numpy as np
import pytest

from woodblock.cleaning import quality
from woodblock.cleaning.quality import Model

SUBJECTS = ["公民", "法人", "国家机关", "企业", "用人单位", "劳动者", "监护人", "当事人", "人民法院", "行政机关"]
VERBS = ["应当依法保护", "不得侵犯", "可以请求确认", "有权要求赔偿", "负责组织实施", "必须按期公布"]
OBJECTS = ["他人的合法权益", "财产权利", "有关的证明材料", "本条规定的措施", "因此受到的损失", "个人信息"]


def sentences(seed: int, count: int) -> str:
    rng = random.Random(seed)
    return "".join(f"{rng.choice(SUBJECTS)}{rng.choice(VERBS)}{rng.choice(OBJECTS)}。" for _ in range(count))


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.count([sentences(seed, 50) for seed in range(100)])


def test_what_it_was_counted_on_is_probable_and_what_is_garbled_is_not(model):
    text = sentences(1000, 40)
    shuffled = "".join(random.Random(1).sample(text, len(text)))
    garbled = text.encode().decode("gbk", "replace")
    good, mixed, bad = model.bits_per_byte([text, shuffled, garbled])
    assert good < 1 < mixed < bad


def test_probabilities_sum_to_one(model):
    """Over all characters that can follow a context, the probability of the next is one, but for shared slots."""
    context = "应当"
    counted = model.bits_per_byte([context])[0] * 6
    points = range(1, 0xD800)
    bits = model.bits_per_byte([context + chr(point) for point in points])
    sizes = np.array([6 + len(chr(point).encode()) for point in points])
    total = np.sum(2.0 ** (counted - bits * sizes))
    assert 0.8 < total < 1.15  # the points from U+D800 on hold the rest; a shared slot adds its count to both


def test_saved_and_loaded_it_scores_the_same(model, tmp_path):
    model.save(tmp_path / "model.npy")
    texts = [sentences(7, 30), "abc", "", "字" * 5000]
    assert np.array_equal(Model.load(tmp_path / "model.npy").bits_per_byte(texts), model.bits_per_byte(texts))
    assert model.bits_per_byte([""])[0] == 0
    assert model.bits_per_byte([]).shape == (0,)


def test_a_long_text_is_scored_on_windows_from_its_beginning_to_its_end(model):
    good = sentences(3, 200)
    assert len(good) > quality.WINDOWS * quality.WINDOW
    broken_end = good[: -quality.WINDOW] + good[-quality.WINDOW :].encode().decode("gbk", "replace")
    whole, spoiled = model.bits_per_byte([good, broken_end])
    assert spoiled > whole + 0.5


def test_texts_in_a_batch_do_not_touch(model):
    texts = [sentences(seed, 5) for seed in range(20)]
    assert np.array_equal(model.bits_per_byte(texts), [model.bits_per_byte([text])[0] for text in texts])


@pytest.mark.parametrize("left", [0, 60, 100_000])
def test_a_file_that_a_power_cut_left_is_not_whole(model, tmp_path, left):
    path = tmp_path / "quality.npy"
    assert not Model.is_whole(path)
    model.save(path)
    assert Model.is_whole(path)
    path.write_bytes(path.read_bytes()[:left])
    assert not Model.is_whole(path)
    path.write_bytes(b"\x00" * 500)
    assert not Model.is_whole(path)
