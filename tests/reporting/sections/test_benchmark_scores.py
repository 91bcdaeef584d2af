"""The benchmark on the page: each score says whether the training text was checked."""

from __future__ import annotations

import json
import shutil

from support.hand_made_run import MODELS, STAGES, changed, write_json
from support.html_page import table_rows

from woodblock.reporting import finished_run, page


def test_each_score_says_whether_the_training_text_was_checked(root, html, tmp_path):
    checked = "<td>checked</td>"
    assert "shares 32 hanzi in a row" in html
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
    assert "overlap 0.620 is better, NOT CHECKED" in marked  # beside the figure at the head of the page, too


def test_the_best_baseline_stands_beside_a_score(html, root, tmp_path):
    """At the head of the page, and in the table, where a gain has the error of a paired comparison."""
    assert (
        "± 0.021, bigram overlap 0.620 is better" in html
        and "Bigram overlap is better than the base model in continuation" in html
    )
    scores = json.loads((root / "metrics/benchmark.json").read_text())
    for model in MODELS:
        scores[model]["continuation"] |= {"overlap": 0.2, "shortest": 0.26, "chance": 0.25}
        scores[model]["source_law"]["overlap"] = 0.1
        if model != "untrained":
            scores[model]["continuation"] |= {"gain": 0.02, "gain_stderr": 0.004}
    page_html = page.render(finished_run.read(STAGES, changed(root, tmp_path, benchmark=scores)), "x")
    assert "± 0.021, the shortest choice 0.260" in page_html and "0.260 is better" not in page_html
    rows = table_rows(page_html, "benchmark")
    first = rows.index(["continuation"]) + 1
    assert [row[0] for row in rows[first : first + 5]] == [*MODELS, "the shortest choice", "bigram overlap"]
    assert (rows[first][3], rows[first + 1][3], rows[first + 4][1]) == ("–", "+0.020 ± 0.004", "0.200")
