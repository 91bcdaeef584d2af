"""What the programs of performance/pretrain.py share: the clock and the score.

Clock: seconds of training alone. Score: bits per byte of the held-out documents' UTF-8, their
end tokens included, in likelihood.windows, by one implementation for all: every program here trains LLaMA's shape under
one set of names, so its weights are scored in woodblock's own Transformer.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prepared import VOCABULARY  # which puts woodblock on the path
from safetensors.torch import load_file, save_file

from woodblock.base.progress import say, track
from woodblock.evaluation import likelihood
from woodblock.models.configuration import Config
from woodblock.models.decoder import Transformer

CURVE_DOCUMENTS = 60  # of the held-out ones, every other: what a curve's points are scored on; its end, on all
TARGET = 2.563  # bits per byte: what the book's recipe reaches in 600 s
EVERY, EVERY_UNTIL, EVERY_LATER = 20, 120, 60  # seconds between two points of a curve, early and later


OPENMP_SPINS = "300000"  # GOMP_SPINCOUNT of libgomp by itself


def environment(program: str) -> dict[str, str]:
    """Of a program's process: all but ours get OpenMP as it is by itself. Importing woodblock sets what is not set."""
    return dict(os.environ) if program == "ours" else os.environ | {"GOMP_SPINCOUNT": OPENMP_SPINS}


# ------------------------------------------------------------------------------------------------ the clock


@dataclass(frozen=True)
class Job:
    """What a program is given, as a JSON file: one of `seconds` and `tokens` is its budget, the other is None."""

    program: str
    model: dict[str, Any]
    settings: dict[str, Any]
    prepared: Path
    scratch: Path
    seed: int
    seconds: float | None
    tokens: int | None

    @classmethod
    def load(cls, path: str) -> Job:
        given = json.loads(Path(path).read_text())
        return cls(**given | {name: Path(given[name]) for name in ("prepared", "scratch")})

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self) | {"prepared": str(self.prepared), "scratch": str(self.scratch)}))

    def config(self) -> Config:
        return Config(vocab_size=VOCABULARY, **self.model)


@dataclass(frozen=True)
class Snapshot:
    """Weights on disk, with the training seconds and target tokens behind them."""

    seconds: float
    tokens: int
    path: Path


@dataclass
class Clock:
    """Times a program while it trains, and keeps its weights at the points of the curve.

    It runs from its making on. The program asks `more()` before each step, which is false as soon as another step like
    the last one would end after the budget; asks `share()` for its schedule; and calls `step()` after each step.
    Writing weights stops the clock.
    """

    job: Job
    weights: Callable[[], dict[str, torch.Tensor]]  # under woodblock's names
    snapshots: list[Snapshot] = field(default_factory=list)
    tokens: int = 0  # targets learned from
    steps: int = 0

    def __post_init__(self) -> None:
        self._started, self._paused, self._last, self._took = time.perf_counter(), 0.0, 0.0, 0.0
        self._marks = marks(self.job.seconds) if self.job.seconds else []
        self._shown = 0.0

    def seconds(self) -> float:
        return time.perf_counter() - self._started - self._paused

    def share(self) -> float:
        """How much of the budget is spent, from 0 to 1."""
        spent = self.seconds() / self.job.seconds if self.job.seconds else self.tokens / self.job.tokens
        return min(1.0, spent)

    def more(self) -> bool:
        if self.job.seconds:
            return self.seconds() + self._took <= self.job.seconds
        return self.tokens < self.job.tokens

    def step(self, targets: int, loss: float | None = None) -> None:
        """Count a step that is done; loss, in nats a target, is only shown."""
        now = self.seconds()
        self._took, self._last = now - self._last, now
        self.tokens, self.steps = self.tokens + targets, self.steps + 1
        if self._marks and now >= self._marks[0]:
            while self._marks and now >= self._marks[0]:
                self._marks.pop(0)
            self._keep(now)
        if now - self._shown >= 10:
            self._shown = now
            note = "" if loss is None else f", loss {loss:.3f}"
            say(f"{self.job.program}: {now:.0f} s, {self.tokens:,} tokens, {self.tokens / now:,.0f}/s{note}")

    def finish(self) -> dict[str, Any]:
        """Stop, keep the final weights; returns the figures of the training."""
        seconds = self._last
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        self._keep(seconds)
        rate = self.tokens / seconds
        return {
            **{"program": self.job.program, "seconds": seconds, "tokens": self.tokens, "steps": self.steps},
            **{"tokens_per_second": rate, "peak_mb": peak},
        }

    def _keep(self, seconds: float) -> None:
        before = time.perf_counter()
        path = self.job.scratch / f"{len(self.snapshots):03d}.safetensors"
        save_file({name: weight.detach().contiguous() for name, weight in self.weights().items()}, path)
        self.snapshots.append(Snapshot(seconds, self.tokens, path))
        self._paused += time.perf_counter() - before


