"""Opening archives: every packing gives back what was packed; what is cut, damaged or hostile is an error in a line."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tarfile
import zipfile

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.packed_files import ARCHIVES, PACKERS, packed, put, tar

from woodblock.base.errors import UserError
from woodblock.sources import archives, unpacking
from woodblock.sources.known_files import Fetched

COMPRESSIONS = ["gz", "bz2", "xz", "zst"]
CHECKED = ["a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip", "a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.xz"]  # by a checksum
ANY_ARCHIVE = ["a.zip", "a.tar", "a.tar.gz", "a.tar.zst"]
quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def opened(fetched: Fetched, member: str | None = "*") -> dict[str, bytes]:
    found = archives.members(fetched, f"file://{fetched.name}", member, (".jsonl", ".txt"))
    return {member.name: member.stream.read() for member in found}


NAMES = st.lists(st.text("ab一.-_ é", min_size=1, max_size=120).filter(lambda n: n.strip(". ")), min_size=1, max_size=4)
CONTENTS = st.text(max_size=3000).map(lambda text: ("字" + text).encode("utf-8", "replace"))


@pytest.mark.parametrize("name", ARCHIVES)
@quick
@given(st.dictionaries(NAMES.map(lambda parts: "/".join(parts) + ".txt"), CONTENTS, min_size=1, max_size=5))
def test_what_was_packed_comes_back(tmp_path, name, members):
    assert opened(put(tmp_path, name, packed(name, members))) == members


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ["a" * 90 + ".txt", "d/" * 60 + "a.txt"])
def test_long_names_of_every_tar_come_back(tmp_path, format, name):
    assert opened(put(tmp_path, "a.tar", tar({name: b"t", "b.txt": b"u"}, format))) == {name: b"t", "b.txt": b"u"}


def test_long_unicode_names_of_pax_and_gnu_come_back(tmp_path):
    name = "目录/" * 60 + "a.txt"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert opened(put(tmp_path, "a.tar", tar({name: b"t", "b.txt": b"u"}, format))) == {name: b"t", "b.txt": b"u"}


@pytest.mark.parametrize("ending", COMPRESSIONS)
@quick
@given(content=CONTENTS)
def test_a_compressed_file_comes_back_whatever_it_is_called(tmp_path, ending, content):
    for name in (f"a.txt.{ending}", "download"):
        fetched = put(tmp_path, name, PACKERS[ending](content))
        assert list(opened(fetched, None).values()) == [content]


def test_an_archive_is_told_by_its_bytes_where_its_name_is_silent(tmp_path):
    for name in ARCHIVES:
        fetched = put(tmp_path, "resolve", packed(name, {"b.txt": b"t" * 100}))
        assert opened(fetched) == {"b.txt": b"t" * 100}


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.tar.bz2", "a.zip", "a.tar.zst"])
def test_a_name_that_claims_what_the_bytes_are_not_is_an_error(tmp_path, name):
    with pytest.raises(UserError, match=rf"file://{name}: the file is broken or cut short \(its name says"):
        opened(put(tmp_path, name, b'{"text": "t"}\n'))


def test_files_in_several_streams_are_read_to_the_end(tmp_path):
    content = bytes(range(200)) * 500
    for ending in COMPRESSIONS:
        pack = PACKERS[ending]
        halves = pack(content[:30_000]) + (b"" if ending == "zst" else b"\0" * 512) + pack(content[30_000:])
        assert list(opened(put(tmp_path, f"a.txt.{ending}", halves), None).values()) == [content]
        with pytest.raises(UserError, match="broken or cut short"):  # not taken for padding behind the first
            opened(put(tmp_path, f"a.txt.{ending}", pack(content) + b"\x01" + pack(content)[1:]), None)


def test_a_tar_that_was_added_to_another_is_read(tmp_path):
    both = tar({"a.txt": b"1"}) + tar({"b.txt": b"2"})
    assert opened(put(tmp_path, "a.tar", both)) == {"a.txt": b"1", "b.txt": b"2"}


# --- cut and damaged --------------------------------------------------------------------------------------------------

MEMBERS = {f"{i}.txt": b"line %d\n" % i * 150 for i in range(8)}


@pytest.mark.parametrize("name", [*ARCHIVES, *(f"a.txt.{ending}" for ending in COMPRESSIONS)])
def test_a_file_that_is_cut_at_any_byte_is_an_error_or_complete(tmp_path, name):
    whole = packed(name, MEMBERS)
    expected = opened(put(tmp_path, name, whole))
    errors = 0
    for cut in {*range(0, len(whole), max(1, len(whole) // 400)), *range(0, len(whole), 512)}:
        try:
            assert opened(put(tmp_path, name, whole[:cut])) == expected, cut
        except UserError as error:
            errors += 1
            assert str(error).startswith(f"file://{name}: ") and "\n" not in str(error)
    assert errors > 10


def test_a_tar_that_is_cut_between_two_members_is_an_error(tmp_path):
    whole = tar(MEMBERS)
    cut = whole.index(b"4.txt\0")
    assert cut % 512 == 0
    with pytest.raises(UserError, match="the tar has no end"):
        opened(put(tmp_path, "a.tar", whole[:cut]))


@pytest.mark.parametrize("name", CHECKED)
@settings(quick, max_examples=150)
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_byte_that_is_wrong_is_an_error_or_does_no_harm(tmp_path, name, share, flip):
    content = bytearray(packed(name, MEMBERS))
    expected = opened(put(tmp_path, name, bytes(content)))
    content[int(len(content) * share)] ^= flip
    try:
        assert list(opened(put(tmp_path, name, bytes(content))).values()) == list(expected.values())
    except UserError as error:
        assert str(error).startswith(f"file://{name}") and "\n" not in str(error)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.zst", "a.zip", "a.tar.gz"])
@settings(quick, max_examples=150)
@given(st.data())
def test_whatever_is_damaged_the_error_is_a_users(tmp_path, name, data):
    content = bytearray(packed(name, MEMBERS))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        opened(put(tmp_path, name, bytes(content)))
    except UserError as error:
        assert "\n" not in str(error)


@quick
@given(st.binary(max_size=3000), st.sampled_from(["a.zip", "a.tar", "a.tar.gz", "a.xz", "a.zst", "a.txt"]))
def test_what_is_no_archive_at_all_is_an_error_or_a_file(tmp_path, content, name):
    try:
        opened(put(tmp_path, name, content))
    except UserError as error:
        assert "\n" not in str(error)


# --- hostile ----------------------------------------------------------------------------------------------------------

OUTSIDE = ["/etc/passwd.txt", "../a.txt", "a/../../b.txt", "C:/a.txt", "c:\\a.txt", "\\a.txt", "a\\..\\..\\b.txt"]


@pytest.mark.parametrize("archive", ANY_ARCHIVE)
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_that_leads_outside_is_refused(tmp_path, archive, name):
    with pytest.raises(UserError, match=f"file://{archive}: contains .*leads outside"):
        opened(put(tmp_path, archive, packed(archive, {"a.txt": b"t", name: b"t"})), "a.txt")


def odd_tar(**attributes: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("odd.txt")
        for key, value in attributes.items():
            setattr(info, key, value)
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"?",
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    content = odd_tar(type=kind, linkname="/etc/passwd")
    for name in ("a.tar", "a.tar.gz"):
        packer = gzip.compress if name.endswith("gz") else bytes
        with pytest.raises(UserError, match=r"contains 'odd\.txt', a link or a device"):
            opened(put(tmp_path, name, packer(content)), None)


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666, 0o140666])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "t")
        odd = zipfile.ZipInfo("odd.txt")
        odd.external_attr = mode << 16
        archive.writestr(odd, "/etc/passwd")
    with pytest.raises(UserError, match=r"contains 'odd\.txt', a link or a device"):
        opened(put(tmp_path, "a.zip", buffer.getvalue()), "a.txt")


def test_a_sparse_file_of_pax_is_refused(tmp_path):
    content = odd_tar(pax_headers={"GNU.sparse.major": "1", "GNU.sparse.realsize": "9" * 12})
    with pytest.raises(UserError, match="a sparse file"):
        opened(put(tmp_path, "a.tar", content))


def test_an_encrypted_member_is_refused(tmp_path):
    content = bytearray(packed("a.zip", {"a.txt": b"t"}))
    for start, flags in ((content.index(b"PK\x03\x04"), 6), (content.rindex(b"PK\x01\x02"), 8)):
        content[start + flags] |= 1
    with pytest.raises(UserError, match=r"contains 'a\.txt', which is encrypted"):
        opened(put(tmp_path, "a.zip", bytes(content)))


@pytest.mark.parametrize("inner", ["b.txt.gz", "b.zip", "b.tar", "b.tar.xz", "b.txt.zst"])
def test_what_is_packed_twice_is_refused(tmp_path, inner):
    packed_once = packed(inner, {"c.txt": b"t" * 50})
    for outer in ANY_ARCHIVE:
        fetched = put(tmp_path, outer, packed(outer, {inner: packed_once, "d.txt": b"t"}))
        with pytest.raises(UserError, match="packed a second time"):
            opened(fetched, None)
    for outer in COMPRESSIONS:
        if not inner.endswith(".tar"):  # that is a tar.gz
            with pytest.raises(UserError, match="packed a second time"):
                opened(put(tmp_path, f"b.txt.{outer}", PACKERS[outer](packed_once)), None)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.bz2", "a.txt.xz", "a.txt.zst", "a.tar.gz", "a.zip"])
def test_a_bomb_is_refused_before_it_has_gone_off(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpacking, "BOMB_BYTES", 3_000_000)
    fetched = put(tmp_path, name, packed(name, {"a.txt": b"\0" * 20_000_000}))
    read = 0
    with pytest.raises(UserError, match=rf"file://{name}: unpacks to more than 200 times its size"):
        for member in archives.members(fetched, f"file://{name}", None, (".txt",)):
            while block := member.stream.read(unpacking.BLOCK):
                read += len(block)
    assert read < 8_000_000


def test_small_members_make_a_bomb_together(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "BOMB_BYTES", 3_000_000)
    for name in ("a.zip", "a.tar.gz"):
        fetched = put(tmp_path, name, packed(name, {f"{i}.txt": b"\0" * 1_000_000 for i in range(20)}))
        with pytest.raises(UserError, match="unpacks to more than"):
            opened(fetched)


def test_entries_of_a_zip_that_overlap_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "BOMB_BYTES", 3_000_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", os.urandom(4000).hex() * 10)
        archive.filelist.extend([archive.filelist[0]] * 2000)  # all of the same bytes
        archive._didModify = True
    with pytest.raises(UserError, match=r"unpacks to more than|broken or cut short \(Overlapped"):
        found = archives.members(put(tmp_path, "a.zip", buffer.getvalue()), "file://a.zip", None, (".txt",))
        for member in found:
            member.stream.read()


def test_a_long_header_of_a_tar_is_refused(tmp_path):
    content = odd_tar(pax_headers={"comment": "c" * 2_000_000})
    with pytest.raises(UserError, match=r"a header of 2,000,\d+ bytes"):
        opened(put(tmp_path, "a.tar.gz", gzip.compress(content)))


def test_text_that_repeats_is_no_bomb(tmp_path):
    content = "本法自公布之日起施行。".encode() * 100_000
    assert opened(put(tmp_path, "a.txt.bz2", bz2.compress(content)), None) == {"a.txt": content}


# --- folders ----------------------------------------------------------------------------------------------------------


def test_the_files_of_a_folder_are_its_members_in_order(tmp_path):
    folder = tmp_path / "data"
    for path, content in {
        "b/2.txt.gz": gzip.compress(b"two"),
        "a.txt": b"one",
        "c.zip": packed("c.zip", {"d/3.txt": b"three"}),
        "__pycache__/e.txt": b"no",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    fetched = Fetched(folder, "data", "", 0)
    found = opened(fetched, None)
    assert list(found.items()) == [("a.txt", b"one"), ("b/2.txt", b"two"), ("c.zip/d/3.txt", b"three")]
    assert list(opened(fetched, "b/2.txt.gz")) == ["b/2.txt"]


def test_files_about_the_data_are_read_only_where_they_are_meant(tmp_path):
    aside = ["README.zh.txt", "sub/LICENSE.txt", ".git/a.txt", "a/.b.txt", "__MACOSX/a.txt", "p-1.0.dist-info/top.txt"]
    data = ["./a.txt", "readme/b.txt", "licences_of_cars.txt", "noticed.txt", "a..b/c.txt"]
    for name in ("a.zip", "a.tar.gz"):
        fetched = put(tmp_path, name, packed(name, dict.fromkeys([*aside, *data], b"t")))
        assert sorted(opened(fetched, None)) == sorted(data)
        assert list(opened(fetched, ".git/a.txt")) == [".git/a.txt"]


def test_damage_within_a_folder_names_the_file(tmp_path):
    put(tmp_path / "data", "a.txt.gz", gzip.compress(b"one" * 100)[:-5])
    with pytest.raises(UserError, match=r"file://data \(a\.txt\.gz\): the file is broken or cut short"):
        opened(Fetched(tmp_path / "data", "data", "", 0), None)


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(UserError, match=r"found no \.jsonl or \.txt file, but it contains nothing; correct member"):
        opened(Fetched(tmp_path, "data", "", 0), None)


def test_pyarrow_tells_a_frame_that_is_cut():
    """What the reading of zstd relies on."""
    frame = PACKERS["zst"](b"t" * 1000)
    with pytest.raises(OSError), pa.CompressedInputStream(pa.BufferReader(frame[:-1]), "zstd") as stream:
        stream.read(2000)
        stream.read(1)
