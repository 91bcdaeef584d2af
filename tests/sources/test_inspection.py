"""Inspection: what of a source is not read is counted: bad records, and files of other kinds."""

from __future__ import annotations

import json

import pytest
from support.packed_files import packed, parquet, put, read

from woodblock.base.errors import UserError
from woodblock.sources.inspection import Tally
from woodblock.sources.known_files import Fetched

GOOD = [{"text": f"第{number}篇"} for number in range(100)]


def lines(*bad: bytes) -> bytes:
    good = [json.dumps(record, ensure_ascii=False).encode() for record in GOOD]
    return b"\n".join([*good[:50], *bad, *good[50:]]) + b"\n"


BAD = [
    ("a.jsonl", lines(b'{"text": "cut'), 1),
    ("a.jsonl", lines(b"\xff\xfe"), 1),
    ("a.jsonl", lines(b'{"text": null}', b"[1]", b'{"title": "t"}'), 3),
    (
        "a.json",
        b"[" + b",".join(json.dumps(r).encode() for r in GOOD[:50]) + b',{"text": x},' + json.dumps(GOOD)[1:].encode(),
        1,
    ),
    ("a.csv", b"text,n\n" + b"a,1\n" * 50 + b"a\n" + b"b,2\n" * 50, 1),
    ("a.csv", b"text,n\n" + b"a,1\n" * 50 + b'"never closed,1\n' + b'b,"2"\n' * 50, 1),
    ("a.csv", b"text,n\n" + b"a,1\n" * 50 + b"\xff,1\n" + "中文的一行,2\n".encode() * 50, 1),
]


@pytest.mark.parametrize(("name", "content", "count"), BAD)
def test_bad_records_end_the_source_or_are_counted_and_sampled(tmp_path, name, content, count):
    fetched = put(tmp_path, name, content)
    with pytest.raises(UserError, match=rf"^file://{name}, (line|record) \d+: .*bad_records") as error:
        read(fetched)
    assert "\n" not in str(error.value)
    tally = Tally()
    rows = read(fetched, tally=tally, bad_records=0.05)
    assert len(rows) >= 100 and tally.bad == count == len(tally.bad_samples)
    assert all(set(sample) == {"where", "reason", "beginning"} for sample in tally.bad_samples)
    with pytest.raises(UserError, match=f"{count} of .* records are bad.*bad_records of this source is 0.0001"):
        read(fetched, bad_records=0.0001)


def test_a_damaged_group_of_parquet_rows_is_counted_as_a_whole(tmp_path):
    content = bytearray(parquet([{"text": f"{n}" * 50} for n in range(100)], row_group_size=20, use_dictionary=False))
    place = content.find(b"PAR1", 4) if content.find(b"PAR1", 4) > 0 else len(content)
    content[min(place, len(content)) // 4] ^= 255
    tally = Tally()
    try:
        rows = read(put(tmp_path, "a.parquet", bytes(content)), tally=tally, bad_records=0.5)
    except UserError:
        return  # the damage hit what says where the rows are
    assert len(rows) + tally.bad == 100


def test_a_text_that_is_damaged_among_others_is_one_bad_record(tmp_path):
    members = {f"{n}.txt": f"第{n}篇文章".encode() for n in range(30)}
    fetched = put(tmp_path, "a.zip", packed("a.zip", {**members, "x.txt": "中文中文中文".encode()[:-1]}))
    with pytest.raises(UserError, match=r"\(x\.txt\): not UTF-8 .*bad_records"):
        read(fetched)
    assert len(read(fetched, bad_records=0.1)) == 30


def folder(tmp_path, *names):
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        content = (
            packed("a.zip", {"word/document.xml": b"<x/>", "c.html": b"<p>no</p>"}) if "ocx" in name else b"%PDF-1.4 \0"
        )
        if name.endswith((".txt", ".html", ".htm", ".md")):
            content = f"<html><title>{name}</title><body>正文</body></html>".encode()
        (tmp_path / "in" / name).write_bytes(content)
    return Fetched(tmp_path / "in", "in", "", 0)


MIXED = ("a.txt", "b.html", "sub/c.htm", "d.docx", "e.DOCX", "f.pdf", "g.epub", "README.md", "noending")


def test_files_of_other_kinds_are_counted_by_kind(tmp_path):
    tally = Tally()
    rows = read(folder(tmp_path, *MIXED), tally=tally, url="file://in")
    assert [row["title"] for row in rows][1:] == ["b.html", "sub/c.htm"] and len(rows) == 3
    assert tally.skipped == {".docx": 2, ".pdf": 1, ".epub": 1, "about the data": 1, "without an ending": 1}


@pytest.mark.parametrize("member", ["*.docx", "*.pdf", "docs/", "f.pdf"])
def test_a_member_that_matches_nothing_readable_is_an_error(tmp_path, member):
    with pytest.raises(UserError, match=r"cannot be read|can be read") as error:
        read(folder(tmp_path, *MIXED, "docs/h.pdf"), url="file://in", member=member)
    assert ".docx" in str(error.value) or ".pdf" in str(error.value)


def test_a_pattern_reads_what_it_can_and_counts_the_rest(tmp_path):
    tally = Tally()
    assert len(read(folder(tmp_path, *MIXED), tally=tally, url="file://in", member="*.*")) == 4  # README.md too
    assert tally.skipped == {".docx": 2, ".pdf": 1, ".epub": 1}


@pytest.mark.parametrize("name", ["a.docx", "a.pdf", "a.epub"])
def test_a_single_file_of_another_kind_is_named(tmp_path, name):
    with pytest.raises(UserError, match=rf"a \{name[1:]} file cannot be read; convert it"):
        read(put(tmp_path, name, packed("a.zip", {"c.html": b"<p>x</p>"})))


def test_a_pointer_in_a_folder_is_not_read_as_text(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    with pytest.raises(UserError, match=r"b\.txt\): this is a Git LFS pointer .*git lfs pull"):
        read(put(tmp_path, "a.zip", packed("a.zip", {"b.txt": pointer})))
