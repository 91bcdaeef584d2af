"""Real questions: read from a file whose sum is known, and matched with the articles of the index by name or text."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from woodblock.base.digests import digest
from woodblock.base.errors import UserError
from woodblock.retrieval import known_items, real_questions
from woodblock.retrieval.bm25 import Index

PASSAGES = pd.DataFrame(
    {
        "law": ["中华人民共和国民法典", "中华人民共和国刑法（2020年修正）", "中华人民共和国劳动法"],
        "article": ["第一条", "第二条", "第三条"],
        "text": ["自然人享有身体权，任何人不得侵犯。", "刑法的任务是惩罚犯罪。", "劳动者每周至少休息一日。"],
    }
)
STARD = Path(__file__).parents[2] / "../shared/data/rag/stard/queries.jsonl"


def written(folder: Path, *lines: object) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("gold", "right"),
    [
        ({"中华人民共和国民法典第一条": "别的文字"}, {0}),
        ({"民法典第一条": ""}, {0}),
        (["《民法典》第一条", "劳动法第三条"], {0, 2}),
        ("刑法第二条", {1}),
        ({"某单行本第七条": "劳动者每周至少休息一日。\n\n"}, {2}),
        ({"民法典第九条": "没有的条文"}, set()),
        ({}, set()),
    ],
)
def test_an_article_is_found_by_its_name_or_its_text(tmp_path, gold, right):
    path = written(
        tmp_path, {"question": "问", "gold": gold}, "", {"question": "每周休息几天？", "gold": "劳动法第三条"}
    )
    asked = real_questions.read(path, digest(path))
    assert len(asked) == 2
    found = real_questions.find(asked, PASSAGES)
    assert [set(query.right) for query in found] == [*([right] if right else []), {2}]
    scores = known_items.scores(
        known_items.ranks(Index.build(PASSAGES.assign(number=1, chapter=""), 1.2, 0.75), found), "hit"
    )
    assert scores["queries"] == len(found) and {"hit@1", "hit@1_stderr", "hit@10", "mrr@10"} < set(scores)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["{"], "line 1 of"),
        (
            [{"question": "问", "gold": "刑法第二条"}, {"question": "问"}],
            "line 2 of .* has no question with its articles",
        ),
        (["[]"], "line 1 of"),
        ([{"question": "问", "gold": 7}], "line 1 of"),
    ],
)
def test_another_form_is_one_line(tmp_path, lines, says):
    path = written(tmp_path, *lines)
    with pytest.raises(UserError, match=says) as error:
        real_questions.read(path, digest(path))
    assert "\n" not in str(error.value)


def test_a_file_that_changed_or_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none.jsonl is not there"):
        real_questions.read(tmp_path / "none.jsonl", None)
    path = written(tmp_path, {"question": "问", "gold": "海商法第一条"})
    for sum_of_another in (None, "0" * 64):
        with pytest.raises(UserError, match=f"has the sha256 {digest(path)}, but rag_eval.questions_sha256 says"):
            real_questions.read(path, sum_of_another)
    with pytest.raises(UserError, match="none of its 1 questions has its article among the 3 passages"):
        real_questions.find(real_questions.read(path, digest(path)), PASSAGES)


@pytest.mark.skipif(not STARD.is_file(), reason="needs STARD's questions in ../shared/data/rag/stard")
def test_stard_is_of_this_form():
    asked = real_questions.read(STARD, digest(STARD))
    law, _, article = next(name for name in asked[0][1]).partition("第")
    passages = pd.DataFrame({"law": [law], "article": [f"第{article}"], "text": ["另一个文本"]})
    assert len(asked) == 771 and 1 <= len(real_questions.find(asked, passages)) < 20
