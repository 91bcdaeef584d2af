"""Digests of large files are remembered; what a power cut left of such a memory is not believed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from woodblock.base import digests


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:-10], lambda b: b"\xff\x80" + b, lambda b: b"\x00" * len(b)]
)
def test_a_remembered_digest_that_is_damaged_is_computed_again(tmp_path: Path, monkeypatch, damage) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(digests, "LARGE", 10)
    Path("large").write_bytes(b"0123456789")
    wanted = hashlib.sha256(b"0123456789").hexdigest()
    assert digests.digest(Path("large")) == wanted
    (known,) = digests.KNOWN.iterdir()
    whole = known.read_bytes()
    known.write_bytes(damage(whole))
    assert digests.digest(Path("large")) == wanted
    assert known.read_bytes() == whole
