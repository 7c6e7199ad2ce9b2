"""HDBSCAN over customers, as pure functions: no files, no database.

HDBSCAN (Campello, Moulavi and Sander 2013) finds segments as regions that are denser than what
lies between them; who lies in none is noise. Points are log(1 + x) of when and how often a customer
buys, scaled as for K-means. What was spent is left out: frequency carries most of it, and its
smooth spread fills the gaps that density looks for. It is still what segments are named after.

A fitted tree is a few plain arrays, so that its artefact needs no pickle. New points are placed as
the library's `approximate_predict` does.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import hdbscan
import numpy as np
from hdbscan.validity import validity_index
from numpy.typing import NDArray
from sklearn.neighbors import KDTree
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOISE = -1
PEAK = 0.9
"""A segment's dense core: this quantile of its points' densities. Beyond it, confidence is 1."""


@dataclass(frozen=True)
class DensityTree:
    """A fitted HDBSCAN as arrays: n points, c clusters of the condensed tree, cluster 0 its root.

    points        the points that were clustered, shape (n, features)
    core          each point's core distance
    point_parent  the cluster that each point falls out of
    point_lambda  the density (1 / distance) at which it does
    parent        each cluster's parent; the root is its own
    birth         the density at which each cluster splits off its parent
    segment       the segment that each cluster belongs to, `NOISE` outside of all
    peak          by segment, the density of its core
    min_samples   neighbours that make a core distance
    least_size    points that a cluster needed at least
    """

    points: Floats
    core: Floats
    point_parent: Ints
    point_lambda: Floats
    parent: Ints
    birth: Floats
    segment: Ints
    peak: Floats
    min_samples: int
    least_size: int

    @property
    def segments(self) -> int:
        """How many segments there are, beside noise."""
        return len(self.peak)


@dataclass(frozen=True)
class Candidate:
    """A fitted tree, what it makes of its own points, and how good that is.

    validity    the validity index of Moulavi et al., where it is defined
    noise       share of its points that are noise
    """

    tree: DensityTree
    labels: Ints
    validity: float | None
    noise: float


def fit_tree(points: Floats, min_cluster_size: int, min_samples: int) -> DensityTree:
    """Fit HDBSCAN, on one thread.

    Raises:
        ValueError: there are not more points than twice `min_samples`.
    """
    if len(points) <= 2 * min_samples:
        raise ValueError(f"{min_samples} neighbours need more than {2 * min_samples} points")
    clusterer = hdbscan.HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        prediction_data=True,
        core_dist_n_jobs=1,
    )
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # Customers who are all alike have no distance between them: a density without bound.
        warnings.simplefilter("ignore", RuntimeWarning)
        clusterer.fit(points)
        about = clusterer.prediction_data_
    rows = clusterer.condensed_tree_.to_numpy()
    n = len(points)
    clusters = int(rows["parent"].max()) - n + 1
    of_points = rows[rows["child"] < n]
    of_clusters = rows[rows["child"] >= n]
    point_parent, point_lambda = np.zeros(n, dtype=np.int64), np.zeros(n)
    point_parent[of_points["child"]] = of_points["parent"] - n
    point_lambda[of_points["child"]] = of_points["lambda_val"]
    parent, birth = np.zeros(clusters, dtype=np.int64), np.zeros(clusters)
    parent[of_clusters["child"] - n] = of_clusters["parent"] - n
    birth[of_clusters["child"] - n] = of_clusters["lambda_val"]
    segment = np.full(clusters, NOISE, dtype=np.int64)
    for cluster, label in about.cluster_map.items():
        segment[int(cluster) - n] = int(label)
    count = int(segment.max()) + 1
    return DensityTree(
        points=points,
        core=np.asarray(about.core_distances, dtype=np.float64),
        point_parent=point_parent,
        point_lambda=point_lambda,
        parent=parent,
        birth=birth,
        segment=segment,
        peak=np.array([_peak(point_lambda[segment[point_parent] == s]) for s in range(count)]),
        min_samples=min_samples,
        least_size=min_cluster_size,
    )


def _peak(densities: Floats) -> float:
    """Return the density of a segment's core; points in one place have none that is finite."""
    peak = np.quantile(densities, PEAK, method="lower")
    if np.isfinite(peak):
        return float(peak)
    finite = densities[np.isfinite(densities)]
    return float(finite.max()) if len(finite) else float(np.finfo(np.float64).max)


