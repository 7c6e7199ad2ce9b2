"""The night's click-through rates: campaigns, channels and customers."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ml.forecasting.clicks import Clicks, Night
from ml.forecasting.config import ClickConfig
from ml.forecasting.ctr_fit import CtrVersion, Rates, campaign_rates, customer_rates

Floats = NDArray[np.float64]

RESULT_COLUMNS = (
    "customer_id",
    "predicted_ctr",
    "low",
    "high",
    "forecast_confidence",
    "forecast_period",
    "forecast_date",
    "channel",
    "explanation",
)
"""Columns of `ml.ctr_predictions` beside the key.

customer_id             null for campaigns and channels
predicted_ctr           clicks over impressions (0-1) of the 30 days after the night
low, high               95 % interval of that rate
forecast_confidence     share (0-1) of the rate that rests on own figures, not on what is usual
forecast_period         next_campaign
forecast_date           the night
channel                 of a campaign; of a customer the one whose links they followed most often
explanation             what the rate rests on, in words
"""

PERIOD = "next_campaign"
RECENT_DAYS = 90
"""A customer's rate is that of all campaigns of so many days, times their responsiveness."""


def score_night(
    version: CtrVersion, night: Night, as_of: date, config: ClickConfig
) -> pd.DataFrame:
    """Return the predictions of a night: every campaign not over, channel, and known customer."""
    seen = night.clicks.campaign_counts(None, as_of)
    if seen.empty:
        return pd.DataFrame(columns=["entity_type", "entity_id", "target_date", *RESULT_COLUMNS])
    tables = [
        _campaigns(version, night.campaigns, seen, config),
        _channels(seen, config),
        _customers(version, night.clicks, as_of, config),
    ]
    table = pd.concat(tables, ignore_index=True)
    table[["predicted_ctr", "low", "high"]] = table[["predicted_ctr", "low", "high"]].round(8)
    return table.assign(
        target_date=as_of + timedelta(days=config.horizon_days),
        forecast_confidence=table["forecast_confidence"].round(4),
        forecast_period=PERIOD,
        forecast_date=as_of,
    )


def _table(kind: str, ids: pd.Series, rates: Rates) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "entity_type": kind,
            "entity_id": ids.astype(str).to_numpy(),
            "customer_id": ids.astype(str).to_numpy() if kind == "customer" else None,
            "predicted_ctr": rates.rate,
            "low": rates.low,
            "high": rates.high,
            "forecast_confidence": rates.weight,
        }
    )


def _campaigns(
    version: CtrVersion, campaigns: pd.DataFrame, seen: pd.DataFrame, config: ClickConfig
) -> pd.DataFrame:
    rates = campaign_rates(version, campaigns, seen, config)
    own = seen.set_index("campaign_id").reindex(campaigns["campaign_id"])
    told = []
    for clicks, shown, weight, channel in zip(
        own["clicks"], own["impressions"], rates.weight, campaigns["channel"], strict=True
    ):
        if not shown > 0:
            told.append(f"not shown yet: as campaigns on {channel} usually do")
        elif weight == 0:
            told.append(f"the rate of all campaigns on {channel}")
        else:
            told.append(
                f"{clicks:,.0f} clicks of {shown:,.0f} impressions ({clicks / shown:.2%}) count "
                f"{weight:.0%}, other campaigns on {channel} {1 - weight:.0%}"
            )
    return _table("campaign", campaigns["campaign_id"], rates).assign(
        channel=campaigns["channel"].to_numpy(), explanation=told
    )


def _channels(seen: pd.DataFrame, config: ClickConfig) -> pd.DataFrame:
    sums = seen.groupby("channel", as_index=False)[["clicks", "impressions"]].sum()
    clicks, shown = sums["clicks"].to_numpy(), sums["impressions"].to_numpy()
    posterior = stats.beta(clicks + 0.5, shown - clicks + 0.5)  # Jeffreys' prior
    rates = Rates(
        posterior.mean(),
        posterior.ppf((1 - config.level) / 2),
        posterior.ppf((1 + config.level) / 2),
        shown / (shown + 1.0),
    )
    told = [f"{c:,.0f} clicks of {i:,.0f} impressions" for c, i in zip(clicks, shown, strict=True)]
    return _table("channel", sums["channel"], rates).assign(
        channel=sums["channel"].to_numpy(), explanation=told
    )


def usual_rate(clicks: Clicks, as_of: date) -> float:
    """Return clicks over impressions of all campaigns in the last days (or ever, if none ran)."""
    rows = clicks.campaign_counts(as_of - timedelta(days=RECENT_DAYS), as_of)
    if rows.empty:
        rows = clicks.campaign_counts(None, as_of)
    return float((rows["clicks"].sum() + 0.5) / (rows["impressions"].sum() + 1.0))


def _customers(
    version: CtrVersion, clicks: Clicks, as_of: date, config: ClickConfig
) -> pd.DataFrame:
    counts = clicks.customer_counts(None, as_of)
    known = clicks.customers.set_index("customer_id")["is_known"]
    counts = counts[counts["customer_id"].map(known).astype(bool)].reset_index(drop=True)
    rates, usual = customer_rates(version, counts, config), usual_rate(clicks, as_of)
    often = _favourite_channels(clicks.visits, as_of).reindex(counts["customer_id"])
    scaled = Rates(
        np.minimum(rates.rate * usual, 1.0),
        np.minimum(rates.low * usual, 1.0),
        np.minimum(rates.high * usual, 1.0),
        rates.weight,
    )
    told = [
        _customer_words(visits, expected, channel)
        for visits, expected, channel in zip(
            counts["visits"], counts["expected"], often, strict=True
        )
    ]
    return _table("customer", counts["customer_id"], scaled).assign(
        channel=often.to_numpy(), explanation=told
    )


def _customer_words(visits: float, expected: float, channel: object) -> str:
    usual = f"an average customer registered as long makes {expected:.1f}"
    if visits == 0:
        return f"no visit through a campaign; {usual}"
    noun = "visit" if visits == 1 else "visits"
    return f"{visits:.0f} {noun} through campaigns, most often {channel}; {usual}"


def _favourite_channels(visits: pd.DataFrame, as_of: date) -> pd.Series:
    """Return by customer_id the channel of most visits (of equals the first by name)."""
    own = visits[visits["day"] < as_of]
    counts = own.groupby(["customer_id", "channel"])["visits"].sum().reset_index()
    counts["less"] = -counts["visits"]
    counts = counts.sort_values(["customer_id", "less", "channel"], kind="stable")
    first = counts.drop_duplicates("customer_id")
    return pd.Series(first["channel"].to_numpy(), index=first["customer_id"].to_numpy())
