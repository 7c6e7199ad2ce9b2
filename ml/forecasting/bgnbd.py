"""BG/NBD: how often a customer will buy again, from how often and how lately they have.

Fader, Hardie and Lee, "'Counting Your Customers' the Easy Way: An Alternative to the Pareto/NBD
Model", Marketing Science 24 (2), 2005. While alive, a customer buys at a rate lambda ~
Gamma(r, alpha); after each repeat purchase they leave for good with chance p ~ Beta(a, b).
Equation numbers are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ml.forecasting.likelihood import NotFittedError, minimum

Floats = NDArray[np.float64]

_LOG_BOUND = 9.0
"""Parameters are sought between exp(-9) and exp(9)."""


@dataclass(frozen=True)
class Histories:
    """Customers' purchase histories; arrays of one length, in one unit of time.

    frequency   repeat purchases (the first one is not counted), x
    recency     time from the first purchase to the last, t_x; 0 without a repeat purchase
    age         time from the first purchase to the end of observation, T

    Raises:
        ValueError: the arrays differ in length, or a history is impossible.
    """

    frequency: Floats
    recency: Floats
    age: Floats

    def __post_init__(self) -> None:
        """Refuse histories that cannot be."""
        if not len(self.frequency) == len(self.recency) == len(self.age):
            raise ValueError("frequency, recency and age must have one length")
        if len(self.age) and (
            (self.frequency < 0).any()
            or (self.recency < 0).any()
            or (self.recency > self.age).any()
            or ((self.frequency == 0) & (self.recency > 0)).any()
        ):
            raise ValueError("histories need frequency >= 0 and 0 <= recency <= age")


@dataclass(frozen=True)
class BgNbd:
    """Parameters of the model, and what follows from them."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, histories: Histories) -> float:
        """Return the log-likelihood of the histories (equation 6, in logs)."""
        return float(_log_likelihoods(self, histories).sum())

    def alive(self, histories: Histories) -> Floats:
        """Return each customer's chance to be still a customer.

        Without a repeat purchase it is 1: the model lets nobody leave before one.
        """
        return 1.0 / (1.0 + _odds_left(self, histories))

    def expected_purchases(self, histories: Histories, time: float) -> Floats:
        """Return each customer's expected purchases in the `time` after observation ends.

        Equation 10, its hypergeometric function by Euler's transformation: the factors that
        grow with the number of purchases cancel, and what is left is well behaved for customers
        who bought hundreds of times.
        """
        a = self.a if abs(self.a - 1.0) > 1e-6 else 1.0 + 1e-6  # (10) divides by a - 1
        x = histories.frequency
        c = a + self.b + x - 1.0
        z = time / (self.alpha + histories.age + time)
        rest = (1.0 - z) ** (a - 1.0) * special.hyp2f1(a + self.b - 1.0 - self.r, a - 1.0, c, z)
        if_alive = c / (a - 1.0) * (1.0 - rest)
        return np.asarray(np.maximum(if_alive, 0.0) / (1.0 + _odds_left(self, histories)))


def _odds_left(model: BgNbd, histories: Histories) -> Floats:
    """Odds that a customer has left: the second term of equation 10's denominator."""
    x = histories.frequency
    ratio = (model.alpha + histories.age) / (model.alpha + histories.recency)
    repeat = np.maximum(x, 1.0)  # keeps the unused branch finite where x is 0
    odds = model.a / (model.b + repeat - 1.0) * ratio ** (model.r + x)
    return np.where(x > 0, odds, 0.0)


def _log_likelihoods(model: BgNbd, histories: Histories) -> Floats:
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x = histories.frequency
    bought = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
    stayed = special.betaln(a, b + x) - special.betaln(a, b)
    still = -(r + x) * np.log(alpha + histories.age)
    return np.asarray(bought + stayed + still + np.log1p(_odds_left(model, histories)))


def fit(histories: Histories) -> BgNbd:
    """Return the parameters of greatest likelihood.

    Raises:
        NotFittedError: nobody bought twice, or no maximum was found.
    """
    if not (histories.frequency > 0).any():
        raise NotFittedError("BG/NBD needs customers who bought more than once")
    # Likelihoods depend on alpha and time only by their ratio: time in units of its mean keeps
    # all four parameters near 1 whatever the unit is.
    unit = float(histories.age.mean())
    scaled = Histories(histories.frequency, histories.recency / unit, histories.age / unit)
    customers = len(scaled.age)

    def loss(logs: Floats) -> float:
        return -float(_log_likelihoods(BgNbd(*np.exp(logs)), scaled).sum()) / customers

    logs = minimum(loss, np.zeros(4), [(-_LOG_BOUND, _LOG_BOUND)] * 4, "BG/NBD")
    r, alpha, a, b = np.exp(logs)
    return BgNbd(float(r), float(alpha * unit), float(a), float(b))
