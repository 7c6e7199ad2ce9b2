"""Methods that forecast a daily series: the seasonal naive answer and four that learn.

A method learns parameters from a history, and forecasts any later history of the same series from
them. What it learns may be old by then, what it forecasts from never is: Theta and exponential
smoothing follow the level by themselves, gradient boosting forecasts in units of the recent level,
and Prophet's trend is moved to it.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

WEEK = 7
LEVEL_DAYS = 28
"""The recent level of a series is its mean over so many days: four whole weeks."""


@dataclass(frozen=True)
class Daily:
    """A value for each day from `start` on."""

    start: date
    values: Floats

    @property
    def end(self) -> date:
        """The day after the last one."""
        return self.start + timedelta(days=len(self.values))

    def before(self, day: date) -> Daily:
        """Return the days before `day`."""
        return Daily(self.start, self.values[: max((day - self.start).days, 0)])

    def between(self, start: date, end: date) -> Floats:
        """Return the values of [start, end), so far as there are any."""
        first = max((start - self.start).days, 0)
        return self.values[first : max((end - self.start).days, 0)]

    @property
    def level(self) -> float:
        """The mean of the last four weeks, or what little of it can be told from nothing."""
        recent = float(self.values[-LEVEL_DAYS:].mean())
        return max(recent, 0.05 * float(np.abs(self.values).mean()), 1e-9)


class Method(ABC):
    """One way to forecast."""

    name: ClassVar[str]
    file: ClassVar[str]
    """Name of the file that its parameters are kept in."""

    @abstractmethod
    def fit(self, history: Daily, leads: int, seed: int) -> bytes:
        """Return the parameters learnt from a history, to forecast up to `leads` days ahead."""

    @abstractmethod
    def forecast(self, params: bytes, history: Daily, leads: int) -> Floats:
        """Return the `leads` days after `history`, shape (leads,)."""


class SeasonalNaive(Method):
    """Each day is as the same weekday of the last week; learns nothing."""

    name = "seasonal_naive"
    file = "seasonal_naive.json"

    def fit(self, history: Daily, leads: int, seed: int) -> bytes:
        """See `Method.fit`."""
        return b"{}"

    def forecast(self, params: bytes, history: Daily, leads: int) -> Floats:
        """See `Method.forecast`."""
        return np.resize(history.values[-WEEK:], leads)


class Theta(Method):
    """The standard Theta method on the series without its weekdays.

    Assimakopoulos and Nikolopoulos, International Journal of Forecasting 16 (4), 2000. Its few
    parameters are found anew for each history.
    """

    name = "theta"
    file = "theta.json"

    def fit(self, history: Daily, leads: int, seed: int) -> bytes:
        """See `Method.fit`."""
        return b"{}"

    def forecast(self, params: bytes, history: Daily, leads: int) -> Floats:
        """See `Method.forecast`."""
        from statsforecast.models import Theta as StatsTheta

        with threadpool_limits(limits=1):
            # Weekdays are added, not multiplied: a day without sales is no error.
            model = StatsTheta(season_length=WEEK, decomposition_type="additive")
            found = model.forecast(y=history.values, h=leads)
        return np.asarray(found["mean"], dtype=np.float64)


class ExponentialSmoothing(Method):
    """Exponential smoothing in state space form (Hyndman et al., 2002).

    `fit` chooses error, trend and season by the corrected AIC; smoothing weights are found anew
    for each history.
    """

    name = "ets"
    file = "ets.json"

    def fit(self, history: Daily, leads: int, seed: int) -> bytes:
        """See `Method.fit`."""
        from statsforecast.models import AutoETS

        with threadpool_limits(limits=1):
            # Additive only: the others need values above 0.
            chosen = AutoETS(season_length=WEEK, model="AZA").fit(y=history.values)
        error, trend, season, damped = chosen.model_["components"][:4]
        spec = {"model": f"{error}{trend}{season}", "damped": damped == "D"}
        return json.dumps(spec, sort_keys=True).encode()

    def forecast(self, params: bytes, history: Daily, leads: int) -> Floats:
        """See `Method.forecast`."""
        from statsforecast.models import AutoETS

        spec: dict[str, Any] = json.loads(params)
        with threadpool_limits(limits=1):
            model = AutoETS(season_length=WEEK, model=spec["model"], damped=spec["damped"])
            found = model.forecast(y=history.values, h=leads)
        return np.asarray(found["mean"], dtype=np.float64)
