"""A server on loopback that misbehaves as servers do, and a wheel as a package registry has it."""

from __future__ import annotations

import hashlib
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((self.path, asked))
        server.headers.append(dict(self.headers))
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
