"""Unpacking: the bytes of a compressed file as a stream; damage, a cut and a zip bomb are found while it is read."""

from __future__ import annotations

import bz2
import errno
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa

from woodblock.base.errors import UserError

BLOCK = 1 << 20  # bytes that are read at a time, and that can be looked at in advance
# Text shrinks to a third or a tenth, a table of repeats to a fiftieth, a zip bomb to a thousandth of its size or less.
# The first 64 MB may have any ratio: a small file of blanks is no attack.
BOMB_RATIO, BOMB_BYTES = 200, 64_000_000
XZ_MEMORY = 512_000_000  # bytes that an xz dictionary may ask for: xz -9 asks for 65 MB, a hostile header for 4 GB

DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)


def broken(url: str, what: str) -> UserError:
    """The error of a file that is damaged. what: what was found."""
    return UserError(
        f"{url}: the file is broken or cut short ({what}); "
        "remove .woodblock/downloads, or the local file, and fetch it again"
    )


@contextmanager
def telling_damage(url: str, damage: tuple[type[Exception], ...] = DAMAGE) -> Iterator[None]:
    """Turn what a damaged file raises into a user's error."""
    try:
        yield
    except damage as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the system's error (a full disk, say). EINVAL is the archive's: it names a place that does not exist
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise broken(url, what) from None


class Meter:
    """Compares the bytes that come out of a compressed file with those that went in."""

    def __init__(self, url: str, came_in: Callable[[], int]) -> None:
        self.url, self.came_in, self.out = url, came_in, 0

    def count(self, out: int) -> None:
        """Count bytes that came out. Raises UserError once they are more than text or tables unpack to."""
        self.out += out
        if self.out > BOMB_BYTES and self.out > BOMB_RATIO * self.came_in():
            raise UserError(
                f"{self.url}: unpacks to more than {BOMB_RATIO} times its size, which is typical of a zip bomb; "
                "remove the source, or unpack it yourself if you trust it"
            )


class CheckedStream(io.RawIOBase):
    """A function read(size) as a raw file. Damage becomes a user's error, whoever reads."""

    def __init__(self, read: Callable[[int], bytes], url: str, damage: tuple[type[Exception], ...] = DAMAGE) -> None:
        self._take, self._url, self._damage = read, url, damage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with telling_damage(self._url, self._damage):
            block = self._take(len(buffer))
        buffer[: len(block)] = block
        return len(block)


class Blocks:
    """Blocks of bytes as something with read(size)."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, bytearray()

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        while len(self._left) < size and (block := next(self._blocks, b"")):
            self._left += block
        taken = bytes(self._left[:size])
        del self._left[:size]
        return taken


class _Gzip:
    """zlib's decompressor with the interface of those of bz2 and lzma. It checks the length and the CRC at the end."""

    def __init__(self) -> None:
        self._inner, self.needs_input = zlib.decompressobj(wbits=31), True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        block = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(block) < max_length and not self._inner.unconsumed_tail
        return block


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
}


def unpacked(file: IO[bytes], packing: str, meter: Meter) -> Iterator[bytes]:
    """The unpacked bytes of a compressed file, in blocks of a megabyte at most. packing: gzip, bzip2, xz or zstd.

    gzip.open, bz2.open and lzma.open are not used: after the first of several streams they take damage for the end.
    """
    blocks = _zstd(file) if packing == "zstd" else _streams(file, _DECOMPRESSORS[packing])
    for block in blocks:
        meter.count(len(block))
        yield block


def _streams(file: IO[bytes], new: Callable[[], Any]) -> Iterator[bytes]:
    """The blocks of a file with one or more streams: parallel packers write several, one after the other. Zeros may
    follow each, as tape drives left them."""
    decompressor, data = new(), b""
    while True:
        if decompressor.eof:
            data = decompressor.unused_data.lstrip(b"\0")
            while not data:
                if not (data := file.read(BLOCK)):
                    return
                data = data.lstrip(b"\0")
            decompressor = new()
        elif decompressor.needs_input:
            if not (data := file.read(BLOCK // 4)):
                raise EOFError("it ends in the middle of the compressed data")
        else:
            data = b""
        if block := decompressor.decompress(data, BLOCK):
            yield block


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    # PyArrow's codec reads frame after frame, and raises for a frame that is cut short.
    with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as stream:
        while block := stream.read(BLOCK):
            yield block
