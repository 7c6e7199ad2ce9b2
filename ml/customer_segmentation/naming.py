"""Names of segments, from their profiles.

Each archetype is a point in the scaled feature space: how many standard deviations its
customers are above (+) or below (-) the average customer. Segments and archetypes are paired
one to one so that the total squared distance is least (the Hungarian method, Kuhn 1955), so each
name is used once and the pairing does not depend on the order of the clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

# name: recency, frequency, monetary, tenure (the order of MODEL_FEATURES)
ARCHETYPES: dict[str, tuple[float, float, float, float]] = {
    "Champions": (-1.2, 1.6, 1.6, 0.3),
    "High-Value Loyal": (-0.3, 0.7, 0.8, 0.3),
    "New": (-0.9, -0.5, -0.5, -1.5),
    "Occasional": (0.7, -0.8, -0.9, 0.1),
    "At-Risk": (0.9, 0.0, 0.1, 0.4),
}
"""The five segments, best customers first. A recency below average is a recent purchase."""

SEGMENT_TYPES = tuple(ARCHETYPES)


def name_segments(centroids: NDArray[np.float64]) -> tuple[str, ...]:
    """Return a name for each centroid (rows: segments, columns: the model's scaled features).

    With more segments than names, those left over take the nearest name with a number.
    """
    ideals = np.array(list(ARCHETYPES.values()))
    cost = ((centroids[:, None, :] - ideals[None, :, :]) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(cost)
    names = {int(r): SEGMENT_TYPES[c] for r, c in zip(rows, columns, strict=True)}
    used = {name: 1 for name in names.values()}
    # The left-over ones by position, not by cluster number, which is random.
    rest = [i for i in range(len(centroids)) if i not in names]
    for i in sorted(rest, key=lambda i: tuple(centroids[i])):
        name = SEGMENT_TYPES[int(cost[i].argmin())]
        used[name] = used.get(name, 0) + 1
        names[i] = f"{name} {used[name]}"
    return tuple(names[i] for i in range(len(centroids)))


def base_type(name: str) -> str:
    """Return a segment's name without the number that a second one of its kind carries."""
    head, _, last = name.rpartition(" ")
    return head if last.isdigit() else name


def archetype_order(names: Sequence[str]) -> list[int]:
    """Return the positions of `names` in the order of the archetypes."""
    return sorted(
        range(len(names)), key=lambda i: (SEGMENT_TYPES.index(base_type(names[i])), names[i])
    )
