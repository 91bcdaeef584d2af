"""Tokens and passwords go where they belong, and are shown nowhere."""

from __future__ import annotations

import pytest
from support.hubs import CONTENT, source

from woodblock.base.errors import UserError
from woodblock.sources import addresses, fetching
from woodblock.sources.delivery import credentials

pytestmark = pytest.mark.usefixtures("waits", "without_tokens")

SECRET = "hf_very-secret-token"


@pytest.mark.parametrize("name", addresses.TOKENS)
def test_a_token_goes_to_its_own_hub_alone(server, other, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv(name, f"{SECRET}\n")  # as `echo` leaves it in a file of secrets
    monkeypatch.setattr(addresses, "HUGGING_FACE", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(addresses, "MODELSCOPE", f"http://localhost:{server.server_port}")
    own, theirs = ("ms", "hf") if name.startswith("MODELSCOPE") else ("hf", "ms")
    commit = server.publish("o/d", {"a": CONTENT})
    paths = {"hf": f"/datasets/o/d/resolve/{commit}/a", "ms": "/datasets/o/d/resolve/master/a"}
    server.redirects[paths[own]] = f"{other.base}/cdn/a"  # as hubs send to their stores

    fetching.fetch(source(f"{own}://o/d/a"), None, tmp_path / "1")
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {SECRET}"}
    assert ("Cookie" in server.headers[-1]) == (own == "ms")
    assert other.asked[-1][0] == "/cdn/a" and not {"Authorization", "Cookie"} & set(other.headers[-1])

    fetching.fetch(source(f"{theirs}://o/d/a"), None, tmp_path / "2")
    assert not {"Authorization", "Cookie"} & {
        name for h in server.headers[-(3 if theirs == "hf" else 1) :] for name in h
    }
    fetching.fetch(source(f"{own}://o/d/b"), other.base, tmp_path / "3")
    assert not {"Authorization", "Cookie"} & set(other.headers[-1])
    assert SECRET not in capsys.readouterr().err
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "content"):
        assert SECRET.encode() not in file.read_bytes()


def test_a_token_is_not_sent_where_others_can_read_it(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    for endpoint, sent in (("https://hub.example", True), ("http://hub.example", False), ("http://localhost:1", True)):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert (credentials.allowed_for(f"{endpoint}/datasets/x", f"{endpoint}/datasets/x") is not None) == sent


def test_a_token_that_is_none_is_an_error_without_it(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\nX-Other: 1")
    monkeypatch.setattr(addresses, "HUGGING_FACE", server.base)
    with pytest.raises(UserError, match="HF_TOKEN: contains characters that are not allowed in a token") as error:
        fetching.fetch(source("hf://o/d/a"), None, tmp_path)
    assert SECRET not in str(error.value) and not server.asked


def test_user_and_password_of_an_address_go_to_its_host_and_are_shown_nowhere(server, other, tmp_path, capsys):
    server.redirects["/a"] = "/b"
    server.redirects["/b"] = f"{other.base}/c"
    url = server.base.replace("//", "//user:p%40ss-secret@")
    fetching.fetch(source(f"{url}/a"), None, tmp_path)
    assert [headers.get("Authorization") for headers in server.headers] == ["Basic dXNlcjpwQHNzLXNlY3JldA=="] * 2
    assert "Authorization" not in other.headers[-1]
    server.statuses = [404]
    with pytest.raises(UserError, match="status 404") as error:
        fetching.fetch(source(f"{url}/d"), None, tmp_path)
    said = capsys.readouterr().err + str(error.value)
    said += "".join(f.read_text() for f in tmp_path.rglob("*") if f.is_file() and f.parent.name != "content")
    assert "ss-secret" not in said and "user:" not in said and f"{server.base}/a" in said and "netrc" in said
