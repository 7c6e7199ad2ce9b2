"""What a customer's behaviour before an origin looks like, as one row of numbers each.

Every function takes a :class:`~ml.journey_simulation.history.History` that ends at the origin
(`history.before`), so that nothing at or after it can reach a feature.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.journey_simulation import bgnbd
from ml.journey_simulation.history import (
    SESSION_COUNTS,
    SESSION_MARKS,
    Bools,
    Floats,
    History,
    Ints,
)

SETTLED_DAYS = 30.0
"""An order younger than this may still be cancelled or returned: its status is not looked at."""

NEVER = 1000.0
"""Days since something that has never happened."""

PERIODS = (30.0, 90.0, 180.0)


def known(history: History) -> Ints:
    """Return the row numbers of the customers who had registered, ordered or visited by then."""
    first = history.registered < history.until
    first[history.order_customer] = True
    first[history.session_customer] = True
    return np.flatnonzero(first)


def order_features(history: History, horizon: float) -> dict[str, Floats]:
    """Return features of orders, by name, each [n]; BG/NBD looks `horizon` days ahead."""
    n, end = history.customers, history.until
    who, at = history.order_customer, history.order_at

    def count(mask: Bools) -> Floats:
        return _sum(who[mask], n, None)

    placed = _sum(who, n, None)
    first, last = _first(who, at, n, end), _last(who, at, n, -np.inf)
    ordered = placed > 0
    since = np.where(ordered, end - last, NEVER)
    tenure = np.where(ordered, end - first, 0.0)
    active = np.where(ordered, last - first, 0.0)
    settled = at < end - SETTLED_DAYS
    amounts = _sum(who, n, history.order_amount)
    x, t_x = np.maximum(placed - 1, 0), active
    fitted = bgnbd.fit(x[ordered], t_x[ordered], tenure[ordered])
    chance = np.where(ordered, bgnbd.buys_within(fitted, x, t_x, tenure, horizon), 0.0)
    alive = np.where(ordered, bgnbd.alive(fitted, x, t_x, tenure), 0.0)
    gap = np.where(placed > 1, active / np.maximum(placed - 1, 1), tenure)
    found = {
        "orders": placed,
        "days_since_order": since,
        "customer_days": tenure,
        "gap_days": gap,
        "silence_ratio": np.where(ordered, since / (gap + 7.0), NEVER),
        "last_gap_days": _last_gap(who, at, n),
        "order_value": amounts / np.maximum(placed, 1),
        "failed_orders": count(settled & history.order_failed),
        "alive_chance": alive,
        "purchase_chance": chance,
    }
    for days in PERIODS:
        found[f"orders_{days:.0f}"] = count(at >= end - days)
    return found


def visit_features(history: History) -> dict[str, Floats]:
    """Return features of visits, by name, each [n]."""
    n, end = history.customers, history.until
    who, at = history.session_customer, history.session_at
    visits = _sum(who, n, None)
    last_order = _last(history.order_customer, history.order_at, n, -np.inf)
    # A date of registration in the future is a mistake of the shop's.
    began = np.minimum(np.minimum(history.registered, end), _first(who, at, n, end))
    since_order = at > last_order[who]
    days_before = np.where(np.isfinite(last_order), last_order - began, end - began)
    rate = (_sum(who[~since_order], n, None) + 0.3) / (np.maximum(days_before, 0) + 30.0)
    rate = np.where(np.isfinite(last_order), rate, (visits + 0.3) / (end - began + 30.0))
    after = np.where(np.isfinite(last_order), _sum(who[since_order], n, None), visits)
    expected = rate * np.where(np.isfinite(last_order), end - last_order, end - began)
    found = {
        "visits": visits,
        "days_since_visit": np.where(visits > 0, end - _last(who, at, n, -np.inf), NEVER),
        "registered_days": end - began,
        "visits_a_month": 30 * visits / (end - began + 30.0),
        "visits_since_order": after,
        "visits_missed": (expected - after) / np.sqrt(expected + 0.3),
    }
    for days in PERIODS:
        found[f"visits_{days:.0f}"] = _sum(who[at >= end - days], n, None)
    return found


ACTIONS = (
    "duration_seconds",
    "account_page_views",
    "checkout_starts",
    "purchases",
    "searches",
    "product_views",
    "cart_adds",
    "wishlist_adds",
)
"""What is counted of the visits of the last 90 days."""

CONVERSION_FEATURES = (
    "orders",
    "days_since_order",
    "customer_days",
    "gap_days",
    "silence_ratio",
    "last_gap_days",
    "order_value",
    "failed_orders",
    "alive_chance",
    "purchase_chance",
    *(f"orders_{days:.0f}" for days in PERIODS),
    "visits",
    "days_since_visit",
    "registered_days",
    "visits_a_month",
    "visits_since_order",
    "visits_missed",
    *(f"visits_{days:.0f}" for days in PERIODS),
    *(f"recent_{name}" for name in ACTIONS),
    "recent_from_campaign",
)
"""The columns of `conversion_features`, in their order.

