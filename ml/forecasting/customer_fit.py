"""Customers' revenue of the next month: the method that won its backtest, with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.artefacts import ArtefactError
from ml.forecasting.config import RevenueConfig
from ml.forecasting.conformal import upper_quantile
from ml.forecasting.customers import (
    BASELINE,
    METHODS,
    BuyTillYouDie,
    backtest_origins,
    tweedie_deviance,
)
from ml.forecasting.likelihood import NotFittedError
from ml.forecasting.purchases import Buyers, Purchases

Floats = NDArray[np.float64]

FILE = "customers.json"
LEVELS = (0.8, 0.95)


@dataclass(frozen=True)
class Tried:
    """What a method forecast at all origins of the backtest, and what was spent.

    `loss` is the mean Tweedie deviance.
    """

    forecast: Floats
    spent: Floats

    @property
    def loss(self) -> float:
        """The mean deviance over customers and origins."""
        return float(tweedie_deviance(self.spent, self.forecast).mean())


@dataclass(frozen=True)
class Bin:
    """Customers whose forecasts are alike, up to `upto`; figures in multiples of the forecast.

    low, high   bounds by level of confidence
    mistake     mean absolute error
    """

    upto: float
    low: Mapping[str, float]
    high: Mapping[str, float]
    mistake: float


@dataclass(frozen=True)
class Newcomer:
    """What somebody spends in a month who has registered and not bought: nothing tells them apart.

    high    bounds by level of confidence; the lower ones are 0
    """

    mean: float
    high: Mapping[str, float]
    confidence: float


@dataclass(frozen=True)
class CustomerVersion:
    """A fitted forecast of customers' revenue.

    method      name of the method
    params      what it has learnt
    bins        by the size of the forecast, the last without end
    newcomer    those who had registered and never bought
    stories     parameters of BG/NBD and Gamma-Gamma, which put a forecast into words; empty where
                they could not be fitted
    """

    method: str
    params: bytes
    bins: tuple[Bin, ...]
    newcomer: Newcomer
    stories: bytes


@dataclass(frozen=True)
class CustomerForecast:
    """Revenue of each buyer in the next days; arrays of one length.

    low, high       bounds by level of confidence
    confidence      forecast over forecast and mean absolute error of customers alike
    """

    values: Floats
    low: Mapping[str, Floats]
    high: Mapping[str, Floats]
    confidence: Floats


def backtest(
    purchases: Purchases, end: date, names: Sequence[str], config: RevenueConfig
) -> dict[str, Tried]:
    """Return what methods forecast at origins before `end`, each fitted anew at every origin.

    A method that cannot be fitted at an origin answers there as the baseline does.
    """
    span = timedelta(days=config.customer_days)
    forecasts: dict[str, list[Floats]] = {name: [] for name in names}
    spent = []
    for origin in backtest_origins(end, config):
        buyers = purchases.buyers(origin)
        spent.append(purchases.spending(buyers.rows, origin, origin + span))
        for name in names:
            used, params = _fitted(name, purchases, origin, config)
            forecasts[name].append(METHODS[used].forecast(params, buyers, config.customer_days))
    actual = np.concatenate(spent)
    return {name: Tried(np.concatenate(rows), actual) for name, rows in forecasts.items()}


def _fitted(name: str, purchases: Purchases, end: date, config: RevenueConfig) -> tuple[str, bytes]:
    """Return a method and what it has learnt; the baseline where the method cannot learn."""
    try:
        return name, METHODS[name].fit(purchases, end, config)
    except NotFittedError:
        return BASELINE, METHODS[BASELINE].fit(purchases, end, config)


def choose(tried: Mapping[str, Tried]) -> str:
    """Return the method of least loss; of equals the first by name."""
    return min(sorted(tried), key=lambda name: (tried[name].loss, name != BASELINE))


def fit_bins(tried: Tried, config: RevenueConfig) -> tuple[Bin, ...]:
    """Return the intervals of customers by the size of their forecast.

    Mondrian conformal prediction (Vovk, Gammerman and Shafer, 2005): each group of customers has
    the quantiles of its own past errors, so that the stated share holds in each of them. Errors
    are multiples of the forecast.
    """
    edges = np.quantile(tried.forecast, np.linspace(0, 1, config.bins + 1)[1:-1])
    place = np.searchsorted(edges, tried.forecast, side="right")
    bins = []
    for number in range(config.bins):
        own = place == number
        if not own.any():  # many equal forecasts: the group before holds them all
            continue
        ratio = tried.spent[own] / tried.forecast[own]
        # Customers come back at every origin, so that they are worth fewer than they are.
        worth = max(len(ratio) / config.customer_origins, 1.0)
        low, high = {}, {}
        for level in LEVELS:
            side = (1.0 + level) / 2.0
            low[str(level)] = abs(max(-upper_quantile(-ratio, side, worth), 0.0))  # no -0.0
            # Nobody spends less than nothing: with such a lower bound, all misses lie above.
            above = side if low[str(level)] > 0 else level
            high[str(level)] = upper_quantile(ratio, above, worth)
        last = number == config.bins - 1
        upto = float("inf") if last else float(edges[number])
        bins.append(Bin(upto, low, high, float(np.abs(ratio - 1.0).mean())))
    return tuple(bins)


def fit_version(
    name: str, purchases: Purchases, end: date, tried: Tried, config: RevenueConfig
) -> CustomerVersion:
    """Return a method fitted to the days before `end`, with the intervals of its backtest."""
    used, params = _fitted(name, purchases, end, config)
    story, stories = _fitted(BuyTillYouDie.name, purchases, end, config)
    span = timedelta(days=config.customer_days)
    waited = [purchases.newcomers(o, o + span) for o in backtest_origins(end, config)]
    return CustomerVersion(
        method=used,
        params=params,
        bins=fit_bins(tried, config),
        newcomer=_newcomer(np.concatenate(waited), config),
        stories=stories if story == BuyTillYouDie.name else b"",
    )


def _newcomer(spent: Floats, config: RevenueConfig) -> Newcomer:
    if not len(spent):
        return Newcomer(0.0, {str(level): 0.0 for level in LEVELS}, 0.0)
    mean, worth = float(spent.mean()), max(len(spent) / config.customer_origins, 1.0)
    high = {str(level): max(upper_quantile(spent, level, worth), mean) for level in LEVELS}
    mistake = float(np.abs(spent - mean).mean())
    return Newcomer(mean, high, mean / (mean + mistake) if mean > 0 else 0.0)


def forecast(version: CustomerVersion, buyers: Buyers, days: int) -> CustomerForecast:
    """Return what buyers will spend in the next `days` days."""
    values = METHODS[version.method].forecast(version.params, buyers, days)
    edges = np.array([b.upto for b in version.bins[:-1]])
    place = np.searchsorted(edges, values, side="right")

    def bound(sides: Sequence[Mapping[str, float]], level: str) -> Floats:
        return np.asarray(values * np.array([side[level] for side in sides])[place])

    levels = [str(level) for level in LEVELS]
    mistake = np.array([b.mistake for b in version.bins])[place]
    return CustomerForecast(
        values,
        {
            level: np.minimum(bound([b.low for b in version.bins], level), values)
            for level in levels
        },
        {
            level: np.maximum(bound([b.high for b in version.bins], level), values)
            for level in levels
        },
        1.0 / (1.0 + mistake),
    )


def to_files(version: CustomerVersion) -> dict[str, bytes]:
    """Return a version as files: its intervals as JSON, and what its method has learnt."""
    content = {
        "method": version.method,
        "bins": [asdict(b) | {"upto": min(b.upto, 1e300)} for b in version.bins],
        "newcomer": asdict(version.newcomer),
        "stories": version.stories.decode(),
    }
    return {
        FILE: json.dumps(content, sort_keys=True).encode(),
        METHODS[version.method].file: version.params,
    }


def from_files(files: Mapping[str, bytes]) -> CustomerVersion:
    """Return the version that `to_files` made files of.

    Raises:
        ArtefactError: a file is missing or another.
    """
    try:
        content: dict[str, Any] = json.loads(files[FILE])
        bins = tuple(Bin(**b) for b in content["bins"])
        last = Bin(float("inf"), bins[-1].low, bins[-1].high, bins[-1].mistake)
        return CustomerVersion(
            content["method"],
            files[METHODS[content["method"]].file],
            (*bins[:-1], last),
            Newcomer(**content["newcomer"]),
            content["stories"].encode(),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ArtefactError(f"the artefact holds no customers' forecast: {error!r}") from error
