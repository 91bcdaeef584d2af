"""Kneser–Ney by arrays is Kneser–Ney by dictionaries, and its probabilities sum to one."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from woodblock.evaluation.ngram import KneserNey, keys_of

START, VOCAB = 1, 7
DOCUMENT = st.lists(st.sampled_from([0, 2, 3, 4, 5, 6]), min_size=1, max_size=12).map(lambda ids: [START, *ids])
DOCUMENTS = st.lists(DOCUMENT, min_size=1, max_size=8)


def joined(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = [len(document) for document in documents]
    starts = np.cumsum([0, *lengths[:-1]])
    return np.array([token for document in documents for token in document], dtype=np.int64), starts.astype(np.int64)


class Slow:
    """The textbook: dictionaries and a recursion."""

    def __init__(self, documents: list[list[int]], order: int) -> None:
        self.counts: dict[int, Counter[tuple[int, ...]]] = {order: Counter()}
        for document in documents:
            for end in range(max(1, order - 1), len(document)):
                self.counts[order][tuple(document[end - order + 1 : end + 1])] += 1
        for n in range(order - 1, 0, -1):
            before = defaultdict(set)
            for gram in self.counts[n + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[n] = Counter({gram: len(found) for gram, found in before.items()})
            if n > 1:  # nothing can precede a start token: such n-grams are counted as they occur
                for document in documents:
                    if len(document) >= n:
                        self.counts[n][tuple(document[:n])] += 1
        self.discounts = {}
        self.after: dict[int, dict[tuple[int, ...], list[int]]] = {}
        for n, counts in self.counts.items():
            once, twice = (sum(count == k for count in counts.values()) for k in (1, 2))
            self.discounts[n] = once / (once + 2 * twice) if once and twice else 0.5
            self.after[n] = defaultdict(list)
            for gram, count in counts.items():
                self.after[n][gram[:-1]].append(count)

    def probability(self, token: int, context: tuple[int, ...]) -> float:
        n = len(context) + 1
        lower = self.probability(token, context[1:]) if context else 1 / VOCAB
        found = self.after[n].get(context)
        if not found:
            return lower
        discounted = max(self.counts[n][(*context, token)] - self.discounts[n], 0)
        return (discounted + self.discounts[n] * len(found) * lower) / sum(found)


@settings(max_examples=150)
@given(documents=DOCUMENTS, held_out=DOCUMENTS, order=st.integers(1, 3))
def test_arrays_are_dictionaries(documents, held_out, order):
    model, slow = KneserNey(*joined(documents), order, VOCAB), Slow(documents, order)
    tokens, starts = joined(held_out)
    wanted = [
        slow.probability(token, tuple(document[max(0, end - order + 1) : end])) if end else 1.0
        for document in held_out
        for end, token in enumerate(document)
    ]
    found = model.probabilities(tokens, starts)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert model.nll(tokens, starts) == pytest.approx(-sum(np.log(wanted)), rel=1e-9)


@settings(max_examples=60)
@given(documents=DOCUMENTS, context=DOCUMENT, order=st.integers(1, 3))
def test_probabilities_sum_to_one_after_any_context(documents, context, order):
    model = KneserNey(*joined(documents), order, VOCAB)
    tokens, starts = joined([[*context, token] for token in range(VOCAB)])
    ends = starts + len(context)
    found = model.probabilities(tokens, starts)[ends]
    assert found.sum() == pytest.approx(1.0) and found.min() > 0


def test_by_hand():
    """Two documents, a b a b | a c (start 1; a, b, c = 2, 3, 4), bigrams."""
    model = KneserNey(*joined([[1, 2, 3, 2, 3], [1, 2, 4]]), 2, VOCAB)
    # Bigrams: 1a ×2, ab ×2, ba ×1, ac ×1: D = 2 / (2 + 2 · 2) = 1/3. a follows {1, b}, b and c follow {a}: total 4.
    # Unigram discount: counts 2, 1, 1: D = 2 / (2 + 2 · 1) = 1/2. P(b) = (1 − ½)/4 + ½ · 3/4 · 1/7.
    of_b = 0.5 / 4 + 0.5 * 3 / 4 / 7
    wanted = (2 - 1 / 3) / 3 + (1 / 3) * 2 / 3 * of_b
    assert model.probabilities(np.array([1, 2, 3]), np.array([0]))[2] == pytest.approx(wanted)


def test_more_context_helps_where_there_is_structure_and_none_reaches_across_documents():
    draw = np.random.default_rng(0)
    steps = {token: ((token * 3 + 1) % 5 + 2, (token + 1) % 5 + 2) for token in range(7)}

    def document():
        ids = [START, 2]
        for _ in range(40):
            ids.append(steps[ids[-2]][0] if draw.random() < 0.9 else steps[ids[-1]][1])
        return ids

    train, held_out = [document() for _ in range(60)], [document() for _ in range(20)]
    losses = [KneserNey(*joined(train), order, VOCAB).nll(*joined(held_out)) for order in (1, 2, 3)]
    assert losses[0] > losses[1] > 1.3 * losses[2]
    model = KneserNey(*joined(train), 3, VOCAB)
    alone = [model.nll(*joined([document])) for document in held_out]
    assert sum(alone) == pytest.approx(model.nll(*joined(held_out)))


def test_a_vocabulary_whose_keys_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="3-grams of a vocabulary of 2097152 do not fit 63 bits"):
        keys_of(np.array([1]), np.array([0]), 3, 2**21)


def test_ids_of_a_large_vocabulary_do_not_collide():
    vocab = 2**20
    documents = [[1, vocab - 1, vocab - 2, 2], [1, vocab - 2, vocab - 1, 2]]
    model = KneserNey(*joined(documents), 3, vocab)
    tokens, starts = joined([[1, vocab - 1, vocab - 2], [1, vocab - 1, vocab - 1]])
    seen, unseen = model.probabilities(tokens, starts)[[2, 5]]
    assert seen > 0.5 and unseen < 0.4
