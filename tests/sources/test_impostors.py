"""Impostors: what comes with status 200 in place of a file is named, and never cached."""

from __future__ import annotations

import gzip
import hashlib

import pytest
from support.hubs import source

from woodblock.base.errors import UserError
from woodblock.sources import fetching

pytestmark = pytest.mark.usefixtures("waits", "without_tokens")

LOGIN = "<!DOCTYPE html>\n<html><head><title>请先登录</title></head><body>…</body></html>".encode()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n"
CAME = [
    ("a.jsonl", LOGIN, "an HTML page .*请先登录"),
    ("a.jsonl", b"\xef\xbb\xbf\n<!-- x --><HTML lang=zh>captcha", "an HTML page"),
    ("a.jsonl", "<html><title>登录</title>".encode("gbk"), "an HTML page .*登录"),
    ("a.parquet", b"<script>location='/login'</script>", "an HTML page"),
    ("a.jsonl.gz", gzip.compress(LOGIN), "an HTML page .*compressed"),
    ("a.json", gzip.compress(LOGIN), "an HTML page .*compressed"),
    ("a.txt", LOGIN, "an HTML page"),
    ("a.jsonl", b"", "an empty file"),
    ("a.jsonl", b" \n\n", "an empty file"),
    ("a.parquet", POINTER, "a Git LFS pointer"),
    ("a.html", POINTER, "a Git LFS pointer"),
    ("a.csv", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML answer .*AccessDenied"),
    ("a.json", b'{"error": "Repository not found"}', "an error in JSON .*not found"),
    (
        "a.jsonl",
        b'{"Code": 404, "Message": "no", "RequestId": "1", "Success": false, "Data": null}',
        "an error in JSON",
    ),
    ("a.json", b'{"detail": "Not authenticated"}\n', "an error in JSON"),
    ("a.zip", b"busy, try again", "no .zip file"),
    ("a.parquet", b"Access denied", "no .parquet file"),
]


@pytest.mark.parametrize(("name", "content", "what"), CAME)
def test_what_came_in_place_of_a_file_is_named_and_not_kept(server, tmp_path, name, content, what):
    server.content = content
    wanted = source(f"{server.base}/data/{name}")
    with pytest.raises(UserError, match=rf"{server.base}/data/{name} sent {what}.*; open the address") as error:
        fetching.fetch(wanted, None, tmp_path)
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    server.content = b'{"text": "\xe4\xb8\x80"}\n' if "json" in name and "gz" not in name else None
    if server.content:
        assert fetching.fetch(wanted, None, tmp_path).bytes == len(server.content)


def test_the_page_of_a_redirect_is_named_without_its_query(server, tmp_path):
    server.content, server.redirects = LOGIN, {"/a.jsonl": f"{server.base}/login?next=secret"}
    with pytest.raises(UserError, match=f"{server.base}/login sent an HTML page") as error:
        fetching.fetch(source(f"{server.base}/a.jsonl"), None, tmp_path)
    assert "secret" not in str(error.value)


def test_a_page_that_was_asked_for_or_pinned_is_kept(server, tmp_path):
    server.content = LOGIN
    assert fetching.fetch(source(f"{server.base}/a.html"), None, tmp_path).bytes == len(LOGIN)
    pinned = source(f"{server.base}/a.jsonl", hashlib.sha256(LOGIN).hexdigest())
    for _ in range(2):
        assert fetching.fetch(pinned, None, tmp_path).bytes == len(LOGIN)


@pytest.mark.parametrize(
    "content", [b'{"error": "e", "text": "t"}\n', b'{"text": "<html>"}\n', b"plain text", b'[{"message": 1}]']
)
def test_data_that_only_resembles_is_taken(server, tmp_path, content):
    server.content = content
    assert fetching.fetch(source(f"{server.base}/a.json"), None, tmp_path).bytes == len(content)


def test_a_pointer_in_a_clone_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(POINTER)
    with pytest.raises(UserError, match=r"a\.jsonl is a Git LFS pointer .*git lfs pull"):
        fetching.fetch(source(f"file://{tmp_path}/a.jsonl"), None, tmp_path / "downloads")
