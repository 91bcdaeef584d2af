"""What is packed comes back, across shards of any size; windows read every stream by its weight, from the seed alone."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from woodblock.base.errors import UserError
from woodblock.tokens import packing
from woodblock.tokens.packing import Document, Packed, Windows, permuted

DOCUMENTS = st.lists(st.lists(st.integers(0, 99), min_size=2, max_size=30), min_size=1, max_size=12)
# Sources: each so many documents of so many tokens, and a weight.
SOURCES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 60), st.floats(0.05, 4) | st.sampled_from([0.5, 1.0, 2.0, 3.0])),
    min_size=1,
    max_size=5,
)


def write(folder: Path, documents: list, *, vocab_size: int = 100, shard_tokens: int = 10**6) -> Packed:
    found = [d if isinstance(d, Document) else Document(d, 3 * len(d)) for d in documents]
    entry = packing.write(folder, "train", found, vocab_size=vocab_size, shard_tokens=shard_tokens)
    packing.write_index(folder, vocab_size=vocab_size, tokenizer_sha256="0" * 64, splits={"train": entry})
    return Packed(folder, "train")


def numbered(sources: list[tuple[int, int, float]]) -> list[Document]:
    """Documents whose tokens are 0, 1, 2, … through all of them, so that a token says where it stands in the split."""
    made, token = [], 0
    for number, (count, length, weight) in enumerate(sources):
        for _ in range(count):
            made.append(Document(list(range(token, token + length)), 3 * length, f"源{number}", weight))
            token += length
    return made


def windows_of(folder: Path, documents: list[Document], context: int, seed: int, shard_tokens: int = 10**6) -> Windows:
    return Windows(write(folder, documents, vocab_size=100_000, shard_tokens=shard_tokens), context, seed)


def of_pass(windows: Windows, number: int) -> np.ndarray:
    return windows.batch(number * windows.per_pass, windows.per_pass)


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


def test_streams_longer_than_the_buffer_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "BUFFERED_TOKENS", 10)
    documents = numbered([(3, 7, 1.0), (5, 13, 2.0), (1, 40, 1.0)])
    mixed = [documents[i] for i in (8, 3, 0, 4, 1, 5, 2, 6, 7)]
    packed = write(tmp_path, mixed, vocab_size=1000, shard_tokens=11)
    order = sorted(mixed, key=lambda d: ("源2", "源1", "源0").index(d.source))  # streams in order of appearance
    assert [packed.document(i).tolist() for i in range(9)] == [d.ids for d in order]


@given(sources=SOURCES, seed=st.integers(0, 9))
def test_sources_of_documents_are_known(sources, seed):
    documents = [numbered(sources)[i] for i in np.random.default_rng(seed).permutation(sum(s[0] for s in sources))]
    with tempfile.TemporaryDirectory() as name:
        packed = write(Path(name), documents, vocab_size=100_000, shard_tokens=17)
        assert packed.sources == sorted({d.source for d in documents})
        found = Counter((packed.sources[packed.source[i]], *packed.document(i)) for i in range(len(documents)))
        assert found == Counter((d.source, *d.ids) for d in documents)
        for source in packed.sources:
            own = [d for d in documents if d.source == source]
            counted = packed.index["splits"]["train"]["sources"][source]
            assert counted["documents"] == len(own) == (packed.source == packed.sources.index(source)).sum()
            assert counted["tokens"] == sum(len(d.ids) for d in own)
            assert counted["bytes"] == sum(d.bytes for d in own)
            weighted = sum(len(d.ids) * d.weight for d in own)
            assert counted["pass_tokens"] == max(1, round(weighted))


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
    assert "train-000-00001.bin" in files and "index.json" in files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@given(size=st.integers(1, 3000), seed=st.integers(0, 2**32))
@example(size=1, seed=0)
@example(size=2, seed=0)
def test_a_permutation_takes_every_place_once(size, seed):
    keys = np.random.default_rng(seed).integers(0, 2**64, packing.ROUNDS, dtype=np.uint64)
    found = permuted(np.arange(size), size, keys)
    assert found.dtype == np.int64 and sorted(found) == list(range(size))
    some = np.arange(size)[:: max(1, size // 7)]
    assert permuted(some, size, keys).tolist() == found[some].tolist()


def test_a_permutation_of_billions_needs_no_list():
    size, keys = 10**15 + 7, np.arange(1, packing.ROUNDS + 1, dtype=np.uint64)
    found = permuted(np.arange(10**4), size, keys)
    assert len(set(found.tolist())) == 10**4 and found.min() >= 0 and found.max() < size
    assert abs(found.mean() / size - 0.5) < 0.02  # 7 standard errors


@pytest.mark.parametrize("size", [5, 64])
def test_permutations_are_as_even_as_drawn_ones(size):
    """Chi-square of where a place goes, and of what follows what, over many keys, beside the degrees of freedom."""
    draw, trials = np.random.default_rng(0), 100 * size
    keys = draw.integers(0, 2**64, (trials, packing.ROUNDS), dtype=np.uint64)
    found = np.stack([permuted(np.array([0, 1]), size, key) for key in keys])
    goes, steps = np.bincount(found[:, 0], minlength=size), np.bincount((found[:, 1] - found[:, 0]) % size)[1:]
    for counts in (goes, steps):
        expected, free = trials / len(counts), len(counts) - 1
        assert ((counts - expected) ** 2).sum() / expected < free + 5 * np.sqrt(2 * free)


@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6),
    context=st.integers(8, 19),
    seed=st.integers(0, 5),
    shard_tokens=st.integers(3, 500),
)
@settings(max_examples=60)
def test_with_one_weight_every_token_but_the_tail_is_a_target_once_a_pass(lengths, context, seed, shard_tokens):
    documents = numbered([(1, length, 1.0) for length in [*lengths, 20]])
    size = sum(len(d.ids) for d in documents)
    with tempfile.TemporaryDirectory() as name:
        windows = windows_of(Path(name), documents, context, seed, shard_tokens)
        assert windows.tail == size % context and windows.per_pass == size // context
        for number in range(3):
            drawn = of_pass(windows, number)
            assert drawn.shape == (size // context, context + 1) and drawn.dtype == np.int64
            # The split from its first token to its last, then from its first again: no padding, nothing between.
            assert ((drawn[:, 1:] - drawn[:, :-1]) % size == 1).all()
            targets = Counter(drawn[:, 1:].ravel().tolist())
            assert set(targets.values()) == {1} and size - len(targets) == windows.tail < context


@given(sources=SOURCES, context=st.integers(8, 19), seed=st.integers(0, 5), shard_tokens=st.integers(3, 500))
@settings(max_examples=60)
def test_sources_are_read_as_often_as_their_weights_say(sources, context, seed, shard_tokens):
    sources = [*sources, (1, 30, 1.0)]
    with tempfile.TemporaryDirectory() as name:
        windows = windows_of(Path(name), numbered(sources), context, seed, shard_tokens)
        passes = 4
        targets = np.zeros(sum(count * length for count, length, _ in sources), dtype=int)
        for number in range(passes):
            drawn = of_pass(windows, number)[:, 1:]
            first = 0
            for (count, length, weight), exact in zip(sources, windows.taken.tolist(), strict=True):
                own = ((drawn >= first) & (drawn < first + count * length)).sum()
                assert exact == max(1, round(count * length * weight))
                assert exact - windows.tail <= own <= exact
                first += count * length
            np.add.at(targets, drawn.ravel(), 1)
        # And evenly within a source: each token as often as any other, but for the one round under way and the tails.
        first = 0
        for (count, length, _), exact in zip(sources, windows.taken.tolist(), strict=True):
            own = targets[first : first + count * length]
            assert own.max() <= -(-passes * exact // len(own))
            in_tails = passes * -(-windows.tail // len(own))  # if each tail takes the same token, as often as it can
            assert own.min() >= passes * exact // len(own) - in_tails
            assert passes * exact - own.sum() <= passes * windows.tail
            first += count * length


@given(sources=SOURCES, context=st.integers(8, 19), seed=st.integers(0, 5))
@settings(max_examples=40)
def test_windows_of_one_document_are_counted_by_source(sources, context, seed):
    sources = [*((count, length + 20, weight) for count, length, weight in sources), (1, 30, 1.0)]
    documents = numbered(sources)
    owner = np.repeat(np.arange(len(documents)), [len(d.ids) for d in documents])
    with tempfile.TemporaryDirectory() as name:
        windows = windows_of(Path(name), documents, context, seed, 64)
        expected = {f"源{n}": [0, 0] for n in range(len(sources))}
        for window in of_pass(windows, 0):
            unbroken = (np.diff(window) == 1).all() and owner[window[0]] == owner[window[-1]]
            expected[documents[owner[window[0]]].source][0] += int(unbroken)
            expected[documents[owner[window[0]]].source][1] += 1
        found = packing.of_one_document(windows)
        assert {source: list(counts) for source, counts in found.items()} == expected


def test_of_a_source_read_by_half_each_pass_reads_the_other_half(tmp_path):
    windows = windows_of(tmp_path, numbered([(1, 400, 0.5), (1, 200, 1.0)]), 8, 3)
    seen = [set(of_pass(windows, number)[:, 1:].ravel().tolist()) & set(range(400)) for number in range(3)]
    assert seen[0] == set(range(200)) and seen[1] == set(range(200, 400)) and seen[2] == seen[0]


def test_weights_of_single_documents_are_kept_on_average_and_the_sources_exactly(tmp_path):
    weights = np.random.default_rng(0).uniform(0.3, 3, 300)
    documents = [Document([n] * 20, 60, "质", float(w)) for n, w in enumerate(weights)]
    windows = windows_of(tmp_path, documents, 10, 0)
    passes = 20
    times = np.bincount(np.concatenate([of_pass(windows, n)[:, 1:].ravel() for n in range(passes)])) / 20 / passes
    assert times.sum() == pytest.approx(weights.sum(), rel=1e-3)
    assert np.abs(times / weights - 1).max() < 0.09 + 1 / (0.3 * passes)  # the class, and a round under way
    assert len(windows.lengths) <= 8 * np.log2(10) + 2


@given(sources=SOURCES, context=st.integers(8, 19), seed=st.integers(0, 5), number=st.integers(0, 10**12))
def test_windows_are_a_function_of_seed_and_number_alone(sources, context, seed, number):
    with tempfile.TemporaryDirectory() as name:
        documents = numbered([*sources, (1, 30, 1.0)])
        straight = windows_of(Path(name), documents, context, seed, 64)
        count = 2 * straight.per_pass + 3  # a batch may reach into the next passes
        batch = straight.batch(number, count)
        jumping = Windows(straight.packed, context, seed)
        for i in np.random.default_rng(0).permutation(count)[:20]:
            assert jumping[number + int(i)].tolist() == batch[i].tolist()
            runs = [straight.packed.tokens(start, stop) for start, stop in jumping.pieces(number + int(i))]
            assert np.concatenate(runs).tolist() == batch[i].tolist()
        out = np.zeros((count, context + 1), np.int64)
        assert jumping.batch(number, count, out) is out and (out == batch).all()


def test_passes_and_seeds_differ_in_order_and_cut(tmp_path):
    windows = windows_of(tmp_path, numbered([(1, 2000, 1.0)]), 16, 1)
    firsts = [of_pass(windows, number)[:, 0].tolist() for number in range(4)]
    assert len({min(first) for first in firsts}) > 1  # cuts
    assert all(first != sorted(first) for first in firsts)
    assert len({tuple(first) for first in firsts}) == 4
    assert firsts[0] != of_pass(Windows(windows.packed, 16, 2), 0)[:, 0].tolist()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the advice given is seen in Linux's /proc alone")
@pytest.mark.parametrize(("memory", "scattered"), [(10**9, False), (4000, False), (3999, True)])
def test_neighbours_are_not_read_where_the_split_is_larger_than_memory(tmp_path, monkeypatch, memory, scattered):
    monkeypatch.setattr(packing, "memory", lambda: memory)
    windows = windows_of(tmp_path, numbered([(1, 1000, 1.0)]), 16, 1, 300)
    assert len(set(of_pass(windows, 0)[:, 1:].ravel().tolist())) == 62 * 16
    maps = Path("/proc/self/smaps").read_text().splitlines()
    flags = [
        next(f for f in maps[i:] if f.startswith("VmFlags:")) for i, m in enumerate(maps) if f"{tmp_path}/train-" in m
    ]
    assert len(flags) == 4
    assert all((" rr" in line) == scattered for line in flags)


def test_too_few_tokens_are_one_line_with_a_context_that_would_do(tmp_path):
    packed = write(tmp_path, [[1] * 40], shard_tokens=7)
    with pytest.raises(UserError, match=r"40 tokens a pass, too few for .* model.context: 40; .*at most 39$") as error:
        Windows(packed, 40, 0)
    assert "\n" not in str(error.value)
    assert Windows(packed, 39, 0).batch(0, 3).shape == (3, 40)


def test_an_index_that_is_not_there_or_is_none_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"index\.json: there is no such file; run the pack stage"):
        Packed(tmp_path, "train")
    write(tmp_path, [[1, 7, 8, 2]])
    index = tmp_path / "index.json"
    for text in (index.read_text()[:-30], "[]", "{}", '{"dtype": "<u2", "vocab_size": 9, "splits": {"train": {}}}'):
        index.write_text(text)
        with pytest.raises(UserError, match=r"index\.json is not an index of this version .*; run pack again$"):
            Packed(tmp_path, "train")


def changed(folder: Path, **values) -> None:
    """Other values in the index, or in its entry of the split."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for key, value in values.items():
        (index if key in index else index["splits"]["train"])[key] = value
    (folder / "index.json").write_text(json.dumps(index))


