"""The company's revenue per day: the method that won its backtest, with intervals from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.artefacts import ArtefactError
from ml.forecasting.backtest import Errors, Layout, backtest, choose, forecast_from
from ml.forecasting.conformal import HALF_WINDOW, bounds
from ml.forecasting.daily import Daily, ExponentialSmoothing, Method, SeasonalNaive, Theta
from ml.forecasting.daily_learners import GradientBoosting, Prophet

Floats = NDArray[np.float64]

METHODS: dict[str, Method] = {
    method.name: method
    for method in (SeasonalNaive(), Theta(), ExponentialSmoothing(), GradientBoosting(), Prophet())
}
BASELINE = SeasonalNaive.name

HORIZONS = (30, 90)
LEVELS = (0.8, 0.95)
FILE = "company.json"


@dataclass(frozen=True)
class Bounds:
    """What to add to a forecast for the bounds of an interval, in units of the recent level.

    low, high   one value per day of the horizon
    total_low, total_high   the same of the sums of the first 30 and 90 days, in that order
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    total_low: tuple[float, ...]
    total_high: tuple[float, ...]


@dataclass(frozen=True)
class CompanyVersion:
    """A fitted forecast of the company's revenue.

    method      name of the method
    params      what it has learnt
    bounds      by level of confidence ("0.8", "0.95")
    mean_error  mean absolute error of each day of the horizon, in units of the recent level
    """

    method: str
    params: bytes
    bounds: Mapping[str, Bounds]
    mean_error: tuple[float, ...]


@dataclass(frozen=True)
class CompanyForecast:
    """Revenue of each day of the horizon, shape (horizon_days,), and of its first 30 and 90 days.

    low, high       bounds by level of confidence
    totals          (days, sum, low, high) by level of confidence
    confidence      forecast over forecast and mean absolute error: 1 for errors of nothing, 0.5
                    where a day is usually wrong by as much as is forecast
    """

    values: Floats
    low: Mapping[str, Floats]
    high: Mapping[str, Floats]
    totals: Mapping[str, tuple[tuple[int, float, float, float], ...]]
    confidence: Floats


def fit_bounds(errors: Errors, level: float) -> Bounds:
    """Return the bounds that past errors give, each of its sides exceeded with equal chance."""
    relative = errors.error / errors.level[:, None]
    low, high = [], []
    days = relative.shape[1]
    for day in range(days):
        near = relative[:, max(day - HALF_WINDOW, 0) : day + HALF_WINDOW + 1]
        below, above = bounds(near, level)
        low.append(below)
        high.append(above)
    total_low, total_high = [], []
    for horizon in HORIZONS:
        sums = relative[:, :horizon].sum(axis=1)
        below, above = bounds(sums[:, None], level)
        total_low.append(below)
        total_high.append(above)
    return Bounds(*(tuple(map(float, side)) for side in (low, high, total_low, total_high)))


def fit_method(
    name: str, series: Daily, errors: Errors, layout: Layout, seed: int
) -> CompanyVersion:
    """Return a method fitted to all of `series`, with the bounds that its past errors give."""
    relative = np.abs(errors.error / errors.level[:, None]).mean(axis=0)
    return CompanyVersion(
        method=name,
        params=METHODS[name].fit(series, layout.leads, seed),
        bounds={str(level): fit_bounds(errors, level) for level in LEVELS},
        mean_error=tuple(map(float, relative)),
    )


def try_methods(
    series: Daily, names: Sequence[str], layout: Layout, seed: int
) -> dict[str, Errors]:
    """Return the errors of methods in the backtest, the baseline always among them."""
    wanted = sorted({BASELINE, *names})
    return backtest(series, [METHODS[name] for name in wanted], layout, seed)


def winner(tried: dict[str, Errors]) -> str:
    """Return the method that won the backtest."""
    return choose(tried, BASELINE, HORIZONS)


def forecast(
    version: CompanyVersion, series: Daily, origin: date, layout: Layout
) -> CompanyForecast:
    """Return the days from `origin` on, forecast from the settled days before it."""
    method = METHODS[version.method]
    values = forecast_from(method, version.params, series, origin, layout)
    level = series.before(origin - timedelta(days=layout.settle_days)).level
    low, high, totals = {}, {}, {}
    for name, own in version.bounds.items():
        low[name] = np.clip(values + level * np.array(own.low), 0.0, values)
        high[name] = np.maximum(values + level * np.array(own.high), values)
        totals[name] = tuple(
            (
                days,
                float(values[:days].sum()),
                max(float(values[:days].sum()) + level * own.total_low[k], 0.0),
                float(values[:days].sum()) + level * own.total_high[k],
            )
            for k, days in enumerate(HORIZONS)
        )
    mistake = level * np.array(version.mean_error)
    confidence = values / np.maximum(values + mistake, 1e-9)
    return CompanyForecast(values, low, high, totals, confidence)


def to_files(version: CompanyVersion) -> dict[str, bytes]:
    """Return a version as files: its bounds as JSON, and what its method has learnt."""
    content = {
        "method": version.method,
        "bounds": {name: asdict(bounds) for name, bounds in sorted(version.bounds.items())},
        "mean_error": version.mean_error,
    }
    return {
        FILE: json.dumps(content, sort_keys=True).encode(),
        METHODS[version.method].file: version.params,
    }


def from_files(files: Mapping[str, bytes]) -> CompanyVersion:
    """Return the version that `to_files` made files of.

    Raises:
        ArtefactError: a file is missing or another.
    """
    try:
        content: dict[str, Any] = json.loads(files[FILE])
        return CompanyVersion(
            content["method"],
            files[METHODS[content["method"]].file],
            {
                name: Bounds(**{key: tuple(values) for key, values in bounds.items()})
                for name, bounds in content["bounds"].items()
            },
            tuple(content["mean_error"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact holds no forecast of revenue: {error!r}") from error
