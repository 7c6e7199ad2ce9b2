"""What happens to orders behind the shop's counter: payments, shipments and stock.

No table shows them yet. Work on fraud, delivery and inventory adds its tables from here, so
that they agree with the orders that are already written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company.catalogue import Catalogue
from data_generators.company.customers import ORDERS, Customers
from data_generators.company.orders import FURTHER_LINES, Lines, Orders
from data_generators.groups import within
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

OUTCOMES = ("approved", "insufficient_funds", "wrong_code", "expired_card", "issuer_error")
APPROVED = 0
#: Chance that the first attempt fails, that one more does after a failure, and the most of them.
FAILS_FIRST, FAILS_AGAIN, MOST_FAILURES = 0.07, 0.30, 4
FAILURE_WEIGHTS = (45, 30, 10, 15)
#: Seconds from a failed attempt to the next one.
RETRY_SECONDS = (20, 240)
#: Share of the customers with two cards.
TWO_CARDS = 0.5
#: Chance that an attempt uses the second card, and an order the second device or address.
SECOND_CARD, SECOND_DEVICE, OTHER_ADDRESS = 0.30, 0.20, 0.05
#: A card is replaced by one with another token after this many days.
CARD_DAYS = 3 * 365

WAREHOUSES = ("Columbus", "Reno", "Rotterdam", "Leipzig", "Melbourne")
#: One row a country (in the order of customers.COUNTRIES), relative weights of the warehouses.
WAREHOUSE_WEIGHTS = np.array(
    [
        [65, 35, 0, 0, 0],
        [0, 0, 90, 10, 0],
        [0, 0, 15, 85, 0],
        [0, 0, 60, 40, 0],
        [70, 30, 0, 0, 0],
        [0, 10, 0, 0, 90],
    ]
)
CARRIERS = ("DHL", "UPS", "FedEx", "Postal")
CARRIER_WEIGHTS = (25, 35, 20, 20)

#: Days between an order to the supplier and its arrival: one figure a product.
LEAD_DAYS = (3, 15)
#: Days of demand, beyond the lead time, at which stock is reordered, and up to which it is.
REORDER_DAYS, COVER_DAYS, OPENING_DAYS = 14, 45, 60
#: Weight of the latest day in the exponentially smoothed demand.
SMOOTHING = 0.03
#: Units per line, roughly: the opening stock needs an idea of demand before any is seen.
UNITS_PER_LINE = 1.5


@dataclass(frozen=True)
class Payments:
    """Attempts to pay, by (order, attempt); the last attempt of each order is approved.

    All attempts become known when the order is placed, also those made before midnight.
    """

    order: Array  # int64, index into Orders
    attempt: Array  # int64, 0-based
    at: Array  # datetime64[s]; the approved one is when the order is placed
    card: Array  # int64, token; a customer has one card or two, replaced every few years
    device: Array  # int64, fingerprint
    address: Array  # int64, of the bill
    outcome: Array  # int8, index into OUTCOMES


@dataclass(frozen=True)
class Shipments:
    """Parcels that left before ``until``, one an order, by order."""

    order: Array  # int64, index into Orders
    tracking: Array  # int64
    carrier: Array  # int8, index into CARRIERS
    warehouse: Array  # int8, index into WAREHOUSES
    shipped: Array  # datetime64[s]
    delivered: Array  # datetime64[s], NaT while on the way


@dataclass(frozen=True)
class Stock:
    """Units a day, [days of the timeline x products] each, int64.

    ``on_hand`` is at the end of the day: what it was, plus ``received`` and ``returned``, less
    ``sold``. Units leave on the day of shipment.
    """

    sold: Array
    returned: Array
    received: Array
    on_hand: Array


def make_payments(args: WorldArgs, orders: Orders, which: Array) -> Payments:
    """The attempts to pay the orders ``which`` (indices)."""
    draws = Draws(args.seed, "payments")
    key, customer = orders.key[which], orders.customer[which]
    # Attempts by inversion: n failures with chance FAILS_FIRST * FAILS_AGAIN^(n - 1) or more.
    edges = FAILS_FIRST * FAILS_AGAIN ** np.arange(MOST_FAILURES)
    failures = (draws("failures").uniform(key)[:, None] < edges).sum(axis=1)
    of, attempt = within(failures + 1)
    before = failures[of] - attempt  # attempts that still follow
    keys, person = key[of], customer[of]
    gaps = np.stack([draws("retry").integers(*RETRY_SECONDS, key, n) for n in range(MOST_FAILURES)])
    waited = np.concatenate([np.zeros((1, len(which)), dtype=np.int64), np.cumsum(gaps, axis=0)])
    at = orders.placed[which][of] - waited[before, of].astype("timedelta64[s]")
    failed = 1 + draws("outcome").choice(FAILURE_WEIGHTS, keys, attempt)
    # Whoever fails may reach for the other card; all attempts share the device and address.
    wallet = draws("card.two").chance(TWO_CARDS, person)
    second = wallet & draws("card.which").chance(SECOND_CARD, keys, attempt)
    day = at.astype("datetime64[D]").astype(np.int64)
    age = draws("card.age").integers(0, CARD_DAYS, person, second)
    device = draws("device.which").chance(SECOND_DEVICE, keys)
    address = draws("address.which").chance(OTHER_ADDRESS, keys)
    return Payments(
        order=np.asarray(which)[of],
        attempt=attempt,
        at=at,
        card=draws("card").keys(person, second, (day + age) // CARD_DAYS),
        device=draws("device").keys(person, device),
        address=draws("address").keys(person, address),
        outcome=np.where(before == 0, APPROVED, failed).astype(np.int8),
    )


def make_shipments(
    args: WorldArgs, timeline: Timeline, customers: Customers, orders: Orders, which: Array
) -> Shipments:
    """The shipments, before the timeline's end, of the orders ``which`` (indices)."""
    draws = Draws(args.seed, "shipments")
    which = np.asarray(which)
    which = which[orders.shipped[which] < timeline.until]
    key = orders.key[which]
    weights = WAREHOUSE_WEIGHTS[customers.country[orders.customer[which]]]
    delivered = orders.delivered[which]
    arrived = delivered < timeline.until
    return Shipments(
        order=which,
        tracking=draws("tracking").keys(key),
        carrier=draws("carrier").choice(CARRIER_WEIGHTS, key).astype(np.int8),
        warehouse=draws("warehouse").choice_rows(weights, key).astype(np.int8),
        shipped=orders.shipped[which],
        delivered=np.where(arrived, delivered, np.datetime64("NaT", "s")),
    )


