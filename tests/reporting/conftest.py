"""What the tests of the report share: a finished run on disk, read, and its page. None of them writes into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hand_made_run import STAGES, finished

from woodblock.reporting import finished_run, page


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return finished(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def run(root) -> finished_run.Finished:
    return finished_run.read(STAGES, root)


@pytest.fixture(scope="session")
def html(run) -> str:
    return page.render(run, "Woodblock & co")
