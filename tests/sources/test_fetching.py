"""Fetching: from a hub, a mirror, an address or this machine, and what is said where nothing delivers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hubs import CONTENT, SHA256, closed_port, source

from woodblock.base import digests
from woodblock.base.errors import UserError
from woodblock.sources import addresses, fetching

pytestmark = pytest.mark.usefixtures("waits", "without_tokens")


def test_a_file_is_fetched_once(server, tmp_path):
    wanted = source(f"{server.base}/a/data.jsonl", SHA256)
    first = fetching.fetch(wanted, None, tmp_path)
    assert (first.sha256, first.bytes, first.name) == (SHA256, len(CONTENT), "data.jsonl")
    assert first.path.read_bytes() == CONTENT
    server.statuses = [500] * 9  # no matter: it is not asked again
    assert fetching.fetch(wanted, None, tmp_path) == first
    assert len(server.asked) == 1


def test_no_network_is_one_line_that_names_the_source(tmp_path):
    url = "hf://owner/dataset/file.json"
    mirror = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(UserError, match="set mirror") as error:
        fetching.fetch(source(url), mirror, tmp_path)
    text = str(error.value)
    assert text.startswith(url) and "refused" in text.lower() and "object at 0x" not in text and "\n" not in text


def test_hubs_are_asked_for_their_files(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.base}/hub/")
    monkeypatch.setattr(addresses, "MODELSCOPE", f"{server.base}/scope")
    commit = server.publish("owner/dataset", {"a/b 1.json": b"{}"})
    fetching.fetch(source("hf://owner/dataset/a/b 1.json"), None, tmp_path)
    fetching.fetch(source("ms://owner/dataset/b.json"), None, tmp_path)
    fetching.fetch(source("hf://owner/dataset/a/b.json"), f"{server.base}/mirror/", tmp_path)
    assert [path for path, _ in server.asked] == [
        "/hub/api/datasets/owner/dataset/revision/main",
        f"/hub/api/datasets/owner/dataset/tree/{commit}/a?recursive=false&expand=false",
        f"/hub/datasets/owner/dataset/resolve/{commit}/a/b%201.json",
        "/scope/datasets/owner/dataset/resolve/master/b.json",
        "/mirror/owner/dataset/a/b.json",
    ]


@pytest.mark.parametrize("form", ["{}", "file://{}"])
@pytest.mark.parametrize("relative", [True, False])
def test_a_folder_is_a_mirror(tmp_path, monkeypatch, form, relative):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mirror" / "owner" / "dataset" / "file.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"{}")
    mirror = form.format("mirror" if relative else tmp_path / "mirror")
    fetched = fetching.fetch(source("ms://owner/dataset/file.json"), mirror, tmp_path / "downloads")
    assert fetched.path.resolve() == file.resolve()
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["recorded"]  # read where it lies


def test_a_mirror_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="mirror: there is no folder nowhere"):
        fetching.fetch(source("ms://owner/dataset/file.json"), "nowhere", tmp_path)
    with pytest.raises(UserError, match="no file"):
        fetching.fetch(source("ms://owner/dataset/file.json"), str(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "hf://owner",
            "ms://owner/file.json",
            "ms://owner//x",
            "hf://owner/../x",
            "hf://owner/d/../x",
            "ms://o/d/a/",
            "hf://owner/..@v1/x",
            "hf://owner/data@/x",
        ),
        *("pypi://name", "pypi://n==1 -r x"),
    ],
)
def test_a_url_without_its_parts_is_refused(url, tmp_path):
    with pytest.raises(UserError, match="write it as"):
        fetching.fetch(source(url), None, tmp_path)


def test_a_local_file_is_checked_and_never_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my texts.jsonl").write_bytes(b"{}")
    for url in ("file://my%20texts.jsonl", f"file://{tmp_path}/my texts.jsonl"):
        assert fetching.fetch(source(url), None, tmp_path / "d").bytes == 2
    with pytest.raises(UserError, match="yaml pins"):
        fetching.fetch(source("file://my%20texts.jsonl", "0" * 64), None, tmp_path / "d")
    assert Path("my texts.jsonl").exists()
    with pytest.raises(UserError, match=r"file://nothing\.jsonl: there is no file nothing\.jsonl; correct the url"):
        fetching.fetch(source("file://nothing.jsonl"), None, tmp_path / "d")


def test_a_folder_is_a_source_with_a_hash_of_its_own(tmp_path):
    for name in ("b/2.txt", "a.txt"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(name.encode())
    url = f"file://{tmp_path}/data"
    fetched = fetching.fetch(source(url), None, tmp_path / "d")
    assert (fetched.sha256, fetched.bytes) == (digests.digest(tmp_path / "data"), len("b/2.txt") + len("a.txt"))
    assert fetching.fetch(source(url, fetched.sha256), None, tmp_path / "d") == fetched
    with pytest.raises(UserError, match="yaml pins"):
        fetching.fetch(source(url, "0" * 64), None, tmp_path / "d")


def test_mirrors_are_asked_in_turn(server, other, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    wanted = source("hf://owner/dataset/a.jsonl", SHA256)
    other.content = CONTENT[::-1]  # a hash that is not the pinned one
    server.redirects["/gone/owner/dataset/a.jsonl"] = "/loop"
    server.redirects["/loop"] = "/loop"
    places = [
        "nowhere",
        str(tmp_path / "empty"),
        f"http://127.0.0.1:{closed_port()}",
        other.base,
        f"{server.base}/gone",
    ]
    fetched = fetching.fetch(wanted, [*places, server.base], tmp_path / "d")
    assert fetched.sha256 == SHA256 and server.asked[-1] == ("/owner/dataset/a.jsonl", None)
    said = [line for line in capsys.readouterr().err.splitlines() if line.endswith("trying the next mirror")]
    for line, word in zip(said, ["nowhere", "no file", "refused", "yaml pins", "in circles"], strict=True):
        assert line.startswith("download: hf://owner/dataset/a.jsonl: ") and word in line
    assert fetching.fetch(wanted, [other.base, server.base], tmp_path / "d") == fetched


def test_where_no_mirror_delivers_all_are_named(server, tmp_path):
    server.statuses = [404, 403]
    with pytest.raises(
        UserError, match=r"none of the mirrors has it \(mirror: there is no folder nowhere, and .*404, and"
    ) as e:
        fetching.fetch(source("ms://o/d/a"), ["nowhere", server.base, f"{server.base}/b"], tmp_path)
    assert "\n" not in str(e.value)


def test_the_hub_is_asked_where_the_list_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.base}/hub")
    commit = server.publish("owner/dataset", {"a.jsonl": b"{}"})
    fetching.fetch(source("hf://owner/dataset/a.jsonl"), ["nowhere", "hub"], tmp_path)
    assert server.asked[-1][0] == f"/hub/datasets/owner/dataset/resolve/{commit}/a.jsonl"


def test_a_revision_is_asked_for_and_told(server, tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "HUGGING_FACE", server.base)
    monkeypatch.setattr(addresses, "MODELSCOPE", server.base)
    commit = server.publish("owner/data", {"a/b.json": b"{}"}, ref="refs/pr/1")
    for url in ("hf://owner/data@refs%2Fpr%2F1/a/b.json", "ms://owner/data@refs%2Fpr%2F1/b.json"):
        fetching.fetch(source(url), None, tmp_path)
    fetching.fetch(source("hf://owner/data@v1.0/a/b.json"), server.base, tmp_path)
    assert [path for path, _ in server.asked if "/tree/" not in path] == [
        "/api/datasets/owner/data/revision/refs%2Fpr%2F1",
        f"/datasets/owner/data/resolve/{commit}/a/b.json",
        "/datasets/owner/data/resolve/refs%2Fpr%2F1/b.json",
        "/owner/data%40v1.0/a/b.json",
    ]
    assert addresses.revision_of("hf://owner/data@v1.0/a") == "v1.0" and addresses.revision_of("pypi://a==2") == "2"
    assert addresses.revision_of("hf://owner/data/a") is addresses.revision_of("https://a@b/c@d/e") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://u:p@host/a@b", "https://host/a@b"),
        ("https://u:p@x@host:8/a, http://v@h/", "https://host:8/a, http://h/"),
        ("hf://owner/data@v1/a", "hf://owner/data@v1/a"),
        ("https://host/?q=a@b", "https://host/?q=a@b"),
        ("file:///a/b@c", "file:///a/b@c"),
    ],
)
def test_addresses_are_shown_without_user_and_password(text, expected):
    assert addresses.shown(text) == expected


@pytest.mark.parametrize("url", ["https://host:port/a", "https://[::1/a", "https:///a", "http://a b/c", "https://./a"])
def test_what_is_no_address_is_an_error_in_a_line(tmp_path, url):
    with pytest.raises(UserError) as error:
        fetching.fetch(source(url), None, tmp_path)
    assert str(error.value).startswith(url) and "\n" not in str(error.value)
