"""Success before launch: a regularised linear model of the return, and the simple answer.

The return on ad spend says more than whether it passed a threshold: with about a hundred
campaigns a ridge regression of its logarithm is far sharper than a logistic regression of
yes and no. The probability of success is that of a return above the threshold, averaged over
bootstrapped fits, with the spread of the leave-one-out errors. The interval of the return is
jackknife+ (Barber et al. 2021, "Predictive inference with the jackknife+"), which holds its
coverage whatever the distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

from ml.campaign_optimization.config import SuccessConfig
from ml.campaign_optimization.history import UNKNOWN, History
from ml.campaign_optimization.launch import (
    NUMBERS,
    Vocabulary,
    design,
    outcomes_before,
    results_before,
    vocabulary,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BOOTSTRAPS = 200
_WORDS_SCALE = {"channel": 1.0, "campaign_type": 0.3, "audience": 0.3}
"""A smaller scale is a stronger penalty: less is expected of a type than of a channel."""
_SEASON_SCALE = 0.1


@dataclass(frozen=True)
class Forecast:
    """What is foreseen for some campaigns; all [campaigns].

    probability, low, high            of success, with its 95 % interval
    roas, roas_low, roas_high         the expected return and its interval; nan where there is none
    contributions                     [campaigns, columns]: effects on the log return, relative to
                                      an average campaign; no columns where there are none
    """

    probability: Floats
    low: Floats
    high: Floats
    roas: Floats
    roas_low: Floats
    roas_high: Floats
    contributions: Floats


@dataclass(frozen=True)
class Ridge:
    """A fitted regression of log return on the scaled design.

    center, scale [columns]; coefficients [1 + columns], the intercept first; left_out [n, 1 +
    columns] and errors [n] are the fits without each campaign and how far each was off;
    bootstrapped [BOOTSTRAPS, 1 + columns].
    """

    words: Vocabulary
    center: Floats
    scale: Floats
    alpha: float
    coefficients: Floats
    left_out: Floats
    errors: Floats
    weights: Floats
    bootstrapped: Floats

    def predict(self, history: History, rows: Ints, until: int, config: SuccessConfig) -> Forecast:
        """Return the forecast of some campaigns, as known before their launch and `until`."""
        raw = design(history, rows.tolist(), until, self.words, config)
        scaled = (raw - self.center) / self.scale
        full = np.concatenate([np.ones((len(rows), 1)), scaled], axis=1)
        log_return = full @ self.coefficients
        threshold = np.log(config.success_roas)
        spread = max(float(np.sqrt(np.average(self.errors**2, weights=self.weights))), 1e-3)
        chances = norm.cdf((full @ self.bootstrapped.T - threshold) / spread)
        low, high = np.quantile(chances, [0.025, 0.975], axis=1)
        around, size = full @ self.left_out.T, np.abs(self.errors)
        missed = 1 - config.coverage
        return Forecast(
            probability=chances.mean(axis=1),
            low=low,
            high=high,
            roas=np.exp(log_return),
            roas_low=np.exp(_weighted_quantile(around - size, missed, self.weights)),
            roas_high=np.exp(_weighted_quantile(around + size, config.coverage, self.weights)),
            contributions=scaled * self.coefficients[1:],
        )


def _weighted_quantile(values: Floats, level: float, weights: Floats) -> Floats:
    """Return a quantile of each row of `values` [rows, n] under the weights [n]."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    shares = np.cumsum(weights[order], axis=1) / weights.sum()
    at = np.minimum((shares < level - 1e-12).sum(axis=1), values.shape[1] - 1)
    result: Floats = ordered[np.arange(len(values)), at]
    return result


@dataclass(frozen=True)
class ChannelRate:
    """The simple answer: the smoothed success rate of the channel's ended campaigns.

    successes and ended [channels] are counts; overall is the rate of all.
    """

    channels: tuple[str, ...]
    successes: Floats
    ended: Floats
    overall: float

    def predict(self, history: History, rows: Ints, until: int, config: SuccessConfig) -> Forecast:
        """Return the forecast of some campaigns."""
        names = [history.channel[i] for i in rows]
        index = {name: k for k, name in enumerate(self.channels)}
        won = np.array([self.successes[index[n]] if n in index else 0.0 for n in names])
        all_ = np.array([self.ended[index[n]] if n in index else 0.0 for n in names])
        a = won + self.overall * config.rate_prior
        b = all_ - won + (1 - self.overall) * config.rate_prior
        nothing = np.full(len(rows), np.nan)
        return Forecast(
            a / (a + b), beta.ppf(0.025, a, b), beta.ppf(0.975, a, b),
            nothing, nothing.copy(), nothing.copy(), np.zeros((len(rows), 0)),
        )  # fmt: skip


