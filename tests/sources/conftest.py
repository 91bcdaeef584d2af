"""Servers that misbehave as servers do, and an environment in which fetching waits for nothing and knows no token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.hubs import Server, serving

from woodblock.sources import addresses
from woodblock.sources.delivery import transfers


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited; nothing waits."""
    waits: list[float] = []
    monkeypatch.setattr(transfers.time, "sleep", waits.append)
    return waits


@pytest.fixture
def without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", *addresses.TOKENS):
        monkeypatch.delenv(name, raising=False)
