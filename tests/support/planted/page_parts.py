"""What stands around a text on the web: navigation, sharing, notices, copyright, links, comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from support.planted.definitions import Document, Sizes
from support.planted.made_up import CITIES, HOSTS, SECTIONS, SITES, THEMES, digits, firm, headline, person, url
from support.planted.real_documents import Supply
from support.planted.text_functions import is_prose, put_in


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


def fits_a_page(text: str) -> bool:
    """Whether a text has enough prose to be looked for again, and no sign that HTML escapes."""
    lines = text.split("\n")
    return sum(len(line) for line in lines if is_prose(line)) >= 300 and not set(text) & set("<>&")


def planted_pages(rng: Random, supply: Supply, sizes: Sizes) -> Iterator[Document]:
    """Documents with the lines that stand around a text on a page."""
    for i, body in enumerate(supply.take(sizes.pages, fits_a_page)):
        parts = {kind: make(rng) for kind, make in PAGE_PARTS.items()}
        own = {line.strip() for line in body.split("\n")}
        gone = tuple((f"page: {kind}", line) for kind, lines in parts.items() for line in lines if line not in own)
        inside = rng.choice(("share bar", "related links", "comments bar"))
        before = [line for kind in ("cookie notice", "navigation") for line in parts[kind]]
        after = [line for kind in parts if kind not in (inside, "navigation", "cookie notice") for line in parts[kind]]
        if rng.random() < 0.3:  # notices that float stand at either end of the text
            before, after = parts["navigation"], after + parts["cookie notice"]
        text = "\n".join([*before, put_in(rng, body, ["\n".join(parts[inside])]), *after])
        yield Document(f"page-{i:05d}", "page", text, body=body, gone=gone)
