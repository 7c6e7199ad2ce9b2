"""The night's revenue forecasts: each customer's next month, and the company's next days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.forecasting import company, customer_fit
from ml.forecasting.company import CompanyForecast
from ml.forecasting.config import RevenueConfig
from ml.forecasting.customers import models
from ml.forecasting.purchases import Buyers, Purchases
from ml.forecasting.revenue_fit import RevenueVersion, layout

Floats = NDArray[np.float64]

RESULT_COLUMNS = (
    "customer_id",
    "predicted_revenue",
    "low",
    "high",
    "low_80",
    "high_80",
    "forecast_confidence",
    "forecast_period",
    "forecast_date",
    "explanation",
)
"""Columns of `ml.revenue_predictions` beside the key.

customer_id             null for the company
predicted_revenue       expected revenue in the shop's currency: of a customer, of the 30 days from
                        the night on; of the company, of the day `target_date`
low, high               95 % interval; low_80, high_80 the 80 % one
forecast_confidence     forecast / (forecast + mean absolute error of forecasts alike), 0-1: 0.5
                        where they are usually wrong by as much as they say
forecast_period         next_month, or day
forecast_date           the night
explanation             what the forecast rests on, in words
"""

COMPANY = "company"
NEXT_MONTH, DAY = "next_month", "day"


@dataclass(frozen=True)
class Story:
    """What BG/NBD says of buyers, in arrays of one length; for explanations."""

    alive: Floats
    purchases: Floats
    value: Floats


def score_night(
    version: RevenueVersion, purchases: Purchases, as_of: date, config: RevenueConfig
) -> pd.DataFrame:
    """Return the predictions of a night: all customers, and the company's days to come."""
    if not len(purchases.total.values):
        return pd.DataFrame(columns=["entity_type", "entity_id", "target_date", *RESULT_COLUMNS])
    tables = [
        _buyers(version, purchases, as_of, config),
        _newcomers(version, purchases.without_purchase(), as_of, config),
        _company(version, night_forecast(version, purchases, as_of, config), as_of),
    ]
    table = pd.concat([t for t in tables if len(t)], ignore_index=True)
    money = ["predicted_revenue", "low", "high", "low_80", "high_80"]
    table[money] = table[money].round(4)
    return table.assign(
        forecast_confidence=table["forecast_confidence"].round(4), forecast_date=as_of
    )


def night_forecast(
    version: RevenueVersion, purchases: Purchases, as_of: date, config: RevenueConfig
) -> CompanyForecast:
    """Return the company's days to come, forecast from the settled days before the night."""
    return company.forecast(version.company, purchases.total, as_of, layout(config, 0))


def _buyers(
    version: RevenueVersion, purchases: Purchases, as_of: date, config: RevenueConfig
) -> pd.DataFrame:
    buyers = purchases.buyers(as_of)
    found = customer_fit.forecast(version.customers, buyers, config.customer_days)
    ids = [purchases.customers[row] for row in buyers.rows]
    return pd.DataFrame(
        {
            "entity_type": "customer",
            "entity_id": ids,
            "target_date": as_of + timedelta(days=config.customer_days),
            "customer_id": ids,
            "predicted_revenue": found.values,
            "low": found.low["0.95"],
            "high": found.high["0.95"],
            "low_80": found.low["0.8"],
            "high_80": found.high["0.8"],
            "forecast_confidence": found.confidence,
            "forecast_period": NEXT_MONTH,
            "explanation": explanations(buyers, story(version, buyers, config)),
        }
    )


def story(version: RevenueVersion, buyers: Buyers, config: RevenueConfig) -> Story | None:
    """Return what BG/NBD and Gamma-Gamma say of buyers, or None where they were not fitted."""
    if not version.customers.stories:
        return None
    frequency, value = models(version.customers.stories)
    return Story(
        frequency.alive(buyers.histories),
        frequency.expected_purchases(buyers.histories, float(config.customer_days)),
        value.expected_value(buyers.purchase_days, buyers.mean_value),
    )


def explanations(buyers: Buyers, told: Story | None) -> list[str]:
    """Return for each buyer what speaks for and against a purchase, in words."""
    recency = buyers.features[:, 0]
    words = []
    for number in range(len(buyers.rows)):
        days, count = recency[number], buyers.purchase_days[number]
        ago = "yesterday" if days == 1 else f"{days:.0f} days ago"
        if count > 1:
            gap = buyers.histories.recency[number] / (count - 1)
            said = f"bought on {count:.0f} days, every {gap:.0f} or so, last {ago}"
        else:
            said = f"bought once, {ago}"
        if told is not None:
            # BG/NBD lets nobody leave before a second purchase: of single ones it cannot tell.
            if count > 1:
                said += f"; still a customer with {told.alive[number]:.0%}"
            said += (
                f"; expected to buy {told.purchases[number]:.2f} times for "
                f"{told.value[number]:,.0f} each"
            )
        words.append(said)
    return words


def _newcomers(
    version: RevenueVersion, ids: Sequence[str], as_of: date, config: RevenueConfig
) -> pd.DataFrame:
    """Return those who have not bought yet: all the same, as nothing tells them apart."""
    usual = version.customers.newcomer
    return pd.DataFrame(
        {
            "entity_type": "customer",
            "entity_id": list(ids),
            "target_date": as_of + timedelta(days=config.customer_days),
            "customer_id": list(ids),
            "predicted_revenue": usual.mean,
            "low": 0.0,
            "high": usual.high["0.95"],
            "low_80": 0.0,
            "high_80": usual.high["0.8"],
            "forecast_confidence": usual.confidence,
            "forecast_period": NEXT_MONTH,
            "explanation": "has not bought yet: as customers usually do who have registered only",
        }
    )


def _company(version: RevenueVersion, found: CompanyForecast, as_of: date) -> pd.DataFrame:
    days = len(found.values)
    return pd.DataFrame(
        {
            "entity_type": COMPANY,
            "entity_id": COMPANY,
            "target_date": [as_of + timedelta(days=number) for number in range(days)],
            "customer_id": None,
            "predicted_revenue": found.values,
            "low": found.low["0.95"],
            "high": found.high["0.95"],
            "low_80": found.low["0.8"],
            "high_80": found.high["0.8"],
            "forecast_confidence": found.confidence,
            "forecast_period": DAY,
            "explanation": f"by {version.company.method}, from the days that have settled",
        }
    )
