"""The shop's customers, orders and segments.

Customers differ as in the Pareto/NBD model: each buys at a rate of its own (gamma), stops
for good after a lifetime of its own (exponential with a gamma rate), and reaches for dearer
or cheaper products. Given the total, the orders of independent Poisson processes are
multinomial, which is how they are drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.pools import CATEGORIES, Pools, before, ids, objects, pick

Array = npt.NDArray[Any]
Table = dict[str, Array]
Count = Callable[..., int]

DAY = 86_400
COUNTRIES = ("United States", "United Kingdom", "Germany", "France", "Canada", "Australia")
STATUSES = ("completed", "delivered", "shipped", "cancelled", "returned", "pending")
SEGMENTS = (
    ("VIP", 20, 5000.0),
    ("Loyal", 8, 1500.0),
    ("Regular", 3, 500.0),
    ("Occasional", 1, 100.0),
    ("Prospect", 0, 0.0),
)


@dataclass(frozen=True)
class Shop:
    """The six tables, and what the clickstream needs of each customer.

    ``activity`` is the expected number of orders; ``since`` and ``active_seconds`` say when
    the customer is around; ``spend`` is its taste for dear products (standard deviations).
    """

    tables: dict[str, Table]
    activity: Array
    since: Array
    active_seconds: Array
    spend: Array


def make_shop(
    rng: np.random.Generator,
    pools: Pools,
    count: Count,
    start: np.datetime64,
    end: np.datetime64,
) -> Shop:
    """Make the six tables of the history ``[start, end)``."""
    size = count(10_000, 10)
    span = (end - start).astype(np.int64)
    since = start + np.sort((rng.beta(1, 1.5, size) * (span - 60)).astype(np.int64))
    lifetime = rng.exponential(1, size) / rng.gamma(1.5, 1 / (300.0 * DAY), size)
    active = np.minimum(lifetime, (end - since).astype(np.int64) - 1)
    activity = rng.gamma(0.8, 1.0, size) * active
    spend = rng.normal(0, 0.8, size)
    customers = _customers(rng, pools, size, since, end)
    orders, buyers = _orders(rng, count(50_000, 50), customers, activity, since, active, end)
    items = _items(rng, pools, orders, spend[buyers])
    segments, mapping = _segments(
        rng, customers, np.bincount(buyers, minlength=size), start, since, end
    )
    tables = {
        "customers": customers,
        "customer_demographics": _demographics(rng, pools, customers, end),
        "transactions": orders,
        "transaction_items": items,
        "customer_segments": segments,
        "customer_segment_mapping": mapping,
    }
    return Shop(tables, activity, since, active, spend)


def _customers(
    rng: np.random.Generator, pools: Pools, size: int, since: Array, end: np.datetime64
) -> Table:
    first = pick(rng, pools.first_names, size)
    last = pick(rng, pools.last_names, size)
    born = end.astype("datetime64[D]") - rng.integers(18 * 366, 80 * 365, size)
    names = enumerate(zip(first, last, strict=True), 1)
    changed = since + (rng.exponential(120 * DAY, size) * (rng.random(size) < 0.3)).astype(np.int64)
    return {
        "row_id": np.arange(1, size + 1),
        "customer_id": ids("CUST", size),
        "email": objects(f"{f}.{s}.{n}@example.com".lower() for n, (f, s) in names),
        "first_name": first,
        "last_name": last,
        "phone": objects(f"+1-555-{n:07d}" for n in rng.integers(0, 10**7, size).tolist()),
        "date_of_birth": born,
        "gender": pick(rng, ("female", "male", "other"), size, (49, 49, 2)),
        "address": objects(
            f"{number} {street}"
            for number, street in zip(
                rng.integers(1, 999, size).tolist(), pick(rng, pools.streets, size), strict=True
            )
        ),
        "city": pick(rng, pools.cities, size),
        "state": pick(rng, pools.states, size),
        "country": pick(rng, COUNTRIES, size, (55, 15, 10, 8, 7, 5)),
        "postal_code": objects(f"{n:05d}" for n in rng.integers(1000, 99999, size).tolist()),
        "registration_date": since.astype("datetime64[D]"),
        "is_active": (rng.random(size) < 0.93).astype(np.int64),
        "created_at": since,
        "updated_at": before(changed, end, since),
    }


def _demographics(
    rng: np.random.Generator, pools: Pools, customers: Table, end: np.datetime64
) -> Table:
    size = len(customers["row_id"])
    days_old = (end.astype("datetime64[D]") - customers["date_of_birth"]).astype(np.int64)
    groups = objects(("18-24", "25-34", "35-44", "45-54", "55-64", "65+"))
    likes = rng.random((size, len(CATEGORIES))) < 0.3
    return {
        "row_id": np.arange(1, size + 1),
        "customer_id": customers["customer_id"],
        "age_group": groups[np.searchsorted([25, 35, 45, 55, 65], days_old / 365.25, "right")],
        "income_level": pick(rng, ("low", "middle", "high"), size, (3, 5, 2)),
        "education_level": pick(rng, ("school", "bachelor", "master", "doctorate"), size),
        "occupation": pick(rng, pools.jobs, size),
        "household_size": np.minimum(1 + rng.poisson(1.4, size), 8),
        "interests": objects(
            [c for c, liked in zip(CATEGORIES, row, strict=True) if liked] for row in likes.tolist()
        ),
        "updated_at": customers["updated_at"],
    }


def _orders(
    rng: np.random.Generator,
    size: int,
    customers: Table,
    activity: Array,
    since: Array,
    active: Array,
    end: np.datetime64,
) -> tuple[Table, Array]:
    """The orders without their amounts, by rising time, and the customer's index of each."""
    buyers = np.repeat(np.arange(len(activity)), rng.multinomial(size, activity / activity.sum()))
    placed = since[buyers] + (rng.random(size) * active[buyers]).astype(np.int64)
    by_time = np.argsort(placed, kind="stable")
    buyers, placed = buyers[by_time], placed[by_time]
    status = pick(rng, STATUSES, size, (50, 25, 10, 6, 5, 4))
    # Nothing stays pending or under way for weeks.
    age = (end - placed).astype(np.int64)
    status[(status == "pending") & (age > 7 * DAY)] = "completed"
    status[(status == "shipped") & (age > 14 * DAY)] = "delivered"
    elsewhere = rng.random(size) < 0.03
    home = customers["country"][buyers]
    changed = placed + rng.integers(0, 5 * DAY, size)
    orders = {
        "row_id": np.arange(1, size + 1),
        "transaction_id": ids("TXN", size, 8),
        "customer_id": customers["customer_id"][buyers],
        "order_date": placed,
        "total_amount": np.zeros(size),
        "discount_amount": np.zeros(size),
        "payment_method": pick(
            rng, ("card", "paypal", "transfer", "gift_card"), size, (6, 3, 1, 1)
        ),
        "order_status": status,
        "shipping_country": np.where(elsewhere, pick(rng, COUNTRIES, size), home),
        "updated_at": before(changed, end, placed),
    }
    return orders, buyers


