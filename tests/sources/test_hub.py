"""The Hugging Face hub through its own client: several files at once, the commit, and what is said where it fails."""

from __future__ import annotations

import json

import pytest
from support.hubs import CONTENT, closed_port, source

from woodblock.base import digests
from woodblock.base.errors import UserError
from woodblock.sources import fetching, hub_files, reading
from woodblock.sources.inspection import Tally

pytestmark = pytest.mark.usefixtures("waits", "without_tokens")

FILES = {
    "README.md": b"# card",
    ".gitattributes": b"*.parquet filter=lfs",
    "a.jsonl": b'{"text": "a"}\n',
    "data/b.jsonl": b'{"text": "b"}\n' * 20,  # large enough to be in LFS
    "data/deep/c.jsonl": b'{"text": "c"}\n',
    "data/d.csv": b"text\nd\n",
}


@pytest.fixture
def hub(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.base}/hub/")
    server.publish("owner/dataset", FILES)
    return server


FORMS = {
    "hf://owner/dataset": ["a.jsonl", "data/b.jsonl", "data/d.csv", "data/deep/c.jsonl"],
    "hf://owner/dataset/": ["a.jsonl", "data/b.jsonl", "data/d.csv", "data/deep/c.jsonl"],
    "hf://owner/dataset/data/": ["data/b.jsonl", "data/d.csv", "data/deep/c.jsonl"],
    "hf://owner/dataset@main/*.jsonl": ["a.jsonl"],
    "hf://owner/dataset/data/*.jsonl": ["data/b.jsonl"],
    "hf://owner/dataset/**/*.jsonl": ["a.jsonl", "data/b.jsonl", "data/deep/c.jsonl"],
    "hf://owner/dataset/data/**": ["data/b.jsonl", "data/d.csv", "data/deep/c.jsonl"],
    "hf://owner/dataset/d*/[bd].*": ["data/b.jsonl", "data/d.csv"],
    "hf://owner/dataset/da?a/deep/": ["data/deep/c.jsonl"],
}


@pytest.mark.parametrize("url", FORMS)
def test_a_url_names_several_files_on_the_hub_and_in_a_folder_that_mirrors_it(hub, tmp_path, url):
    fetched = fetching.fetch(source(url), None, tmp_path / "d")
    assert [f.relative_to(fetched.path).as_posix() for f in fetched.files] == FORMS[url]
    assert all(f.read_bytes() == FILES[f.relative_to(fetched.path).as_posix()] for f in fetched.files)
    assert fetched.sha256 == digests.digest(fetched.path) and fetched.commit == hub.refs["main"]
    assert fetched.bytes == sum(len(FILES[name]) for name in FORMS[url])
    requests = len(hub.asked)
    assert fetching.fetch(source(url), None, tmp_path / "d") == fetched and len(hub.asked) == requests

    base = tmp_path / "mirror" / "/".join(url.removeprefix("hf://").split("/")[:2])
    for name, content in FILES.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(content)
    there = fetching.fetch(source(url, fetched.sha256), str(tmp_path / "mirror"), tmp_path / "e")
    assert (there.sha256, there.bytes, there.commit) == (fetched.sha256, fetched.bytes, None)
    for one in (fetched, there):
        rows = list(reading.rows(source(url), one, "corpus", Tally(), tmp_path))
        assert len(rows) == sum(FILES[name].count(b"\n") - name.endswith(".csv") for name in FORMS[url])


@pytest.mark.parametrize(("url", "name"), [("hf://owner/dataset/a.jsonl", "a.jsonl"), ("hf://owner/dataset/**", "")])
def test_the_commit_of_the_first_fetch_is_fetched_again(hub, tmp_path, url, name):
    first = fetching.fetch(source(url), None, tmp_path)
    commit = hub.refs["main"]
    hub.publish("owner/dataset", {"a.jsonl": b'{"text": "later"}\n'})
    for folder in tmp_path.glob("*/content"):
        next(path for path in folder.rglob("*") if path.is_file()).write_bytes(b"damaged")
    hub.asked.clear()
    again = fetching.fetch(source(url), None, tmp_path)
    assert again == first and again.commit == commit
    assert not any("/revision/" in path for path, _ in hub.asked) and all(commit in path for path, _ in hub.asked)
    assert sum("/resolve/" in path for path, _ in hub.asked) == 1  # what was whole is not fetched again
    (record,) = tmp_path.glob("*/verified.json")
    assert json.loads(record.read_text())["commit"] == commit
    pinned = fetching.fetch(source(url.replace("dataset", f"dataset@{commit}")), None, tmp_path / "other")
    assert (pinned.sha256, pinned.commit) == (first.sha256, commit)


