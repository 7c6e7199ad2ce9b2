"""The density-based segmentation of customers: fitting, placing, naming, and keeping it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from ml.artefacts import ArtefactError
from ml.customer_segmentation.config import MODEL_FEATURES, NOISE_TYPE, SegmentationConfig
from ml.customer_segmentation.density import (
    NOISE,
    Candidate,
    DensityTree,
    choose_tree,
    fit_tree,
    place_points,
)
from ml.customer_segmentation.model import Assignment, Scaler, fit_scaler
from ml.customer_segmentation.naming import archetype_order, name_segments
from ml.customer_segmentation.stability import bootstrap_jaccard
from ml.evaluation import Floats, Ints, holdout_ranks

DENSITY_FEATURES = ("recency_days", "frequency", "tenure_days")
"""The features, of `MODEL_FEATURES`, in which density is measured."""

_COLUMNS = [MODEL_FEATURES.index(name) for name in DENSITY_FEATURES]
_FORMAT = 1
_ARRAYS = ("points", "core", "point_parent", "point_lambda", "parent", "birth", "segment", "peak")


@dataclass(frozen=True)
class DensityConfig:
    """Settings of the density-based segmentation.

    common              what all segmentations share: hold-out, scaling, bootstrap
    size_shares         smallest segments to try, as shares of the customers
    min_samples         neighbours to try
    least_size          no segment is smaller than this
    noise_budget        with a greater share of noise than this it is no better than the baseline
    most_segments       more segments than this are none that a marketer could tell apart
    max_points          customers that are clustered at most
    max_validity        customers that the validity index uses at most (it costs their square)
    max_stability       customers that the stability uses at most
    stability_resamples how often they are clustered anew for it

    Raises:
        ValueError: a setting is out of its range.
    """

    common: SegmentationConfig = field(default_factory=SegmentationConfig)
    size_shares: tuple[float, ...] = (0.01, 0.04)
    min_samples: tuple[int, ...] = (5, 15, 30)
    least_size: int = 10
    noise_budget: float = 0.25
    most_segments: int = 8
    max_points: int = 20_000
    max_validity: int = 3000
    max_stability: int = 6000
    stability_resamples: int = 20

    def __post_init__(self) -> None:
        """Refuse settings that no training could honour."""
        if not 0 < self.noise_budget < 1:
            raise ValueError(f"noise_budget must be between 0 and 1, got {self.noise_budget}")
        if not self.size_shares or not all(0 < share < 0.5 for share in self.size_shares):
            raise ValueError(f"size_shares must be between 0 and .5, got {self.size_shares}")
        if not self.min_samples or min(self.min_samples) < 1:
            raise ValueError(f"min_samples must be 1 or more, got {self.min_samples}")


@dataclass(frozen=True)
class DensitySegmentation:
    """A fitted segmentation. Entry i of `ids`, `names` and `centroids` is the tree's segment i.

    Centroids are means in the scaled space of `MODEL_FEATURES`. An id that a segment once had is
    not given to another.
    """

    scaler: Scaler
    tree: DensityTree
    centroids: Floats
    ids: Ints
    names: tuple[str, ...]

    @property
    def types(self) -> dict[int, str]:
        """Each segment's name by its id, in the order of ids, and noise last."""
        named = dict(sorted(zip(self.ids.tolist(), self.names, strict=True)))
        return {**named, NOISE: NOISE_TYPE}

    @property
    def log_centroids(self) -> Floats:
        """The centroids as log(1 + feature): comparable between versions."""
        return self.centroids * self.scaler.scale + self.scaler.center

    def density_points(self, frame: pd.DataFrame) -> Floats:
        """Return the customers' points in the space in which density is measured."""
        return np.ascontiguousarray(self.scaler.transform(frame)[:, _COLUMNS])


def fit_density(
    frame: pd.DataFrame, config: DensityConfig, previous: DensitySegmentation | None = None
) -> DensitySegmentation:
    """Fit a segmentation on customers' features; of very many, on those first by their hash.

    Segment ids follow `previous`, whose nearest segments keep their id; without it they follow
    the order of the archetypes.

    Raises:
        ValueError: there are too few customers for any setting.
    """
    ranks = holdout_ranks(list(frame["customer_id"]), config.common.random_state)
    chosen = np.sort(np.argsort(ranks, kind="stable")[: config.max_points])
    frame = frame.iloc[chosen]
    scaler = fit_scaler(frame, config.common.min_scale)
    points = scaler.transform(frame)
    candidate = choose_tree(
        np.ascontiguousarray(points[:, _COLUMNS]),
        tuple(_size(share, len(points), config) for share in config.size_shares),
        config.min_samples,
        config.noise_budget,
        config.most_segments,
        config.max_validity,
        config.common.random_state,
    )
    centroids = _centroids(points, candidate)
    names = name_segments(centroids) if len(centroids) else ()
    ids = np.zeros(len(names), dtype=np.int64)
    ids[archetype_order(names)] = np.arange(len(names))
    if previous is not None and len(names):
        ids = _follow(centroids, scaler, previous, ids)
    return DensitySegmentation(scaler, candidate.tree, centroids, ids, names)