def _items(rng: np.random.Generator, pools: Pools, orders: Table, spend: Array) -> Table:
    """The order lines; sets the orders' amounts from them (in whole cents throughout)."""
    order_count = len(orders["row_id"])
    order = np.repeat(np.arange(order_count), 1 + rng.poisson(2, order_count))
    size = len(order)
    # Products are sorted by price: a taste for dear ones pushes the draw up the list.
    product = (len(pools.prices) * rng.random(size) ** np.exp(-spend[order])).astype(np.int64)
    product = np.minimum(product, len(pools.prices) - 1)
    quantity = 1 + rng.poisson(0.3, size)
    percent = rng.choice([0, 5, 10, 20], size, p=[0.76, 0.1, 0.08, 0.06])
    cents = (quantity * pools.prices[product] * (100 - percent) + 50) // 100
    lines = np.bincount(order, cents, order_count).astype(np.int64)
    coupon = np.where(rng.random(order_count) < 0.1, lines // 20, 0)
    orders["discount_amount"] = coupon / 100
    orders["total_amount"] = (lines - coupon) / 100
    return {
        "row_id": np.arange(1, size + 1),
        "item_id": ids("ITEM", size, 8),
        "transaction_id": orders["transaction_id"][order],
        "product_id": pools.product_ids[product],
        "product_name": pools.product_names[product],
        "category": pools.categories[product],
        "quantity": quantity,
        "unit_price": pools.prices[product] / 100,
        "discount_percent": percent.astype(np.float64),
        "line_total": cents / 100,
        "updated_at": orders["updated_at"][order],
    }


def _segments(
    rng: np.random.Generator,
    customers: Table,
    order_counts: Array,
    start: np.datetime64,
    since: Array,
    end: np.datetime64,
) -> tuple[Table, Table]:
    """The segments, and each customer's, by its number of orders."""
    size = len(order_counts)
    names, least, targets = zip(*SEGMENTS, strict=True)
    segment_ids = ids("SEG", len(SEGMENTS), 3)
    made = np.full(len(SEGMENTS), start)
    segments = {
        "row_id": np.arange(1, len(SEGMENTS) + 1),
        "segment_id": segment_ids,
        "segment_name": objects(names),
        "description": objects(f"Customers with at least {orders} orders" for orders in least),
        "criteria": objects({"min_orders": orders} for orders in least),
        "target_value": np.array(targets),
        "created_at": made,
        "updated_at": made,
    }
    segment = np.argmax(order_counts[:, None] >= np.array(least), axis=1)
    left = (end - since).astype(np.int64)
    assigned = since + (rng.random(size) * left).astype(np.int64)
    mapping = {
        "row_id": np.arange(1, size + 1),
        "customer_id": customers["customer_id"],
        "segment_id": segment_ids[segment],
        "assigned_date": assigned.astype("datetime64[D]"),
        "score": np.round(rng.beta(5, 2, size), 4),
        "confidence": np.round(rng.beta(8, 2, size), 4),
        "created_at": assigned,
    }
    return segments, mapping
