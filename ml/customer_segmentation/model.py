"""K-means over customers, as pure functions: no files, no database.

Points are log(1 + feature), centred, and divided by their standard deviation. K-means is
Lloyd's algorithm with k-means++ starts (Arthur and Vassilvitskii 2007), on one thread, because a
sum that is split over threads may round differently from run to run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from ml.artefacts import ArtefactError
from ml.customer_segmentation.config import MODEL_FEATURES, SegmentationConfig
from ml.customer_segmentation.naming import archetype_order, name_segments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FORMAT = 1


@dataclass(frozen=True)
class Scaler:
    """Centre and scale of log(1 + feature), one each per model feature."""

    center: Floats
    scale: Floats

    def transform(self, frame: pd.DataFrame) -> Floats:
        """Return the customers' points, shape (customers, features)."""
        return (log_features(frame) - self.center) / self.scale


@dataclass(frozen=True)
class Segmentation:
    """A fitted segmentation. Row i of `centroids` (in scaled space) is segment i.

    `bounds` are those of the baseline, whose segment i holds who has spent from `bounds[i - 1]`
    to below `bounds[i]`; K-means has none, and places everybody by the nearest centroid.
    """

    scaler: Scaler
    centroids: Floats
    names: tuple[str, ...]
    bounds: Floats | None = None

    @property
    def log_centroids(self) -> Floats:
        """The centroids as log(1 + feature): comparable between versions."""
        return self.centroids * self.scaler.scale + self.scaler.center


@dataclass(frozen=True)
class Assignment:
    """Each customer's segment, and how clearly it is the right one (0 to 1)."""

    segment: Ints
    confidence: Floats


def log_features(frame: pd.DataFrame) -> Floats:
    """Return log(1 + x) of the model's features; what refunds made negative counts as 0."""
    values = frame.loc[:, list(MODEL_FEATURES)].to_numpy(dtype=np.float64)
    logs: Floats = np.log1p(np.maximum(values, 0.0))
    return logs


def fit_scaler(frame: pd.DataFrame, min_scale: float) -> Scaler:
    """Fit the scaling of the model's features."""
    logs = log_features(frame)
    deviation = np.maximum(logs.std(axis=0), min_scale)
    return Scaler(logs.mean(axis=0), np.where(deviation > 0, deviation, 1.0))


def distinct_points(frame: pd.DataFrame) -> int:
    """Return how many different points the customers make."""
    return len(np.unique(log_features(frame), axis=0))


def fit_spending_groups(frame: pd.DataFrame, config: SegmentationConfig) -> Segmentation:
    """Fit the baseline: five groups of equally many customers by what they have spent.

    A group that ties leave empty keeps the centroid of all customers. Names follow profiles.
    """
    scaler = fit_scaler(frame, config.min_scale)
    points = scaler.transform(frame)
    bounds = np.quantile(frame["monetary"].to_numpy(), [0.2, 0.4, 0.6, 0.8])
    groups = _spending_group(frame, bounds)
    centroids = np.stack(
        [
            points[groups == i].mean(axis=0) if (groups == i).any() else points.mean(axis=0)
            for i in range(len(bounds) + 1)
        ]
    )
    return Segmentation(scaler, centroids, name_segments(centroids), bounds)


def _spending_group(frame: pd.DataFrame, bounds: Floats) -> Ints:
    found = np.searchsorted(bounds, frame["monetary"].to_numpy(), side="right")
    return found.astype(np.int64)


def fit(
    frame: pd.DataFrame, config: SegmentationConfig, previous: Segmentation | None = None
) -> Segmentation:
    """Fit a segmentation on customers' features.

    Segments are named from their profiles. Segment ids follow `previous`, whose nearest
    segments keep their id; without it they follow the order of the archetypes.

    Raises:
        ValueError: there are fewer distinct points than segments.
    """
    if distinct_points(frame) < config.segments:
        raise ValueError(f"{config.segments} segments need as many distinct customers")
    scaler = fit_scaler(frame, config.min_scale)
    kmeans = KMeans(
        config.segments,
        n_init=config.n_init,
        random_state=config.random_state,
        algorithm="lloyd",
    )
    with threadpool_limits(limits=1):
        centroids = np.asarray(kmeans.fit(scaler.transform(frame)).cluster_centers_)
    names = name_segments(centroids)
    order = archetype_order(names)
    if previous is not None:
        order = _follow(centroids, scaler, previous, order)
    return Segmentation(
        scaler=scaler,
        centroids=np.ascontiguousarray(centroids[order]),
        names=tuple(names[i] for i in order),
    )


