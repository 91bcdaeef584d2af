"""Records: every format gives back what was written, by inspection, in flat memory; what is damaged names its place."""

from __future__ import annotations

import codecs
import csv
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.packed_files import PACKERS, packed, parquet, put, tar

from woodblock.base.errors import UserError
from woodblock.sources import archives, records
from woodblock.sources.known_files import Fetched

quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(fetched: Fetched, member: str | None = None) -> tuple[set[str], list]:
    """The formats that were found, and the records."""
    formats, found = set(), []
    for one in archives.members(fetched, f"file://{fetched.name}", member, records.ENDINGS):
        formats.add(format := records.format_of(one))
        found += [record for _, record in records.records(one, format, fetched.path.parent / "work")]
    return formats, found


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(TEXT, VALUES, max_size=4), min_size=1, max_size=6)
PACKINGS = [
    "{}",
    "{}.gz",
    "{}.bz2",
    "{}.xz",
    "{}.zst",
    "a.zip",
    "a.tar",
    "a.tar.gz",
    "a.tar.bz2",
    "a.tar.xz",
    "a.tar.zst",
]


def write(kind: str, rows: list[dict], ascii: bool = False) -> bytes:
    one = [json.dumps(row, ensure_ascii=ascii) for row in rows]
    indented = [json.dumps(row, ensure_ascii=ascii, indent=1) for row in rows]
    return {
        "lines": "".join(f"{line}\n" for line in one),
        "lines, no end": "\r\n\n".join(one),
        "list": json.dumps(rows, ensure_ascii=ascii),
        "indented list": json.dumps(rows, ensure_ascii=ascii, indent=2),
        "list by lines": "[\n" + ",\n".join(one) + "\n]\n",
        "indented objects": "\n".join(indented),
        "objects in a row": "".join(indented),
    }[kind].encode()


