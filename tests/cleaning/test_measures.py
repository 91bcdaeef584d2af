"""Measures: classes of characters, and repetition against plain counting."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from woodblock.cleaning import measures
from woodblock.cleaning.measures import DIGIT, HAN, HANGUL, KANA, LETTER, MEASURES, NEWLINE, PAUSE, SPACE, STOP, SYMBOL


def of(text: str) -> dict[str, float]:
    return dict(zip(MEASURES, measures.measure([text])[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("characters", "kind"),
    [
        ("中々〇龘\U00020000\uf900", HAN),
        ("あアー", KANA),
        ("한글", HANGUL),
        ("aZéЖα\u0301", LETTER),
        ("0９①", DIGIT),
        (" \t\u3000\u00a0", SPACE),
        ("\n", NEWLINE),
        ("。！？!?；…", STOP),
        ("，、：“《（,.-—", PAUSE),
        ("|+=<>{}[]#$\\/*_~^\U0001f600\ufffd\ue000", SYMBOL),
    ],
)
def test_classes(characters, kind):
    table = measures.classes()
    assert {c: int(table[ord(c)]) for c in characters} == dict.fromkeys(characters, kind)


def test_shares_are_of_what_is_no_white_space():
    row = of("第1条　abc。\n\n 一二，\n")
    assert row["characters"] == 10
    assert row["han"] == pytest.approx(0.4)
    assert row["letter"] == pytest.approx(0.3)
    assert row["digit"] == pytest.approx(0.1)
    assert row["stop"] == pytest.approx(0.1)
    assert row["punctuation"] == pytest.approx(0.2)
    assert not any(of("").values())
    assert not any(of(" \n\u3000").values())


def plain(text: str) -> dict[str, float]:
    """The measures of repetition, written as they are defined; for texts of one chunk."""
    kinds = measures.classes()
    solid = [c for c in text if kinds[ord(c)] not in (SPACE, NEWLINE)]
    total = len(solid)
    dense = "".join(c for c in solid if kinds[ord(c)] not in (SYMBOL, PAUSE, STOP))
    grams = Counter(dense[i : i + measures.TOP] for i in range(len(dense) - measures.TOP + 1))
    best = max(grams.values(), default=0)
    seen, covered = set(), set()
    for i in range(len(dense) - measures.REPEAT + 1):
        gram = dense[i : i + measures.REPEAT]
        if gram in seen:
            covered |= set(range(i, i + measures.REPEAT))
        seen.add(gram)
    lines, repeated = set(), 0
    for line in text.split("\n"):
        bare = "".join(c for c in line if kinds[ord(c)] != SPACE)
        if len(bare) > 1:
            repeated += len(bare) if bare in lines else 0
            lines.add(bare)
    shapes, templated = set(), 0
    for line in text.split("\n"):
        bare = [c for c in line if kinds[ord(c)] != SPACE]
        runs = "".join(c if kinds[ord(c)] in (STOP, PAUSE, SYMBOL) else f"<{kinds[ord(c)]}>" for c in bare)
        shape = re.sub(r"(<\d>)\1+", r"\1", runs)
        if len(bare) > 3 and any(kinds[ord(c)] in (DIGIT, LETTER, SYMBOL) for c in bare):
            templated += len(bare) if shape in shapes else 0
            shapes.add(shape)
    solid_lines = [b for line in text.split("\n") if (b := "".join(c for c in line if kinds[ord(c)] != SPACE))]
    ended = sum(kinds[ord(line[-1])] in (STOP, PAUSE) for line in solid_lines)
    return {
        "top_ngram": min(len(dense), best * measures.TOP) / total if best >= 3 else 0.0,
        "repeated_ngrams": len(covered) / total,
        "repeated_lines": repeated / total,
        "ended_lines": ended / len(solid_lines),
        "templated": templated / total,
        "line_length": total / len(solid_lines),
        "variety": len(set(dense)) / (5 * len(dense) ** 0.5) if dense else 0.0,
    }


PIECES = st.lists(
    st.sampled_from(
        ["甲乙丙丁", "公民的权利和义务由法律规定", "。", "，", "\n", " ", "ab", "9", "—", "😀", "本法自公布之日起施行"]
    ),
    min_size=1,
    max_size=60,
)


@given(PIECES)
def test_repetition_is_what_plain_counting_finds(pieces):
    text = "".join(pieces) + "终"
    row = of(text)
    for name, value in plain(text).items():
        assert row[name] == pytest.approx(value, abs=1e-5), name


def test_a_full_stop_between_a_letter_and_a_space_ends_a_sentence():
    assert of("One day. Two\nends.\nend.")["stop"] == pytest.approx(3 / 19)
    assert of("v1.2 is at example.org/a.html; 1. first")["stop"] == pytest.approx(1 / 34)  # the semicolon


def test_a_batch_gives_what_each_text_gives_alone():
    texts = ["公民的权利。\n公民的权利。", "", "abc " * 500, "第一条　" + "为了" * 40_000, "\n"]
    together = measures.measure(texts)
    assert np.array_equal(together, np.concatenate([measures.measure([text]) for text in texts]))
    assert measures.measure([]).shape == (0, len(MEASURES))


def test_long_texts_are_measured_in_chunks():
    """A text of several chunks repeats itself as much as its chunks do, and no table overflows."""
    rng = np.random.default_rng(1)
    fresh = "".join(map(chr, rng.integers(0x4E00, 0x9FA5, 5 * measures.CHUNK)))
    assert of(fresh)["repeated_ngrams"] < 1e-4
    assert of(fresh)["top_ngram"] == 0
    assert of("甲" * 3 * measures.CHUNK)["repeated_ngrams"] > 0.99
    assert of("\n".join(fresh[i : i + 2] for i in range(0, len(fresh), 2)))["repeated_lines"] < 0.05
