"""The record that the benchmark asks says what was checked, and a changed question is not clean."""

from __future__ import annotations

import pytest

from woodblock.base.errors import UserError
from woodblock.decontamination import gate
from woodblock.decontamination.index import OWN, Overlaps

QUESTION = "下列关于土地承包经营权的说法中，正确的是\n土地承包经营权人不得流转承包地\n耕地的承包期为三十年\n三十年"


def test_the_record_says_what_was_checked(tmp_path):
    questions = [("cmmlu", QUESTION), ("cmmlu", "咽的分部"), ("gsm8k", "Natalia sold clips to " * 9)]
    held_out = list(
        gate.own_texts(
            [{"text": "甲" * 50}], [{"text": "乙" * 50, "split": "validation"}, {"text": "丙" * 50, "split": "train"}]
        )
    )
    assert [text[0] for _, text in held_out] == ["甲", "乙"]
    checks = [Overlaps.of(questions, 32), Overlaps.of(held_out, 32)]
    recorded = gate.record(checks, {"cmmlu": {"documents": 3}, OWN: {"lines": 7}})
    gate.write(tmp_path / "record.json", recorded)
    assert gate.read(tmp_path / "record.json") == recorded
    assert recorded["length"] == 32 and sorted(recorded["benchmarks"]) == ["cmmlu", "gsm8k", OWN]
    cmmlu = recorded["benchmarks"]["cmmlu"]
    assert (cmmlu["questions"], cmmlu["too_short"], cmmlu["dropped"]) == (2, 1, {"documents": 3})
    assert recorded["benchmarks"]["gsm8k"]["dropped"] == {}


def test_a_changed_question_is_not_clean():
    questions = [QUESTION, "咽的分部", "关税的课税客体是"]
    recorded = gate.record([Overlaps.of([("cmmlu", text) for text in questions], 32)], {})
    assert gate.is_clean(recorded, "cmmlu", questions)
    assert gate.is_clean(recorded, "cmmlu", [*reversed(questions), questions[0]])
    assert gate.is_clean(recorded, "cmmlu", [QUESTION.replace("，", " , "), *questions[1:]])
    assert not gate.is_clean(recorded, "cmmlu", [QUESTION.replace("三十", "四十"), *questions[1:]])
    assert not gate.is_clean(recorded, "cmmlu", questions[1:])
    assert not gate.is_clean(recorded, "cmmlu", [*questions, "又一个问题"])
    assert not gate.is_clean(recorded, "mmlu", questions)


def test_records_that_contradict_themselves_are_refused(tmp_path):
    one, other = Overlaps.of([("b", QUESTION)], 32), Overlaps.of([("b", "咽的分部")], 32)
    with pytest.raises(UserError, match="two sources have the name b"):
        gate.record([one, other], {})
    with pytest.raises(ValueError, match="the same length"):
        gate.record([one, Overlaps.of([("c", QUESTION)], 16)], {})
    with pytest.raises(ValueError, match="dropped for c"):
        gate.record([one], {"c": {"documents": 1}})
    for text in ("", "[]", "{}", '{"length": 32}', '{"length": 32, "benchmarks": {"b": {}}}'):
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(UserError, match="cannot be read as a record of what dedup checked"):
            gate.read(tmp_path / "record.json")
