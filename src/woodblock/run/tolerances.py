"""How far a metric of a trained model may lie from the reference on a processor of another kind.

There the last bits of every sum differ, so training ends at another model of the same quality. Such a model answers some
questions differently. How much this moves a metric depends on how many cases stand behind it:

- A share or a mean of values from 0 to 1: its standard errors in both runs. These are the ones that stand beside it in the
  metrics, and at least the binomial ones of its n. 5 of 10 and 8 of 10 do not differ; 500 of 1,000 and 800 of 1,000 do.
- A length of replies (a median, or a ratio of medians): the standard error of the median of n values whose standard
  deviation is as large as their mean (replies of the default run: .95).
- A loss, in nats or bits: LOSS of it. Two processors gave .1 to .3 % on the validation text and on held-out replies, and
  1.3 % for the SFT model on text that it was not trained on.
- Everything else does not depend on the model (counts, chance, what the n-gram baselines score): it must be equal, a
  number with a fraction to ROUNDING of it.

A run has some sixty metrics of the first two kinds. If each were allowed two standard errors, three would fail in an honest
run. So all of them together fail an honest run once in a hundred (FALSE_ALARMS; Bonferroni's bound).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

FALSE_ALARMS = 0.01  # the share of honest runs in which any share, mean or length may fail
LOSS, ROUNDING = 0.03, 1e-4
COUNTS = ("n", "prompts", "queries")  # what the number of cases is called
LOSSES = ("loss", "bpb", "bits_per_byte")
OF_THE_DATA = frozenset(
    {"chance", "overlap", "shortest", "padding_share", "epochs", "unigram_bpb", "bigram_bpb", "trigram_bpb"}
)
OF_THE_DATA_LENGTHS = frozenset({"median_reference_chars"})
FREE = frozenset({"kept_step"})  # which of two equally good checkpoints was the better one: not compared


@dataclass(frozen=True)
class Pair:
    """A metric of both runs. error: the standard error of the difference between them, None where it must be equal."""

    path: str
    wanted: Any
    found: Any
    error: float | None = None
    band: float = 0.0  # what it may differ by in any case

    def is_close(self, deviations: float) -> bool:
        if not (_is_number(self.wanted) and _is_number(self.found)):
            return bool(self.wanted == self.found)
        return bool(abs(self.wanted - self.found) <= max(self.band, deviations * (self.error or 0.0)))


def far(wanted: dict[str, Any], found: dict[str, Any]) -> list[Pair]:
    """The metrics of trained models that differ by more than chance and the processor explain."""
    pairs = list(_pairs(wanted, found))
    tries = max(1, sum(pair.error is not None for pair in pairs))
    deviations = NormalDist().inv_cdf(1 - FALSE_ALARMS / 2 / tries)
    return [pair for pair in pairs if not pair.is_close(deviations)]


def _pairs(wanted: Any, found: Any, path: str = "", cases: tuple[int, int] = (0, 0)) -> list[Pair]:
    """The metrics of two runs, block by block. cases: the counts of the blocks around this one, for blocks without."""
    counted = next((name for name in COUNTS if isinstance(wanted.get(name), int)), None)
    if counted and isinstance(found.get(counted), int):
        cases = (wanted[counted], found[counted])
    pairs: list[Pair] = []
    for name in sorted(set(wanted) | set(found)):
        first, second, inner = wanted.get(name), found.get(name), f"{path}.{name}" if path else name
        if isinstance(first, dict) and isinstance(second, dict):
            # "val_bpb_by_source" names what its numbers are; they are named after the sources.
            pairs += _pairs(first, second, inner, cases)
        elif name == "stderr" or name.endswith("_stderr"):
            if (first is None) != (second is None):
                pairs.append(Pair(inner, first, second))
        elif name in FREE and None not in (first, second):
            pass
        else:
            pairs.append(_pair(inner, first, second, _errors(name, wanted, found), cases))
    return pairs


def _pair(path: str, wanted: Any, found: Any, errors: tuple[float, float], cases: tuple[int, int]) -> Pair:
    name = path.rsplit(".", 1)[-1]
    if not (isinstance(wanted, float) and isinstance(found, float)) or name in OF_THE_DATA_LENGTHS:
        return Pair(path, wanted, found)
    if name in OF_THE_DATA:
        return Pair(path, wanted, found, band=ROUNDING * abs(wanted))
    if name == "rise_after_best":  # itself a share of a loss
        return Pair(path, wanted, found, band=LOSS)
    if any(word in path for word in LOSSES):
        return Pair(path, wanted, found, band=LOSS * abs(wanted))
    if all(cases) and (name.startswith("median_") or name.endswith("_ratio")):
        return Pair(path, wanted, found, _of_medians(wanted, found, cases))
    if all(cases) and 0 <= wanted <= 1 and 0 <= found <= 1:
        return Pair(path, wanted, found, max(math.hypot(*errors), _of_shares(wanted, found, cases)))
    if any(errors):
        return Pair(path, wanted, found, math.hypot(*errors))
    return Pair(path, wanted, found, band=ROUNDING * abs(wanted))


def _errors(name: str, wanted: dict[str, Any], found: dict[str, Any]) -> tuple[float, float]:
    """The standard errors that stand beside a metric: <name>_stderr, or stderr in a block that has one for its score."""
    first, second = (block.get(f"{name}_stderr", block.get("stderr")) for block in (wanted, found))
    return float(first or 0.0), float(second or 0.0)


def _of_shares(first: float, second: float, cases: tuple[int, int]) -> float:
    """The standard error of the difference of two shares, if both runs have the same true share.

    A case is added for each answer, so that 0 of 10 has an error too (Agresti & Caffo 2000). The variance of any values
    between 0 and 1 is at most that of a share with their mean.
    """
    share = (first * cases[0] + second * cases[1] + 1) / (sum(cases) + 2)
    return math.sqrt(share * (1 - share) * (1 / cases[0] + 1 / cases[1]))


def _of_medians(first: float, second: float, cases: tuple[int, int]) -> float:
    """The same for two medians, of values that vary by their own mean; √(π/2) is what a median loses against a mean."""
    return math.sqrt(math.pi / 2) * max(abs(first), abs(second)) * math.sqrt(1 / cases[0] + 1 / cases[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
