"""Known faults in a corpus are found by the stages as they are run, to the bars; and tests of what plants them."""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.planted import personal_data
from support.planted.benchmark_questions import WAYS
from support.planted.copies import EDITED, edited
from support.planted.definitions import SIZES, Planted, Sizes, slug
from support.planted.judging import bar, is_mended, judge, table
from support.planted.planting import plant
from support.planted.real_documents import BENCHMARKS, CORPUS, apart, jaccard, read_corpus, read_questions
from support.planted.running import run
from support.planted.text_functions import bare

SEEDS = [1, 2, *([int(os.environ["PLANTED_SEED"])] if "PLANTED_SEED" in os.environ else [])]
TEXT = st.text(st.sampled_from("天地玄黄宇宙洪荒日月盈昃，。\n ab1"), min_size=20, max_size=300)


# ------------------------------------------------------------------------------------------------ the stages


@pytest.fixture(scope="module")
def given_texts() -> tuple[list[str], dict[str, list[str]]]:
    if not (CORPUS.exists() and BENCHMARKS.is_dir()):
        pytest.skip("the shared corpus and benchmarks are not beside this checkout")
    return list(read_corpus(CORPUS)), read_questions(BENCHMARKS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_planted_is_found_and_the_rest_stays(given_texts, new_project, seed):
    corpus = plant(*given_texts, seed)
    rows = judge(corpus, *run(corpus, new_project()))
    assert all(row.planted >= SIZES.each // 2 for row in rows), table(rows)
    under = [row.kind for row in rows if row.recall < bar(row.kind)]
    examples = "\n".join(
        f"{row.kind} | {name} | {fault} | {excerpt[:200]!r}"
        for row in rows
        if row.kind in under
        for name, fault, excerpt in row.missed[:3]
    )
    assert not under, f"seed {seed}: under the bar: {', '.join(under)}\n{table(rows)}\n{examples}"


# ------------------------------------------------------------------------------------------------ the generator


@pytest.fixture(scope="module")
def small() -> Planted:
    """A planted corpus of made-up documents, with few of each kind."""
    return make_small(5)


def make_small(seed: int) -> Planted:
    rng = Random(99)
    hanzi = [chr(0x4E00 + i) for i in range(3000)]

    def document() -> str:
        lines = ["".join(rng.choices(hanzi, k=rng.randint(20, 60))) + "。" for _ in range(rng.randint(14, 20))]
        return "\n".join(lines)

    questions = {name: ["".join(rng.choices(hanzi, k=k)) + "a1？" for k in [20, 60] * 40] for name in ("cmmlu", "c3")}
    sizes = Sizes(rest=48, each=4, personal=4, pages=4, questions=3)
    return plant([document() for _ in range(900)], questions, seed, sizes)


def test_a_seed_gives_the_same_corpus_and_another_another(small):
    assert make_small(5) == small
    assert make_small(6) != small


def test_ids_are_distinct_and_say_their_kind(small):
    ids = [document.id for document in small.documents]
    assert len(set(ids)) == len(ids)
    assert all(document.id.startswith(slug(document.kind)) for document in small.documents)


def test_if_nothing_is_cleaned_nothing_is_found(small):
    rows = judge(small, {document.id: document.text for document in small.documents}, {})
    for row in rows:
        if row.kind == "rest" or (row.kind.startswith("stays: ") and "html" not in row.kind):
            assert row.recall == 1, row
        else:
            assert row.recall == 0, row


def test_if_everything_is_dropped_all_is_found_and_nothing_stays(small):
    for row in judge(small, {}, {}):
        assert row.recall == (0 if row.kind == "rest" or row.kind.startswith("stays: ") else 1), row


def test_if_all_is_undone_all_is_found(small):
    train = {}
    for document in small.documents:
        text = document.original or document.body or document.text
        if document.parent or document.question or document.kind.startswith("list: "):
            continue
        for _, mark in document.gone if not document.body else ():
            text = text.replace(mark, "[…]")
        train[document.id] = text
    assert {row.kind: row.recall for row in judge(small, train, {}) if row.recall < 1} == {}


def test_the_rest_is_apart_as_every_pair_shows():
    rng = Random(4)
    texts = ["".join(rng.choices("天地玄黄宇宙洪荒", k=rng.randint(20, 90))) for _ in range(60)]
    texts += [edited(rng, text, 20, "日月") for text in texts[:20]]
    stays = apart(texts, 0.3)
    kept: list[str] = []
    for text, stay in zip(texts, stays, strict=True):
        sets = [({t[i : i + 3] for i in range(len(t) - 2)}) for t in [text, *kept]]
        near = any(len(sets[0] & other) >= 0.3 * len(sets[0] | other) for other in sets[1:])
        assert stay != near
        if stay:
            kept.append(text)
    assert 0 < len(kept) < len(texts)


@given(TEXT, st.sampled_from(EDITED), st.integers())
def test_as_many_characters_are_edited_as_is_said(text, percent, seed):
    got = edited(Random(seed), text, percent, "鬼神")
    count = round(len(text) * percent / 100)
    replaced, inserted, deleted = ((count + 2) // 3, (count + 1) // 3, count // 3)
    assert len(got) == len(text) + inserted - deleted
    assert sum(got.count(c) for c in "鬼神") == replaced + inserted
    assert sum(c not in "鬼神" for c in got) == len(text) - replaced - deleted


@pytest.mark.parametrize(
    "percent, kinds, expected",
    [(5, 3, 0.776), (10, 3, 0.613), (20, 3, 0.396), (5, 1, 0.75), (10, 1, 0.574), (20, 1, 0.344)],
)
def test_edits_leave_the_jaccard_that_they_should(percent, kinds, expected):
    rng = Random(1)
    text = "".join(rng.choices([chr(0x4E00 + i) for i in range(3000)], k=20_000))
    got = edited(rng, text, percent, text, kinds)
    assert jaccard(text, got) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_lost_characters_that_are_left_out_are_not_mended(share):
    rng = Random(2)
    text = "".join(rng.choices([chr(0x4E00 + i) for i in range(3000)], k=5000))
    lost = set(rng.sample(range(len(text)), round(share * len(text))))
    assert not is_mended("".join(c for i, c in enumerate(text) if i not in lost), text)
    assert not is_mended("".join("\ufffd" if i in lost else c for i, c in enumerate(text)), text)
    assert is_mended("\n".join(text[i : i + 70] for i in range(0, 5000, 100)), text)
    assert not is_mended(text[:2000], text)


@given(TEXT, st.sampled_from(sorted(WAYS)), st.integers())
def test_a_question_in_other_signs_is_the_same_question(text, way, seed):
    assert bare(WAYS[way](Random(seed), text)) == bare(text)


@given(st.integers())
def test_numbers_have_the_checks_that_are_said(seed):
    rng = Random(seed)

    def passes_luhn(number: str) -> bool:
        places = [int(c) for c in reversed(number) if c.isdigit()]
        return sum(n if i % 2 == 0 else n * 2 // 10 + n * 2 % 10 for i, n in enumerate(places)) % 10 == 0

    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

    def is_identity(number: str) -> bool:
        total = sum(int(c) * w for c, w in zip(number[:17], weights, strict=True))
        return len(number) == 18 and number[17].upper() == "10X98765432"[total % 11]

    assert passes_luhn(personal_data.card(rng))
    assert is_identity(personal_data.identity(rng))
    assert not passes_luhn(personal_data.wrong_card(rng))
    assert not passes_luhn(personal_data.order_number(rng))
    wrong = personal_data.wrong_identity(rng)
    assert not is_identity(wrong) and not passes_luhn(wrong)
    assert not personal_data.mobile(rng).isalpha() and len(personal_data.mobile(rng)) >= 11


def test_too_few_documents_are_an_error():
    with pytest.raises(ValueError, match="needed"):
        plant(["一份很短的文书，只此一份。"] * 50, {"cmmlu": ["这一道题目足够长可以拿来比较吗？"]}, 1)