def place_points(tree: DensityTree, points: Floats) -> tuple[Ints, Floats]:
    """Return each point's segment and confidence (0 to 1; 0 for noise).

    A point joins its nearest neighbour by mutual reachability, and climbs the tree as long as it
    is less dense there than a cluster's birth: `hdbscan.approximate_predict`. Its confidence is its
    density relative to the core of its segment.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    k = tree.min_samples
    distances, neighbours = KDTree(tree.points).query(points, k=2 * k)
    reach = np.maximum(np.maximum(tree.core[neighbours], distances[:, [k]]), distances)
    best = reach.argmin(axis=1)[:, None]
    nearest = np.take_along_axis(neighbours, best, axis=1)[:, 0]
    distance = np.take_along_axis(reach, best, axis=1)[:, 0]
    density = np.full(len(points), np.finfo(np.float64).max)
    np.divide(1.0, distance, out=density, where=distance > 0)
    cluster = tree.point_parent[nearest].copy()
    climbs = tree.point_lambda[nearest] > density
    while True:
        up = climbs & (cluster > 0) & (tree.birth[cluster] >= density)
        if not up.any():
            break
        cluster[up] = tree.parent[cluster[up]]
    segment = tree.segment[cluster]
    peak = np.append(tree.peak, np.inf)[segment]  # noise, -1, takes the last
    return segment, np.round(np.minimum(density / peak, 1.0), 6)


def density_validity(points: Floats, labels: Ints, most: int, seed: int) -> float | None:
    """Return the density-based validity index (Moulavi et al. 2014), from -1 to 1, or None.

    It is above 0 where segments are denser than what lies between them; noise counts as 0. Points
    in the same place count once, as the index divides by distances, and of many points so many
    are drawn, as it costs their square. It needs two segments of at least four places.
    """
    _, first = np.unique(points, axis=0, return_index=True)
    if len(first) > most:
        first = np.random.default_rng(seed).choice(first, most, replace=False)
    first = np.sort(first)
    kept, found = points[first], labels[first].copy()
    names, sizes = np.unique(found[found != NOISE], return_counts=True)
    found[np.isin(found, names[sizes < 4])] = NOISE
    names = names[sizes >= 4]
    if len(names) < 2:
        return None
    dense = np.searchsorted(names, found)
    dense = np.where(found == NOISE, NOISE, dense)
    with threadpool_limits(limits=1), np.errstate(all="ignore"):
        value = float(validity_index(kept, dense))
    return round(value, 6) if np.isfinite(value) else None


def choose_tree(
    points: Floats,
    sizes: tuple[int, ...],
    samples: tuple[int, ...],
    noise_budget: float,
    most_segments: int,
    most_validity: int,
    seed: int,
) -> Candidate:
    """Return the fit with the best validity index among those that keep to the bounds.

    Bounds are two to `most_segments` segments, and no more noise than the budget. Where none keeps
    to them, it is the one with the least noise among those with segments to tell apart, if any.

    Raises:
        ValueError: there are too few points for any of `samples`.
    """
    candidates = []
    for size in sizes:
        for k in samples:
            if len(points) <= 2 * k:
                continue
            tree = fit_tree(points, size, k)
            labels = place_points(tree, points)[0]
            validity = density_validity(points, labels, most_validity, seed)
            candidates.append(Candidate(tree, labels, validity, float((labels == NOISE).mean())))
    if not candidates:
        raise ValueError(f"{len(points)} points are too few for {min(samples)} neighbours")

    def bounded(c: Candidate) -> bool:
        return 2 <= c.tree.segments <= most_segments and c.noise <= noise_budget

    within = [c for c in candidates if bounded(c) and c.validity is not None]
    if within:
        return max(within, key=lambda c: c.validity if c.validity is not None else -1.0)
    return min(candidates, key=lambda c: (c.tree.segments < 2, c.noise))
