"""How good click-through forecasts are, beside the channel's rate and the champion.

Two parts are measured, each by its deviance (twice what the log-likelihood falls short of that of
the rates that came about): campaigns per 1,000 impressions, customers per 100 of them. Who among
customers clicks is measured, not how much is clicked in all: every forecast of visits is scaled to
the visits that came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ml.forecasting.clicks import Clicks
from ml.forecasting.config import ClickConfig
from ml.forecasting.ctr_fit import (
    CtrVersion,
    campaign_posteriors,
    campaign_rates,
    customer_rates,
    fit_priors,
)
from ml.forecasting.gains import PartLosses, loss_interval, mean_gain
from ml.forecasting.shrinkage import binomial_deviance, poisson_deviance
from ml.metrics import Metric
from ml.model import Judgement

Floats = NDArray[np.float64]

BASELINE = "channel_ctr"
PER_IMPRESSIONS = 1000.0
PER_CUSTOMERS = 100.0


@dataclass(frozen=True)
class Period:
    """Counts before an origin, and what came in the span of days after it."""

    campaigns_before: pd.DataFrame
    campaigns_after: pd.DataFrame
    customers: pd.DataFrame

    @property
    def customers_before(self) -> pd.DataFrame:
        """What was seen of each customer before the origin."""
        return self.customers[["visits_before", "expected_before"]].set_axis(
            ["visits", "expected"], axis=1
        )


def period(clicks: Clicks, origin: date, end: date) -> Period:
    """Return the counts before `origin`, and those of [origin, end) to be forecast.

    Only customers registered before the origin are forecast.
    """
    before = clicks.customer_counts(None, origin)
    after = clicks.customer_counts(origin, end)
    customers = before.merge(after, on="customer_id", suffixes=("_before", "_after"))
    return Period(
        clicks.campaign_counts(None, origin),
        clicks.campaign_counts(origin, end),
        customers[customers["expected_after"] > 0],
    )


def campaign_losses(version: CtrVersion, seen: Period, config: ClickConfig) -> Floats:
    """Return the deviance of each campaign shown in the period."""
    after = seen.campaigns_after
    rates = campaign_rates(version, after, seen.campaigns_before, config)
    return binomial_deviance(
        after["clicks"].to_numpy(dtype=np.float64),
        after["impressions"].to_numpy(dtype=np.float64),
        rates.rate,
    )


def customer_losses(version: CtrVersion, seen: Period, config: ClickConfig) -> Floats:
    """Return the deviance of each customer's visits in the period."""
    if seen.customers.empty:
        return np.zeros(0)
    rate = customer_rates(version, seen.customers_before, config).rate
    expected = rate * seen.customers["expected_after"].to_numpy(dtype=np.float64)
    visits = seen.customers["visits_after"].to_numpy(dtype=np.float64)
    return poisson_deviance(visits, expected * (max(visits.sum(), 1e-9) / expected.sum()))


def backtest_origins(cutoff: date, config: ClickConfig) -> list[date]:
    """Return the origins of the backtest, whose outcomes all lie before the cutoff."""
    step = timedelta(days=config.horizon_days)
    return [cutoff - step * back for back in range(config.origins, 0, -1)]


@dataclass(frozen=True)
class Backtest:
    """Deviances over all origins: of rates of their own, and of the baseline."""

    campaigns: tuple[float, float]
    customers: tuple[float, float]


def backtest(clicks: Clicks, cutoff: date, config: ClickConfig) -> Backtest:
    """Fit the priors anew at each origin, and forecast the days after it."""
    sums = np.zeros((2, 2))
    weights = np.zeros(2)
    for origin in backtest_origins(cutoff, config):
        if clicks.campaign_counts(None, origin).empty:
            continue
        seen = period(clicks, origin, origin + timedelta(days=config.horizon_days))
        base = fit_priors(clicks, origin, config)
        for column, version in enumerate((base.as_challenger(), base)):
            sums[0, column] += campaign_losses(version, seen, config).sum()
            sums[1, column] += customer_losses(version, seen, config).sum()
        weights[0] += seen.campaigns_after["impressions"].sum() / PER_IMPRESSIONS
        weights[1] += len(seen.customers) / PER_CUSTOMERS
    losses = sums / np.maximum(weights, 1e-9)[:, None]
    return Backtest(
        (float(losses[0, 0]), float(losses[0, 1])), (float(losses[1, 0]), float(losses[1, 1]))
    )