orders                  orders placed, whatever became of them
days_since_order        days since the last one (`NEVER` without any)
customer_days           days since the first one
gap_days                mean days between orders; with one order, the days since it
silence_ratio           days_since_order over (gap_days + 7)
last_gap_days           days between the last two orders
order_value             mean amount
failed_orders           orders cancelled or returned, of those placed more than 30 days ago
alive_chance            BG/NBD's chance that the customer has not left
purchase_chance         BG/NBD's chance of an order within the horizon
orders_30, _90, _180    orders of the last days
visits                  visits known to be the customer's
days_since_visit        days since the last one (`NEVER` without any)
registered_days         days since the registration (or the first visit before it)
visits_a_month          visits per 30 days since then
visits_since_order      visits since the last order
visits_missed           how many fewer than the earlier pace promised, in standard deviations
visits_30, _90, _180    visits of the last days
recent_*                counts (seconds, views, baskets...) over the visits of the last 90 days
"""


def action_features(history: History, days: float = 90.0) -> dict[str, Floats]:
    """Return what was done in the visits of the last `days`, by name, each [n]."""
    recent = history.session_at >= history.until - days
    who, n = history.session_customer[recent], history.customers
    counts, marks = history.session_counts[recent], history.session_marks[recent]
    found = {
        f"recent_{name}": _sum(who, n, counts[:, SESSION_COUNTS.index(name)]) for name in ACTIONS
    }
    campaigns = marks[:, SESSION_MARKS.index("from_campaign")]
    return found | {"recent_from_campaign": _sum(who, n, campaigns)}


def conversion_features(history: History, horizon: float) -> pd.DataFrame:
    """Return the features of `conversion` [n x features], one row a customer, in their order."""
    found = order_features(history, horizon) | visit_features(history) | action_features(history)
    return pd.DataFrame({name: found[name] for name in CONVERSION_FEATURES})


def bought(history: History, start: float, end: float) -> Floats:
    """Return 1 for each customer with a purchase in [start, end), else 0 [n]."""
    inside = (history.order_at >= start) & (history.order_at < end) & history.order_purchase
    return (_sum(history.order_customer[inside], history.customers, None) > 0).astype(np.float64)


def _sum(who: Ints, n: int, weights: Floats | None) -> Floats:
    return np.bincount(who, weights=weights, minlength=n).astype(np.float64)


def _first(who: Ints, at: Floats, n: int, otherwise: float) -> Floats:
    found = np.full(n, otherwise)
    found[who[::-1]] = at[::-1]
    return found


def _last(who: Ints, at: Floats, n: int, otherwise: float) -> Floats:
    found = np.full(n, otherwise)
    found[who] = at
    return found


def _last_gap(who: Ints, at: Floats, n: int) -> Floats:
    """Return the days between the last two events of each; `NEVER` where there are fewer."""
    order = np.argsort(who, kind="stable")
    gaps = np.diff(at[order])
    same = np.diff(who[order]) == 0
    found = np.full(n, NEVER)
    found[who[order][1:][same]] = gaps[same]
    return found
