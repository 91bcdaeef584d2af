"""Blocks are found where they stand, and come out of cleaning byte for byte; documentation's own syntax does not."""

# ruff: noqa: E501 - a case is one line
from __future__ import annotations

import json
import tarfile
import textwrap
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planted.real_documents import CORPUS

from woodblock.cleaning import boilerplate, steps
from woodblock.cleaning.markup import plain
from woodblock.cleaning.repairing import repair
from woodblock.structure import blocks
from woodblock.structure.blocks import FENCED, INDENTED, LAID_OUT, PROSE, RAW, TABLE, pieces, units


def cleaned(text: str) -> str:
    """A text after the steps of cleaning that change lines."""
    text = repair(plain(repair(text)))
    return repair(boilerplate.without_boilerplate(text)[0])


def paragraphs(text: str) -> list[str]:
    data = text.encode()
    return [data[start:end].decode() for start, end in blocks.paragraphs(np.frombuffer(data, np.uint8))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("文\n```py\nx\n```\n尾", [(PROSE, "文\n"), (FENCED, "```py\nx\n```\n"), (PROSE, "尾")]),
        ("~~~\n```\n~~~", [(FENCED, "~~~\n```\n~~~")]),
        ("````\n```\n甲\n```\n````\n尾", [(FENCED, "````\n```\n甲\n```\n````\n"), (PROSE, "尾")]),
        ("```\n没有关上", [(FENCED, "```\n没有关上")]),
        ("> ```\n> 甲\n\n尾", [(FENCED, "> ```\n> 甲\n"), (PROSE, "\n尾")]),
        ("- ```py\n  x\n  ```\n- 乙", [(FENCED, "- ```py\n  x\n  ```\n"), (PROSE, "- 乙")]),
        ("文\n\n    x\n\n    y\n尾", [(PROSE, "文\n\n"), (INDENTED, "    x\n\n    y\n"), (PROSE, "尾")]),
        ("文\n    接着上一行，完。", [(PROSE, "文\n    接着上一行，完。")]),
        ("- 甲\n\n    - 乙", [(PROSE, "- 甲\n\n"), (LAID_OUT, "    - 乙")]),
        ("如下::\n\n  甲\n    乙\n\n尾", [(PROSE, "如下::\n\n"), (INDENTED, "  甲\n    乙\n"), (PROSE, "\n尾")]),
        ("a|b\n-|-\n1\\|2|3\n尾", [(TABLE, "a|b\n-|-\n1\\|2|3\n"), (PROSE, "尾")]),
        ("+--+\n|甲|\n+--+\n尾", [(TABLE, "+--+\n|甲|\n+--+\n"), (PROSE, "尾")]),
        ("==  ==\n甲  乙\n==  ==\n1   2\n==  ==\n\n尾", [(TABLE, "==  ==\n甲  乙\n==  ==\n1   2\n==  ==\n"), (PROSE, "\n尾")]),
        (" id | n\n----+---\n 1  | 2\n", [(TABLE, " id | n\n----+---\n 1  | 2\n")]),
        ("<pre>\n甲\n\n    乙\n</pre>\n尾", [(RAW, "<pre>\n甲\n\n    乙\n</pre>\n"), (PROSE, "尾")]),
        ("甲：\n  乙: 1\n  丙: 2", [(LAID_OUT, "甲：\n  乙: 1\n  丙: 2")]),
    ],
)  # fmt: skip
def test_blocks_are_told_from_prose(text, expected):
    assert [(kind, piece) for kind, piece in pieces(text) if piece] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("甲\n乙\n\n丙", ["甲", "乙", "丙"]),
        ("- 甲\n\n  续\n\n  ```\n  x\n  ```\n- 乙\n\n文", ["- 甲\n\n  续\n\n  ```\n  x\n  ```\n- 乙", "文"]),
        ("甲：\n（一）乙；\n（二）丙。\n丁", ["甲：", "（一）乙；\n（二）丙。", "丁"]),
        ("1. 甲\n2. 乙\n\n# 题\n- 丙", ["1. 甲\n2. 乙", "# 题", "- 丙"]),
        ("文\n\n```\n甲\n\n乙\n```\n尾", ["文", "```\n甲\n\n乙\n```", "尾"]),
        ("| a |\n|---|\n| 1 |\n尾", ["| a |\n|---|\n| 1 |", "尾"]),
    ],
)
def test_a_block_or_a_list_is_one_paragraph(text, expected):
    assert paragraphs(text) == expected


