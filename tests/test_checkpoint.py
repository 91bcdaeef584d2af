"""A checkpoint is whole or not there, and is refused in one line where it is torn or another run's."""

from __future__ import annotations

import pytest
import torch

from woodblock import checkpoint
from woodblock.errors import UserError


def test_what_is_saved_comes_back(tmp_path):
    path = tmp_path / "work" / "checkpoint.pt"
    state = {"model": {"w": torch.arange(6.0)}, "position": {"step": 3, "rows": [{"a": 0.5}], "since": [(1.5, 2, 3.0)]}}
    assert checkpoint.load(path, "key") is None
    checkpoint.save(path, "key", {"model": {}})
    checkpoint.save(path, "key", state)
    found = checkpoint.load(path, "key")
    assert torch.equal(found["model"]["w"], state["model"]["w"])
    assert found["position"] == state["position"]
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_another_runs_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "one", {})
    with pytest.raises(UserError, match=r"belongs to the run one, this is other; remove it to start anew") as error:
        checkpoint.load(path, "other")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "other", "code"])
def test_a_torn_or_foreign_file_is_refused(tmp_path, damage):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "key", {"model": {"w": torch.arange(1000.0)}})
    whole = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "empty":
            path.write_bytes(b"")
        case "noise":
            path.write_bytes(b"no checkpoint at all\n" * 9)
        case "other":
            torch.save(torch.arange(3), path)
        case "code":
            torch.save({"key": "key", "run": test_what_is_saved_comes_back}, path)  # pickled code is never run
    with pytest.raises(UserError, match=r"checkpoint.pt cannot be read \(\w+\); remove it to start") as error:
        checkpoint.load(path, "key")
    assert "\n" not in str(error.value)


def test_a_failure_while_writing_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, "key", {"step": 1})

    def fill(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", fill)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, "key", {"step": 2})
    monkeypatch.undo()
    assert checkpoint.load(path, "key")["step"] == 1
    checkpoint.save(path, "key", {"step": 3})  # what was left half-written is no obstacle
    assert checkpoint.load(path, "key")["step"] == 3
