"""From pages and Markdown to text, and lines that every page has: what goes, and what must stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning import markup
from woodblock.cleaning.markup import plain, without_boilerplate

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
        ("| a | b<br>c |\n|---|---|\n| &#124; | d |", "| a | b c |\n|---|---|\n| \\| | d |"),
        ('写 &lt;div class="a"&gt; 与 &lt;mask&gt;', '写 `<div class="a">` 与 <mask>'),
        ("前<pre>a &lt; b\n<b>c</b></pre>后", "前\n```\na < b\nc\n```\n后"),
        ('<a id="x"></a>\n## 题\n<details>\n<summary>展开</summary>\n字\n</details>', "## 题\n展开\n字"),
    ],
)
def test_pieces_of_html_go(text, expected):
    assert plain(text) == expected
    assert plain(expected) == expected


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
        "模板 {{ name }}、{{{ .starter }}}、{% if %}",
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
    *(
        "<b>",
        "</b>",
        "<div>",
        "<p ",
        ">",
        "<",
        "<!--",
        "-->",
        "&lt;",
        "&amp;",
        "&#60;",
        "`",
        "```\n",
        "\n",
        "\n\n",
        "    ",
    ),
    *(
        "[",
        "](/a)",
        "![",
        "]",
        "[a]: /b\n",
        "[a][a]",
        "{{<",
        ">}}",
        "# ",
        "{#a}",
        "- ",
        "$",
        "|",
        "---\n",
        "title: a\n",
        "中",
    ),
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
        *(
            "<",
            "<a ",
            "<!--",
            "![",
            "[",
            "[a]",
            "[](",
            "[![a](",
            "`",
            "`a ",
            "$a",
            "&",
            "&lt;",
            "{{<",
            "# {#",
            "((",
            "'<a ",
        ),
        *(
            "<script>",
            "<pre>a</pre>",
            "```\n",
            "~~~\n```\n",
            "title: a\n\n",
            "---\n",
            "+++\n",
            "\n\n    a",
            "<div>",
            "<li>a",
        ),
        *("- [a](#b)\n", "[a][a]", "[a]: b\n", " ", "<<b>", "</", "[a](" + "(" * 50, '<a "', "a: b\n"),
    ],
)
@pytest.mark.parametrize("before", ["", "<b>", "<html><body><ol>"])
def test_hostile_markup_takes_linear_time(piece, before):
    size = (
        20_000 if before.startswith("<html") and piece.startswith("<") else 200_000
    )  # lexbor: the square of the depth
    plain(before + piece * (size // len(piece)))


BOILERPLATE = """首页 > 新闻 > 正文
您现在的位置：首页 > 产品中心 > 正文
当前位置: 首页 » 行业资讯 » 正文
上一篇：国务院办公厅关于印发通知
下一篇：没有了
上一篇：怎么选？看这篇 下一篇：关于召开会议的通知
返回顶部
【返回顶部】
首页 上一页 1 2 3 4 5 ... 下一页 尾页 共20页
分享到：微信 新浪微博 QQ空间
微信扫一扫，分享到朋友圈
长按识别二维码关注
关注公众号：科技前沿
登录|注册
打印本页 关闭窗口
【打印】【关闭】
【字体：大 中 小】
版权所有 © 2023 某某科技有限公司
版权所有，未经许可不得转载
Copyright © 2010-2023 example.com All Rights Reserved.
京ICP备12345678号-1 京公网安备11010802012345号
增值电信业务经营许可证：京B2-20180001
（责任编辑：李四）
来源：人民日报 作者：张三 2020-05-01
文章来源：中国新闻网 发布时间：2021-03-04 10:20
浏览次数：1234次
编辑：张三 校对：李四 审核：王五
转载请注明来源：某某网
未经本网书面授权，不得转载、摘编或以其他方式使用
本文转载自人民网
声明：本站部分内容来自互联网，如有侵权请联系我们删除。
本网站使用Cookie以提升您的浏览体验，继续浏览即表示您同意我们使用Cookie。
接受所有 Cookie
查看更多>>
[详细]
展开全文
广告
点击领取优惠券
加微信：abc12345 领取资料
热门搜索：手机 电脑 相机 耳机
标签：健康 养生 饮食
猜你喜欢
友情链接：新华网 | 人民网 | 央视网
关于我们 | 联系我们 | 网站地图 | 免责声明
设为首页 | 加入收藏
新闻 体育 财经 娱乐 科技 汽车
https://www.example.com/a/b.html
- <https://www.example.com/a/b.html>
客服电话：400-123-4567
主办单位：某市人民政府 技术支持：某公司
还没有人评论过，快来抢沙发吧！
赞(12) 踩(3) 收藏 分享 举报
Powered by Discuz! X3.4
您是第5749872位访客""".splitlines()

TEXT = """本书版权所有，侵权必究的字样印在封底，读者可以看到。
版权所有者的权利受法律保护。
首页的设计应当简洁。
点击首页上方的“登录”按钮，输入用户名和密码。
第五十三条 未经著作权人许可，复制、发行、表演其作品的，应当承担民事责任。
未经许可，任何人不得转载他人作品。
（三）未经著作权人许可，不得转载；
（二）倒卖、出租、转让燃气经营许可证；
禁止伪造、变造、转让经营许可证。
下一篇文章将介绍事务的实现。
上一节我们介绍了线性回归
分享到这里就结束了，谢谢大家。
来源：《史记·项羽本纪》
扫描仪的分辨率是多少
责任编辑应当对稿件负责。
作者：鲁迅
编辑：vim
更新日期：2023年2月2日
如果合同涉及侵权，当事人可以要求赔偿。
浏览器打开链接后可以查看更多信息。
转载其他报刊的作品，应当按照规定向著作权人支付报酬。
# 返回顶部
| 登录 | 注册 |
注册
关闭
教育、科技、文化、卫生、体育
Cookie 是服务器发送到浏览器的小块数据。
我们使用 Cookie 保存会话。
    https://example.com/code
