"""Cleaning document by document: each step drops what it is for, counts it, and lets good text pass unchanged."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from support.projects import ROOT

import clean
from woodblock.base.errors import UserError
from woodblock.cleaning import steps
from woodblock.cleaning.quality import Model
from woodblock.cleaning.repairing import repair
from woodblock.cleaning.steps import Limits
from woodblock.run import params, shards
from woodblock.tables import parquet
from woodblock.tables.funnel import SAMPLES, Funnel

LIMITS = Limits.of(params.load(ROOT / "params.yaml").clean)

ARTICLE = (
    "第一条　为了保护{0}的合法权益，明确{0}与{1}之间的权利义务，根据宪法，制定本法。\n"
    "第二条　{1}应当依照本法的规定办理登记；未经登记的，不得以{0}的名义从事活动。\n"
    "第三条　县级以上人民政府的有关部门，在各自的职责范围内负责{0}的监督管理工作。\n"
    "第四条　违反本法规定，给{1}造成损失的，依法承担赔偿责任；构成犯罪的，追究刑事责任。"
)
SUBJECTS = [
    "公民",
    "企业",
    "学校",
    "医院",
    "农民",
    "法人",
    "村民",
    "商户",
    "船员",
    "律师",
    "教师",
    "工会",
    "业主",
    "证人",
]
GOOD = [ARTICLE.format(a, b) for a in SUBJECTS for b in SUBJECTS if a != b]


GOODS = ["服装", "用品", "培训", "招聘", "论坛", "杂志", "保险", "旅行", "摄影", "书籍", "礼品"]
KEYWORDS = [SUBJECTS[n % 14] + GOODS[n % 11] for n in range(70)]


def shuffled(seed: int) -> str:
    """Common hanzi in no order at all."""
    letters = [c for c in GOOD[seed] if "\u4e00" <= c <= "\u9fff"]
    return "".join(random.Random(seed).sample(letters, len(letters)))


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.count(GOOD)


def records(given: list[str]) -> list[dict]:
    keys = {"group": "甲", "source": "试", "title": "", "weight": 1.0}
    return [{"id": f"试-{n}", **keys, "text": text} for n, text in enumerate(given)]


def cleaned(text: str, model: Model, limits: Limits = LIMITS) -> tuple[str | None, dict[str, int]]:
    """What is left of a text, and the counts other than of what came and stayed."""
    funnel = Funnel()
    kept = steps.documents(records([text]), limits, model, funnel)
    counts = {k: n for k, n in funnel.counts.items() if k not in ("read", "kept") and not k.startswith("characters")}
    return (kept[0]["text"] if kept else None), counts


def test_good_text_passes_unchanged(model):
    funnel = Funnel()
    kept = steps.documents(records(GOOD), LIMITS, model, funnel)
    assert [record["text"] for record in kept] == GOOD
    assert all(record["weight"] == 1.0 and -2 < record["quality"] < 0 for record in kept)
    size = sum(map(len, GOOD))
    assert funnel.counts == {
        "read": len(GOOD), "kept": len(GOOD), "characters_read": size, "characters_kept": size,
    }  # fmt: skip
    assert len(funnel.drops["kept"]) == 2 * SAMPLES


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (GOOD[0].encode().decode("gbk", "replace"), "encoding"),
        ("The quick brown fox jumps over the lazy dog, and nobody knows why it does so every day. " * 5, "language"),
        ("これは日本語の文章です。ひらがなとカタカナが多く使われています。" * 3, "language"),
        ("이것은 한국어 문장입니다. 한글로 쓰여 있습니다. 오늘은 날씨가 좋습니다.", "language"),
        ("123 456 789 3.14 +++ ///" * 5, "language"),
        ("太短了。", "length"),
        ("本店主营各类手机。\n" * 40, "repetition"),
        ("哈" * 200 + "。", "repetition"),
        ("\n".join(f"编号 {n * 7919 % 100000:05d} {n * 104729 % 1000000:06d} 件" for n in range(60)), "repetition"),
        ("型号，价格。" + "\n".join(f"【{'◆★▲●■'[n % 5] * (n % 7)}】※{'甲乙丙丁'[n % 4]}件" for n in range(30)), "ratios"),
        ("\n".join(KEYWORDS), "ratios"),
        ("、".join(KEYWORDS), "ratios"),
        ("\n".join(f"{shuffled(n)[:8]} https://example.com{'/x' * n}" for n in range(9)), "ratios"),
    ],
)  # fmt: skip
def test_each_step_drops_what_it_is_for(text, step, model):
    left, counts = cleaned(text, model)
    assert left is None
    assert counts == {f"dropped_{step}": 1} | ({"changed_encoding": 1} if counts.get("changed_encoding") else {})


def test_what_the_quality_model_finds_improbable_is_dropped(model):
    text = "，".join(shuffled(n)[:30] for n in range(9)) + "。"
    limits = dataclasses.replace(LIMITS, max_bits=2.0)
    assert cleaned(GOOD[0], model, limits)[0] == GOOD[0]
    assert cleaned(text, model, limits) == (None, {"dropped_quality": 1})


def test_steps_that_change_a_text_are_counted(model):
    text = f"首页 > 法律 > 正文\n<p>{GOOD[0]}</p>\n联系电话：13812345678。\n版权所有 ©2020 某某网\n上一篇：无"
    left, counts = cleaned(text, model)
    assert left == f"{GOOD[0]}\n联系电话：[手机号]。"
    assert counts == {
        "changed_markup": 1,
        "changed_lines": 1,
        "lines_removed": 3,
        "changed_personal_data": 1,
        "masked_mobile": 1,
    }


def test_mojibake_is_mended(model):
    left, counts = cleaned(GOOD[0].encode().decode("latin-1"), model)
    assert left == GOOD[0]
    assert counts == {"changed_encoding": 1}


def test_traditional_text_is_converted_where_params_say_so(model):
    traditional = "第一條　為了保護公民的合法權益，明確公民與企業之間的權利義務，根據憲法，制定本法。"
    simplified = "第一条　为了保护公民的合法权益，明确公民与企业之间的权利义务，根据宪法，制定本法。"
    limits = dataclasses.replace(LIMITS, max_bits=30.0)
    assert cleaned(traditional, model, limits)[0] == traditional
    left, counts = cleaned(traditional, model, dataclasses.replace(limits, simplified=True))
    assert left == simplified
    assert counts == {"changed_simplified": 1}


def test_a_text_in_a_language_that_is_asked_for_stays(model):
    text = "Everyone has the right to life, liberty and security of person. No one shall be held in slavery. " * 3
    limits = dataclasses.replace(
        LIMITS, languages=["zh", "en"], max_bits=30.0, max_repeated_ngrams=1.0, max_repeated_lines=1.0
    )
    assert cleaned(text, model, limits)[0] == text.strip()


def test_weight_follows_quality_where_params_say_so(model):
    kept = steps.documents(records(GOOD[:1]), dataclasses.replace(LIMITS, weight_by_quality=1.0), model, Funnel())
    assert kept[0]["weight"] == pytest.approx(2 / -kept[0]["quality"], rel=1e-3)


def test_samples_do_not_depend_on_the_order():
    made = [({"id": f"{n}", "source": "试"}, f"文本{n}") for n in range(100)]
    funnels = []
    for order in (made, made[::-1], made[50:] + made[:50]):
        parts = [Funnel(), Funnel()]
        for n, (record, text) in enumerate(order):
            parts[n % 2].drop("length", record, text, "短", 1)
        whole = Funnel()
        for part in parts:
            whole.merge(**part.as_json())
        funnels.append(whole)
    rows = [list(funnel.rows(["length"])) for funnel in funnels]
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[0]) == SAMPLES and funnels[0].counts["dropped_length"] == 100


# --- conversations ----------------------------------------------------------------------------------------------------


def talk(*said: str | None, system: str | None = None) -> list[dict]:
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    return [{"role": "system", "content": system}, *messages] if system is not None else messages


def conversation(messages: list[dict]) -> tuple[list[dict] | None, dict[str, int]]:
    funnel = Funnel()
    kept = steps.conversations([{"id": "1", "source": "试", "messages": messages}], LIMITS, funnel)
    return (kept[0]["messages"] if kept else None), dict(+funnel.counts)


@pytest.mark.parametrize(
    ("roles", "cause"),
    [
        ("user assistant", None),
        ("system user assistant user assistant", None),
        ("user", "roles"),
        ("user assistant user", "roles"),
        ("assistant user", "roles"),
        ("user user assistant assistant", "roles"),
        ("system", "roles"),
        ("user system assistant", "roles"),
        ("human gpt", "roles"),
        ("", "roles"),
    ],
)
def test_roles_of_a_conversation(roles, cause):
    messages = [{"role": role, "content": f"第{n}句"} for n, role in enumerate(roles.split())]
    repaired, counts = conversation(messages)
    assert (repaired is None) == (cause is not None)
    assert counts == {"read": 1, f"dropped_{cause}" if cause else "kept": 1}


def test_a_conversation_with_an_empty_message_is_dropped_and_others_are_repaired():
    assert conversation(talk("你好\r\n", "\u200b"))[1] == {"read": 1, "dropped_empty": 1}
    assert conversation(talk("你好\r\n", None))[1] == {"read": 1, "dropped_empty": 1}
    assert conversation(talk("你好\r\n", "\ufeff好。"))[0] == talk("你好", "好。")


@pytest.mark.parametrize("nothing", ["", None, "  \n", "\u200b\ufeff", "\u3164", "　\u00a0\u2800"])
def test_an_empty_system_message_is_none(nothing):
    messages = talk("你好", "好。")
    empty = {"role": "system", "content": nothing}
    assert conversation([empty, *messages]) == (messages, {"read": 1, "kept": 1})
    assert conversation([messages[0], empty, messages[1]]) == (messages, {"read": 1, "kept": 1})
    assert conversation(talk("你好", nothing))[1] == {"read": 1, "dropped_empty": 1}
    cut = conversation(talk("你好", "好。", nothing, "什么？"))
    assert cut == (messages, {"read": 1, "kept": 1, "changed_empty": 1})


def test_personal_data_in_a_conversation_is_masked():
    messages, counts = conversation(talk("我的手机是13812345678", "已记下13812345678。", system="助手"))
    assert messages == talk("我的手机是[手机号]", "已记下[手机号]。", system="助手")
    assert counts == {"read": 1, "kept": 1, "changed_personal_data": 1, "masked_mobile": 2}


REPLY = "".join(f"第{n}点，做事之前要先想清楚目的是什么，然后再安排步骤。" for n in "一二三四五六")


@pytest.mark.parametrize(
    ("reply", "cut"),
    [
        (REPLY, False),
        (REPLY + "最后，我们还应当注意保持良好的生活习惯和", True),
        (REPLY + "最后，", True),
        (REPLY + "例如：", True),
        ("好的，", False),  # short replies end as they like
        ("```python\nprint(1)", True),
        (REPLY + "\n```python\nprint(1)\n```", False),
        (REPLY + "\n- 保持良好的生活习惯和锻炼身体的好习惯", False),
        (REPLY + "\n1. 保持良好的生活习惯和锻炼身体的好习惯", False),
        ("春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少", False),
        (REPLY + "祝好！", False),
    ],
)
def test_a_reply_that_breaks_off_is_known(reply, cut):
    assert steps.cut_short(reply) == cut
    assert conversation(talk("说说看", reply))[1].get("dropped_cut", 0) == cut


def test_a_reply_that_goes_in_circles_is_dropped():
    assert conversation(talk("说说看", REPLY * 12))[1] == {"read": 1, "dropped_repetition": 1}


# --- the stage --------------------------------------------------------------------------------------------------------


NO_SOURCES = SimpleNamespace(corpus=[], instructions=[])


def run_clean(
    folder: Path, given: list[str], processes: int, part_characters: int | None = None, download=None
) -> dict:
    folder.mkdir()
    parquet.write(folder / "corpus", records(given), parquet.CORPUS, part_characters)
    messages = [{"id": f"{n}", "source": "试", "messages": talk("你好", f"{n}号好。")} for n in range(3)]
    parquet.write(folder / "instructions", messages, parquet.INSTRUCTIONS)
    article = {
        "law": "某法",
        "chapter": "",
        "article": "第一条",
        "number": 1,
        "status": "现行有效",
        "text": "本法自公布之日起施行。",
    }
    articles = [{"id": f"{n}", **article, "law": f"某法{n // 2}"} for n in range(4)]
    parquet.write(folder / "documents", articles, parquet.DOCUMENTS)
    settings = SimpleNamespace(clean=params.load(ROOT / "params.yaml").clean, download=download or NO_SOURCES)
    raw = [folder / role for role in ("corpus", "instructions", "documents")]
    out = [folder / "out" / role for role in ("corpus", "instructions", "documents", "results")]
    (folder / "out").mkdir()
    return clean.clean(settings, *raw, *out, SimpleNamespace(work=folder / "work", processes=processes))


def digest(folder: Path) -> dict[str, bytes]:
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_the_stage_gives_the_same_bytes_for_any_number_of_processes(tmp_path):
    given = [*GOOD, *GOOD[:3], "短", "哈" * 300]
    one = run_clean(tmp_path / "one", given, 1, part_characters=3000)
    three = run_clean(tmp_path / "three", given, 3, part_characters=3000)
    assert one == three
    assert digest(tmp_path / "one/out") == digest(tmp_path / "three/out")
    assert len(parquet.parts(tmp_path / "one/out/corpus")) == len(parquet.parts(tmp_path / "one/corpus")) > 3
    assert one["corpus"]["read"] == len(given) and one["corpus"]["kept"] == len(GOOD) + 3
    assert one["corpus"]["dropped_length"] == one["corpus"]["dropped_repetition"] == 1
    assert one["instructions"] == {"read": 3, "kept": 3}
    assert one["documents"] == {"read": 4, "kept": 2, "dropped_duplicate": 2}


def test_what_was_dropped_and_kept_can_be_looked_at(tmp_path):
    run_clean(tmp_path / "run", [*GOOD, "短", "哈" * 300], 1)
    drops = pd.read_parquet(tmp_path / "run/out/results/drops")
    assert list(drops["step"]) == ["length", "repetition", "duplicate", "duplicate"]
    assert list(drops["reason"][:2]) == ["1 characters", "top_ngram"]
    assert len(pd.read_parquet(tmp_path / "run/out/results/kept")) == 2 * SAMPLES


def test_a_stage_that_was_killed_does_the_shards_that_are_left(tmp_path, monkeypatch):
    whole = run_clean(tmp_path / "whole", GOOD, 1, part_characters=3000)
    monkeypatch.setenv(shards.PORTION, "1/2")
    with pytest.raises(shards.PortionDone):
        run_clean(tmp_path / "half", GOOD, 1, part_characters=3000)
    monkeypatch.delenv(shards.PORTION)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "half" / "work" / "shards").glob("*/done.json")}
    assert before
    settings = SimpleNamespace(clean=params.load(ROOT / "params.yaml").clean, download=NO_SOURCES)
    raw = [tmp_path / "half" / role for role in ("corpus", "instructions", "documents")]
    out = [tmp_path / "half/out" / role for role in ("corpus", "instructions", "documents", "results")]
    run = SimpleNamespace(work=tmp_path / "half/work", processes=1)
    assert clean.clean(settings, *raw, *out, run) == whole
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert digest(tmp_path / "half/out") == digest(tmp_path / "whole/out")


def test_a_corpus_of_which_nothing_is_left_is_an_error_in_one_line(tmp_path):
    with pytest.raises(UserError, match="every record of corpus was dropped: `length` dropped 2 of 2") as caught:
        run_clean(tmp_path / "run", ["短", "长"], 1)
    assert "\n" not in str(caught.value)


def test_cleaned_text_is_in_its_one_form(tmp_path):
    run_clean(tmp_path / "run", [f"　　{GOOD[0]}\r\n\r\n\r\n{GOOD[1]}\u200b"], 1)
    (text,) = parquet.read(tmp_path / "run/out/corpus")["text"]
    assert text == f"{GOOD[0]}\n\n{GOOD[1]}" == repair(text)


# --- the limits of one source -----------------------------------------------------------------------------------------


def source(name: str | None, limits: object, url: str = "file://data/x.jsonl") -> SimpleNamespace:
    return SimpleNamespace(name=name, url=url, limits=limits)


def of_source(name: str, own: object) -> Limits:
    return Limits.of(params.load(ROOT / "params.yaml").clean, [source("别的", None), source(name, own)])


def test_a_source_may_have_its_own_limits(model):
    text = "\n".join(KEYWORDS)
    own = {"min_punctuation": 0.0, "min_stops": 0.0}
    assert cleaned(text, model)[1] == {"dropped_ratios": 1}
    assert cleaned(text, model, of_source("试", own))[0] == text
    assert cleaned(text, model, of_source("另", own))[1] == {"dropped_ratios": 1}
    assert cleaned("明天要去上海。", model, of_source("试", {"min_chars": 2}))[0] == "明天要去上海。"
    assert cleaned(GOOD[0], model, of_source("试", {"max_bits": 0.1}))[1] == {"dropped_quality": 1}


@pytest.mark.parametrize(
    "text", ["哈" * 200 + "。", "短", "The quick brown fox jumps over the lazy dog.", "12 34 56\n" * 30, "★" * 50]
)
def test_a_source_without_limits_keeps_what_it_has(text, model):
    assert cleaned(text, model)[0] is None
    assert cleaned(text, model, of_source("试", "none"))[0] == text.strip()
    assert cleaned("\u200b", model, of_source("试", "none"))[1] == {"dropped_length": 1}
    assert cleaned(GOOD[0].encode().decode("gbk", "replace"), model, of_source("试", "none"))[1] == {
        "dropped_encoding": 1
    }


def test_conversations_of_a_source_without_limits_may_go_in_circles():
    circles = [{"id": "1", "source": "试", "messages": talk("说说看", REPLY * 12)}]
    assert steps.conversations(circles, of_source("试", {"max_repeated_ngrams": 1.0}), Funnel())
    assert steps.conversations(circles, of_source("试", "none"), Funnel())


def test_two_sources_of_one_name_have_the_same_limits():
    block = params.load(ROOT / "params.yaml").clean
    with pytest.raises(UserError, match="two sources are called 甲 and have different limits"):
        Limits.of(block, [source("甲", "none"), source("甲", None)])
    assert Limits.of(block, [source("甲", "none"), source("甲", "none")]).of_source("甲").max_digits == float("inf")


def test_the_stage_takes_a_sources_limits_from_params(tmp_path):
    download = SimpleNamespace(corpus=[source(None, "none", "file://data/试.jsonl")], instructions=[])
    run_clean(tmp_path / "run", [GOOD[0], "短"], 1, download=download)
    assert list(parquet.read(tmp_path / "run/out/corpus")["text"]) == [GOOD[0], "短"]


def test_a_role_that_cleaning_empties_is_an_error_that_names_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "cut_short", lambda reply: True)
    with pytest.raises(UserError, match="every record of instructions was dropped: `cut` dropped 3 of 3"):
        run_clean(tmp_path / "run", GOOD, 1)


def test_a_source_and_a_step_that_lose_more_than_half_are_named(tmp_path, capsys):
    found = run_clean(tmp_path / "run", [GOOD[0], *"甲乙丙"], 1)
    assert found["warnings"] == [
        "corpus: 3 of 4 records of 试 were dropped; `length` dropped 3 of all",
        "corpus: the step `length` dropped 3 of 4 records",
    ]
    assert "clean: WARNING: corpus: 3 of 4 records of 试 were dropped" in capsys.readouterr().err
    assert "warnings" not in run_clean(tmp_path / "good", GOOD, 1)
