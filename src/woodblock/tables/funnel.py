"""A funnel: how many records enter a series of steps, what each step changes and drops, what stays; and samples."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SAMPLES = 10  # dropped documents of each step that are kept as samples
KEPT = "kept"  # the step for samples of the documents that stay: twice as many
SAMPLE_CHARS = 300


@dataclass
class Funnel:
    """Counts what enters, what each step changes and drops, and what stays. Its samples do not depend on any order."""

    counts: Counter[str] = field(default_factory=Counter)
    drops: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by step, by hash

    def drop(self, step: str, record: Mapping[str, Any], text: str, reason: str, value: float = 0.0) -> None:
        """Count a record that a step drops. reason: in a few words; value: what was measured."""
        self.counts[f"dropped_{step}"] += 1
        self.sample(step, record, text, reason, value)

    def change(self, step: str) -> None:
        self.counts[f"changed_{step}"] += 1

    def sample(
        self, step: str, record: Mapping[str, Any], text: str | Callable[[], str], reason: str, value: float
    ) -> None:
        """Keep a record as a sample, if its hash is among the smallest of its step. text: the text, or what makes it."""
        mark = hashlib.sha256(f"{step}\0{record['id']}".encode()).hexdigest()[:16]
        if self._has_room(step, mark):
            text = text if isinstance(text, str) else text()
            row = {"id": record["id"], "source": record["source"], "step": step, "reason": reason}
            self._keep(mark, {**row, "value": float(value), "text": text[:SAMPLE_CHARS]})

    def merge(self, counts: Mapping[str, int], samples: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Add another funnel's counts and samples, as `as_json` gives them."""
        self.counts.update(counts)
        for mark, row in samples:
            if self._has_room(row["step"], mark):
                self._keep(mark, dict(row))

    def _has_room(self, step: str, mark: str) -> bool:
        kept = self.drops.get(step, {})
        return len(kept) < _samples_of(step) or mark < max(kept)

    def _keep(self, mark: str, row: dict[str, Any]) -> None:
        kept = self.drops.setdefault(row["step"], {})
        kept[mark] = row
        if len(kept) > _samples_of(row["step"]):
            del kept[max(kept)]

    def as_json(self) -> dict[str, Any]:
        rows = [(mark, row) for kept in self.drops.values() for mark, row in kept.items()]
        return {"counts": dict(sorted(self.counts.items())), "samples": sorted(rows, key=lambda pair: pair[0])}

    def rows(self, steps: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The samples of some steps, in the order of the steps and of their hashes."""
        for step in steps:
            yield from (row for _, row in sorted(self.drops.get(step, {}).items()))


def _samples_of(step: str) -> int:
    return 2 * SAMPLES if step == KEPT else SAMPLES
