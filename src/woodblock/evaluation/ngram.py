"""N-gram baselines: interpolated Kneser–Ney over tokens. A small language model should be better than these.

Sources: Kneser & Ney 1995; Chen & Goodman 1999, sections 2.7 and 3 (interpolated, one discount an order:
D = n₁ / (n₁ + 2 n₂), with nᵢ the number of n-grams seen i times).

    P(w | u v) = max(c(u v w) − D, 0) / c(u v) + D · N₁₊(u v •) / c(u v) · P(w | v)

The highest order counts tokens. Lower orders count in how many different contexts an n-gram occurs, N₁₊(• v w). The
unigram is smoothed with the uniform distribution. N-grams do not cross documents: a document's first context is only its
start token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Order:
    """Counts of one order: n-grams as sorted keys with their counts, contexts as sorted keys with totals and types."""

    keys: Integers  # sorted
    counts: Integers
    contexts: Integers  # sorted
    totals: Integers  # summed counts after each context
    types: Integers  # different tokens after each context
    discount: float


def keys_of(tokens: Integers, starts: Integers, order: int, vocab_size: int) -> tuple[Integers, Mask]:
    """N-grams of a stream as int64 keys (numbers in base vocab_size), and a mask of the valid ones.

    tokens [N]: documents one after another; each begins at one of `starts` with its start token. Entry i of both results
    is the n-gram that ends at token i. It is valid if all of it is in one document and i is not the start token itself.
    Raises ValueError where a key does not fit 63 bits.
    """
    if vocab_size**order >= 2**63:
        raise ValueError(f"{order}-grams of a vocabulary of {vocab_size} do not fit 63 bits")
    place = np.arange(len(tokens)) - np.repeat(starts, np.diff(np.append(starts, len(tokens))))
    keys = np.zeros(len(tokens), dtype=np.int64)
    for back in range(order - 1, -1, -1):
        keys *= vocab_size
        keys[back:] += tokens[: len(tokens) - back] if back else tokens
    return keys, place >= max(1, order - 1)


def count(keys: Integers, counts: Integers, vocab_size: int) -> Order:
    """The order of sorted n-gram keys and their counts."""
    contexts, first = np.unique(keys // vocab_size, return_index=True)
    totals = np.add.reduceat(counts, first) if len(keys) else counts
    types = np.diff(np.append(first, len(keys)))
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    # If nothing was seen once or twice (a toy text), the formula has no value. In real text it is near one half.
    discount = once / (once + 2 * twice) if once and twice else 0.5
    return Order(keys, counts, contexts, totals, types, discount)


class KneserNey:
    """An interpolated Kneser–Ney model of order 1, 2 or 3 over token ids."""

    def __init__(self, tokens: Integers, starts: Integers, order: int, vocab_size: int) -> None:
        self.vocab_size, self.order = vocab_size, order
        self.orders: list[Order] = []  # from order 1 up to the highest
        continued: Integers | None = None  # distinct keys of the order above
        for n in range(order, 0, -1):
            if continued is None:
                keys, stands = keys_of(tokens, starts, n, vocab_size)
                keys, counts = np.unique(keys[stands], return_counts=True)
            else:
                # The number of contexts: drop the first token of each distinct (n + 1)-gram, and count what is left.
                keys, counts = np.unique(continued % vocab_size**n, return_counts=True)
                if n > 1:  # n-grams that begin with the start token are in no (n + 1)-gram; their own counts are used
                    keys, counts = self._with_document_starts(keys, counts, tokens, starts, n)
            self.orders.insert(0, count(keys, counts, vocab_size))
            continued = keys

    def _with_document_starts(
        self, keys: Integers, counts: Integers, tokens: Integers, starts: Integers, n: int
    ) -> tuple[Integers, Integers]:
        """Add the n-grams that begin with the start token, with their token counts: nothing comes before a document."""
        all_keys, stands = keys_of(tokens, starts, n, self.vocab_size)
        ends = starts + n - 1
        first = ends[ends < len(tokens)]
        first_keys, first_counts = np.unique(all_keys[first[stands[first]]], return_counts=True)
        joined, where = np.unique(np.concatenate([keys, first_keys]), return_inverse=True)
        return joined, np.bincount(where, weights=np.concatenate([counts, first_counts])).astype(np.int64)

    def probabilities(self, tokens: Integers, starts: Integers) -> npt.NDArray[np.float64]:
        """Probability of each token [N] after its context in the same document; 1 for the start tokens.

        Source: the formula in the module's docstring, from the uniform distribution upwards.
        """
        result = np.full(len(tokens), 1.0 / self.vocab_size)
        for n, order in enumerate(self.orders, start=1):
            keys, stands = keys_of(tokens, starts, n, self.vocab_size)
            counts = _look_up(order.keys, order.counts, keys)
            contexts = keys // self.vocab_size
            totals = _look_up(order.contexts, order.totals, contexts)
            types = _look_up(order.contexts, order.types, contexts)
            known = stands & (totals > 0)  # after an unseen context only the lower order is used
            safe = np.maximum(totals, 1)
            higher = (np.maximum(counts - order.discount, 0) + order.discount * types * result) / safe
            result = np.where(known, higher, result)
        result[starts] = 1.0
        return result

    def nll(self, tokens: Integers, starts: Integers) -> float:
        """Summed negative log-likelihood, in nats, of all tokens but the start tokens."""
        return float(-np.log(self.probabilities(tokens, starts)).sum())


def _look_up(keys: Integers, values: Integers, wanted: Integers) -> Integers:
    """The values of the wanted keys; 0 for a key that is not there."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64)
    where = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[where] == wanted, values[where], 0)
