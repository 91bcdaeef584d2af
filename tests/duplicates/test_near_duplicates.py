"""Near-duplicates are what brute force finds, whatever the sizes of partitions; and nobody goes for one who went."""

from __future__ import annotations

import random
import unicodedata
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from woodblock.duplicates import near_duplicates as near
from woodblock.duplicates.near_duplicates import NONE, Shelf

TEXTS = st.text(alphabet="甲乙丙丁戊ａAb1 　，。\n\t-é𠀀😀", max_size=40)


def plain(text: str) -> str:
    """Letters as the table has them, said in another way."""
    kept = []
    for character in text:
        if unicodedata.category(character)[0] not in "PZC":
            folded = unicodedata.normalize("NFKC", character).casefold()
            kept.append(folded if len(folded) == 1 else character)
    return "".join(kept)


def grams(text: str, ngram: int = 3) -> set[str]:
    letters = plain(text)
    return {letters[i : i + ngram] for i in range(len(letters) - ngram + 1)}


def brute_force(one: str, other: str, ngram: int = 3) -> float:
    a, b = grams(one, ngram), grams(other, ngram)
    return len(a & b) / max(1, len(a | b))


def laid_out(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), starts


def sketches(texts: list[str], ngram: int = 3, permutations: int = 40, seed: int = 1, paragraph: int = 8):
    return near.sketch(*laid_out(texts), ngram, *near.permutations(seed, permutations), paragraph)


def edited(text: str, share: float, chance: random.Random) -> str:
    """A copy with a share of its characters replaced."""
    characters = list(text)
    for place in chance.sample(range(len(text)), round(share * len(text))):
        characters[place] = chr(chance.randrange(0x4E00, 0x9000))
    return "".join(characters)


def family(documents: int, seed: int) -> list[str]:
    """Texts of 20 to 300 characters, many of which are edited copies of others, and of copies."""
    chance = random.Random(seed)
    texts: list[str] = []
    for _ in range(documents):
        if texts and chance.random() < 0.6:
            texts.append(edited(chance.choice(texts), chance.choice([0.0, 0.02, 0.05, 0.1, 0.2, 0.3]), chance))
        else:
            texts.append("".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(chance.randrange(20, 300))))
    return texts


def shelf_of(folder: Path, texts: list[str], shard: int, bands: int, rows: int, **options: int) -> Shelf:
    """What round one leaves of the texts, in shards of so many documents."""
    sizes = {}
    for number in range(0, len(texts), shard):
        name, part = f"s{number:05d}", texts[number : number + shard]
        (folder / name).mkdir(parents=True)
        near.keep_sketches(sketches(part, permutations=bands * rows, **options), bands, rows, folder / name)
        data, starts = laid_out(part)
        data.tofile(folder / name / "texts.bin")
        starts.tofile(folder / name / "starts.bin")
        sizes[name] = len(part)
    return Shelf.of(folder, sizes)


@given(TEXTS, st.integers(1, 5))
@example("Ａ-a，a　A", 3)
@example("", 1)
def test_the_set_of_a_text_is_its_ngrams_of_letters(text, ngram):
    assert len(near.gram_set(text.encode(), ngram)) == len(grams(text, ngram))


@given(TEXTS, TEXTS, st.integers(1, 5))
def test_jaccard_is_that_of_the_sets(one, other, ngram):
    sets = near.gram_set(one.encode(), ngram), near.gram_set(other.encode(), ngram)
    assert near.jaccard(*sets) == pytest.approx(brute_force(one, other, ngram))


def test_jaccard_of_generated_texts_is_that_of_brute_force():
    texts = family(120, 3)
    sets = [near.gram_set(text.encode(), 3) for text in texts]
    found = {(i, j): near.jaccard(sets[i], sets[j]) for i, j in combinations(range(len(texts)), 2)}
    assert found == {(i, j): pytest.approx(brute_force(texts[i], texts[j])) for i, j in found}
    assert sum(0.3 < value < 1 for value in found.values()) > 50


