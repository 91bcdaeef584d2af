"""A paragraph that many documents hold stays in the best of them alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alike_texts import plain, shelf_of

from woodblock.duplicates import paragraphs
from woodblock.duplicates.shelf import NONE

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
