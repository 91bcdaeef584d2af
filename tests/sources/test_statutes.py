"""Numbers, names and layout of statutes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock.sources import statutes


@settings(deadline=None)
@given(st.integers(0, 10**8 - 1))
def test_numbers_come_back(number):
    assert statutes.parse_chinese_number(statutes.chinese_number(number)) == number


@pytest.mark.parametrize(
    ("number", "numeral"),
    [
        (0, "零"),
        (10, "十"),
        (12, "十二"),
        (20, "二十"),
        (100, "一百"),
        (101, "一百零一"),
        (110, "一百一十"),
        (115, "一百一十五"),
        (1005, "一千零五"),
        (1010, "一千零一十"),
        (1260, "一千二百六十"),
        (10_000, "一万"),
        (10_500, "一万零五百"),
        (100_000, "十万"),
        (20_010_001, "二千零一万零一"),
    ],
)
def test_numbers_are_written_as_statutes_write_them(number, numeral):
    assert statutes.chinese_number(number) == numeral
    assert statutes.parse_chinese_number(numeral) == number


def test_other_spellings_are_read():
    assert statutes.parse_chinese_number("一十二") == 12
    assert statutes.parse_chinese_number("一百〇一") == 101


@pytest.mark.parametrize(
    "numeral", ["", "十百", "一百五", "百", "零五", "一千五百零", "12", "一百零", "万", "一 百", "十十"]
)
def test_what_is_no_number_is_refused(numeral):
    with pytest.raises(ValueError, match="no Chinese number"):
        statutes.parse_chinese_number(numeral)


@settings(deadline=None)
@given(st.text(alphabet="零〇一二三五十百千万条第 1", max_size=8))
def test_a_numeral_that_is_read_is_written_the_same(numeral):
    try:
        number = statutes.parse_chinese_number(numeral)
    except ValueError:
        return
    plain = numeral.replace("〇", "零")
    assert statutes.chinese_number(number) in (plain, plain.removeprefix("一"))


@pytest.mark.parametrize("number", [-1, 10**8])
def test_numbers_out_of_range_are_refused(number):
    with pytest.raises(ValueError, match="not within"):
        statutes.chinese_number(number)


def test_article_names():
    assert statutes.article_name(120) == "第一百二十条"
    assert statutes.parse_article_name("第一百二十条") == 120
    with pytest.raises(ValueError, match="count from 1"):
        statutes.article_name(0)
    for name in ("全文", "第条", "第一百二十条之一", "一百二十"):
        with pytest.raises(ValueError, match="no"):
            statutes.parse_article_name(name)


@pytest.mark.parametrize(
    ("title", "group"),
    [
        ("中华人民共和国民法典", "中华人民共和国民法典"),
        ("刑法修正案（三）", "中华人民共和国刑法"),
        ("中华人民共和国刑法修正案", "中华人民共和国刑法"),
        ("中华人民共和国刑法修正案（十一）", "中华人民共和国刑法"),
        ("宪法修正案", "中华人民共和国宪法"),
        ("中华人民共和国宪法修正案（1988年）", "中华人民共和国宪法"),
        ("某机关关于《中华人民共和国刑法》第三十条的解释", "中华人民共和国刑法"),
        ("某机关关于《刑法》第三十条的解释", "中华人民共和国刑法"),
        ("某机关关于修改《中华人民共和国种子法》的决定", "中华人民共和国种子法"),
        ("关于批准《某机关关于退休的暂行办法》的决议", "某机关关于退休的暂行办法"),
        ("选举的办法", "选举的办法"),
        ("某制度的决定", "某制度的决定"),
        (" 中华人民共和国公司法 ", "中华人民共和国公司法"),
    ],
)
def test_what_amends_or_interprets_a_law_is_grouped_with_it(title, group):
    assert statutes.law_group(title) == group


@settings(deadline=None)
@given(st.text(alphabet="中华人民共和国刑宪法典办修正案《》（三） 第", max_size=24))
def test_grouping_twice_changes_nothing(title):
    once = statutes.law_group(title)
    assert statutes.law_group(once) == once


def test_citations_and_short_names():
    assert statutes.cite("中华人民共和国民法典", "第一条") == "《中华人民共和国民法典》第一条"
    assert statutes.short_name("中华人民共和国民法典") == "民法典"
    assert statutes.short_name("反分裂国家法") == "反分裂国家法"
    assert statutes.short_name("中华人民共和国") == "中华人民共和国"


def test_a_law_is_set_as_in_print():
    articles = [
        {"chapter": "第一章 总则", "section": "", "article": "第一条", "text": "甲。\n乙。"},
        {"chapter": "第二章 机构", "section": "第一节 会", "article": "第二条", "text": "丙。"},
        {"chapter": "第二章 机构", "section": "第二节 员", "article": "第三条", "text": "丁。"},
        {"chapter": "第三章 附则", "section": None, "article": "第四条", "text": "戊。"},
    ]
    assert statutes.render_law("某法", articles).splitlines() == [
        "某法",
        "",
        "第一章　总则",
        "第一条　甲。",
        "乙。",
        "",
        "第二章　机构",
        "第一节　会",
        "第二条　丙。",
        "第二节　员",
        "第三条　丁。",
        "",
        "第三章　附则",
        "第四条　戊。",
    ]


def test_articles_without_headings_follow_the_title():
    assert statutes.render_law("某法", [{"article": "第一条", "text": "甲。"}]) == "某法\n\n第一条　甲。"


def test_amendments_and_undivided_texts_are_set_as_they_are():
    items = [{"article": "第一条", "text": "改。", "item": True}, {"article": "第十二条", "text": "删。", "item": True}]
    assert statutes.render_law("某修正案", items) == "某修正案\n\n一、改。\n十二、删。"
    assert statutes.render_law("某解释", [{"article": "全文", "text": "解释。"}]) == "某解释\n\n解释。"
