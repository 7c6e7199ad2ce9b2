"""How stable the segments of a clustering are: do they come back from another sample?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml.evaluation import bootstrap_mean
from ml.metrics import Metric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STABLE = 0.75
"""A segment whose mean Jaccard similarity reaches this is a stable one (Hennig 2007)."""


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return how alike two sets of the same points are: shared points over all of either."""
    either = int((one | other).sum())
    return float((one & other).sum()) / either if either else 0.0


def bootstrap_jaccard(
    labels: Ints, refit: Callable[[Ints], Ints], resamples: int, seed: int, noise: int | None = None
) -> dict[int, Floats]:
    """Return each segment's Jaccard similarity to its nearest heir, resample by resample.

    Hennig, "Cluster-wise assessment of cluster stability" (2007), as in `fpc::clusterboot`: points
    are drawn with replacement, those drawn are clustered anew (each once), and each segment is
    compared, on the points drawn, with the new segment that it is most like. A segment of which
    no point was drawn is left out of that resample.

    Args:
        labels: the segment of each point, shape (n,)
        refit: returns the new labels of the points at these positions
        resamples: how often
        seed: of the draws
        noise: a label that is no segment
    """
    random = np.random.default_rng(seed)
    names = [int(name) for name in np.unique(labels) if name != noise]
    found: dict[int, list[float]] = {name: [] for name in names}
    for _ in range(resamples):
        drawn = np.unique(random.integers(0, len(labels), len(labels)))
        old, new = labels[drawn], refit(drawn)
        heirs = [new == name for name in np.unique(new) if name != noise]
        for name in names:
            members = old == name
            if members.any():
                found[name].append(max((jaccard(members, heir) for heir in heirs), default=0.0))
    return {name: np.array(values) for name, values in found.items()}


def stability_metrics(found: dict[int, Floats], resamples: int, seed: int) -> tuple[Metric, ...]:
    """Return the mean similarity of each segment, and of the least stable one, as figures.

    Names are `jaccard_segment_<id>` and `jaccard_least`; intervals are those of the mean.
    """
    means = {
        name: bootstrap_mean(values, resamples, seed)
        for name, values in sorted(found.items())
        if len(values)
    }
    if not means:
        return ()
    least = min(means.values(), key=lambda interval: interval.value)
    return (
        Metric("jaccard_least", least.value, least.low, least.high),
        *(
            Metric(f"jaccard_segment_{name}", mean.value, mean.low, mean.high)
            for name, mean in means.items()
        ),
    )
