"""make metrics: every number beside the default run's, in lines that fit a terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.projects import ROOT

from woodblock.base.errors import UserError
from woodblock.run import comparison, params


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default run's own metrics, as if it had just ended."""
    for name in ("dvc.yaml", "params.yaml", "reference"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    default = comparison.reference()
    # As if the record were of these params: a param may be newer than the record.
    default["params"] = comparison.settings(params.read())
    default["metrics"]["sft"] |= {"stops": 0.99, "val_loss": 2.374727}
    comparison.REFERENCE.write_text(json.dumps(default), encoding="utf-8")
    for folder in ("metrics", "timings"):
        Path(folder).mkdir()
        for stage, numbers in default[folder].items():
            Path(folder, f"{stage}.json").write_text(json.dumps(numbers), encoding="utf-8")
    Path("params.yaml").write_text(
        "".join(
            line.replace("article_examples: 8000", "article_examples: 12000")
            for line in Path("params.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
        ),
        encoding="utf-8",
    )
    return tmp_path


def edit(path: str, **changes: object) -> None:
    file = Path(path)
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_every_number_stands_beside_the_default_run_s(run: Path) -> None:
    edit("metrics/sft.json", stops=0.5, more=1, by_source={"一个名字很长的来源" * 6: {"loss": 1.25}})
    edit("timings/sft.json", wall_seconds=1.0)
    lines = list(comparison.lines())
    assert "sft.article_examples" in lines[0]
    assert max(map(comparison.width, lines)) <= 110
    rows = {line.split("  ")[1]: line.split() for line in lines if line.startswith("  ")}
    assert rows["stops"] == ["stops", "0.5", "0.99", "-0.49"]
    assert rows["more"] == ["more", "1", "-"]
    assert rows["val_loss"][:2] == ["val_loss", "2.37473"] and len(rows["val_loss"]) == 3
    assert rows["timings: wall_seconds"]
    numbers = sum(
        len(comparison.params.by_path(m)) for m in comparison.by_stage("metrics", comparison.graph.load()).values()
    )
    assert sum(line.startswith("  ") for line in lines) >= numbers


def test_a_part_of_a_run_is_shown_too(run: Path) -> None:
    for stage in ("sft", "benchmark", "rag_eval"):
        Path(f"metrics/{stage}.json").unlink()
        Path(f"timings/{stage}.json").unlink()
    lines = list(comparison.lines())
    assert any(line.startswith("pretrain ") for line in lines) and not any(line.startswith("sft") for line in lines)


def test_no_run_and_no_reference_are_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("metrics")
    with pytest.raises(UserError, match="no stage has run"):
        list(comparison.lines())
    shutil.rmtree("reference")
    with pytest.raises(SystemExit, match=r"^error: metrics: reference/statutes\.json: there is no such file"):
        comparison.main()


def test_width_counts_columns() -> None:
    assert comparison.width("三国 a") == 6
    for name in ("史" * 60, "by_source." + "史a" * 60, "a" * 200):
        assert comparison.NAME - 3 <= comparison.width(comparison.row(name)) <= comparison.NAME
