"""When to stop a run that has diverged: the loss against its own running mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

STRAYED = 1.5  # times the running mean: a loss as high, and half a nat above it,
STRAYED_STEPS = 20  # so many steps in a row, will not come back by itself
SMOOTHING = 0.98  # the share of the running mean that a step keeps: it spans about fifty steps


@dataclass
class Trend:
    """The running mean of the loss, and how many steps in a row have strayed from it."""

    mean: float = math.nan
    strayed: int = 0

    def add(self, loss: float) -> bool:
        """Take a step's loss, in nats a target; returns whether the run has diverged. A loss that strays moves no mean."""
        if math.isnan(self.mean):
            self.mean = loss
        if loss > STRAYED * self.mean and loss > self.mean + 0.5:
            self.strayed += 1
        else:
            self.strayed, self.mean = 0, SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        return self.strayed >= STRAYED_STEPS
