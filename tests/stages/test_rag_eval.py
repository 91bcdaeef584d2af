"""What is counted of answers: nothing that cannot fail, and a citation only beside what is said."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

import rag_eval
from woodblock.base.digests import digest
from woodblock.base.errors import UserError
from woodblock.retrieval.bm25 import Index
from woodblock.tables import parquet


def answer(**changes):
    values = {"right": True, "cites": True, "invents": False, "stopped": True, "ended": True, "answer": "应当。"}
    return values | {"grounded": 0.9, "grounded_elsewhere": 0.1, "f1": 0.5} | changes


def test_a_citation_counts_beside_what_is_said():
    rows = [
        answer(),
        answer(grounded=0.2),  # it names the article, and says something else
        answer(cites=False),
        answer(cites=False, grounded=0.1, ended=False, answer=""),
    ]
    found = rag_eval.summary(rows)
    assert (found["cites"], found["supported"], found["cites_supported"]) == (0.5, 0.5, 0.25)
    assert (found["stops"], found["empty"], found["n"]) == (0.75, 0.25, 4)
    assert found["grounded"] == pytest.approx(0.525) and found["grounded_elsewhere"] == pytest.approx(0.1)


def test_real_questions_have_scores_of_their_own(tmp_path):
    passages = pd.DataFrame(
        {
            "law": ["甲法", "乙法"],
            "chapter": ["", ""],
            "article": ["第一条", "第二条"],
            "number": [1, 2],
            "text": ["劳动者每周至少休息一日。", "公司应当依法登记。"],
        }
    )
    index = Index.build(passages, 1.2, 0.75)
    file = tmp_path / "asked.jsonl"
    file.write_text(
        '{"question": "每周能休息吗？", "gold": {"甲法第一条": ""}}\n'
        '{"question": "开公司要登记吗？", "gold": ["乙法第二条"]}\n'
        '{"question": "船舶碰撞怎么办？", "gold": "海商法第一条"}\n'
    )
    settings = SimpleNamespace(questions=str(file), questions_sha256=digest(file))
    scores = rag_eval.real(SimpleNamespace(rag_eval=settings), index, tmp_path)["real_questions"]
    assert (scores["in_file"], scores["queries"], scores["hit@1"]) == (3, 2, 1.0)
    assert parquet.read(tmp_path / "real_questions")["rank"].tolist() == [1, 1]
    settings.questions_sha256 = None
    with pytest.raises(UserError, match="has the sha256"):
        rag_eval.real(SimpleNamespace(rag_eval=settings), index, tmp_path)
    settings.questions = None
    assert rag_eval.real(SimpleNamespace(rag_eval=settings), index, tmp_path) == {}
