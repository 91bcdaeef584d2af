"""A finished run beside the reference: bytes on the same kind of machine, figures elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import graph, verify

REFERENCE = {
    "machine": {"capability": "AVX2", "versions": {"torch": "2.13.0"}},
    "params": {"seed": 1, "sft.learning_rate": 0.1},
    "outputs": {"models/base": "a" * 64, "models/sft": "b" * 64},
    "metrics": {"clean": {"kept": {"train": 10}}, "sft": {"loss": 2.0, "stops": 0.98, "by_kind": [1, 2.0]}},
}


def run_with(machine: bool = True, **changes: Any) -> dict[str, Any]:
    run = copy.deepcopy(REFERENCE)
    if not machine:
        run["machine"]["capability"] = "AVX512"
    for path, value in changes.items():
        block, _, key = path.partition("__")
        run[block][key] = value
    return run


def test_the_same_run_is_the_same() -> None:
    for machine in (True, False):
        assert verify.compare(REFERENCE, run_with(machine), {"sft"}) == []


def test_bytes_count_on_the_same_kind_of_machine() -> None:
    other = {"models/base": "c" * 64, "models/more": "d" * 64}
    differences = verify.compare(REFERENCE, run_with(outputs=None) | {"outputs": other}, {"sft"})
    assert [d[0] for d in differences] == ["models/base", "models/more", "models/sft"]
    lines = verify.table(differences).splitlines()
    assert lines[0].split() == ["what", "reference", "here"]
    assert lines[1].split() == ["models/base", "a" * 16, "c" * 16]
    assert lines[2].split() == ["models/more", "none", "d" * 16]


def test_figures_count_elsewhere() -> None:
    near = {"loss": 2.14, "stops": 0.95, "by_kind": [1.05, 2.1]}
    far = {"loss": 2.16, "stops": 0.98, "by_kind": [1, 3.0]}
    assert verify.compare(REFERENCE, run_with(False, outputs__new="x", metrics__sft=near), {"sft"}) == []
    differences = verify.compare(REFERENCE, run_with(False, metrics__sft=far), {"sft"})
    assert [d[0] for d in differences] == ["sft: by_kind", "sft: loss"]
    exact = verify.compare(REFERENCE, run_with(False, metrics__clean={"kept": {"train": 11}}), {"sft"})
    assert exact == [("clean: kept.train", 10, 11)]
    gone = verify.compare(REFERENCE, run_with(False, metrics__sft={}), {"sft"})
    assert len(gone) == 3


def test_another_run_is_refused() -> None:
    with pytest.raises(UserError, match=r"sft.learning_rate is 0.2 here and 0.1 in the reference"):
        verify.compare(REFERENCE, run_with(params__seed=1) | {"params": {"seed": 1, "sft.learning_rate": 0.2}}, set())


def test_what_torch_shapes() -> None:
    found = verify.shaped_by_torch(graph.load(ROOT / "dvc.yaml"))
    assert found == {"pretrain", "sft", "benchmark", "rag_eval", "report"}


def test_this_machine() -> None:
    machine = verify.machine()
    assert machine["capability"] and machine["versions"]["torch"].startswith("2.")
