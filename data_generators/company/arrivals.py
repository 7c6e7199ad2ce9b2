"""Who comes to the site when: buyers, customers before they sign up, strangers and bots.

What customers browse besides is in `data_generators.company.browsing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company.customers import Customers
from data_generators.company.orders import Orders
from data_generators.groups import within
from data_generators.randomness import Draws
from data_generators.timeline import DAY, GROWTH, Timeline, second_of_day

Array = npt.NDArray[Any]

SESSIONS = 100_000
CONVERTING, BROWSING, SIGN_UP, BEFORE, STRANGER, BOT = range(6)

#: A converting session starts this many seconds before its order is placed.
LEAD = (120, 2400)
#: Anonymous visits come on one of the days before the day of the registration.
DAYS_BEFORE = 30
VISITS_BEFORE = 0.60
MORE_VISITS_BEFORE = 0.7
#: Of the default history's sessions, those of strangers who never sign up.
STRANGERS_SHARE = 0.18
#: Of the strangers, the bots: with their many visits they make about 2 % of the sessions.
BOTS = 0.058
#: Chance that a stranger (or a bot) comes back after each visit, how often at most, and the
#: mean pause in operational days.
RETURNS = (0.28, 0.6)
MOST_RETURNS = (6, 20)
PAUSE_DAYS = (5.0, 0.5)


@dataclass(frozen=True)
class Arrivals:
    """Sessions of which only the beginning is known. All arrays have the same length."""

    key: Array  # int64, stable: what the session's own draws are keyed on
    person: Array  # int64, as in Sessions
    start: Array  # datetime64[s]
    kind: Array  # int8, CONVERTING to BOT
    order: Array  # int64; -1

    def __len__(self) -> int:
        return len(self.key)

    @classmethod
    def of(
        cls, key: Array, person: Array, start: Array, kind: Any, order: Array | None = None
    ) -> Arrivals:
        """Arrivals of one kind, or of a kind each."""
        size = len(key)
        kinds = np.broadcast_to(np.asarray(kind, dtype=np.int8), (size,))
        return cls(key, person, start, kinds, np.full(size, -1) if order is None else order)

    def take(self, which: Array) -> Arrivals:
        """The arrivals at these positions (or under this mask)."""
        return Arrivals(
            self.key[which],
            self.person[which],
            self.start[which],
            self.kind[which],
            self.order[which],
        )


def in_order(parts: Sequence[Arrivals]) -> Arrivals:
    """All arrivals, by (start, key)."""
    whole = Arrivals(
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.person for part in parts]),
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.order for part in parts]),
    )
    return whole.take(np.lexsort((whole.key, whole.start)))


def converting(draws: Draws, customers: Customers, orders: Orders) -> Arrivals:
    """The session in which each tracked order is placed.

    It starts on the day of its order, and not before the registration: at any midnight,
    either both exist or neither.
    """
    which = np.flatnonzero(orders.tracked)
    placed, person = orders.placed[which], orders.customer[which]
    lead = draws("lead").integers(*LEAD, orders.key[which])
    midnight = placed.astype("datetime64[D]").astype("datetime64[s]")
    start = np.maximum(placed - lead.astype("timedelta64[s]"), midnight)
    start = np.maximum(start, customers.registered[person])
    found = Arrivals.of(
        draws("converting").keys(orders.key[which]), person, start, CONVERTING, which
    )
    return found.take(still_there(customers, person, start))


def still_there(customers: Customers, person: Array, start: Array) -> Array:
    """Whether each session is of a customer who has not been erased by then."""
    erased = customers.erased[person]
    return np.asarray(np.isnat(erased) | (start < erased))


def before_registration(draws: Draws, people: Customers, timeline: Timeline) -> Arrivals:
    """Anonymous visits of later customers, and the visit in which they sign up.

    ``people`` must be the customers of a timeline that ends `DAYS_BEFORE` days later: who
    registers soon after ``until`` has been here before it.
    """
    comes = np.flatnonzero(draws("before").chance(VISITS_BEFORE, np.arange(len(people))))
    number = 1 + draws("before.number").poisson(MORE_VISITS_BEFORE, comes)
    of, nth = within(number)
    person = comes[of]
    # More of them shortly before the registration.
    back = 1 + np.floor(DAYS_BEFORE * draws("before.day").uniform(person, nth) ** 1.5)
    day = people.registered[person].astype("datetime64[D]") - back.astype("timedelta64[D]")
    second = second_of_day(draws("before.second").uniform(person, nth))
    start = day.astype("datetime64[s]") + second
    before = Arrivals.of(draws("before.visit").keys(person, nth), person, start, BEFORE)
    sign_up = Arrivals.of(draws("sign_up").keys(comes), comes, people.registered[comes], SIGN_UP)
    both = in_order([before, sign_up])
    return both.take((both.start >= timeline.start) & (both.start < timeline.until))


def strangers(draws: Draws, args: WorldArgs, timeline: Timeline) -> Arrivals:
    """The visits of people who never sign up, and of bots.

    They arrive as a Poisson process whose intensity has the seasons of the timeline and grows
    like the acquisition of customers; stranger v is the v-th to arrive.
    """
    first = _arrivals(draws, args, timeline)
    visitor = np.arange(len(first))
    bot = draws("bot").chance(BOTS, visitor).astype(np.int64)
    returns, most, pause = np.array(RETURNS), np.array(MOST_RETURNS), np.array(PAUSE_DAYS)
    parts: list[Arrivals] = []
    at, nth = first, 0
    while len(visitor) or not parts:
        kind = np.where(bot == 1, BOT, STRANGER)
        parts.append(
            Arrivals.of(draws("visit").keys(visitor, nth), -visitor - 1, timeline.clock(at), kind)
        )
        wait = draws("pause").exponential(visitor, nth) * pause[bot] * DAY
        again = draws("again").chance(returns[bot], visitor, nth) & (nth < most[bot])
        again &= at + wait < timeline.horizon
        visitor, bot, at, nth = visitor[again], bot[again], (at + wait)[again], nth + 1
    return in_order(parts)


def _arrivals(draws: Draws, args: WorldArgs, timeline: Timeline) -> Array:
    """The operational second of each stranger's first visit, rising (float64)."""
    days = len(timeline.intensity)
    share = np.minimum((np.arange(days) + 0.5) / args.days, 1.0)
    growth = (1 + (GROWTH - 1) * share) / ((1 + GROWTH) / 2)
    per_visitor = 1 / (1 - RETURNS[0])
    daily = args.scale * SESSIONS * STRANGERS_SHARE / per_visitor / (1 - BOTS) / DEFAULT_DAYS
    expected = np.concatenate([[0.0], np.cumsum(daily * growth * timeline.intensity)])
    # Six standard deviations more than are expected to come, then as many as do.
    most = int(expected[-1] + 6 * np.sqrt(expected[-1]) + 20)
    passed = np.cumsum(draws("arrival").exponential(np.arange(most)))
    passed = passed[passed < expected[-1]]
    return np.asarray(np.interp(passed, expected, timeline.cumulative))
