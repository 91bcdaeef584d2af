"""A funnel: what enters a row of steps, what each changes and drops, and what stays; with samples to be looked at."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SAMPLES = 10  # dropped documents of each step that are kept to be looked at; twice as many of those that stay
SAMPLE_CHARS = 300


@dataclass
class Funnel:
    """Counts what enters, what each step changes and drops, and what stays; with samples that no order decides."""

    counts: Counter[str] = field(default_factory=Counter)
    drops: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by step, by hash

    def drop(self, step: str, record: Mapping[str, Any], text: str, reason: str, value: float = 0.0) -> None:
        """Count a record that a step drops. reason: in a few words; value: what was measured."""
        self.counts[f"dropped_{step}"] += 1
        self.sample(step, record, text, reason, value, SAMPLES)

    def change(self, step: str) -> None:
        self.counts[f"changed_{step}"] += 1

    def sample(self, step: str, record: Mapping[str, Any], text: str, reason: str, value: float, samples: int) -> None:
        """Keep a record to be looked at, if its hash is among the `samples` smallest of its step."""
        mark = hashlib.sha256(f"{step}\0{record['id']}".encode()).hexdigest()[:16]
        kept = self.drops.setdefault(step, {})
        if len(kept) < samples or mark < max(kept):
            row = {"id": record["id"], "source": record["source"], "step": step, "reason": reason}
            kept[mark] = {**row, "value": float(value), "text": text[:SAMPLE_CHARS]}
            if len(kept) > samples:
                del kept[max(kept)]

    def merge(self, counts: Mapping[str, int], samples: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Add another funnel's counts and samples, as `as_json` gives them."""
        self.counts.update(counts)
        for mark, row in samples:
            kept = self.drops.setdefault(row["step"], {})
            kept[mark] = dict(row)
            if len(kept) > (SAMPLES if row["step"] != "kept" else 2 * SAMPLES):
                del kept[max(kept)]

    def as_json(self) -> dict[str, Any]:
        rows = [(mark, row) for kept in self.drops.values() for mark, row in kept.items()]
        return {"counts": dict(sorted(self.counts.items())), "samples": sorted(rows, key=lambda pair: pair[0])}

    def rows(self, steps: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The samples of some steps, in the order of the steps and of their hashes."""
        for step in steps:
            yield from (row for _, row in sorted(self.drops.get(step, {}).items()))
