"""Progress of everything that takes more than a few seconds: a bar on a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts work done towards a total (None: unknown), and shows it on standard error."""

    def __init__(self, name: str, total: int | None, unit: str, done: int = 0) -> None:
        self.name, self.total, self.unit, self.done, self._before = name, total, unit, done, done
        self._start = self._shown = time.monotonic()
        self._bar = (
            tqdm(total=total, initial=done, desc=name, unit=f" {unit}", leave=False) if sys.stderr.isatty() else None
        )

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more units as done; `note` is shown beside them ("loss 3.21")."""
        self.done += count
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            print(self._line(note), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _line(self, note: str) -> str:
        rate = (self.done - self._before) / max(self._shown - self._start, 1e-9)
        parts = [f"{self.name}: {self.done:,}"]
        if self.total:
            left = (self.total - self.done) / max(rate, 1e-9)
            parts = [f"{self.name}: {self.done:,} of {self.total:,} {self.unit}, {left:,.0f} s left"]
        else:
            parts[0] += f" {self.unit}"
        return ", ".join([*parts, f"{rate:,.1f} {self.unit}/s", *([note] if note else [])])


def track(items: Iterable[Item], name: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items, showing how many have been taken."""
    progress = Progress(name, total if total is not None else getattr(items, "__len__", lambda: None)(), unit)
    try:
        for item in items:
            yield item
            progress.advance()
    finally:
        progress.close()


def say(text: str) -> None:
    """Print one line on standard error, above a bar that may be shown there."""
    tqdm.write(text, file=sys.stderr)
    sys.stderr.flush()
