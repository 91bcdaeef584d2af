"""Lists as machines write them: codes, logs, prices, coordinates, links, keywords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from support.planted.definitions import Document, Sizes, slug
from support.planted.made_up import (
    CITIES,
    DEPARTMENTS,
    GOODS,
    PINYIN,
    SITES,
    THEMES,
    digits,
    firm,
    headline,
    person,
    url,
)
from support.planted.personal_data import mobile, public_ip

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


def planted_lists(rng: Random, sizes: Sizes) -> Iterator[Document]:
    """Machine lists of every kind."""
    for name in ROWS:
        for i in range(sizes.each):
            yield Document(f"list-{slug(name)}-{i:05d}", f"list: {name}", machine_list(rng, name))
