"""Fetching, against a server that misbehaves as servers do, and against pip without a network."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hubs import CONTENT, SHA256, Server, serving, wheel

from woodblock.base import digests
from woodblock.base.errors import UserError
from woodblock.run.settings.sources import Source
from woodblock.sources import fetching


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as server:
        yield server


waits: list[float] = []


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    waits.clear()
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    for name in ("HF_ENDPOINT", *fetching.TOKENS):
        monkeypatch.delenv(name, raising=False)


def source(url: str, sha256: str | None = None) -> Source:
    return Source(url=url, licence="none", sha256=sha256)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_file_is_fetched_once(server, tmp_path):
    wanted = source(f"{server.base}/a/data.jsonl", SHA256)
    first = fetching.fetch(wanted, None, tmp_path)
    assert (first.sha256, first.bytes, first.name) == (SHA256, len(CONTENT), "data.jsonl")
    assert first.path.read_bytes() == CONTENT
    server.statuses = [500] * 9  # no matter: it is not asked again
    assert fetching.fetch(wanted, None, tmp_path) == first
    assert len(server.asked) == 1


def test_a_hash_is_recorded_where_none_is_pinned(server, tmp_path, capsys):
    wanted = source(f"{server.base}/data.jsonl")
    fetched = fetching.fetch(wanted, None, tmp_path)
    assert SHA256 in capsys.readouterr().err
    fetched.path.write_bytes(b"altered")
    assert fetching.fetch(wanted, None, tmp_path).sha256 == SHA256  # no longer whole, so it came again
    assert len(server.asked) == 2


def test_what_broke_off_goes_on_where_it_stopped(server, tmp_path):
    server.breaks = [3_000_000, 1_000_000]
    fetched = fetching.fetch(source(f"{server.base}/data.jsonl", SHA256), None, tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    starts = [asked and int(asked[6:-1]) for _, asked in server.asked]
    assert starts == [None, 3_000_000, 4_000_000]


def test_a_server_that_knows_no_ranges_starts_again(server, tmp_path):
    server.breaks, server.ranges = [3_000_000], False
    assert fetching.fetch(source(f"{server.base}/data.jsonl"), None, tmp_path).sha256 == SHA256


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_halves_are_joined_without_a_validator_only_under_a_pin(server, tmp_path, etag):
    server.etag = etag
    server.breaks = [3_000_000]
    assert fetching.fetch(source(f"{server.base}/data.jsonl"), None, tmp_path).sha256 == SHA256
    assert [asked for _, asked in server.asked] == [None, None]
    server.breaks = [3_000_000]
    assert fetching.fetch(source(f"{server.base}/data.jsonl", SHA256), None, tmp_path).sha256 == SHA256
    assert server.asked[-1][1] == "bytes=3000000-"


def test_a_file_that_changed_meanwhile_comes_whole(server, tmp_path):
    server.breaks = [3_000_000, 0, 0, 0, 0]
    wanted = source(f"{server.base}/data.jsonl")
    with pytest.raises(UserError, match="3,000,000 bytes are kept"):
        fetching.fetch(wanted, None, tmp_path)
    server.content, server.etag, server.breaks = CONTENT[::-1], '"two"', []
    assert fetching.fetch(wanted, None, tmp_path).path.read_bytes() == CONTENT[::-1]


def test_the_next_run_goes_on_after_one_that_gave_up(server, tmp_path):
    server.breaks = [3_000_000, 0, 0, 0, 0]
    wanted = source(f"{server.base}/data.jsonl", SHA256)
    with pytest.raises(UserError, match="the next run goes on from there"):
        fetching.fetch(wanted, None, tmp_path)
    server.asked.clear()
    assert fetching.fetch(wanted, None, tmp_path).sha256 == SHA256
    assert [asked for _, asked in server.asked] == ["bytes=3000000-"]


def test_a_partial_file_that_is_too_long_is_thrown_away(server, tmp_path):
    server.breaks = [3_000_000, 0, 0, 0, 0]
    wanted = source(f"{server.base}/data.jsonl")
    with pytest.raises(UserError):
        fetching.fetch(wanted, None, tmp_path)
    (partial,) = tmp_path.glob("*/partial")
    partial.write_bytes(CONTENT + b"more")
    assert fetching.fetch(wanted, None, tmp_path).sha256 == SHA256


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    assert fetching.fetch(source(f"{server.base}/data.jsonl", SHA256), None, tmp_path).sha256 == SHA256


def test_a_wrong_hash_is_named_and_the_file_removed(server, tmp_path):
    wanted = source(f"{server.base}/data.jsonl", "0" * 64)
    with pytest.raises(UserError, match=f"data.jsonl: what came has sha256 {SHA256}, params.yaml pins {'0' * 64}"):
        fetching.fetch(wanted, None, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("status", "way_out"), [(404, "check the url"), (401, "by hand"), (403, "by hand")])
def test_a_refusal_says_what_to_do(server, tmp_path, status, way_out):
    server.statuses = [status]
    with pytest.raises(UserError, match=f"status {status}; .*{way_out}") as error:
        fetching.fetch(source(f"{server.base}/data.jsonl"), None, tmp_path)
    assert "\n" not in str(error.value)
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
    monkeypatch.setattr(fetching, "MODELSCOPE", f"{server.base}/scope")
    fetching.fetch(source("hf://owner/data set/a/b.json"), None, tmp_path)
    fetching.fetch(source("ms://owner/dataset/b.json"), None, tmp_path)
    fetching.fetch(source("hf://owner/dataset/a/b.json"), f"{server.base}/mirror/", tmp_path)
    assert [path for path, _ in server.asked] == [
        "/hub/datasets/owner/data%20set/resolve/main/a/b.json",
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
    with pytest.raises(UserError, match="mirror: nowhere is no folder"):
        fetching.fetch(source("ms://owner/dataset/file.json"), "nowhere", tmp_path)
    with pytest.raises(UserError, match="no file"):
        fetching.fetch(source("ms://owner/dataset/file.json"), str(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        *("hf://owner/file.json", "ms://owner//x", "hf://owner/../x", "hf://owner/..@v1/x", "hf://owner/data@/x"),
        *("pypi://name", "pypi://n==1 -r x"),
    ],
)
def test_a_url_without_its_parts_is_refused(url, tmp_path):
    with pytest.raises(UserError, match="the url of"):
        fetching.fetch(source(url), None, tmp_path)


def test_a_local_file_is_checked_and_never_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my texts.jsonl").write_bytes(b"{}")
    for url in ("file://my%20texts.jsonl", f"file://{tmp_path}/my texts.jsonl"):
        assert fetching.fetch(source(url), None, tmp_path / "d").bytes == 2
    with pytest.raises(UserError, match="yaml pins"):
        fetching.fetch(source("file://my%20texts.jsonl", "0" * 64), None, tmp_path / "d")
    assert Path("my texts.jsonl").exists()
    with pytest.raises(UserError, match=r"file://nothing\.jsonl: there is no file nothing\.jsonl; mend the url"):
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


# --- what came first holds --------------------------------------------------------------------------------------------


def test_a_file_that_is_another_than_the_first_is_an_error(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"first")
    wanted = source(f"file://{file}")
    first = fetching.fetch(wanted, None, tmp_path / "d")
    assert fetching.fetch(wanted, None, tmp_path / "d") == first
    file.write_bytes(b"later")
    later = hashlib.sha256(b"later").hexdigest()
    with pytest.raises(
        UserError, match=f"it has sha256 {later} now, and had {first.sha256} .* pin it .* or remove"
    ) as e:
        fetching.fetch(wanted, None, tmp_path / "d")
    assert fetching.fetch(source(wanted.url, later), None, tmp_path / "d").sha256 == later  # one way out
    Path(str(e.value).split("remove ")[1].split(";")[0]).unlink()  # the other
    assert fetching.fetch(wanted, None, tmp_path / "d").sha256 == later


def test_the_first_hash_holds_whichever_mirror_delivers(server, other, tmp_path):
    other.content = CONTENT[::-1]
    wanted = source("hf://owner/dataset/a.jsonl")
    fetching.fetch(wanted, server.base, tmp_path)
    with pytest.raises(UserError, match="it has sha256"):
        fetching.fetch(wanted, other.base, tmp_path)


def test_a_file_that_changed_on_the_server_is_an_error(server, tmp_path):
    wanted = source(f"{server.base}/data.jsonl")
    fetching.fetch(wanted, None, tmp_path).path.write_bytes(b"altered")
    server.content = CONTENT[::-1]
    with pytest.raises(UserError, match=f"and had {SHA256} when it first came"):
        fetching.fetch(wanted, None, tmp_path)


# --- mirrors, redirects, credentials ----------------------------------------------------------------------------------


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
    said = [line for line in capsys.readouterr().err.splitlines() if line.endswith("the next mirror is asked")]
    for line, word in zip(said, ["nowhere", "no file", "refused", "yaml pins", "in circles"], strict=True):
        assert line.startswith("download: hf://owner/dataset/a.jsonl: ") and word in line
    assert fetching.fetch(wanted, [other.base, server.base], tmp_path / "d") == fetched


def test_where_no_mirror_delivers_all_are_named(server, tmp_path):
    server.statuses = [404, 403]
    with pytest.raises(
        UserError, match=r"no mirror delivers it \(mirror: nowhere is no folder here, and .*404, and"
    ) as e:
        fetching.fetch(source("ms://o/d/a"), ["nowhere", server.base, f"{server.base}/b"], tmp_path)
    assert "\n" not in str(e.value)


def test_the_hub_is_asked_where_the_list_says_so(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.base}/hub")
    fetching.fetch(source("hf://owner/dataset/a.jsonl"), ["nowhere", "hub"], tmp_path)
    assert server.asked[-1][0] == "/hub/datasets/owner/dataset/resolve/main/a.jsonl"


def test_a_revision_is_asked_for_and_told(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "HUGGING_FACE", server.base)
    monkeypatch.setattr(fetching, "MODELSCOPE", server.base)
    for url in ("hf://owner/data@v1.0/a/b.json", "ms://owner/data@refs%2Fpr%2F1/b.json"):
        fetching.fetch(source(url), None, tmp_path)
    fetching.fetch(source("hf://owner/data@v1.0/a/b.json"), server.base, tmp_path)
    assert [path for path, _ in server.asked] == [
        "/datasets/owner/data/resolve/v1.0/a/b.json",
        "/datasets/owner/data/resolve/refs%2Fpr%2F1/b.json",
        "/owner/data%40v1.0/a/b.json",
    ]
    assert fetching.revision_of("hf://owner/data@v1.0/a") == "v1.0" and fetching.revision_of("pypi://a==2") == "2"
    assert fetching.revision_of("hf://owner/data/a") is fetching.revision_of("https://a@b/c@d/e") is None


SECRET = "hf_very-secret-token"


@pytest.mark.parametrize("name", fetching.TOKENS)
def test_a_token_goes_to_its_own_hub_alone(server, other, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv(name, f"{SECRET}\n")  # as `echo` leaves it in a file of secrets
    monkeypatch.setattr(fetching, "HUGGING_FACE", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(fetching, "MODELSCOPE", f"http://localhost:{server.server_port}")
    own, theirs = ("ms", "hf") if name.startswith("MODELSCOPE") else ("hf", "ms")
    paths = {"hf": "/datasets/o/d/resolve/main/a", "ms": "/datasets/o/d/resolve/master/a"}
    server.redirects[paths[own]] = f"{other.base}/cdn/a"  # as hubs send to their stores

    fetching.fetch(source(f"{own}://o/d/a"), None, tmp_path / "1")
    assert server.headers[-1]["Authorization"] == f"Bearer {SECRET}"
    assert ("Cookie" in server.headers[-1]) == (own == "ms")
    assert other.asked[-1][0] == "/cdn/a" and not {"Authorization", "Cookie"} & set(other.headers[-1])

    fetching.fetch(source(f"{theirs}://o/d/a"), None, tmp_path / "2")
    assert not {"Authorization", "Cookie"} & set(server.headers[-1])
    fetching.fetch(source(f"{own}://o/d/b"), other.base, tmp_path / "3")
    assert not {"Authorization", "Cookie"} & set(other.headers[-1])
    assert SECRET not in capsys.readouterr().err
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "content"):
        assert SECRET.encode() not in file.read_bytes()


def test_a_token_is_not_sent_where_others_can_read_it(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    for endpoint, sent in (("https://hub.example", True), ("http://hub.example", False), ("http://localhost:1", True)):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert (fetching._credentials(f"{endpoint}/datasets/x", f"{endpoint}/datasets/x") is not None) == sent


def test_a_token_that_is_none_is_an_error_without_it(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\nX-Other: 1")
    monkeypatch.setattr(fetching, "HUGGING_FACE", server.base)
    with pytest.raises(UserError, match="HF_TOKEN: it holds characters that no token has") as error:
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
    assert fetching.shown(text) == expected


def test_a_redirect_out_of_the_web_is_refused(server, tmp_path):
    server.redirects["/a"] = "file:///etc/passwd"
    with pytest.raises(UserError, match="redirects to no address of the web"):
        fetching.fetch(source(f"{server.base}/a"), None, tmp_path)


@pytest.mark.parametrize("url", ["https://host:port/a", "https://[::1/a", "https:///a", "http://a b/c", "https://./a"])
def test_what_is_no_address_is_an_error_in_a_line(tmp_path, url):
    with pytest.raises(UserError) as error:
        fetching.fetch(source(url), None, tmp_path)
    assert str(error.value).startswith(url) and "\n" not in str(error.value)


# --- waits ------------------------------------------------------------------------------------------------------------


def test_waits_double_and_begin_anew_after_progress(server, tmp_path):
    server.statuses = [503, 500, 429]
    server.breaks = [1_000_000]
    fetching.fetch(source(f"{server.base}/a", SHA256), None, tmp_path)
    assert waits == [1.0, 2.0, 4.0, 0.0]


@pytest.mark.parametrize(("asked", "expected"), [("7", 7.0), ("100000", 60.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0)])
def test_a_server_is_given_the_time_that_it_asks_for_within_bounds(server, tmp_path, asked, expected):
    server.statuses, server.retry_after = [429], asked
    fetching.fetch(source(f"{server.base}/a", SHA256), None, tmp_path)
    assert waits == [expected]


def test_a_file_of_unknown_size_is_told_as_such(server, tmp_path, capsys):
    server.length = False
    fetching.fetch(source(f"{server.base}/a"), None, tmp_path)
    assert "the server tells no size" in capsys.readouterr().err
    server.breaks = [1000]
    with pytest.raises(UserError, match="yaml pins"):  # a pin tells that it broke off
        fetching.fetch(source(f"{server.base}/b", SHA256), None, tmp_path)


def test_names_of_files_on_servers_lead_nowhere(server, tmp_path):
    for path in ("verified.json", "partial", "..%2f..%2fetc%2fpasswd", "a" * 200, "", "?a/b"):
        fetched = fetching.fetch(source(f"{server.base}/{path}", SHA256), None, tmp_path / "d")
        assert fetched.path.parent.name == "content" and fetched.path.read_bytes() == CONTENT
        assert fetching.fetch(source(f"{server.base}/{path}", SHA256), None, tmp_path / "d") == fetched


@pytest.fixture
def pip_alone(tmp_path, monkeypatch):
    """pip without index and configuration, and with one folder of wheels."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    (tmp_path / "links").mkdir()
    return tmp_path / "links"


