"""Gamma-Gamma: what a customer's orders are worth on average, from those seen so far.

Fader, Hardie and Lee, "RFM and CLV: Using Iso-Value Curves for Customer Base Analysis", Journal of
Marketing Research 42 (4), 2005; in this notation: Fader and Hardie, "The Gamma-Gamma Model of
Monetary Value", 2013. An order is worth Gamma(p, nu), and nu ~ Gamma(q, gamma) differs between
customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ml.forecasting.likelihood import NotFittedError, minimum

Floats = NDArray[np.float64]

_LOG_BOUND = 9.0


@dataclass(frozen=True)
class GammaGamma:
    """Parameters of the model; `gamma` is in units of money (the paper of 2005 calls it v)."""

    p: float
    q: float
    gamma: float

    def log_likelihood(self, orders: Floats, mean_value: Floats) -> float:
        """Return the log-likelihood of customers' mean order values over `orders` orders."""
        return float(_log_likelihoods(self, orders, mean_value).sum())

    def expected_value(self, orders: Floats, mean_value: Floats) -> Floats:
        """Return each customer's expected mean order value.

        A mean of all customers' and the customer's own, the more of the latter the more orders
        it stands on; all customers' own where `orders` is 0. Where q is at most 1, the mean
        over all customers does not exist, and only customers with orders have a value.
        """
        spent = np.where(orders > 0, orders * mean_value, 0.0)
        weight = self.p * orders + self.q - 1.0
        return np.asarray(self.p * (self.gamma + spent) / np.maximum(weight, 1e-9))


def _log_likelihoods(model: GammaGamma, orders: Floats, mean_value: Floats) -> Floats:
    p, q, gamma = model.p, model.q, model.gamma
    shape = p * orders
    return np.asarray(
        -special.betaln(shape, q)
        + q * np.log(gamma)
        + (shape - 1.0) * np.log(mean_value)
        + shape * np.log(orders)
        - (shape + q) * np.log(gamma + orders * mean_value)
    )


def fit(orders: Floats, mean_value: Floats) -> GammaGamma:
    """Return the parameters of greatest likelihood.

    Args:
        orders: the number of orders of each customer, at least 1.
        mean_value: their mean value, above 0.

    Raises:
        ValueError: an order count or a value is not positive.
        NotFittedError: there are no customers, or no maximum was found.
    """
    if not len(orders):
        raise NotFittedError("Gamma-Gamma needs customers with orders")
    if (orders < 1).any() or (mean_value <= 0).any():
        raise ValueError("Gamma-Gamma needs at least one order and a value above 0")
    unit = float(mean_value.mean())  # money in units of its mean: see bgnbd.fit
    scaled = mean_value / unit
    customers = len(orders)

    def loss(logs: Floats) -> float:
        return -float(_log_likelihoods(GammaGamma(*np.exp(logs)), orders, scaled).sum()) / customers

    start = np.array([1.0, 1.0, 0.0])
    logs = minimum(loss, start, [(-_LOG_BOUND, _LOG_BOUND)] * 3, "Gamma-Gamma")
    p, q, gamma = np.exp(logs)
    return GammaGamma(float(p), float(q), float(gamma * unit))
