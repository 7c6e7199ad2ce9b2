"""Intervals of differences, by resampling blocks of days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Interval

Floats = NDArray[np.float64]


def least_mean(series: Sequence[Floats], block: int, resamples: int, seed: int) -> Interval:
    """Return the smallest of the means of some series of days, with its 95 % interval.

    Blocks of consecutive days are drawn together (Kuensch 1989), the same ones for all series of
    one length; each resample takes its own smallest mean, so that what has to beat several others
    at once is not helped by having several chances.
    """
    draws = np.full(resamples, np.inf)
    for values in series:
        starts = np.arange(0, len(values), block)
        sums = np.add.reduceat(values, starts)
        sizes = np.diff(np.append(starts, len(values)))
        chosen = np.random.default_rng(seed).integers(0, len(starts), (resamples, len(starts)))
        draws = np.minimum(draws, sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1))
    value = min(float(values.mean()) for values in series)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(round(value, 6), round(float(low), 6), round(float(high), 6))