def test_files_that_do_not_hold_what_the_index_says_are_one_line(tmp_path):
    def spoil(name, pattern, spoiled):
        folder = tmp_path / name
        write(folder, [[1, 7, 8, 2], [1, 9, 2]], shard_tokens=4)
        spoiled(folder)
        with pytest.raises(UserError, match=pattern) as error:
            Packed(folder, "train")
        assert "\n" not in str(error.value)

    spoil(
        "torn", r"00001\.bin has 5 bytes, .* 3 tokens of 2 bytes; run pack", lambda f: cut(f / "train-000-00001.bin", 5)
    )
    spoil("lost", r"train-000-00000\.bin is not there, ", lambda f: (f / "train-000-00000.bin").unlink())
    spoil("type", r"dtype is <u4, but 100 pieces need <u2", lambda f: changed(f, dtype="<u4"))
    spoil("large", r"train has the id 9, but its tokenizer has only 9 pieces", lambda f: changed(f, vocab_size=9))
    spoil("counts", r"tokens of train differ: files 7, documents 7, index 8", lambda f: changed(f, tokens=8))
    spoil("starts", r"train\.starts\.npy: cannot be read", lambda f: cut(f / "train.starts.npy", 140))
    spoil(
        "sizes",
        r"bytes\.npy has int64 \(3,\), but the index expects 2 of",
        lambda f: np.save(f / "train.bytes.npy", np.arange(3)),
    )
    spoil("source", r"train\.source\.npy: cannot be read", lambda f: (f / "train.source.npy").unlink())


