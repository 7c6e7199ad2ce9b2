"""Why a customer's chance to buy is high or low, in plain words.

The trees' log-odds are exactly a sum of what each feature adds (SHAP). Features that say the
same thing are added up to one reason, so that a customer is given two or three different ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.journey_simulation import boosting
from ml.journey_simulation.conversion_model import ConversionFit
from ml.journey_simulation.history import Floats

SMALL = 0.1
"""A reason that changes the log-odds by less than this is not told."""

Row = dict[str, float]


def _count(value: float, one: str, more: str) -> str:
    return f"{value:,.0f} {one if round(value) == 1 else more}"


def _silence(row: Row) -> str:
    if row["orders"] == 0:
        return "no order so far"
    days = row["days_since_order"]
    since = "ordered today" if days < 1 else f"last order {_count(days, 'day', 'days')} ago"
    if row["orders"] < 3:
        return since
    return f"{since}, usually one every {_count(max(row['gap_days'], 1), 'day', 'days')}"


def _orders(row: Row) -> str:
    if row["orders"] == 0:
        return "no order so far"
    whole = _count(row["orders"], "order", "orders")
    return f"{whole} so far, {row['orders_90']:,.0f} of them in the last 90 days"


def _visits(row: Row) -> str:
    if row["visits_90"] == 0:
        return "no visit in the last 90 days"
    return f"{_count(row['visits_90'], 'visit', 'visits')} in the last 90 days"


def _basket(row: Row) -> str:
    added = _count(row["recent_cart_adds"], "product", "products")
    return f"{added} put into the basket in the last 90 days"


def _interest(row: Row) -> str:
    looked = _count(row["recent_product_views"], "product view", "product views")
    return f"{looked} in the last 90 days"


@dataclass(frozen=True)
class Topic:
    """One reason: the features whose shares it adds up, and how it is told of a customer."""

    name: str
    features: tuple[str, ...]
    words: Callable[[Row], str]


TOPICS = (
    Topic(
        "time since the last order",
        ("days_since_order", "silence_ratio", "last_gap_days", "gap_days", "alive_chance"),
        _silence,
    ),
    Topic(
        "number of orders",
        ("orders", "purchase_chance", "orders_30", "orders_90", "orders_180", "customer_days"),
        _orders,
    ),
    Topic(
        "visits",
        ("visits", "days_since_visit", "visits_a_month", "visits_since_order", "visits_missed",
         "visits_30", "visits_90", "visits_180", "recent_duration_seconds"),
        _visits,
    ),
    Topic(
        "basket and checkout",
        ("recent_cart_adds", "recent_checkout_starts", "recent_purchases", "recent_wishlist_adds"),
        _basket,
    ),
    Topic(
        "interest in products",
        ("recent_product_views", "recent_searches", "recent_account_page_views"),
        _interest,
    ),
    Topic(
        "time since registration",
        ("registered_days",),
        lambda row: f"registered {_count(row['registered_days'], 'day', 'days')} ago",
    ),
    Topic(
        "order value",
        ("order_value",),
        lambda row: f"{row['order_value']:,.0f} per order" if row["orders"] else "no order value",
    ),
    Topic(
        "cancelled or returned orders",
        ("failed_orders",),
        lambda row: f"{_count(row['failed_orders'], 'order', 'orders')} cancelled or returned",
    ),
    Topic(
        "campaigns",
        ("recent_from_campaign",),
        lambda row: f"{_count(row['recent_from_campaign'], 'visit', 'visits')} from campaigns in "
        "the last 90 days",
    ),
)  # fmt: skip


def topic_shares(fitted: ConversionFit, x: pd.DataFrame) -> Floats:
    """Return what each topic adds to the log-odds [n x topics]; zeros for the baseline."""
    if fitted.booster is None:
        return np.zeros((len(x), len(TOPICS)))
    shares = boosting.contributions(fitted.booster, x)
    names = list(x.columns)
    columns = [[names.index(feature) for feature in topic.features] for topic in TOPICS]
    return np.stack([shares[:, which].sum(axis=1) for which in columns], axis=1)


def insights(fitted: ConversionFit, x: pd.DataFrame, shares: Floats, most: int = 3) -> list[str]:
    """Return the strongest reasons of each row, what speaks for a purchase first.

    The baseline knows two: the last order, and how many there were.
    """
    columns = [str(name) for name in x.columns]
    rows = [dict(zip(columns, values, strict=True)) for values in x.to_numpy().tolist()]
    if fitted.booster is None:
        both = [dict.fromkeys((_silence(row), _orders(row))) for row in rows]
        return [f"{'; '.join(words)}.".capitalize() for words in both]
    order = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :most]
    found = []
    for row, values, places in zip(rows, shares, order, strict=True):
        told = [k for k in places if abs(values[k]) >= SMALL] or [places[0]]
        # Two topics may say the same of a customer: it is told once.
        more = list(dict.fromkeys(TOPICS[k].words(row) for k in told if values[k] > 0))
        less = list(dict.fromkeys(TOPICS[k].words(row) for k in told if values[k] <= 0))
        parts = []
        if more:
            parts.append(f"For: {'; '.join(more)}.")
        if less:
            parts.append(f"Against: {'; '.join(less)}.")
        found.append(" ".join(parts))
    return found