def _size(share: float, customers: int, config: DensityConfig) -> int:
    return max(config.least_size, round(share * customers))


def _centroids(points: Floats, candidate: Candidate) -> Floats:
    """Return each segment's mean; of one that no point was placed in, the mean of all."""
    groups = [points[candidate.labels == s] for s in range(candidate.tree.segments)]
    means = [group.mean(axis=0) if len(group) else points.mean(axis=0) for group in groups]
    return np.array(means).reshape(-1, points.shape[1])


def _follow(centroids: Floats, scaler: Scaler, previous: DensitySegmentation, order: Ints) -> Ints:
    """Return ids with which each segment keeps that of the nearest old one.

    The pairs are those with the least total squared distance; others take ids never used, in
    `order`.
    """
    if not len(previous.ids):
        return order
    old = (previous.log_centroids - scaler.center) / scaler.scale
    cost = ((old[:, None, :] - centroids[None, :, :]) ** 2).sum(axis=2)
    was, new = linear_sum_assignment(cost)
    heirs = dict(zip(new.tolist(), previous.ids[was].tolist(), strict=True))
    ids = np.zeros(len(centroids), dtype=np.int64)
    following = int(previous.ids.max()) + 1
    for segment in np.argsort(order).tolist():
        ids[segment] = heirs.get(segment, following)
        following += segment not in heirs
    return ids


def place_density(model: DensitySegmentation, frame: pd.DataFrame) -> Assignment:
    """Place customers in the segments of a fitted model, or in noise."""
    segment, confidence = place_points(model.tree, model.density_points(frame))
    return Assignment(np.append(model.ids, NOISE)[segment].astype(np.int64), confidence)


def density_stability(model: DensitySegmentation, config: DensityConfig) -> dict[int, Floats]:
    """Return each segment's Jaccard similarities under resampling, by its id.

    A resample has fewer points than were fitted on, so that the least size of a segment and the
    neighbours that make a core distance shrink in proportion.
    """
    tree, seed = model.tree, config.common.random_state
    random = np.random.default_rng(seed)
    most = min(len(tree.points), config.max_stability)
    points = tree.points[np.sort(random.choice(len(tree.points), most, replace=False))]
    labels = place_points(tree, points)[0]

    def refit(drawn: Ints) -> Ints:
        part = len(drawn) / len(tree.points)
        sampled = points[drawn]
        again = fit_tree(
            sampled, max(2, round(part * tree.least_size)), max(2, round(part * tree.min_samples))
        )
        return place_points(again, sampled)[0]

    found = bootstrap_jaccard(labels, refit, config.stability_resamples, seed, noise=NOISE)
    return {int(model.ids[segment]): values for segment, values in found.items()}


def density_content(model: DensitySegmentation) -> dict[str, Any]:
    """Return a model as the plain content of an artefact."""
    about = {
        "format": _FORMAT,
        "features": list(MODEL_FEATURES),
        "density": list(DENSITY_FEATURES),
        "names": list(model.names),
        "min_samples": model.tree.min_samples,
        "least_size": model.tree.least_size,
    }
    return {
        "about": json.dumps(about, sort_keys=True),
        "center": model.scaler.center,
        "scale": model.scaler.scale,
        "centroids": model.centroids,
        "ids": model.ids,
        **{name: getattr(model.tree, name) for name in _ARRAYS},
    }


def density_from_content(content: dict[str, Any]) -> DensitySegmentation:
    """Return the model that an artefact's content describes.

    Raises:
        ArtefactError: the content is of another format, or made for other features.
    """
    try:
        about = json.loads(content["about"])
        arrays = {name: np.asarray(content[name]) for name in _ARRAYS}
        tree = DensityTree(
            **arrays, min_samples=int(about["min_samples"]), least_size=int(about["least_size"])
        )
        model = DensitySegmentation(
            scaler=Scaler(np.asarray(content["center"]), np.asarray(content["scale"])),
            tree=tree,
            centroids=np.asarray(content["centroids"]),
            ids=np.asarray(content["ids"]),
            names=tuple(about["names"]),
        )
        fits = (
            about["format"] == _FORMAT
            and tuple(about["features"]) == MODEL_FEATURES
            and tuple(about["density"]) == DENSITY_FEATURES
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact holds no density segmentation: {error!r}") from error
    whole = (
        tree.points.shape == (len(tree.core), len(DENSITY_FEATURES))
        and model.centroids.shape == (tree.segments, len(MODEL_FEATURES))
        and len(model.ids) == len(model.names) == tree.segments
        and len(model.scaler.center) == len(MODEL_FEATURES)
    )
    if not fits or not whole:
        raise ArtefactError("the artefact is a segmentation of another format or other features")
    return model
