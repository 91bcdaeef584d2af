"""What all tests share: hypothesis' settings, and a project of stand-ins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from support.projects import Project, stand_in_project

# Machines that run tests are busy with others: no time limit an example. The same examples in every run of CI.
settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("here")


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[..., Project]:
    return lambda name="project": stand_in_project(tmp_path / name)
