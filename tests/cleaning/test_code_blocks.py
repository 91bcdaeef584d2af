"""Code is found where it stands: in fences, or indented after an empty line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning.code_blocks import FENCED, INDENTED, code_and_prose, fences, outside_fences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("文\n```py\nx\n```\n尾", [("", "文\n"), (FENCED, "```py\nx\n```"), ("", "\n尾")]),
        ("~~~\n```\n~~~", [(FENCED, "~~~\n```\n~~~")]),
        ("```\n没有关上", [(FENCED, "```\n没有关上")]),
        ("文\n\n    x\n\n    y\n尾", [("", "文\n\n"), (INDENTED, "    x\n\n    y\n"), ("", "尾")]),
        ("文\n    接着上一行", [("", "文\n    接着上一行")]),
        ("- 甲\n\n    - 乙", [("", "- 甲\n\n    - 乙")]),
    ],
)
def test_code_is_told_from_prose(text, expected):
    assert [(kind, piece) for kind, piece in code_and_prose(text) if piece] == expected


TEXT = st.lists(
    st.sampled_from(["```", "~~~", "````", "`", "\n", "\n\n", "    ", "\t", "- ", "> ", "文", "a"]), max_size=20
)


@given(TEXT.map("".join))
def test_the_pieces_are_the_text(text):
    assert "".join(piece for _, piece in code_and_prose(text)) == text
    fenced = [text[start:stop] for start, stop in fences(text)]
    assert [piece for kind, piece in code_and_prose(text) if kind == FENCED] == fenced


def test_lines_outside_fences_are_changed_and_empty_ones_go():
    text = "一 \n\n```\n 二 \n\n```\n 三"
    assert list(outside_fences(text, str.strip)) == ["一", "```", " 二 ", "", "```", "三"]
