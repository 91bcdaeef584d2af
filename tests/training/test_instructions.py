"""Instructions are grounded in their articles, give nothing away in the question, and are drawn the same every time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import small_models

from woodblock.sources.statutes import article_name, cite, parse_article_name, short_name
from woodblock.training import instructions
from woodblock.training.instructions import (
    PASSAGE_CHARS,
    REPLY_CHARS,
    SENTENCE,
    SHARES,
    clauses,
    ends_sentence,
    excerpt,
    existence,
    from_statutes,
    whole_sentences,
)

CODE = "中华人民共和国民法典"


def law(name: str, numbers, seed: int = 0) -> list[dict]:
    draw = Random(f"{name} {seed}")
    return [
        {"law": name, "article": article_name(n), "number": n}
        | {"text": draw.choice(["", "\n"]).join(small_models.sentence(draw) for _ in range(draw.randint(1, 12)))}
        for n in numbers
    ]


def statutes() -> list[dict]:
    """Thirty laws of one to a hundred articles; an amendment that counts on; a decision without articles."""
    sizes = [1, 2, 3, *range(5, 86, 3)]
    found = [article for i, n in enumerate(sizes) for article in law(f"中华人民共和国第{i}法", range(1, n + 1))]
    found += law(CODE, range(1, 101)) + law("中华人民共和国宪法修正案（2018年）", range(32, 53))
    return [*found, {"law": "关于某事的决定", "article": "全文", "number": 0, "text": "国家保护环境。"}]


@pytest.fixture(scope="module")
def articles():
    return statutes()


@pytest.fixture(scope="module")
def made(articles):
    return from_statutes(articles, 2000, [CODE], seed=3)


def test_about_as_many_as_asked_in_the_shares_of_the_tasks(made):
    counts = Counter(example.task for example in made)
    shares = {task: share for task, (share, _) in SHARES.items()} | {"exists": instructions.EXISTENCE_SHARE}
    assert sum(shares.values()) == pytest.approx(1)
    for task, share in shares.items():
        assert 0.8 * share * 2000 <= counts[task] <= share * 2000, task
    assert len({example.prompt for example in made}) == len(made)


def test_no_reply_or_prompt_is_empty_or_unfilled(made):
    for example in made:
        assert example.reply.strip() and example.prompt.strip()
        assert not re.search(r"[{}]", example.prompt + example.reply)
        assert [m["role"] for m in example.messages] == ["user", "assistant"]


def test_only_well_known_laws_are_asked_from_memory(made, articles):
    known = [example for example in made if example.task == "recite_known"]
    assert known and all(short_name(CODE) in example.prompt for example in known)
    assert all(example.reply.startswith(f"《{CODE}》") for example in known)
    assert not any(e.task == "recite_known" for e in from_statutes(articles, 300, [], seed=3))


def test_what_is_given_holds_question_and_reply(made, articles):
    texts = {cite(a["law"], a["article"]): a["text"] for a in articles}
    for example in (example for example in made if example.task == "recite_given"):
        source, _, said = example.reply.partition("规定：")
        assert said in texts[source] and len(said) <= PASSAGE_CHARS
        assert len(said) <= REPLY_CHARS or len(SENTENCE.findall(said)) == 1
        passage = example.prompt[example.prompt.index(f"{source}　") :]
        assert said in passage  # the passage holds all of the reply
        for clause in re.findall("“([^“”]+)”", example.prompt):
            assert passage.count(clause) >= 2  # what is asked about stands in what is given, not in the question alone


LONG = "国家机关、企业事业单位和其他组织应当依法处理有关事项，" * 9
AWKWARD = (
    f"{LONG}并予以公布。",  # its first sentence is too long to quote
    f"有下列情形之一的，应当处罚：\n（一）违反规定的；\n（二）{LONG}情节严重的；\n（三）其他情形。",
    "有下列情形之一的，应当处罚：\n（一）违反规定的；\n（二）拒绝改正的；\n（三）情节严重的。",
    f"公民有权监督，{'国家保护这种权利，' * 7}任何人不得侵犯。国家机关应当听取意见。",
    "公民应当遵守下列规定“先申报，后使用。”违反规定的；由主管机关处理，",
    "没有句号的条文，" * 9,
    "第一项 名称；第二项 地址；第三项 法定代表人的姓名；第四项 注册资本",
)


def test_no_reply_breaks_off(made):
    """Of the articles with long sentences, lists and no end of a sentence, too."""
    law = [
        {"law": CODE, "article": article_name(n), "number": n, "text": text} for n, text in enumerate(AWKWARD, start=1)
    ]
    awkward = [e for n in range(20) for e in from_statutes(law, 200, [CODE], seed=n)]
    assert {"recite_given", "recite_known", "which_law", "continue"} <= {e.task for e in awkward}
    for example in [*made, *awkward]:
        assert ends_sentence(example.reply), example.reply


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        *(
            (f"应当依法办理{end}", True)
            for end in ("。", "！", "？", "……", "。”", "。）", "。》", '。"', "。\n", "\n```", ".")
        ),
        *((f"应当依法办理{end}", False) for end in ("", "，", "、", "；", "：", "（", "“", "，”", ",", "。应当")),
        ("", False),
    ],
)
def test_where_a_sentence_ends(text, ends):
    assert ends_sentence(text) is ends


def test_which_law_never_names_the_law(made):
    asked = [example for example in made if example.task == "which_law"]
    assert asked
    for example in asked:
        name = re.fullmatch("这是《(.+)》的规定。", example.reply)[1]
        assert name not in example.prompt and short_name(name) not in example.prompt


def test_an_article_that_names_its_own_law_is_not_asked_about():
    article = law("中华人民共和国水法", [1])[0] | {"text": "违反水法规定的，应当承担责任。"}
    assert instructions.which_law(article, Random(0)) is None


def test_a_continuation_goes_on_where_the_question_breaks_off(made, articles):
    texts = [whole_sentences(a["text"], PASSAGE_CHARS) for a in articles]
    asked = [example for example in made if example.task == "continue"]
    assert asked
    for example in asked:
        reply = example.reply
        whole = [text for text in texts if text.endswith(reply) and text[: -len(reply)] in example.prompt]
        assert whole and len(reply) >= 8 and not reply[0].isspace()
        head = whole[0][: -len(example.reply)]
        assert head[-1] in "，。；：" and len(head) >= 8


def numbers_of(examples) -> tuple[list[int], list[int]]:
    """Numbers asked with the answer yes, and with the answer no."""
    sides: tuple[list[int], list[int]] = ([], [])
    for example in examples:
        name = re.search("第[零一二三四五六七八九十百千]+条", example.prompt)[0]
        sides[example.reply.startswith("没有。")].append(parse_article_name(name))
    return sides


@pytest.mark.parametrize("count", [40, 400, 4000])
def test_true_and_false_numbers_are_of_one_distribution(articles, count):
    examples = list(existence([a for a in articles if a["number"]], count, Random(1)))
    yes, no = numbers_of(examples)
    assert len(yes) > 10 and Counter(yes) == Counter(no)
    assert len({example.prompt for example in examples}) == len(examples)
    assert len(examples) <= count


def test_existence_survives_into_what_is_made(made):
    yes, no = numbers_of([example for example in made if example.task == "exists"])
    assert Counter(yes) == Counter(no)


def test_existence_says_what_is_so(articles):
    sizes = Counter(a["law"] for a in articles)
    for example in existence([a for a in articles if a["number"]], 300, Random(1)):
        answer, name, size = re.fullmatch("(有|没有)。《(.+)》共有([0-9]+)条。", example.reply).groups()
        number = parse_article_name(example.key.removeprefix(name))
        assert sizes[name] == int(size) and (number <= int(size)) == (answer == "有")
        assert short_name(name) in example.prompt
        assert "修正案" not in name  # it counts from 32 on: how many it has, its numbers do not say


def test_where_every_law_has_every_number_nothing_is_asked():
    same = [a for i in range(3) for a in law(f"第{i}法", range(1, 6))]
    assert not list(existence(same, 10, Random(0)))
    assert not list(existence([], 10, Random(0)))


def test_two_laws_of_one_short_name_give_no_contradiction():
    twins = law("中华人民共和国水法", range(1, 4)) + law("水法", range(1, 9))
    examples = list(existence(twins, 60, Random(0)))
    assert len({example.prompt for example in examples}) == len(examples)


TEXT = st.text(alphabet="甲乙，。；：！？\n", max_size=40)


@given(TEXT, st.integers(1, 30))
def test_an_excerpt_is_a_beginning_within_the_limit(text, limit):
    found = excerpt(text, limit)
    assert text.startswith(found) and len(found) <= limit and bool(found) == bool(text)
    if len(text) <= limit:
        assert found == text
    elif any(mark in text[1:limit] for mark in "。！？"):
        assert found[-1] in "。！？"
    elif any(mark in text[1:limit] for mark in "；：，"):
        assert found[-1] in "；：，"


@given(TEXT)
def test_clauses_stand_in_their_text_without_punctuation(text):
    for clause in clauses(text):
        assert clause in text and not set(clause) & set("，。；：！？\n")
        assert instructions.CLAUSE_CHARS[0] <= len(clause) <= instructions.CLAUSE_CHARS[1]


def test_a_grounded_question_holds_all_its_passages():
    first, second = law(CODE, [1])[0], law("中华人民共和国水法", [2])[0]
    for frame in instructions.GROUNDED_FRAMES:
        asked = instructions.grounded_question("这是{什么}？", [first, second], frame)
        assert all(instructions.passage(article) in asked for article in (first, second))
        assert "这是{什么}？" in asked


def digest_of(examples) -> str:
    return hashlib.sha256(repr(examples).encode()).hexdigest()


def test_the_same_whatever_the_hash_seed():
    code = (
        "import hashlib, json, sys; from woodblock.training.instructions import from_statutes;"
        "articles = json.load(sys.stdin);"
        f"print(hashlib.sha256(repr(from_statutes(articles, 300, [{CODE!r}], 7)).encode()).hexdigest())"
    )
    found = set()
    for seed in ("0", "1"):
        src = str(Path(__file__).parents[2] / "src")
        environment = {**os.environ, "PYTHONPATH": src, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, input=json.dumps(statutes()), env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert found == {digest_of(from_statutes(statutes(), 300, [CODE], 7))}
    assert found != {digest_of(from_statutes(statutes(), 300, [CODE], 8))}
