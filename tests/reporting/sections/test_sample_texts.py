"""Samples on the page, and that what others wrote is text there, never markup."""

from __future__ import annotations

from support.hand_made_run import SHA
from support.html_page import Page


def test_page_shows_sources_samples_and_choices(html):
    text = Page(html).text
    for expected in (
        SHA["a"],
        SHA["b"],
        "BSD & friends",
        "26 superseded",
        "《劳动法》第三十六条",
        "第0问 <b>粗</b>",
        "中华人民共和国民法典",
    ):
        assert expected in text
    assert "did not end within the limit" in text and "…" in text
    assert "<b>粗</b>" not in html  # what a model or a source wrote is text, never markup