def cut(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


def test_a_split_that_is_not_there_or_empty_is_one_line(tmp_path):
    write(tmp_path / "one", [[1, 2]])
    with pytest.raises(UserError, match=r"there is no split test, only train$"):
        Packed(tmp_path / "one", "test")
    with pytest.raises(UserError, match=r"train has no documents; metrics/dedup\.json says"):
        write(tmp_path / "none", [])


@pytest.mark.parametrize("ids", [[1, 100, 2], [-1, 2]])
def test_ids_that_the_vocabulary_does_not_hold_are_one_line(tmp_path, ids):
    with pytest.raises(
        UserError, match=r"a document of 源 has ids from -?1 to \d+, but the tokenizer has only 100 pieces"
    ):
        write(tmp_path, [Document(ids, 3, "源")])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_that_say_nothing_are_one_line(tmp_path, weight):
    with pytest.raises(UserError, match=r"a document of 源 has weight .*; a weight must be above 0 and finite"):
        write(tmp_path, [Document([1, 2], 3, "源", weight)])


def test_the_index_says_what_reading_needs(tmp_path):
    write(
        tmp_path,
        [Document([1, 7, 2], 9, "甲"), Document([1, 2], 6, "乙", 2.5), Document([1, 2], 6, "甲")],
        shard_tokens=4,
    )
    index = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    first = {"documents": 2, "bytes": 15, "tokens": 5, "pass_tokens": 5}
    second = {"documents": 1, "bytes": 6, "tokens": 2, "pass_tokens": 5}
    shards = [{"file": f"train-000-0000{n}.bin", "tokens": tokens} for n, tokens in enumerate((4, 1))]
    train = {
        **{"documents": 3, "bytes": 21, "tokens": 7, "pass_tokens": 10, "largest_id": 7},
        "sources": {"甲": first, "乙": second},
        "streams": [
            {"source": "甲", **first, "shards": shards},
            {"source": "乙", **second, "shards": [{"file": "train-001-00000.bin", "tokens": 2}]},
        ],
    }
    assert index == {"dtype": "<u2", "vocab_size": 100, "tokenizer_sha256": "0" * 64, "splits": {"train": train}}
