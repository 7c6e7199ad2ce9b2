"""Purchases by choice: BG/NBD, with the rate scaled to the design's number of orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company import bgnbd
from data_generators.company.customers import Customers, purchase_draws
from data_generators.timeline import Timeline

Array = npt.NDArray[Any]

#: More seconds than any timeline has: keeps the running maxima of customers apart.
_APART = np.int64(1) << 36


@dataclass(frozen=True)
class Organic:
    """The organic purchases before ``until``, by (customer, k), and who has left since.

    ``churned`` is per customer: the time of the purchase after which the customer dropped
    out; NaT while alive (or where no purchase was made). As in BG/NBD nobody drops out after
    the first purchase. Who is erased buys no more.
    """

    customer: Array  # int64
    k: Array  # int64, 0 is the first purchase
    placed: Array  # datetime64[s], strictly rising within a customer
    churns: Array  # bool
    churned: Array  # datetime64[s] [customers]


def make_organic(args: WorldArgs, timeline: Timeline, customers: Customers) -> Organic:
    """The organic purchases before the timeline's end."""
    found = bgnbd.simulate(
        purchase_draws(args),
        customers.first_purchase,
        customers.purchase_rate,
        customers.dropout,
        timeline.horizon,
    )
    placed = _whole_seconds(timeline, customers, found)
    erased = customers.erased[found.customer]
    kept = (placed < timeline.until) & (np.isnat(erased) | (placed < erased))
    customer, placed, churns = found.customer[kept], placed[kept], found.churns[kept]
    churned = np.full(len(customers), np.datetime64("NaT", "s"))
    churned[customer[churns]] = placed[churns]
    return Organic(customer, found.k[kept], placed, churns, churned)


def _whole_seconds(timeline: Timeline, customers: Customers, found: bgnbd.Purchases) -> Array:
    """The times on the clock: never before the registration, and a second apart at least."""
    placed = np.maximum(timeline.clock(found.at), customers.registered[found.customer])
    second = (placed - timeline.start).astype(np.int64)
    # second - k may not fall within a customer: then second rises by one at least.
    floor = np.maximum.accumulate(second - found.k + found.customer * _APART)
    return np.asarray(
        timeline.start + (floor - found.customer * _APART + found.k).astype("timedelta64[s]")
    )
