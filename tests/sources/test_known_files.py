"""What is known to be whole: the hash that is pinned, or else the one that came first, holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.hubs import CONTENT, SHA256, source

from woodblock.base.errors import UserError
from woodblock.sources import fetching

pytestmark = pytest.mark.usefixtures("waits", "without_tokens")


def test_a_hash_is_recorded_where_none_is_pinned(server, tmp_path, capsys):
    wanted = source(f"{server.base}/data.jsonl")
    fetched = fetching.fetch(wanted, None, tmp_path)
    assert SHA256 in capsys.readouterr().err
    fetched.path.write_bytes(b"altered")
    assert fetching.fetch(wanted, None, tmp_path).sha256 == SHA256  # no longer whole, so it came again
    assert len(server.asked) == 2


def test_a_wrong_hash_is_named_and_the_file_removed(server, tmp_path):
    wanted = source(f"{server.base}/data.jsonl", "0" * 64)
    with pytest.raises(
        UserError, match=f"data.jsonl: the fetched file has sha256 {SHA256}, but params.yaml pins {'0' * 64}"
    ):
        fetching.fetch(wanted, None, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_another_than_the_first_is_an_error(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"first")
    wanted = source(f"file://{file}")
    first = fetching.fetch(wanted, None, tmp_path / "d")
    assert fetching.fetch(wanted, None, tmp_path / "d") == first
    file.write_bytes(b"later")
    later = hashlib.sha256(b"later").hexdigest()
    with pytest.raises(
        UserError, match=f"sha256 was {first.sha256} and is now {later}; .* set its sha256 .* or remove"
    ) as e:
        fetching.fetch(wanted, None, tmp_path / "d")
    assert fetching.fetch(source(wanted.url, later), None, tmp_path / "d").sha256 == later  # one way out
    Path(str(e.value).split("remove ")[1].split(";")[0]).unlink()  # the other
    assert fetching.fetch(wanted, None, tmp_path / "d").sha256 == later


def test_the_first_hash_holds_whichever_mirror_delivers(server, other, tmp_path):
    other.content = CONTENT[::-1]
    wanted = source("hf://owner/dataset/a.jsonl")
    fetching.fetch(wanted, server.base, tmp_path)
    with pytest.raises(UserError, match="the file changed: sha256 was"):
        fetching.fetch(wanted, other.base, tmp_path)


def test_a_file_that_changed_on_the_server_is_an_error(server, tmp_path):
    wanted = source(f"{server.base}/data.jsonl")
    fetching.fetch(wanted, None, tmp_path).path.write_bytes(b"altered")
    server.content = CONTENT[::-1]
    with pytest.raises(UserError, match=f"sha256 was {SHA256} and is now"):
        fetching.fetch(wanted, None, tmp_path)


@pytest.mark.parametrize("content", [b"", b"0123", b"\x00\xff\x80" * 30])
def test_a_record_that_a_power_cut_left_is_written_again(tmp_path, capsys, content):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"first")
    first = fetching.fetch(source(f"file://{file}"), None, tmp_path / "d")
    (record,) = (tmp_path / "d/recorded").iterdir()
    whole = record.read_bytes()
    record.write_bytes(content)
    capsys.readouterr()
    assert fetching.fetch(source(f"file://{file}"), None, tmp_path / "d") == first
    assert record.read_bytes() == whole
    assert "cannot be read; recorded again" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b'{"name": ', b"\xff\x80", b"[]", b'{"name": 3, "sha256": null}'])
def test_a_file_whose_record_cannot_be_read_is_fetched_again(server, tmp_path, content):
    wanted = source(f"{server.base}/data.jsonl")
    first = fetching.fetch(wanted, None, tmp_path)
    (record,) = tmp_path.glob("*/verified.json")
    record.write_bytes(content)
    assert fetching.fetch(wanted, None, tmp_path) == first
