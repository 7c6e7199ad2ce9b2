"""How good revenue forecasts are, beside the simple answers and the champion.

Two parts are measured on the days of the inference window that have settled: the company's days by
their absolute error, customers' months by their Tweedie deviance. The gain that decides is the mean
over both of the share of the champion's loss that is saved; a part that answers as the champion
does gains nothing and loses nothing.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ml.forecasting import company, customer_fit, customers
from ml.forecasting.backtest import naive_scale
from ml.forecasting.gains import PartLosses, loss_interval, mean_gain
from ml.forecasting.revenue_fit import RevenueHistory, RevenueVersion
from ml.metrics import Metric
from ml.model import Judgement

Floats = NDArray[np.float64]

Versions = tuple[RevenueVersion, RevenueVersion, RevenueVersion]

TOP_SHARE = 0.2


def settled_until(data: RevenueHistory) -> date:
    """Return the day from which on orders of the window may still be pending."""
    return data.purchases.until - timedelta(days=data.config.settle_days)


def company_losses(versions: Versions, data: RevenueHistory) -> PartLosses:
    """Return absolute errors in the window, in units of MASE, summed by week of the day forecast.

    Every week of the window is an origin that forecasts the days left of it. Weeks are the units,
    because errors of days near each other are alike.

    Args:
        versions: challenger, champion, baseline.
        data: what is known.
    """
    end, step = settled_until(data), data.config.step_days
    weeks = -(-(end - data.cutoff).days // 7)
    sums, count = np.zeros((3, weeks)), np.zeros(weeks)
    for offset in range(0, (end - data.cutoff).days, step):
        origin = data.cutoff + timedelta(days=offset)
        actual = data.purchases.total.between(origin, end)[: data.config.horizon_days]
        week = (offset + np.arange(len(actual))) // 7
        count += np.bincount(week, minlength=weeks)
        for row, version in enumerate(versions):
            found = company.forecast(version.company, data.purchases.total, origin, data.layout)
            error = np.abs(found.values[: len(actual)] - actual)
            sums[row] += np.bincount(week, weights=error, minlength=weeks)
    own, theirs, base = sums / naive_scale(data.series.values)
    return PartLosses("company_mase", own, theirs, base, count)


def customer_periods(data: RevenueHistory) -> list[tuple[date, date]]:
    """Return the months of the window, cut short only where it holds no whole one."""
    span, end = timedelta(days=data.config.customer_days), settled_until(data)
    months = max((end - data.cutoff) // span, 1)
    starts = [data.cutoff + span * number for number in range(months)]
    return [(start, min(start + span, end)) for start in starts]


def customer_losses(versions: Versions, data: RevenueHistory) -> PartLosses:
    """Return Tweedie deviances in the window, summed by customer.

    Customers are forecast from what was known at the start of each month, if they had bought.

    Args:
        versions: challenger, champion, baseline.
        data: what is known.
    """
    size = len(data.purchases.customers)
    sums, count = np.zeros((3, size)), np.zeros(size)
    for start, end in customer_periods(data):
        buyers, days = data.purchases.buyers(start), (end - start).days
        spent = data.purchases.spending(buyers.rows, start, end)
        count[buyers.rows] += 1
        for row, version in enumerate(versions):
            found = customer_fit.forecast(version.customers, buyers, days)
            sums[row, buyers.rows] += customers.tweedie_deviance(spent, found.values)
    known = count > 0
    own, theirs, base = sums[:, known]
    return PartLosses("customer_deviance", own, theirs, base, count[known])


def window_figures(version: RevenueVersion, data: RevenueHistory) -> list[Metric]:
    """Return the coverage of intervals in the window, and what the top fifth of customers brings.

    The company's intervals are those of the forecast at the cutoff.
    """
    end = settled_until(data)
    actual = data.purchases.total.between(data.cutoff, end)[: data.config.horizon_days]
    found = company.forecast(version.company, data.purchases.total, data.cutoff, data.layout)
    metrics = []
    for level in found.low:
        inside = (actual >= found.low[level][: len(actual)]) & (
            actual <= found.high[level][: len(actual)]
        )
        name = f"company_coverage_{round(100 * float(level))}"
        metrics.append(Metric(name, round(float(inside.mean()), 6)))
    start, until = customer_periods(data)[0]
    buyers = data.purchases.buyers(start)
    spent = data.purchases.spending(buyers.rows, start, until)
    scored = customer_fit.forecast(version.customers, buyers, (until - start).days)
    covered = (spent >= scored.low["0.95"]) & (spent <= scored.high["0.95"])
    metrics.append(Metric("customer_coverage_95", round(float(covered.mean()), 6)))
    return metrics


def top_share(values: Floats, spent: Floats) -> float:
    """Return the share of all spending by the fifth of customers with the highest forecasts."""
    top = np.argsort(-values, kind="stable")[: max(round(TOP_SHARE * len(values)), 1)]
    return float(spent[top].sum() / spent.sum()) if spent.sum() > 0 else 0.0


def _top_metric(
    challenger: RevenueVersion, baseline: RevenueVersion, data: RevenueHistory
) -> Metric:
    start, until = customer_periods(data)[0]
    buyers = data.purchases.buyers(start)
    spent = data.purchases.spending(buyers.rows, start, until)
    own, base = (
        top_share(customer_fit.forecast(v.customers, buyers, (until - start).days).values, spent)
        for v in (challenger, baseline)
    )
    return Metric("customer_top_fifth_share", round(own, 6), baseline=customers.BASELINE,
                  baseline_value=round(base, 6))  # fmt: skip


def backtest_figures(version: RevenueVersion, data: RevenueHistory) -> list[Metric]:
    """Return the figures of the rolling origins before the cutoff, each beside its baseline's."""
    config = data.config
    tried, naive = data.company_tried, data.company_tried[company.BASELINE]
    method = tried.get(version.company.method, naive)
    weight = np.ones(method.error.shape[0])
    metrics = []
    for days in company.HORIZONS:
        found = loss_interval(method.by_origin(days), weight, config.resamples, config.random_state)
        metrics.append(
            Metric(
                f"backtest_mase_{days}",
                found.value,
                found.low,
                found.high,
                company.BASELINE,
                round(naive.mase(days), 6),
            )
        )
    own = data.customers_tried
    metrics.append(
        Metric(
            "backtest_customer_deviance",
            round(own[version.customers.method].loss, 6),
            baseline=customers.BASELINE,
            baseline_value=round(own[customers.BASELINE].loss, 6),
        )
    )
    return metrics


