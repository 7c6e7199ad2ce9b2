"""Baskets: which products an order consists of, so that they add up to what it is worth.

Products are chosen by popularity among those whose price is near what is left for the line;
the last line is chosen from those that bring the total to the order's value. The products'
overall popularity thereby stays Zipf-like, and no basket needs a product priced for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company.catalogue import Catalogue
from data_generators.company.customers import Customers
from data_generators.company.orders import Lines, Orders
from data_generators.groups import first_rows, within
from data_generators.randomness import Draws
from data_generators.timeline import Timeline

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

COUPON_SHARE, COUPON_PERCENT = 0.10, 5
#: Chance of a line discount: its least, and what full price sensitivity adds.
DISCOUNT_LEAST, DISCOUNT_SENSITIVE = 0.06, 0.40
PERCENTS = np.array([5, 10, 20])
PERCENT_SHARES = np.array([0.42, 0.33, 0.25])
QUANTITY_SHARES = np.array([0.76, 0.17, 0.07])
#: Spread (of the logarithm) of a line's share of what is left.
SHARE_SPREAD = 0.6
#: The prices that a line but the last takes, relative to what it aims at.
NEAR = (0.2, 2.5)
#: How near the total must come: the share of the value within which the last line is chosen.
CLOSE = 0.018
#: What a line leaves for each later one, relative to the mean of what is left: the price of
#: a cheap product, within these bounds.
RESERVE = (0.4, 0.8)
_MONTH = np.int64(1) << 32


class _Shelves:
    """The products by month and price, to be drawn by popularity from a range of prices."""

    def __init__(self, catalogue: Catalogue) -> None:
        price = catalogue.price_cents
        order = np.argsort(price, axis=1, kind="stable")
        self.product = order.ravel()
        self.cents = np.take_along_axis(price, order, axis=1).ravel()
        month = np.repeat(np.arange(len(price)), price.shape[1])
        self._ranks = month * _MONTH + self.cents
        self._mass = np.concatenate([[0.0], np.cumsum(catalogue.popularity[self.product])])
        self._per_month = price.shape[1]
        #: Dearer units than this are not looked for: several cheaper ones are bought instead.
        self.dear = float(np.quantile(price[0], 0.97))
        self.cheap = float(np.quantile(price[0], 0.05))

    def between(self, month: Array, least: Floats, most: Floats) -> tuple[Array, Array]:
        """The places ``[low, high)`` on the shelf with prices from ``least`` to ``most`` cents."""
        top = float(_MONTH - 1)
        low = month * _MONTH + np.ceil(np.clip(least, 0, top)).astype(np.int64)
        high = month * _MONTH + np.floor(np.clip(most, 0, top)).astype(np.int64)
        begin = np.searchsorted(self._ranks, low, side="left")
        return begin, np.maximum(np.searchsorted(self._ranks, high, side="right"), begin)

    def mass(self, low: Array, high: Array) -> Floats:
        """The popularity of all products in these places."""
        return np.asarray(self._mass[high] - self._mass[low])

    def draw(self, low: Array, high: Array, share: Floats) -> Array:
        """One place in each range ``[low, high)``, by popularity; the ranges are not empty."""
        at = self._mass[low] + share * (self._mass[high] - self._mass[low])
        place = np.searchsorted(self._mass, at, side="right") - 1
        return np.asarray(np.clip(place, low, high - 1))

    def nearest(self, month: Array, cents: Floats) -> Array:
        """The place with the price nearest to ``cents``."""
        first = month * self._per_month
        above, _ = self.between(month, cents, cents)
        above = np.clip(above, first, first + self._per_month - 1)
        below = np.maximum(above - 1, first)
        nearer = np.abs(self.cents[below] - cents) < np.abs(self.cents[above] - cents)
        return np.where(nearer, below, above)


#: Orders whose lines `order_totals` makes at once.
CHUNK = 20_000


@dataclass(frozen=True)
class _Draws:
    """The draws of all lines of some orders, by (order, line)."""

    share: Floats  # standard normal
    quantity: Array
    quantity_share: Floats  # uniform
    percent: Array
    place: Floats  # uniform


def make_lines(
    args: WorldArgs,
    timeline: Timeline,
    catalogue: Catalogue,
    customers: Customers,
    orders: Orders,
    which: Array,
) -> Lines:
    """The lines of the orders ``which`` (indices); any subset of the orders has its own lines.

    Args:
        args: of the world.
        timeline: of the same world; the catalogue's months are its months.
        catalogue: of the same world, as the orders and the customers are.
        customers: of the same world.
        orders: of the same world.
        which: int64, indices into the orders.
    """
    draws = Draws(args.seed, "baskets")
    key, number = orders.key[which], orders.lines[which]
    first = first_rows(number)
    of, line = within(number)
    sensitivity = customers.price_sensitivity[orders.customer[which]]
    drawn = _draw(draws, key[of], line, sensitivity[of])
    coupon = draws("coupon").chance(COUPON_SHARE, key)
    value = orders.value_cents[which].astype(np.float64)
    budget = np.where(coupon, value / (1 - COUPON_PERCENT / 100), value)
    shelves = _Shelves(catalogue)
    month = catalogue.month_of(orders.placed[which])
    place, quantity = _fill(shelves, month, budget, first, number, drawn)
    unit = shelves.cents[place]
    cents = line_cents(quantity, unit, drawn.percent)
    lines_total = np.add.reduceat(cents, first) if len(which) else cents
    coupon_cents = np.where(coupon, lines_total * COUPON_PERCENT // 100, 0)
    return Lines(
        order=np.asarray(which)[of],
        line=line,
        product=shelves.product[place],
        quantity=quantity,
        discount_percent=drawn.percent,
        unit_cents=unit,
        line_cents=cents,
        coupon_cents=coupon_cents,
        total_cents=lines_total - coupon_cents,
    )


def line_cents(quantity: Array, unit_cents: Array, discount_percent: Array) -> Array:
    """What a line costs, in whole cents rounded half up."""
    return np.asarray((quantity * unit_cents * (100 - discount_percent) + 50) // 100)


def _draw(draws: Draws, key: Array, line: Array, sensitivity: Floats) -> _Draws:
    """Everything that is drawn for the lines, before any product is chosen."""
    chance = DISCOUNT_LEAST + DISCOUNT_SENSITIVE * sensitivity
    discount = draws("discount").uniform(key, line)
    # Given that it falls below the chance, the ratio of the two is uniform once more.
    step = np.searchsorted(np.cumsum(PERCENT_SHARES)[:-1], discount / chance, side="right")
    quantity = draws("quantity").uniform(key, line)
    steps = np.cumsum(QUANTITY_SHARES)[:-1]
    return _Draws(
        draws("share").normal(key, line),
        1 + np.searchsorted(steps, quantity, side="right"),
        quantity,
        np.where(discount < chance, PERCENTS[step], 0),
        draws("product").uniform(key, line),
    )


def _fill(
    shelves: _Shelves, month: Array, budget: Floats, first: Array, number: Array, drawn: _Draws
) -> tuple[Array, Array]:
    """Choose the lines' places on the shelf and quantities, line by line across all orders."""
    size = int(number.sum())
    place, quantity = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    left = budget.copy()
    for nth in range(int(number.max(initial=0))):
        for last in (False, True):
            todo = np.flatnonzero(number == nth + 1 if last else number > nth + 1)
            if not len(todo):
                continue
            at = first[todo] + nth
            if last:
                close = CLOSE * budget[todo]
                got = _last(shelves, month[todo], left[todo], close, drawn, at)
            else:
                got = _next(shelves, month[todo], left[todo], number[todo] - nth, drawn, at)
            place[at], quantity[at] = got
            left[todo] -= line_cents(quantity[at], shelves.cents[place[at]], drawn.percent[at])
    return place, quantity