@given(TEXTS, TEXTS)
@example("中文，。", "中\n文")
@example("。", "，")
@example("ＡＢ", "ab")
def test_fingerprints_agree_where_the_letters_do(one, other):
    found = sketches([one, other])
    alike = plain(one) == plain(other) if plain(one) or plain(other) else one == other
    assert (found.fingerprints[0] == found.fingerprints[1]).all() == alike
    assert found.lengths.tolist() == [len(plain(one)), len(plain(other))]


@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 4))
def test_a_sketch_depends_on_its_own_text_alone(texts, ngram):
    together = sketches(texts, ngram)
    for number, text in enumerate(texts):
        alone = sketches([text], ngram)
        assert (alone.signatures[0] == together.signatures[number]).all()
        assert (alone.fingerprints[0] == together.fingerprints[number]).all()
        assert (alone.paragraphs == together.paragraphs[together.owners == number]).all()


@given(TEXTS.filter(lambda text: len(plain(text)) >= 3), st.randoms(use_true_random=False))
def test_a_signature_is_of_the_set_and_not_of_the_order(text, chance):
    """The least hash of each permutation, over the n-grams in any order, with any repeats."""
    found = sketches([text]).signatures[0]
    pieces = sorted(grams(text))
    chance.shuffle(pieces)
    singles = sketches(pieces).signatures
    assert (found == singles.min(axis=0)).all()


def test_agreement_estimates_jaccard_within_its_error():
    chance = random.Random(5)
    for share in (0.02, 0.05, 0.1, 0.2):
        text = "".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(600))
        copy = edited(text, share, chance)
        true = brute_force(text, copy)
        found = sketches([text, copy], permutations=20_000, seed=7).signatures
        error = (true * (1 - true) / 20_000) ** 0.5
        assert abs((found[0] == found[1]).mean() - true) < 4 * error


def test_documents_meet_as_often_as_the_curve_says():
    chance, bands, rows = random.Random(9), 12, 4
    for share in (0.05, 0.1, 0.15, 0.2):
        met, expected = [], []
        for seed in range(300):  # permutations anew for each pair: chances that hang on nothing else
            text = "".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(200))
            copy = edited(text, share, chance)
            found = sketches([text, copy], permutations=bands * rows, seed=seed).signatures
            hashes = near.band_hashes(found, bands, rows)
            assert hashes.shape == (bands, 2)
            met.append(bool((hashes[:, 0] == hashes[:, 1]).any()))
            expected.append(near.meeting_probability(brute_force(text, copy), bands, rows))
        error = sum(p * (1 - p) for p in expected) ** 0.5 + 1e-9
        assert abs(sum(met) - sum(expected)) < 4 * error + 0.5


def test_other_seeds_draw_other_permutations_and_all_are_one_to_one():
    factors, summands = near.permutations(1, 50)
    assert (factors % 2 == 1).all() and len(set(factors.tolist())) == 50
    again, other = near.permutations(1, 50), near.permutations(2, 50)
    assert (again[0] == factors).all() and (again[1] == summands).all() and (other[0] != factors).any()


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, float("nan")]), st.integers(0, 3)), max_size=20))
def test_the_best_comes_first_and_no_quality_last(documents):
    qualities, lengths = (np.array([pair[i] for pair in documents], dtype=float) for i in (0, 1))
    ranks = near.ranking(qualities, lengths.astype(np.uint32))
    keys = [(np.isnan(q), -np.nan_to_num(q), -length, n) for n, (q, length) in enumerate(documents)]
    assert np.argsort(ranks).tolist() == sorted(range(len(keys)), key=keys.__getitem__)


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 5), st.randoms(use_true_random=False))
def test_pairs_of_a_bucket_are_each_with_its_best(hashes, best, chance):
    ranks = list(range(len(hashes)))
    chance.shuffle(ranks)
    found = near.bucket_pairs(np.array(hashes, np.uint64), np.array(ranks, np.uint32), best)
    expected = set()
    for value in set(hashes):
        members = sorted(rank for rank, own in zip(ranks, hashes, strict=True) if own == value)
        expected |= {(rank, other) for n, rank in enumerate(members) for other in members[: min(n, best)]}
    pairs = [(int(pair) >> 32, int(pair) & 0xFFFFFFFF) for pair in found]
    assert len(pairs) == len(set(pairs)) and set(pairs) == expected


