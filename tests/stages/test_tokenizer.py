"""What the tokenizer stage trains on: text drawn evenly over the corpus, and never more than it was asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest

import tokenizer as stage
from woodblock.tables import parquet

TEXT = parquet.schema(text="string")


def drawn(folder, texts, max_chars):
    parquet.write(folder / "train", [{"text": text} for text in texts], TEXT)
    return list(stage.sample(folder / "train", max_chars))


@pytest.mark.parametrize("place", [0, 1, 50, 100])
def test_a_long_document_wherever_it_stands_is_not_read_whole(tmp_path, place):
    texts = [f"{n:03}" * 100 for n in range(100)]  # 30,000 characters
    texts.insert(place, "长" * 970_000)
    found = drawn(tmp_path, texts, 100_000)
    assert 90_000 <= sum(map(len, found)) <= 100_000
    long = sum(text.count("长") for text in found)
    assert 0.8 < long / 97_000 < 1.1  # its share of the corpus


def test_whole_documents_of_usual_length_are_taken_evenly(tmp_path):
    texts = [f"{n:03}" * 100 for n in range(100)]
    found = drawn(tmp_path, texts, 10_000)
    assert sum(map(len, found)) <= 10_000
    numbers = [texts.index(text) for text in found[:-1]]  # the last one may be cut
    assert all(after - before == 3 for before, after in pairwise(numbers))


@pytest.mark.parametrize("max_chars", [1, 299, 300, 301])
def test_even_a_small_limit_is_kept(tmp_path, max_chars):
    assert sum(map(len, drawn(tmp_path, ["国" * 300, "家" * 300], max_chars))) <= max_chars


def test_all_is_read_as_it_is_where_there_is_room(tmp_path):
    texts = ["国家" * 20_000, "", "法律"]
    for max_chars in (40_002, 10**9):
        assert drawn(tmp_path / str(max_chars), texts, max_chars) == [texts[0], texts[2]]  # not cut into pieces
