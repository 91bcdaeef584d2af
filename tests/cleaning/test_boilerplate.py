"""Lines that every page of a site has go; what says the same within a text stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning import boilerplate
from woodblock.cleaning.boilerplate import without_boilerplate
from woodblock.cleaning.boilerplate_rules import PART_PAIRS, RULES

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
        *("上一页 ", "首页 > ", "©", "未经转载", "来源：", "标签：a、", "微信", "更多", "第1页", "如有侵权"),
        *("扫一扫关注", "位置：a>b"),
        *("请关注公众号", "未经许可不得", "主办：", "首页/a-b", "作者：a b ", "加微信abcde", "版权所有", "浏览"),
        *("赞 ", "1 页 ", "http://a "),
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
    rules = [PART_PAIRS, *(pairs for pairs, _ in RULES)]
    expected = {}
    for number, line in enumerate(lines):
        found = [any(pair.replace("␠", " ") in line for pair in rule.split()) for rule in rules]
        if any(found) and len(line.encode("utf-16-le")) <= 2 * boilerplate.LINE_CHARS:
            expected[number] = sum(1 << bit for bit, is_found in enumerate(found) if is_found)
    assert boilerplate._suspects("\n".join(lines)) == expected
