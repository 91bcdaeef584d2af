"""What was built from what: a page of more than one run says so."""

from __future__ import annotations

import json
import shutil

from support.hand_made_run import SHA, STAGES, write_json

from woodblock.reporting import finished_run, page
from woodblock.reporting.sections import built_from


def test_mixed_runs_are_said(root, tmp_path):
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "lineage/sft.json"
    mixed = json.loads(file.read_text())
    mixed["deps"]["models/base"] = SHA["f"]
    write_json(file, mixed)
    run = finished_run.read(STAGES, tmp_path)
    assert "sft read another models/base" in built_from.breaks(run)
    assert "This page mixes runs" in page.render(run, "x")


def test_no_box_of_the_graph_is_empty(run):
    """Each stage says what it made, and where."""
    for name in STAGES:
        if name != "report":
            assert built_from.facts(name, run.metrics[name]), name
            assert "/" in built_from.main_output(STAGES[name]), name  # more than the top folder of all stages
