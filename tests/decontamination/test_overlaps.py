"""Decontamination against a matcher that compares everything with everything, and the record that the benchmark asks."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock.base.errors import UserError
from woodblock.decontamination import overlaps as decontamination
from woodblock.decontamination.overlaps import OWN, TEMPLATE, Overlaps, normalised

# Hanzi, letters, what comes apart (ﬁ, ㎏, ½, Å, ﷺ), astral characters, accents that stand alone, and what goes.
ALPHABET = "甲乙丙丁ａab1ﬁ㎏½Å\u030aﷺ𠀀𝐀ß，。 \n"


# ---------------------------------------------------------------------------------------------------- by brute force


def plain(text: str) -> list[tuple[str, int]]:
    """What is compared, as (character, place in the text)."""
    kept = []
    for place, character in enumerate(text):
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
        kept += [(c, place) for c in folded if c.isalnum()]

    def alphabetic(i: int) -> bool:
        return 0 <= i < len(kept) and kept[i][0] < "\u2e80"

    return [
        pair
        for i, pair in enumerate(kept)
        if not ("a" <= pair[0] <= "z" and not alphabetic(i - 1) and not alphabetic(i + 1))
    ]


def characters(text: str) -> str:
    return "".join(c for c, _ in plain(text))


def weight(text: str) -> int:
    return sum(2 if c >= "\u2e80" else 1 for c in text)


def windows(text: str, wanted: int) -> list[tuple[int, int]]:
    """The shortest runs of weight `wanted`, one from each start."""
    found = []
    for start in range(len(text)):
        end = next((e for e in range(start, len(text) + 1) if weight(text[start:e]) >= wanted), None)
        if end is not None:
            found.append((start, end))
    return found


def shared_by_many(texts: set[str], wanted: int) -> set[str]:
    holders: dict[str, set[str]] = {}
    for text in texts:
        for start, end in windows(text, wanted):
            holders.setdefault(text[start:end], set()).add(text)
    return {run for run, of in holders.items() if len(of) >= TEMPLATE}


def first_line(benchmark: str, text: str) -> str:
    """What is asked: the characters of the text, as it is compared, that stand in its first line."""
    end = text.find("\n", len(text) - len(text.lstrip())) if benchmark != OWN else -1
    return "".join(c for c, place in plain(text) if end < 0 or place < end)


def needles(questions: list[tuple[str, str]], length: int) -> dict[str, set[str]]:
    """By benchmark, every string that no text may hold."""
    texts = {characters(text) for _, text in questions}
    short, long = shared_by_many(texts, 2 * length), shared_by_many(texts, 4 * length)
    begun: dict[str, set[str]] = {}
    for benchmark, text in questions:
        begun.setdefault(first_line(benchmark, text), set()).add(characters(text))
    found: dict[str, set[str]] = {}
    for benchmark, text in questions:
        of, whole, first = found.setdefault(benchmark, set()), characters(text), first_line(benchmark, text)
        passages = [(s, e) for s, e in windows(whole, 4 * length) if whole[s:e] in long]
        for start, end in windows(whole, 2 * length):
            is_within = any(s <= start and end <= e for s, e in passages)
            if whole[start:end] not in short or is_within:
                of.add(whole[start:end])
        least = 2 * (decontamination.MIN_OWN if benchmark == OWN else decontamination.MIN_WHOLE)
        if least <= weight(first) < 2 * length and (first == whole or len(begun[first]) < TEMPLATE):
            of.add(first)
        elif least <= weight(whole) < 2 * length:
            of.add(whole)
    return found


def brute_benchmarks(questions: list[tuple[str, str]], length: int, text: str) -> list[str]:
    haystack = characters(text)
    return sorted(b for b, of in needles(questions, length).items() if any(run in haystack for run in of))


def brute_lines(questions: list[tuple[str, str]], length: int, text: str) -> set[int]:
    """The lines that one turn of `without` takes."""
    pairs = plain(text)
    haystack, lines = "".join(c for c, _ in pairs), [text[:place].count("\n") for _, place in pairs]
    covered = [False] * len(haystack)
    for run in set().union(*needles(questions, length).values()) if questions else ():
        start = haystack.find(run)
        while start >= 0:
            covered[start : start + len(run)] = [True] * len(run)
            start = haystack.find(run, start + 1)
    gone, start = set(), 0
    while start < len(covered):
        if not covered[start]:
            start += 1
            continue
        end = start
        while end < len(covered) and covered[end]:
            end += 1
        shares = {n: weight("".join(c for c, of in zip(haystack[start:end], lines[start:end], strict=True) if of == n))
                  for n in range(lines[start], lines[end - 1] + 1)}  # fmt: skip
        sizes = {n: weight("".join(c for c, of in zip(haystack, lines, strict=True) if of == n)) for n in shares}
        whole = {n for n, share in shares.items() if 0 < min(2 * length, sizes[n]) <= share}
        gone |= whole or {max(shares, key=lambda n: (shares[n], -n))}
        start = end
    return gone


@st.composite
def cases(draw):
    """(questions, length, text): the text is made of pieces of the questions, so that they overlap everywhere."""
    alphabet = draw(st.sampled_from([ALPHABET, "甲乙", "甲乙\n", "ab\n", "甲a1\n，"]))
    length = draw(st.integers(1, 16))
    text = st.text(alphabet, max_size=draw(st.sampled_from([12, 60])))
    names = st.sampled_from(["一", "二", OWN])
    questions = draw(st.lists(st.tuples(names, text), max_size=6))
    questions += [(draw(names), question) for _, question in questions if draw(st.booleans())]
    if questions and draw(st.booleans()):  # a formula that many share
        formula = draw(st.text(alphabet, max_size=30))
        questions += [("二", formula + "\n" * draw(st.booleans()) + draw(text)) for _ in range(TEMPLATE)]
    pieces = []
    for _ in range(draw(st.integers(0, 4))):
        if questions:
            _, source = draw(st.sampled_from(questions))
            start = draw(st.integers(0, len(source)))
            pieces.append(source[start : draw(st.integers(start, len(source)))])
        pieces.append(draw(st.text(alphabet, max_size=4)))
    return questions, length, "".join(pieces)


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
        patch.setattr(decontamination, "CROWD", 0)
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


@given(st.text(max_size=40))
@settings(max_examples=500)
def test_normalised_character_by_character(text):
    assert normalised(text) == characters(text)
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=300)
def test_compatible_forms_compare_equal(text):
    forms = {normalised(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {normalised(text)}


def test_every_code_point_comes_apart_as_unicode_has_it():
    for start in range(0, 0x110000, 0x1000):
        text = "".join(f"甲{chr(point)}甲" for point in range(start, start + 0x1000))
        assert normalised(text) == characters(text), hex(start)


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("Ｗｏｏｄ－Ｂｌｏｃｋ，雕版！ ½ Å", "woodblock雕版12a"),
        ("维生素有：A.脂溶的；Ｂ、水溶的", "维生素有脂溶的水溶的"),
        ("面積與x光", "面積與光"),  # Traditional stays
        ("\ud800甲", "甲"),  # half of a surrogate pair
        ("，。！", ""),
    ],
)
def test_what_is_compared(text, compared):
    assert normalised(text) == compared


# ------------------------------------------------------------------------------------------------------ what it is for

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
    overlaps = Overlaps.of([("b", "啊" * 5000), ("b", "啊" * 4000), *[("c", "哦" * n) for n in range(40, 400)]], 32)
    assert len(overlaps.positions) < 2000
    assert overlaps.benchmarks("啊" * 32) == ["b"] and overlaps.benchmarks("啊" * 31 + "哦" * 31) == []
    assert overlaps.without("好\n" + "哦" * 3000 + "\n好") == ("好\n好", 1)


def test_a_text_of_two_benchmarks_is_found_for_both(monkeypatch):
    monkeypatch.setattr(decontamination, "CROWD", 0)
    assert Overlaps.of([("b", QUESTION[:12]), ("c", QUESTION[:12])], 12).benchmarks(QUESTION) == ["b", "c"]


def test_an_empty_index_finds_nothing():
    for texts in ([], [("b", "短")], [("b", "")]):
        overlaps = Overlaps.of(texts, 32)
        assert overlaps.benchmarks("甲" * 100) == [] and overlaps.without("甲" * 100) == ("甲" * 100, 0)
    assert overlaps.checked["b"]["too_short"] == 1
    with pytest.raises(ValueError, match="length: 0"):
        Overlaps.of([], 0)


# --------------------------------------------------------------------------------------------------- files and record


@given(cases(), st.randoms())
@settings(max_examples=30)
def test_the_order_of_the_texts_changes_nothing(case, rng):
    questions, length, _ = case
    one = Overlaps.of(questions, length)
    rng.shuffle(questions)
    other = Overlaps.of(iter(questions), length)
    assert one.checked == other.checked
    for name in decontamination._ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


SCRIPT = """
import pathlib, sys
from woodblock.decontamination.overlaps import Overlaps
Overlaps.of({("一", "甲乙丙丁" * 20), ("二", "x=1 " * 30), ("一", "短")}, 16).save(pathlib.Path(sys.argv[1]))
"""


def test_saved_bytes_are_the_same_whatever_the_hash_seed_and_load_again(tmp_path):
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / seed], env=environment, check=True)
    files = sorted(file.name for file in (tmp_path / "0").iterdir())
    assert files == sorted([f"{name}.npy" for name in decontamination._ARRAYS] + ["overlaps.json"])
    for file in files:
        assert (tmp_path / "0" / file).read_bytes() == (tmp_path / "1" / file).read_bytes()
    loaded = Overlaps.load(tmp_path / "0")
    assert loaded.benchmarks("丙丁甲乙" * 5) == ["一"] and loaded.benchmarks("甲乙" * 20) == []
    assert loaded.without("好\n" + "甲乙丙丁" * 4) == ("好", 1)


def test_the_record_says_what_was_checked(tmp_path):
    questions = [("cmmlu", QUESTION), ("cmmlu", "咽的分部"), ("gsm8k", "Natalia sold clips to " * 9)]
    held_out = list(
        decontamination.own_texts(
            [{"text": "甲" * 50}], [{"text": "乙" * 50, "split": "validation"}, {"text": "丙" * 50, "split": "train"}]
        )
    )
    assert [text[0] for _, text in held_out] == ["甲", "乙"]
    checks = [Overlaps.of(questions, 32), Overlaps.of(held_out, 32)]
    recorded = decontamination.record(checks, {"cmmlu": {"documents": 3}, OWN: {"lines": 7}})
    decontamination.write(tmp_path / "record.json", recorded)
    assert decontamination.read(tmp_path / "record.json") == recorded
    assert recorded["length"] == 32 and sorted(recorded["benchmarks"]) == ["cmmlu", "gsm8k", OWN]
    cmmlu = recorded["benchmarks"]["cmmlu"]
    assert (cmmlu["questions"], cmmlu["too_short"], cmmlu["dropped"]) == (2, 1, {"documents": 3})
    assert recorded["benchmarks"]["gsm8k"]["dropped"] == {}


def test_a_changed_question_is_not_clean():
    questions = [QUESTION, "咽的分部", "关税的课税客体是"]
    recorded = decontamination.record([Overlaps.of([("cmmlu", text) for text in questions], 32)], {})
    assert decontamination.is_clean(recorded, "cmmlu", questions)
    assert decontamination.is_clean(recorded, "cmmlu", [*reversed(questions), questions[0]])
    assert decontamination.is_clean(recorded, "cmmlu", [QUESTION.replace("，", " , "), *questions[1:]])
    assert not decontamination.is_clean(recorded, "cmmlu", [QUESTION.replace("三十", "四十"), *questions[1:]])
    assert not decontamination.is_clean(recorded, "cmmlu", questions[1:])
    assert not decontamination.is_clean(recorded, "cmmlu", [*questions, "又一个问题"])
    assert not decontamination.is_clean(recorded, "mmlu", questions)


def test_records_that_contradict_themselves_are_refused(tmp_path):
    one, other = Overlaps.of([("b", QUESTION)], 32), Overlaps.of([("b", "咽的分部")], 32)
    with pytest.raises(UserError, match="b is checked twice"):
        decontamination.record([one, other], {})
    with pytest.raises(ValueError, match="one length"):
        decontamination.record([one, Overlaps.of([("c", QUESTION)], 16)], {})
    with pytest.raises(ValueError, match="dropped for c"):
        decontamination.record([one], {"c": {"documents": 1}})
    for text in ("", "[]", "{}", '{"length": 32}', '{"length": 32, "benchmarks": {"b": {}}}'):
        (tmp_path / "record.json").write_text(text)
        with pytest.raises(UserError, match="no record of a decontamination"):
            decontamination.read(tmp_path / "record.json")


# ------------------------------------------------------------------------------------------------------ real questions

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
