"""Probabilities that keep what they promise: Platt scaling, and how far off they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from ml.journey_simulation.history import Floats

EDGE = 1e-6
"""No probability is nearer to 0 or 1 than this."""


@dataclass(frozen=True)
class Platt:
    """p -> expit(slope * logit(p) + shift), Platt (1999)."""

    slope: float = 1.0
    shift: float = 0.0

    def apply(self, chance: Floats) -> Floats:
        """Return the calibrated probabilities [n]."""
        scaled = expit(self.slope * logit(np.clip(chance, EDGE, 1 - EDGE)) + self.shift)
        return np.asarray(np.clip(scaled, EDGE, 1 - EDGE), dtype=np.float64)


def fit_platt(chance: Floats, happened: Floats) -> Platt:
    """Fit the two numbers by maximum likelihood, on outcomes that the model has not learnt from.

    Where all outcomes are alike, nothing is changed.
    """
    if not 0 < happened.sum() < len(happened):
        return Platt()
    scores = logit(np.clip(chance, EDGE, 1 - EDGE))

    def loss(values: Floats) -> tuple[float, Floats]:
        z = values[0] * scores + values[1]
        error = expit(z) - happened
        value = float((np.logaddexp(0, z) - happened * z).mean())
        return value, np.array([(error * scores).mean(), error.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    # A slope of 0 or less would turn the ranking round: then only the level is to be trusted.
    if found.x[0] <= 0:
        return Platt()
    return Platt(float(found.x[0]), float(found.x[1]))


def calibration_error(chance: Floats, happened: Floats, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal numbers (Naeini et al. 2015).

    The mean over the bins of |mean probability - share that happened|, weighed by their sizes.
    """
    order = np.argsort(chance, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(chance[part].mean() - happened[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(order))


def reliability(chance: Floats, happened: Floats, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return (mean probability, share that happened, size) of each bin, in rising order."""
    order = np.argsort(chance, kind="stable")
    return [
        (float(chance[part].mean()), float(happened[part].mean()), len(part))
        for part in np.array_split(order, min(bins, len(order)))
    ]
