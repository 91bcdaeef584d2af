"""Fixtures of the models' tests."""

from __future__ import annotations

import pytest

from woodblock.models import kernels


@pytest.fixture(params=["by hand", "by operations"])
def either_form(request, monkeypatch):
    """Of a layer on a CPU; the second is a GPU's."""
    if request.param == "by operations":
        monkeypatch.setattr(kernels, "LONGEST", 0)
