"""Files as sources send them: archives and compressed files of every kind, Parquet, and a database of laws."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from woodblock.run.settings.sources import Source
from woodblock.sources import reading
from woodblock.sources.inspection import Tally
from woodblock.sources.known_files import Fetched


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd, "": bytes}


def tar(members: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        folder = tarfile.TarInfo("folder.jsonl")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return buffer.getvalue()


def packed(name: str, members: dict[str, bytes]) -> bytes:
    if name.endswith((".zip", ".whl")):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("folder.jsonl")
            for member, content in members.items():
                archive.writestr(member, content)
        return buffer.getvalue()
    packer = next(packer for ending, packer in PACKERS.items() if name.endswith(ending))
    return packer(tar(members) if ".t" in name else b"".join(members.values()))


def json_lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def put(folder: Path, name: str, content: bytes) -> Fetched:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return Fetched(folder / name, name, "", len(content))


def read(fetched: Fetched, role: str = "corpus", tally: Tally | None = None, **options: Any) -> list[dict[str, Any]]:
    """The rows that a file gives to a role. options: of its source."""
    options = {"url": f"file://{fetched.name}", "licence": "none", **options}
    work = fetched.path.parent / "work"
    return list(reading.rows(Source(**options), fetched, role, tally or Tally(), work))


ARCHIVES = ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tbz2", "a.tar.xz", "a.txz", "a.tar.zst", "a.zip"]


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


def parquet(rows: list[dict], **options) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, write_page_checksum=True, **options)
    return sink.getvalue().to_pybytes()
