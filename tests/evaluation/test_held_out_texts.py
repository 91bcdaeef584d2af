"""The sample of the validation split is even, capped, and the same in any order."""

from __future__ import annotations

import random

import pytest

from woodblock.evaluation.held_out_texts import Sample

ROWS = [{"id": f"d{n}", "group": f"g{n % 7}", "text": "字" * (1 + n % 50)} for n in range(400)]


def drawn(rows, characters):
    sample = Sample(characters)
    assert list(sample.of(rows)) == rows
    return sample


@pytest.mark.parametrize("characters", [1, 100, 2000, 10**9])
def test_it_is_capped_and_does_not_hang_on_the_order(characters):
    sample = drawn(ROWS, characters)
    texts = sample.texts
    assert sample.documents == 400 and sample.groups == {f"g{n}" for n in range(7)}
    assert sum(len(row["text"]) for row in texts) <= characters or len(texts) == 1
    assert [row["id"] for row in texts] == [row["id"] for row in ROWS if row in texts]
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert {row["id"] for row in drawn(shuffled, characters).texts} == {row["id"] for row in texts}
    assert len(texts) == (400 if characters == 10**9 else 1 if characters == 1 else len(texts))


def test_an_empty_split_is_an_empty_sample():
    sample = drawn([], 100)
    assert (sample.texts, sample.documents, sample.groups) == ([], 0, set())
