"""A paragraph that many documents hold stays in the best of them alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alike_texts import plain, shelf_of

from woodblock.duplicates import paragraphs
from woodblock.duplicates.shelf import NONE, Shelf

LINES = st.lists(
    st.sampled_from(
        ["甲乙丙丁戊己庚辛", "子丑寅卯，辰巳午未。", "短", "", "一二三四五六七八九", " 一二三四五六七八九"]
    ),
    max_size=5,
)


@settings(max_examples=40)
@given(st.lists(LINES, min_size=1, max_size=8), st.integers(2, 4), st.data())
def test_paragraphs_stay_in_the_best_document_alone(tmp_path_factory, documents, fewest, data):
    texts = ["\n".join(lines) for lines in documents]
    folder = tmp_path_factory.mktemp("paragraphs")
    shelf = shelf_of(folder / "read", texts, 3, 2, 2)
    ranks = np.array(data.draw(st.permutations(range(len(texts)))), np.uint32)
    apart = data.draw(st.sets(st.integers(0, len(texts) - 1)))  # held out, or gone as a whole
    ranks[list(apart)] = NONE
    paragraphs.find_repeated(shelf, ranks, fewest, folder / "gone")
    found = []
    for shard in range(len(shelf.shards)):
        for place, gone in paragraphs.that_go(folder / "gone", shelf, shard).items():
            document = texts[3 * shard + place].encode()
            found += [(3 * shard + place, document[start:end].decode(), keeper) for start, end, keeper in gone]
    holders: dict[str, list[int]] = {}
    for place, lines in enumerate(documents):
        for line in lines:
            if len(plain(line)) >= 8 and not line.startswith(" ") and ranks[place] != NONE:
                holders.setdefault(plain(line), []).append(place)
    expected = []
    for place, lines in enumerate(documents):
        for line in lines:
            held = holders.get(plain(line), []) if not line.startswith(" ") and place not in apart else []
            if len(set(held)) >= fewest and place != (best := min(held, key=lambda n: ranks[n])):
                expected.append((place, line, best))
    assert sorted(found) == sorted(expected)


def test_each_file_is_read_once_however_many_partitions_there_are(tmp_path, monkeypatch):
    """The time grows with the paragraphs: no shard is read again for each partition, and no partition for each shard."""
    texts = [f"{chr(0x4E00 + n)}乙丙丁戊己庚辛\n子丑寅卯辰巳午未" for n in range(60)]
    ranks = np.arange(60, dtype=np.uint32)
    read = []
    shard = Shelf.shard
    monkeypatch.setattr(Shelf, "shard", lambda self, name, *rest: (read.append(name), shard(self, name, *rest))[1])
    gone = []
    for name, size in {"one": 10_000, "many": 7}.items():
        monkeypatch.setattr("woodblock.duplicates.shelf.PARTITION", size)
        shelf = shelf_of(tmp_path / name / "read", texts, 3, 2, 2)
        read.clear()
        paragraphs.find_repeated(shelf, ranks, 3, tmp_path / name / "gone")
        assert len(shelf.shards) == 20 and sorted(read) == ["owners"] * 20 + ["paragraphs"] * 20
        gone.append([paragraphs.that_go(tmp_path / name / "gone", shelf, n) for n in range(20)])
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["gone", "read"]
    assert gone[0] == gone[1] and sum(map(len, gone[0])) == 59
