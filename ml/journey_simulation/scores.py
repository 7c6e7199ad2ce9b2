"""How good probabilities and stages are, with intervals from resampling customers.

A customer's rows of several origins are not independent: each resample draws customers with
replacement, and all rows of a drawn customer come along (cluster bootstrap, Field and Welsh
2007). Two models are compared on the same resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from ml.journey_simulation.calibration import EDGE
from ml.journey_simulation.history import Floats, Ints
from ml.metrics import Interval

T = TypeVar("T", bound=tuple[float, ...])


def auc(chance: Floats, happened: Floats) -> float:
    """Return the area under the ROC curve, ties counted half; nan where one kind is missing."""
    return weighted_auc(chance, happened)(np.ones(len(chance)))


def weighted_auc(chance: Floats, happened: Floats) -> Callable[[Floats], float]:
    """Return a function from how often each row counts [n] to the area under the ROC curve."""
    _, group = np.unique(chance, return_inverse=True)
    groups = int(group.max()) + 1 if len(group) else 0

    def area(weight: Floats) -> float:
        yes = np.bincount(group, weights=weight * happened, minlength=groups)
        no = np.bincount(group, weights=weight * (1 - happened), minlength=groups)
        total = yes.sum() * no.sum()
        if total == 0:
            return float("nan")
        return float((yes * (np.cumsum(no) - no / 2)).sum() / total)

    return area


def log_losses(chance: Floats, happened: Floats) -> Floats:
    """Return the log loss of each row [n]."""
    p = np.clip(chance, EDGE, 1 - EDGE)
    return np.asarray(-(happened * np.log(p) + (1 - happened) * np.log(1 - p)))


def class_log_losses(chances: Floats, stage: Ints) -> Floats:
    """Return the log loss of each row [n] of probabilities [n x classes]."""
    taken = chances[np.arange(len(stage)), stage]
    return np.asarray(-np.log(np.clip(taken, EDGE, 1.0)))


def macro_f1(stage: Ints, predicted: Ints, weight: Floats | None = None, classes: int = 5) -> float:
    """Return the mean F1 of the classes that occur, truly or as predicted."""
    cells = np.bincount(stage * classes + predicted, weights=weight, minlength=classes**2)
    table = cells.reshape(classes, classes).astype(np.float64)
    both = table.sum(axis=0) + table.sum(axis=1)
    occurs = both > 0
    if not occurs.any():
        return float("nan")
    return float((2 * np.diag(table)[occurs] / both[occurs]).mean())


def resampled(customers: Ints, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each row counts [n] in each resample of the customers."""
    _, group = np.unique(customers, return_inverse=True)
    many = int(group.max()) + 1 if len(group) else 0
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = np.bincount(random.integers(0, many, many), minlength=many)
        yield drawn[group].astype(np.float64)


def intervals(
    figures: Callable[[Floats], T], customers: Ints, resamples: int, seed: int
) -> list[Interval]:
    """Return each figure over all rows, with its 95 % percentile bootstrap interval.

    `figures` takes how often each row counts [n] and returns some numbers.
    """
    values = figures(np.ones(len(customers)))
    drawn = np.array([figures(w) for w in resampled(customers, resamples, seed)])
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return [
        Interval(round(float(v), 6), round(float(a), 6), round(float(b), 6))
        for v, a, b in zip(values, low, high, strict=True)
    ]
