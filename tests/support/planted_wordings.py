"""What tests/support/planted.py plants, put in words: pages around a text, machine lists, personal data in sentences.

Everything is drawn from the random.Random that is given: the same state gives the same words. The persons, firms,
numbers and addresses are made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random


def words(text: str) -> list[str]:
    return text.split()


CITIES = words(
    "北京 上海 广州 深圳 杭州 成都 武汉 西安 南京 重庆 天津 苏州 长沙 郑州 青岛 大连 厦门 合肥 昆明 哈尔滨 兰州"
)
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国志文斌宇浩然子轩梓涵欣怡思远"
PINYIN = words(
    "wang li zhang liu chen yang zhao huang zhou wu xu sun hu zhu gao lin he guo ma luo liang song zheng xie"
)
TRADES = words("科技 商贸 物流 建材 电子 餐饮 文化传媒 机械设备 医疗器械 环保工程 教育咨询 网络技术 房地产 农业发展")
DEPARTMENTS = words("办公室 财务科 人事处 总务处 信息中心 保卫科 教务处 工会 门诊部 采购部 市场部 客服部 研发中心")
GOODS = words(
    "苹果 香蕉 西红柿 土豆 大白菜 五花肉 鸡蛋 草鱼 基围虾 豆腐 螺纹钢 水泥 铜杆 铝锭 聚乙烯 甲醇 尿素 玉米 大豆 棉花 "
    "轴承 密封圈 离心泵 减压阀 电磁阀 继电器 断路器 接触器 传感器 变频器 打印纸 墨盒 硒鼓 键盘 显示器 路由器"
)
THEMES = words(
    "二手房 租房 装修 搬家 开锁 培训 驾校 整形 减肥 贷款 网站建设 办公家具 发电机出租 空调维修 月嫂 婚纱摄影 会计代理 "
    "公司注册 商标注册 小程序开发 印刷厂家 灭火器 叉车租赁 管道疏通 白蚁防治 甲醛检测 英语辅导"
)
SECTIONS = words(
    "首页 新闻 国内 国际 社会 财经 科技 体育 娱乐 汽车 房产 教育 健康 旅游 时尚 军事 文化 历史 图片 视频 直播 专题 "
    "论坛 博客 评论 法治 公益 三农 游戏 读书 地方 数码 招聘 健身 亲子 星座 彩票 股票 基金 理财 问答 下载"
)
SITES = words("晨报网 江南新闻网 华声在线网 天涯资讯 中原门户 聚焦网 每日要闻 大河论坛 知行网 云端学堂 法律先锋 百科园")
HOSTS = words("www.chenbaowang.com news.jiangnanw.cn m.zhixing.net www.dahebbs.com.cn static.yunduan.com img.jujiao.cn")


def person(rng: Random) -> str:
    return rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.choice((1, 2, 2))))


def firm(rng: Random) -> str:
    return (
        rng.choice(CITIES)
        + "".join(rng.choices(GIVEN, k=2))
        + rng.choice(TRADES)
        + rng.choice(("有限公司", "有限责任公司", "股份有限公司"))
    )


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def day(rng: Random, *, first: int = 2005, last: int = 2024) -> tuple[int, int, int]:
    return rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)


def url(rng: Random) -> str:
    year, month, date = day(rng)
    path = rng.choice(
        (
            f"/{year}/{month:02d}{date:02d}/{digits(rng, 7)}.html",
            f"/article/{digits(rng, 6)}.shtml",
            f"/thread-{digits(rng, 6)}-1-1.html",
            f"/a/{digits(rng, 9)}_{digits(rng, 6)}",
            f"/index.php?m=content&c=index&a=show&catid={rng.randint(1, 99)}&id={digits(rng, 5)}",
        )
    )
    return f"{rng.choice(('http', 'https'))}://{rng.choice(HOSTS)}{path}"


# ------------------------------------------------------------------------------------------------ pages


def navigation(rng: Random) -> list[str]:
    items = rng.sample(SECTIONS[1:], rng.randint(6, 14))
    site = rng.choice(SITES)
    return rng.choice(
        (
            lambda: [" | ".join(["首页", *items])],
            lambda: [" ".join(["首页", *items, "更多>>"])],
            lambda: ["首页", *items],
            lambda: ["登录 注册 | 设为首页 | 加入收藏 | 手机版", "·".join(items)],
            lambda: [f"当前位置：首页 > {items[0]} > {items[1]} > 正文"],
            lambda: [f"您的位置：{site} >> {items[0]}频道 >> {items[1]} >> 内容"],
            lambda: [f"欢迎来到{site}！请登录 免费注册", "网站首页　" + "　".join(items)],
            lambda: ["跳转到主要内容", "菜单", "搜索", " / ".join(items)],
            lambda: ["[" + "] [".join(items) + "]", f"站内搜索：热门搜索：{' '.join(rng.sample(THEMES, 4))}"],
            lambda: ["返回首页", "切换城市", "我的订单", "购物车(0)", "收藏夹", "网站导航"],
        )
    )()


def share(rng: Random) -> list[str]:
    count = rng.randint(0, 9999)
    return rng.choice(
        (
            ["分享到：微信 新浪微博 QQ空间 腾讯微博 豆瓣 人人网"],
            ["分享", "微信", "微博", "QQ好友", "复制链接"],
            [f"赞({count}) 踩({rng.randint(0, 99)}) 收藏 分享 举报"],
            ["扫一扫，用手机看本文，更方便分享给朋友！"],
            ["打开微信“扫一扫”，打开网页后点击屏幕右上角分享按钮"],
            [f"字号：大 中 小　　打印本页　　关闭窗口　　浏览次数：{count}"],
            [f"【字体：大 中 小】 【打印】 【关闭】 【收藏】 点击数：{count}"],
            ["一键分享到朋友圈、微博、QQ，让更多的人看到"],
            [f"{count}人点赞　{rng.randint(0, 300)}条评论　写下你的评论..."],
            ["关注微信公众号，获取更多精彩内容", "长按识别二维码关注我们"],
            [f"点赞 {count}", f"收藏 {rng.randint(0, 999)}", "分享", "举报", "关注作者"],
            ["转发至：", "新浪微博", "微信好友", "朋友圈", "QQ空间"],
        )
    )


def cookies(rng: Random) -> list[str]:
    site = rng.choice(SITES)
    return rng.choice(
        (
            ["本网站使用Cookie来改善您的浏览体验。继续浏览即表示您同意我们使用Cookie。", "接受 拒绝 了解更多"],
            [f"{site}使用 cookies 以便为您提供更好的服务，点击“同意”即表示您接受我们的《隐私政策》和《Cookie政策》"],
            [
                "我们使用 Cookie 和类似技术分析流量、记住您的偏好。您可以随时在设置中更改。",
                "全部接受",
                "仅必要",
                "管理设置",
            ],
            ["为了您获得更好的体验，请允许本站使用Cookie。", "我知道了"],
            ["您的浏览器版本过低，建议升级到最新版浏览器或使用Chrome浏览器访问本站"],
            ["请启用JavaScript后刷新本页面，否则部分功能无法正常使用"],
            ["本站已更新隐私政策和用户协议，继续使用即视为您已阅读并同意。", "同意并继续"],
        )
    )


def copyright_notice(rng: Random) -> list[str]:
    site, year, host = rng.choice(SITES), rng.randint(2003, 2024), rng.choice(HOSTS)
    return rng.choice(
        (
            [f"Copyright © {year - 3}-{year} {site} 版权所有 All Rights Reserved."],
            [f"版权所有：{firm(rng)}　未经书面授权禁止转载、摘编、复制或建立镜像"],
            [
                f"凡本网注明“来源：{site}”的所有作品，版权均属于{site}，未经本网授权不得转载、摘编或利用其它方式使用上述作品。"
            ],
            [f"声明：本文仅代表作者个人观点，与{site}无关，其原创性以及文中陈述内容未经本站证实，请读者仅作参考。"],
            [f"本文由 {site} 原创，转载请注明出处：{url(rng)}"],
            [f"© {year} {host} 保留所有权利"],
            ["免责声明：本站部分内容来源于网络，如有侵权请联系我们，我们将在24小时内删除。"],
            [
                "版权声明：本文为博主原创文章，遵循 CC 4.0 BY-SA 版权协议，转载请附上原文出处链接和本声明。",
                f"本文链接：{url(rng)}",
            ],
            ["著作权归作者所有。商业转载请联系作者获得授权，非商业转载请注明出处。"],
            [
                f"{site}版权与免责声明：凡本网注明“来源：XXX（非{site}）”的作品，均转载自其它媒体，转载目的在于传递更多信息。"
            ],
        )
    )


def footer(rng: Random) -> list[str]:
    city = rng.choice("京沪粤浙苏川鄂陕湘豫鲁闽皖")
    return rng.choice(
        (
            [
                "关于我们 | 联系我们 | 广告服务 | 招聘信息 | 网站地图 | 意见反馈",
                f"{city}ICP备{digits(rng, 8)}号-{rng.randint(1, 9)}",
            ],
            [f"{city}公网安备 {digits(rng, 14)}号　{city}ICP证{digits(rng, 6)}号"],
            [
                f"增值电信业务经营许可证：{city}B2-{digits(rng, 8)}",
                f"网络文化经营许可证 {city}网文〔2019〕{digits(rng, 4)}-{digits(rng, 3)}号",
            ],
            ["违法和不良信息举报电话：12377　举报邮箱：请点击此处　网警提醒您"],
            [
                f"主办单位：{rng.choice(CITIES)}市人民政府办公室　承办：市信息中心　网站标识码：{digits(rng, 10)}",
                "建议使用1024×768分辨率 IE8.0以上版本浏览本站",
            ],
            ["关于本站 - 广告合作 - 友情链接 - 版权声明 - 隐私条款 - 帮助中心 - 回到顶部"],
            ["帮助中心", "意见反馈", "联系客服", "下载APP", "返回顶部"],
            [
                "Powered by Discuz! X3.4 © 2001-2017 Comsenz Inc.",
                f"GMT+8, 2019-7-{rng.randint(1, 28)} 10:05 , Processed in 0.0{digits(rng, 5)} second(s), 12 queries .",
            ],
            [f"技术支持：{firm(rng)}　您是第{digits(rng, 7)}位访客"],
            [
                "互联网新闻信息服务许可证 | 信息网络传播视听节目许可证 | 广播电视节目制作经营许可证",
                f"{city}ICP备{digits(rng, 8)}号",
            ],
        )
    )


def headline(rng: Random) -> str:
    city, theme = rng.choice(CITIES), rng.choice(THEMES)
    return rng.choice(
        (
            f"{city}今年将新建{rng.randint(3, 40)}所学校",
            f"关于{theme}的{rng.randint(3, 10)}个常见问题",
            f"{city}：{person(rng)}谈{theme}行业的现状",
            f"记者实地探访{city}{theme}市场",
            f"{theme}怎么选？看完这篇就懂了",
            f"{city}{rng.randint(5, 30)}路公交线路调整",
        )
    )


def related(rng: Random) -> list[str]:
    titles = [headline(rng) for _ in range(rng.randint(3, 6))]
    return rng.choice(
        (
            lambda: ["相关阅读：", *titles],
            lambda: ["相关推荐", *(f"· {title}" for title in titles)],
            lambda: [f"上一篇：{titles[0]}", f"下一篇：{titles[1]}"],
            lambda: ["热门文章", *(f"{i}. {title}" for i, title in enumerate(titles, 1))],
            lambda: ["猜你喜欢", *titles, "换一换"],
            lambda: ["延伸阅读", *(f"[图文] {title}" for title in titles), "查看更多>>"],
            lambda: [f"上一页 1 2 3 4 下一页 共{rng.randint(4, 90)}页"],
        )
    )()


def comments(rng: Random) -> list[str]:
    return rng.choice(
        (
            ["网友评论", "文明上网理性发言，请遵守新闻评论服务协议", "发表评论"],
            ["还没有人评论过，快来抢沙发吧！"],
            [f"全部评论 ({rng.randint(0, 300)})", "按热度 按时间", "登录后才能发表评论"],
            ["您需要登录后才可以回帖 登录 | 立即注册", "高级模式", "本版积分规则"],
            [f"我来说两句 ({rng.randint(1, 99)}人参与)", "验证码： 匿名发表", "提交评论"],
            [f"发表于 2016-{rng.randint(1, 12)}-{rng.randint(1, 28)} 12:05 | 只看该作者 | 倒序浏览 | 阅读模式"],
            ["点击展开全文", "责任编辑：" + person(rng)],
            ["打开APP阅读全文，体验更佳", "立即打开"],
        )
    )


PAGE_PARTS: dict[str, Callable[[Random], list[str]]] = {
    "navigation": navigation,
    "share bar": share,
    "cookie notice": cookies,
    "copyright": copyright_notice,
    "footer": footer,
    "related links": related,
    "comments bar": comments,
}


def front_matter(rng: Random) -> list[str]:
    year, month, date = day(rng)
    title, tags = headline(rng), rng.sample(THEMES, 3)
    when = f"{year}-{month:02d}-{date:02d}"
    return rng.choice(
        (
            [
                "---",
                f"title: {title}",
                f"date: {when} 10:30:00",
                f"tags: [{', '.join(tags)}]",
                "categories: 笔记",
                "---",
            ],
            ["---", "layout: post", f'title: "{title}"', f"author: {rng.choice(PINYIN)}", "comments: true", "---"],
            [
                "---",
                f"title: {title}",
                f"summary: {tags[0]}的使用说明",
                f"aliases: ['/docs/{digits(rng, 4)}/','/zh/{digits(rng, 3)}/']",
                "---",
            ],
            [
                "+++",
                f'title = "{title}"',
                f"date = {when}T08:00:00+08:00",
                "draft = false",
                f'tags = ["{tags[0]}", "{tags[1]}"]',
                "+++",
            ],
            [
                "---",
                f"sidebar_position: {rng.randint(1, 30)}",
                f"slug: /{rng.choice(PINYIN)}-{digits(rng, 3)}",
                f"description: {title}",
                "---",
            ],
            [
                "---",
                f"title: {title}",
                "tags:",
                *(f"  - {tag}" for tag in tags),
                f"permalink: /pages/{digits(rng, 6)}/",
                "---",
            ],
        )
    )


def badges(rng: Random) -> list[str]:
    name = f"{rng.choice(PINYIN)}/{rng.choice(PINYIN)}-{rng.choice(('core', 'cli', 'ui', 'docs'))}"
    count = rng.randint(10, 99)
    return rng.choice(
        (
            [f"[![Build Status](https://travis-ci.org/{name}.svg?branch=master)](https://travis-ci.org/{name})"],
            [
                f"![license](https://img.shields.io/badge/license-MIT-blue.svg) ![coverage](https://img.shields.io/badge/coverage-{count}%25-green.svg)"
            ],
            [
                f"[![npm version](https://badge.fury.io/js/{name.split('/')[1]}.svg)](https://badge.fury.io/js/{name.split('/')[1]})"
            ],
            [
                f'<a href="https://github.com/{name}/stargazers"><img src="https://img.shields.io/github/stars/{name}"></a>'
            ],
            [f'<p align="center"><img src="https://raw.githubusercontent.com/{name}/logo.png" width="{count}0"></p>'],
            [
                f"[![GitHub release](https://img.shields.io/github/v/release/{name})](https://github.com/{name}/releases)",
                f"[![Gitter](https://badges.gitter.im/{name}.svg)](https://gitter.im/{name})",
            ],
            [
                f"<!-- ALL-CONTRIBUTORS-BADGE:START - Do not remove --> [![All Contributors](https://img.shields.io/badge/all_contributors-{count}-orange.svg)](#contributors)"
            ],
        )
    )


def escaped(rng: Random, line: str) -> str:
    """A line as HTML has it: some of its signs as entities, some of its words in inline tags."""
    line = line.replace("“", "&ldquo;").replace("”", "&rdquo;").replace("—", rng.choice(("&mdash;", "—", "&#8212;")))
    if len(line) > 20 and rng.random() < 0.5:
        start = rng.randint(0, len(line) - 12)
        stop = start + rng.randint(2, 8)
        if "&" not in line[max(0, start - 8) : stop + 8]:
            before, after = rng.choice(
                (
                    ("<strong>", "</strong>"),
                    (f'<a href="{url(rng)}" target="_blank">', "</a>"),
                    ('<span style="color: #333; font-size: 16px;">', "</span>"),
                    ("<b>", "</b>"),
                    ('<font face="宋体">', "</font>"),
                )
            )
            line = line[:start] + before + line[start:stop] + after + line[stop:]
    return line


def html_fragment(rng: Random, lines: list[str]) -> str:
    """A text as editors of forums and blogs leave it: paragraphs in tags, breaks, entities, pictures."""
    style = rng.choice(("p", "br", "div"))
    marked = []
    for line in lines:
        line = escaped(rng, line)
        if style == "p":
            marked.append(
                rng.choice(("<p>", '<p style="text-indent:2em;">', '<p class="MsoNormal">'))
                + "&nbsp;&nbsp;&nbsp;&nbsp;"
                + line
                + "</p>"
            )
        elif style == "div":
            marked.append(f'<div class="para" data-id="{digits(rng, 5)}">{line}</div>')
        else:
            marked.append(line + "<br/><br>")
        if rng.random() < 0.05:
            marked.append(
                f'<img src="https://{rng.choice(HOSTS)}/{digits(rng, 9)}.jpg" alt="" width="{rng.randint(300, 800)}"/>'
            )
    return "\n".join(marked)


def html_page(rng: Random, lines: list[str]) -> str:
    """A whole page: head, scripts, styles, menus, the text, a footer."""
    site, items = rng.choice(SITES), rng.sample(SECTIONS, 8)
    menu = "".join(f'<li><a href="/{rng.choice(PINYIN)}/">{item}</a></li>' for item in items)
    title = headline(rng)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="zh-CN"><head><meta charset="utf-8">',
            f"<title>{title}_{site}</title>",
            f'<meta name="keywords" content="{",".join(rng.sample(THEMES, 5))}">',
            f'<link rel="stylesheet" href="//{rng.choice(HOSTS)}/css/style.css?v={digits(rng, 4)}">',
            "<style>.article{margin:0 auto;width:1000px} @media(max-width:600px){.nav{display:none}}</style>",
            "<script>var _hmt = _hmt || []; (function() { var hm = document.createElement('script');",
            f"hm.src = '//hm.baidu.com/hm.js?{digits(rng, 8)}'; }})();</script>",
            '</head><body class="page">',
            f'<div id="header"><ul class="nav">{menu}</ul></div>',
            "<!-- 正文开始 -->",
            f'<div class="article" id="content">\n{html_fragment(rng, lines)}\n</div>',
            "<!-- 正文结束 -->",
            f'<script type="text/javascript">/*728*90*/ var cpro_id = "u{digits(rng, 7)}";</script>',
            f'<div class="footer">{footer(rng)[0]}<br>{copyright_notice(rng)[0]}</div>',
            "</body></html>",
        ]
    )


HTML_REMAINS = (
    "<p",
    "</",
    "<br",
    "<div",
    "<span",
    "<img",
    "<a ",
    "<script",
    "<style",
    "<!--",
    "<font",
    "<strong",
    "<meta",
    "&nbsp;",
    "&ldquo;",
    "&#8212;",
    "_hmt",
    "cpro_id",
    "createElement",
    "@media",
)


# ------------------------------------------------------------------------------------------------ personal data


MOBILE = words(
    "134 135 136 137 138 139 150 151 152 157 158 159 147 198 130 131 132 155 156 185 186 176 166 133 153 180 181 189 "
    "177 191 199 173"
)


def mobile(rng: Random) -> str:
    number = rng.choice(MOBILE)
    middle, end = digits(rng, 4), digits(rng, 4)
    plain = number + middle + end
    return rng.choice(
        (
            plain,
            plain,
            plain,
            f"{number} {middle} {end}",
            f"{number}-{middle}-{end}",
            f"+86 {plain}",
            f"+86-{number}-{middle}-{end}",
            f"0086{plain}",
            f"86-{plain}",
        )
    )


def email(rng: Random) -> str:
    first, second = rng.choice(PINYIN), rng.choice(PINYIN)
    local = rng.choice(
        (
            f"{first}{second}{digits(rng, 3)}",
            f"{first}.{second}",
            f"{first}_{second}{digits(rng, 2)}",
            digits(rng, 9).replace("0", "3"),
            f"{first}-{digits(rng, 4)}",
        )
    )
    host = rng.choice(
        (
            "qq.com",
            "163.com",
            "126.com",
            "gmail.com",
            "sina.com.cn",
            "foxmail.com",
            f"{first}{second}.com.cn",
            f"mail.{second}u.edu.cn",
            f"{first}-tech.cn",
            "yeah.net",
        )
    )
    address = f"{local}@{host}"
    return address.upper() if rng.random() < 0.05 else address


def id_check(body: str) -> str:
    """The check character of 17 digits of an identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return "10X98765432"[total % 11]


