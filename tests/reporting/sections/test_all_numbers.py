"""Every number of metrics/ stands on the page, in words, and with no more digits than it has."""

from __future__ import annotations

import pytest
from support.html_page import Page

from woodblock.reporting.arranging import shown
from woodblock.reporting.sections import all_numbers


def test_page_shows_every_metric(run, html):
    text = Page(html).text
    for _, rows in all_numbers.every_number(run):
        for words, key, value in rows:
            assert words in text and key in text and value in text
            assert "_" not in words and words[0] != "."
    assert "Something new" in text and "0.1235" in text and "0.123456" not in text


def test_a_number_has_words_or_its_key_in_words():
    assert all_numbers.in_words("pretrain", "parameters") == "Parameters"
    assert all_numbers.in_words("sft", "by_task.recite_given.stops").startswith(
        "by task, recite given: Replies that end"
    )
    assert (
        all_numbers.in_words("rag_eval", "by_kind.memory.recall@1_stderr")
        == "by kind, memory: recall@1, standard error"
    )


@pytest.mark.parametrize(
    ("values", "path", "text"),
    [
        ({"recall@1": 0.969, "recall@1_stderr": 0.005481, "queries": 1000}, "recall@1", "0.969"),
        ({"recall@1": 0.969123, "recall@1_stderr": 0.0548}, "recall@1", "0.97"),
        ({"base.x.acc": 0.540984, "base.x.stderr": 0.0417, "base.x.n": 488}, "base.x.acc", "0.54"),
        ({"a.stops": 0.9, "a.prompts": 10}, "a.stops", "0.9"),
        ({"a.stops": 0.989474, "a.prompts": 95}, "a.stops", "0.99"),
        ({"a.stops": 0.0, "a.prompts": 95}, "a.stops", "0.00"),
        ({"chance": 0.000426, "queries": 1000}, "chance", "0.000426"),
        ({"loss": 2.374727, "prompts": 200}, "loss", "2.375"),
        ({"val_bpb": 1.469923}, "val_bpb", "1.470"),
        ({"n": 488}, "n", "488"),
        ({"r": float("nan"), "n": 3}, "r", "–"),
        ({}, "none", "–"),
    ],
)
def test_a_number_has_no_more_digits_than_it_has(values, path, text):
    assert shown(values, path) == text
