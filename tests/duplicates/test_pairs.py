"""Near-duplicates are what brute force finds, whatever the sizes of partitions; and nobody goes for one who went."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.alike_texts import brute_force, family, shelf_of

from woodblock.duplicates.documents import ranking
from woodblock.duplicates.pairs import (
    Nearness,
    bucket_pairs,
    compare,
    comparisons,
    drop_worse,
    meet,
    meetings,
    near_pairs,
)
from woodblock.duplicates.shelf import NONE, Shelf


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 5), st.randoms(use_true_random=False))
def test_pairs_of_a_bucket_are_each_with_its_best(hashes, best, chance):
    ranks = list(range(len(hashes)))
    chance.shuffle(ranks)
    found = bucket_pairs(np.array(hashes, np.uint64), np.array(ranks, np.uint32), best)
    expected = set()
    for value in set(hashes):
        members = sorted(rank for rank, own in zip(ranks, hashes, strict=True) if own == value)
        expected |= {(rank, other) for n, rank in enumerate(members) for other in members[: min(n, best)]}
    pairs = [(int(pair) >> 32, int(pair) & 0xFFFFFFFF) for pair in found]
    assert len(pairs) == len(set(pairs)) and set(pairs) == expected


@given(st.sets(st.tuples(st.integers(0, 15), st.integers(0, 15)).filter(lambda pair: pair[0] > pair[1])))
@example({(1, 0), (2, 1)})  # a chain: 1 goes for 0, so that 2 stays
def test_a_document_goes_for_a_better_one_that_stays_and_for_no_other(pairs):
    ordered = sorted(pairs)
    original, similar = np.full(16, NONE, np.uint32), np.zeros(16, np.float32)
    values = np.array([worse / 100 + better for worse, better in ordered], np.float32)
    for part in (slice(None, len(ordered) // 2), slice(len(ordered) // 2, None)):  # as it comes: in several files
        keys = np.array([worse << 32 | better for worse, better in ordered[part]], np.uint64)
        drop_worse(keys, values[part], original, similar)
    stays = {rank for rank in range(16) if original[rank] == NONE}
    assert not [pair for pair in pairs if set(pair) <= stays]
    for rank in set(range(16)) - stays:
        better = int(original[rank])
        assert better in stays and (rank, better) in pairs
        assert better == min(other for worse, other in pairs if worse == rank and other in stays)
        assert similar[rank] == values[ordered.index((rank, better))]


def near_of(shelf: Shelf, work: Path, bands: int, rows: int, threshold: float) -> dict[tuple[int, int], float]:
    """All near pairs of a shelf, by the tasks in their order, as places (worse, better) with their Jaccard index."""
    ranks = ranking(np.zeros(len(shelf)), shelf.column("lengths", np.uint32))
    order = np.argsort(ranks).astype(np.uint32)
    work.mkdir()
    ranks.tofile(work / "ranks.bin")
    order.tofile(work / "order.bin")
    places = []
    for name, task in meetings(shelf, work / "ranks.bin", bands).items():
        (work / name).mkdir()
        meet(task, work / name)
        places += [(work / name, band) for band in task.bands]
    found, last = {}, -1
    nearness = Nearness(ngram=3, threshold=threshold, edited=threshold, copied=1.0)
    for name, task in comparisons(shelf, work / "order.bin", places, bands * rows, nearness).items():
        (work / name).mkdir()
        compare(task, work / name)
        for pair, value in zip(*near_pairs(work / name), strict=True):
            assert int(pair) > last  # also from one task to the next: that is what drop_worse asks for
            last = int(pair)
            found[int(order[last >> 32]), int(order[last & 0xFFFFFFFF])] = float(value)
    return found


def test_the_pairs_are_those_of_brute_force(tmp_path):
    texts = family(250, 11)
    shelf = shelf_of(tmp_path / "read", texts, 60, 60, 2)  # so many bands of two rows miss nothing at .5
    found = near_of(shelf, tmp_path / "work", 60, 2, 0.5)
    expected = {pair: brute_force(texts[pair[0]], texts[pair[1]]) for pair in combinations(range(len(texts)), 2)}
    expected = {frozenset(pair): value for pair, value in expected.items() if value >= 0.5}
    missed = expected.keys() - {frozenset(pair) for pair in found}
    assert {frozenset(pair): value for pair, value in found.items()} == {
        pair: pytest.approx(value, abs=1e-6) for pair, value in expected.items() if pair not in missed
    }
    # Missed are those alone that both ways of sparing work may miss: signatures 3 standard errors too low, full buckets.
    assert len(expected) > 100 and len(missed) <= len(expected) // 50


def test_sizes_of_shards_partitions_and_chunks_change_nothing(tmp_path, monkeypatch):
    texts = family(150, 12)
    whole = near_of(shelf_of(tmp_path / "a", texts, 1000, 20, 3), tmp_path / "whole", 20, 3, 0.5)
    monkeypatch.setattr("woodblock.duplicates.shelf.PARTITION", 40)
    for name, value in {"RANGE": 4, "RANGE_PAIRS": 25, "CHUNK_PAIRS": 7, "CHUNK_BYTES": 900}.items():
        monkeypatch.setattr(f"woodblock.duplicates.pairs.{name}", value)
    split = near_of(shelf_of(tmp_path / "b", texts, 17, 20, 3), tmp_path / "split", 20, 3, 0.5)
    assert whole == split and len(whole) > 50
    assert len(list((tmp_path / "split").glob("ranks-*"))) > 5 < len(list((tmp_path / "split").glob("bands-*")))
