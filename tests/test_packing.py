"""What is packed comes back, across shards of any size; windows cover the stream once an epoch, from the seed alone."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock import packing
from woodblock.errors import UserError
from woodblock.packing import Packed, Windows

DOCUMENTS = st.lists(st.lists(st.integers(0, 99), min_size=2, max_size=30), min_size=1, max_size=12)


def write(folder: Path, documents: list[list[int]], *, vocab_size: int = 100, shard_tokens: int = 10**6) -> Packed:
    entry = packing.write(
        folder,
        "train",
        ((ids, 3 * len(ids)) for ids in documents),
        vocab_size=vocab_size,
        shard_tokens=shard_tokens,
    )
    packing.write_index(folder, vocab_size=vocab_size, tokenizer_sha256="0" * 64, splits={"train": entry})
    return Packed(folder, "train")


@given(documents=DOCUMENTS, shard_tokens=st.integers(1, 40), vocab_size=st.sampled_from([100, 2**16, 2**16 + 1]))
@settings(max_examples=60)
def test_every_document_comes_back(documents, shard_tokens, vocab_size):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = write(folder, documents, vocab_size=vocab_size, shard_tokens=shard_tokens)
        stream = [token for ids in documents for token in ids]
        assert len(packed) == len(stream)
        assert [packed.document(i).tolist() for i in range(len(documents))] == documents
        assert packed.bytes.tolist() == [3 * len(ids) for ids in documents]
        for start in range(0, len(stream), 7):
            for stop in (start, start + 1, min(len(stream), start + 2 * shard_tokens + 1), len(stream)):
                found = packed.tokens(start, stop)
                assert found.dtype == np.int64 and found.tolist() == stream[start:stop]
        size = 2 if vocab_size <= 2**16 else 4
        files = sorted(folder.glob("train-*.bin"))
        assert [f.stat().st_size for f in files[:-1]] == [size * shard_tokens] * (len(files) - 1)
        assert sum(f.stat().st_size for f in files) == size * len(stream)  # no padding, no header


def test_ids_above_two_bytes_are_kept(tmp_path):
    packed = write(tmp_path, [[1, 70_000, 2]], vocab_size=70_001)
    assert packed.document(0).tolist() == [1, 70_000, 2]
    assert packing.token_type(65_536) == np.dtype("<u2") and packing.token_type(65_537) == np.dtype("<u4")


def test_the_largest_id_of_two_bytes_fits(tmp_path):
    assert write(tmp_path, [[1, 65_535, 2]], vocab_size=65_536).document(0).tolist() == [1, 65_535, 2]


def test_two_writings_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, [[1, 7, 2], [1, 8, 9, 2]], shard_tokens=4)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert "train-00001.bin" in files and "index.json" in files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@given(
    size=st.integers(40, 400),
    context=st.integers(8, 19),
    seed=st.integers(0, 5),
    shard_tokens=st.integers(3, 500),
)
@settings(max_examples=40)
def test_an_epoch_takes_every_window_once(size, context, seed, shard_tokens):
    with tempfile.TemporaryDirectory() as name:
        packed = write(Path(name), [list(range(size))], vocab_size=size, shard_tokens=shard_tokens)
        windows = Windows(packed, context, seed)
        for epoch in range(3):
            numbers = range(epoch * windows.per_epoch, (epoch + 1) * windows.per_epoch)
            drawn = [windows[number] for number in numbers]
            firsts = sorted(int(window[0]) for window in drawn)
            assert all(window.tolist() == list(range(window[0], window[0] + context + 1)) for window in drawn)
            # One cut through the stream: each target is a target once, and fewer than two contexts are left out.
            assert {later - earlier for earlier, later in pairwise(firsts)} <= {context}
            assert size - 1 - windows.per_epoch * context < 2 * context


def test_windows_are_a_function_of_seed_and_number_alone(tmp_path):
    packed = write(tmp_path, [list(range(500))], vocab_size=500, shard_tokens=64)
    straight = Windows(packed, 16, 3)
    in_order = [straight[number].tolist() for number in range(4 * straight.per_epoch)]
    jumping = Windows(packed, 16, 3)
    for number in np.random.default_rng(0).permutation(len(in_order)):
        assert jumping[int(number)].tolist() == in_order[number]
    assert straight.batch(5, 4).tolist() == in_order[5:9]
    last = straight.per_epoch - 2  # a batch may reach into the next epoch
    assert straight.batch(last, 4).tolist() == in_order[last : last + 4]


def test_epochs_and_seeds_differ_in_order_and_cut(tmp_path):
    packed = write(tmp_path, [list(range(2000))], vocab_size=2000)
    windows = Windows(packed, 16, 1)
    epochs = [[int(windows[e * windows.per_epoch + i][0]) for i in range(windows.per_epoch)] for e in range(4)]
    assert len({min(epoch) for epoch in epochs}) > 1  # offsets
    assert all(epoch != sorted(epoch) for epoch in epochs)
    assert epochs[0] != [int(Windows(packed, 16, 2)[i][0]) for i in range(windows.per_epoch)]


def test_too_few_tokens_are_one_line_with_a_context_that_would_do(tmp_path):
    packed = write(tmp_path, [[1] * 40], shard_tokens=7)
    with pytest.raises(UserError, match=r"40 tokens, too few for windows of model.context: 20; .*at most 19$") as error:
        Windows(packed, 20, 0)
    assert "\n" not in str(error.value)
    assert Windows(packed, 19, 0).batch(0, 3).shape == (3, 20)


def test_a_folder_that_is_not_there_and_one_that_lost_tokens_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"index\.json: there is no such file; run the pack stage"):
        Packed(tmp_path, "train")
    write(tmp_path, [[1, 7, 8, 2]])
    (tmp_path / "train-00000.bin").write_bytes(b"\x01\x00\x07\x00")
    with pytest.raises(UserError, match=r"train has 2 tokens, its index says 4; run pack again"):
        Packed(tmp_path, "train")


def test_the_index_says_what_reading_needs(tmp_path):
    write(tmp_path, [[1, 7, 2], [1, 2]], shard_tokens=2)
    index = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    shards = ["train-00000.bin", "train-00001.bin", "train-00002.bin"]
    assert index == {
        "dtype": "<u2",
        "vocab_size": 100,
        "tokenizer_sha256": "0" * 64,
        "splits": {"train": {"shards": shards, "tokens": 5, "documents": 2, "bytes": 15}},
    }
