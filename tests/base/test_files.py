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
