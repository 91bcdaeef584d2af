"""A device is picked by its name, or refused with those that there are."""

from __future__ import annotations

import pytest
import torch

from woodblock.base.errors import UserError
from woodblock.models import devices

CPU = torch.device("cpu")


def test_a_device_by_its_name(monkeypatch):
    assert devices.pick_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.pick_device("auto") == CPU
    with pytest.raises(UserError, match=r"device: cuda is not on this machine; use auto or cpu"):
        devices.pick_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.pick_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.pick_device("auto") == torch.device("cuda")
