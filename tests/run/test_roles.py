"""Empty roles switch off what needs them: said before any work, in the outputs, and taken back when a role is full."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.projects import ROOT

from woodblock.run import comparison, graph, lineage, params, stage
from woodblock.run.settings import roles

VALUES = params.read(ROOT / "params.yaml")
GRAPH = """
stages:
  rag_index:
    cmd: python src/rag_index.py input.txt data/index curve.csv
    deps: [input.txt, src/rag_index.py]
    params: [rag_index.k1]
    outs: [data/index, metrics/rag_index.json, timings/rag_index.json, lineage/rag_index.json]
    metrics: [scores/rag_index.json]
    plots:
      - curve.csv:
          x: step
          y: val_loss
"""
NO_DOCUMENTS, NEITHER = "download.documents is empty", "download.instructions and download.documents are empty"


def with_empty(*empty: str, **changes: Any) -> dict[str, Any]:
    """The default params with empty roles, and other values at paths written with two underscores for each dot."""
    values = copy.deepcopy(VALUES)
    values["download"] |= {role: [] for role in empty}
    for path, value in changes.items():
        block, _, key = path.partition("__")
        values[block][key] = value
    return values


def test_a_full_preset_switches_nothing_off() -> None:
    assert roles.switched_off(VALUES) == {} and roles.line(VALUES) is None
    assert roles.switched_off(with_empty("benchmarks")) == {}
    assert roles.switched_off({"seed": 1}) == {}


TASKS = {f"benchmark.{task}": NO_DOCUMENTS for task in roles.OF_ARTICLES}
RETRIEVAL = {"rag_index": NO_DOCUMENTS, "rag_eval": NO_DOCUMENTS}


@pytest.mark.parametrize(
    ("values", "off"),
    [
        pytest.param(
            with_empty("instructions", "documents"),
            TASKS | RETRIEVAL | {"sft": NEITHER, "benchmark.sft": NEITHER},
            id="a corpus alone",
        ),
        pytest.param(
            with_empty("documents"), TASKS | RETRIEVAL | {"sft.articles": NO_DOCUMENTS}, id="corpus and instructions"
        ),
        pytest.param(
            with_empty("documents", sft__article_examples=0), TASKS | RETRIEVAL, id="no articles were asked for"
        ),
        pytest.param(with_empty("instructions"), {}, id="corpus and documents: sft has what is made from articles"),
        pytest.param(
            with_empty("instructions", sft__article_examples=0),
            dict.fromkeys(
                ("sft", "benchmark.sft", "rag_eval.answers"),
                "download.instructions is empty and sft.article_examples is 0",
            ),
            id="corpus and documents, of which no example is made",
        ),
        pytest.param(
            with_empty("documents", benchmark__tasks=["source_law"]),
            RETRIEVAL | {"benchmark": NO_DOCUMENTS, "sft.articles": NO_DOCUMENTS},
            id="a benchmark of articles alone",
        ),
        pytest.param(
            with_empty("documents", benchmark__tasks=["validation"]),
            RETRIEVAL | {"sft.articles": NO_DOCUMENTS},
            id="a benchmark that needs no article",
        ),
    ],
)
def test_what_empty_roles_switch_off(values: dict[str, Any], off: dict[str, str]) -> None:
    params.check(values)
    assert roles.switched_off(values) == off
    line = roles.line(values)
    assert (line is None) == (not off)
    assert line is None or ("\n" not in line and all(name in line and why in line for name, why in off.items()))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one stage, whose role is empty."""
    monkeypatch.chdir(tmp_path)
    Path("src").mkdir()
    Path("src/rag_index.py").write_text("")
    Path("dvc.yaml").write_text(GRAPH)
    Path("input.txt").write_text("input")
    write_params(with_empty("documents"))
    monkeypatch.setattr(sys, "argv", ["src/rag_index.py", "input.txt", "data/index", "curve.csv"])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return tmp_path


def write_params(values: dict[str, Any]) -> None:
    Path("params.yaml").write_text(json.dumps(values, ensure_ascii=False))


def compute(params: Any, source: Path, out: Path, curve: Path) -> dict[str, Any]:
    out.mkdir()
    curve.write_text("step,val_loss\n1,2\n")
    return {"passages": 3}


def must_not_run(params: Any, source: Path, out: Path, curve: Path) -> dict[str, Any]:
    raise AssertionError("the stage is switched off")


def test_a_stage_that_is_off_computes_nothing_and_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.run_stage(must_not_run, scores={"passages": "passages"})
    said = capsys.readouterr().err.splitlines()
    assert said[0] == roles.line(params.read())  # before anything else
    assert said[1] == f"rag_index: switched off: {NO_DOCUMENTS}"
    assert json.loads(Path("metrics/rag_index.json").read_text()) == {"switched_off": NO_DOCUMENTS}
    assert json.loads(Path("scores/rag_index.json").read_text()) == {}
    assert Path("curve.csv").read_text() == "step,val_loss\n"
    assert [file.read_text() for file in Path("data/index").iterdir()] == [f"switched off: {NO_DOCUMENTS}\n"]
    assert lineage.stale(graph.load()["rag_index"], params.read()) is None


def test_a_role_that_is_full_again_makes_its_stages_run(project: Path) -> None:
    """Also if the stage's data are the same, as where cleaning drops all of the role."""
    stage.run_stage(must_not_run)
    write_params(VALUES)
    assert "a role of download" in str(lineage.stale(graph.load()["rag_index"], VALUES))
    stage.run_stage(compute)
    assert json.loads(Path("metrics/rag_index.json").read_text()) == {"passages": 3}
    write_params(with_empty("documents"))
    assert "a role of download" in str(lineage.stale(graph.load()["rag_index"], params.read()))


def test_a_rank_has_no_share_in_a_stage_that_is_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.ranks, "only_helps", lambda: True)
    stage.run_stage(must_not_run, in_ranks=True)
    assert not Path("data").exists()


def test_the_table_of_metrics_says_what_is_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = {"params": {}, "metrics": {"rag_index": {"passages": 5}}}
    monkeypatch.setattr(comparison, "reference", lambda: default)
    stage.run_stage(must_not_run)
    assert f"  switched off: {NO_DOCUMENTS}" in list(comparison.lines())


def test_an_old_params_file_is_told_of_weight() -> None:
    with pytest.raises(params.UserError, match=r"sft.given_repeats: 4 is an unknown key; .*weight: 4.0") as caught:
        params.check(with_empty(sft__given_repeats=4))
    assert "\n" not in str(caught.value)


def test_a_weight_without_effect_is_refused() -> None:
    values = copy.deepcopy(VALUES)
    values["download"]["documents"][0]["weight"] = 2.0
    with pytest.raises(params.UserError, match=r"download.documents.0.weight: 2.0 has no effect"):
        params.check(values)


def test_documents_alone_are_refused_in_one_line() -> None:
    with pytest.raises(params.UserError, match=r"download.corpus: \[\] .*name at least one source") as caught:
        params.check(with_empty("corpus", "instructions"))
    assert "\n" not in str(caught.value)


def test_snakemake_says_it_when_it_starts(new_project: Any) -> None:
    project = new_project()
    values = with_empty("documents")
    (project.folder / "params.yaml").write_text(json.dumps(values, ensure_ascii=False))
    said = [line for line in project.run("snakemake", "--dry-run").stdout.splitlines() if not line.startswith("Using ")]
    assert said[0] == roles.line(values)
