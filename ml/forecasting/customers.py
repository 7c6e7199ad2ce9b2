"""What each customer will spend in the next month: three methods.

`own_mean`      the simple answer: the customer's own mean monthly revenue so far
`bgnbd`         how often they will buy (BG/NBD), times what their orders are worth (Gamma-Gamma)
`xgboost`       gradient-boosted trees with a Tweedie loss, which suits many zeros and a long tail
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ml.forecasting import bgnbd, gamma_gamma
from ml.forecasting.bgnbd import BgNbd
from ml.forecasting.config import RevenueConfig
from ml.forecasting.gamma_gamma import GammaGamma
from ml.forecasting.likelihood import NotFittedError
from ml.forecasting.purchases import Buyers, Purchases

Floats = NDArray[np.float64]

MONTH_DAYS = 30
LEAST_REVENUE = 0.01
"""No forecast is below it: nobody who has bought is sure never to buy again."""


class CustomerMethod(ABC):
    """One way to forecast what customers spend."""

    name: ClassVar[str]
    file: ClassVar[str]

    @abstractmethod
    def fit(self, purchases: Purchases, end: date, config: RevenueConfig) -> bytes:
        """Return the parameters learnt from days before `end`.

        Raises:
            NotFittedError: the purchases do not determine them.
        """

    @abstractmethod
    def forecast(self, params: bytes, buyers: Buyers, days: int) -> Floats:
        """Return what each buyer will spend in the next `days` days, at least 0.01."""


class OwnMean(CustomerMethod):
    """The customer's mean revenue a month since the first purchase, of at least one month."""

    name = "own_mean"
    file = "own_mean.json"

    def fit(self, purchases: Purchases, end: date, config: RevenueConfig) -> bytes:
        """See `CustomerMethod.fit`."""
        return b"{}"

    def forecast(self, params: bytes, buyers: Buyers, days: int) -> Floats:
        """See `CustomerMethod.forecast`."""
        tenure = np.maximum(buyers.histories.age, MONTH_DAYS)
        spent = buyers.purchase_days * buyers.mean_value
        return np.maximum(spent / tenure * days, LEAST_REVENUE)


class BuyTillYouDie(CustomerMethod):
    """BG/NBD's expected purchases, times Gamma-Gamma's expected value of one.

    Purchases of one customer on one day are one. The models take frequency and value to be
    independent.
    """

    name = "bgnbd"
    file = "bgnbd.json"

    def fit(self, purchases: Purchases, end: date, config: RevenueConfig) -> bytes:
        """See `CustomerMethod.fit`."""
        buyers = purchases.buyers(end)
        paying = buyers.mean_value > 0
        frequency = bgnbd.fit(buyers.histories)
        value = gamma_gamma.fit(buyers.purchase_days[paying], buyers.mean_value[paying])
        content = {"frequency": asdict(frequency), "value": asdict(value)}
        return json.dumps(content, sort_keys=True).encode()

    def forecast(self, params: bytes, buyers: Buyers, days: int) -> Floats:
        """See `CustomerMethod.forecast`."""
        frequency, value = models(params)
        expected = frequency.expected_purchases(buyers.histories, float(days))
        worth = value.expected_value(buyers.purchase_days, buyers.mean_value)
        return np.maximum(expected * worth, LEAST_REVENUE)


def models(params: bytes) -> tuple[BgNbd, GammaGamma]:
    """Return the two models that `BuyTillYouDie` has fitted."""
    content: dict[str, Any] = json.loads(params)
    return BgNbd(**content["frequency"]), GammaGamma(**content["value"])


class BoostedTrees(CustomerMethod):
    """Gradient-boosted trees that learn from several earlier months, Tweedie loss (power 1.5)."""

    name = "xgboost"
    file = "customers.ubj"

    def fit(self, purchases: Purchases, end: date, config: RevenueConfig) -> bytes:
        """See `CustomerMethod.fit`."""
        import xgboost

        features, targets = [], []
        span = timedelta(days=config.customer_days)
        for back in range(config.learn_origins, 0, -1):
            origin = end - span * back
            buyers = purchases.buyers(origin)
            if len(buyers.rows):
                features.append(buyers.features)
                targets.append(purchases.spending(buyers.rows, origin, origin + span))
        if not features:
            raise NotFittedError(f"nobody had bought in the months before {end}")
        settings: dict[str, Any] = {
            "objective": "reg:tweedie",
            "tweedie_variance_power": 1.5,
            "max_depth": 4,
            "eta": 0.08,
            "subsample": 0.7,
            "min_child_weight": 20,
            "tree_method": "hist",
            "nthread": 1,
            "seed": config.random_state,
        }
        with threadpool_limits(limits=1):
            data = xgboost.DMatrix(
                np.concatenate(features), label=np.concatenate(targets), nthread=1
            )
            booster = xgboost.train(settings, data, num_boost_round=80)
        booster.set_attr(days=str(config.customer_days))
        return bytes(booster.save_raw("ubj"))

    def forecast(self, params: bytes, buyers: Buyers, days: int) -> Floats:
        """See `CustomerMethod.forecast`."""
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(params))
        if not len(buyers.rows):
            return np.zeros(0)
        found = booster.predict(xgboost.DMatrix(buyers.features, nthread=1))
        scale = days / float(booster.attr("days") or MONTH_DAYS)
        return np.maximum(np.asarray(found, dtype=np.float64) * scale, LEAST_REVENUE)


METHODS: dict[str, CustomerMethod] = {
    method.name: method for method in (OwnMean(), BuyTillYouDie(), BoostedTrees())
}
BASELINE = OwnMean.name


def tweedie_deviance(spent: Floats, forecast: Floats) -> Floats:
    """Return each customer's unit deviance of a Tweedie distribution of power 1.5.

    4 (sqrt(forecast) - sqrt(spent))^2 / sqrt(forecast): least, on average, for the mean, and not
    ruled by the few who spend most, as squares are.
    """
    root = np.sqrt(forecast)
    return np.asarray(4.0 * (root - np.sqrt(spent)) ** 2 / root)


def backtest_origins(end: date, config: RevenueConfig) -> list[date]:
    """Return the origins of the customers' backtest, whose months all lie before `end`."""
    span = timedelta(days=config.customer_days)
    return [end - span * back for back in range(config.customer_origins, 0, -1)]