def choose(base: CtrVersion, tried: Backtest) -> CtrVersion:
    """Return the version in which each part has rates of its own only where that won."""
    return replace(
        base,
        shrinks_campaigns=tried.campaigns[0] < tried.campaigns[1],
        shrinks_customers=tried.customers[0] < tried.customers[1],
    )


def window_periods(clicks: Clicks, cutoff: date, config: ClickConfig) -> list[Period]:
    """Return the periods of the inference window, each forecast from the day before it begins.

    The window is cut into spans of the horizon, because that is what a night looks ahead; days
    left over at its end join none.
    """
    step = timedelta(days=config.horizon_days)
    spans = max((clicks.until - cutoff) // step, 1)
    starts = [cutoff + step * number for number in range(spans)]
    return [period(clicks, start, min(start + step, clicks.until)) for start in starts]


def part_losses(
    versions: tuple[CtrVersion, CtrVersion, CtrVersion], seen: list[Period], config: ClickConfig
) -> tuple[PartLosses, PartLosses]:
    """Return the losses of campaigns and of customers, each summed over the periods.

    Args:
        versions: challenger, champion, baseline.
        seen: the periods.
        config: settings.
    """
    campaigns = pd.concat([p.campaigns_after for p in seen], ignore_index=True)
    customers = pd.concat([p.customers for p in seen], ignore_index=True)
    first = [np.concatenate([campaign_losses(v, p, config) for p in seen]) for v in versions]
    second = [np.concatenate([customer_losses(v, p, config) for p in seen]) for v in versions]
    shown = campaigns["impressions"].to_numpy(dtype=np.float64) / PER_IMPRESSIONS
    each = np.full(len(customers), 1.0 / PER_CUSTOMERS)
    return (
        _by_unit("campaign_deviance", campaigns["campaign_id"], first, shown),
        _by_unit("customer_deviance", customers["customer_id"], second, each),
    )


def _by_unit(name: str, units: pd.Series, losses: list[Floats], weight: Floats) -> PartLosses:
    """Return losses and weights summed by unit: one unit's periods are not independent."""
    codes, found = pd.factorize(units, sort=True)
    own, theirs, base, total = (
        np.bincount(codes, weights=values, minlength=len(found)).astype(np.float64)
        for values in (*losses, weight)
    )
    return PartLosses(name, own, theirs, base, total)


def coverage(version: CtrVersion, seen: list[Period], config: ClickConfig) -> float | None:
    """Return the share of campaigns and periods whose clicks lay in their predictive interval.

    The interval of predictions is that of the rate; clicks scatter around it, so that theirs is
    the beta-binomial's.
    """
    inside: list[bool] = []
    tail = (1 - config.level) / 2
    for one in seen:
        a, b, _ = campaign_posteriors(version, one.campaigns_after, one.campaigns_before)
        clicks = one.campaigns_after["clicks"].to_numpy()
        shown = one.campaigns_after["impressions"].to_numpy().astype(np.int64)
        future = stats.betabinom(shown, a, b)
        inside += ((clicks >= future.ppf(tail)) & (clicks <= future.ppf(1 - tail))).tolist()
    return float(np.mean(inside)) if inside else None


def judge(
    parts: tuple[PartLosses, PartLosses],
    tried: Backtest,
    challenger: CtrVersion,
    covered: float | None,
    config: ClickConfig,
) -> Judgement:
    """Return the figures of the challenger in the window, and in the backtest before it."""
    metrics = []
    for part in parts:
        if not len(part.weight):
            continue
        loss = loss_interval(part.challenger, part.weight, config.resamples, config.random_state)
        base = float(part.baseline.sum() / part.weight.sum())
        metrics.append(Metric(part.name, loss.value, loss.low, loss.high, BASELINE, round(base, 6)))
    for name, (own, base), used in (
        ("backtest_campaign_deviance", tried.campaigns, challenger.shrinks_campaigns),
        ("backtest_customer_deviance", tried.customers, challenger.shrinks_customers),
    ):
        value = own if used else base
        metrics.append(
            Metric(name, round(value, 6), baseline=BASELINE, baseline_value=round(base, 6))
        )
    if covered is not None:
        metrics.append(Metric("campaign_coverage", round(covered, 6)))
    gain = mean_gain(parts, config.resamples, config.random_state)
    told = ", ".join(
        f"{m.name.replace('_', ' ')} {m.value:.3f} ({BASELINE} {m.baseline_value:.3f})"
        for m in metrics
        if m.name in ("campaign_deviance", "customer_deviance")
    )
    return Judgement(tuple(metrics), gain, told or "nothing was shown in the window")
