"""A paragraph that many documents hold stays in the best of them alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alike_texts import plain, shelf_of

from woodblock.duplicates import paragraphs
from woodblock.duplicates.shelf import NONE, Shelf
from woodblock.structure import blocks
from woodblock.tables.funnel import Funnel

LINES = st.lists(
    st.sampled_from(
        [
            "甲乙丙丁戊己庚辛",
            "子丑寅卯，辰巳午未。",
            "短",
            "",
            "一二三四五六七八九",
            " 一二三四五六七八九",
            "```",
            "- 甲乙丙丁戊己庚辛",
        ]
    ),
    max_size=5,
)


def paragraphs_of(lines: list[str]) -> list[str]:
    data = "\n".join(lines).encode()
    return [data[start:end].decode() for start, end in blocks.paragraphs(np.frombuffer(data, np.uint8))]


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
        for line in paragraphs_of(lines):
            if len(plain(line)) >= 8 and ranks[place] != NONE:
                holders.setdefault(plain(line), []).append(place)
    expected = []
    for place, lines in enumerate(documents):
        for line in paragraphs_of(lines):
            held = holders.get(plain(line), []) if place not in apart else []
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


CODE = "```py\nprint('子丑寅卯辰巳午未')\n\n\nprint('申酉戌亥天地玄黄')\n```"
TABLE = "| 甲 | 乙 |\n|----|----|\n| 子丑寅卯辰巳午未 | 一 |\n| 申酉戌亥天地玄黄 | 二 |"
ITEMS = "- 子丑寅卯辰巳午未\n\n  申酉戌亥天地玄黄\n- 宇宙洪荒日月盈昃"
NUMBERED = "（一）子丑寅卯辰巳午未；\n（二）申酉戌亥天地玄黄；\n（三）宇宙洪荒日月盈昃。"


IN_LIST = "- 一\n\n  " + CODE.replace("\n", "\n  ")


@pytest.mark.parametrize("block", [CODE, f"~~~~\n{CODE}\n~~~~", TABLE, ITEMS, NUMBERED, IN_LIST])
@pytest.mark.parametrize("common", ["a line", "the block"])
def test_code_tables_and_lists_stay_or_go_as_a_whole(tmp_path, block, common):
    """Three documents have the same long line in a block, or the same block."""
    texts = []
    for number in range(4):
        changed = block if common == "the block" else block.replace("子", "金木水火"[number])
        texts.append(f"文{number}字。\n\n{changed}\n\n尾{number}。")
    shelf = shelf_of(tmp_path / "read", texts, 2, 2, 2)
    paragraphs.find_repeated(shelf, np.arange(4, dtype=np.uint32), 3, tmp_path / "gone")
    funnel, left = Funnel(), list(texts)
    for shard in range(2):
        for place, gone in paragraphs.that_go(tmp_path / "gone", shelf, shard).items():
            record = {"id": "", "source": "", "text": texts[2 * shard + place]}
            left[2 * shard + place] = paragraphs.without(record, gone, funnel)
    assert left[0] == texts[0]
    if common == "a line":
        assert left == texts
    else:
        assert left[1:] == [f"文{number}字。\n\n尾{number}。" for number in (1, 2, 3)]


def test_empty_lines_in_code_stay_when_a_paragraph_goes():
    code = "```\n\n\n甲  \n\n\n\n    乙\n\n```"
    text = f"子丑寅卯辰巳午未\n\n{code}\n\n\n\n尾"
    gone = [paragraphs.Gone(0, len("子丑寅卯辰巳午未".encode()), 1)]
    left = paragraphs.without({"id": "", "source": "", "text": text}, gone, Funnel())
    assert left == f"{code}\n\n尾"