访问 https://example.com/ 下载安装包。
欢迎关注这个问题的进展
欢迎来到1987年的地下室！
(c) 两者
$f(c)$ 的值
用户登录后可以查看订单。""".splitlines()


@pytest.mark.parametrize("line", BOILERPLATE)
def test_a_line_that_every_page_has_goes(line):
    assert without_boilerplate(line) == ("", 1)
    assert without_boilerplate(f"春天来了。\n{line}\n石榴树发了芽。") == ("春天来了。\n石榴树发了芽。", 1)


@pytest.mark.parametrize("line", TEXT)
def test_a_line_of_text_stays(line):
    text = f"春天来了。\n{line}\n石榴树发了芽。"
    assert without_boilerplate(text) == (text, 0)
    assert without_boilerplate(line) == (line, 0)


@pytest.mark.parametrize(
    "block",
    [
        "首页\n新闻\n体育\n财经\n更多",
        "分享到：\n微信\nQQ好友\n复制链接",
        "点赞 120\n收藏 8\n分享",
        "返回首页\n我的订单\n购物车(0)\n收藏夹",
        "全部评论 (12)\n按热度 按时间\n登录后才能发表评论",
        "相关阅读：\n石榴怎么种？看完就懂了\n豆子的三种吃法\n某市今年新建五所学校",
        "延伸阅读\n· 石榴的品种\n· 豆子的品种\n查看更多>>",
    ],
)
def test_short_lines_go_where_they_stand_together(block):
    text = f"春天来了。\n{block}\n石榴树发了芽，祖母坐在门口剥豆子。"
    removed = block.count("\n") + 1
    assert without_boilerplate(text) == ("春天来了。\n石榴树发了芽，祖母坐在门口剥豆子。", removed)


def test_short_lines_alone_stay():
    text = "新闻\n这一节讲新闻的写法，先说标题。\n微信\n这一节讲微信。\n相关阅读\n这一节讲怎样读书，先说目录。"
    text += "\n- 登录\n- 注册\n- 退出"
    assert without_boilerplate(text) == (text, 0)


def test_code_is_no_page():
    text = "配置：\n```\n返回顶部\nCopyright © 2020 Example\nhttps://example.com\n```\n返回顶部\n尾。"
    expected = text.replace("```\n返回顶部\n尾", "```\n尾")
    assert without_boilerplate(text) == (expected, 1)


LINES = st.lists(
    st.sampled_from([*BOILERPLATE, *TEXT, "", "新闻", "微信", "相关阅读", "石榴的品种", "```", "𠀀"]), max_size=12
)


@given(LINES)
def test_boilerplate_goes_at_once(lines):
    text = "\n".join(lines)
    once, removed = without_boilerplate(text)
    assert text.count("\n") - once.count("\n") in (removed, removed - 1)
    assert without_boilerplate(once) == (once, 0)
    left = iter(text.split("\n"))
    assert not once or all(line in left for line in once.split("\n"))  # in order


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "上一页 ",
            "首页 > ",
            "©",
            "未经转载",
            "来源：",
            "标签：a、",
            "微信",
            "更多",
            "第1页",
            "如有侵权",
            "扫一扫关注",
            "位置：a>b",
        ),
        *(
            "请关注公众号",
            "未经许可不得",
            "主办：",
            "首页/a-b",
            "作者：a b ",
            "加微信abcde",
            "版权所有",
            "浏览",
            "赞 ",
            "1 页 ",
            "http://a ",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "。\n", ""])
def test_hostile_lines_take_linear_time(piece, end):
    line = piece * (190 // len(piece)) + end
    without_boilerplate((line * (200_000 // len(line)))[:200_000])


@given(
    st.lists(st.text(alphabet="版权所有首页上一页 :/w文\U00020000更多", max_size=12), max_size=6), st.integers(0, 220)
)
def test_suspects_are_the_short_lines_that_have_a_pair_of_a_rule(lines, size):
    lines.append("版权" + "文" * size)
    rules = [markup.PART_PAIRS, *(pairs for pairs, _ in markup.RULES)]
    expected = {}
    for number, line in enumerate(lines):
        found = [any(pair.replace("␠", " ") in line for pair in rule.split()) for rule in rules]
        if any(found) and len(line.encode("utf-16-le")) <= 2 * markup.LINE_CHARS:
            expected[number] = sum(1 << bit for bit, is_found in enumerate(found) if is_found)
    assert markup._suspects("\n".join(lines)) == expected
