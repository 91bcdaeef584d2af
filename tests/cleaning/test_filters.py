"""Genres that laws and manuals do not teach pass, and lists do not; spam is found, and what is written about it stays."""

from __future__ import annotations

from random import Random

import pytest
from support.genres import kept, spam, unseen_spam
from support.planted.machine_lists import machine_list
from support.projects import ROOT

from woodblock.cleaning import filters, steps
from woodblock.cleaning import spam as spam_step
from woodblock.cleaning.filters import Limits
from woodblock.cleaning.quality import Model
from woodblock.run import params
from woodblock.tables.funnel import Funnel

LIMITS = Limits.of(params.load(ROOT / "params.yaml").clean)
COUNT = 40


@pytest.fixture(scope="module")
def model() -> Model:
    """A model of laws, which finds all of this improbable."""
    return Model.count(["第一条　为了保护公民的合法权益，根据宪法，制定本法。" * 20])


def share_kept(texts: list[str], model: Model) -> float:
    keys = {"group": "甲", "source": "试", "title": "", "weight": 1.0}
    records = [{"id": f"{n}", **keys, "text": text} for n, text in enumerate(texts)]
    return len(steps.documents(records, LIMITS, model, Funnel())) / len(texts)


@pytest.mark.parametrize("kind", kept.KINDS)
def test_other_genres_are_kept(kind, model):
    assert share_kept(kept.made(kind, COUNT, 1), model) >= 0.95


@pytest.mark.parametrize("kind", spam.KINDS)
def test_spam_is_found(kind, model):
    assert share_kept(kept.made(kind, COUNT, 1, spam.KINDS), model) <= 0.1


def test_spam_in_other_words_is_found(model):
    texts = [text for kind in unseen_spam.KINDS for text in kept.made(kind, COUNT, 1, unseen_spam.KINDS)]
    assert share_kept(texts, model) <= 0.1


@pytest.mark.parametrize("kind", spam.ALIKE)
def test_what_is_about_the_same_things_is_no_spam(kind, model):
    assert share_kept(kept.made(kind, COUNT, 1, spam.ALIKE), model) >= 0.98


@pytest.mark.parametrize(
    "kind", ["keyword stuffing", "tag cloud", "phone book", "price table", "results", "repeated template"]
)
def test_lists_are_still_dropped(kind, model):
    rng = Random(kind)
    assert share_kept([machine_list(rng, kind) for _ in range(COUNT)], model) <= 0.05


@pytest.mark.parametrize("song", [1, 2, 3])
def test_a_chorus_may_come_often_but_one_line_may_not(song, model):
    lines = kept.made("free verse", 1, song)[0].replace("\n\n", "\n").split("\n")
    chorus = "\n".join(lines[:4])
    text = "\n\n".join(f"{line}\n{chorus}" for line in ("\n".join(lines[4:8]), "\n".join(lines[8:12])))
    assert share_kept([f"{text}\n\n{chorus}\n{chorus}"], model) == 1
    assert share_kept(["\n".join([lines[0]] * 40)], model) == 0


# --- spam -------------------------------------------------------------------------------------------------------------

OFFER = "百家乐注册送58彩金，时时彩真人荷官，提款秒到，加微信abc12345"


@pytest.mark.parametrize(
    "text",
    [
        OFFER,
        " ".join(OFFER),
        "❤".join(OFFER),
        "*".join(OFFER),
        "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in OFFER),
        OFFER.replace("58", "⑤⑧").replace("微信", "薇信"),
        OFFER.replace("时", "時").replace("乐", "樂").replace("冊", "册").replace("开", "開"),
    ],
)
def test_hidden_words_are_found(text):
    assert spam_step.points(text) >= 20
    assert spam_step.reason(text).startswith("百家乐")


def test_a_long_text_is_not_spam_for_one_paragraph():
    article = "".join(kept.made("transcript", 6, 1))[: 8 * spam_step.WINDOW]
    assert spam_step.points(article + OFFER) < LIMITS.max_spam < spam_step.points(OFFER)


@pytest.mark.parametrize(
    "text", ["", "。", "好" * 11, "😀" * 50, "a" * 20_000, "\ud800" * 30, "微信abc12345，电话13812345678"]
)
def test_what_has_no_offer_has_no_points(text):
    assert spam_step.points(text) == 0


def test_points_below_the_limit_need_not_be_counted():
    for text in [*kept.made("tips", 5, 1), *kept.made("bets", 5, 1, spam.KINDS), *kept.made("case", 5, 1, spam.ALIKE)]:
        points = spam_step.points(text)
        assert spam_step.points(text, 7.0) == (points if points > 7 else 0)


def test_running_text_joins_words_and_a_list_repeats_them():
    speech, list_ = kept.made("transcript", 1, 1)[0], "北京装修 上海搬家 北京开锁 广州搬家 上海装修 广州开锁 北京搬家"
    assert filters.joining_share(filters.hanzi_once(speech)) > 0.2 > filters.joining_share(list_) == 0
    assert filters.repeated_share("甲乙甲乙甲", 2) == 0.5
    assert filters.hanzi_once("副歌a\n副歌1\n主") == "副歌主"