KINDS = ["lines", "lines, no end", "list", "indented list", "list by lines", "indented objects", "objects in a row"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.json", "data"])
@quick
@given(OBJECTS, st.booleans(), st.booleans())
def test_json_comes_back_in_whatever_layout(tmp_path, kind, name, rows, ascii, mark):
    rows = [row or {"a": 1} for row in rows]  # an object without fields is one line however it is laid out
    content = codecs.BOM_UTF8 * mark + write(kind, rows, ascii)
    assert read(put(tmp_path, name, content))[1] == rows


@pytest.mark.parametrize("packing", PACKINGS)
@quick
@given(OBJECTS, st.sampled_from(["lines", "list", "indented list"]))
def test_json_comes_back_from_every_packing(tmp_path, packing, rows, kind):
    name = packing.format("b.json")
    content = write(kind, rows)
    assert read(put(tmp_path, name, packed(name, {"b.json": content} if "a." in packing else {"": content})))[1] == rows


@quick
@given(st.lists(VALUES, max_size=6))
def test_a_list_of_any_values_comes_back(tmp_path, values):
    assert read(put(tmp_path, "a.json", json.dumps(values, indent=1).encode()))[1] == values
    stream = io.BytesIO(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    assert [value for _, value in records.json_lines(stream, "w")] == values


def test_json_is_cut_wherever_the_blocks_end(monkeypatch):
    rows = [{"a": 'x"{[\\', "b": [1, {"c": "]}," * i}], "字": "\\\\" * i} for i in range(12)]
    content = json.dumps(rows, ensure_ascii=False).encode()
    for block in range(1, 90):
        monkeypatch.setattr(records, "BLOCK", block)
        assert [value for _, value in records.json_values(io.BytesIO(content), "w")] == rows


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.json", b'[{"a": 1}, {"a": 2', "record 2: not valid JSON"),
        ("a.json", b'[{"a": 1}, {"a": "2', "record 2: not valid JSON"),
        ("a.json", b'[{"a": 1}', "record 1: not valid JSON"),
        ("a.json", b'[{"a": 1},]', "record 2: not valid JSON"),
        ("a.json", b'[{"a": 1}] [2]', "there is more text after the list"),
        ("a.json", b'[{"a": 1}] x', "not valid JSON"),
        ("a.json", b'[{"a": 1}}', "a bracket does not match"),
        ("a.json", b'{"a":\n 1}\n{"a": 2', "record 2: not valid JSON"),
        ("a.json", b'{"a":\n 1}\ntext\n{"a": 2}', "record 2: not valid JSON"),
        ("a.json", b'[{"a": "\xff"}]', "record 1: not UTF-8"),
        ("a.jsonl", b'{"a": 1}\n{"a": 2', "line 2: not valid JSON"),
        ("a.jsonl", b'{"a":\n 1}\n', "line 1: not valid JSON"),
        ("a.jsonl", b'{"a": 1} {"a": 2}\n', "line 1: not valid JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', "line 1: not UTF-8"),
        ("a.jsonl", b"text\n", "line 1: not valid JSON"),
        ("a.json", b"text\n", "line 1: not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n' + b"[" * 100_000 + b"\n", "line 2: not valid JSON"),
        ("a.csv", b"a,b\n1\n", "line 2: 1 cells, but 2 columns"),
        ("a.csv", b"a,b\n1,2,3\n", "line 2: 3 cells, but 2 columns"),
        ("a.csv", b'a,b\n1,"2\n', "line 2: not valid rows"),
        ("a.csv", b'a,b\n1,"2"x\n', "line 2: not valid rows"),
        ("a.csv", b"a,a\n1,2\n", "two columns have the name 'a'"),
        ("a.parquet", b"PAR1" + b"\0" * 50 + b"PAR1", "not valid Parquet"),
        ("a.parquet", b"", "not valid Parquet"),
        ("a.data", b"\0\1\2", "its format is unknown"),
        ("a.txt", "中文中文中".encode()[:-1], "not UTF-8"),
        ("a.txt", "中文中文中".encode() + b"\xff", "not UTF-8"),
        ("a.txt", b"\xff", "not UTF-8"),
        ("a.txt", codecs.BOM_UTF16_LE + b"a", "not UTF-16"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, name, content, what):
    with pytest.raises(UserError, match=r"file://a\.\w+") as error:
        read(put(tmp_path, name, content))
    assert what in str(error.value) and "\n" not in str(error.value)


@quick
@given(
    st.binary(max_size=200) | st.text('{}[]",: \n\\1a', max_size=60).map(str.encode), st.sampled_from(records.ENDINGS)
)
def test_whatever_the_bytes_the_error_is_a_users(tmp_path, content, ending):
    try:
        read(put(tmp_path, f"a{ending}", content))
    except UserError as error:
        assert str(error).startswith(f"file://a{ending}") and "\n" not in str(error)


def test_a_record_that_does_not_end_is_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "LARGEST_RECORD", 1_000_000)
    monkeypatch.setattr(records, "BLOCK", 100_000)
    for name, content in {
        "a.jsonl": b'{"a": "' + b"x" * 5_000_000,
        "a.json": b'[{"a": "' + b"x" * 5_000_000,
        "a.txt": b"x" * 1_000_001,
        "a.csv": b'a,b\n1,"' + b"x" * 5_000_000,
    }.items():
        with pytest.raises(UserError, match=r"larger than 1,000,000 bytes|field larger than field limit"):
            read(put(tmp_path, name, content))


def test_what_orjson_refuses_is_read_as_before():
    stream = io.BytesIO(b'{"a": "\\ud800", "b": NaN}\n' + b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}\n")
    first, second = (value for _, value in records.json_lines(stream, "w"))
    assert first["a"] == "\ud800" and first["b"] != first["b"] and second["a"]


# --- rows of text -----------------------------------------------------------------------------------------------------

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@quick
@given(
    st.lists(st.text("abc题 ,\"'", min_size=1, max_size=8), min_size=2, max_size=4, unique=True),
    st.data(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([",", "\t"]),
)
def test_rows_of_text_come_back(tmp_path, names, data, encoding, delimiter):
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(names)), max_size=5))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows([names, *rows])
    name = "a.csv" if delimiter == "," else "a.tsv"
    formats, found = read(put(tmp_path, name, buffer.getvalue().encode(encoding)))
    assert formats == {name[2:]} and found == [dict(zip(names, row, strict=True)) for row in rows]


def test_rows_without_a_heading_are_all_rows(tmp_path):
    question = "Which of these does not belong to the others and why is that so?"
    found = read(put(tmp_path, "a.csv", f"{question},甲,乙\n第二个问题,丙,丁\n".encode()))[1]
    assert found == [{"0": question, "1": "甲", "2": "乙"}, {"0": "第二个问题", "1": "丙", "2": "丁"}]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_of_another_delimiter_is_read(tmp_path, delimiter):
    content = f"问{delimiter}答\r\n甲，乙{delimiter}丙,丁\r\n".encode("gb18030")
    assert read(put(tmp_path, "a.csv", content))[1] == [{"问": "甲，乙", "答": "丙,丁"}]


# --- texts ------------------------------------------------------------------------------------------------------------

CHINESE = "第一回　宴桃园豪杰三结义\n话说天下大势，分久必合，合久必分。𠀀"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("name", ["a.txt", "b.md", "无名"])
def test_a_text_is_one_record_whatever_its_encoding(tmp_path, encoding, name):
    formats, (record,) = read(put(tmp_path, name, CHINESE.encode(encoding)))
    assert formats == {"text"} and record == {"title": "第一回　宴桃园豪杰三结义", "text": CHINESE}


@quick
@given(
    st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=4), st.sampled_from(["utf-8", "gbk"])
)
def test_chinese_is_read_in_the_encoding_that_it_was_written_in(tmp_path, text, encoding):
    try:
        text.encode("gbk").decode("utf-8")
        return  # the same bytes are right in both
    except UnicodeDecodeError:
        pass
    text = f"《{text}》"
    assert read(put(tmp_path, "a.txt", text.encode(encoding)))[1][0]["text"] == text


@quick
@given(st.integers(0, 1000).filter(lambda cut: cut != 2))  # its first two bytes alone are GBK as well
def test_a_text_that_is_cut_is_an_error_or_a_beginning(tmp_path, cut):
    content = (CHINESE * 10).encode()[:cut]
    try:
        text = read(put(tmp_path, "a.txt", content))[1][0]["text"]
        assert (CHINESE * 10).startswith(text)
    except UserError:
        with pytest.raises(UnicodeDecodeError):
            content.decode()


def test_records_in_a_txt_are_records(tmp_path):
    assert read(put(tmp_path, "a.txt", b'{"text": "t"}\n{"text": "u"}\n')) == (
        {"jsonl"},
        [{"text": "t"}, {"text": "u"}],
    )
    assert read(put(tmp_path, "a.txt", "{注}\n正文".encode()))[0] == {"text"}


# --- Parquet ----------------------------------------------------------------------------------------------------------


NESTED = [
    {"text": f"文{i}" * i, "n": i, "turns": [{"role": "user", "content": f"{i}"}] * (i % 3), "none": None}
    for i in range(300)
]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", ["b.parquet", "0000"])
def test_parquet_comes_back_from_every_packing(tmp_path, packing, name):
    full = packing.format(name)
    content = parquet(NESTED, compression="zstd", row_group_size=70)
    content = packed(full, {name: content} if "a." in packing else {"": content})
    assert read(put(tmp_path, full, content), "*") == ({"parquet"}, NESTED)
    assert not list((tmp_path / "work").glob("*"))  # the copy of a packed one is gone


@settings(quick, max_examples=200)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 255))
@example(0.20194760966351824, 1)  # a page that ends early, without an error of the library's
def test_parquet_that_is_cut_or_damaged_is_an_error_or_does_no_harm(tmp_path, share, flip):
    content = bytearray(parquet(NESTED[:40]))
    place = int(len(content) * share)
    if flip:
        content[place] ^= flip
    else:
        del content[place:]
    try:
        found = read(put(tmp_path, "a.parquet", bytes(content)))[1]
        assert place >= len(content) - 2000 or found == NESTED[:40]  # the footer bears no checksum
    except UserError as error:
        assert "not valid Parquet" in str(error) and "\n" not in str(error)