def judge(
    data: RevenueHistory,
    challenger: RevenueVersion,
    baseline: RevenueVersion,
    champion: RevenueVersion,
) -> Judgement:
    """Return the challenger's figures in the window and in the backtest before it."""
    config = data.config
    versions = (challenger, champion, baseline)
    parts = (company_losses(versions, data), customer_losses(versions, data))
    metrics = []
    for part, name in zip(parts, (company.BASELINE, customers.BASELINE), strict=True):
        found = loss_interval(part.challenger, part.weight, config.resamples, config.random_state)
        base = round(float(part.baseline.sum() / part.weight.sum()), 6)
        metrics.append(Metric(part.name, found.value, found.low, found.high, name, base))
    told = (
        f"company by {challenger.company.method}: MASE {metrics[0].value:.3f} "
        f"({company.BASELINE} {metrics[0].baseline_value:.3f}); customers by "
        f"{challenger.customers.method}: deviance {metrics[1].value:.2f} "
        f"({customers.BASELINE} {metrics[1].baseline_value:.2f})"
    )
    metrics.append(_top_metric(challenger, baseline, data))
    metrics += window_figures(challenger, data) + backtest_figures(challenger, data)
    return Judgement(tuple(metrics), mean_gain(parts, config.resamples, config.random_state), told)
