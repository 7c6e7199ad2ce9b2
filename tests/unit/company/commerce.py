"""The shop's part of a company, without campaigns: what the tests of this folder share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from data_generators.args import WorldArgs
from data_generators.company.baskets import make_lines
from data_generators.company.campaigns import CausedOrders
from data_generators.company.catalogue import Catalogue, make_catalogue
from data_generators.company.customers import Customers, make_customers
from data_generators.company.orders import Lines, Orders, make_orders
from data_generators.company.purchases import Organic, make_organic
from data_generators.timeline import Timeline

AS_OF = date(2025, 11, 1)


@dataclass(frozen=True)
class Commerce:
    args: WorldArgs
    timeline: Timeline
    customers: Customers
    catalogue: Catalogue
    organic: Organic
    orders: Orders
    lines: Lines


def nothing_caused() -> CausedOrders:
    none = np.zeros(0, dtype=np.int64)
    return CausedOrders(none, none, none.astype("datetime64[s]"), none.astype(np.int8), none)


@lru_cache(maxsize=8)
def commerce(
    seed: int = 1, scale: float = 0.2, days: int = 730, added: int = 0, effects: str = "all"
) -> Commerce:
    args = WorldArgs(seed, scale, days, AS_OF, effects)
    return build(args, added, nothing_caused())


def build(args: WorldArgs, added: int, caused: CausedOrders) -> Commerce:
    timeline = Timeline.of(args.start, args.end + np.timedelta64(added, "D"))
    customers = make_customers(args, timeline)
    catalogue = make_catalogue(args, timeline)
    organic = make_organic(args, timeline, customers)
    orders = make_orders(args, timeline, customers, organic, caused)
    every = np.arange(len(orders))
    lines = make_lines(args, timeline, catalogue, customers, orders, every)
    return Commerce(args, timeline, customers, catalogue, organic, orders, lines)


def differing(one: Any, other: Any, rows: int | None = None) -> set[str]:
    """The fields of two dataclasses that differ (in the first ``rows`` of each array)."""
    found = set()
    for name in (field.name for field in fields(one)):
        left, right = getattr(one, name), getattr(other, name)
        if isinstance(left, np.ndarray):
            part = slice(rows)
            kind = left.dtype.kind
            same = (
                len(left[part]) == len(right[part])
                and left.dtype == right.dtype
                and np.array_equal(left[part], right[part], equal_nan=kind in "fM")
            )
        else:
            same = left == right
        if not same:
            found.add(name)
    return found