def test_a_wheel_is_fetched_by_pip_and_kept(pip_alone, tmp_path, monkeypatch):
    built = wheel(pip_alone)
    sha256 = hashlib.sha256(built.read_bytes()).hexdigest()
    wanted = source("pypi://woodblock-sample==1.0", sha256)
    fetched = fetching.fetch(wanted, None, tmp_path / "downloads")
    assert (fetched.name, fetched.sha256) == (built.name, sha256)
    built.unlink()  # no network any more
    assert fetching.fetch(wanted, None, tmp_path / "downloads") == fetched


def test_a_wheel_that_pip_cannot_fetch_is_one_line(pip_alone, tmp_path):
    with pytest.raises(UserError, match=r"pypi://woodblock-sample==1\.0: pip cannot fetch") as error:
        fetching.fetch(source("pypi://woodblock-sample==1.0"), None, tmp_path / "downloads")
    assert "\n" not in str(error.value) and "No matching distribution" in str(error.value)


def test_what_pip_waits_for_is_said(monkeypatch, capsys):
    monkeypatch.setattr(fetching, "SECONDS_OF_SILENCE", 0.05)
    errors, code = fetching._run(
        [fetching.sys.executable, "-c", "import time; time.sleep(.3); exit('why')"], "pypi://a==1"
    )
    assert (errors.strip(), code) == ("why", 1)
    assert "waiting for pip, which fetches pypi://a==1" in capsys.readouterr().err
