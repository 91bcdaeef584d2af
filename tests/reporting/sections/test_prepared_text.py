"""The text on its way to training: the funnel, and packing by source."""

from __future__ import annotations

import re

import pandas as pd
from support.hand_made_run import STAGES, changed, packed_source
from support.html_page import Page, table_rows

import dedup
from woodblock.cleaning import steps
from woodblock.reporting import finished_run, page
from woodblock.reporting.sections import prepared_text


def test_the_funnel_counts_down_step_by_step(root):
    run = finished_run.read(STAGES, root)
    corpus = prepared_text.describe(run)["funnels"][0]
    steps = [(row["name"], row["changed"], row["dropped"], row["left"]) for row in corpus["rows"]]
    assert steps == [
        ("HTML, Markdown's boilerplate", 7, 0, 352),
        ("too short", 0, 3, 349),
        ("near-duplicate", 0, 9, 340),
        ("shares text with the validation split", 4, 0, 340),
    ]
    assert (corpus["read"], corpus["kept"]) == (352, 340)
    html = page.render(run, "x")
    text = Page(html).text
    for shown in ("Corpus: 352 came, 340 stay", "Jaccard 0.81 with laws-3", "<太短>", "from 32", "from 2.0", "本法"):
        assert shown in text


def test_every_step_of_the_stages_has_a_name_on_the_page():
    """A step that the page does not know would be dropped from the funnel in silence."""
    named = {(stage, key) for stage, key, _ in prepared_text.STEPS}
    assert {("clean", step) for step in steps.STEPS} <= named
    assert {("dedup", step) for step in dedup.STEPS} <= named


def test_packing_and_validation_are_shown_by_source(html):
    text, pretraining = table_rows(html, "text"), table_rows(html, "pretraining")
    # 6,000,640 tokens were trained on, four in ten of them of a source of 500,000: it was read 4.8 times.
    rows = [row for row in text if row[0] in ("laws", "三国演义")]
    assert rows == [
        ["laws", "280", "1,500,000", "0.6000", "2.400", "0.9000", "40", "300,000"],
        ["三国演义", "20", "500,000", "0.4000", "4.801", "0.9000", "9", "103,560"],
    ]
    assert ["Padding, training", "0.000", "share"] in text
    assert ["Tail, of the tokens of a pass", "0.000212", "share"] in text
    rows = [row for row in pretraining if row[0] in ("laws", "三国演义")]
    assert rows == [["laws", "1.204", "300,000", "0.6000"], ["三国演义", "2.324", "103,560", "0.4000"]]
    assert not any("by source" in row[0] or "sources" in row[0] for row in text + pretraining)
    drawing = re.search(r'aria-label="Validation bits a byte by source[^"]*"', html)[0]
    for said in ("laws goes from 1.867 to 1.318", "三国演义 goes from 2.967 to 2.418", "all goes from 2.067 to 1.518"):
        assert said in drawing


def test_a_single_source_takes_no_room_of_its_own(root, tmp_path):
    sources = {f"{split}_sources": {"laws": packed_source(2, 900, pass_share=1.0)} for split in ("train", "validation")}
    changed(root, tmp_path, pack=sources, pretrain={"val_bpb_by_source": {"laws": 1.2}})
    curve = pd.read_csv(tmp_path / "curves/pretrain.csv")
    curve.drop(columns=["val_bpb_laws", "val_bpb_三国演义"]).to_csv(tmp_path / "curves/pretrain.csv", index=False)
    html = page.render(finished_run.read(STAGES, tmp_path), "x")
    assert "by source" not in html[html.index("<body>") : html.index('<section id="numbers">')].casefold()
    assert not any(row[0] == "laws" for row in table_rows(html, "text") + table_rows(html, "pretraining"))
