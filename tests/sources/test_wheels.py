"""Wheels, by pip without a network."""

from __future__ import annotations

import hashlib
import sys

import pytest
from support.hubs import source, wheel

from woodblock.base.errors import UserError
from woodblock.sources import fetching
from woodblock.sources.delivery import wheels


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
    monkeypatch.setattr(wheels, "SECONDS_OF_SILENCE", 0.05)
    errors, code = wheels._run([sys.executable, "-c", "import time; time.sleep(.3); exit('why')"], "pypi://a==1")
    assert (errors.strip(), code) == ("why", 1)
    assert "waiting for pip, which fetches pypi://a==1" in capsys.readouterr().err
