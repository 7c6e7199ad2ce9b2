"""Comparing clusterings on customers that no model has fit on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_samples
from threadpoolctl import threadpool_limits

from ml.metrics import Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def holdout_ranks(customer_ids: Sequence[str], seed: int) -> Floats:
    """Return a number in [0, 1) for each customer, the same in every training.

    It follows from the id alone, so that a customer held out once is held out of every version
    and two versions can be compared on customers neither has fit on.
    """
    raw = b"".join(hashlib.sha256(f"{seed}:{c}".encode()).digest()[:8] for c in customer_ids)
    # 53 bits, what a double holds: dividing all 64 could round up to 1.
    return (np.frombuffer(raw, dtype=">u8") >> np.uint64(11)).astype(np.float64) / 2.0**53


def silhouettes(points: Floats, labels: Ints) -> Floats | None:
    """Return each point's silhouette (Rousseeuw 1987), or None where it is not defined.

    It needs at least two clusters, and fewer clusters than points.
    """
    clusters = len(np.unique(labels))
    if not 2 <= clusters < len(points):
        return None
    # One thread: a sum split over threads may round differently from run to run.
    with threadpool_limits(limits=1):
        return np.asarray(silhouette_samples(points, labels), dtype=np.float64)


def bootstrap_mean(values: Floats, resamples: int, seed: int) -> Interval:
    """Return the mean of `values` with its 95 % percentile bootstrap interval (Efron 1979)."""
    random = np.random.default_rng(seed)
    n = len(values)
    means = np.empty(resamples)
    for i in range(resamples):
        means[i] = values[random.integers(0, n, n)].mean()
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(_rounded(values.mean()), _rounded(low), _rounded(high))


def _rounded(value: float) -> float:
    return round(float(value), 6)
