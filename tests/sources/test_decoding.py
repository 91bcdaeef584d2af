"""Decoding: every text format is read in every encoding, and a broken byte costs one record."""

from __future__ import annotations

import io
import json

import pytest
from support.packed_files import packed, put, read

from woodblock.base.errors import UserError
from woodblock.sources import decoding
from woodblock.sources.inspection import Tally

ENCODINGS = ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-be", "utf-32"]
TEXTS = ["第一篇，讲的是天下大势。", "第二篇，分久必合，合久必分。"]


def laid_out(name: str) -> str:
    records = [{"text": text} for text in TEXTS]
    return {
        "a.jsonl": "\n".join(json.dumps(record, ensure_ascii=False) for record in records),
        "a.json": json.dumps(records, ensure_ascii=False, indent=1),
        "a.csv": "text\r\n" + "\r\n".join(TEXTS),
        "a.txt": "\n".join(TEXTS),
        "a.html": f"<html><body><p>{'</p><p>'.join(TEXTS)}</p></body></html>",
    }[name]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt", "a.html"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packing", ["", ".gz"])
def test_every_format_is_read_in_every_encoding(tmp_path, name, encoding, packing):
    mark = (
        "\ufeff" if encoding == "utf-16-be" and name.endswith("txt") else ""
    )  # without a mark a Latin character tells
    content = (mark + laid_out(name)).encode(encoding)
    rows = read(put(tmp_path, name + packing, packed(packing or "x", {"": content})))
    assert all(text in "".join(row["text"] for row in rows) for text in TEXTS)
    assert len(rows) == (1 if name in ("a.txt", "a.html") else 2)


def test_chinese_that_comes_late_decides_the_encoding(tmp_path):
    lines = [json.dumps({"text": "ascii " * 200})] * 1500 + [json.dumps({"text": TEXTS[0]}, ensure_ascii=False)]
    rows = read(put(tmp_path, "a.jsonl", "\n".join(lines).encode("gbk")))
    assert len(rows) == 1501 and rows[-1]["text"] == TEXTS[0]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-16"])
def test_a_stream_comes_out_the_same_however_it_is_cut(encoding):
    text = "a" * 5000 + "中文，" * 3000
    for size in (7, 1000, 100_000):
        stream, found = decoding.as_utf8(io.BytesIO(text.encode(encoding))), b""
        while block := stream.read(size):
            found += block
        assert found.decode() == text


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_broken_byte_costs_its_line_and_no_other(tmp_path, encoding):
    lines = [json.dumps({"text": f"{number}{TEXTS[0]}"}, ensure_ascii=False).encode(encoding) for number in range(50)]
    for place in (0, 49):
        broken = [*lines]
        broken[place] = b'{"text": "\xff' + lines[place][10:]
        fetched = put(tmp_path, "a.jsonl", b"\n".join(broken))
        with pytest.raises(UserError, match=f"line {place + 1}: not (UTF-8|GB18030) .*bad_records"):
            read(fetched)
        tally = Tally()
        rows = read(fetched, tally=tally, bad_records=0.03)
        assert len(rows) == 49 and all(TEXTS[0] in row["text"] for row in rows) and tally.bad == 1


def test_a_page_may_name_its_encoding(tmp_path):
    page = '<html><head><meta charset="big5"><title>標題</title></head><body>繁體中文的網頁</body></html>'
    (row,) = read(put(tmp_path, "a.html", page.encode("big5")))
    assert row["title"] == "標題" and "繁體中文的網頁" in row["text"]