def test_a_commit_is_recorded_though_a_mirror_delivered_first(hub, tmp_path):
    (tmp_path / "owner/dataset").mkdir(parents=True)
    (tmp_path / "owner/dataset/a.jsonl").write_bytes(FILES["a.jsonl"])
    wanted, downloads = source("hf://owner/dataset/*.jsonl"), tmp_path / "d"
    assert fetching.fetch(wanted, str(tmp_path), downloads).commit is None
    commit = fetching.fetch(wanted, None, downloads).commit
    hub.publish("owner/dataset", {"a.jsonl": b"later"})
    for record in downloads.glob("*/verified.json"):
        record.unlink()
    assert fetching.fetch(wanted, None, downloads).commit == commit


def test_a_pin_holds_for_all_files_together(hub, tmp_path):
    first = fetching.fetch(source("hf://owner/dataset/data/"), None, tmp_path / "1")
    assert fetching.fetch(source("hf://owner/dataset/data/", first.sha256), None, tmp_path / "2").sha256 == first.sha256
    hub.publish("owner/dataset", FILES | {"data/new.jsonl": b'{"text": "n"}\n'})
    with pytest.raises(UserError, match=f"sha256 .*, but params.yaml pins {first.sha256}"):
        fetching.fetch(source("hf://owner/dataset/data/", first.sha256), None, tmp_path / "3")


def test_a_file_that_breaks_off_goes_on_in_the_next_run_and_what_came_stays(hub, tmp_path, monkeypatch, capsys):
    hub.publish("owner/dataset", {"a.bin": b"small", "b.bin": CONTENT})
    hub.statuses = []
    monkeypatch.setattr("woodblock.sources.delivery.transfers.ATTEMPTS", 1)
    hub.breaks = [len(b"small"), 1_000_000, 0]
    with pytest.raises(UserError, match=r"hf://owner/dataset/\*\.bin: .*1,000,000 bytes are kept, and the next run"):
        fetching.fetch(source("hf://owner/dataset/*.bin"), None, tmp_path)
    hub.asked.clear()
    fetched = fetching.fetch(source("hf://owner/dataset/*.bin"), None, tmp_path)
    assert [f.read_bytes() for f in fetched.files] == [b"small", CONTENT]
    assert [asked for path, asked in hub.asked if "/resolve/" in path] == ["bytes=1000000-"]
    assert "hf://owner/dataset/b.bin continues at 1,000,000 bytes" in capsys.readouterr().err


