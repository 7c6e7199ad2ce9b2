"""All orders of the company: organic, caused by campaigns, and failed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company import bgnbd
from data_generators.company.campaigns import CausedOrders
from data_generators.company.customers import FAILED_PER_PURCHASE, Customers
from data_generators.company.purchases import Organic
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline

Array = npt.NDArray[Any]

ORGANIC, INCREMENTAL, FAILED = 0, 1, 2
STATUSES = ("pending", "completed", "shipped", "delivered", "cancelled", "returned")

#: Mean operational days after its purchase that a failed order comes.
FAILED_AFTER_DAYS = 5.0
#: Of the failed orders, those that are cancelled; the others are returned.
CANCELLED_SHARE = 0.6
#: Share of all orders that have their converting session in the clickstream.
TRACKED_SHARE = 0.12
#: Mean lines of a basket beyond the first.
FURTHER_LINES = 2.0
#: A basket has no more lines than this goes into its value, and no order is worth less.
LEAST_LINE_CENTS = 250
# Days from one step to the next: least and most.
SHIPPED, DELIVERED, COMPLETED = (1.0, 3.0), (2.0, 6.0), (14.0, 14.0)
CANCELLED, RETURNED, PURGED = (0.01, 1.0), (5.0, 20.0), (60.0, 90.0)


@dataclass(frozen=True)
class Orders:
    """Orders placed before ``until``, by (placed, key); row o is ``TXN_{o+1:08d}`` for good.

    Purchases are the ORGANIC (BG/NBD) and the INCREMENTAL orders (caused by a campaign, of
    customers that have not dropped out): they end completed. FAILED ones follow some
    purchases, end cancelled or returned, and count nowhere.
    """

    key: Array  # int64, stable: what the order's own draws are keyed on
    customer: Array  # int64
    placed: Array  # datetime64[s]
    kind: Array  # int8
    value_cents: Array  # int64, the intended total_amount (the basket comes within about 2 %)
    lines: Array  # int64, the number of lines of its basket
    channel: Array  # int8, the channel that caused an INCREMENTAL order; -1
    campaign: Array  # int64, the campaign that it is credited to; -1
    churns: Array  # bool: the customer drops out after this (ORGANIC) order
    tracked: Array  # bool: has a converting session in the clickstream
    shipped: Array  # datetime64[s], planned times of each step; NaT where it never comes
    delivered: Array
    completed: Array
    cancelled: Array
    returned: Array
    purged: Array  # datetime64[s], NaT; hard-deleted (old cancelled orders), only on added days

    def __len__(self) -> int:
        return len(self.placed)


@dataclass(frozen=True)
class Lines:
    """The lines of some orders, by (order, line): what `make_lines` returns."""

    order: Array  # int64, index into Orders
    line: Array  # int64, 0-based within the order
    product: Array  # int64
    quantity: Array  # int64
    discount_percent: Array  # int64
    unit_cents: Array  # int64
    line_cents: Array  # int64
    coupon_cents: Array  # int64, per ORDER of the `orders` argument: discount_amount
    total_cents: Array  # int64, per ORDER of the argument: sum of line_cents less coupon


@dataclass(frozen=True)
class _Placed:
    """What is known of orders when they are placed."""

    key: Array
    customer: Array
    placed: Array
    kind: Array
    channel: Array
    campaign: Array
    churns: Array


def make_orders(
    args: WorldArgs,
    timeline: Timeline,
    customers: Customers,
    organic: Organic,
    caused: CausedOrders,
) -> Orders:
    """All orders placed before the timeline's end."""
    draws = Draws(args.seed, "orders")
    purchases = _purchases(draws, organic, caused)
    orders = _joined(purchases, _failed(draws, timeline, customers, purchases))
    order = np.lexsort((orders.key, orders.placed))
    orders = _Placed(*(getattr(orders, name)[order] for name in orders.__dataclass_fields__))
    key = orders.key
    worth = draws("value").gamma(bgnbd.P, key) / customers.spend_rate[orders.customer]
    value_cents = np.maximum(np.rint(worth * 100), LEAST_LINE_CENTS).astype(np.int64)
    lines = 1 + draws("lines").poisson(FURTHER_LINES, key)
    return Orders(
        **{name: getattr(orders, name) for name in orders.__dataclass_fields__},
        value_cents=value_cents,
        lines=np.minimum(lines, value_cents // LEAST_LINE_CENTS),
        tracked=draws("tracked").chance(TRACKED_SHARE, key),
        **_steps(draws, args, orders, timeline.until),
    )


def _purchases(draws: Draws, organic: Organic, caused: CausedOrders) -> _Placed:
    """The organic and the incremental orders."""
    size, more = len(organic.placed), len(caused.placed)
    own = _Placed(
        draws("organic").keys(organic.customer, organic.k),
        organic.customer,
        organic.placed,
        np.full(size, ORGANIC, dtype=np.int8),
        np.full(size, -1, dtype=np.int8),
        np.full(size, -1),
        organic.churns,
    )
    return _joined(
        own,
        _Placed(
            caused.key,
            caused.customer,
            caused.placed,
            np.full(more, INCREMENTAL, dtype=np.int8),
            caused.channel,
            caused.campaign,
            np.zeros(more, dtype=bool),
        ),
    )


def _failed(draws: Draws, timeline: Timeline, customers: Customers, purchases: _Placed) -> _Placed:
    """The orders that follow some purchases and come to nothing; who has left places none."""
    fails = draws("fails").chance(FAILED_PER_PURCHASE, purchases.key) & ~purchases.churns
    which = np.flatnonzero(fails)
    parent, customer = purchases.key[which], purchases.customer[which]
    wait = draws("failed.after").exponential(parent) * FAILED_AFTER_DAYS * DAY
    at = timeline.operational(purchases.placed[which]) + wait
    placed = np.maximum(timeline.clock(at), purchases.placed[which])
    gone = customers.erased[customer]
    kept = (at < timeline.horizon) & (np.isnat(gone) | (placed < gone))
    size = int(kept.sum())
    return _Placed(
        draws("failed").keys(parent[kept]),
        customer[kept],
        placed[kept],
        np.full(size, FAILED, dtype=np.int8),
        np.full(size, -1, dtype=np.int8),
        np.full(size, -1),
        np.zeros(size, dtype=bool),
    )


def _joined(first: _Placed, second: _Placed) -> _Placed:
    return _Placed(
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in _Placed.__dataclass_fields__
        )
    )


