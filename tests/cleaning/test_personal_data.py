"""Personal data: what is masked, and what only looks like it."""

from __future__ import annotations

import itertools
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning import personal_data
from woodblock.cleaning.personal_data import KINDS, PLACEHOLDERS, id_check, luhn, mask

ID = "11010519491231002X"  # the example of GB 11643-1999
CARD = "6222020200112233445"[:18]
CARD += next(d for d in "0123456789" if luhn(CARD + d))
VISA = "4111111111111111"


def grouped(digits: str, separator: str = " ") -> str:
    return separator.join(digits[n : n + 4] for n in range(0, len(digits), 4))


def full_width(digits: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) for c in digits)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mobile", "请打电话<13912345678>联系"),
        ("mobile", "电话：<139-1234-5678>。"),
        ("mobile", "电话<139 1234 5678>，微信同号"),
        ("mobile", "<+86 13912345678>"),
        ("mobile", "<+86-139-1234-5678>"),
        ("mobile", "<8613912345678>、"),
        ("mobile", "<008613912345678>"),
        ("mobile", f"手机<{full_width('13912345678')}>（张）"),
        ("mobile", "<13912345678>/<18612345678>"),
        ("mobile", "<13912345678> <18612345678>"),
        ("mobile", "两个号码：<13912345678>，<19912345678>"),
        ("email", "写信到<zhang.san@mail.xinxi.com.cn>吧"),
        ("email", "邮箱：<a_b-c+d@qq.com>。"),
        ("email", "邮箱:<12345678@163.com>,"),
        ("email", "<<li.si@gmail.com>>"),
        ("email", "[写信](mailto:<wang@xx.edu.cn>)"),
        ("email", "全角<wang＠sina.com>的"),
        ("id_card", f"身份证号<{ID}>，男"),
        ("id_card", f"<{ID.lower()}>"),
        ("id_card", f"<{full_width(ID)}>"),
        ("id_card", "身份证：<110105491231002>"),
        ("bank_card", f"卡号<{CARD}>开户行"),
        ("bank_card", f"卡号<{grouped(CARD)}>。"),
        ("bank_card", f"<{grouped(VISA, '-')}>"),
        ("ip", "来自<113.145.167.18>的访问"),
        ("ip", "http://<47.98.12.34>:8080/a"),
        ("ip", "IP：<2408:8207:2410:1a2b:3c4d:5e6f:7a8b:9c0d>。"),
        ("ip", "地址<240e:360::1>可达"),
    ],
)
def test_personal_data_is_masked(kind, text):
    pieces = text.replace("<<", "⟨<").replace(">>", ">⟩").split("<")
    expected = "".join(PLACEHOLDERS[kind] + piece.split(">", 1)[1] if ">" in piece else piece for piece in pieces)
    given_text = text.replace("<<", "⟨<").replace(">>", ">⟩").replace("<", "").replace(">", "")
    assert mask(given_text, KINDS) == (expected, {kind: expected.count(PLACEHOLDERS[kind])})
    assert mask(expected, KINDS) == (expected, {})
    assert mask(given_text, [other for other in KINDS if other != kind]) == (given_text, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-01-02 03:04:05.678901",
        "编号139123456789",  # twelve digits
        "订单20231912345678901234567890",
        "a13912345678b",
        "x=13912345678",
        "0x13912345678",
        "3.13912345678",
        "10123456789",  # no such prefix
        "12012345678",
        "17179869184 字节",  # 16 GiB
        "从 13800000000 到 13900000000",
        "TSO 为 442384834674589697",
        "400-123-4567",
        "010-62345678",
        "2021-13912345678-01",
        ID[:-1] + "1",  # wrong check
        "110105194913310021",  # no such date
        "990105194912310022",  # no such province
        "110105491231002",  # an old number needs its word
        "身份证：110105491331002",  # no such date
        CARD[:-1] + str((int(CARD[-1]) + 1) % 10),
        "1" * 16,
        "1234567812345670",  # passes Luhn, of no issuer
        grouped(CARD)[:-5] + "12345",
        "192.168.1.1、10.0.0.1、172.16.31.4、127.0.0.1、0.0.0.0、255.255.255.255、224.0.0.1、198.51.100.7",
        "fe80::1、::1、fd00::1、2001:db8::1、ff02::1",
        "版本 5.7.25.119、v112.0.5615.49、V47.98.12.34、版本号：47.98.12.34",
        "Chrome/112.0.0.49",
        "1.2.3.4 小节",
        "见第 3.2.10.4 节",
        "1.47.98.12.34",
        "300.1.2.3",
        "12:30:45 到 23:59:59",
        "std::vector<int>::iterator",
        "2020:01:02:03",
        "git@github.com:owner/name.git",
        "user@example.com、root@localhost、a@b.test",
        "xxx@qq.com",
        "mysql://root:secret@db.company.com:3306/test",
        "npm install @scope/pkg@1.2.3",
        "@Override public void f()",
        "a@b",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert mask(text, KINDS) == (text, {})


def test_kinds_are_chosen_and_counted():
    text = f"{ID}，13912345678，13812345678，a@qq.com"
    assert mask(text, ["mobile"]) == (f"{ID}，[手机号]，[手机号]，a@qq.com", {"mobile": 2})
    assert mask(text, []) == (text, {})
    assert mask(text, KINDS)[1] == {"mobile": 2, "email": 1, "id_card": 1}
    with pytest.raises(ValueError, match="passport"):
        mask(text, ["passport"])


PROSE = "这一段没有任何号码，只是很长的正文。"


@pytest.mark.parametrize("filler", ["", PROSE * 100], ids=["short", "long"])
def test_long_texts_are_searched_like_short_ones(filler):
    text = f"{filler}{ID}，{CARD}，{full_width('13912345678')}，47.98.12.34，240e:360::1，a@qq.com{filler}"
    masked, counts = mask(text, KINDS)
    assert masked == f"{filler}[身份证号]，[银行卡号]，[手机号]，[IP地址]，[IP地址]，[邮箱]{filler}"
    assert counts == {"bank_card": 1, "email": 1, "id_card": 1, "ip": 2, "mobile": 1}


@given(
    st.sampled_from((110105, 310101, 440305, 513221, 650102)),
    st.dates(date(1900, 1, 1), date(2024, 1, 1)),
    st.integers(0, 999),
)
def test_identity_numbers_are_known_by_their_check(region, birth, order):
    digits = f"{region}{birth:%Y%m%d}{order:03}"
    number = digits + id_check(digits)
    assert mask(f"号码{number}的", ["id_card"]) == ("号码[身份证号]的", {"id_card": 1})
    for wrong in "0123456789X":
        if wrong != number[-1]:
            assert not mask(f"号码{digits}{wrong}的", ["id_card"])[1]


@given(st.text(st.sampled_from("0123456789"), min_size=10, max_size=17))
def test_one_digit_that_is_wrong_fails_luhn(digits):
    number = digits + next(d for d in "0123456789" if luhn(digits + d))
    for place, digit in enumerate(number):
        for other in "0123456789":
            assert other == digit or not luhn(number[:place] + other + number[place + 1 :])


@given(st.text(st.one_of(st.characters(), st.sampled_from("0123456789Xx-－. :@+１３９abc")), max_size=80))
def test_masking_twice_changes_nothing_more(text):
    once, counts = mask(text, KINDS)
    assert mask(once, KINDS) == (once, {})
    assert (once == text) == (not counts)
    assert all(count > 0 for count in counts.values())


@pytest.mark.parametrize(
    "piece",
    [
        *"19-.:@a",
        "1-",
        "1 ",
        "1.",
        "2:",
        "a@",
        "a.",
        "a@a.",
        "1.1.1.1.",
        "2001:",
        "13912345678",
        "13912345678 ",
        "6222 ",
    ],
)
def test_hostile_text_takes_linear_time(piece):
    text = piece * (200_000 // len(piece))  # a quadratic step would take minutes here
    assert len(mask(text, KINDS)[0]) <= len(text)


def test_the_placeholders_are_no_data_themselves():
    text = "".join(PLACEHOLDERS.values())
    assert mask(text, personal_data.KINDS) == (text, {})


@given(st.text(alphabet="0１9 -.:a文\U00020000", max_size=60))
def test_clues_are_the_places_of_digits_dots_and_colons(text):
    text += " " * personal_data.SHORT_CHARS  # a shorter one is searched without them
    units = [int.from_bytes(text.encode("utf-16-le")[at : at + 2], "little") for at in range(0, 2 * 500, 2)]
    digits = [at for at, unit in enumerate(units) if chr(unit) in "0123456789０１２３４５６７８９"]
    dots = [at for at, unit in enumerate(units) if unit == ord(".") and {at - 1, at + 1} <= set(digits)]
    colons = [at for at, unit in enumerate(units) if unit == ord(":")]
    assert personal_data._clues(text) == (
        any(last - first <= 20 for first, last in zip(digits, digits[10:], strict=False)),
        any(last - first <= 8 for first, last in zip(dots, dots[2:], strict=False)),
        any(last - first <= 5 for first, last in itertools.pairwise(colons)),
    )
