"""How good a segmentation is: on customers held out, by what they do afterwards.

Groups are worth having if they tell customers apart who will behave differently. So a segmentation
is measured by the share of the variance of later spending, log(1 + amount) in the inference
window, that its groups explain (the R squared of a one-way analysis of variance), on customers
that no version has fit on and from days that none has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml import evaluation
from ml.customer_segmentation.config import BASELINE, SegmentationConfig
from ml.metrics import Interval, Metric
from ml.model import Judgement

Floats = evaluation.Floats
Ints = evaluation.Ints


@dataclass(frozen=True)
class Split:
    """Customers to fit on, and customers that no version ever fits on."""

    fit: pd.DataFrame
    holdout: pd.DataFrame


@dataclass(frozen=True)
class Grouping:
    """Somebody's groups of the same customers: labels of those fit on, and of those held out."""

    fit: Ints
    holdout: Ints


def split(frame: pd.DataFrame, config: SegmentationConfig) -> Split:
    """Split customers by a hash of their id, so that the same ones are held out every time."""
    ranks = evaluation.holdout_ranks(list(frame["customer_id"]), config.random_state)
    held = ranks < config.holdout_share
    # By the hash: the first so many of them are a sample.
    order = np.argsort(ranks[held], kind="stable")
    return Split(
        fit=frame[~held].reset_index(drop=True),
        holdout=frame[held].iloc[order].reset_index(drop=True),
    )


def later_spending_losses(groups: Grouping, fit_outcome: Floats, outcome: Floats) -> Floats:
    """Return each held-out customer's squared error, shape (held out,).

    What is predicted is the mean outcome of the customers fit on with the same label, or of all
    of them for a label that none has.
    """
    means = dict.fromkeys(groups.holdout.tolist(), float(fit_outcome.mean()))
    for label in np.unique(groups.fit):
        means[int(label)] = float(fit_outcome[groups.fit == label].mean())
    predicted = np.array([means[label] for label in groups.holdout.tolist()])
    return np.asarray((outcome - predicted) ** 2)


def compare(
    challenger: Grouping,
    baseline: Grouping,
    champion: Grouping,
    fit_outcome: Floats,
    outcome: Floats,
    config: SegmentationConfig,
) -> Judgement:
    """Return how much more of later spending the challenger's groups tell, pair by pair.

    Outcomes are log(1 + amount) of the window. Where nobody held out differs, nothing is gained.
    """
    spread = float(outcome.var()) if len(outcome) else 0.0
    if not spread or not len(fit_outcome):
        nothing = Interval(0.0, 0.0, 0.0)
        return Judgement((), nothing, "nobody held out has bought in the window: nothing to tell")

    def interval(values: Floats) -> Interval:
        return evaluation.bootstrap_mean(values / spread, config.resamples, config.random_state)

    own, base, theirs = (
        later_spending_losses(groups, fit_outcome, outcome)
        for groups in (challenger, baseline, champion)
    )
    told, simple = interval(spread - own), interval(spread - base)
    gain = interval(theirs - own)
    metrics = (
        Metric("later_spending_explained", told.value, told.low, told.high, BASELINE, simple.value),
    )
    return Judgement(
        metrics,
        gain,
        f"tells {told.value:.1%} of later spending ({BASELINE} {simple.value:.1%})",
    )


def silhouette_metric(
    points: Floats, labels: Ints, base: Ints, config: SegmentationConfig
) -> tuple[Metric, ...]:
    """Return the mean silhouette of held-out customers beside the baseline's, where defined."""
    own = evaluation.silhouettes(points, labels)
    simple = evaluation.silhouettes(points, base)
    if own is None:
        return ()
    score = evaluation.bootstrap_mean(own, config.resamples, config.random_state)
    if simple is None:
        return (Metric("silhouette", score.value, score.low, score.high),)
    return (
        Metric(
            "silhouette", score.value, score.low, score.high, BASELINE,
            evaluation.bootstrap_mean(simple, config.resamples, config.random_state).value,
        ),
    )  # fmt: skip