def make_stock(
    args: WorldArgs, timeline: Timeline, catalogue: Catalogue, orders: Orders, lines: Lines
) -> Stock:
    """Daily stock under a reorder-point policy, from the lines of all orders.

    A product is reordered, up to some weeks of its smoothed demand, when what is there and
    under way falls below the demand of lead time and safety days. Where sales still exceed the
    stock, other stores send the missing units on the same day.
    """
    draws = Draws(args.seed, "stock")
    days, products = len(timeline.intensity), len(catalogue.popularity)
    product = np.arange(products)
    lead = draws("lead").integers(*LEAD_DAYS, product)
    units = ORDERS * args.scale * (1 + FURTHER_LINES) * UNITS_PER_LINE / DEFAULT_DAYS
    demand = catalogue.popularity * units
    sold = _daily(timeline, orders.shipped, lines, products)
    returned = _daily(timeline, orders.returned, lines, products)
    under_way = np.zeros((days + LEAD_DAYS[1], products), dtype=np.int64)
    received, on_hand = np.zeros_like(sold), np.zeros_like(sold)
    have = np.ceil(demand * OPENING_DAYS).astype(np.int64)
    coming = np.zeros(products, dtype=np.int64)
    for day in range(days):
        arrives = under_way[day]
        coming -= arrives
        missing = np.maximum(sold[day] - have - arrives - returned[day], 0)
        received[day] = arrives + missing
        have = have + received[day] + returned[day] - sold[day]
        on_hand[day] = have
        demand = demand + SMOOTHING * (sold[day] - demand)
        wanted = np.ceil(demand * (lead + COVER_DAYS)).astype(np.int64) - have - coming
        short = have + coming < demand * (lead + REORDER_DAYS)
        reordered = np.where(short, wanted, 0)
        under_way[day + lead, product] += reordered
        coming += reordered
    return Stock(sold, returned, received, on_hand)


def _daily(timeline: Timeline, times: Array, lines: Lines, products: int) -> Array:
    """Units [days x products] of the lines, on the days of their orders' ``times``."""
    at = times[lines.order]
    seen = at < timeline.until  # False for NaT
    day = (at[seen] - timeline.start).astype(np.int64) // DAY
    size = len(timeline.intensity) * products
    cells = day * products + lines.product[seen]
    units = np.bincount(cells, weights=lines.quantity[seen], minlength=size)
    return units.astype(np.int64).reshape(-1, products)
