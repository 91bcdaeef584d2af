"""When to stop a run that has diverged: the loss is compared with its own running mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

STRAYED = 1.5  # times the running mean, and half a nat above it: a loss as high as that has strayed
STRAYED_STEPS = 20  # after so many such steps in a row, a run does not recover by itself
SMOOTHING = 0.98  # the share of the running mean that a step keeps: a mean over about fifty steps


@dataclass
class Trend:
    """The running mean of the loss, and for how many steps in a row the loss has strayed from it."""

    mean: float = math.nan
    strayed: int = 0

    def add(self, loss: float) -> bool:
        """Add a step's loss, in nats a target; returns whether the run has diverged. A straying loss is not in the mean."""
        if math.isnan(self.mean):
            self.mean = loss
        if loss > STRAYED * self.mean and loss > self.mean + 0.5:
            self.strayed += 1
        else:
            self.strayed, self.mean = 0, SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        return self.strayed >= STRAYED_STEPS
