"""Answers carry their sources, long articles are cut where a sentence ends, and what a model claims is checked."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from woodblock.base.errors import UserError
from woodblock.models.configuration import Config
from woodblock.models.decoder import Transformer
from woodblock.retrieval import answering
from woodblock.retrieval.answering import CUT_MARK, NOTHING_FOUND, Answer, Source, answer, fit, mentions, retrieve
from woodblock.retrieval.bm25 import Index
from woodblock.tokens import tokenization
from woodblock.tokens.tokenization import SentencePieces, Tokenizer

LABOUR = "国家实行劳动者每日工作时间不超过八小时、平均每周工作时间不超过四十四小时的工时制度。"
LONG = "公司应当依法登记。" * 200
PASSAGES = pd.DataFrame(
    {
        "law": ["中华人民共和国劳动法", "中华人民共和国公司法", "中华人民共和国刑法"],
        "chapter": ["第四章 工作时间和休息休假", "第一章 总则", ""],
        "article": ["第三十六条", "第六条", "第二条"],
        "number": [36, 6, 2],
        "text": [LABOUR, LONG, "中华人民共和国刑法的任务，是用刑罚同一切犯罪行为作斗争。"],
    }
)
QUESTIONS = ["每日工作时间不超过几小时？", "公司登记", "刑法第2条说了什么？"]


@pytest.fixture(scope="module")
def index() -> Index:
    return Index.build(PASSAGES, 1.2, 0.75)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    text = "\n".join([*PASSAGES["text"], *QUESTIONS, "根据下面的条文回答问题。问题：《》　assistant user system"])
    model = tokenization.train([text], 400, 0.9995)
    return Tokenizer(SentencePieces(model))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config(tokenizer.vocab_size, 16, 1, 2, 2, 32, context=256)).eval()


def test_every_answer_carries_the_articles_that_it_was_given(index, model, tokenizer):
    counted = []
    answers = answer(QUESTIONS, index, model, tokenizer, passages=2, max_new_tokens=8, on_done=counted.append)
    assert sum(counted) == len(QUESTIONS)
    for result, question, article in zip(answers, QUESTIONS, ("第三十六条", "第六条", "第二条"), strict=True):
        assert result.question == question
        assert result.sources[0].article == article
        assert len(result.sources) <= 2
        assert [source.score for source in result.sources] == sorted((s.score for s in result.sources), reverse=True)
        assert set(result.record()) >= {"question", "answer", "sources", "cites", "invents", "stopped"}
    assert answers[1].sources[0].cut
    alone = answer(QUESTIONS[:1], index, model, tokenizer, passages=2, max_new_tokens=8)
    assert alone[0] == answers[0]


def test_the_model_is_given_the_articles_and_its_end_is_seen(index, model, tokenizer, monkeypatch):
    seen = []

    def copying(model, prompts, max_new_tokens, stop_id, no_repeat_ngram, on_done):
        seen.extend(tokenizer.decode(prompt) for prompt in prompts)
        return [[*tokenizer.encode("《中华人民共和国劳动法》第三十六条规定：工作"), stop_id], tokenizer.encode("没完")]

    monkeypatch.setattr(answering, "generate", copying)
    options = {"passages": 1, "max_new_tokens": 8, "system": "你是一个AI助手", "cite_first": False}
    first, nothing, last = answer([QUESTIONS[0], "xyz", QUESTIONS[2]], index, model, tokenizer, **options)
    assert LABOUR in seen[0] and QUESTIONS[0] in seen[0] and "你是一个AI助手" in seen[0]
    assert (first.text, first.stopped, first.cites(), first.invents()) == (
        "《中华人民共和国劳动法》第三十六条规定：工作",
        True,
        True,
        False,
    )
    assert (last.text, last.stopped) == ("没完", False)
    assert (nothing.text, nothing.sources, nothing.stopped) == (NOTHING_FOUND, (), True)
    assert not nothing.cites() and not nothing.invents()


def test_a_reply_can_be_begun_with_its_citation(index, model, tokenizer, monkeypatch):
    seen = []

    def quoting(model, prompts, max_new_tokens, stop_id, no_repeat_ngram, on_done):
        seen.extend(tokenizer.decode(prompt) for prompt in prompts)
        return [[*tokenizer.encode("工作"), stop_id]]

    monkeypatch.setattr(answering, "generate", quoting)
    (found,) = answer([QUESTIONS[0]], index, model, tokenizer, passages=1, max_new_tokens=8)
    source = found.sources[0]
    opening = f"《{source.law}》{source.article}规定："
    assert seen[0].endswith(opening)
    assert (found.text, found.begun, found.own) == (f"{opening}工作", opening, "工作")
    assert not found.cites() and not found.invents()  # the citation was written for it, and is not its merit
    assert found.stopped and not found.ended()  # its end came within a sentence


def test_long_articles_are_cut_at_the_end_of_a_sentence(index, tokenizer):
    sources = retrieve(["公司登记"], index, 1)[0]
    kept, ids = fit("公司登记", sources, tokenizer, 200)
    assert len(ids) <= 200
    body = kept[0].text.removesuffix(CUT_MARK)
    assert kept[0].cut and kept[0].text.endswith(CUT_MARK)
    assert body.endswith("登记。") and LONG.startswith(body)
    whole, _ = fit("公司登记", sources, tokenizer, 100_000)
    assert whole == sources
    more, longer = fit("公司登记", sources, tokenizer, 230)
    assert len(more[0].text) >= len(kept[0].text) and len(longer) <= 230


def test_without_a_sentence_a_clause_or_any_place_will_do():
    source = Source("甲法", "第一条", "天地，玄黄宇宙", 1.0, False)
    assert answering._cut(source, 5).text == f"天地，{CUT_MARK}"
    assert answering._cut(source, 2).text == f"天地{CUT_MARK}"
    assert answering._cut(source, 7) is source


def test_a_question_that_fills_the_context_is_an_error(index, model, tokenizer):
    with pytest.raises(UserError, match="only 228 fit before the reply") as error:
        answer(["公司登记" * 200], index, model, tokenizer, passages=1, max_new_tokens=8)
    assert "\n" not in str(error.value)


def source(law: str, article: str, text: str) -> Source:
    return Source(law, article, text, 1.0, False)


@pytest.mark.parametrize(
    ("text", "cites", "invents"),
    [
        ("《中华人民共和国劳动法》第三十六条规定：……", True, False),
        ("《劳动法》第36条规定：……", True, False),
        ("根据第三十六条", True, False),
        ("没有编号的回答", False, False),
        ("", False, False),
        ("《劳动法》第三十七条", False, True),
        ("《合同法》第三十六条", False, True),
        ("依照第四十条办理", False, False),  # the given article names it
        ("《劳动法》第三十六条和第九条", True, True),
    ],
)
def test_what_a_model_names_is_checked(text, cites, invents):
    sources = (source("中华人民共和国劳动法", "第三十六条", "依照本法第四十条的规定。"),)
    given = Answer("这是怎么规定的？", text, sources, True)
    assert (given.cites(), given.invents()) == (cites, invents)


def test_an_article_of_the_question_is_no_invention():
    sources = (source("中华人民共和国劳动法", "第三十六条", "……"),)
    assert not Answer("民法典第一条呢？", "《民法典》第一条没有给出。", sources, True).invents()


def test_overlap_with_the_sources():
    sources = (source("甲法", "第一条", "天地玄黄"),)
    same, half, none = (Answer("", text, sources, True) for text in ("天地玄黄", "天地宇宙", "日月"))
    assert (same.grounded(), same.f1()) == (1.0, 1.0)
    assert (half.grounded(), half.f1()) == (pytest.approx(1 / 3), 0.5)
    assert (none.grounded(), none.f1()) == (0.0, 0.0)
    cited = Answer("", "《甲法》第一条规定：天地玄黄", sources, True)
    assert (cited.grounded(), cited.f1()) == (1.0, 1.0)  # the citation itself stands in no article, and does not count
    begun = Answer("", "《甲法》第一条规定：日月", sources, True, begun="《甲法》第一条规定：")
    assert (begun.grounded(), begun.f1()) == (0.0, 0.0)
    assert same.grounded((source("乙法", "第一条", "宇宙洪荒"),)) == 0.0
    assert Answer("", "", (), True).grounded() == Answer("", "", (), True).f1() == 0.0


@given(st.text(), st.text())
def test_measures_hold_for_any_text(text, given_text):
    record = Answer(text, text, (source("甲法", "第一条", given_text),), False).record()
    assert 0 <= record["grounded"] <= 1 and 0 <= record["f1"] <= 1


def test_mentions():
    assert mentions("《劳动法》第36条、第三条和《刑法》 第一条") == [
        ("劳动法", "第三十六条"),
        ("", "第三条"),
        ("刑法", "第一条"),
    ]
