"""What spending causes: a saturating response of each channel, with its uncertainty.

Conversions of channel c on day t, as its platform reports them, are Poisson with the mean

    base * purchases_t + slope * A_t / (1 + A_t / half),   A_t = (1 - carry) s_t + carry A_(t-1)

where s is the channel's spend and A its normalised geometric adstock (Jin et al., "Bayesian
Methods for Media Mix Modeling with Carryover and Shape Effects", 2017; Hill saturation with
slope 1, which is concave). `base` is the share of all purchases that the platform claims
whatever is spent: without it, organic purchases would be taken for the effect of spending.

carry and half are integrated over a grid, base and slope by Laplace's approximation at each of
its points (Tierney and Kadane 1986, "Accurate Approximations for Posterior Moments"); the
channels share a normal distribution of carry and log half, whose moments are estimated with
them (empirical Bayes). Counts that vary more than Poisson's widen everything (quasi-likelihood).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.campaign_optimization.config import CurveConfig

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_LEAST_MEAN = 1e-6


@dataclass(frozen=True)
class Daily:
    """What is known of C channels on T consecutive days.

    spend, conversions, revenue   float64 [C, T]; spend and revenue in the shop's currency
    reported                      bool [C, T]: the days on which a platform reported
    purchases                     float64 [T]: all purchases of the company
    """

    channels: tuple[str, ...]
    spend: Floats
    conversions: Floats
    revenue: Floats
    reported: Bools
    purchases: Floats

    @property
    def days(self) -> int:
        """T."""
        return int(self.spend.shape[1])

    def until(self, day: int) -> Daily:
        """Return the first `day` days."""
        return Daily(
            self.channels,
            self.spend[:, :day],
            self.conversions[:, :day],
            self.revenue[:, :day],
            self.reported[:, :day],
            self.purchases[:day],
        )


@dataclass(frozen=True)
class Curves:
    """Draws from what is believed of C channels: each array is float64 [draws, C].

    half is infinite where the response is proportional to spend, slope 0 where there is none.
    slope is in conversions per unit of currency, half in currency units a day; value [C] is the
    revenue of a conversion.
    """

    channels: tuple[str, ...]
    base: Floats
    slope: Floats
    half: Floats
    carry: Floats
    value: Floats

    def response(self, spend: Floats) -> Floats:
        """Return the conversions a day that a steady daily spend [C] causes: [draws, C]."""
        result: Floats = self.slope * spend / (1.0 + spend / self.half)
        return result

    def expected_revenue(self, spend: Floats) -> Floats:
        """Return the mean revenue a day that a steady daily spend [C] causes: [C]."""
        result: Floats = self.response(spend).mean(axis=0) * self.value
        return result

    def marginal_revenue(self, spend: Floats) -> Floats:
        """Return the revenue that one more unit of daily spend [C] would cause: [C]."""
        slopes = self.slope / (1.0 + spend / self.half) ** 2
        result: Floats = slopes.mean(axis=0) * self.value
        return result


def adstock(spend: Floats, carry: Floats) -> Floats:
    """Return the normalised adstock of daily spend [T] for each carry [n]: [n, T]."""
    stock = np.empty((len(carry), len(spend)))
    level = np.zeros(len(carry))
    for day, spent in enumerate(spend):
        level = (1.0 - carry) * spent + carry * level
        stock[:, day] = level
    return stock


def typical_spend(spend: Floats) -> Floats:
    """Return what each channel spends on a typical day (its spend-weighted mean): [C]."""
    total = spend.sum(axis=1)
    squares = (spend**2).sum(axis=1)
    result: Floats = np.divide(squares, total, out=np.ones(len(total)), where=total > 0)
    return result


def predicted(curves: Curves, daily: Daily) -> Floats:
    """Return the expected conversions of each channel and day, given what was spent: [C, T]."""
    result = np.empty(daily.spend.shape)
    for c in range(len(daily.channels)):
        stock = adstock(daily.spend[c], curves.carry[:, c])
        caused = curves.slope[:, [c]] * stock / (1.0 + stock / curves.half[:, [c]])
        result[c] = curves.base[:, c].mean() * daily.purchases + caused.mean(axis=0)
    return np.where(daily.reported, np.maximum(result, _LEAST_MEAN), 0.0)


def log_likelihood(means: Floats, daily: Daily) -> Floats:
    """Return the Poisson log likelihood of each day, up to a constant: [T]."""
    logs = np.log(np.where(daily.reported, means, 1.0))
    terms = np.where(daily.reported, daily.conversions * logs - means, 0.0)
    result: Floats = terms.sum(axis=0)
    return result


@dataclass(frozen=True)
class _Grid:
    """The grid of one channel: arrays [points], and the fit of (base, effect) at each."""

    carry: Floats
    log_half: Floats  # log of half over the typical spend
    evidence: Floats
    estimate: Floats  # [points, 2]
    covariance: Floats  # [points, 2, 2]
    unit: Floats  # what effect 1 is, as slope


def fit_curves(daily: Daily, config: CurveConfig) -> Curves:
    """Fit the saturating response of every channel, and draw from what is then believed."""
    typical = typical_spend(daily.spend)
    grids = [_grid(daily, c, float(typical[c]), config) for c in range(len(daily.channels))]
    weights = _pooled_weights(grids, config)
    random = np.random.default_rng(config.random_state)
    base, slope, half, carry = (np.empty((config.draws, len(grids))) for _ in range(4))
    for c, (grid, weight) in enumerate(zip(grids, weights, strict=True)):
        at = random.choice(len(weight), config.draws, p=weight)
        noise = random.standard_normal((config.draws, 2))
        root = np.linalg.cholesky(grid.covariance[at])
        drawn = grid.estimate[at] + np.einsum("dij,dj->di", root, noise)
        base[:, c] = np.maximum(drawn[:, 0], 0.0)
        slope[:, c] = np.maximum(drawn[:, 1], 0.0) * grid.unit[at]
        half[:, c] = np.exp(grid.log_half[at]) * typical[c]
        carry[:, c] = grid.carry[at]
    return Curves(daily.channels, base, slope, half, carry, conversion_value(daily, config))


def fit_proportional(daily: Daily, config: CurveConfig) -> Curves:
    """Fit the simple answer: conversions in proportion to the day's spend, and to purchases."""
    return _linear(daily, config, effect=True)


