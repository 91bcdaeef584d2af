"""Archives: the members of what was fetched, one after the other, as streams. Nothing is unpacked to disk.

A source is a file, a folder of files, or an archive: tar, zip or whl. Files and tars may be compressed once, by gzip,
bzip2, xz or zstd. The name of a file says how it is packed. If the name does not say it, the first bytes do. If the two
disagree, the file is broken.

An archive may be hostile. So these are refused, in one line and before any output: members whose path leads outside,
links, devices, encrypted members, members that are packed a second time, and archives that unpack to far more than text
does. A file that is cut short is an error. Only one cut cannot be seen: between two streams of a file that was
compressed in several.
"""

from __future__ import annotations

import fnmatch
import io
import re
import struct
import tarfile
import zipfile
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from woodblock.base.errors import UserError
from woodblock.sources.addresses import shown
from woodblock.sources.known_files import Fetched
from woodblock.sources.unpacking import BLOCK, DAMAGE, Blocks, CheckedStream, Meter, broken, telling_damage, unpacked

LONGEST_TAR_HEADER = 1_000_000  # bytes of an extended header: a path and a few attributes

# What zipfile raises on a directory whose numbers or names make no sense, or that needs what zipfile cannot do.
_ZIP_DAMAGE = (*DAMAGE, ValueError, struct.error, OverflowError, NotImplementedError, RuntimeError, LookupError)

