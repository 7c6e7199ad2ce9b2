"""How good a segmentation is: on customers held out, beside a simple rule and the champion.

Every segmentation, of whatever kind, is judged by the same question: how much does a customer's
segment tell of what the customer does next? What that was, no segmentation has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml import evaluation
from ml.customer_segmentation.config import BASELINE, SegmentationConfig
from ml.customer_segmentation.model import Segmentation, assign, predict
from ml.metrics import Interval, Metric


@dataclass(frozen=True)
class Split:
    """Customers to fit on, and customers that no version ever fits on."""

    fit: pd.DataFrame
    holdout: pd.DataFrame


@dataclass(frozen=True)
class Verdict:
    """How a new version did on held-out customers, and whether it may become champion."""

    metrics: tuple[Metric, ...]
    promoted: bool
    message: str


def split(frame: pd.DataFrame, config: SegmentationConfig) -> Split:
    """Split customers by a hash of their id, so that the same ones are held out every time."""
    ranks = evaluation.holdout_ranks(list(frame["customer_id"]), config.random_state)
    held = frame[ranks < config.holdout_share]
    order = np.argsort(ranks[ranks < config.holdout_share], kind="stable")
    return Split(
        fit=frame[ranks >= config.holdout_share].reset_index(drop=True),
        holdout=held.iloc[order[: config.max_silhouette]].reset_index(drop=True),
    )


def monetary_quintiles(train: pd.DataFrame, frame: pd.DataFrame) -> evaluation.Ints:
    """Return the baseline's groups: five by spending, with bounds from the training customers."""
    bounds = np.quantile(train["monetary"].to_numpy(), [0.2, 0.4, 0.6, 0.8])
    return np.searchsorted(bounds, frame["monetary"].to_numpy(), side="right").astype(np.int64)


def judge(
    challenger: Segmentation,
    reigning: Segmentation | None,
    parts: Split,
    config: SegmentationConfig,
) -> Verdict:
    """Compare a new version with the baseline and the champion, on held-out customers.

    All are measured by their silhouette in the challenger's scaled space. The differences are
    paired (customer by customer), which is what makes their interval narrow. The challenger
    wins unless the whole 95 % interval of its difference to the champion lies below 0.
    """

    def interval(values: evaluation.Floats) -> Interval:
        return evaluation.bootstrap_mean(values, config.resamples, config.random_state)

    points = challenger.scaler.transform(parts.holdout)
    own = evaluation.silhouettes(points, assign(points, challenger.centroids).segment)
    base = evaluation.silhouettes(points, monetary_quintiles(parts.fit, parts.holdout))
    if own is None:
        first = reigning is None
        told = "too few held-out customers to measure it"
        return Verdict((), first, told + ("" if first else "; the champion stays"))

    score = interval(own)
    if base is None:
        metrics = [Metric("silhouette", score.value, score.low, score.high)]
    else:
        gain = interval(own - base)
        metrics = [
            Metric(
                "silhouette", score.value, score.low, score.high, BASELINE, interval(base).value
            ),
            Metric("silhouette_gain", gain.value, gain.low, gain.high, BASELINE, 0.0),
        ]
    message = f"silhouette {score.value:.3f} ({score.low:.3f} to {score.high:.3f})"
    if base is not None:
        message += f", {BASELINE} {interval(base).value:.3f}"
    if reigning is None:
        return Verdict(tuple(metrics), True, message + "; first champion")

    theirs = evaluation.silhouettes(points, predict(reigning, parts.holdout).segment)
    if theirs is None:
        return Verdict(
            tuple(metrics), True, message + "; the champion no longer tells groups apart"
        )
    difference = interval(own - theirs)
    metrics.append(
        Metric(
            "gain_over_champion", difference.value, difference.low, difference.high, "champion", 0.0
        )
    )
    promoted = difference.high >= 0
    told = "not worse than the champion, which it replaces" if promoted else "worse: champion stays"
    return Verdict(tuple(metrics), promoted, f"{message}; {told} ({difference.value:+.3f})")


def later_spending_losses(
    labels_fit: evaluation.Ints,
    outcome_fit: evaluation.Floats,
    labels_holdout: evaluation.Ints,
    outcome_holdout: evaluation.Floats,
) -> evaluation.Floats:
    """Return how far each held-out customer's later behaviour lies from its segment's mean.

    Args:
        labels_fit: segment of each customer that was fitted on, shape (n,); noise is a segment
        outcome_fit: what they did later, shape (n, outcomes), as `later_purchases` returns it
        labels_holdout: segment of each held-out customer, shape (m,)
        outcome_holdout: what those did later, shape (m, outcomes)

    Returns:
        Per held-out customer the squared distance to the mean of its segment's fitted
        customers (of all of them where it has none), in units of each outcome's variance, as
        the mean over outcomes; shape (m,). One minus its mean is the share of variance that
        the segments explain, out of sample.

    Raises:
        ValueError: nobody was fitted on, or the shapes do not belong together.
    """
    if len(labels_fit) == 0:
        raise ValueError("the means of segments need customers to take them from")
    if (len(labels_fit), len(labels_holdout)) != (len(outcome_fit), len(outcome_holdout)):
        raise ValueError("labels and outcomes must be of the same customers")
    overall = outcome_fit.mean(axis=0)
    expected = np.tile(overall, (len(labels_holdout), 1))
    for label in np.unique(labels_fit):
        expected[labels_holdout == label] = outcome_fit[labels_fit == label].mean(axis=0)
    variance = outcome_fit.var(axis=0)
    scale = np.where(variance > 0, variance, 1.0)
    losses: evaluation.Floats = (np.square(outcome_holdout - expected) / scale).mean(axis=1)
    return losses