def marks(seconds: float) -> list[float]:
    """The points of a curve before its end, in seconds."""
    early = list(range(EVERY, EVERY_UNTIL + 1, EVERY))
    later = list(range(EVERY_UNTIL + EVERY_LATER, int(seconds) + 1, EVERY_LATER))
    return [float(mark) for mark in early + later if mark < seconds]


# ------------------------------------------------------------------------------------------------ the score


class Score:
    """Bits per byte of weights over the held-out documents, or over those of the curve."""

    def __init__(self, config: Config, documents: list[np.ndarray], sizes: list[int]) -> None:
        self.model = Transformer(config).eval()
        self.pieces = [list(likelihood.windows(document, config.context)) for document in documents]
        self.sizes = sizes

    def __call__(self, snapshot: Snapshot, whole: bool) -> float:
        self.model.load_state_dict(load_file(snapshot.path))
        chosen = range(0, len(self.sizes), 1 if whole else len(self.sizes) // CURVE_DOCUMENTS)
        pieces = [piece for i in chosen for piece in self.pieces[i]]
        return likelihood.bits_per_byte(
            sum(likelihood.nll(self.model, pieces, 4096)), sum(self.sizes[i] for i in chosen)
        )


def report(trained: dict[str, Any], snapshots: list[Snapshot], score: Score) -> dict[str, Any]:
    """Add to a training's figures its curve [[seconds, tokens, bits per byte of the curve's documents]], the bits per
    byte of all documents at its end, and the seconds at which those of all documents came down to TARGET."""
    say(f"{trained['program']}: trained {trained['tokens']:,} tokens; scoring {len(snapshots)} points")
    exact = cache(lambda i: score(snapshots[i], whole=True))
    curve = [[s.seconds, s.tokens, score(s, whole=False)] for s in track(snapshots, "scoring", "points")]
    reached = first_at_most([s.seconds for s in snapshots], exact, TARGET, curve)
    return trained | {"bpb": exact(len(snapshots) - 1), "seconds_to_target": reached, "curve": curve}


def first_at_most(
    seconds: list[float], exact: Callable[[int], float], target: float, curve: list[list[float]]
) -> float | None:
    """When a falling curve comes down to the target: linear between the last point above it and the first that is not.

    seconds [points]; exact(i) is the dear value at point i, asked for about where the cheap ones of `curve` (last
    column) cross the target. None where no point is at the target; the first point's time where all are.
    """
    last = len(seconds) - 1
    at = next((i for i, point in enumerate(curve) if point[-1] <= target), last)
    while at < last and exact(at) > target:
        at += 1
    while at > 0 and exact(at - 1) <= target:
        at -= 1
    if exact(at) > target:
        return None
    if at == 0:
        return seconds[0]
    above, below = exact(at - 1), exact(at)
    return seconds[at - 1] + (above - target) / (above - below) * (seconds[at] - seconds[at - 1])


def cosine(share: float, warmup_share: float, low: float) -> float:
    """The share of the peak learning rate, after `share` of a run: linear warm-up, then half a cosine down to low."""
    if share < warmup_share:
        return share / warmup_share
    done = (share - warmup_share) / (1 - warmup_share)
    return low + (1 - low) * 0.5 * (1 + float(np.cos(np.pi * done)))
