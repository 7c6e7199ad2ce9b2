"""Prediction intervals from past errors, with a stated share of days inside.

Split conformal prediction (Vovk, Gammerman and Shafer, 2005): an interval that would have held
ceil((n + 1) level) of n past errors holds a new one with chance `level` or a little more. Here the
rank (n + 1) level is not rounded up but interpolated between the errors to both sides of it, which
takes that little away. Errors are taken at the same lead and those a few days around it; as
errors of one origin are alike, they count as fewer than they are (see `effective`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HALF_WINDOW = 3
"""Errors of so many leads to either side are taken together: with its own, one of each weekday."""


def bounds(errors: Floats, level: float) -> tuple[float, float]:
    """Return the interval of a new error, missed on either side with chance (1 - level) / 2.

    Args:
        errors: past errors, shape (origins, leads) in the order of origins.
        level: share of new errors to lie inside, 0-1.
    """
    side = (1.0 + level) / 2.0
    return -_upper_bound(-errors, side), _upper_bound(errors, side)


def _upper_bound(errors: Floats, level: float) -> float:
    exceeding = (errors > np.quantile(errors, level)).astype(np.float64)
    return upper_quantile(errors, level, effective(exceeding))


def effective(marks: Floats) -> float:
    """Return how many independent marks a table of them is worth, shape (origins, leads).

    Marks of one origin are alike, and so are those of origins whose days overlap. By what their
    mean says: its variance, from the origins' means and their autocorrelation, is that of one mark
    over so many independent ones. From 1 to the number of marks. What is marked here are errors
    beyond the bound: errors may be alike while those so large come one by one.
    """
    means = marks.mean(axis=1)
    of_mean = float(means.var()) * _correlation_time(means) / len(means)
    if of_mean <= 0:
        return float(marks.size)
    return float(np.clip(marks.var() / of_mean, 1.0, marks.size))


def _correlation_time(values: Floats) -> float:
    """Return 1 + twice the sum of autocorrelations, by Geyer's initial positive sequence (1992).

    So many values of the sequence say as much about its mean as one independent value does.
    """
    n = len(values)
    centred = values - values.mean()
    variance = float(centred @ centred)
    if n < 4 or variance <= 0:
        return 1.0
    correlations = [float(centred[: n - k] @ centred[k:]) / variance for k in range(n - 1)]
    total = -1.0
    for even, odd in zip(correlations[0::2], correlations[1::2], strict=False):
        if even + odd <= 0:
            break
        total += 2.0 * (even + odd)
    return float(np.clip(total, 1.0, n))


def upper_quantile(errors: Floats, level: float, worth: float) -> float:
    """Return the value that a new error exceeds with chance 1 - `level`.

    Args:
        errors: past errors, any shape, of which at least one.
        level: above 0.5.
        worth: how many independent errors they are worth.

    The largest error is returned where too few are known for the level.
    """
    ordered = np.sort(errors, axis=None)
    share = min(level * (worth + 1.0) / worth, 1.0)
    # Rank share * (worth + 1) / (worth + 1) of `worth` errors is rank level * (worth + 1); the k-th
    # of n ordered errors stands for the share k / n of them.
    rank = np.clip(share * len(ordered), 1.0, len(ordered))
    return float(np.interp(rank, np.arange(1, len(ordered) + 1), ordered))