_ENDINGS = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".bz2": "bzip2",
    ".tbz": "bzip2",
    ".tbz2": "bzip2",
    ".xz": "xz",
    ".txz": "xz",
    ".zst": "zstd",
    ".tzst": "zstd",
    ".zip": "zip",
    ".whl": "zip",
}
_ARCHIVES = (
    ".zip",
    ".tar",
    ".tgz",
    ".tbz",
    ".tbz2",
    ".txz",
    ".tzst",
    *(f".tar.{c}" for c in ("gz", "bz2", "xz", "zst")),
)
_TAR = re.compile(r"\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)
# Files whose kind is no text. Some of them are zips inside, but no archives of files to read.
UNREADABLE = tuple(
    f".{ending}"
    for endings in (
        "pdf doc docx docm xls xlsx xlsm ppt pptx odt ods odp pages numbers key epub mobi azw azw3 djvu rtf chm caj",
        "jpg jpeg png gif webp bmp tif tiff svg ico mp3 wav flac ogg m4a mp4 avi mov mkv",
        "npz npy pt pth bin safetensors pickle pkl arrow feather orc avro h5 rar 7z jar apk exe dll so pyc",
    )
    for ending in endings.split()
)
_MAGIC = {
    "gzip": rb"\x1f\x8b",
    "bzip2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\0",
    "zstd": rb"(\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)",
    "zip": rb"PK(\x03\x04|\x05\x06)",
}
# Files about the data, such as a README or a licence: they are read only if member names them.
_ASIDE = re.compile(
    r"(^|/)(\.[^/.][^/]*(/.*)?|__MACOSX/.*|[^/]*\.dist-info/.*|(readme|licen[cs]e|notice|copying|changelog|authors)"
    r"([_.-][^/.]*)?(\.(txt|md|html?))?)$",
    re.IGNORECASE,
)


@dataclass
class Member:
    """A file to read. name: its own, without the ending of a compression. where: its name in messages. packing: how it
    was packed ("tar.bzip2", "zip", ""). path: the file on disk, if it is not packed."""

    name: str
    where: str
    stream: io.BufferedReader[CheckedStream]
    packing: str
    path: Path | None = None

    @property
    def head(self) -> bytes:
        """Its first bytes (up to a megabyte). They can still be read from the stream."""
        return self.stream.peek(BLOCK)


def members(
    fetched: Fetched, url: str, member: str | None, endings: tuple[str, ...], skipped: Counter[str] | None = None
) -> Generator[Member, None, None]:
    """Yield each file that is wanted, in the order of the archive, or of the names in a folder.

    member: one name in the archive, a folder of it ("data/zh/"), a pattern ("*/wiki_*"), or None for all that have one
    of the endings and are not about the data (a README, a licence). A file that is no archive is its own only member.
    skipped: counts, by kind, the files that would have been wanted if they could be read.
    Read each stream before you take the next member. Raises UserError, also while a stream is read, for what is broken,
    cut short or hostile, and if no file is found.
    """
    url = shown(url)
    others: list[str] = []
    found, passed = False, Counter[str]()
    with closing(_all(fetched, url)) as everything:
        for name, found_member in everything:
            others = sorted([*others, name], key=lambda other: (not other.lower().endswith(endings), other))[:3]
            if not name or _wanted(name, found_member, member, endings):
                if found_member.packing and (inner := _packing_of(found_member.name, found_member.head)):
                    raise UserError(
                        f"{found_member.where} is packed a second time, with {inner}; unpack the outer archive, and give "
                        "the inner one as the source"
                    )
                found = True
                yield found_member
            elif member is None or _matches(name, member):
                passed[kind_of(name)] += 1
    if skipped is not None:
        skipped.update(passed)
    if not found and passed and member:
        raise UserError(
            f"{url}: {member} matches only files that cannot be read ({counted(passed)}); convert them to text, HTML, "
            "Markdown or JSON Lines, or correct member in params.yaml"
        )
    if not found:
        what = f"no {member}" if member else f"no {' or '.join(endings)} file"
        raise UserError(
            f"{url}: found {what}, but it contains {', '.join(others) or 'nothing'}; correct member in params.yaml"
        )


def _wanted(path: str, found: Member, member: str | None, endings: tuple[str, ...]) -> bool:
    """Whether a member is wanted: by its path in the archive, and its name without the ending of a compression."""
    if member is not None and path == member:
        return True
    # An archive within the archive is wanted too. It is then refused: without an error its data would be missing silently.
    name = found.name.lower()
    known = name.endswith((*endings, *_ARCHIVES)) or (_bare(name) != name and _bare(name).endswith(endings))
    if member is None:
        return known and not _ASIDE.search(path)
    if not _matches(path, member):
        return False
    # A pattern may also choose files whose names do not tell their kind, such as wiki_00. Their bytes tell it.
    return known or (not member.endswith("/") and not name.endswith(UNREADABLE) and _is_text(found.head))


def _matches(path: str, member: str) -> bool:
    if member.endswith("/"):
        return path.startswith(member)
    return path == member or fnmatch.fnmatchcase(path, member)


def _is_text(head: bytes) -> bool:
    """Whether the first bytes may be a text, or a format that has no ending here."""
    return head.startswith((b"PAR1", b"\xff\xfe", b"\xfe\xff")) or b"\0" not in head[:1024]


def kind_of(path: str) -> str:
    """The kind of a file that is not read: its ending, or that it is about the data (a README, a licence)."""
    if _ASIDE.search(path):
        return "about the data"
    return Path(_bare(path)).suffix.lower() or "without an ending"


def counted(kinds: Mapping[str, int]) -> str:
    """How many of which kinds: "3 .pdf, 1 .docx"."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


# --- what a file is packed by ----------------------------------------------------------------------------------------


def _packing_of(name: str, head: bytes) -> str | None:
    """The compression or archive that a name says or, if the name does not, the first bytes; None for neither."""
    ending = Path(name).suffix.lower()
    if ending in UNREADABLE:
        return None
    claimed = _ENDINGS.get(ending)
    return claimed or next((kind for kind, magic in _MAGIC.items() if re.match(magic, head)), None) or _tar(name, head)


def _tar(name: str, head: bytes) -> str | None:
    if _TAR.search(name):
        return "tar"
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
        return "tar"
    except tarfile.TarError:
        return None


def _bare(name: str) -> str:
    """A name without the ending of its compression."""
    return name[: -len(Path(name).suffix)] if _ENDINGS.get(Path(name).suffix.lower()) else name


def _all(fetched: Fetched, url: str) -> Generator[tuple[str, Member], None, None]:
    """(path in the archive or folder, or "" for a file that is its own member; the member) of every regular file."""
    if not fetched.path.is_dir():
        yield from _of_file(fetched.path, fetched.name, url)
        return
    for file in fetched.files:
        relative = file.relative_to(fetched.path).as_posix()
        for inner, member in _of_file(file, file.name, f"{url} ({relative})"):
            member.name = f"{relative}/{member.name}" if inner else _bare(relative)
            yield f"{relative}/{inner}" if inner else relative, member


def _of_file(path: Path, name: str, url: str) -> Iterator[tuple[str, Member]]:
    with path.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
        file.seek(0)
        packing = _packing_of(name, head)
        if packing in _MAGIC and not re.match(_MAGIC[packing], head):
            raise broken(url, f"its name says {packing}, but its first bytes do not")
        if packing == "zip":
            yield from _of_zip(file, path.stat().st_size, url)
        elif packing in (None, "tar"):
            raw = io.BufferedReader(CheckedStream(file.read, url), BLOCK)
            if packing:
                yield from _of_tar(raw, url, "tar")
            else:
                yield "", Member(name, url, raw, "", path)
        else:
            blocks = unpacked(file, packing, Meter(url, file.tell))
            raw = io.BufferedReader(CheckedStream(Blocks(blocks).read, url), BLOCK)
            if _tar(name, raw.peek(BLOCK)[: tarfile.BLOCKSIZE]):
                yield from _of_tar(raw, url, f"tar.{packing}")
                while raw.read(BLOCK):  # to the end, where the checksum is
                    pass
            else:
                yield "", Member(_bare(name), url, raw, packing)


# --- archives --------------------------------------------------------------------------------------------------------


def _refuse_outside(name: str, url: str) -> None:
    """Raises UserError for the name of a member that would be unpacked outside of its folder."""
    path = name.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/") or "\0" in path:
        raise UserError(f"{url}: contains {name!r}, which leads outside of the archive; do not trust this file")


def _refuse(what: str, name: str, url: str) -> UserError:
    return UserError(f"{url}: contains {name!r}, {what}; pack only plain files")


def _of_zip(file: IO[bytes], size: int, url: str) -> Iterator[tuple[str, Member]]:
    # Whatever its entries say, a zip has no more compressed bytes than its size. So overlapping entries cannot hide a bomb.
    meter = Meter(url, lambda: size)
    with telling_damage(url, _ZIP_DAMAGE):
        archive = zipfile.ZipFile(file)
    with archive:
        infos = archive.infolist()
        if len(infos) & 0xFFFF != _announced(file, size):
            raise broken(url, "its directory does not have as many entries as it says")
        for info in infos:
            kind = info.external_attr >> 28  # of the Unix mode: 4 is a folder, 8 a file, 0 where the packer gave none
            _refuse_outside(info.orig_filename, url)
            if info.flag_bits & 1:
                raise _refuse("which is encrypted", info.filename, url)
            if kind not in (0, 4, 8):
                raise _refuse("a link or a device", info.filename, url)
        for info in infos:
            # Every member is opened: zipfile then compares its name with the one before its data. Otherwise a damaged
            # directory could hide a member.
            with telling_damage(url, _ZIP_DAMAGE):
                opened = archive.open(info)
            with opened:
                if not info.is_dir():

                    def read(size: int, opened: IO[bytes] = opened) -> bytes:
                        block = opened.read(size)
                        meter.count(len(block))
                        return block

                    where = f"{url} ({info.filename})"
                    stream = io.BufferedReader(CheckedStream(read, url, _ZIP_DAMAGE), BLOCK)
                    yield info.filename, Member(info.filename, where, stream, "zip")


def _announced(file: IO[bytes], size: int) -> int:
    """The number of entries that the end of a zip announces, modulo 65,536 (APPNOTE, 4.3.16 and 4.3.14).

    zipfile does not check it: an entry with a damaged length swallows those after it.
    """
    file.seek(max(0, size - 100_000))  # the end, its comment of up to 64 KB and, before it, the end of a large zip
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    count = int.from_bytes(tail[end + 10 : end + 12], "little")
    large = tail.rfind(b"PK\x06\x06", 0, end)
    return int.from_bytes(tail[large + 32 : large + 34], "little") if count == 0xFFFF and large >= 0 else count


def _of_tar(raw: IO[bytes], url: str, packing: str) -> Iterator[tuple[str, Member]]:
    """The regular files of a tar (POSIX.1-2001, pax and GNU's long names), in one pass.

    tarfile's own stream is not used: it takes an archive that was cut between two members for a whole one.
    """
    extended: dict[str, str] = {}
    ended = False
    while header := raw.read(tarfile.BLOCKSIZE):
        if ended := not header.strip(b"\0"):
            continue  # the end, two blocks of zeros; another tar may have been added after it
        with telling_damage(url):
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE):
            extended |= _pax(_tar_header(raw, info, url), url) if info.type != tarfile.XGLTYPE else {}
            continue
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            name = _tar_header(raw, info, url).rstrip(b"\0").decode("utf-8", "surrogateescape")
            extended |= {"path": name} if info.type == tarfile.GNUTYPE_LONGNAME else {}
            continue
        name = extended.get("path", info.name)
        size = _pax_size(extended["size"], url) if "size" in extended else info.size
        _refuse_outside(name, url)
        if not (info.isdir() or info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)):
            raise _refuse("a link or a device", name, url)
        if any(key.startswith("GNU.sparse") for key in extended):
            raise _refuse("a sparse file", name, url)
        extended = {}
        body = _Body(raw, 0 if info.isdir() else size, url)
        if not info.isdir():
            stream = io.BufferedReader(CheckedStream(body.read, url), min(BLOCK, max(size, 1)))
            yield name, Member(name, f"{url} ({name})", stream, packing)
        body.skip()
    if not ended:
        raise broken(url, "the tar has no end")


class _Body:
    """The bytes of a tar member, read from those of the archive."""

    def __init__(self, raw: IO[bytes], size: int, url: str) -> None:
        if size < 0:
            raise broken(url, "a member of the tar has a negative size")
        self._raw, self._url, self._left, self._padding = raw, url, size, -size % tarfile.BLOCKSIZE

    def read(self, size: int) -> bytes:
        block = self._raw.read(min(size, self._left))
        if not block and self._left and size:
            raise EOFError("a member of the tar is cut short")
        self._left -= len(block)
        return block

    def skip(self) -> None:
        """Go to the next header."""
        with telling_damage(self._url):
            while self._left:
                self.read(BLOCK)
            if len(self._raw.read(self._padding)) < self._padding:
                raise EOFError("a member of the tar is cut short")


def _tar_header(raw: IO[bytes], info: tarfile.TarInfo, url: str) -> bytes:
    if info.size > LONGEST_TAR_HEADER:
        raise broken(url, f"the tar has a header of {info.size:,} bytes")
    body = _Body(raw, info.size, url)
    with telling_damage(url):
        content = b"".join(iter(lambda: body.read(BLOCK), b""))
    body.skip()
    return content


def _pax(content: bytes, url: str) -> dict[str, str]:
    """The records "length key=value\\n" of an extended header."""
    found: dict[str, str] = {}
    while content.strip(b"\0"):
        record = re.match(rb"(\d{1,7}) ([^=]+)=", content)
        length = int(record[1]) if record else 0
        if not record or length <= record.end() or content[length - 1 : length] != b"\n":
            raise broken(url, "an extended header of the tar makes no sense")
        value = content[record.end() : length - 1]
        found[record[2].decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[length:]
    return found


def _pax_size(text: str, url: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise broken(url, "an extended header of the tar makes no sense")
    return int(text)
