"""Fetching, against a server that misbehaves as servers do, and against pip without a network."""

from __future__ import annotations

import hashlib
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from woodblock import fetching
from woodblock.errors import UserError
from woodblock.params import Source

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; what it does wrong is set from outside, and what it was asked is kept."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.ranges = CONTENT, '"one"', True
        self.breaks: list[int] = []  # bytes after which each of the next answers breaks off
        self.stalls: list[int] = []  # bytes after which each of the next answers waits to be released
        self.released = threading.Event()
        self.statuses: list[int] = []  # of the next answers, instead of the file
        self.asked: list[tuple[str, str | None]] = []  # path and Range

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((self.path, asked))
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        content, start = server.content, 0
        if asked and server.ranges and self.headers.get("If-Range", server.etag) == server.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = start + server.breaks.pop(0) if server.breaks else len(content)
        if server.stalls:
            stall = start + server.stalls.pop(0)
            self.wfile.write(content[start:stall])
            server.released.wait(60)
            start = stall
        self.wfile.write(content[start:stop])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)


def source(url: str, sha256: str | None = None) -> Source:
    return Source(url=url, format="jsonl", licence="none", sha256=sha256)


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
    server.breaks = [3_000_000, 0, 0, 0]
    wanted = source(f"{server.base}/data.jsonl")
    with pytest.raises(UserError, match="3,000,000 bytes are kept"):
        fetching.fetch(wanted, None, tmp_path)
    server.content, server.etag, server.breaks = CONTENT[::-1], '"two"', []
    assert fetching.fetch(wanted, None, tmp_path).path.read_bytes() == CONTENT[::-1]


def test_the_next_run_goes_on_after_one_that_gave_up(server, tmp_path):
    server.breaks = [3_000_000, 0, 0, 0]
    wanted = source(f"{server.base}/data.jsonl", SHA256)
    with pytest.raises(UserError, match="the next run goes on from there"):
        fetching.fetch(wanted, None, tmp_path)
    server.asked.clear()
    assert fetching.fetch(wanted, None, tmp_path).sha256 == SHA256
    assert [asked for _, asked in server.asked] == ["bytes=3000000-"]


def test_a_partial_file_that_is_too_long_is_thrown_away(server, tmp_path):
    server.breaks = [3_000_000, 0, 0, 0]
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
    assert not (tmp_path / "downloads").exists()  # read where it lies


def test_a_mirror_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="mirror: nowhere is no folder"):
        fetching.fetch(source("ms://owner/dataset/file.json"), "nowhere", tmp_path)
    with pytest.raises(UserError, match="no file"):
        fetching.fetch(source("ms://owner/dataset/file.json"), str(tmp_path), tmp_path)


@pytest.mark.parametrize(
    "url", ["hf://owner/file.json", "ms://owner//x", "hf://owner/../x", "pypi://name", "pypi://n==1 -r x"]
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
    for url in ("file://nothing.jsonl", f"file://{tmp_path}"):
        with pytest.raises(UserError, match=url):
            fetching.fetch(source(url), None, tmp_path / "d")


def wheel(folder: Path, name: str = "woodblock_sample", files: dict[str, bytes] | None = None) -> Path:
    """A wheel as pip takes it from a folder of links, with files of our own in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    texts = {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Python: <3\n".encode()}
    texts[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in ({f"{name}/data.jsonl": b'{"text": "a"}\n'} if files is None else files).items():
            archive.writestr(member, text)
        for member, text in texts.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in texts))
    return path


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