@given(st.sets(st.tuples(st.integers(0, 15), st.integers(0, 15)).filter(lambda pair: pair[0] > pair[1])))
@example({(1, 0), (2, 1)})  # a chain: 1 goes for 0, so that 2 stays
def test_a_document_goes_for_a_better_one_that_stays_and_for_no_other(pairs):
    ordered = sorted(pairs)
    original, similar = np.full(16, NONE, np.uint32), np.zeros(16, np.float32)
    values = np.array([worse / 100 + better for worse, better in ordered], np.float32)
    for part in (slice(None, len(ordered) // 2), slice(len(ordered) // 2, None)):  # as it comes: in several files
        keys = np.array([worse << 32 | better for worse, better in ordered[part]], np.uint64)
        near.drop_worse(keys, values[part], original, similar)
    stays = {rank for rank in range(16) if original[rank] == NONE}
    assert not [pair for pair in pairs if set(pair) <= stays]
    for rank in set(range(16)) - stays:
        better = int(original[rank])
        assert better in stays and (rank, better) in pairs
        assert better == min(other for worse, other in pairs if worse == rank and other in stays)
        assert similar[rank] == values[ordered.index((rank, better))]


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
        return [near.gram_set("".join(characters).encode(), n) for n in (3, 6)]

    for made, copied in ((edited, 1.0), (other, 4400 / 6000)):
        assert near.jaccard(sets(text)[0], sets(made)[0]) == pytest.approx(0.575, abs=0.02)
        assert near.copied_share(sets(text), sets(made)) == pytest.approx(copied, abs=0.03)
    assert near.copied_share(sets(text), sets(text)) == 1.0
    assert near.copied_share(sets(text), sets(rng.choice(letters, 50))) == 0.0


def near_of(shelf: Shelf, work: Path, bands: int, rows: int, threshold: float) -> dict[tuple[int, int], float]:
    """All near pairs of a shelf, by the tasks in their order, as places (worse, better) with their Jaccard index."""
    ranks = near.ranking(np.zeros(len(shelf)), shelf.column("lengths", np.uint32))
    order = np.argsort(ranks).astype(np.uint32)
    work.mkdir()
    ranks.tofile(work / "ranks.bin")
    order.tofile(work / "order.bin")
    places = []
    for name, task in near.meetings(shelf, work / "ranks.bin", bands).items():
        (work / name).mkdir()
        near.meet(task, work / name)
        places += [(work / name, band) for band in task.bands]
    found, last = {}, -1
    for name, task in near.comparisons(
        shelf, work / "order.bin", places, 3, bands * rows, threshold, threshold, 1.0
    ).items():
        (work / name).mkdir()
        near.compare(task, work / name)
        for pair, value in zip(*near.near_pairs(work / name), strict=True):
            assert int(pair) > last  # also from one task to the next: that is what drop_worse asks for
            last = int(pair)
            found[int(order[last >> 32]), int(order[last & 0xFFFFFFFF])] = float(value)
    return found


def test_the_pairs_are_those_of_brute_force(tmp_path):
    texts = family(250, 11)
    shelf = shelf_of(tmp_path / "read", texts, 60, 60, 2)  # so many bands of two rows miss nothing at .5
    found = near_of(shelf, tmp_path / "work", 60, 2, 0.5)
    expected = {pair: brute_force(texts[pair[0]], texts[pair[1]]) for pair in combinations(range(len(texts)), 2)}
    expected = {frozenset(pair): value for pair, value in expected.items() if value >= 0.5}
    missed = expected.keys() - {frozenset(pair) for pair in found}
    assert {frozenset(pair): value for pair, value in found.items()} == {
        pair: pytest.approx(value, abs=1e-6) for pair, value in expected.items() if pair not in missed
    }
    # Missed are those alone that both ways of sparing work may miss: signatures 3 standard errors too low, full buckets.
    assert len(expected) > 100 and len(missed) <= len(expected) // 50


def test_sizes_of_shards_partitions_and_chunks_change_nothing(tmp_path, monkeypatch):
    texts = family(150, 12)
    whole = near_of(shelf_of(tmp_path / "a", texts, 1000, 20, 3), tmp_path / "whole", 20, 3, 0.5)
    for name, value in {"PARTITION": 40, "RANGE": 4, "RANGE_PAIRS": 25, "CHUNK_PAIRS": 7, "CHUNK_BYTES": 900}.items():
        monkeypatch.setattr(near, name, value)
    split = near_of(shelf_of(tmp_path / "b", texts, 17, 20, 3), tmp_path / "split", 20, 3, 0.5)
    assert whole == split and len(whole) > 50
    assert len(list((tmp_path / "split").glob("ranks-*"))) > 5 < len(list((tmp_path / "split").glob("bands-*")))


def test_texts_without_ngrams_are_compared_with_nothing(tmp_path):
    shelf = shelf_of(tmp_path / "read", ["。", "甲", "乙", "甲乙丙丁", "甲乙丙丁！"], 2, 4, 2)
    lengths = shelf.column("lengths", np.uint32)
    assert lengths.tolist() == [0, 1, 1, 4, 4]
    assert (shelf.rows("signatures", np.uint32, 8, np.array([0, 1])) == NONE).all()


@pytest.mark.parametrize("partition", [4_000_000, 7])
def test_of_exact_copies_the_best_stays(tmp_path, monkeypatch, partition):
    monkeypatch.setattr(near, "PARTITION", partition)
    chance = random.Random(2)
    bodies = ["".join(chr(chance.randrange(0x4E00, 0x9000)) for _ in range(9)) for _ in range(8)]
    texts = [chance.choice(bodies) + chance.choice(["", "。", " \n", "！！"]) for _ in range(40)]
    shelf = shelf_of(tmp_path / "read", texts, 9, 2, 2)
    qualities = np.array([chance.choice([0.1, 0.2, 0.3]) for _ in texts])
    original = near.exact_copies(shelf, near.ranking(qualities, shelf.column("lengths", np.uint32)))
    for place, text in enumerate(texts):
        same = [n for n, other in enumerate(texts) if plain(other) == plain(text)]
        best = min(same, key=lambda n: (-qualities[n], n))
        assert original[place] == (NONE if place == best else best)


LINES = st.lists(
    st.sampled_from(
        ["甲乙丙丁戊己庚辛", "子丑寅卯，辰巳午未。", "短", "", "一二三四五六七八九", " 一二三四五六七八九"]
    ),
    max_size=5,
)


@settings(max_examples=40)
@given(st.lists(LINES, min_size=1, max_size=8), st.integers(2, 4), st.data())
def test_paragraphs_stay_in_the_best_document_alone(tmp_path_factory, documents, fewest, data):
    texts = ["\n".join(lines) for lines in documents]
    folder = tmp_path_factory.mktemp("paragraphs")
    shelf = shelf_of(folder / "read", texts, 3, 2, 2)
    ranks = np.array(data.draw(st.permutations(range(len(texts)))), np.uint32)
    apart = data.draw(st.sets(st.integers(0, len(texts) - 1)))  # held out, or gone as a whole
    ranks[list(apart)] = NONE
    near.repeated_paragraphs(shelf, ranks, fewest, folder / "gone")
    found = []
    for shard in range(len(shelf.shards)):
        for document, start, end, keeper in near.paragraphs_that_go(folder / "gone", shelf, shard):
            blob = b"".join(text.encode() for text in texts[3 * shard : 3 * shard + 3])
            found.append((3 * shard + document, blob[start:end].decode(), keeper))
    holders: dict[str, list[int]] = {}
    for place, lines in enumerate(documents):
        for line in lines:
            if len(plain(line)) >= 8 and not line.startswith(" ") and ranks[place] != NONE:
                holders.setdefault(plain(line), []).append(place)
    expected = []
    for place, lines in enumerate(documents):
        for line in lines:
            held = holders.get(plain(line), []) if not line.startswith(" ") and place not in apart else []
            if len(set(held)) >= fewest and place != (best := min(held, key=lambda n: ranks[n])):
                expected.append((place, line, best))
    assert sorted(found) == sorted(expected)


def test_lines_of_code_are_no_paragraphs():
    line = "select one, two, three from somewhere"
    assert len(sketches([f"{line}\n```sql\n{line}\n  ```\n{line}\n    {line}\n\t{line}\n{line}"]).paragraphs) == 3
