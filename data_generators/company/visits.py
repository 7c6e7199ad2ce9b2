"""Visits: who came to the site when, in what state of mind; the skeleton of the clickstream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company import identity
from data_generators.company.arrivals import (
    BOT,
    CONVERTING,
    DAYS_BEFORE,
    Arrivals,
    before_registration,
    converting,
    in_order,
    strangers,
)
from data_generators.company.browsing import browsing, sessions_left
from data_generators.company.campaigns import Campaigns
from data_generators.company.customers import Customers, make_customers
from data_generators.company.depth import durations, make_depth
from data_generators.company.orders import INCREMENTAL, Orders
from data_generators.company.purchases import Organic
from data_generators.company.stages import (
    ABANDONER,
    BROWSER,
    CONVERTER,
    RETURN_VISITOR,
    STAGES,
    VISITOR,
    Transitions,
    make_transitions,
    month_stages,
)
from data_generators.company.stages import BOT as BOT_STAGES
from data_generators.company.stages import STRANGER as STRANGER_STAGES
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline

__all__ = [
    "ABANDONER",
    "BROWSER",
    "CONVERTER",
    "RETURN_VISITOR",
    "STAGES",
    "VISITOR",
    "Sessions",
    "Transitions",
    "make_sessions",
    "make_transitions",
]

Array = npt.NDArray[Any]

#: Sessions whose duration a late beacon corrects, when (hours after the end), and by how much.
CORRECTED, CORRECTED_HOURS, LATE_SECONDS = 0.03, (6, 30), 90.0


@dataclass(frozen=True)
class Sessions:
    """Sessions that start before ``until``, by (start, key); row s is ``SESS_{s+1:08d}`` for good.

    ``person`` is the customer's index, or -(v + 1) for the anonymous visitor v who never
    becomes one; bots are such persons too. It is the world's number of customers or more for
    one who registers in the `arrivals.DAYS_BEFORE` days from ``until`` on, and has been here
    before (never signed in). ``signed_in`` says that the session's document carries the
    customer_id; where it does not, only ``anonymous`` (the cookie) leads there.
    """

    key: Array  # int64, stable
    person: Array  # int64
    anonymous: Array  # int64, the number of the cookie: ``ANON_{n:016x}``
    signed_in: Array  # bool
    bot: Array  # bool
    stage: Array  # int8, index into STAGES; CONVERTER if and only if order >= 0
    order: Array  # int64, the order that this session ends in; -1
    campaign: Array  # int64, the campaign of its utm tags; -1
    device: Array  # int8, index into customers.DEVICES
    country: Array  # int8, index into customers.COUNTRIES
    start: Array  # datetime64[s]
    seconds: Array  # int64, duration
    pages: Array  # int64, numbers of rows of each kind that the session has
    products: Array  # int64, of the pages, those of a product
    interactions: Array  # int64
    searches: Array  # int64
    events: Array  # int64, without experiment exposures and their conversions
    corrected: Array  # datetime64[s], NaT; a late beacon corrects the duration then
    late_seconds: Array  # int64, by how much the correction lengthens it
    erased: Array  # datetime64[s], NaT; hard-deleted with its customer

    def __len__(self) -> int:
        return len(self.start)


def make_sessions(
    args: WorldArgs,
    timeline: Timeline,
    customers: Customers,
    organic: Organic,
    orders: Orders,
    campaigns: Campaigns,
    transitions: Transitions,
) -> Sessions:
    """All sessions that start before the timeline's end."""
    draws = Draws(args.seed, "visits")
    # Who registers within DAYS_BEFORE from now on may have been here already.
    ahead = np.timedelta64(DAYS_BEFORE * DAY, "s")
    people = make_customers(args, Timeline.of(timeline.start, timeline.until + ahead))
    others = in_order(
        [
            converting(draws, customers, orders),
            before_registration(draws, people, timeline),
            strangers(draws, args, timeline),
        ]
    )
    left = sessions_left(args, others)
    found = browsing(draws, args, timeline, customers, organic.churned, left)
    arrivals = in_order([others, found])
    bought = np.where(arrivals.order >= 0, arrivals.order, 0)
    caused = (arrivals.order >= 0) & _of(orders.kind == INCREMENTAL, bought)
    tagged = identity.tags(draws, args, people, arrivals, campaigns, timeline)
    device = identity.devices(draws, people, arrivals)
    signed_in = identity.signed_in(draws, arrivals)
    stage = _stages(draws("stage"), timeline, people, arrivals, transitions)
    bot = arrivals.kind == BOT
    buys = arrivals.kind == CONVERTING
    lines = np.where(buys, _of(orders.lines, bought), 0)
    base = arrivals.start < args.end
    depth = make_depth(draws, arrivals.key, stage, bot, lines, base, args.scale)
    lead = (_of(orders.placed, bought) - arrivals.start).astype(np.int64)
    seconds = durations(draws, arrivals.key, bot, depth.pages, np.where(buys, lead, -1))
    corrected, late_seconds = _corrections(draws, arrivals, seconds, bot)
    nobody = np.datetime64("NaT", "s")
    return Sessions(
        key=arrivals.key,
        person=arrivals.person,
        anonymous=identity.cookies(draws, people, arrivals, device),
        signed_in=signed_in,
        bot=bot,
        stage=stage,
        order=arrivals.order,
        campaign=np.where(caused, _of(orders.campaign, bought), tagged),
        device=device,
        country=identity.countries(draws, people, arrivals),
        start=arrivals.start,
        seconds=seconds,
        pages=depth.pages,
        products=depth.products,
        interactions=depth.interactions,
        searches=depth.searches,
        events=depth.events,
        corrected=corrected,
        late_seconds=late_seconds,
        erased=np.where(
            signed_in, _of(customers.erased, np.where(signed_in, arrivals.person, 0)), nobody
        ),
    )