LINES = [
    "```",
    "~~~",
    "````",
    "| a | b |",
    "|---|---|",
    "+--+",
    "- 甲",
    "  乙",
    "    丙",
    "\tx",
    "",
    "> 引",
    "文::",
    "<pre>",
    "<!--",
    "-->",
]


@given(
    st.lists(
        st.sampled_from([*LINES, "文", "甲：", "== ==", "??? 甲", "（一）甲", "│", "# 题", " ", "\u3000"]), max_size=12
    ).map("\n".join)
)
def test_the_pieces_are_the_text(text):
    assert "".join(piece for _, piece in pieces(text)) == text
    assert "\n".join(units(text)) == text


# --- byte for byte ----------------------------------------------------------------------------------------------------

CELL = st.text("甲乙 ab1-`:*.", min_size=1, max_size=6).map(lambda text: text.strip() or "丙")
CODE_LINE = st.text("甲乙，。 \tab#-=_+|*<>&{}[]()/!'\"1", max_size=20) | st.sampled_from(
    [
        "----",
        "    如果 甲",
        "# 注释",
        "|---|---|",
        "",
        "  名称: 乙",
        "首页 > 新闻 > 正文",
        "版权所有",
        "<b>x</b>",
        "[a](/b)",
        "--8<-- x y",
    ]
)


@st.composite
def fence(draw) -> str:
    mark = draw(st.sampled_from(["```", "````", "~~~", "~~~~~"]))
    lines = draw(
        st.lists(CODE_LINE.filter(lambda line: not line.strip().startswith(("```", "~~~"))), min_size=1, max_size=6)
    )
    info = draw(st.sampled_from(["", "py", " {.python .input}", "c++ title='甲'"]))
    return "\n".join([mark + info, "x", *lines, mark])


@st.composite
def table(draw) -> str:
    columns = draw(st.integers(2, 4))
    rows = [draw(st.lists(CELL, min_size=columns, max_size=columns)) for _ in range(draw(st.integers(2, 4)))]
    style = draw(st.sampled_from(["gfm", "bare", "grid"]))
    if style == "grid":
        border = "+" + "----+" * columns
        return "\n".join([border, *(f"|{'|'.join(row)}|\n{border}" for row in rows)])
    rule = draw(st.lists(st.sampled_from(["---", ":-:", "-----:", "----------"]), min_size=columns, max_size=columns))
    made = [rows[0], rule, *rows[1:]]
    return "\n".join("|".join(row) if style == "bare" else f"| {' | '.join(row)} |" for row in made)


@settings(max_examples=150, deadline=None)
@given(fence() | table(), st.sampled_from(["\n", "\n\n"]), st.booleans())
def test_fences_and_tables_come_out_as_they_went_in(block, gap, crlf):
    if block.lstrip() != block:
        return
    text = f"前面的文字。\n{gap}{block}\n{gap}后面的文字。"
    assert block in cleaned(text.replace("\n", "\r\n") if crlf else text)
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    assert all(block in message["content"] for message in steps.repaired_messages(messages))


@pytest.mark.parametrize(
    "text",
    [
        "1. 甲\n\n   ```yaml\n   名称: 乙\n     值: 丙  \n\n\n   ```\n\n   续段。\n2. 丁",
        "> ```\n>     如果 甲\n> ----\n> ```",
        "如下:\n\n    # 注释，说明。\n    if 甲:\n        返回\n\n\n    完",
        "配置:\n  端口: 80\n  主机:\n    - 甲",
        "算法甲\n    如果 天晴\n        出门\n    否则\n        读书",
        "├── 甲\n│   └── 乙\n└── 丙",
        "`甲`\n\n\t缩进\n\t\t再缩进\n\n尾",
    ],
)
def test_indentation_that_has_a_meaning_stays(text):
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    话说天下大势，分久必合。\n\n    合久必分，周末七国分争。", "话说天下大势，分久必合。\n\n合久必分，周末七国分争。"),
        ("第一回\n    话说天下大势，分久必合。\n    却说玄德。", "第一回\n话说天下大势，分久必合。\n却说玄德。"),
        ("　　甲乙。\n　　丙丁。", "甲乙。\n丙丁。"),
    ],
)  # fmt: skip
def test_the_indentation_of_paragraphs_goes(text, expected):
    assert cleaned(text) == expected


