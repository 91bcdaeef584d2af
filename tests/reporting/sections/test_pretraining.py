"""Pretraining on the page: curves by source, speed, and continuations as it trained."""

from __future__ import annotations

import re
import shutil

import pandas as pd
from support.hand_made_run import STAGES, changed, packed_source
from support.html_page import Page, table_rows

from woodblock.evaluation import continuations
from woodblock.reporting import finished_run, page
from woodblock.reporting.sections import pretraining


def test_of_many_sources_the_largest_are_drawn_and_all_are_tabled(root, tmp_path):
    names = [f"a-source-with-a-very-long-name-{number}" for number in range(8)]
    sources = {name: packed_source(1, 1000 * (8 - place), pass_share=0.125) for place, name in enumerate(names)}
    scores = {name: 2.0 + place for place, name in enumerate(names)}
    changed(root, tmp_path, pack={"train_sources": sources}, pretrain={"val_bpb_by_source": scores})
    columns = ["tokens", "val_bpb", *(f"val_bpb_{name}" for name in reversed(names))]
    rows = [[tokens, *(3.0 - tokens / 1000 + i for i in range(9))] for tokens in (100, 200)]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "curves/pretrain.csv", index=False)
    html = page.render(finished_run.read(STAGES, tmp_path), "x")
    drawing = re.search(r'aria-label="Validation bits a byte by source[^"]*"', html)[0]
    assert [name in drawing for name in names] == [True] * pretraining.SOURCES_DRAWN + [False] * 3
    assert [row[0] for row in table_rows(html, "pretraining") if row[0].startswith("a-source")] == names
    assert "no training loss" in html and 'aria-label="Norm of the gradient' not in html


def test_continuations_are_shown_from_the_first_step_to_the_last(html, root, tmp_path):
    text = Page(html).text
    places = [text.index(f"第{step}步 <i>甲</i>") for step in (100, 400, 700, 1000, 1300, 1600)]
    assert places == sorted(places) and "第200步" not in text
    assert text.index("第一条 为了*") < places[0] < places[-1] < text.index("The other beginnings (1)")
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results/pretrain/samples.md").write_text(continuations.as_markdown([], ["第一条"]))
    assert "This run took no samples" in page.render(finished_run.read(STAGES, tmp_path), "x")


def test_speed_and_the_norm_of_the_gradient_are_shown(html):
    memory = 250 + 50 * list(STAGES).index("pretrain")
    assert f"8,371 tokens/s, 79 GFLOP/s, MFU 45.2\N{NO-BREAK SPACE}%, {memory} MB of memory at most." in html
    drawing = re.search(r'aria-label="Norm of the gradient[^"]*"', html)[0]
    assert "norm goes from 2 to 0.6" in drawing and "clip 1" in drawing


def test_a_curve_stands_beside_nothing_that_is_measured_otherwise(html):
    """The curve is an estimate from some windows; all the text has a chart of its own."""
    curve = re.search(r'aria-label="Validation bits a byte, estimated[^"]*"', html)[0]
    assert "gram" not in curve
    whole = re.search(r'aria-label="Bits a byte of all validation text[^"]*"', html)[0]
    for said in ("model 1.401", "trigram 1.410", "bigram 1.680", "unigram 2.310"):
        assert said in whole
    assert "the same tokens" not in html


def test_an_overfitting_run_says_so(html, root, tmp_path):
    assert "overfitted" not in html
    for keep, says in (
        ({"kept_step": 1200}, "The weights of step 1,200 are kept"),
        ({"kept_step": 5000}, "The last weights are kept"),
    ):
        over = {"rise_after_best": 0.705, "steps": 5000, **keep}
        made = changed(root, tmp_path / str(keep), pretrain=over, sft=over | {"rise_after_best": 0.004})
        text = Page(page.render(finished_run.read(STAGES, made), "x")).text
        assert text.count("This run overfitted") == 1  # and fine-tuning did not: .4 % is noise
        assert "the curve rose by 70.5 %" in text and text.count(says) == 2
