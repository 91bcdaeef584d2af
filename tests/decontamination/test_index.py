"""The index against a matcher that compares everything with everything; and what it is for."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlaps_by_brute_force import brute_benchmarks, brute_lines, cases

from woodblock.decontamination import index, seeds
from woodblock.decontamination.index import OWN, Overlaps
from woodblock.decontamination.seeds import TEMPLATE


@given(cases())
@settings(max_examples=300)
def test_finds_what_brute_force_finds_and_nothing_else(case):
    questions, length, text = case
    assert Overlaps.of(questions, length).benchmarks(text) == brute_benchmarks(questions, length, text)


@given(cases())
@settings(max_examples=150)
def test_crowded_slots_lose_nothing(case):
    questions, length, text = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeds, "CROWD", 0)
        overlaps = Overlaps.of(questions, length)
    assert overlaps.benchmarks(text) == brute_benchmarks(questions, length, text)


@given(cases())
@settings(max_examples=150)
def test_lines_go_as_brute_force_has_it_and_what_is_left_is_clean(case):
    questions, length, text = case
    overlaps = Overlaps.of(questions, length)
    lines = text.split("\n")
    gone = brute_lines(questions, length, text)
    while gone:
        lines = [line for place, line in enumerate(lines) if place not in gone]
        gone = brute_lines(questions, length, "\n".join(lines))
    left, removed = overlaps.without(text)
    assert (left, removed) == ("\n".join(lines), text.count("\n") + 1 - len(lines))
    assert overlaps.benchmarks(left) == []


# --- what it is for ----------------------------------------------------------------------------------------------------

QUESTION = "下列关于土地承包经营权的说法中，正确的是\n土地承包经营权人不得流转承包地\n耕地的承包期为三十年\n三十年"


@pytest.mark.parametrize(
    "text",
    [
        "下列关于土地承包经营权的说法中，正确的是",
        "问：下列关于土地承包经营权的说法中正确的是（　）选B。",
        "下 列 关 于 土 地 承 包 经 营 权 的 说 法 中, 正 确 的 是",
        "下列关于土地承包经\n营权的说法中，\n正确的是",
        "的是 A. 土地承包经营权人不得流转承包地 B. 耕地的承包期为三十年 C．三十年",
    ],
)
def test_a_question_is_found_however_it_is_set(text):
    overlaps = Overlaps.of([("cmmlu", QUESTION)], 24)
    assert overlaps.benchmarks(f"前文。{text}后文。") == ["cmmlu"]


@pytest.mark.parametrize(
    "text",
    [
        "下列关于土地承包经营权的说法中，错误的是",
        "土地承包经营权人不得流转承包地",  # a choice alone says nothing
        "耕地的承包期为三十年",
        "",
    ],
)
def test_less_than_a_question_is_not_found(text):
    assert Overlaps.of([("cmmlu", QUESTION)], 24).benchmarks(text) == []


def test_the_title_of_a_held_out_document_is_no_question():
    law = "中华人民共和国消费者权益保护法实施条例细则\n\n" + "甲乙丙丁戊己庚辛" * 5
    overlaps = Overlaps.of([(OWN, law)], 32)
    assert overlaps.benchmarks("参见《中华人民共和国消费者权益保护法实施条例细则》。") == []
    assert overlaps.benchmarks(law[-32:]) == [OWN]


def hanzi(rng: random.Random, size: int) -> str:
    return "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(size))


def test_how_a_benchmark_asks_is_no_question_and_a_passage_with_many_questions_is_none_of_that():
    rng = random.Random(1)
    formula, passage = hanzi(rng, 40), hanzi(rng, 200)
    asked = [formula + hanzi(rng, 40) for _ in range(TEMPLATE)]
    read = [passage + hanzi(rng, 40) for _ in range(TEMPLATE + 5)]
    overlaps = Overlaps.of([*(("b", text) for text in asked), *(("c", text) for text in read)], 32)
    assert overlaps.benchmarks(formula) == []
    assert overlaps.benchmarks(asked[3]) == ["b"]
    assert overlaps.benchmarks(passage[50:90]) == ["c"]
    assert overlaps.checked["b"]["templates"] == TEMPLATE * 9 and overlaps.checked["c"]["templates"] == 0
    # One fewer, and it is a question's own text; one question many times is one question.
    fewer = [("b", text) for text in asked[1:] + [asked[1]] * TEMPLATE]
    assert Overlaps.of(fewer, 32).benchmarks(formula) == ["b"]


def test_a_first_line_that_many_questions_begin_with_is_none():
    rng = random.Random(2)
    line = "下列说法中最符合题意的是哪一项"
    asked = [f"{line}\n{hanzi(rng, 40)}" for _ in range(TEMPLATE)]
    assert Overlaps.of([("b", text) for text in asked], 32).benchmarks(f"他问：{line}？") == []
    assert Overlaps.of([("b", text) for text in asked[1:]], 32).benchmarks(f"他问：{line}？") == ["b"]


def test_two_runs_of_one_hash_are_two():
    """The sequence of Thue and Morse and its complement have one polynomial hash modulo 2**64, whatever the base."""
    rng = random.Random(5)
    one = "".join("甲乙"[place.bit_count() % 2] for place in range(2048))
    other = one.translate(str.maketrans("甲乙", "乙甲"))
    asked = [run + hanzi(rng, 30) for run in (one, other) for _ in range(TEMPLATE - 1)]
    overlaps = Overlaps.of([("b", text) for text in asked], len(one))
    assert overlaps.checked["b"]["templates"] == 0
    assert overlaps.benchmarks(one) == overlaps.benchmarks(other) == ["b"]
    asked.append(one + hanzi(rng, 30))
    overlaps = Overlaps.of([("b", text) for text in asked], len(one))
    assert overlaps.checked["b"]["templates"] == TEMPLATE
    assert overlaps.benchmarks(one) == [] and overlaps.benchmarks(other) == ["b"]


def test_lines_of_a_run_across_lines():
    rng = random.Random(3)
    question = hanzi(rng, 40)
    overlaps = Overlaps.of([("b", question)], 32)
    first, second = hanzi(rng, 50) + question[:18], question[18:] + hanzi(rng, 50)
    # Neither line lies in the run, and neither holds enough of it: the one with more of it goes.
    assert overlaps.without(f"前\n{first}\n{second}\n后") == (f"前\n{first}\n后", 1)
    # Lines within it go, what only touches it stays.
    assert overlaps.without(f"前{question[:3]}\n{question[3:20]}\n\n{question[20:38]}\n{question[38:]}后") == (
        f"前{question[:3]}\n\n{question[38:]}后",
        2,
    )
    assert overlaps.without(f"一\n{hanzi(rng, 30)}{question}\n二\n{question[:31]}") == (f"一\n二\n{question[:31]}", 1)


def test_what_is_left_forms_no_run_anew():
    rng = random.Random(4)
    question, other = hanzi(rng, 40), hanzi(rng, 40)
    overlaps = Overlaps.of([("b", question), ("c", other)], 32)
    text = f"{hanzi(rng, 20)}{question[:20]}\n{other}\n{question[20:]}{hanzi(rng, 20)}"
    left, removed = overlaps.without(text)
    assert removed == 2 and overlaps.benchmarks(left) == []


def test_many_copies_of_one_text_are_quick_and_found():
    overlaps = Overlaps.of([("b", "啊" * 5000), ("b", "啊" * 4000), *[(OWN, "哦" * n) for n in range(40, 400)]], 32)
    assert len(overlaps.positions) < 2000
    assert overlaps.benchmarks("啊" * 32) == ["b"] and overlaps.benchmarks("啊" * 31 + "哦" * 31) == []
    assert overlaps.without("好\n" + "哦" * 3000 + "\n好") == ("好\n好", 1)


def test_a_text_of_two_benchmarks_is_found_for_both(monkeypatch):
    monkeypatch.setattr(seeds, "CROWD", 0)
    assert Overlaps.of([("b", QUESTION[:12]), ("c", QUESTION[:12])], 12).benchmarks(QUESTION) == ["b", "c"]


def test_an_empty_index_finds_nothing():
    for texts in ([], [("b", "短")], [("b", "")]):
        overlaps = Overlaps.of(texts, 32)
        assert overlaps.benchmarks("甲" * 100) == [] and overlaps.without("甲" * 100) == ("甲" * 100, 0)
    assert overlaps.checked["b"]["too_short"] == 1
    with pytest.raises(ValueError, match="length: 0"):
        Overlaps.of([], 0)


# --- files and real questions ------------------------------------------------------------------------------------------


@given(cases(), st.randoms())
@settings(max_examples=30)
def test_the_order_of_the_texts_changes_nothing(case, rng):
    questions, length, _ = case
    one = Overlaps.of(questions, length)
    rng.shuffle(questions)
    other = Overlaps.of(iter(questions), length)
    assert one.checked == other.checked
    for name in index._ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


SCRIPT = """
import pathlib, sys
from woodblock.decontamination.index import Overlaps
Overlaps.of({("一", "甲乙丙丁" * 20), ("二", "x=1 " * 30), ("一", "短")}, 16).save(pathlib.Path(sys.argv[1]))
"""


def test_saved_bytes_are_the_same_whatever_the_hash_seed_and_load_again(tmp_path):
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / seed], env=environment, check=True)
    files = sorted(file.name for file in (tmp_path / "0").iterdir())
    assert files == sorted([f"{name}.npy" for name in index._ARRAYS] + ["overlaps.json"])
    for file in files:
        assert (tmp_path / "0" / file).read_bytes() == (tmp_path / "1" / file).read_bytes()
    loaded = Overlaps.load(tmp_path / "0")
    assert loaded.benchmarks("丙丁甲乙" * 5) == ["一"] and loaded.benchmarks("甲乙" * 20) == []
    assert loaded.without("好\n" + "甲乙丙丁" * 4) == ("好", 1)


BENCH = Path(__file__).parents[3] / "shared/data/bench"


@pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmarks of ../shared are not here")
def test_real_questions_are_found_in_running_text():
    lines = (BENCH / "gsm8k/test.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    overlaps = Overlaps.of([("gsm8k", question) for question in questions], 32)
    assert overlaps.checked["gsm8k"]["questions"] == len(questions) > 1000
    for question in questions:
        assert overlaps.benchmarks(f"Here is a riddle. {question.upper()} Can you tell?") == ["gsm8k"]
    # What is not among them is found for no more than a phrase that is.
    half = Overlaps.of([("gsm8k", question) for question in questions[::2]], 32)
    assert sum(half.benchmarks(question) != [] for question in questions[1::2]) < 0.03 * len(questions)


@pytest.mark.parametrize(
    ("name", "content"),
    [("overlaps.json", b""), ("overlaps.json", b"[]"), ("overlaps.json", b"\xff"), ("characters.npy", b""), ("", None)],
)
def test_a_damaged_index_is_made_again(tmp_path, capsys, name, content):
    folder, texts = tmp_path / "overlaps", [("a", "天地玄黄宇宙洪荒日月盈昃")]
    Overlaps.made_once(folder, texts, 4)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert capsys.readouterr().err == ""
    for path in [folder / name] if name else list(folder.iterdir()):
        path.write_bytes(content) if name else path.unlink()
    Overlaps.made_once(folder, texts, 4)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert capsys.readouterr().err == f"dedup: {folder} is damaged; made again\n"
    assert [path.name for path in tmp_path.iterdir()] == ["overlaps"]