def test_what_an_interrupted_fetch_left_of_another_commit_is_removed(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("woodblock.sources.delivery.transfers.ATTEMPTS", 1)
    hub.publish("owner/dataset", {"a.txt": b"a", "b.txt": b"b"})
    hub.breaks = [1, 0]
    with pytest.raises(UserError):
        fetching.fetch(source("hf://owner/dataset"), None, tmp_path)
    hub.breaks = []
    hub.publish("owner/dataset", {"b.txt": b"b", "c.txt": b"c"})
    fetched = fetching.fetch(source("hf://owner/dataset"), None, tmp_path)
    assert [f.name for f in fetched.files] == ["b.txt", "c.txt"] and fetched.commit == hub.refs["main"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("hf://owner/missing/a", ["has no data set owner/missing", "HF_TOKEN"]),
        ("hf://owner/closed/a", ["owner/closed is gated", "accept its terms at", "HF_TOKEN"]),
        ("hf://owner/dataset@v9/a", ["owner/dataset has no revision v9", "correct what stands after @"]),
        (f"hf://owner/dataset@{'0' * 40}/a", [f"has no revision {'0' * 40}"]),
        ("hf://owner/dataset/b.jsonl", ["no file is b.jsonl", "a.jsonl", "correct the url"]),
        (
            "hf://owner/dataset/*.parquet",
            ["no file is *.parquet", "**/ for folders; a folder ends in /", "correct the url"],
        ),
        ("hf://owner/dataset/nowhere/", ["no such file or folder", "correct the url"]),
        ("hf://owner/data set/a", ["owner/data set is no name of a data set", "write it as"]),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub, tmp_path, url, words):
    hub.publish("owner/closed", {"a": b"a"}, ref="closed")
    hub.gated.add("owner/closed")
    with pytest.raises(UserError) as error:
        fetching.fetch(source(url), None, tmp_path)
    text = str(error.value)
    assert text.startswith(url) and "\n" not in text and all(word in text for word in words), text


def test_a_gated_data_set_opens_with_a_token(hub, tmp_path, monkeypatch):
    hub.gated.add("owner/dataset")
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    assert len(fetching.fetch(source("hf://owner/dataset"), None, tmp_path).files) == 4
    assert {headers["Authorization"] for headers in hub.headers} == {"Bearer hf_token"}


def test_a_hub_that_is_busy_is_asked_again(hub, tmp_path, waits):
    hub.statuses, hub.retry_after = [429, 503], "7"
    assert fetching.fetch(source("hf://owner/dataset/a.jsonl"), None, tmp_path).bytes == len(FILES["a.jsonl"])
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize("url", ["hf://owner/dataset", "hf://owner/dataset/a.jsonl"])
def test_without_a_network_the_way_out_is_a_mirror(tmp_path, monkeypatch, url):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(UserError, match=r"did not deliver it .*refused.*set mirror") as error:
        fetching.fetch(source(url), None, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("endpoint", ["ftp://u:secret@host", "http://u:secret@[::1", "u:secret@host"])
def test_an_endpoint_that_is_no_address_is_told_without_its_password(tmp_path, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(UserError, match="HF_ENDPOINT") as error:
        fetching.fetch(source("hf://owner/dataset/a"), None, tmp_path)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_what_is_no_hub_is_told(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.base)
    server.redirects["/api/datasets/owner/dataset/revision/main"] = "/page"  # any page, as of a login
    server.content = b"<html>"
    with pytest.raises(UserError, match="does not answer as a Hugging Face hub does; check HF_ENDPOINT"):
        fetching.fetch(source("hf://owner/dataset/a"), None, tmp_path)


def test_other_bytes_than_the_hub_lists_are_refused(hub, tmp_path):
    address = f"/hub/datasets/owner/dataset/resolve/{hub.refs['main']}/a.jsonl"
    hub.redirects[address] = "/elsewhere"
    hub.content = b"<html><title>Sign in</title>"
    with pytest.raises(UserError, match=r"an HTML page .*Sign in.* not the file"):
        fetching.fetch(source("hf://owner/dataset/**"), None, tmp_path)
    hub.content = FILES["a.jsonl"][::-1]
    with pytest.raises(UserError, match=r"other bytes than the hub lists for a\.jsonl"):
        fetching.fetch(source("hf://owner/dataset/a.jsonl"), None, tmp_path)


def test_a_mirror_over_http_cannot_list(hub, other, tmp_path):
    with pytest.raises(UserError, match="which cannot list the files that the url names; give a url for each file"):
        fetching.fetch(source("hf://owner/dataset/*.jsonl"), other.base, tmp_path)
    assert fetching.fetch(source("hf://owner/dataset/*.jsonl"), [other.base, "nowhere", "hub"], tmp_path).commit
    assert not other.asked


def test_a_folder_that_mirrors_nothing_of_it_is_named(tmp_path):
    (tmp_path / "owner/dataset").mkdir(parents=True)
    for url, words in (("hf://owner/dataset", "no file is of data"), ("hf://owner/else/*.txt", "there is no folder")):
        with pytest.raises(UserError, match=words):
            fetching.fetch(source(url), str(tmp_path), tmp_path / "d")


def test_hidden_files_are_named_by_their_names_alone():
    names = [".a", "b", ".c/d", "e/.f"]
    assert hub_files.chosen("hf://o/d/**", names) == hub_files.chosen("hf://o/d", names) == ["b"]
    assert hub_files.chosen("hf://o/d/.*", names) == hub_files.chosen("hf://o/d/.a", names) == [".a"]
