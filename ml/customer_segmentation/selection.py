"""How many segments there are: silhouette, gap statistic and stability have one vote each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from ml.customer_segmentation.stability import STABLE, bootstrap_jaccard
from ml.evaluation import silhouettes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHOICES = (3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Effort:
    """What choosing may cost: points at most, resamples, references, starts; and its seed."""

    points: int = 2000
    resamples: int = 10
    references: int = 10
    starts: int = 3
    seed: int = 42


@dataclass(frozen=True)
class Choice:
    """The chosen number, the three votes, and the figures behind them, by number of segments.

    silhouette  mean silhouette (Rousseeuw 1987)
    gap         gap statistic, and the standard error of its simulation
    stability   mean Jaccard similarity of the least stable segment
    """

    segments: int
    votes: dict[str, int]
    silhouette: dict[int, float]
    gap: dict[int, tuple[float, float]]
    stability: dict[int, float]


def choose_segments(
    points: Floats, choices: tuple[int, ...] = CHOICES, effort: Effort | None = None
) -> Choice:
    """Return the number of segments that most speaks for: the median of three votes.

    - silhouette: the number with the highest mean
    - gap statistic (Tibshirani, Walther and Hastie 2001): the least k with
      gap(k) >= gap(k + 1) - s(k + 1), or else the k of the highest gap
    - stability (Hennig 2007): the most segments that all come back with a mean Jaccard
      similarity of .75; where there are none, the number whose least stable segment does best

    Args:
        points: scaled points, shape (n, features); of many, `effort.points` are drawn
        choices: numbers to choose from, rising by one
        effort: how much to spend

    Raises:
        ValueError: there are fewer distinct points than the most segments and one.
    """
    effort = effort or Effort()
    if len(np.unique(points, axis=0)) <= max(choices) + 1:
        raise ValueError(f"choosing up to {max(choices)} segments needs more distinct points")
    random = np.random.default_rng(effort.seed)
    if len(points) > effort.points:
        points = points[np.sort(random.choice(len(points), effort.points, replace=False))]
    silhouette = {}
    for k in choices:
        of_points = silhouettes(points, _clustered(points, k, effort)[0])
        silhouette[k] = -1.0 if of_points is None else float(of_points.mean())
    gap = gap_statistic(points, (*choices, max(choices) + 1), effort)
    stability = {k: _least_stable(points, k, effort) for k in choices}
    votes = {
        "silhouette": _highest(silhouette),
        "gap": _first_gap(gap, choices),
        "stability": max(
            (k for k in choices if stability[k] >= STABLE), default=_highest(stability)
        ),
    }
    return Choice(sorted(votes.values())[1], votes, silhouette, gap, stability)


def gap_statistic(
    points: Floats, choices: tuple[int, ...], effort: Effort
) -> dict[int, tuple[float, float]]:
    """Return the gap statistic and its standard error, by number of segments.

    The dispersion of clustered points is compared with that of points drawn uniformly from a box
    along their principal components (the paper's reference b), of which there are
    `effort.references`: gap(k) = mean(log W*) - log W, s(k) = sd(log W*) sqrt(1 + 1 / references).
    """
    random = np.random.default_rng(effort.seed + 1)
    center = points.mean(axis=0)
    axes = np.linalg.svd(points - center, full_matrices=False)[2]
    turned = (points - center) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    references = [random.uniform(low, high, turned.shape) @ axes for _ in range(effort.references)]
    found = {}
    for k in choices:
        own = np.log(_clustered(points, k, effort)[1])
        theirs = np.log([_clustered(reference, k, effort)[1] for reference in references])
        spread = float(theirs.std() * np.sqrt(1 + 1 / len(references)))
        found[k] = (float(theirs.mean() - own), spread)
    return found


def _clustered(points: Floats, k: int, effort: Effort) -> tuple[Ints, float]:
    """Return labels, and the sum of squared distances to the centroids (never quite 0)."""
    with threadpool_limits(limits=1):
        fitted = KMeans(k, n_init=effort.starts, random_state=effort.seed).fit(points)
    return fitted.labels_.astype(np.int64), max(float(fitted.inertia_), 1e-12)


def _least_stable(points: Floats, k: int, effort: Effort) -> float:
    found = bootstrap_jaccard(
        _clustered(points, k, effort)[0],
        lambda drawn: _clustered(points[drawn], k, effort)[0],
        effort.resamples,
        effort.seed,
    )
    return min(float(values.mean()) for values in found.values())


def _highest(figures: dict[int, float]) -> int:
    return max(figures, key=lambda k: (figures[k], -k))


def _first_gap(gap: dict[int, tuple[float, float]], choices: tuple[int, ...]) -> int:
    for k in choices:
        following, error = gap[k + 1]
        if gap[k][0] >= following - error:
            return k
    return _highest({k: gap[k][0] for k in choices})
