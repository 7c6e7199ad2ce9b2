"""What became of past revenue forecasts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from ml.forecasting import customers
from ml.forecasting.backtest import naive_scale
from ml.forecasting.company import BASELINE as NAIVE
from ml.forecasting.config import RevenueConfig
from ml.forecasting.daily import SeasonalNaive
from ml.forecasting.gains import PartLosses, loss_interval, mean_gain
from ml.forecasting.purchases import Purchases
from ml.metrics import Metric
from ml.model import Outcome


def compare(
    purchases: Purchases, predictions: pd.DataFrame, made: date, config: RevenueConfig
) -> Outcome | None:
    """Compare the predictions of the night `made` with the 30 days after it.

    They have decayed where they did worse than the simple answers beyond noise. None where nothing
    was predicted.
    """
    parts = [
        part
        for part in (
            _company(purchases, predictions, made, config),
            _customers(purchases, predictions, made, config),
        )
        if len(part.weight)
    ]
    if not parts:
        return None
    metrics = []
    for part in parts:
        loss = loss_interval(part.challenger, part.weight, config.resamples, config.random_state)
        name = NAIVE if part.name == "outcome_company_mase" else customers.BASELINE
        base = round(float(part.baseline.sum() / part.weight.sum()), 6)
        metrics.append(Metric(part.name, loss.value, loss.low, loss.high, name, base))
    metrics += _coverage(purchases, predictions, made, config)
    gain = mean_gain(parts, config.resamples, config.random_state)
    decayed = None
    if gain.high < 0:
        decayed = (
            f"the forecasts of {made} were worse than the simple answers ({-gain.value:.0%} more "
            "loss)"
        )
    return Outcome(tuple(metrics), decayed)


def _company_rows(predictions: pd.DataFrame, made: date, config: RevenueConfig) -> pd.DataFrame:
    end = made + timedelta(days=config.customer_days)
    rows = predictions[predictions["entity_type"] == "company"]
    return rows[rows["target_date"] < end].sort_values("target_date", kind="stable")


def _company(
    purchases: Purchases, predictions: pd.DataFrame, made: date, config: RevenueConfig
) -> PartLosses:
    rows = _company_rows(predictions, made, config)
    settled = purchases.total.before(made - timedelta(days=config.settle_days))
    actual = purchases.total.between(made, made + timedelta(days=len(rows)))
    nothing = np.zeros(0)
    if not len(actual) or len(actual) != len(rows) or not len(settled.values):
        return PartLosses("outcome_company_mase", nothing, nothing, nothing, nothing)
    leads = config.settle_days + len(rows)
    naive = SeasonalNaive().forecast(b"{}", settled, leads)[config.settle_days :]
    scale = naive_scale(settled.values)
    own = np.abs(rows["predicted_revenue"].to_numpy(dtype=np.float64) - actual) / scale
    base = np.abs(naive - actual) / scale
    return PartLosses("outcome_company_mase", own, base, base, np.ones(len(actual)))


def _customers(
    purchases: Purchases, predictions: pd.DataFrame, made: date, config: RevenueConfig
) -> PartLosses:
    rows = predictions[predictions["entity_type"] == "customer"]
    predicted = rows.set_index("entity_id")["predicted_revenue"].astype(float)
    buyers = purchases.buyers(made)
    found = predicted.reindex([purchases.customers[row] for row in buyers.rows]).to_numpy()
    spent = purchases.spending(buyers.rows, made, made + timedelta(days=config.customer_days))
    naive = customers.METHODS[customers.BASELINE].forecast(b"{}", buyers, config.customer_days)
    known = ~np.isnan(found)
    own = customers.tweedie_deviance(
        spent[known], np.maximum(found[known], customers.LEAST_REVENUE)
    )
    base = customers.tweedie_deviance(spent[known], naive[known])
    return PartLosses("outcome_customer_deviance", own, base, base, np.ones(int(known.sum())))


def _coverage(
    purchases: Purchases, predictions: pd.DataFrame, made: date, config: RevenueConfig
) -> list[Metric]:
    rows = _company_rows(predictions, made, config)
    actual = purchases.total.between(made, made + timedelta(days=len(rows)))
    if not len(actual) or len(actual) != len(rows):
        return []
    metrics = []
    for name, low, high in (("95", "low", "high"), ("80", "low_80", "high_80")):
        inside = (actual >= rows[low].to_numpy()) & (actual <= rows[high].to_numpy())
        metrics.append(Metric(f"outcome_company_coverage_{name}", round(float(inside.mean()), 6)))
    return metrics
