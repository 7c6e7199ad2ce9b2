"""Telling stages: the named baseline, and boosted trees with a rule for naming one stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost as xgb

from ml.journey_simulation import boosting
from ml.journey_simulation.chain import STATES
from ml.journey_simulation.config import StageConfig
from ml.journey_simulation.history import Floats, Ints
from ml.journey_simulation.scores import macro_f1
from ml.journey_simulation.stage_data import Case, StageData, stacked

POWERS = tuple(k / 10 for k in range(11))
"""Tried powers of the rule that names a stage (see `Teller`)."""


@dataclass(frozen=True, eq=False)
class Teller:
    """What tells stages.

    booster     trees for the chances of the stages; None for the baseline
    stays       [5], the baseline's chance that a customer keeps each stage
    prior       [5], shares of the stages in training
    power       the stage that is named is the one of largest chance / prior ** power: 0 names
                the likeliest, 1 the one that is most above what is usual. Half of the customers
                are Visitors, whom 0 would name nearly always; a stage that is never named is of
                no use to anybody
    """

    booster: xgb.Booster | None
    stays: Floats
    prior: Floats
    power: float = 0.0

    def chances(self, x: pd.DataFrame, last: Ints) -> Floats:
        """Return the chances of the stages [n x 5]."""
        if self.booster is not None:
            return boosting.chances(self.booster, x)
        others = np.tile(self.prior, (STATES, 1))
        np.fill_diagonal(others, 0)
        sums = others.sum(axis=1, keepdims=True)
        moves = others / np.where(sums > 0, sums, 1.0) * (1 - self.stays)[:, None]
        np.fill_diagonal(moves, self.stays)
        return np.asarray(moves[last])

    def names(self, chances: Floats, last: Ints) -> Ints:
        """Return the stage that is named for each row [n]."""
        if self.booster is None:
            return last
        return named(chances, self.prior, self.power)


@dataclass(frozen=True, eq=False)
class StageFit:
    """A fitted version: what tells the current stage, and what forecasts next month's."""

    current: Teller
    next: Teller


def named(chances: Floats, prior: Floats, power: float) -> Ints:
    """Return the stage of largest chance / prior ** power in each row [n]."""
    weighed = chances / np.maximum(prior, 1e-6) ** power
    return np.asarray(weighed.argmax(axis=1), dtype=np.int64)


def _shares(y: Ints) -> Floats:
    """Return the shares of the stages [5]; each as if seen once more, so that none is 0."""
    counts = np.bincount(y, minlength=STATES) + 1.0
    return np.asarray(counts / counts.sum())


def fit_last_stage(cases: Sequence[Case]) -> Teller:
    """Fit `last_stage`: the next stage is the current one, as often as it used to be."""
    _, last, y, _ = stacked(cases)
    stays = np.array([((y == s) & (last == s)).sum() + 1.0 for s in range(STATES)]) / np.array(
        [(last == s).sum() + 2.0 for s in range(STATES)]
    )
    return Teller(None, stays, _shares(y))


def fit_trees(cases: Sequence[Case], power: float, config: StageConfig) -> Teller:
    """Fit trees, with a given power."""
    x, _, y, _ = stacked(cases)
    booster = boosting.fit(
        x, y.astype(np.float64), config.booster, config.random_state, classes=STATES
    )
    return Teller(booster, np.zeros(STATES), _shares(y), power)


def fit_teller(cases: Sequence[Case], config: StageConfig) -> Teller:
    """Fit trees; the power is the best on the latest cases of trees fit on the older ones."""
    older, latest = cases[: -config.tuning_origins], cases[-config.tuning_origins :]
    tried = fit_trees(older, 0.0, config)
    x, last, y, _ = stacked(latest)
    chances = tried.chances(x, last)
    scores = [macro_f1(y, named(chances, tried.prior, power)) for power in POWERS]
    return fit_trees(cases, POWERS[int(np.argmax(scores))], config)


def fit_baseline(data: StageData) -> StageFit:
    """Fit `last_stage` for both questions."""
    return StageFit(fit_last_stage(data.current_train), fit_last_stage(data.next_train))


def fit(data: StageData, config: StageConfig) -> StageFit:
    """Fit trees for both questions."""
    return StageFit(fit_teller(data.current_train, config), fit_teller(data.next_train, config))
