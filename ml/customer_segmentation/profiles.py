"""What the customers of each segment are like, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ml.customer_segmentation.config import NO_PURCHASE_SEGMENT, NO_PURCHASE_TYPE


@dataclass(frozen=True)
class SegmentProfile:
    """One segment's customers: counts, shares in percent, averages, and days.

    `active_share` is the percentage that bought within the inference window. Spending is in
    the shop's currency.
    """

    segment: int
    segment_type: str
    customers: int
    customer_share: float
    revenue: float
    revenue_share: float
    avg_monetary: float
    avg_frequency: float
    avg_order_value: float
    median_recency_days: float
    median_tenure_days: float
    active_share: float
    avg_confidence: float


def profile_segments(
    frame: pd.DataFrame, placed: pd.DataFrame, names: Mapping[int, str], window_days: int
) -> tuple[SegmentProfile, ...]:
    """Return a profile per segment in the order of `names`, then of those without purchase.

    `frame` holds the features of customers who have bought, `placed` everyone's place
    (`customer_id`, `segment`, `confidence`). A segment that no customer fell into has a profile
    of zeros; the group without purchase is left out where it is empty.
    """
    features = frame.set_index("customer_id")
    everyone, revenue = max(len(placed), 1), float(features["monetary"].sum())
    profiles = []
    groups = {**names, NO_PURCHASE_SEGMENT: NO_PURCHASE_TYPE}
    for segment, name in groups.items():
        members = placed[placed["segment"] == segment]
        if segment == NO_PURCHASE_SEGMENT and members.empty:
            continue
        own = features.loc[features.index.isin(members["customer_id"])]
        spent, orders = float(own["monetary"].sum()), float(own["frequency"].sum())
        profiles.append(
            SegmentProfile(
                segment=segment,
                segment_type=name,
                customers=len(members),
                customer_share=_percent(len(members), everyone),
                revenue=round(spent, 2),
                revenue_share=_percent(spent, revenue),
                avg_monetary=_ratio(spent, len(own)),
                avg_frequency=_ratio(orders, len(own)),
                avg_order_value=_ratio(spent, orders),
                median_recency_days=_median(own["recency_days"]),
                median_tenure_days=_median(own["tenure_days"]),
                active_share=_percent((own["recency_days"] <= window_days).sum(), len(own)),
                avg_confidence=0.0
                if members.empty
                else round(float(members["confidence"].mean()), 3),
            )
        )
    return tuple(profiles)


def _ratio(part: float, whole: float) -> float:
    return round(float(part) / float(whole), 2) if whole else 0.0


def _percent(part: float, whole: float) -> float:
    return round(100 * float(part) / float(whole), 1) if whole else 0.0


def _median(values: pd.Series) -> float:
    return 0.0 if values.empty else round(float(values.median()), 1)