def _of(values: Array, at: Array) -> Array:
    """The values at these positions; zeros where there are no values at all."""
    return values[at] if len(values) else np.zeros(len(at), dtype=values.dtype)


def _stages(
    draws: Draws,
    timeline: Timeline,
    people: Customers,
    arrivals: Arrivals,
    transitions: Transitions,
) -> Array:
    """The stage of each session (int8)."""
    months = timeline.start.astype("datetime64[M]")
    first = int(months.astype(np.int64))
    month = arrivals.start.astype("datetime64[M]").astype(np.int64) - first
    # The chain begins with the first day on which the customer may have come.
    days = people.registered.astype("datetime64[D]") - np.timedelta64(DAYS_BEFORE, "D")
    begins = np.maximum(days.astype("datetime64[M]").astype(np.int64) - first, 0)
    last = (timeline.until - np.timedelta64(1, "s")).astype("datetime64[M]").astype(np.int64)
    converts = np.zeros((len(people), int(last) - first + 1), dtype=bool)
    buys = arrivals.kind == CONVERTING
    converts[arrivals.person[buys], month[buys]] = True
    chain = month_stages(draws("chain"), transitions, first, begins, converts)
    known = arrivals.person >= 0
    of_customer = chain[np.where(known, arrivals.person, 0), month]
    of_stranger = draws("stranger").choice(STRANGER_STAGES, arrivals.key)
    of_bot = draws("bot").choice(BOT_STAGES, arrivals.key)
    stage = np.where(known, of_customer, np.where(arrivals.kind == BOT, of_bot, of_stranger))
    return np.where(buys, CONVERTER, stage).astype(np.int8)


def _corrections(
    draws: Draws, arrivals: Arrivals, seconds: Array, bot: Array
) -> tuple[Array, Array]:
    """When a late beacon corrects each session (datetime64[s]; NaT), and by how many seconds."""
    corrected = draws("corrected").chance(CORRECTED, arrivals.key) & ~bot
    hours = draws("corrected.after").integers(
        CORRECTED_HOURS[0] * 3600, CORRECTED_HOURS[1] * 3600, arrivals.key
    )
    late = 5 + (LATE_SECONDS * draws("corrected.by").exponential(arrivals.key)).astype(np.int64)
    at = arrivals.start + (seconds + hours).astype("timedelta64[s]")
    return (
        np.where(corrected, at, np.datetime64("NaT", "s")),
        np.where(corrected, late, 0),
    )
