"""Personal data in sentences, and decoys that only look like it. Persons, numbers and addresses are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from support.planted.definitions import Document, Sizes
from support.planted.made_up import CITIES, PINYIN, day, digits, person, words
from support.planted.real_documents import Supply
from support.planted.text_functions import after_sentence, is_prose

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


FIRST_BYTES = words(  # of public addresses
    "1 14 27 36 42 58 59 60 61 101 106 110 111 112 113 114 116 117 118 119 120 121 122 123 124 125 139 180 182 183 202 "
    "210 211 218 219 220 221 222 223"
)


def public_ip(rng: Random) -> str:
    first = rng.choice(FIRST_BYTES)
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


def planted_personal_data(rng: Random, supply: Supply, sizes: Sizes) -> Iterator[Document]:
    """Documents with a piece of personal data of every kind, and a decoy of every kind."""

    def fits(text: str) -> bool:
        return sum(map(is_prose, text.split("\n"))) >= 8

    for i, text in enumerate(supply.take(sizes.personal, fits)):
        planted: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
        for personal, table in ((True, PERSONAL), (False, DECOYS)):
            for kind, (make, patterns) in table.items():
                it = make(rng)
                while it in text:
                    it = make(rng)
                text = after_sentence(rng, text, sentence(rng, rng.choice(patterns), it))
                planted[personal].append((("personal: " if personal else "stays: ") + kind, it))
        yield Document(f"personal-{i:05d}", "personal", text, gone=tuple(planted[True]), kept=tuple(planted[False]))
