"""Files appear whole or not at all, and become writable without a word to the cache that they are links into."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from woodblock.base import files


def test_a_text_is_there_whole_or_the_old_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new" / "a.txt"
    files.write_text(target, "甲")
    assert target.read_text(encoding="utf-8") == "甲"
    monkeypatch.setattr(files.os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        files.write_text(target, "乙")
    assert target.read_text(encoding="utf-8") == "甲" and list(target.parent.iterdir()) == [target]


def test_two_machines_with_the_same_process_number_do_not_share_a_partial_file(tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "base.npy"
    monkeypatch.setattr(files.os, "getpid", lambda: 7)
    names = {files.partial_of(target).name for _ in range(3)}
    monkeypatch.setattr(files.socket, "gethostname", lambda: "node-2.example")
    names |= {files.partial_of(target).name for _ in range(3)}
    assert len(names) == 6 and all(name.startswith(".base.npy.partial-") and name.endswith(".npy") for name in names)
    assert sum("-node_2_example-7-" in name for name in names) == 3


def test_partial_files_of_killed_processes_go_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    old, new = files.partial_of(target), files.partial_of(target)
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (time.time() - 2 * files.HOUR,) * 2)
    files.write_text(target, "{}")
    assert sorted(tmp_path.iterdir()) == sorted([target, new])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files have names here on Linux alone")
def test_what_is_renamed_was_given_to_the_disk_before(tmp_path: Path, monkeypatch) -> None:
    """In this order a power cut leaves no empty file under the final name: content, rename, name."""
    done: list[str] = []
    fsync, rename = os.fsync, os.replace

    def named(handle: int) -> str:
        return os.path.basename(os.readlink(f"/proc/self/fd/{handle}")).split(".partial")[0]

    monkeypatch.setattr(files.os, "fsync", lambda handle: (done.append(named(handle)), fsync(handle)))
    monkeypatch.setattr(files.os, "replace", lambda *paths: (done.append("rename"), rename(*paths)))
    files.write_text(tmp_path / "a.json", "{}")
    assert done == [".a.json", "rename", tmp_path.name]
    done.clear()
    folder = files.partial_of(tmp_path / "shard")
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "part").write_text("text")
    files.replace(folder, tmp_path / "shard")
    assert done == ["part", "inner", ".shard", "rename", tmp_path.name]


@pytest.mark.parametrize("content", [b"", b'{"a": [1, 2', b"\x00" * 9, b"\xff\xfe", b"[" * 100_000])
def test_json_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert files.read_json(tmp_path / "a.json") is None
    assert files.read_json(tmp_path / "missing" / "a.json") is None


def test_a_link_into_a_cache_becomes_a_writable_file_of_its_own(tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    cache.write_text("kept")
    cache.chmod(0o444)
    (out / "inner").mkdir(parents=True)
    os.link(cache, out / "inner" / "part")
    (out / "own").write_text("own")
    before = (out / "own").stat()
    (out / "inner").chmod(0o555)
    files.make_writable(out)
    (out / "inner" / "part").write_text("edited")
    assert cache.read_text() == "kept" and cache.stat().st_mode & 0o777 == 0o444
    assert (out / "own").stat() == before, "what can be written is left alone"
    files.make_writable(tmp_path / "missing")


def test_what_is_dated_in_the_future_is_dated_now_and_the_rest_as_it_was(tmp_path: Path) -> None:
    future, past = tmp_path / "future", tmp_path / "past"
    for path, when in ((future, time.time() + 1e6), (past, 1e9)):
        path.write_text("x")
        os.utime(path, (when, when))
        files.end_at_now(path)
    assert abs(future.stat().st_mtime - time.time()) < 60 and past.stat().st_mtime == 1e9
    files.end_at_now(tmp_path / "missing")