# --- documentation's own syntax ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('??? note "题"\n    正文。\n\n    ```cpp\n    int 甲;\n        x\n    ```\n\n后', "题\n正文。\n\n```cpp\nint 甲;\n    x\n```\n\n后"),
        ('???+ warning\n    甲\n\n    !!! tip "乙"\n        丙\n\n    丁\n后', "甲\n\n乙\n丙\n\n丁\n后"),
        ('=== "C++"\n\n    ```cpp\n    x\n    ```\n\n=== "Python"\n\n    y', "C++\n\n```cpp\nx\n```\n\nPython\n\ny"),
        ('前\n\n??? note "参考代码"\n    ```cpp\n    --8<-- "docs/a.cpp"\n    ```\n\n后', "前\n\n后"),
        ("--8<-- 'a.md'\n正文\n    --8<-- 'b.md'", "正文"),
        ("# 题\n:label:`sec_a`\n\n如 :numref:`fig_a`所示，见 :numref:`sec_b`与 :eqref:`eq_c` :cite:`A.B`。", "# 题\n\n如图所示，见相应章节与公式。"),
        (":begin_tab:`mxnet`\n[Discussions](https://discuss.d2l.ai/t/1)\n:end_tab:\n文", "文"),
        ('1. 甲\n\n    {{< copyable "sql" >}}\n\n    ```sql\n    SELECT 1;\n    ```\n\n    ![图](/a.png)\n\n    [乙](/b.md)', "1. 甲\n\n    ```sql\n    SELECT 1;\n    ```\n\n    乙"),
        ("文\n\n    ![图](/a.png)\n\n尾", "文\n\n尾"),
        ("用 {{{ .starter }}} 集群\n\n| 甲 |\n|---|\n| {{{ .essential }}} |", "用 starter 集群\n\n| 甲 |\n|---|\n| essential |"),
        ("::: tip 注意\n甲\n:::\n\n:::note[题]\n乙\n:::\n\n:::{warning}\n丙\n:::", "注意\n甲\n\n题\n乙\n\n丙"),
        ("{% include a.html %}\n甲\n{% highlight python %}\nx\n    乙\n{% endhighlight %}", "甲\n```python\nx\n    乙\n```"),
        ("> [!NOTE]\n> 甲", "> 甲"),
        ("[[toc]]\n@[toc](目录)\n甲", "甲"),
        (".. note::\n\n   甲\n\n   乙\n\n.. toctree::\n   :maxdepth: 2\n\n   a\n   b\n\n见 :ref:`题 <x>` 与 :func:`f`。", "甲\n\n乙\n\n见 题 与 `f`。"),
        ("见 {ref}`题 <a>`、{doc}`乙`。", "见 题、乙。"),
        ('<CustomContent platform="tidb">\n\n甲\n\n</CustomContent>', "甲"),
    ],
)  # fmt: skip
def test_the_words_of_documentation_stay_and_its_syntax_goes(text, expected):
    assert cleaned(text) == expected
    assert cleaned(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        '```md\n??? note "题"\n    甲\n--8<-- x\n:label:`a`\n{{{ .x }}}\n```',
        "真的吗???\n!!! 太好了",
        "时间 12:30:`x`，List<StringBuilder>，`{% if %}` 与模板 {{ name }}、{% if %}",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert cleaned(text) == text


# --- the shared corpus ------------------------------------------------------------------------------------------------


@cache
def real_blocks() -> list[str]:
    """A hundred documents of the shared corpus that have code or tables."""
    if not CORPUS.exists():
        pytest.skip("the shared corpus is not beside this checkout")
    found: list[str] = []
    with tarfile.open(CORPUS) as archive:
        for number, line in enumerate(archive.extractfile(next(m for m in archive if m.isfile()))):
            if number % 3 == 0 and (b"```" in line or b"|--" in line or b"| --" in line):
                found.append(json.loads(line)["text"])
                if len(found) == 100:
                    break
    return found


def test_real_code_and_tables_come_out_as_they_went_in():
    """Admonitions go, so their content may move to the left, all its lines together."""
    seen = 0
    for text in real_blocks():
        left = cleaned(text)
        flat = [textwrap.dedent(piece.rstrip()) for kind, piece in pieces(left) if kind in (FENCED, TABLE)]
        for kind, piece in pieces(text):
            if kind in (FENCED, TABLE) and "8<" not in piece and "{{{" not in piece:
                assert textwrap.dedent(piece.rstrip()) in flat
                seen += 1
    assert seen > 300
