"""Rates from few observations: pulled towards what is usual, the more the fewer there are.

Empirical Bayes: the prior is fitted to all units by maximum likelihood, and each unit's rate is the
mean of its posterior. Clicks of impressions are beta-binomial (Skellam 1948); events of an exposure
are gamma-Poisson (Clayton and Kaldor, Biometrics 43, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ml.forecasting.likelihood import minimum

Floats = NDArray[np.float64]

_LEAST_PRECISION, _MOST_PRECISION = 1.0, 1e7
_LEAST_SHAPE, _MOST_SHAPE = 1e-3, 1e4


@dataclass(frozen=True)
class BetaPrior:
    """How rates of units differ: Beta(a, b), worth a + b observations."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """The mean rate of units."""
        return self.a / (self.a + self.b)


def fit_beta(successes: Floats, trials: Floats) -> BetaPrior:
    """Return the prior of greatest beta-binomial likelihood.

    Its precision a + b stays within 1 and 10 million: units that differ no more than by chance
    have none that is greatest.

    Raises:
        ValueError: there is no unit, or one with more successes than trials or without trials.
    """
    if (
        not len(trials)
        or (trials <= 0).any()
        or (successes > trials).any()
        or (successes < 0).any()
    ):
        raise ValueError("a prior needs units with 0 <= successes <= trials and trials > 0")
    pooled = (successes.sum() + 0.5) / (trials.sum() + 1.0)

    def loss(position: Floats) -> float:
        mean, precision = special.expit(position[0]), np.exp(position[1])
        a, b = mean * precision, (1.0 - mean) * precision
        found = special.betaln(a + successes, b + trials - successes) - special.betaln(a, b)
        return -float(found.sum()) / len(trials)

    start = np.array([special.logit(pooled), np.log(100.0)])
    precisions = (float(np.log(_LEAST_PRECISION)), float(np.log(_MOST_PRECISION)))
    position = minimum(loss, start, [(-14.0, 14.0), precisions], "the beta-binomial")
    mean, precision = float(special.expit(position[0])), float(np.exp(position[1]))
    return BetaPrior(mean * precision, (1.0 - mean) * precision)


@dataclass(frozen=True)
class GammaPrior:
    """How units differ in their rate of events per unit of exposure: Gamma(shape, rate)."""

    shape: float
    rate: float

    @property
    def mean(self) -> float:
        """The mean rate of units."""
        return self.shape / self.rate

    def multiplier(self, events: Floats, exposure: Floats) -> Floats:
        """Return the posterior mean of each unit's rate; the prior's where `exposure` is 0."""
        return np.asarray((self.shape + events) / (self.rate + exposure))

    def weight(self, exposure: Floats) -> Floats:
        """Return the share (0-1) of each rate that rests on the unit's own exposure."""
        return np.asarray(exposure / (self.rate + exposure))

    def interval(self, events: Floats, exposure: Floats, level: float) -> tuple[Floats, Floats]:
        """Return the bounds of the central posterior interval at `level` (0-1)."""
        posterior = stats.gamma(self.shape + events, scale=1.0 / (self.rate + exposure))
        return (
            np.asarray(posterior.ppf((1 - level) / 2)),
            np.asarray(posterior.ppf((1 + level) / 2)),
        )


def fit_gamma(events: Floats, exposure: Floats) -> GammaPrior:
    """Return the prior of greatest negative-binomial likelihood.

    Raises:
        ValueError: no unit has any exposure, or no event has happened.
    """
    seen = exposure > 0
    k, e = events[seen], exposure[seen]
    if not len(k) or k.sum() <= 0:
        raise ValueError("a prior needs units with exposure, and events")

    def loss(logs: Floats) -> float:
        shape, mean = np.exp(logs)
        rate = shape / mean
        found = (
            special.gammaln(shape + k)
            - special.gammaln(shape)
            + shape * (np.log(rate) - np.log(rate + e))
            + k * (np.log(e) - np.log(rate + e))
        )
        return -float(found.sum()) / len(k)

    start = np.array([0.0, np.log(k.sum() / e.sum())])
    shapes = (float(np.log(_LEAST_SHAPE)), float(np.log(_MOST_SHAPE)))
    logs = minimum(loss, start, [shapes, (-20.0, 20.0)], "the negative binomial")
    shape, mean = (float(value) for value in np.exp(logs))
    return GammaPrior(shape, shape / mean)


def binomial_deviance(successes: Floats, trials: Floats, rate: Floats) -> Floats:
    """Return each unit's deviance: twice the log-likelihood that the rate falls short of its own.

    Args:
        successes: observed, at most `trials`.
        trials: above 0.
        rate: predicted, strictly between 0 and 1.
    """
    failures = trials - successes
    return np.asarray(
        2.0
        * (
            special.xlogy(successes, successes / (trials * rate))
            + special.xlogy(failures, failures / (trials * (1.0 - rate)))
        )
    )


def poisson_deviance(events: Floats, expected: Floats) -> Floats:
    """Return each unit's deviance of `events` from `expected` (above 0)."""
    return np.asarray(2.0 * (special.xlogy(events, events / expected) - events + expected))
