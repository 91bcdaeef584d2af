"""Markup goes out of a text, at once and in linear time; text and code stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning.markup import plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# 题\n\n- 甲\n  - 乙\n\n> 引 **重** *轻* ~~删~~\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n1. 一",
        "```html\n<div class='a'>[x](/y) &lt; <!-- c --></div>\n![a](b)\n```",
        "~~~\n<p>\n```\n</p>\n~~~",
        "```\n没有关上 <b>的</b>",
        "文：\n\n    <b>缩进的代码</b> [x](/y)\n    &amp;\n\n尾",
        "用 `<div>`、`[x](/y)`、``a ` <p>`` 与 `&lt;`",
        "#include <vector>\n#include <map>\nstd::map<int, std::vector<long>> m;",
        "List<String>、Map<String, Object>、vector<int>，x < y 且 y > z，a<b 与 b>c",
        "tiup install <component>:<version>，<cluster-name> 与 <table>、<time>、<b>",
        "公式 $a<b>c$、$$\nx <i> y\n$$、$f[0](x)$",
        "数组 a[i](x)、f[0](1)、[甲](乙)、脚注[^1]\n\n[^1]: 注",
        "模板 {{ name }}、{% if %}",
        "R&D、AT&T、a && b、&foo;、&amp;lt;、5 &",
        "---\n\n分隔线之间不是元数据\n\n---",
        "注意：这一行有冒号\n\n正文",
        "题：说 title: 的用法",
        "- [甲](/a.md 有空格 不是链接)",
        "文<!-- 没有完",
        "- 甲\n- 乙\n\n目录里写着什么",
    ],
)
def test_text_and_code_stay(text):
    assert plain(text) == text


MARKS = [
    *("<b>", "</b>", "<div>", "<p ", ">", "<", "<!--", "-->", "&lt;", "&amp;", "&#60;", "`"),
    *("```\n", "\n", "\n\n", "    "),
    *("[", "](/a)", "![", "]", "[a]: /b\n", "[a][a]", "{{<", ">}}", "# ", "{#a}", "- ", "$", "|"),
    *("---\n", "title: a\n", "中"),
    *("<pre>", "</pre>", "<html>", "<script>", "</script>", "<li>", "<ol>", "\0", "\ud800", "+++\n", "- [a](#b)\n"),
]


@given(
    st.text(st.sampled_from("abc中，.<>&[]()`# \n"), max_size=60)
    | st.lists(st.sampled_from(MARKS), max_size=14).map("".join)
)
def test_plain_twice_is_plain_once(text):
    once = plain(text)
    assert plain(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        *("<", "<a ", "<!--", "![", "[", "[a]", "[](", "[![a](", "`", "`a ", "$a", "&", "&lt;", "{{<"),
        *("# {#", "((", "'<a "),
        *("<script>", "<pre>a</pre>", "```\n", "~~~\n```\n", "title: a\n\n", "---\n", "+++\n", "\n\n    a"),
        *("<div>", "<li>a"),
        *("- [a](#b)\n", "[a][a]", "[a]: b\n", " ", "<<b>", "</", "[a](" + "(" * 50, '<a "', "a: b\n"),
    ],
)
@pytest.mark.parametrize("before", ["", "<b>", "<html><body><ol>"])
def test_hostile_markup_takes_linear_time(piece, before):
    nested = before.startswith("<html") and piece.startswith("<")  # lexbor: the square of the depth
    size = 20_000 if nested else 200_000
    plain(before + piece * (size // len(piece)))
