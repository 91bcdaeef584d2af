"""The questions' balance, which makes chance exact, and the baselines that need no model."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock.base.errors import UserError
from woodblock.evaluation import questions
from woodblock.evaluation.questions import CHOICES, LENGTH_SPREAD, MIN_PART, Question, Unit

MARKS = "，。；："


def article(rng, low=30, high=120):
    """Text of clauses: some Han characters, then a mark."""
    clauses = []
    while sum(map(len, clauses)) < low or (rng.random() < 0.8 and sum(map(len, clauses)) < high):
        clauses.append(
            "".join(chr(rng.randrange(0x4E00, 0x4F00)) for _ in range(rng.randrange(4, 14))) + rng.choice(MARKS)
        )
    return "".join(clauses)


def units(sizes, seed=1):
    """Laws with so many articles each."""
    rng = random.Random(seed)
    return [
        Unit(f"{law}-{n}", f"law {law:02d}", article(rng), names=(f"law {law:02d}",))
        for law, size in enumerate(sizes)
        for n in range(size)
    ]


laws = st.lists(st.integers(1, 30), min_size=1, max_size=12)


def blocks(asked):
    """Questions by what they choose from; each block of four is complete."""
    found = {}
    for question in asked:
        found.setdefault(frozenset(question.choices), []).append(question)
    return found


def check_balance(asked):
    """Who always prefers the same choices is right exactly one time in four."""
    for choices, block in blocks(asked).items():
        assert len(choices) == CHOICES
        assert len(block) % CHOICES == 0
        rights = Counter(question.choices[question.answer] for question in block)
        assert set(rights) == choices and len(set(rights.values())) == 1
    places = Counter(question.answer for question in asked)
    assert len(set(places.values())) == 1 and set(places) == set(range(CHOICES))


@given(laws, st.integers(1, 40), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_source_law_is_balanced(sizes, per_group, seed):
    if len(sizes) < CHOICES:
        with pytest.raises(UserError, match="source_law needs articles from 4"):
            questions.source_law(units(sizes), per_group, 10**6, seed)
        return
    asked = questions.source_law(units(sizes), per_group, 10**6, seed)
    check_balance(asked)
    right = Counter(question.choices[question.answer] for question in asked)
    shown = Counter(choice for question in asked for choice in question.choices)
    assert all(shown[law] == CHOICES * right[law] for law in shown)
    assert max(right.values()) <= per_group
    assert len({question.id for question in asked}) == len(asked)
    assert all(question.choices[question.answer] == question.group for question in asked)


@given(st.integers(CHOICES, 11), st.sampled_from([4, 8, 12]))
@settings(max_examples=30, deadline=None)
def test_laws_with_articles_enough_are_asked_about_equally_often(number, per_group):
    asked = questions.source_law(units([per_group + 5] * number), per_group, 10**6, seed=1)
    assert set(Counter(question.group for question in asked).values()) == {per_group}


def test_an_article_that_names_its_law_is_left_out():
    names = ("中华人民共和国水法", "水法")
    told = Unit("a", names[0], "依照水法的规定，取水的单位和个人应当缴纳水资源费，并接受监督检查。", names=names)
    others = units([3, 3, 3, 3])
    assert all(question.id != "a" for question in questions.source_law([told, *others], 3, 10**6, 1))
    hidden = Unit("a", names[0], told.text.replace("水法", "本法"), names=names)
    asked = questions.source_law([hidden, *others, *units([9] * 5, 2)], 40, 10**6, 1)
    assert any(question.id == "a" for question in asked)


@pytest.mark.parametrize(
    ("law", "own"),
    [
        ("中华人民共和国水法", True),
        ("中华人民共和国户口登记条例", True),
        ("中华人民共和国刑法修正案（八）", False),
        ("全国人民代表大会常务委员会关于在沿海港口城市设立海事法院的决定", False),
        ("全国人民代表大会常务委员会关于《中华人民共和国刑法》第三十条的解释", False),
    ],
)
def test_laws_without_a_name_of_their_own(law, own):
    assert questions.has_own_name(law) is own


@given(st.lists(st.integers(4, 40), min_size=1, max_size=4), st.integers(4, 40), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_continuation_is_balanced_and_of_like_length(sizes, per_group, seed):
    texts = {unit.id: unit for unit in units(sizes)}
    try:
        asked = questions.continuation(list(texts.values()), per_group, 10**6, seed)
    except UserError as error:
        assert "needs four texts" in str(error)
        return
    check_balance(asked)
    assert max(Counter(question.group for question in asked).values()) <= per_group
    for question in asked:
        right = question.choices[question.answer]
        assert question.context + right == texts[question.id].text
        assert question.context[-1] in MARKS
        assert min(len(question.context), len(right)) >= MIN_PART
        rests = {
            text.text[len(text.text) - len(choice) :]
            for choice in question.choices
            for text in texts.values()
            if text.group == question.group
        }
        assert set(question.choices) <= rests
        assert all(abs(len(choice) - len(right)) <= LENGTH_SPREAD * len(right) for choice in question.choices)


def test_texts_with_one_rest_make_no_question_with_two_right_answers():
    rest = "应当依照法律、行政法规的规定承担相应的责任。"
    twins = [Unit(f"t{n}", "law 00", f"{'甲乙丙丁'[n] * 18}，{rest}") for n in range(4)]
    asked = questions.continuation([*units([30]), *twins], 40, 10**6, 1)
    assert sum(question.id.startswith("t") for question in asked) <= 1
    assert all(len(set(question.choices)) == CHOICES for question in asked)


@given(st.text(alphabet="甲乙丙，。；：”）\n", max_size=80))
def test_cuts_stand_after_a_mark(text):
    place = questions.cut(text)
    if place is None:
        return
    assert text[place - 1] in MARKS
    assert not text[place].isspace() and text[place] not in "”）"
    assert min(place, len(text) - place) >= MIN_PART


def test_the_cut_is_the_one_nearest_to_the_middle():
    assert questions.cut("甲" * 15 + "，" + "乙" * 9 + "。" + "丙" * 20 + "。") == 26
    assert questions.cut("甲" * 60) is None


def test_only_unseen_texts_are_asked_about():
    rng = random.Random(1)
    seen, new, twin = article(rng), article(rng), article(rng)
    found = questions.unseen(
        [
            Unit("seen", "a", seen),
            Unit("new", "a", new),
            Unit("twin", "a", twin),
            Unit("twin again", "b", twin),
            Unit("short", "a", "本法自公布之日起施行。"),
        ],
        [f"本条规定如下：\n{seen[:40]}\n{seen[40:]}", article(rng)],
    )
    assert [unit.id for unit in found] == ["new", "twin"]


def test_paragraphs_of_a_document():
    found = questions.paragraphs("doc", "doc", f"標題\n{'甲' * 40}\n\n{'乙' * 39}\n{'丙' * 41}")
    assert [(unit.id, unit.text[0]) for unit in found] == [("doc#1", "甲"), ("doc#4", "丙")]


def question(context, choices, answer):
    return Question("continuation", "id", "group", "", context, tuple(choices), answer, "block")


def test_baselines_share_what_they_cannot_tell_apart():
    asked = question("甲乙丙丁", ["甲乙", "丙丁戊", "己庚", "辛壬癸"], 0)
    assert questions.shortest(asked) == 0.5
    assert questions.overlap(asked) == 1.0
    assert questions.overlap(question("甲乙丙丁", ["甲乙", "丙丁戊", "己庚", "辛壬癸"], 1)) == 0.0
    assert questions.overlap(question("子丑", ["甲乙", "丙丁戊", "己庚", "辛壬癸"], 2)) == 0.25
    # Bytes and not characters are counted.
    assert questions.shortest(question("", ["abcd", "甲", "乙丙", "丁戊"], 1)) == 1.0


@given(laws, st.integers(4, 20))
@settings(max_examples=30, deadline=None)
def test_the_shortest_choice_is_right_at_chance(sizes, per_group):
    """Exactly so wherever no two lengths of a block tie; and ties are shared."""
    if len(sizes) >= CHOICES:
        asked = questions.source_law(units(sizes), per_group, 10**6, 1)
        assert sum(map(questions.shortest, asked)) / len(asked) == pytest.approx(1 / CHOICES)


def test_the_same_seed_asks_the_same():
    for make in (questions.source_law, questions.continuation):
        asked = make(units([30, 30, 25, 31, 9]), 8, 10**6, 1)
        assert asked == make(units([30, 30, 25, 31, 9]), 8, 10**6, 1)
        assert asked != make(units([30, 30, 25, 31, 9]), 8, 10**6, 2)


def test_a_limit_keeps_whole_blocks():
    for make in (questions.source_law, questions.continuation):
        asked = make(units([30] * 6), 20, 26, seed=1)
        assert len(asked) == 24
        check_balance(asked)


@given(st.lists(st.integers(1, 12), min_size=4, max_size=8), st.floats(0, 1), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_overlap_is_right_at_chance_where_articles_tell_their_law(sizes, told, seed):
    """Names of Han characters, and articles with pieces of their own law's name (`told` of them) or of another's."""
    rng = random.Random(seed)
    names = [f"{a}{b}法" for a, b in zip("水森海教食药渔城", "土林岛育品物业乡", strict=True)][: len(sizes)]
    laws = []
    for law, size in enumerate(sizes):
        for n in range(size):
            named = names[law] if rng.random() < told else rng.choice(names)
            laws.append(Unit(f"{law}-{n}", names[law], named[:2] + article(rng), names=(names[law],)))
    try:
        asked = questions.source_law(laws, 12, 10**6, seed)
    except UserError:
        return
    check_balance(asked)
    assert sum(map(questions.overlap, asked)) / len(asked) == 1 / CHOICES


def test_what_an_article_shares_with_a_name_is_masked():
    names = ["中华人民共和国证券法", "中华人民共和国公司法"]
    assert questions.masked("证券公司应当依法披露，公司证券。", names) == "某某某某应当依法披露，某某某某。"
    assert questions.masked("证明公正，司法独立。", names) == "证明公正，某某独立。"
    assert questions.masked("发行人应当公告。", names) == "发行人应当公告。"


def test_the_same_questions_come_verbatim():
    laws = units([9, 9, 9, 9, 9])
    hidden, shown = (questions.source_law(laws, 8, 10**6, 1, verbatim=v) for v in (False, True))
    assert [(q.id, q.choices, q.answer) for q in hidden] == [(q.id, q.choices, q.answer) for q in shown]
    assert {q.task for q in shown} == {"source_law_verbatim"}
    texts = {unit.id: unit.text for unit in laws}
    assert all(q.context == texts[q.id] for q in shown)
