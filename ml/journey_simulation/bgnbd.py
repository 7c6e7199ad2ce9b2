"""BG/NBD in closed form: how alive a customer is, and how likely it buys in the next days.

Fader, Hardie and Lee, "Counting Your Customers the Easy Way", Marketing Science 24 (2005), with
x purchases after the first, the last of them at t_x and the end of the observation at T, both
counted from the first purchase.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

START = (0.5, 30.0, 0.8, 2.5)
"""Where the search for r, alpha (days), a and b begins."""

FIT_CUSTOMERS = 3000
"""The parameters are those of at most so many customers, taken evenly from all."""

LOG_BOUNDS = (-6.0, 8.0)
"""Bounds of the logarithm of each parameter: beyond them the likelihood is flat."""


def log_likelihood(parameters: Floats, x: Floats, t_x: Floats, age: Floats) -> Floats:
    """Return each customer's log-likelihood [n] (equation 6 of the paper).

    Args:
        parameters: r, alpha, a, b, all above 0.
        x: purchases after the first.
        t_x: time of the last one (0 where x is 0).
        age: time until the end of the observation.
    """
    r, alpha, a, b = parameters
    seen = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    lives = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
    left = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
    total = seen + np.where(x > 0, np.logaddexp(lives, left), lives)
    return np.asarray(total, dtype=np.float64)


def fit(x: Floats, t_x: Floats, age: Floats) -> Floats:
    """Return r, alpha, a and b of most likelihood; `START` where nobody has bought again."""
    step = max(1, len(x) // FIT_CUSTOMERS)
    x, t_x, age = x[::step], t_x[::step], age[::step]
    if not np.any(x > 0):
        return np.array(START)

    def loss(logs: Floats) -> float:
        return -float(log_likelihood(np.exp(logs), x, t_x, age).mean())

    # One thread: more of them would cost more than they bring, and may round differently.
    with threadpool_limits(limits=1):
        found = minimize(loss, np.log(START), method="L-BFGS-B", bounds=[LOG_BOUNDS] * 4)
    return np.asarray(np.exp(found.x), dtype=np.float64)


def alive(parameters: Floats, x: Floats, t_x: Floats, age: Floats) -> Floats:
    """Return the chance that each customer has not dropped out by `age` [n].

    Fader, Hardie and Lee, "Computing P(alive) Using the BG/NBD Model" (2008).
    """
    r, alpha, a, b = parameters
    odds = (r + x) * (np.log(alpha + age) - np.log(alpha + t_x)) + np.log(a)
    odds = odds - np.log(b + np.maximum(x, 1) - 1)
    return np.asarray(np.where(x > 0, 1 / (1 + np.exp(np.minimum(odds, 700))), 1.0))


def buys_within(parameters: Floats, x: Floats, t_x: Floats, age: Floats, days: float) -> Floats:
    """Return the chance of at least one purchase in (age, age + days] [n].

    While alive a customer buys at a rate ~ Gamma(r + x, alpha + age), so that no purchase comes
    with chance ((alpha + age) / (alpha + age + days)) ** (r + x).
    """
    r, alpha, _, _ = parameters
    none = np.exp((r + x) * (np.log(alpha + age) - np.log(alpha + age + days)))
    return np.asarray(alive(parameters, x, t_x, age) * (1 - none), dtype=np.float64)
