"""A text's letters, the set of its n-grams and its signature are what brute force and the theory of MinHash say."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.alike_texts import TEXTS, brute_force, edited, family, grams, plain, sketched

from woodblock.duplicates import sketches


@given(TEXTS, st.integers(1, 5))
@example("Ａ-a，a　A", 3)
@example("", 1)
def test_the_set_of_a_text_is_its_ngrams_of_letters(text, ngram):
    assert len(sketches.gram_set(text.encode(), ngram)) == len(grams(text, ngram))


@given(TEXTS, TEXTS, st.integers(1, 5))
def test_jaccard_is_that_of_the_sets(one, other, ngram):
    sets = sketches.gram_set(one.encode(), ngram), sketches.gram_set(other.encode(), ngram)
    assert sketches.jaccard(*sets) == pytest.approx(brute_force(one, other, ngram))


def test_jaccard_of_generated_texts_is_that_of_brute_force():
    texts = family(120, 3)
    sets = [sketches.gram_set(text.encode(), 3) for text in texts]
    found = {(i, j): sketches.jaccard(sets[i], sets[j]) for i, j in combinations(range(len(texts)), 2)}
    assert found == {(i, j): pytest.approx(brute_force(texts[i], texts[j])) for i, j in found}
    assert sum(0.3 < value < 1 for value in found.values()) > 50


@given(TEXTS, TEXTS)
@example("中文，。", "中\n文")
@example("。", "，")
@example("ＡＢ", "ab")
def test_fingerprints_agree_where_the_letters_do(one, other):
    found = sketched([one, other])
    alike = plain(one) == plain(other) if plain(one) or plain(other) else one == other
    assert (found.fingerprints[0] == found.fingerprints[1]).all() == alike
    assert found.lengths.tolist() == [len(plain(one)), len(plain(other))]


@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 4))
def test_a_sketch_depends_on_its_own_text_alone(texts, ngram):
    together = sketched(texts, ngram)
    for number, text in enumerate(texts):
        alone = sketched([text], ngram)
        assert (alone.signatures[0] == together.signatures[number]).all()
        assert (alone.fingerprints[0] == together.fingerprints[number]).all()
        assert (alone.paragraphs == together.paragraphs[together.owners == number]).all()


@given(TEXTS.filter(lambda text: len(plain(text)) >= 3), st.randoms(use_true_random=False))
def test_a_signature_is_of_the_set_and_not_of_the_order(text, chance):
    """The least hash of each permutation, over the n-grams in any order, with any repeats."""
    found = sketched([text]).signatures[0]
    pieces = sorted(grams(text))
    chance.shuffle(pieces)
    singles = sketched(pieces).signatures
    assert (found == singles.min(axis=0)).all()


def test_agreement_estimates_jaccard_within_its_error():
    chance = random.Random(5)
    for share in (0.02, 0.05, 0.1, 0.2):
        text = "".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(600))
        copy = edited(text, share, chance)
        true = brute_force(text, copy)
        found = sketched([text, copy], permutations=20_000, seed=7).signatures
        error = (true * (1 - true) / 20_000) ** 0.5
        assert abs((found[0] == found[1]).mean() - true) < 4 * error


def test_documents_meet_as_often_as_the_curve_says():
    chance, bands, rows = random.Random(9), 12, 4
    for share in (0.05, 0.1, 0.15, 0.2):
        met, expected = [], []
        for seed in range(300):  # permutations anew for each pair: chances that hang on nothing else
            text = "".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(200))
            copy = edited(text, share, chance)
            found = sketched([text, copy], permutations=bands * rows, seed=seed).signatures
            hashes = sketches.band_hashes(found, bands, rows)
            assert hashes.shape == (bands, 2)
            met.append(bool((hashes[:, 0] == hashes[:, 1]).any()))
            expected.append(sketches.meeting_probability(brute_force(text, copy), bands, rows))
        error = sum(p * (1 - p) for p in expected) ** 0.5 + 1e-9
        assert abs(sum(met) - sum(expected)) < 4 * error + 0.5


def test_other_seeds_draw_other_permutations_and_all_are_one_to_one():
    factors, summands = sketches.permutations(1, 50)
    assert (factors % 2 == 1).all() and len(set(factors.tolist())) == 50
    again, other = sketches.permutations(1, 50), sketches.permutations(2, 50)
    assert (again[0] == factors).all() and (again[1] == summands).all() and (other[0] != factors).any()


def test_a_copy_that_was_edited_is_told_from_a_text_of_the_same_form():
    """Both have the same Jaccard index: one text with a tenth of its letters replaced, one with a quarter of its own."""
    rng = np.random.default_rng(1)
    letters = np.array([chr(point) for point in range(0x4E00, 0x9000)])
    text = rng.choice(letters, 6000)
    edited, other = text.copy(), text.copy()
    places = rng.choice(6000, 600, replace=False)
    edited[places] = rng.choice(letters, 600)
    other[1000:2600] = rng.choice(letters, 1600)

    def sets(characters):
        return [sketches.gram_set("".join(characters).encode(), n) for n in (3, 6)]

    for made, copied in ((edited, 1.0), (other, 4400 / 6000)):
        assert sketches.jaccard(sets(text)[0], sets(made)[0]) == pytest.approx(0.575, abs=0.02)
        assert sketches.copied_share(sets(text), sets(made)) == pytest.approx(copied, abs=0.03)
    assert sketches.copied_share(sets(text), sets(text)) == 1.0
    assert sketches.copied_share(sets(text), sets(rng.choice(letters, 50))) == 0.0


def test_lines_of_code_are_no_paragraphs():
    line = "select one, two, three from somewhere"
    assert len(sketched([f"{line}\n```sql\n{line}\n  ```\n{line}\n    {line}\n\t{line}\n{line}"]).paragraphs) == 3
