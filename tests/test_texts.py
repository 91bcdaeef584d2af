"""Repair changes nothing twice; a hash of its name alone holds a group out."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from woodblock import texts

ODD = "-=_*~— \t\n\r　\u00a0\u1680\u2003\u200b\ufeff\u00ad\u0301\u3099e中かx“《（\x00\x85\x1c\u2581\u2028가\u1100\u1161"
TEXTS = st.one_of(st.text(alphabet=ODD, max_size=14), st.text(alphabet=st.characters(exclude_categories=["Cs"])))


@given(TEXTS)
@example("e\u200b\u0301")  # an accent that meets its letter only when what stood between is gone
@example("　----")
@example("----　\n文")
@example("文\n----\n　----")
def test_repair_changes_nothing_twice_and_gives_nfc(text):
    once = texts.repair(text)
    assert texts.repair(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not texts.INVISIBLE.search(once) and "\u2581" not in once and "\r" not in once


def test_repair_keeps_what_authors_wrote_and_drops_what_machines_put_there():
    text = "　　第一条　为了保护环境，制定本法！\r\n\r\n\r\n\r\n———————\n"
    text += "\ufeff　　“公民”\u200b是１００人。\u2003 \n  code\n    more"
    assert texts.repair(text) == "第一条　为了保护环境，制定本法！\n\n“公民”是１００人。\n  code\n    more"
    assert texts.repair("cafe\u0301") == "caf\u00e9"
    assert texts.repair("一\n--\n二") == "一\n--\n二"  # a short dash is text, four are a rule


def test_a_run_of_spaces_takes_time_in_proportion_to_its_length():
    text = "甲" + " " * 200_000 + "乙"
    assert texts.repair(text) == text


@pytest.mark.parametrize("share", [0.05, 0.16, 0.5])
def test_held_out_share_is_about_right_and_depends_on_the_name_alone(share):
    names = [f"中华人民共和国第{i}号法" for i in range(4000)]
    held = [texts.held_out(name, share) for name in names]
    assert abs(sum(held) / len(held) - share) < 4 * (share * (1 - share) / len(held)) ** 0.5
    assert held == [texts.held_out(name, share) for name in names]
    # A larger share holds out the same groups and more: changing it moves no group to and fro.
    assert all(texts.held_out(name, 0.6) for name, is_held in zip(names, held, strict=True) if is_held)