REGIONS = words(
    "110101 110105 310104 320106 330106 340104 350203 370202 410105 420106 430104 440106 440305 500103 510107 530102 "
    "610113 620102"
)


def identity(rng: Random) -> str:
    year, month, date = day(rng, first=1950, last=2006)
    body = f"{rng.choice(REGIONS)}{year}{month:02d}{date:02d}{digits(rng, 3)}"
    check = id_check(body)
    return body + (check.lower() if rng.random() < 0.1 else check)


def luhn(body: str) -> str:
    """The check digit that makes a number of it pass Luhn's test (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(filter(str.isdigit, reversed(body))):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card_number(rng: Random) -> str:
    start, length = rng.choice(
        (
            ("622202", 19),
            ("621700", 19),
            ("622848", 19),
            ("621661", 19),
            ("622588", 16),
            ("621483", 16),
            ("436742", 16),
            ("518710", 16),
            ("621785", 19),
            ("622260", 17),
        )
    )
    body = start + digits(rng, length - len(start) - 1)
    return body + luhn(body)


def grouped(rng: Random, number: str) -> str:
    groups = [number[i : i + 4] for i in range(0, len(number), 4)]
    return rng.choice((number, number, " ".join(groups), "-".join(groups)))


def card(rng: Random) -> str:
    return grouped(rng, card_number(rng))


def public_ip(rng: Random) -> str:
    first = rng.choice(
        (
            1,
            14,
            27,
            36,
            42,
            58,
            59,
            60,
            61,
            101,
            106,
            110,
            111,
            112,
            113,
            114,
            116,
            117,
            118,
            119,
            120,
            121,
            122,
            123,
            124,
            125,
            139,
            180,
            182,
            183,
            202,
            210,
            211,
            218,
            219,
            220,
            221,
            222,
            223,
        )
    )
    second = rng.choice((11, 23, 45, 67, 89, 132, 145, 178, 201, 233))
    return f"{first}.{second}.{rng.randint(1, 254)}.{rng.randint(1, 254)}"


def public_ipv6(rng: Random) -> str:
    groups = [rng.choice(("2408", "2409", "240e")), *(f"{rng.randint(0x1000, 0xFFFF):x}" for _ in range(7))]
    return rng.choice((":".join(groups), f"{':'.join(groups[:4])}::{rng.randint(1, 0xFFF):x}"))


PERSONAL: dict[str, tuple[Callable[[Random], str], tuple[str, ...]]] = {
    "mobile": (
        mobile,
        (
            "有意者请与{name}联系，电话{it}，也可以直接到店里来谈。",
            "我的手机号是{it}，晚上七点以后一般都有空。",
            "联系人：{name}　手机：{it}",
            "如遇特殊情况，可拨打值班人员{name}的手机（{it}）。",
            "报名截止到本周五，请发短信到{it}，注明姓名和单位。",
            "失主请尽快致电{it}认领，逾期将交给派出所。",
            "他留下了一个号码{it}就匆匆走了。",
            "微信同号{it}，加的时候说一声从哪里看到的。",
            "{name}（{it}）负责这一片的物业维修。",
        ),
    ),
    "email": (
        email,
        (
            "稿件请发送至{it}，来稿三个月内未收到答复可自行处理。",
            "如需完整数据，请写信给作者（{it}）。",
            "电子邮箱：{it}",
            "简历投递到{it},标题写明应聘职位。",
            "{name}的邮箱是{it}，周末也会看。",
            "有问题欢迎反馈到 {it} ，我们会尽快回复。",
            "通讯作者：{name}，E-mail:{it}。",
            "附件已经发到{it}了，请查收。",
        ),
    ),
    "identity number": (
        identity,
        (
            "被告人{name}，身份证号码{it}，住{city}市。",
            "乘车人{name}的证件号{it}与订单不符，需要重新核验。",
            "申请人：{name}，公民身份号码：{it}。",
            "请提供身份证号（例如{name}的{it}）以便开具证明。",
            "经查，持卡人身份证为{it}，户籍地在{city}。",
            "{name}（身份证号：{it}）于当日办理了入住手续。",
            "失信被执行人{name}，{it}，未履行生效判决确定的义务。",
        ),
    ),
    "bank card": (
        card,
        (
            "请把货款汇到{name}的账户{it}，开户行是{city}分行。",
            "捐款账号：{it}，户名：{name}。",
            "嫌疑人让她向尾号之外的另一张卡{it}转账两万元。",
            "工资卡号{it}已登记，下月起按此发放。",
            "退款将原路退回您的银行卡（{it}），约三个工作日到账。",
            "他把卡号{it}抄在一张纸条上。",
            "收款人{name}，卡号 {it} ，请核对后再付。",
        ),
    ),
    "ip address": (
        public_ip,
        (
            "服务器的公网地址是{it}，已在防火墙上放行。",
            "日志显示来自{it}的请求在一分钟内达到三千次。",
            "经溯源，该帖由{it}发布，归属地为{city}。",
            "网友{it}说：写得很好，支持一下。",
            "把域名解析到{it}之后等十分钟再试。",
            "登录IP：{it}，如非本人操作请立即修改密码。",
            "{name}当时用的地址是 {it} ，运营商可以查到。",
        ),
    ),
    "ipv6 address": (
        public_ipv6,
        (
            "本机获得的IPv6地址为{it}，可以从外网直接访问。",
            "访问记录里有一个来自{it}的陌生连接。",
            "他把网关设成{it}，重启后就能上网了。",
        ),
    ),
}


def wrong(right: str, rng: Random) -> str:
    """A number whose last digit is none that its check allows."""
    return right[:-1] + rng.choice([digit for digit in "0123456789" if digit not in (right[-1], luhn(right[:-1]))])


def order_number(rng: Random) -> str:
    year, month, date = day(rng, first=2018)
    when = f"{year}{month:02d}{date:02d}"
    number = rng.choice(
        (
            when + digits(rng, 12),
            when + digits(rng, 6),
            digits(rng, 15),
            f"SF{digits(rng, 13)}",
            f"DD{when}{digits(rng, 4)}",
            f"JD{digits(rng, 14)}",
        )
    )
    return wrong(number, rng)


def wrong_identity(rng: Random) -> str:
    right = identity(rng)
    return right[:-1] + rng.choice([c for c in "0123456789" if c not in (right[-1], luhn(right[:-1]))])


def wrong_card(rng: Random) -> str:
    return wrong(card_number(rng), rng)


def date(rng: Random) -> str:
    year, month, date = day(rng, first=1990)
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    return rng.choice(
        (
            f"{year}-{month:02d}-{date:02d}",
            f"{year}年{month}月{date}日",
            f"{year}{month:02d}{date:02d}",
            f"{year}.{month}.{date}",
            f"{year}/{month}/{date} {hour:02d}:{minute:02d}",
            f"{year}-{month:02d}-{date:02d} {hour:02d}:{minute:02d}:30",
        )
    )


def private_ip(rng: Random) -> str:
    return rng.choice(
        (
            f"192.168.{rng.randint(0, 10)}.{rng.randint(1, 254)}",
            f"10.{rng.randint(0, 254)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}",
            f"172.{rng.randint(16, 31)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}",
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.0",
            f"169.254.{rng.randint(0, 254)}.{rng.randint(1, 254)}",
        )
    )


def version(rng: Random) -> str:
    major, minor, patch = rng.randint(1, 12), rng.randint(0, 30), rng.randint(0, 60)
    return rng.choice(
        (
            f"{major}.{minor}.{patch}",
            f"v{major}.{minor}.{patch}",
            f"{major}.{minor}.{patch}-rc.{rng.randint(1, 5)}",
            f"10.0.{rng.randint(10000, 22631)}.{rng.randint(300, 3570)}",
            f"{major}.{minor}",
        )
    )


def plain_number(rng: Random) -> str:
    return rng.choice(
        (
            f"010-{rng.randint(6, 8)}{digits(rng, 7)}",
            f"400-{digits(rng, 3)}-{digits(rng, 4)}",
            "95588",
            "12345",
            f"{rng.randint(100, 999)},{digits(rng, 3)},{digits(rng, 3)}.{digits(rng, 2)}",
            f"〔{rng.randint(2001, 2024)}〕{rng.randint(1, 300)}号",
            f"GB/T {rng.randint(1000, 40000)}-{rng.randint(2001, 2023)}",
            f"3.1415926{digits(rng, 2)}",
        )
    )


DECOYS: dict[str, tuple[Callable[[Random], str], tuple[str, ...]]] = {
    "order number": (
        order_number,
        (
            "您的订单{it}已经发货，请保持电话畅通。",
            "运单号{it}显示包裹还在中转站。",
            "合同编号：{it}，一式两份。",
            "流水号 {it} 的那笔交易被退回了。",
        ),
    ),
    "wrong identity number": (
        wrong_identity,
        (
            "系统提示编号{it}校验位不对，无法通过。",
            "样例编码{it}仅用于说明位数，并不对应任何人。",
            "批次号{it}的货物存放在三号库。",
        ),
    ),
    "wrong card number": (
        wrong_card,
        ("设备序列号{it}贴在机身背面。", "号码{it}没有通过校验，请检查是否抄错。", "档案编号{it}对应的是第二卷。"),
    ),
    "date": (date, ("这份文件写于{it}，当时还没有公开。", "最后一次更新是{it}。", "会议定在{it}举行，地点另行通知。")),
    "private address": (
        private_ip,
        (
            "在浏览器里输入{it}就能看到管理页面。",
            "把监听地址改成{it}再重启服务。",
            "内网那台机器是{it}，外面访问不到。",
        ),
    ),
    "version": (
        version,
        ("升级到{it}以后这个问题就没有了。", "目前稳定的版本是{it}，建议大家使用。", "从{it}开始不再支持旧的格式。"),
    ),
    "other number": (
        plain_number,
        ("具体见文件{it}的说明，不再重复。", "咨询时请报编号{it}，或者直接到窗口办理。", "表中最后一格填的是{it}。"),
    ),
}


def sentence(rng: Random, pattern: str, it: str) -> str:
    return pattern.format(it=it, name=person(rng), city=rng.choice(CITIES))


# ------------------------------------------------------------------------------------------------ machine lists

POOLS = {"city": CITIES, "goods": GOODS, "theme": THEMES, "name": PINYIN, "site": SITES, "office": DEPARTMENTS}
MAKERS = {"person": person, "firm": firm, "mobile": mobile, "ip": public_ip, "url": url, "headline": headline}
SLOT = re.compile("«([^»]+)»")


def fill(rng: Random, pattern: str, number: int, fixed: dict[str, str]) -> str:
    """A row of a list: a pattern whose slots are filled.

    «d5» five digits; «x4» four bytes in hexadecimal; «1~90» a whole number; «1~90.2» a number with two decimals; «a|b»
    one of these; «city», «person», … one of that pool; «i» the row's number; «=…» the same in every row of a list
    (`fixed` remembers it).
    """

    def slot(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith("="):
            if name not in fixed:
                fixed[name] = fill(rng, f"«{name[1:]}»", number, fixed)
            return fixed[name]
        if name == "i":
            return str(number)
        if name in POOLS:
            return rng.choice(POOLS[name])
        if name in MAKERS:
            return MAKERS[name](rng)
        if "|" in name:
            return rng.choice(name.split("|"))
        if spread := re.fullmatch(r"(-?\d+)~(-?\d+)(?:\.(\d))?", name):
            low, high = int(spread[1]), int(spread[2])
            return f"{rng.uniform(low, high):.{spread[3]}f}" if spread[3] else str(rng.randint(low, high))
        size = int(name[1:])
        return digits(rng, size) if name[0] == "d" else rng.randbytes(size).hex()

    return SLOT.sub(slot, pattern)


LETTERS = "A|B|C|D|E|F|H|K|M|N|P|R|S|T|X"
# A list's rows have one pattern; the separator is drawn with it.
ROWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "product codes": (
        ("\n", "\n", "、", " "),
        (
            f"«=x1»«{LETTERS}»-«d4»«A|B|X»-«d3»",
            f"«=name»«d6»/«{LETTERS}»«{LETTERS}»",
            f"型号：«{LETTERS}»«{LETTERS}»«d3»-«d2» 库存：«0~900»",
            f"«d2»-«d4»-«d2» «{LETTERS}»«d5» «goods»",
            "6ES7«d3»-«d1»BA«d2»-0XB«d1»",
            "货号«d8» 条码69«d11» 规格«1~9»×«10~60»",
        ),
    ),
    "phone book": (
        ("\n",),
        (
            "«person» «office» 010-«d8» «mobile»",
            "«office»\t«person»\t«d8»\t«d4»",
            "«firm» 电话：0755-«d8» 传真：0755-«d8»",
            "«city»市«office»：021-«d8»、«d8»",
            "姓名：«person»，短号：«d6»，手机：«mobile»",
            "«d3» «person»　«mobile»　«city»",
        ),
    ),
    "log lines": (
        ("\n",),
        (
            '«ip» - - [«10~28»/Mar/2021:«10~23»:«10~59»:«10~59» +0800] "GET /«name»/«d5».html HTTP/1.1" «200|304|404» «d5»',
            "2021-04-«10~28» «10~23»:«10~59»:«10~59».«d3» [exec-«1~20»] «INFO|WARN|ERROR» Orders - 耗时«1~900»ms, id=«d9»",
            '[2022/08/19 «10~23»:«10~59»:«10~59».«d3» +08:00] [INFO] [pd.go:«20~900»] ["region heartbeat"] [region_id=«d5»]',
            "Mar «10~28» «10~23»:«10~59»:«10~59» node«d2» kernel: [«d6».«d6»] IN=eth0 SRC=«ip» LEN=60 TTL=«30~64» SPT=«d5»",
            "\tat com.«=name».«name».invoke(Handler«1~30».java:«10~800»)",
            "I«d4» «10~23»:«10~59»:«10~59».«d6» «d5» iteration «i»: loss=«0~3.4» lr=0.00«d3» acc=«0~1.4»",
        ),
    ),
    "hex dump": (
        ("\n",),
        (
            "00«d4»0  «x1» «x1» «x1» «x1» «x1» «x1» «x1» «x1»  «x1» «x1» «x1» «x1» «x1» «x1» «x1» «x1»",
            "«x8»«x8»  «name»-«d3».tar.gz",
            "    db 0x«x1», 0x«x1», 0x«x1», 0x«x1», 0x«x1», 0x«x1», 0x«x1», 0x«x1»",
            "«x4»-«x2»-«x2»-«x2»-«x6»",
            ":10«d4»00«x8»«x8»«x1»",
            "sha256:«x8»«x8»«x8»«x8»",
        ),
    ),
    "coordinates": (
        ("\n", "\n", "; "),
        (
            "«73~135.6»,«18~53.6»",
            "点«d3»: X=«1000000~9000000.3», Y=«100000~900000.3», H=«0~900.2»",
            '{"lng":«73~135.5»,"lat":«18~53.5»,"count":«1~99»},',
            "东经«73~134»°«0~59»′«0~59»″ 北纬«18~53»°«0~59»′«0~59»″",
            "«-3~3.4» «-3~3.4» «-3~3.4» «-3~3.4» «-3~3.4» «-3~3.4»",
            "v «-9~9.6» «-9~9.6» «-9~9.6»",
        ),
    ),
    "keyword stuffing": (
        (",", "，", " ", "、", "_"),
        (
            "«=city»«=theme»«公司|价格|多少钱|哪家好|电话|厂家|排名|报价|费用|附近|专业|正规|便宜|上门|推荐|靠谱»",
            "«city»«=theme»«公司|价格|多少钱|哪家好|电话|厂家|排名|报价|费用|附近|专业»",
            "«=city»«theme»«公司|价格|电话|哪家好|24小时|服务»",
            "«=city»哪里有«=theme»«服务|公司|厂家»«=city»«=theme»«价格|电话|地址»",
            "«=theme»«公司|价格|电话|排名»|«city»«=theme»",
            "«city»«theme»|«theme»«价格|多少钱»",
        ),
    ),
    "price table": (
        ("\n",),
        (
            "«goods»\t«1~90.2»\t«1~90.2»\t«1~90.2»\t元/公斤",
            "| «goods» | A«d2» | «10~9000.2» | «1~500» | «现货|缺货|预订» |",
            "«goods» «city» «1000~9000» «↑|↓|-»«0~90» 元/吨",
            "«d6» «name» «2~90.2» «-9~9.2»% «1~90.2»亿 «5~80.1»",
            "«goods»：«1~90.1»元/斤；«goods»：«1~90.1»元/斤；",
            "«i». «goods» 单价«1~900.2» 数量«1~99» 金额«100~9000.2»",
        ),
    ),
    "repeated template": (
        ("\n", "\n", ""),
        (
            "«=city»«i»号线第«1~40»站，首班车«5~7»:«10~59»，末班车«20~23»:«10~59»。",
            "恭喜用户«d4»在第«i»期活动中获得«1~99»积分，请在«1~30»日内领取。",
            "第«i»页，共«200~300»页，本页显示第«1~20»条到第«21~99»条记录。",
            "«city»今天多云转晴，气温«-10~20»℃到«21~36»℃，«东|南|西|北»风«1~6»级。",
            "【«=goods»】编号«d5»的«=goods»已经出库，数量«1~90»件，重量«1~900»千克。",
            "«1~12»月«1~28»日«=city»«=theme»成交«10~900»套，环比«上涨|下跌»«0~20.1»%。",
            "«i»楼«1~20»室，建筑面积«40~200.2»平方米，总价«50~900»万元，已售。",
            "尊敬的客户，您尾号«d4»的账户于«1~28»日支出«1~9999»元，余额«1~99999»元。",
        ),
    ),
    "link list": (
        ("\n",),
        (
            "«url»",
            "«headline» «url»",
            "[«site»](«url»)",
            '<a href="«url»">«theme»</a>',
            "magnet:?xt=urn:btih:«x8»«x8»«x4»",
            "* «city»«theme»网：«url»",
        ),
    ),
    "tag cloud": (
        (" ", "\n", ", ", " | ", "、"),
        (
            "#«theme»«技巧|攻略|大全|图片|视频»",
            "«theme»«技巧|攻略|大全|图片|视频»(«1~900»)",
            "«city»«theme»",
            "«goods»«批发|价格|图片|品牌|厂家»",
            "标签：«theme»«大全|图片|知识»",
        ),
    ),
    "data dump": (
        ("\n",),
        (
            "INSERT INTO `«=name»_info` VALUES («d5», '«person»', '«city»', «18~60», '2018-05-«10~28» 00:00:00', NULL);",
            '{"id": «d6», "name": "«person»", "city": "«city»", "score": «0~100», "ok": «true|false»},',
            "«d8»,«person»,«男|女»,«city»,«60~100»,«60~100»,«60~100»",
            "-rw-r--r-- 1 root root «d6» Mar «10~28» «10~23»:«10~59» IMG_«d8».JPG",
            '<row id="«d5»" k="«x4»" v="«0~999»"/>',
            "«=name».item.«i».value=«x2»:«d4»",
        ),
    ),
    "results": (
        ("\n",),
        (
            "20«d5»期 «10~15» «16~18» «19~22» «23~27» «28~30» «31~33» + «10~16»",
            "«i» «person» «city» «10~59»:«10~59».«d2»",
            "«city»«0~5»:«0~5»«city»",
            "G«100~9999» «city»-«city» «10~15»:«10~59» «16~23»:«10~59» «50~900».5",
            "«i». «A|B|C|D» «i»1. «A|B|C|D» «i»2. «A|B|C|D»",
            "考号«d9» 总分«400~690» 语文«80~140» 数学«80~150» 英语«70~145» 位次«d5»",
        ),
    ),
}


def machine_list(rng: Random, kind: str) -> str:
    """A list of 40 to 120 rows, as a machine writes it. kind: one of ROWS."""
    separators, patterns = ROWS[kind]
    pattern, separator, fixed = rng.choice(patterns), rng.choice(separators), {}
    return separator.join(fill(rng, pattern, i, fixed) for i in range(1, rng.randint(41, 120)))