def fit_no_effect(daily: Daily, config: CurveConfig) -> Curves:
    """Fit the answer that spending causes nothing."""
    return _linear(daily, config, effect=False)


def _linear(daily: Daily, config: CurveConfig, effect: bool) -> Curves:
    channels = len(daily.channels)
    random = np.random.default_rng(config.random_state)
    base, slope = np.empty((config.draws, channels)), np.zeros((config.draws, channels))
    for c in range(channels):
        seen = daily.reported[c]
        driver = daily.spend[c, seen][None, :] * float(effect)
        found, spread, _ = _weighted_fits(daily.purchases[seen], driver, daily.conversions[c, seen])
        drawn = (
            found[0] + random.standard_normal((config.draws, 2)) @ np.linalg.cholesky(spread[0]).T
        )
        base[:, c] = np.maximum(drawn[:, 0], 0.0)
        if effect:
            slope[:, c] = np.maximum(drawn[:, 1], 0.0)
    none = np.zeros((config.draws, channels))
    return Curves(
        daily.channels, base, slope, np.full_like(none, np.inf), none,
        conversion_value(daily, config),
    )  # fmt: skip


def conversion_value(daily: Daily, config: CurveConfig) -> Floats:
    """Return the revenue of a conversion in each channel, shrunk towards that of all: [C]."""
    revenue, count = daily.revenue.sum(axis=1), daily.conversions.sum(axis=1)
    overall = revenue.sum() / max(count.sum(), 1.0)
    weight = config.value_prior
    result: Floats = (revenue + weight * overall) / (count + weight)
    return result


