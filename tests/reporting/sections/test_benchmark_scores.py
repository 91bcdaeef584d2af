"""The benchmark on the page: each score says whether the training text was checked."""

from __future__ import annotations

import json
import shutil

from support.hand_made_run import MODELS, STAGES, write_json

from woodblock.reporting import finished_run, page


def test_each_score_says_whether_the_training_text_was_checked(root, html, tmp_path):
    checked = "checked: no training text shares 32 characters"
    assert html.count(checked) == len(MODELS) * 3 and "NOT CHECKED" not in html
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    scores = json.loads((tmp_path / "metrics/benchmark.json").read_text())
    for model in MODELS:
        scores[model]["continuation"]["decontaminated"] = False
        del scores[model]["validation"]["decontaminated"]  # who says nothing has not checked
    write_json(tmp_path / "metrics/benchmark.json", scores)
    marked = page.render(finished_run.read(STAGES, tmp_path), "x")
    assert marked.count(checked) == len(MODELS)
    assert marked.count("<strong>NOT CHECKED</strong>") == len(MODELS) * 2
    assert "<strong>NOT CHECKED: continuation, validation.</strong>" in marked
    assert "chance 0.25, NOT CHECKED" in marked  # beside the figure at the head of the page, too
