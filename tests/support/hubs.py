"""A server on loopback that misbehaves as servers do or speaks as the Hugging Face hub does, and a wheel of a registry."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from woodblock.run.settings.sources import Source

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
        self.headers: list[dict[str, str]] = []  # of the requests
        self.redirects: dict[str, str] = {}  # from a path to an address
        self.retry_after: str | None = None
        self.length = True  # whether the size is announced
        self.hub: dict[str, dict[str, dict[str, bytes]]] = {}  # data set → commit → name → content
        self.refs: dict[str, str] = {}  # branch or tag → commit
        self.gated: set[str] = set()  # data sets that want a token

    def publish(self, repo: str, files: dict[str, bytes], ref: str = "main") -> str:
        """Give a data set a new commit, which the branch then stands for."""
        told = json.dumps([repo, sorted((name, content.hex()) for name, content in files.items())])
        commit = hashlib.sha1(told.encode()).hexdigest()
        self.hub.setdefault(repo, {})[commit] = files
        self.refs[ref] = commit
        return commit

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _api(self) -> bool:
        """Answer a question of the hub's API: a revision's commit, or the files of a folder; whether it was one."""
        server, parts = self.server, urlsplit(self.path)
        place = parts.path.partition("/api/datasets/")[2]
        if not place:
            return False
        steps = [unquote(step) for step in place.split("/")]
        repo, kind, revision, folder = "/".join(steps[:2]), steps[2], steps[3], "/".join(steps[4:])
        commit = server.refs.get(revision, revision)
        if repo not in server.hub:
            self._tell(404, {"error": "Repository not found"}, "RepoNotFound")
        elif repo in server.gated and "Authorization" not in self.headers:
            self._tell(401, {"error": "Access to dataset is restricted"}, "GatedRepo")
        elif commit not in server.hub[repo]:
            self._tell(404, {"error": f"Invalid rev id: {revision}"}, "RevisionNotFound")
        elif kind == "revision":
            self._tell(200, {"id": repo, "sha": commit, "private": False, "tags": [], "siblings": []})
        else:
            deep = parse_qs(parts.query).get("recursive", [""])[0].lower() in ("1", "true")
            start = f"{folder}/" if folder else ""
            inside = {n: c for n, c in server.hub[repo][commit].items() if n.startswith(start)}
            files = [_listed(n, c) for n, c in inside.items() if deep or "/" not in n.removeprefix(start)]
            folders = {n.removeprefix(start).partition("/")[0] for n in inside if "/" in n.removeprefix(start)}
            files += [{"type": "directory", "path": start + name, "oid": "0" * 40} for name in sorted(folders)]
            self._tell(200, files) if inside else self._tell(404, {"error": "no such entry"}, "EntryNotFound")
        return True

    def _tell(self, status: int, answer: object, error: str | None = None) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        self.wfile.write(body)

    def _content(self) -> bytes:
        """The hub's file at a commit, or what every other address has."""
        repo, _, rest = urlsplit(self.path).path.partition("/datasets/")[2].partition("/resolve/")
        commit, _, name = rest.partition("/")
        return self.server.hub.get(unquote(repo), {}).get(commit, {}).get(unquote(name), self.server.content)

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((self.path, asked))
        server.headers.append({name.title(): value for name, value in self.headers.items()})
        if target := server.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if server.statuses:
            self.send_response(server.statuses.pop(0))
            if server.retry_after is not None:
                self.send_header("Retry-After", server.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self._api():
            return
        content, start = self._content(), 0
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
        if server.length:
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


def _listed(name: str, content: bytes) -> dict[str, object]:
    """A file as the hub lists it: one of more than 100 bytes counts as large (LFS)."""
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    large = {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}}
    return {"type": "file", "path": name, "size": len(content), "oid": blob} | (large if len(content) > 100 else {})


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def source(url: str, sha256: str | None = None) -> Source:
    """A source to fetch, under a hash that is pinned or none."""
    return Source(url=url, licence="none", sha256=sha256)


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
