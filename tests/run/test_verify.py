"""A finished run beside the reference: bytes on the same kind of machine; elsewhere metrics and weights."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import comparison, graph, verify


def model(folder: Path, seed: int, noise: float = 0.0) -> str:
    """The sample of a small model's weights; noise: how far training on another processor moves them."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {"embed": (500, 16), "norm": (16,), "layer.0": (32, 16), "layer.1": (16, 32)}
    weights = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    folder.mkdir()
    moved = {name: weight + noise * torch.randn(weight.shape) for name, weight in weights.items()}
    save_file(moved, folder / "model.safetensors")
    return verify.sample(folder)


@pytest.fixture
def reference(tmp_path: Path) -> dict[str, Any]:
    return {
        "machine": {"capability": "AVX2", "versions": {"torch": "2.13.0"}},
        "params": {"seed": 1, "sft.learning_rate": 0.1},
        "outputs": {"models/base": "a" * 64, "models/sft": "b" * 64},
        "metrics": {"clean": {"kept": {"train": 10}}, "sft": {"val_loss": 2.0, "stops": 0.98, "prompts": 200}},
        "weights": {"models/base": model(tmp_path / "base", 1)},
    }


def changed(reference: dict[str, Any], machine: bool = True, **changes: Any) -> dict[str, Any]:
    run = copy.deepcopy(reference)
    if not machine:
        run["machine"]["capability"] = "AVX512"
        run["outputs"]["models/base"] = "e" * 64
    for path, value in changes.items():
        block, _, key = path.partition("__")
        run[block][key] = value
    return run


def test_the_same_run_is_the_same(reference) -> None:
    for machine in (True, False):
        assert verify.compare(reference, changed(reference, machine), {"sft"}) == []


def test_bytes_count_on_the_same_kind_of_machine(reference) -> None:
    other = {"models/base": "c" * 64, "models/more": "d" * 64}
    differences = verify.compare(reference, changed(reference) | {"outputs": other}, {"sft"})
    assert [d[0] for d in differences] == ["models/base", "models/more", "models/sft"]
    lines = verify.table(differences).splitlines()
    assert lines[0].split() == ["what", "reference", "here"]
    assert lines[1].split() == ["models/base", "a" * 16, "c" * 16]
    assert lines[2].split() == ["models/more", "none", "d" * 16]


def test_metrics_count_elsewhere(reference) -> None:
    near = {"val_loss": 2.05, "stops": 0.93, "prompts": 200}
    far = {"val_loss": 2.07, "stops": 0.80, "prompts": 200}
    assert verify.compare(reference, changed(reference, False, outputs__new="x", metrics__sft=near), {"sft"}) == []
    differences = verify.compare(reference, changed(reference, False, metrics__sft=far), {"sft"})
    assert differences == [("sft: stops", 0.98, 0.80), ("sft: val_loss", 2.0, 2.07)]
    exact = verify.compare(reference, changed(reference, False, metrics__clean={"kept": {"train": 11}}), {"sft"})
    assert exact == [("clean: kept.train", 10, 11)]
    gone = verify.compare(reference, changed(reference, False, metrics__sft={}), {"sft"})
    assert len(gone) == 3


def test_the_model_of_another_seed_is_found_out_though_its_metrics_are_the_same(reference, tmp_path: Path) -> None:
    honest = {"models/base": model(tmp_path / "elsewhere", 1, noise=0.3)}
    assert verify.compare(reference, changed(reference, False) | {"weights": honest}, {"sft"}) == []
    other = {"models/base": model(tmp_path / "other", 2)}
    (difference,) = verify.compare(reference, changed(reference, False) | {"weights": other}, {"sft"})
    assert difference[0] == "models/base: cosine of the weights" and abs(difference[2]) < 0.4
    assert verify.compare(reference, changed(reference, False) | {"weights": {}}, {"sft"}) != []


def test_the_sample_of_the_default_model_tells_seeds_apart() -> None:
    """Of 928 weights: far from chance, and small beside the rest of the record."""
    weights = json.loads((ROOT / "reference/statutes.json").read_text(encoding="utf-8"))["weights"]
    assert set(weights) == {"models/base", "models/sft"}
    assert 0.9 < verify.likeness(weights["models/base"], weights["models/sft"]) < 1
    noise = torch.randn(len(weights["models/base"]) * 3 // 8).half().numpy().tobytes()
    assert abs(verify.likeness(weights["models/base"], verify.base64.b64encode(noise).decode())) < 0.2


def test_another_run_is_refused(reference) -> None:
    with pytest.raises(UserError, match=r"sft.learning_rate is 0.2 here and 0.1 in the reference"):
        verify.compare(reference, changed(reference) | {"params": {"seed": 1, "sft.learning_rate": 0.2}}, set())


@pytest.mark.parametrize(("seed", "code"), [(1, 0), (2, 1)])
def test_the_exit_code(
    reference, seed: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    run = changed(reference, False, weights={})
    run["weights"] = {"models/base": model(tmp_path / "here", seed, noise=0.1)}
    monkeypatch.setattr(verify, "finished", lambda: run)
    monkeypatch.setattr(verify.comparison, "reference", lambda: reference)
    monkeypatch.setattr(verify.graph, "load", lambda: {})
    monkeypatch.setattr(sys, "argv", ["verify"])
    try:
        verify.main()
        ended: Any = 0
    except SystemExit as error:
        ended = error.code
    assert (ended == 0) == (code == 0), ended
    assert "metrics and weights" in (capsys.readouterr().err if code == 0 else ended)


def test_what_torch_shapes() -> None:
    found = verify.shaped_by_torch(graph.load(ROOT / "dvc.yaml"))
    assert found == {"pretrain", "sft", "benchmark", "rag_eval", "report"}


def test_this_machine(tmp_path: Path) -> None:
    machine = verify.machine()
    assert machine["capability"] and machine["versions"]["torch"].startswith("2.")
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: EPYC\n")
    assert verify.processor(info) == "AuthenticAMD 25 17"


@pytest.mark.parametrize("content", ["", '{"machine": '])
def test_a_reference_that_cannot_be_read_is_an_error_in_one_line(tmp_path: Path, monkeypatch, content: str) -> None:
    monkeypatch.setattr(comparison, "REFERENCE", tmp_path / "statutes.json")
    (tmp_path / "statutes.json").write_text(content)
    with pytest.raises(UserError, match=r"statutes.json: cannot be read; git checkout"):
        comparison.reference()
