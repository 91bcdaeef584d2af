"""Retrieval on the page: known items by their name, real questions beside them, and what an answer's numbers mean."""

from __future__ import annotations

from support.hand_made_run import STAGES, changed
from support.html_page import Page, table_rows

from woodblock.reporting import finished_run, page

REAL = {"in_file": 771, "queries": 604, "hit@1": 0.351, "hit@1_stderr": 0.019, "hit@10": 0.614, "hit@10_stderr": 0.02}


def test_known_items_are_not_called_retrieval_alone(html, root, tmp_path):
    text = Page(html).text
    assert "Known items found first" in text and "far easier than what people ask" in text
    assert "real questions was not measured" in text
    made = changed(root, tmp_path, rag_eval={"real_questions": {**REAL, "mrr@10": 0.43}})
    text = Page(asked := page.render(finished_run.read(STAGES, made), "x")).text
    assert "was not measured" not in text and "604 of the 771" in text
    assert "Real questions, a right article first" in text and "± 0.019, of 604; among the first ten 0.614" in text
    rows = table_rows(asked, "retrieval")
    assert ["real questions", "604", "0.351 ± 0.019", "0.614 ± 0.020", "0.430"] in rows


def test_a_citation_that_was_written_for_the_model_is_not_counted(html):
    rows = {row[0]: row[1:] for row in table_rows(html, "retrieval")}
    assert rows["Its own words name an article that was given"] == ["–", "0.90"]
    assert rows["They name one, and at least half of them stands in it"] == ["–", "0.15"]
    assert rows["Words that stand in the articles given, mean"] == ["0.19", "0.19"]
    assert "its citation was written for it" in html and "names one that was given" not in html
