"""Prophet and gradient boosting of a daily series; see `ml.forecasting.daily`."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ml.forecasting.daily import LEVEL_DAYS, WEEK, Daily, Floats, Method

_LEAST_HISTORY = 84
"""Days that the features of an origin look back."""
_ORIGIN_STEP = 3
"""Gradient boosting learns from every so many-th origin."""


class Prophet(Method):
    """Prophet (Taylor and Letham, 2018): a piecewise trend and a week that scales with it.

    Its trend and week are learnt once; the forecast is scaled so that it agrees with the recent
    level of the history.
    """

    name = "prophet"
    file = "prophet.json"

    def fit(self, history: Daily, leads: int, seed: int) -> bytes:
        """See `Method.fit`."""
        from prophet import Prophet as Library
        from prophet.serialize import model_to_json

        for noisy in ("prophet", "cmdstanpy"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        model = Library(
            weekly_seasonality=True,
            daily_seasonality=False,
            yearly_seasonality="auto",
            seasonality_mode="multiplicative",
            uncertainty_samples=0,
        )
        days = pd.date_range(history.start, periods=len(history.values), freq="D")
        model.fit(pd.DataFrame({"ds": days, "y": history.values}), seed=seed)
        text: str = model_to_json(model)
        return json.dumps(json.loads(text), sort_keys=True).encode()

    def forecast(self, params: bytes, history: Daily, leads: int) -> Floats:
        """See `Method.forecast`."""
        from prophet.serialize import model_from_json

        model = model_from_json(params.decode())
        recent = min(LEVEL_DAYS, len(history.values))
        first = history.end - timedelta(days=recent)
        days = pd.date_range(first, periods=recent + leads, freq="D")
        found = model.predict(pd.DataFrame({"ds": days}))["yhat"].to_numpy(dtype=np.float64)
        fitted = float(found[:recent].mean())
        scale = float(history.values[-recent:].mean()) / fitted if fitted > 0 else 1.0
        return np.asarray(found[recent:] * scale)


class GradientBoosting(Method):
    """Gradient boosted trees over lead, weekday, and how the recent weeks compare.

    One model for all leads, in units of the recent level, which lets it forecast a level that it
    has never seen.
    """

    name = "xgboost"
    file = "xgboost.ubj"

    def fit(self, history: Daily, leads: int, seed: int) -> bytes:
        """See `Method.fit`."""
        import xgboost

        features, targets = _examples(history, leads)
        settings: dict[str, Any] = {
            "objective": "reg:squarederror",
            "max_depth": 4,
            "eta": 0.1,
            "subsample": 0.7,
            "min_child_weight": 20,
            "tree_method": "hist",
            "nthread": 1,
            "seed": seed,
        }
        booster = xgboost.train(
            settings, xgboost.DMatrix(features, label=targets, nthread=1), num_boost_round=60
        )
        return bytes(booster.save_raw("ubj"))

    def forecast(self, params: bytes, history: Daily, leads: int) -> Floats:
        """See `Method.forecast`."""
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(params))
        rows = _features(history.values, history.start, len(history.values), leads)
        with threadpool_limits(limits=1):
            found = booster.predict(xgboost.DMatrix(rows, nthread=1))
        return np.asarray(found * history.level, dtype=np.float64)


def _features(values: Floats, start: date, end: int, leads: int) -> Floats:
    """Return the features of the `leads` days after the first `end` values, shape (leads, 6).

    They are: lead; weekday; the same weekday's mean over eight weeks, the last week, the four
    weeks before the last four, and the last twelve weeks, each over the recent level.
    """
    past = values[:end]
    level = Daily(start, past).level
    ahead = np.arange(leads)
    weekdays = (start.weekday() + end + ahead) % WEEK
    weeks = past[-8 * WEEK :].reshape(-1, WEEK).mean(axis=0) / level
    shared = [
        past[-WEEK:].mean() / level,
        past[-2 * LEVEL_DAYS : -LEVEL_DAYS].mean() / level,
        past[-_LEAST_HISTORY:].mean() / level,
    ]
    return np.column_stack(
        [ahead + 1, weekdays, weeks[ahead % WEEK], *(np.full(leads, value) for value in shared)]
    )


def _examples(history: Daily, leads: int) -> tuple[Floats, Floats]:
    """Return features and targets (in units of the recent level) of all earlier origins."""
    values, size = history.values, len(history.values)
    features, targets = [], []
    for end in range(_LEAST_HISTORY, size, _ORIGIN_STEP):
        known = min(leads, size - end)
        features.append(_features(values, history.start, end, known))
        level = Daily(history.start, values[:end]).level
        # A level near 0 makes a ratio of any size; no forecast is to be learnt from it.
        targets.append(np.clip(values[end : end + known] / level, -10.0, 10.0))
    return np.concatenate(features), np.concatenate(targets)
