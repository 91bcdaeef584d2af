"""Transfers over HTTP, from a server that breaks off, is busy, forgets ranges or tells no size."""

from __future__ import annotations

import pytest
from support.hubs import CONTENT, SHA256, source

from woodblock.base.errors import UserError
from woodblock.sources import fetching

pytestmark = pytest.mark.usefixtures("waits", "without_tokens")


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
    with pytest.raises(UserError, match="the next run continues from there"):
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


@pytest.mark.parametrize(("status", "way_out"), [(404, "check the url"), (401, "by hand"), (403, "by hand")])
def test_a_refusal_says_what_to_do(server, tmp_path, status, way_out):
    server.statuses = [status]
    with pytest.raises(UserError, match=f"status {status}; .*{way_out}") as error:
        fetching.fetch(source(f"{server.base}/data.jsonl"), None, tmp_path)
    assert "\n" not in str(error.value)
    assert len(server.asked) == 1


def test_a_redirect_out_of_the_web_is_refused(server, tmp_path):
    server.redirects["/a"] = "file:///etc/passwd"
    with pytest.raises(UserError, match="redirects to an address that is not on the web"):
        fetching.fetch(source(f"{server.base}/a"), None, tmp_path)


def test_waits_double_and_begin_anew_after_progress(server, waits, tmp_path):
    server.statuses = [503, 500, 429]
    server.breaks = [1_000_000]
    fetching.fetch(source(f"{server.base}/a", SHA256), None, tmp_path)
    assert waits == [1.0, 2.0, 4.0, 0.0]


@pytest.mark.parametrize(("asked", "expected"), [("7", 7.0), ("100000", 60.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0)])
def test_a_server_is_given_the_time_that_it_asks_for_within_bounds(server, waits, tmp_path, asked, expected):
    server.statuses, server.retry_after = [429], asked
    fetching.fetch(source(f"{server.base}/a", SHA256), None, tmp_path)
    assert waits == [expected]


def test_a_file_of_unknown_size_is_told_as_such(server, tmp_path, capsys):
    server.length = False
    fetching.fetch(source(f"{server.base}/a"), None, tmp_path)
    assert "the server does not tell the size" in capsys.readouterr().err
    server.breaks = [1000]
    with pytest.raises(UserError, match="yaml pins"):  # a pin tells that it broke off
        fetching.fetch(source(f"{server.base}/b", SHA256), None, tmp_path)


def test_names_of_files_on_servers_lead_nowhere(server, tmp_path):
    for path in ("verified.json", "partial", "..%2f..%2fetc%2fpasswd", "a" * 200, "", "?a/b"):
        fetched = fetching.fetch(source(f"{server.base}/{path}", SHA256), None, tmp_path / "d")
        assert fetched.path.parent.name == "content" and fetched.path.read_bytes() == CONTENT
        assert fetching.fetch(source(f"{server.base}/{path}", SHA256), None, tmp_path / "d") == fetched


@pytest.mark.parametrize("breaks", [[3_000_000] * 99, [3_000_000, 2_000_000, 2_500_000, 2_000_001, 2_600_000, 1] * 20])
def test_a_server_without_ranges_is_given_up_after_attempts_that_come_no_further(server, waits, tmp_path, breaks):
    server.breaks, server.ranges = breaks, False
    with pytest.raises(
        UserError, match=r"it cannot continue a file, and the best attempt came to 3,000,000 bytes"
    ) as error:
        fetching.fetch(source(f"{server.base}/data.jsonl"), None, tmp_path)
    assert "\n" not in str(error.value) and len(server.asked) == 5
    assert waits[-3:] == [1.0, 2.0, 4.0]


def test_attempts_that_come_a_little_further_each_time_have_an_end(server, tmp_path):
    server.breaks, server.ranges = list(range(1, 4000)), False
    with pytest.raises(UserError, match="cannot continue a file"):
        fetching.fetch(source(f"{server.base}/data.jsonl"), None, tmp_path)
    assert len(server.asked) < 120
