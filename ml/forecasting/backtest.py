"""Rolling-origin backtest of daily forecasts, laid out as they are used.

A night forecasts the days from the night on, from a history whose last `settle_days` are left out
(their orders are still pending), with parameters learnt up to `stale_days` before it. Each origin
of the backtest does the same: so its errors are those to expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ml.forecasting.daily import WEEK, Daily, Method

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """How origins lie.

    horizon_days    days that each origin forecasts
    settle_days     days before an origin whose orders have not settled
    stale_days      days from what parameters were learnt from to the first origin using them
    step_days       days between origins
    refit_every     origins that share parameters
    min_days        least days of history to learn parameters from
    max_origins     the latest so many origins are used
    """

    horizon_days: int = 90
    settle_days: int = 7
    stale_days: int = 90
    step_days: int = 7
    refit_every: int = 8
    min_days: int = 120
    max_origins: int = 52

    @property
    def leads(self) -> int:
        """Days that a method forecasts: those of the horizon, and those left out before it."""
        return self.settle_days + self.horizon_days

    def origins(self, series: Daily) -> list[date]:
        """Return the origins whose days all lie within `series`, in order."""
        first = self.min_days + self.stale_days
        last = len(series.values) - self.horizon_days
        offsets = range(last, first - 1, -self.step_days)[: self.max_origins]
        return [series.start + timedelta(days=offset) for offset in reversed(offsets)]


@dataclass(frozen=True)
class Errors:
    """What a method forecast, and by how much it was wrong; shape (origins, horizon_days).

    error       actual less forecast
    level       the recent level of the series at each origin, shape (origins,)
    scale       mean absolute difference of a day to the same weekday a week before, the unit of
                MASE (Hyndman and Koehler, 2006)
    """

    error: Floats
    level: Floats
    scale: float

    def mase(self, days: int) -> float:
        """Return the mean absolute scaled error of the first `days` days."""
        return float(np.abs(self.error[:, :days]).mean() / self.scale)

    def by_origin(self, days: int) -> Floats:
        """Return each origin's mean absolute scaled error of the first `days` days."""
        return np.asarray(np.abs(self.error[:, :days]).mean(axis=1) / self.scale)


def naive_scale(values: Floats) -> float:
    """Return the mean absolute difference of a day to the same weekday a week before."""
    if len(values) <= WEEK:
        return 1e-9
    return max(float(np.abs(values[WEEK:] - values[:-WEEK]).mean()), 1e-9)


def forecast_from(
    method: Method, params: bytes, series: Daily, origin: date, layout: Layout
) -> Floats:
    """Return the days from `origin` on, shape (horizon_days,), never below 0."""
    history = series.before(origin - timedelta(days=layout.settle_days))
    found = method.forecast(params, history, layout.leads)[layout.settle_days :]
    return np.maximum(found, 0.0)


def backtest(
    series: Daily, methods: Sequence[Method], layout: Layout, seed: int
) -> dict[str, Errors]:
    """Return each method's errors at all origins, by its name.

    Args:
        series: all settled days that may be learnt from.
        methods: those to try.
        layout: how origins lie; `series` must have room for at least one.
        seed: for methods that draw.

    Raises:
        ValueError: the series is too short for an origin.
    """
    origins = layout.origins(series)
    if not origins:
        raise ValueError(f"{len(series.values)} days have no room for an origin")
    actual = np.stack([
        series.between(o, o + timedelta(days=layout.horizon_days)) for o in origins
    ])  # fmt: skip
    settle = timedelta(days=layout.settle_days)
    level = np.array([series.before(o - settle).level for o in origins])
    scale = naive_scale(series.values)
    found = {}
    for method in methods:
        rows, params = [], b""
        for number, origin in enumerate(origins):
            if number % layout.refit_every == 0:
                learnt = origin - timedelta(days=layout.stale_days)
                params = method.fit(series.before(learnt), layout.leads, seed)
            rows.append(forecast_from(method, params, series, origin, layout))
        found[method.name] = Errors(actual - np.stack(rows), level, scale)
    return found


def choose(tried: dict[str, Errors], baseline: str, horizons: Sequence[int]) -> str:
    """Return the method of least mean MASE over the horizons among those that beat the baseline.

    To beat it, a method must have the smaller MASE at every horizon; where none has, it is the
    baseline. Of equals the first by name is chosen.
    """
    better = [
        name
        for name in sorted(tried)
        if all(tried[name].mase(days) < tried[baseline].mase(days) for days in horizons)
    ]
    if not better:
        return baseline
    return min(better, key=lambda name: sum(tried[name].mase(days) for days in horizons))