def _steps(
    draws: Draws, args: WorldArgs, orders: _Placed, until: np.datetime64
) -> dict[str, Array]:
    """When each order is shipped, delivered, completed, cancelled, returned and purged."""
    key = orders.key

    def later(name: str, since: Array, days: tuple[float, float]) -> Array:
        least, most = days
        wait = (least + (most - least) * draws(name).uniform(key)) * DAY
        return np.asarray(since + wait.astype("timedelta64[s]"))

    failed = orders.kind == FAILED
    is_cancelled = failed & draws("cancelled").chance(CANCELLED_SHARE, key)
    never = np.datetime64("NaT", "s")
    shipped = np.where(is_cancelled, never, later("shipped", orders.placed, SHIPPED))
    delivered = later("delivered", shipped, DELIVERED)
    returned = later("returned", np.where(failed, delivered, never), RETURNED)
    cancelled = np.where(is_cancelled, later("cancelled.at", orders.placed, CANCELLED), never)
    purged = later("purged", np.where(is_cancelled, orders.placed, never), PURGED)
    living = (purged >= args.end) & (purged < until)
    return {
        "shipped": shipped,
        "delivered": delivered,
        "completed": later("completed", np.where(failed, never, delivered), COMPLETED),
        "cancelled": cancelled,
        "returned": returned,
        "purged": np.where(living, purged, never),
    }
