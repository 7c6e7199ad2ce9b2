"""The chance of a purchase in the next days: the named baseline, and boosted trees."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import optuna
import pandas as pd
import xgboost as xgb

from ml.journey_simulation import boosting
from ml.journey_simulation.calibration import Platt, fit_platt
from ml.journey_simulation.config import BoosterConfig, ConversionConfig
from ml.journey_simulation.history import Floats, Ints
from ml.journey_simulation.origins import Origin, stacked
from ml.journey_simulation.scores import log_losses

log = logging.getLogger(__name__)

RECENCY_EDGES = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0)
"""Bins of the baseline: days since the last order; without any, since the registration."""

FREQUENCY_EDGES = (1.0, 2.0, 3.0, 5.0, 10.0)
"""Bins of the baseline: no order, 1, 2, 3 to 4, 5 to 9, and 10 or more."""


@dataclass(frozen=True, eq=False)
class ConversionFit:
    """A fitted version.

    rates       [8 x 6], the baseline's rate by recency and frequency; empty for trees
    booster     the trees; None for the baseline
    platt       what makes their probabilities keep what they promise
    average     share of training outcomes that were purchases
    settings    the trees' settings
    tuning      how these settings were found
    """

    rates: Floats
    booster: xgb.Booster | None
    platt: Platt = field(default_factory=Platt)
    average: float = 0.0
    settings: BoosterConfig = field(default_factory=BoosterConfig)
    tuning: str = ""


def _bins(x: pd.DataFrame) -> tuple[Ints, Ints]:
    orders = x["orders"].to_numpy()
    since = np.where(orders > 0, x["days_since_order"], x["registered_days"])
    return (
        np.searchsorted(RECENCY_EDGES, since, side="right"),
        np.searchsorted(FREQUENCY_EDGES, orders, side="right"),
    )


def fit_baseline(origins: Sequence[Origin], config: ConversionConfig) -> ConversionFit:
    """Fit `recency_rate`: the share of buyers among customers alike in recency and frequency.

    Each bin begins with `prior_weight` customers of the average rate.
    """
    x, y, _ = stacked(origins)
    shape = (len(RECENCY_EDGES) + 1, len(FREQUENCY_EDGES) + 1)
    buyers, all_of = np.zeros(shape), np.zeros(shape)
    where = _bins(x)
    np.add.at(buyers, where, y)
    np.add.at(all_of, where, 1.0)
    average = float(y.mean())
    rates = (buyers + config.prior_weight * average) / (all_of + config.prior_weight)
    return ConversionFit(rates=rates, booster=None, average=average)


def predict(fitted: ConversionFit, x: pd.DataFrame) -> Floats:
    """Return the chance of a purchase of each row [n]."""
    if fitted.booster is None:
        return np.asarray(fitted.rates[_bins(x)], dtype=np.float64)
    return fitted.platt.apply(boosting.chances(fitted.booster, x))


def fit(origins: Sequence[Origin], config: ConversionConfig) -> ConversionFit:
    """Fit trees: tune and calibrate on the latest origins, out of time, then learn from all.

    The calibration is of trees with the same settings that have learnt from the older origins
    alone. Every outcome that these learnt from was over when the first of the latest began.
    """
    older, latest = origins[: -config.calibration_origins], origins[-config.calibration_origins :]
    settings, tuning = tune(older, latest, config)
    return replace(fit_with(origins, settings, config), tuning=tuning)


def fit_with(
    origins: Sequence[Origin], settings: BoosterConfig, config: ConversionConfig
) -> ConversionFit:
    """Fit and calibrate trees of given settings."""
    older, latest = origins[: -config.calibration_origins], origins[-config.calibration_origins :]
    x, y, _ = stacked(older)
    held_x, held_y, _ = stacked(latest)
    trees = boosting.fit(x, y, settings, config.random_state)
    platt = fit_platt(boosting.chances(trees, held_x), held_y)
    all_x, all_y, _ = stacked(origins)
    return ConversionFit(
        rates=np.zeros((0, 0)),
        booster=boosting.fit(all_x, all_y, settings, config.random_state),
        platt=platt,
        average=float(all_y.mean()),
        settings=settings,
    )


def tune(
    older: Sequence[Origin], latest: Sequence[Origin], config: ConversionConfig
) -> tuple[BoosterConfig, str]:
    """Return the settings of least log loss on the latest origins, and how they were found.

    A fixed number of seeded trials makes the result follow from the data alone. The time budget
    is a guard against a machine that cannot do them: where it ends the trials, the settings are
    the default ones, and not those of the trials that happened to be done.
    """
    if config.trials == 0:
        return config.booster, "default settings"
    x, y, _ = stacked(older)
    held_x, held_y, _ = stacked(latest)
    started = time.perf_counter()

    def loss(trial: optuna.Trial) -> float:
        trees = boosting.fit(x, y, _suggest(trial), config.random_state)
        return float(log_losses(boosting.chances(trees, held_x), held_y).mean())

    def guard(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if time.perf_counter() - started > config.tuning_seconds:
            study.stop()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=config.random_state))
    # The default settings are the first trial: tuning ends no worse than without it.
    study.enqueue_trial({name: getattr(config.booster, name) for name in _TUNED})
    study.optimize(loss, n_trials=config.trials, callbacks=[guard])
    if len(study.trials) < config.trials:
        log.warning("tuning took longer than %s s: default settings", config.tuning_seconds)
        return config.booster, "tuning took too long: default settings"
    found = replace(config.booster, **study.best_params)
    return found, f"best of {config.trials} trials"


_TUNED = ("rounds", "learning_rate", "max_depth", "min_child_weight", "reg_lambda", "colsample")


def _suggest(trial: optuna.Trial) -> BoosterConfig:
    return BoosterConfig(
        rounds=trial.suggest_int("rounds", 60, 180, step=20),
        learning_rate=trial.suggest_float("learning_rate", 0.03, 0.12, log=True),
        max_depth=trial.suggest_int("max_depth", 2, 5),
        min_child_weight=trial.suggest_float("min_child_weight", 5.0, 80.0, log=True),
        reg_lambda=trial.suggest_float("reg_lambda", 1.0, 20.0, log=True),
        colsample=trial.suggest_float("colsample", 0.4, 1.0),
    )
