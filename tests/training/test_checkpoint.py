"""A checkpoint is whole or not there; a torn one gives way to the one before it, and another run's is refused by name."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from woodblock.base.errors import UserError
from woodblock.training import checkpoint

IDENTITY = {
    "cmd": "python src/pretrain.py",
    "params": {"seed": 1, "pretrain.clip": 1.0, "model.dim": 32},
    "deps": {
        "data/packed": "d1",
        "models/tokenizer": "t1",
        "src/woodblock/models/decoder.py": "c1",
        "requirements/torch.txt": "r1",
    },
}
DAMAGES = ("cut", "empty", "noise", "other", "code", "flipped", "renumbered")


def state(step: int) -> dict:
    return {
        "model": {
            "w": torch.arange(1000.0) + step,
            "half": torch.ones(3, dtype=torch.bfloat16),
            "none": torch.zeros(0),
        },
        "optimizers": [
            {"state": {0: {"step": torch.tensor(float(step))}}, "groups": [{"betas": (0.9, 0.95), "x": None}]}
        ],
        "position": {"step": step, "rows": [{"a": 0.1 + 0.2}], "since": [[1.5, 2, 3.0]]},
    }


def damage(path, how: str) -> None:
    whole = path.read_bytes()
    match how:
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "empty":
            path.write_bytes(b"")
        case "noise":
            path.write_bytes(b"no checkpoint at all\n" * 9)
        case "other":
            torch.save(torch.arange(3), path)
        case "code":
            torch.save({"format": checkpoint.FORMAT, "run": damage}, path)  # pickled code is never run
        case "flipped":  # one bit, in the middle of the largest tensor
            at = whole.index(torch.arange(500.0, 520.0).numpy().tobytes())
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        case "renumbered":
            found = torch.load(path, weights_only=True)
            found["state"]["position"]["step"] += 1
            torch.save(found, path)


def test_what_is_saved_comes_back(tmp_path):
    folder = tmp_path / "work" / "pretrain-key"
    assert checkpoint.load(folder, IDENTITY, "pretrain") is None
    for step in (1, 2, 3):
        checkpoint.save(folder, IDENTITY, state(step))
        found = checkpoint.load(folder, IDENTITY, "pretrain")
        assert torch.equal(found["model"]["w"], state(step)["model"]["w"])
        assert found["model"]["half"].dtype == torch.bfloat16 and found["model"]["none"].shape == (0,)
        assert found["position"] == state(step)["position"]
        assert found["optimizers"][0]["groups"] == state(step)["optimizers"][0]["groups"]
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]
    (folder / "checkpoint.pt").unlink()  # as a kill between the two renames leaves it
    assert checkpoint.load(folder, IDENTITY, "pretrain")["position"]["step"] == 2


@pytest.mark.parametrize("how", DAMAGES)
def test_a_torn_one_gives_way_to_the_one_before(tmp_path, capsys, how):
    for step in (0, 1, 0):  # the newest of step 0, whose tensor `damage` looks for
        checkpoint.save(tmp_path, IDENTITY, state(step))
    damage(tmp_path / "checkpoint.pt", how)
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain")["position"]["step"] == 1
    said = capsys.readouterr().err
    assert said.startswith(f"pretrain: {tmp_path}/checkpoint.pt ") and "continuing from the one before it" in said
    assert said.count("\n") == 1
    # The torn one must not become the one before: with the next one torn too, there is still a whole one.
    checkpoint.save(tmp_path, IDENTITY, state(0))
    damage(tmp_path / "checkpoint.pt", how)
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain")["position"]["step"] == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_without_a_whole_one_training_starts_from_the_beginning_and_says_so(tmp_path, capsys, how):
    checkpoint.save(tmp_path, IDENTITY, state(0))
    damage(tmp_path / "checkpoint.pt", how)
    torn = (tmp_path / "checkpoint.pt").read_bytes()
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain") is None
    said = capsys.readouterr().err
    assert said.startswith(f"pretrain: {tmp_path}/checkpoint.pt ") and said.endswith("; starting from the beginning\n")
    assert said.count("\n") == 1
    assert (tmp_path / "checkpoint.torn.pt").read_bytes() == torn, "set aside, for whoever can mend it"
    for step in (0, 0):
        checkpoint.save(tmp_path, IDENTITY, state(step))
    (tmp_path / "checkpoint.previous.pt").write_bytes(b"torn")
    damage(tmp_path / "checkpoint.pt", how)
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain") is None
    assert re.search(r"checkpoint.pt .* and .*checkpoint.previous.pt cannot ", capsys.readouterr().err)


def test_a_checkpoint_that_may_be_whole_is_not_set_aside(tmp_path, monkeypatch):
    """One of another format, or on a disk that does not answer: a line, and the file stays."""
    checkpoint.save(tmp_path, IDENTITY, state(0))
    found = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**found, "format": checkpoint.FORMAT + 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(
        UserError, match=r"checkpoint.pt has format \d+, not \d+; remove it to start from the beginning"
    ):
        checkpoint.load(tmp_path, IDENTITY, "pretrain")
    monkeypatch.setattr(
        checkpoint.torch, "load", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error"))
    )
    with pytest.raises(
        UserError, match=r"checkpoint.pt cannot be read \(Input/output error\); run again, or remove it"
    ):
        checkpoint.load(tmp_path, IDENTITY, "pretrain")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    ("block", "name", "value", "says"),
    [
        ("deps", "data/packed", "d2", r"different data \(data/packed\);"),
        ("deps", "models/tokenizer", "t2", r"different tokenizer \(models/tokenizer\);"),
        ("deps", "models/base", "b2", r"different model \(models/base\);"),
        ("deps", "src/woodblock/models/decoder.py", "c2", r"different code \(src/woodblock/models/decoder.py\);"),
        ("deps", "requirements/torch.txt", "r2", r"different code \(requirements/torch.txt\);"),
        ("params", "pretrain.clip", 2.0, r"different params \(pretrain.clip: 1.0, here 2.0\);"),
        ("params", "model.new", True, r"different params \(model.new: None, here True\);"),
    ],
)
def test_another_runs_is_refused_by_what_differs(tmp_path, block, name, value, says):
    checkpoint.save(tmp_path / "pretrain-one", IDENTITY, state(0))
    other = copy.deepcopy(IDENTITY)
    other[block][name] = value
    with pytest.raises(
        UserError, match=f"is the checkpoint of a run with {says} remove it to start from the beginning"
    ) as error:
        checkpoint.load(tmp_path / "pretrain-one", other, "pretrain")
    assert "\n" not in str(error.value)
    assert checkpoint.others(tmp_path / "pretrain-two", other)[0].startswith(
        f"{tmp_path}/pretrain-one/checkpoint.pt is of a run with different "
    )
    assert checkpoint.others(tmp_path / "pretrain-one", other) == []
    assert checkpoint.others(tmp_path / "sft-two", other) == []


def test_many_differences_are_grouped_and_counted(tmp_path):
    other = {"cmd": "python src/other.py", "params": {}, "deps": {}}
    found = checkpoint.differences(IDENTITY, other)
    assert [text.split(" ")[0] for text in found] == ["data", "tokenizer", "code", "params", "command"]
    many = {**IDENTITY, "deps": {f"src/{n}.py": "x" for n in range(9)}}
    assert checkpoint.differences(many, {**IDENTITY, "deps": {}}) == [
        "code (src/0.py, src/1.py, src/2.py, src/3.py and 5 more)"
    ]


def test_a_failure_while_writing_leaves_the_old_one(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, IDENTITY, state(1))

    def fill(held, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", fill)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, IDENTITY, state(2))
    monkeypatch.undo()
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain")["position"]["step"] == 1
    checkpoint.save(tmp_path, IDENTITY, state(3))  # what was left half-written is no obstacle
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain")["position"]["step"] == 3


@pytest.mark.parametrize("broken_off", [1, 2])
def test_a_kill_at_either_rename_leaves_a_whole_one(tmp_path, monkeypatch, broken_off):
    for step in (1, 2):
        checkpoint.save(tmp_path, IDENTITY, state(step))
    renames = []

    def replace(source, target, real=checkpoint.os.replace):
        renames.append(target)
        if len(renames) == broken_off:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(checkpoint.os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, IDENTITY, state(3))
    monkeypatch.undo()
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain")["position"]["step"] == 2
    checkpoint.save(tmp_path, IDENTITY, state(4))
    assert checkpoint.load(tmp_path, IDENTITY, "pretrain")["position"]["step"] == 4


@given(
    st.recursive(
        st.integers() | st.floats() | st.text() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_the_digest_tells_values_and_places_apart(value):
    assert checkpoint.digest(value) == checkpoint.digest(copy.deepcopy(value))
    assert checkpoint.digest(value) != checkpoint.digest([value])
    assert checkpoint.digest({"a": value, "b": 0}) != checkpoint.digest({"b": value, "a": 0})
    assert checkpoint.digest([torch.zeros(2), value]) != checkpoint.digest([torch.zeros(1, 2), value])
