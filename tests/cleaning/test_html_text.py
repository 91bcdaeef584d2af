"""HTML becomes text: whole pages, and tags, comments and entities within other text."""

from __future__ import annotations

import pytest

from woodblock.cleaning.markup import plain

PAGE = """<!DOCTYPE html>
<html lang="zh"><head><title>题目_某网</title><style>p{color:red}</style><script>var a = "<p>不是正文</p>";</script></head>
<body>
<div id="header"><ul class="nav"><li><a href="/">首页</a></li><li>新闻</li></ul></div>
<div class="breadcrumb">首页 > 新闻</div>
<article><header><h1>石榴树</h1></header>
<p>祖母&nbsp;说：&ldquo;豆子要<b>趁早</b>摘。&rdquo;</p><p>第一行<br>第二行，3 &lt; 5，用 &lt;br&gt; 换行。</p>
<ul><li>甲</li><li>乙</li></ul><ol><li>一</li><li>二</li></ol>
<table><tr><th>名</th><th>价</th></tr><tr><td>豆</td><td>三元</td></tr></table>
<pre><code>#include &lt;vector&gt;
if (a &lt; b) {
    run();
}</code></pre>
<p>见 <code>List&lt;String&gt;</code>。</p><p style="display: none">藏着的</p></article>
<aside>相关</aside><form>登录<input></form><div class="share">分享到</div><footer>版权所有</footer>
</body></html>"""

PAGE_TEXT = """石榴树
祖母 说：“豆子要趁早摘。”
第一行
第二行，3 < 5，用 `<br>` 换行。
- 甲
- 乙
1. 一
2. 二
名 | 价
豆 | 三元
```
#include <vector>
if (a < b) {
    run();
}
```
见 `List<String>`。"""


def test_a_page_becomes_its_text():
    assert plain(PAGE) == PAGE_TEXT
    assert plain(PAGE_TEXT) == PAGE_TEXT


def test_mostly_tags_is_a_page():
    rows = "".join(f'<div class="row"><span>{n}</span><a href="/{n}">第{n}行</a></div>' for n in range(20))
    assert plain(rows) == "\n".join(f"{n}第{n}行" for n in range(20))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>第一段</p><p>第二段</p>", "第一段\n第二段"),
        ("前<br/>后<BR>尾", "前\n后\n尾"),
        ('<div align="center">\n<img src="a.png"/>\n</div>\n正文', "正文"),
        ("按 <kbd>Ctrl</kbd>，<span style='x'>红</span>字，水 H<sub>2</sub>O", "按 Ctrl，红字，水 H2O"),
        ("文<!-- 注\n释 -->字", "文字"),
        ("文\n<!-- 注 -->\n字", "文\n字"),
        ("前<script>var a = 1 < 2;</script>中<style>p{}</style>后", "前中后"),
        ("a&nbsp;b &amp; c &lt; d &#20013; &mdash; &hellip;", "a b & c < d 中 — …"),
        ("| a | b<br>c |\n|---|---|\n| &#124; | d |", "| a | b<br>c |\n|---|---|\n| &#124; | d |"),  # byte for byte
        ("<pre>\n```\n甲\n\n    乙\n```\n</pre>\n文", "````\n```\n甲\n\n    乙\n```\n````\n文"),
        ('写 &lt;div class="a"&gt; 与 &lt;mask&gt;', '写 `<div class="a">` 与 <mask>'),
        ("前<pre>a &lt; b\n<b>c</b></pre>后", "前\n```\na < b\nc\n```\n后"),
        ('<a id="x"></a>\n## 题\n<details>\n<summary>展开</summary>\n字\n</details>', "## 题\n展开\n字"),
    ],
)
def test_pieces_of_html_go(text, expected):
    assert plain(text) == expected
    assert plain(expected) == expected
