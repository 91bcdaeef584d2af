"""Misread text: undone to the very characters, or known as broken; right text is left alone."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning import encodings
from woodblock.cleaning.repairing import repair

TEXT = """春天的早晨，院子里的石榴树刚刚发芽，祖母坐在门口剥豆子。
她说：“豆子要趁露水没干的时候摘，才又嫩又甜。”
孩子们在井边洗脸，水很凉，笑声传得很远。

中午过后起了风，晾在绳上的被单鼓起来，像一面面白色的帆。
第一条　本办法适用于本市范围内的图书借阅活动（含电子图书）。
一、读者凭证件入馆；二、每次可以借三册，期限为30天。
价格是 12.50 元/册，可以登录系统查询 API 与 HTML 文档。
傍晚，邻居送来一篮柿子——又红又软……大家都说今年的收成好！
"""


def web_cp1252(raw: bytes) -> str:
    """Windows-1252 as browsers read it: the five bytes that it does not have become controls."""
    return "".join(bytes([b]).decode("cp1252") if b not in b"\x81\x8d\x8f\x90\x9d" else chr(b) for b in raw)


def web_gbk(raw: bytes) -> str:
    """GBK as browsers read it: a single byte 80 is the euro sign."""
    text, place = "", 0
    while place < len(raw):
        size = 1 if raw[place] <= 0x80 else 2
        piece = raw[place : place + size]
        text += "€" if piece == b"\x80" else piece.decode("gb18030", "replace")
        place += size
    return text


WAYS = {
    "UTF-8 as Latin-1": lambda text: text.encode().decode("latin-1"),
    "UTF-8 as Windows-1252": lambda text: web_cp1252(text.encode()),
    "UTF-8 as Windows-1252, bytes replaced": lambda text: text.encode().decode("cp1252", "replace"),
    "UTF-8 as Windows-1252, bytes left out": lambda text: text.encode().decode("cp1252", "ignore"),
    "UTF-8 as GBK, bytes replaced": lambda text: text.encode().decode("gb18030", "replace"),
    "UTF-8 as GBK, bytes left out": lambda text: text.encode().decode("gbk", "ignore"),
    "UTF-8 as GBK, question marks": lambda text: text.encode().decode("gbk", "replace").replace("\ufffd", "?"),
    "UTF-8 as GBK in a browser": lambda text: web_gbk(text.encode()),
    "GBK as Latin-1": lambda text: text.encode("gb18030").decode("latin-1"),
    "GBK as Windows-1252": lambda text: web_cp1252(text.encode("gb18030")),
    "GBK as UTF-8": lambda text: text.encode("gb18030").decode("utf-8", "replace"),
    "GBK as UTF-8 as GBK": lambda text: (
        text.encode("gb18030").decode("utf-8", "replace").encode().decode("gb18030", "replace")
    ),
    "UTF-8 as Latin-1, twice": lambda text: text.encode().decode("latin-1").encode().decode("latin-1"),
}
UNDONE = (
    "UTF-8 as Latin-1",
    "UTF-8 as Windows-1252",
    "GBK as Latin-1",
    "GBK as Windows-1252",
    "UTF-8 as Latin-1, twice",
)


def spread(text: str, way: str, where: str) -> str:
    if where == "whole":
        return WAYS[way](text)
    if where == "from the middle":
        return text[: len(text) // 2] + WAYS[way](text[len(text) // 2 :])
    lines = text.split("\n")
    chosen = set(random.Random(1).sample([n for n, line in enumerate(lines) if line], len(lines) // 3))
    return "\n".join(WAYS[way](line) if n in chosen else line for n, line in enumerate(lines))


@pytest.mark.parametrize("where", ["whole", "from the middle", "a third of the lines"])
@pytest.mark.parametrize("way", WAYS)
def test_a_garbled_text_is_mended_to_the_character_or_broken(way, where):
    garbled = spread(TEXT, way, where)
    assert garbled != TEXT
    mended = encodings.mend(garbled)
    assert mended == TEXT or encodings.broken(mended)
    if way in UNDONE:
        assert mended == TEXT
    if way.startswith("UTF-8"):  # what has lost its control characters before is not undone any more, but known
        late = repair(encodings.mend(repair(garbled)))
        assert late == repair(TEXT) or encodings.broken(late)


@pytest.mark.parametrize(
    ("garbled", "right"),
    [
        ("浣犲ソ锛屼笘鐣岋紒", "你好，世界！"),
        ("Ã©tÃ© Ã  la mer, dÃ©jÃ\xa0 vu", None),  # the third has lost its second byte
        ("lâ€™Ã©tÃ©, â€œdÃ©jÃ\xa0â€\x9d", "l’été, “déjà”"),
        ("ÄãºÃ£¬ÊÀ½ç£¡", "你好，世界！"),
        ("对的一行\nÕâÒ»ÐÐÊÇ´íµÄ\n又是对的", "对的一行\n这一行是错的\n又是对的"),
        ("±êÌâ·ÇÍ¬Ñ°³£", "标题非同寻常"),
    ],
)
def test_pieces_are_mended(garbled, right):
    assert encodings.mend(garbled) == (garbled if right is None else right)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "é",
        "Les élèves ont été reçus à l’école « Saint-Éloi » — où ça ? CRÉÉE en été, à Noël.",
        "Größe, Straße, Äpfel; São João, NÃO; çà et là; Ångström; 25 °C ± 1 °C; 3 × 4 ÷ 2; § 5; © 2020 ®",
        "Café——这个词来自法语，Pelé”“也是名字。" * 3,
        "氨基酸与嘧啶、嘌呤、吡啶、噻吩、蒽醌、苯并芘、鲎试剂，都是化学名词。",
        "犍为、郫县、鄞州、亳州、婺源、泸州、邛崃、歙县、黟县、盱眙。",
        "寺僧和众、韬光，相互友好，韬光父亲去找韬光，韬光不在。",
        "這是一段繁體中文，說明臺灣與香港使用的漢字並不少見，也不應當被當成亂碼。" * 2,
        "联通、移动、电信是三家运营商；“路”字和“掳”字都很常见。",
        "价格€100，涨到€120。",
        "他说到这里烫了一下手，连说：“烫烫！”然后继续往下讲他在锅炉房里的那些年，谁也没有打断他，只听见水在壶里响。",
        "这一篇讲乱码：“锟斤拷”是怎么来的。" + "先说编码的历史、字节和字符的区别，再说怎样避免。" * 4,
        "for (int i = 0; i < n; i++) { a[i] = b[i] << 2; }  // 注释：左移两位",
        "±±±±·····××××°°°°",
        "zhōng guó, lǜ sè, nǚ ér; Việt Nam; Čeština; Türkçe İstanbul; Ελληνικά; русский",
        "名字里有私用字\ue000的人" + "在古书里时常可以见到，读者不必奇怪。" * 60,
    ],
)
def test_right_text_is_left_alone(text):
    assert encodings.mend(text) == text
    assert not encodings.broken(text)


@pytest.mark.parametrize(
    "text",
    [
        "锟斤拷锟斤拷锟斤拷",
        "\ue000字",
        "烫烫烫烫烫烫屯屯屯屯",
        "浣犲ソ锛?涓枃鏄竴绉嶈瑷€銆?",
        "ä½ å¥½ï¼\x8c ä¸ ç ï¼",
        "正常的一段话，后面就" + "\ufffd" * 5,
        "㐀㐁㐂㐃㐄㐅㐆㐇㐈㐉",
    ],
)
def test_lost_text_is_broken(text):
    assert encodings.broken(encodings.mend(text))


HANZI = st.sampled_from([bytes([a, b]).decode("gb2312") for a in range(0xB0, 0xD7) for b in range(0xA1, 0xFF)])
LINES = st.lists(st.text(st.one_of(HANZI, st.sampled_from("，。：、“”a1 ")), min_size=12, max_size=40), min_size=2)


@given(LINES, st.sampled_from(UNDONE))
def test_any_chinese_is_undone(lines, way):
    text = "\n".join(line + "，这里是一句完整的话。" for line in lines)
    assert encodings.mend(WAYS[way](text)) == text


@given(LINES)
def test_any_chinese_is_right(lines):
    text = "\n".join(lines)
    assert encodings.mend(text) == text
    assert not encodings.broken(text)


@given(st.text(st.one_of(st.characters(), st.sampled_from("ÄãºÃä½\xa0å¥½浣犲ソ锛€Ã©â€œ—”·×\ufffd锟斤拷")), max_size=60))
def test_mending_ends(text):
    once = encodings.mend(text)
    assert encodings.mend(once) == once
    assert encodings.broken(text) in (True, False)


@pytest.mark.parametrize(
    "piece", ["·", "Ã", "Ã©", "é——", "浣", "浣犲ソ", "浣犲ソ国\n", "ÄãºÃ国·", "涓€", "\ud800", "娆犲ソa", "a€", "Ä\xa0"]
)
def test_hostile_text_takes_linear_time(piece):
    text = piece * (200_000 // len(piece))  # a quadratic step would take minutes here
    encodings.broken(encodings.mend(text))


def test_half_a_pair_is_no_error():
    text = "浣犲ソ锛屼笘鐣\ud800"
    assert encodings.mend(text) == text


@given(st.text(alphabet="文好锟斤拷浣犲ソ€äåÃ½ab\ufffd\ue000\U00020000", max_size=20))
def test_what_is_counted_is_what_neighbouring_characters_are(text):
    kinds = encodings._kinds(text).tolist()
    first, second, third = (
        [kind & bit > 0 for kind in kinds] for bit in (encodings.FIRST, encodings.SECOND, encodings.THIRD)
    )
    euros = [kind == encodings.EURO for kind in kinds]
    assert encodings._found(text) == (
        len(text.encode("utf-16-le")) // 2,
        sum(kind & (encodings.COMMON | encodings.RARE) > 0 for kind in kinds),
        sum(kind & encodings.RARE > 0 for kind in kinds),
        sum(kind & encodings.LOST > 0 for kind in kinds),
        sum(kind & encodings.LEAD > 0 for kind in kinds),
        sum(one & other & encodings.ACCENTED > 0 for one, other in itertools.pairwise(kinds)),
        sum(map(all, zip(first, second[1:], third[2:], strict=False)))
        + sum(map(all, zip(first, euros[1:], strict=False))),
    )


def test_a_rare_hanzi_of_a_name_in_private_use_breaks_nothing():
    said = "王\ue123字子明，江西人。王\ue123幼时家贫，借书抄读。后人说王\ue123的文章质朴，其弟王\ue124也有诗集传世。"
    assert not encodings.broken(said)
    assert encodings.mend(said) == said
    assert encodings.broken("".join(c + chr(0xE000 + n) * (n % 5 == 0) for n, c in enumerate(said)))
    assert encodings.broken(said.replace("王", "\ue123"))  # too many for a name
    assert encodings.broken(said.replace("\ue123", "\ufffd"))