def test_a_bomb_of_parquet_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BOMB_BYTES", 3_000_000)
    for options in ({"use_dictionary": False, "compression": "zstd"}, {"use_dictionary": True}):
        content = parquet([{"text": "一" * 100_000}] * 200, **options)
        with pytest.raises(UserError, match="more than 200 times its size"):
            read(put(tmp_path, "a.parquet", content))


# --- memory -----------------------------------------------------------------------------------------------------------


def large(name: str, folder: Path) -> Fetched:
    """A file of 16,000 records of some 4 KB of text, 64 MB in all, which shrinks no more than text does."""
    words = [f"{i * 2654435761 % 2**32:08x}" for i in range(5000)]
    texts = ["字" + " ".join(words[i % 4000 : i % 4000 + 440]) for i in range(16_000)]
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    if name.endswith(".parquet"):
        return put(
            folder, name, parquet([{"text": text} for text in texts], row_group_size=20_000, use_dictionary=False)
        )
    if "csv" in name:
        return put(folder, name, "\n".join(["text,n", *(f"{text},1" for text in texts)]).encode())
    content = (
        "[" + ",".join(lines) + "]" if "json." in f"{name}." and "jsonl" not in name else "\n".join(lines)
    ).encode()
    if name.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("a.jsonl", content)
        return put(folder, name, buffer.getvalue())
    if ".tar." in name:
        content = tar({"a.jsonl": content})
    return put(folder, name, PACKERS[name.rpartition(".")[2]](content) if name.count(".") > 1 else content)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.zip", "a.jsonl.tar.zst", "a.json.zst", "a.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    fetched = large(name, tmp_path)
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()
    count = size = peak_of_arrow = 0
    for member in archives.members(fetched, "file://a", None, records.ENDINGS):
        for _, record in records.records(member, records.format_of(member), tmp_path / "work"):
            count += 1
            size += len(record["text"])
            if count % 100 == 0:
                peak_of_arrow = max(peak_of_arrow, pa.total_allocated_bytes() - arrow)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 16_000 and size > 60_000_000
    assert peak < 12_000_000 and peak_of_arrow < 16_000_000, (peak, peak_of_arrow)