def _grid(daily: Daily, c: int, typical: float, config: CurveConfig) -> _Grid:
    """Fit base and effect of channel c at each point of the grid of carry and half."""
    carries = np.linspace(0.0, config.most_carry, config.carry_points)
    logs = np.linspace(np.log(config.least_half), np.log(config.most_half), config.half_points)
    carry, log_half = (axis.reshape(-1) for axis in np.meshgrid(carries, logs, indexing="ij"))
    seen = daily.reported[c]
    stock = adstock(daily.spend[c] / typical, carries)[:, seen]
    stock = np.repeat(stock, len(logs), axis=0)
    half = np.exp(log_half)[:, None]
    # An effect of 1 is a conversion a day at the typical spend, whatever carry and half are.
    driver = stock / (half + stock) * (half + 1.0)
    counts = daily.conversions[c, seen]
    estimate, covariance, likelihood = _weighted_fits(daily.purchases[seen], driver, counts)
    best = int(np.argmax(likelihood))
    mean = np.maximum(
        estimate[best, 0] * daily.purchases[seen] + estimate[best, 1] * driver[best], _LEAST_MEAN
    )
    dispersion = max(1.0, float(((counts - mean) ** 2 / mean).sum() / max(len(counts) - 4, 1)))
    covariance = covariance * dispersion
    evidence = likelihood / dispersion + 0.5 * np.linalg.slogdet(covariance)[1]
    unit = (1.0 + 1.0 / np.exp(log_half)) / typical
    return _Grid(carry, log_half, evidence, estimate, covariance, unit)


def _weighted_fits(
    purchases: Floats, driver: Floats, counts: Floats
) -> tuple[Floats, Floats, Floats]:
    """Fit counts [T] by base * purchases [T] + effect * driver [n, T], both at least 0.

    Poisson regression with identity link by iteratively reweighted least squares (McCullagh and
    Nelder 1989). Returns estimates [n, 2], covariances [n, 2, 2] and log likelihoods [n].
    """
    size = len(driver)
    mean = np.full(driver.shape, max(float(counts.mean()) if len(counts) else 0.0, 0.05))
    base, effect = np.zeros(size), np.zeros(size)
    for _ in range(15):
        weight = 1.0 / mean
        pp, pd = weight @ purchases**2, (weight * driver) @ purchases
        dd = (weight * driver**2).sum(axis=1)
        py, dy = weight @ (purchases * counts), (weight * driver) @ counts
        pp, dd = np.maximum(pp, 1e-12), np.maximum(dd, 1e-12)
        determinant = np.maximum(pp * dd - pd**2, 1e-12 * pp * dd)
        base = (dd * py - pd * dy) / determinant
        effect = (pp * dy - pd * py) / determinant
        base, effect = (
            np.where(effect < 0, py / pp, np.maximum(base, 0.0)),
            np.where(base < 0, dy / dd, np.maximum(effect, 0.0)),
        )
        base, effect = np.maximum(base, 0.0), np.maximum(effect, 0.0)
        mean = np.maximum(base[:, None] * purchases + effect[:, None] * driver, 0.02)
    covariance = np.empty((size, 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = dd / determinant, pp / determinant
    covariance[:, 0, 1] = covariance[:, 1, 0] = -pd / determinant
    likelihood = (counts * np.log(mean) - mean).sum(axis=1)
    return np.stack([base, effect], axis=1), covariance, likelihood


def _pooled_weights(grids: list[_Grid], config: CurveConfig) -> list[Floats]:
    """Return each grid's posterior weights under the channels' common distribution."""
    weights = [_normalised(grid.evidence) for grid in grids]
    for _ in range(config.pooling_rounds):
        priors = []
        for name, center, spread in (
            ("carry", config.carry_center, config.carry_spread),
            ("log_half", 0.0, config.half_spread),
        ):
            values: list[Floats] = [getattr(grid, name) for grid in grids]
            means = np.array([w @ v for w, v in zip(weights, values, strict=True)])
            prior = config.pooling_prior
            middle = (means.sum() + prior * center) / (len(means) + prior)
            squares = sum(
                float(w @ (v - middle) ** 2) for w, v in zip(weights, values, strict=True)
            )
            variance = (squares + prior * spread**2) / (len(means) + prior)
            priors.append([-0.5 * (v - middle) ** 2 / variance for v in values])
        weights = [
            _normalised(grid.evidence + priors[0][c] + priors[1][c]) for c, grid in enumerate(grids)
        ]
    return weights


def _normalised(logs: Floats) -> Floats:
    weights = np.exp(logs - logs.max())
    result: Floats = weights / weights.sum()
    return result
