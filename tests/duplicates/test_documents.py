"""Of documents with the same letters the best stays; texts without n-grams are compared with nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.alike_texts import plain, shelf_of

from woodblock.duplicates.documents import exact_copies, ranking
from woodblock.duplicates.shelf import NONE


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, float("nan")]), st.integers(0, 3)), max_size=20))
def test_the_best_comes_first_and_no_quality_last(documents):
    qualities, lengths = (np.array([pair[i] for pair in documents], dtype=float) for i in (0, 1))
    ranks = ranking(qualities, lengths.astype(np.uint32))
    keys = [(np.isnan(q), -np.nan_to_num(q), -length, n) for n, (q, length) in enumerate(documents)]
    assert np.argsort(ranks).tolist() == sorted(range(len(keys)), key=keys.__getitem__)


def test_texts_without_ngrams_are_compared_with_nothing(tmp_path):
    shelf = shelf_of(tmp_path / "read", ["。", "甲", "乙", "甲乙丙丁", "甲乙丙丁！"], 2, 4, 2)
    lengths = shelf.column("lengths", np.uint32)
    assert lengths.tolist() == [0, 1, 1, 4, 4]
    assert (shelf.rows("signatures", np.uint32, 8, np.array([0, 1])) == NONE).all()


@pytest.mark.parametrize("partition", [4_000_000, 7])
def test_of_exact_copies_the_best_stays(tmp_path, monkeypatch, partition):
    monkeypatch.setattr("woodblock.duplicates.shelf.PARTITION", partition)
    chance = random.Random(2)
    bodies = ["".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(9)) for _ in range(8)]
    texts = [chance.choice(bodies) + chance.choice(["", "。", " \n", "！！"]) for _ in range(40)]
    shelf = shelf_of(tmp_path / "read", texts, 9, 2, 2)
    qualities = np.array([chance.choice([0.1, 0.2, 0.3]) for _ in texts])
    original = exact_copies(shelf, ranking(qualities, shelf.column("lengths", np.uint32)))
    for place, text in enumerate(texts):
        same = [n for n, other in enumerate(texts) if plain(other) == plain(text)]
        best = min(same, key=lambda n: (-qualities[n], n))
        assert original[place] == (NONE if place == best else best)