def fit_channel_rate(history: History, until: int, config: SuccessConfig) -> ChannelRate:
    """Fit the simple answer on the campaigns that had ended before day `until`."""
    rows, success = outcomes_before(history, until, config)
    channels = tuple(sorted({history.channel[i] for i in rows} - {UNKNOWN}))
    own = np.array([[history.channel[i] == name for i in rows] for name in channels], dtype=float)
    own = own.reshape(len(channels), len(rows))
    return ChannelRate(
        channels,
        own @ success,
        own.sum(axis=1),
        float((success.sum() + 1) / (len(rows) + 2)),
    )


def fit_ridge(history: History, until: int, config: SuccessConfig) -> Ridge:
    """Fit the regression on what campaigns had brought before day `until`.

    The penalty is the one with the least leave-one-out error.

    Raises:
        ValueError: there is no campaign with a result.
    """
    results = results_before(history, until, config)
    if not len(results.rows):
        raise ValueError("no campaign has a result to learn from")
    words = vocabulary(history, results.rows.tolist())
    raw = design(history, results.rows.tolist(), until, words, config)
    weights = results.weight
    center = np.average(raw, axis=0, weights=weights)
    scale = _scales(raw, center, weights, words)
    full = np.concatenate([np.ones((len(raw), 1)), (raw - center) / scale], axis=1)
    target = results.log_return
    losses = []
    for alpha in config.alphas:
        solved = solve_ridge(full, target, weights, alpha)
        losses.append(float(np.average(_left_out_errors(full, target, weights, alpha, solved) ** 2,
                                       weights=weights)))  # fmt: skip
    alpha = config.alphas[int(np.argmin(losses))]
    coefficients = solve_ridge(full, target, weights, alpha)
    without = np.stack(
        [solve_ridge(full, target, _leaving(weights, i), alpha) for i in range(len(full))]
    )
    errors = target - (full * without).sum(axis=1)
    random = np.random.default_rng(config.random_state)
    drawn = [
        np.bincount(random.integers(0, len(full), len(full)), minlength=len(full))
        for _ in range(BOOTSTRAPS)
    ]
    bootstrapped = np.stack([solve_ridge(full, target, weights * n, alpha) for n in drawn])
    return Ridge(words, center, scale, alpha, coefficients, without, errors, weights, bootstrapped)


def _scales(raw: Floats, center: Floats, weights: Floats, words: Vocabulary) -> Floats:
    """Return what each column is divided by: numbers by their deviation, names by a fixed one."""
    deviation: Floats = np.sqrt(np.average((raw - center) ** 2, axis=0, weights=weights))
    scale: Floats = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float64)
    for k, column in enumerate(words.columns):
        if column.startswith("season"):
            scale[k] /= _SEASON_SCALE
        elif k >= len(NUMBERS):
            scale[k] = 1.0 / _WORDS_SCALE[column.split(":", 1)[0]]
    return scale


def solve_ridge(full: Floats, target: Floats, weights: Floats, alpha: float) -> Floats:
    """Return the coefficients that minimise sum(w e^2) + alpha |b|^2, the intercept being free."""
    penalty = np.full(full.shape[1], alpha)
    penalty[0] = 1e-9
    weighted = full * weights[:, None]
    normal = weighted.T @ full + np.diag(penalty)
    return np.asarray(np.linalg.solve(normal, weighted.T @ target), dtype=np.float64)


def _left_out_errors(
    full: Floats, target: Floats, weights: Floats, alpha: float, solved: Floats
) -> Floats:
    """Return each campaign's error under the fit without it (the PRESS identity)."""
    penalty = np.full(full.shape[1], alpha)
    penalty[0] = 1e-9
    weighted = full * weights[:, None]
    inverse = np.linalg.inv(weighted.T @ full + np.diag(penalty))
    leverage = np.einsum("ij,jk,ik->i", full, inverse, weighted)
    result: Floats = (target - full @ solved) / np.maximum(1 - leverage, 1e-6)
    return result


def _leaving(weights: Floats, at: int) -> Floats:
    left = weights.copy()
    left[at] = 0.0
    return left
