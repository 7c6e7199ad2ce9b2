"""What became of past click-through forecasts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ml.forecasting.clicks import Clicks
from ml.forecasting.config import ClickConfig
from ml.forecasting.ctr_evaluate import (
    BASELINE,
    PER_CUSTOMERS,
    PER_IMPRESSIONS,
    Floats,
    Period,
    period,
)
from ml.forecasting.ctr_fit import ALL_CHANNELS, channel_rates
from ml.forecasting.gains import PartLosses, loss_interval, mean_gain
from ml.forecasting.shrinkage import binomial_deviance, poisson_deviance
from ml.metrics import Metric
from ml.model import Outcome


def compare(
    clicks: Clicks, predictions: pd.DataFrame, made: date, end: date, config: ClickConfig
) -> Outcome | None:
    """Compare the predictions of the night `made` with the clicks of [made, end).

    They have decayed where they did worse than the channel's rate beyond noise. None where nothing
    that was predicted has been shown.
    """
    seen = period(clicks, made, end)
    if seen.campaigns_before.empty:
        return None
    parts = [
        part
        for part in (_campaigns(seen, predictions), _customers(seen, predictions))
        if len(part.weight)
    ]
    if not parts:
        return None
    metrics = []
    for part in parts:
        loss = loss_interval(part.challenger, part.weight, config.resamples, config.random_state)
        base = round(float(part.baseline.sum() / part.weight.sum()), 6)
        metrics.append(Metric(part.name, loss.value, loss.low, loss.high, BASELINE, base))
    gain = mean_gain(parts, config.resamples, config.random_state)
    decayed = None
    if gain.high < 0:
        decayed = (
            f"the forecasts of {made} were worse than each channel's own rate "
            f"({-gain.value:.0%} more deviance)"
        )
    return Outcome(tuple(metrics), decayed)


def _predicted(predictions: pd.DataFrame, kind: str) -> pd.Series:
    own = predictions[predictions["entity_type"] == kind]
    return own.set_index("entity_id")["predicted_ctr"].astype(float)


def _campaigns(seen: Period, predictions: pd.DataFrame) -> PartLosses:
    predicted = _predicted(predictions, "campaign")
    after = seen.campaigns_after[seen.campaigns_after["campaign_id"].isin(predicted.index)]
    clicks = after["clicks"].to_numpy(dtype=np.float64)
    shown = after["impressions"].to_numpy(dtype=np.float64)
    pooled = channel_rates(seen.campaigns_before)
    usual = np.array([pooled.get(c, pooled[ALL_CHANNELS]) for c in after["channel"]])
    own = binomial_deviance(clicks, shown, predicted.reindex(after["campaign_id"]).to_numpy())
    base = binomial_deviance(clicks, shown, usual)
    return PartLosses("outcome_campaign_deviance", own, base, base, shown / PER_IMPRESSIONS)


def _customers(seen: Period, predictions: pd.DataFrame) -> PartLosses:
    predicted = _predicted(predictions, "customer")
    after = seen.customers[seen.customers["customer_id"].isin(predicted.index)]
    visits = after["visits_after"].to_numpy(dtype=np.float64)
    expected = after["expected_after"].to_numpy(dtype=np.float64)
    if visits.sum() == 0:
        nothing = np.zeros(0)
        return PartLosses("outcome_customer_deviance", nothing, nothing, nothing, nothing)
    rate = predicted.reindex(after["customer_id"]).to_numpy()

    def deviance(weights: Floats) -> Floats:
        return poisson_deviance(visits, weights * (visits.sum() / weights.sum()))

    own, base = deviance(rate * expected), deviance(expected)
    per = np.full(len(visits), 1.0 / PER_CUSTOMERS)
    return PartLosses("outcome_customer_deviance", own, base, base, per)