def _follow(
    centroids: Floats, scaler: Scaler, previous: Segmentation, order: list[int]
) -> list[int]:
    """Return the order of clusters in which each keeps the id of the nearest old segment.

    The pairs are those with the least total squared distance. New clusters beyond the old
    ones come after, in `order`; an old segment without a heir leaves no gap.
    """
    old = (previous.log_centroids - scaler.center) / scaler.scale
    cost = ((old[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(cost)
    kept = [int(column) for _, column in sorted(zip(rows, columns, strict=True))]
    return kept + [i for i in order if i not in kept]


def assign(points: Floats, centroids: Floats) -> Assignment:
    """Assign scaled points to their nearest centroid.

    The confidence is the margin `1 - d1 / d2` of the distances to the nearest and the second
    nearest centroid: the simplified silhouette of one point (Hruschka, Campello and de Castro
    2006), 1 on a centroid and 0 on the border between two segments.
    """
    squared = np.stack([((points - c) ** 2).sum(axis=1) for c in centroids], axis=1)
    segment = squared.argmin(axis=1).astype(np.int64)
    nearest, second = np.sqrt(np.partition(squared, 1, axis=1)[:, :2]).T
    apart = second > 0
    margin = 1.0 - np.divide(nearest, second, out=np.ones_like(nearest), where=apart)
    return Assignment(segment, np.round(np.clip(margin, 0.0, 1.0), 6))


def predict(model: Segmentation, frame: pd.DataFrame) -> Assignment:
    """Assign customers to the segments of a fitted model.

    A spending group's confidence is the same margin, between its own centroid and the nearest of
    the others, and 0 for a customer who is nearer to another.
    """
    points = model.scaler.transform(frame)
    if model.bounds is None:
        return assign(points, model.centroids)
    segment = _spending_group(frame, model.bounds)
    distances = np.sqrt(((points[:, None, :] - model.centroids[None, :, :]) ** 2).sum(axis=2))
    own = np.take_along_axis(distances, segment[:, None], axis=1)[:, 0]
    np.put_along_axis(distances, segment[:, None], np.inf, axis=1)
    other = distances.min(axis=1)
    margin = 1.0 - np.divide(own, other, out=np.ones_like(own), where=other > 0)
    return Assignment(segment, np.round(np.clip(margin, 0.0, 1.0), 6))


def to_content(model: Segmentation) -> dict[str, Any]:
    """Return a model as the plain content of an artefact."""
    about = {
        "format": _FORMAT,
        "features": list(MODEL_FEATURES),
        "names": list(model.names),
    }
    content = {} if model.bounds is None else {"bounds": model.bounds}
    return {
        **content,
        "about": json.dumps(about, sort_keys=True),
        "centroids": model.centroids,
        "center": model.scaler.center,
        "scale": model.scaler.scale,
    }


def from_content(content: dict[str, Any]) -> Segmentation:
    """Return the model that an artefact's content describes.

    Raises:
        ArtefactError: the content is of another format, or made for other features.
    """
    try:
        about = json.loads(content["about"])
        model = Segmentation(
            scaler=Scaler(np.asarray(content["center"]), np.asarray(content["scale"])),
            centroids=np.asarray(content["centroids"]),
            names=tuple(about["names"]),
            bounds=np.asarray(content["bounds"]) if "bounds" in content else None,
        )
        fits = about["format"] == _FORMAT and tuple(about["features"]) == MODEL_FEATURES
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact holds no segmentation: {error!r}") from error
    shape = (len(model.names), len(MODEL_FEATURES))
    if not fits or model.centroids.shape != shape or len(model.scaler.center) != shape[1]:
        raise ArtefactError("the artefact is a segmentation of another format or other features")
    return model
