"""Every number of metrics/ stands on the page in full."""

from __future__ import annotations

from support.html_page import Page

from woodblock.reporting.sections import all_numbers


def test_page_shows_every_metric_in_full(run, html):
    text = Page(html).text
    for _, rows in all_numbers.every_number(run):
        for key, value in rows:
            assert key in text and value in text
    assert "something_new" in text and "0.123456" in text
