"""Repair is what its expressions say, changes nothing twice, and takes time in proportion to its text."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from woodblock.cleaning.repairing import INVISIBLE, NEWLINES, THIN_SPACES, repair, settled
from woodblock.structure import blocks

ODD = "-=_*~— \t\n\r　\u00a0\u1680\u2003\u200b\ufeff\u00ad\u0301\u3099e中かx“《（\x00\x85\x1c\u2581\u2028가\u1100\u1161"
LINES = [
    "```",
    "~~~",
    "|a|b|",
    "|-|-|",
    "+--+",
    "|甲|",
    "----",
    "- 甲",
    "  乙",
    "    丙。",
    "    x",
    "    丁",
    "",
    "文",
    "甲：",
    "::",
]
LINES += [
    "> ```",
    "> 甲",
    "??? a",
    "\t甲",
    "　",
    "\u200b```",
    "<pre>",
    "</pre>",
    "<!--",
    "-->",
    "=== ==",
    "a  b",
    "　　　丙",
]
TEXTS = st.one_of(
    st.text(alphabet=ODD, max_size=14),
    st.lists(st.sampled_from(LINES), max_size=9).map("\n".join),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
)


@given(TEXTS)
@example("e\u200b\u0301")  # an accent that meets its letter only when what stood between is gone
@example("　----")
@example("----　\n文")
@example("文\n----\n　----")
def test_repair_changes_nothing_twice_and_gives_nfc(text):
    once = repair(text)
    assert repair(once) == once
    prose = "".join(piece for kind, piece in blocks.pieces(once) if kind in (blocks.PROSE, blocks.LAID_OUT))
    assert unicodedata.is_normalized("NFC", prose)
    assert not INVISIBLE.search(prose) and "\u2581" not in prose and "\r" not in once


def test_repair_keeps_what_authors_wrote_and_drops_what_machines_put_there():
    text = "　　第一条　为了保护环境，制定本法！\r\n\r\n\r\n\r\n———————\n"
    text += "\ufeff　　“公民”\u200b是１００人。\u2003 \n  code\n    more"
    assert repair(text) == "第一条　为了保护环境，制定本法！\n\n“公民”是１００人。\n  code\n    more"
    assert repair("cafe\u0301") == "caf\u00e9"
    assert repair("一\n--\n二") == "一\n--\n二"  # a short dash is text, four are a rule


def test_a_run_of_spaces_takes_time_in_proportion_to_its_length():
    text = "甲" + " " * 200_000 + "乙"
    assert repair(text) == text


def by_expressions(text: str) -> str:
    """The same as expressions, one after the other."""
    text = THIN_SPACES.sub("", INVISIBLE.sub("", NEWLINES.sub("\n", text)))
    text = unicodedata.normalize("NFC", text).replace("\u2581", "_")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    text = re.sub(r"^[^\S\n]+(?=[\u2e80-\u2fff\u3001-\u9fff\uff00-\uffef“‘《（])", "", text, flags=re.MULTILINE)
    text = re.sub(r"^[^\S\n]*[-=_*+|~—─━]{4,}$\n?", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


@given(st.one_of(TEXTS, st.text(alphabet="-─▁ 　\n\t中x\U00020000", max_size=24)))
@example("a\n----\n\n\nb")
@example("-- --\n  ----  \nx----")
@example("\ud800 \n　\udc00")
def test_the_kernel_does_what_the_expressions_say(text):
    assert settled(text).text == by_expressions(text)