def _next(
    shelves: _Shelves, month: Array, left: Floats, lines: Array, drawn: _Draws, at: Array
) -> tuple[Array, Array]:
    """A line that is followed by others: near a random share of what is left."""
    mean = left / lines
    reserve = np.clip(shelves.cheap, RESERVE[0] * mean, RESERVE[1] * mean)
    most = left - reserve * (lines - 1)
    aim = np.minimum(mean * np.exp(SHARE_SPREAD * drawn.share[at]), most)
    paid = 1 - drawn.percent[at] / 100
    quantity = np.where(aim / drawn.quantity[at] < shelves.cheap, 1, drawn.quantity[at])
    quantity = np.maximum(quantity, np.ceil(aim / (shelves.dear * paid)).astype(np.int64))
    unit, limit = aim / (quantity * paid), most / (quantity * paid)
    low, high = shelves.between(month, unit * NEAR[0], np.minimum(unit * NEAR[1], limit))
    empty = low == high
    nearest = shelves.nearest(month, unit)
    low, high = np.where(empty, nearest, low), np.where(empty, nearest + 1, high)
    return shelves.draw(low, high, drawn.place[at]), quantity


def _last(
    shelves: _Shelves, month: Array, left: Floats, close: Floats, drawn: _Draws, at: Array
) -> tuple[Array, Array]:
    """The last line: what brings the total to the order's value, or else comes nearest.

    The quantity is drawn by its share and by how popular the products are that would do.
    """
    paid = 1 - drawn.percent[at] / 100
    least = np.maximum(np.ceil(left / (shelves.dear * paid)), 1)[:, None]
    quantities = least + np.arange(len(QUANTITY_SHARES))
    unit = left[:, None] / (quantities * paid[:, None])
    slack = close[:, None] / (quantities * paid[:, None])
    months = np.broadcast_to(month[:, None], unit.shape)
    low, high = shelves.between(months, unit - slack, unit + slack)
    weight = np.cumsum(shelves.mass(low, high) * QUANTITY_SHARES, axis=1)
    drawn_at = (drawn.quantity_share[at] * weight[:, -1])[:, None]
    chosen = np.minimum((weight <= drawn_at).sum(axis=1), len(QUANTITY_SHARES) - 1)
    nearest = shelves.nearest(months, unit)
    off = np.abs(shelves.cents[nearest] - unit) * quantities
    chosen = np.where(weight[:, -1] > 0, chosen, np.argmin(off, axis=1))
    row = np.arange(len(left))
    low, high = low[row, chosen], high[row, chosen]
    empty = low == high
    low = np.where(empty, nearest[row, chosen], low)
    place = shelves.draw(low, np.where(empty, low + 1, high), drawn.place[at])
    return place, quantities[row, chosen].astype(np.int64)


def order_totals(
    args: WorldArgs, timeline: Timeline, catalogue: Catalogue, customers: Customers, orders: Orders
) -> Array:
    """The total_amount of each order, in cents."""
    parts = [np.zeros(0, dtype=np.int64)]
    for begin in range(0, len(orders), CHUNK):
        which = np.arange(begin, min(begin + CHUNK, len(orders)))
        parts.append(make_lines(args, timeline, catalogue, customers, orders, which).total_cents)
    return np.concatenate(parts)
