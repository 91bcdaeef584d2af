"""The stage pack: each document as often as its weight says, in whole passes."""

from __future__ import annotations

from collections import Counter

import pytest

import pack
from woodblock import tables


def written(folder, weights: list[float]):
    row = {"group": "甲", "source": "试", "title": "", "quality": -1.0}
    rows = [{"id": f"试-{n}", **row, "weight": w, "text": f"文本{n}。"} for n, w in enumerate(weights)]
    tables.write(folder / "train", rows, tables.CLEANED)
    return folder / "train"


def test_weights_of_one_leave_the_text_as_it_is(tmp_path):
    table = written(tmp_path, [1.0] * 5)
    assert list(pack.weighted(table)) == list(pack.once(table)) == [f"文本{n}。" for n in range(5)]


def test_whole_weights_repeat_and_repeats_follow_in_passes(tmp_path):
    assert list(pack.weighted(written(tmp_path, [2.0, 1.0, 3.0]))) == [
        *("文本0。", "文本1。", "文本2。"),
        *("文本0。", "文本2。"),
        "文本2。",
    ]


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.5, 2.75])
def test_a_broken_weight_is_a_share_of_the_documents_that_their_names_decide(tmp_path, weight):
    table = written(tmp_path, [weight] * 2000)
    texts = list(pack.weighted(table))
    assert texts == list(pack.weighted(table))
    assert len(texts) / 2000 == pytest.approx(weight, abs=0.05)
    assert set(Counter(texts).values()) <= {int(weight), int(weight) + 1}


def test_held_out_text_is_read_once_whatever_its_weight(tmp_path):
    assert len(list(pack.once(written(tmp_path, [3.0, 0.1])))) == 2
