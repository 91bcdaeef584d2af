"""What carries no words in Markdown goes: front matter, images, targets of links, tables of contents."""

from __future__ import annotations

import pytest

from woodblock.cleaning.markup import plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: 题\ntags:\n  - a\n  - b\n---\n\n# 正文", "# 正文"),
        ("+++\ntitle = '题'\ntags = ['a']\n+++\n\n正文", "正文"),
        ("title: 题\nauthor: 某人\n\n正文", "正文"),
        ("![图](a.png)\n正文![小图](b.png '题')后", "正文后"),
        ("[![Build](https://a/b.svg)](https://a/b)\n# 题", "# 题"),
        ('见[文档](/a/b.md)与[`f(x)`](c.md#f)，[站](https://a.b/(c) "题")。', "见文档与`f(x)`，站。"),
        ("[数组 a[0]](/x.md)、[空]()", "数组 a[0]、空"),
        ('见 [文][ref] 与 [ref][]。\n\n[ref]: https://a.b/c "题"\n[x]: <#y>\n尾', "见 文 与 ref。\n\n尾"),
        ('{{< copyable "sql" >}}\n\n```sql\nSELECT 1;\n```', "```sql\nSELECT 1;\n```"),
        ("{{% notice %}}\n注意\n{{% /notice %}}", "注意"),
        ("# 题\n\n- [一](#a)\n- [二](#b)\n  - [三](#c)\n\n正文", "# 题\n\n正文"),
        ("# 题\n\n## 目录\n\n1. [一](a.md)\n2. [二](b.md)\n3. [三](c.md)\n\n正文", "# 题\n\n正文"),
        ("[TOC]\n正文", "正文"),
        ("## 连接 {#connect}\n### 再见 {: .no_toc #bye}\n", "## 连接\n### 再见"),
    ],
)
def test_what_says_nothing_in_markdown_goes(text, expected):
    assert plain(text) == expected
    assert plain(expected) == expected
