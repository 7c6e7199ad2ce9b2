"""The numbers behind the pictures of the company: what an analyst could count in its data.

Nothing here tells planted truth apart: which orders a campaign caused, who has left, and what
a test's lift is stay in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.company.orders import Orders
from data_generators.company.visits import ABANDONER, CONVERTER, Sessions

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_REPEATS = 10
#: CDNOW's 23,570 customers by their repeat purchases (days with a purchase after the first such
#: day) in the first 462 days, for which every one of them was observed: 0, 1, ... 9, and 10 or
#: more; and all of these repeat purchases. Counted in the published data (Fader and Hardie,
#: "Forecasting Repeat Sales at CDNOW: A Case Study", Interfaces 31 (3), 2001;
#: https://www.brucehardie.com/datasets/, "full data set").
CDNOW_DAYS = 462
CDNOW_CUSTOMERS = (12189, 4147, 2211, 1428, 938, 619, 464, 355, 249, 184, 786)
CDNOW_REPEATS = 41_404


@dataclass(frozen=True)
class Weekly:
    """Amounts per week in currency units; each array has one entry a week."""

    begins: Array  # datetime64[D]; weeks are whole, and the last ends with the history
    revenue: Floats
    tagged: Floats  # of the revenue: orders whose session came with a campaign's tags
    spend: Floats  # on advertising


@dataclass(frozen=True)
class Repeats:
    """Repeat purchases in the first ``days`` days of each customer: ``total`` in all.

    ``customers`` counts those with 0, 1, ... 9, and 10 or more.
    """

    days: int
    total: int
    customers: Ints


@dataclass(frozen=True)
class Funnel:
    """Visits of people (not of bots) that came as far as each step."""

    visits: int
    product: int
    cart: int
    purchase: int


def sold(orders: Orders, until: np.datetime64) -> npt.NDArray[np.bool_]:
    """Which orders were neither cancelled nor returned before ``until``."""
    return np.asarray(~(orders.cancelled < until) & ~(orders.returned < until))


def weekly(
    orders: Orders,
    total_cents: Ints,
    sessions: Sessions,
    daily_spend_cents: Ints,
    start: np.datetime64,
    until: np.datetime64,
) -> Weekly:
    """Revenue and advertising of each whole week.

    Args:
        orders: all orders.
        total_cents: the amount of each of them.
        sessions: all sessions.
        daily_spend_cents: of all campaigns, one entry a day of ``[start, until)``.
        start: the first day of the history.
        until: the day that it ends before.
    """
    days = len(daily_spend_cents)
    weeks = days // 7
    skipped = days - 7 * weeks  # of the first, broken week
    counted = sold(orders, until)
    leads = sessions.order[(sessions.order >= 0) & (sessions.campaign >= 0)]
    tagged = np.zeros(len(orders.placed), dtype=bool)
    tagged[leads] = True
    day = (orders.placed - start).astype("timedelta64[D]").astype(np.int64) - skipped

    def by_week(which: npt.NDArray[np.bool_]) -> Floats:
        which = which & (day >= 0)
        cents = np.bincount(day[which] // 7, weights=total_cents[which], minlength=weeks)
        return np.asarray(cents / 100)

    spend = daily_spend_cents[skipped:].reshape(weeks, 7).sum(axis=1) / 100
    first = start.astype("datetime64[D]") + np.timedelta64(skipped, "D")
    begins = first + 7 * np.arange(weeks)
    return Weekly(begins, by_week(counted), by_week(counted & tagged), np.asarray(spend))


def repeats_within(customer: Ints, placed: Array, until: np.datetime64, days: int) -> Ints:
    """The repeat purchases of each customer in the first ``days`` days from the first purchase.

    Counted as CDNOW's: purchases of one customer on one day are one. Customers who made their
    first purchase less than ``days`` days before ``until`` were not watched for long enough,
    and are left out.

    Args:
        customer: the customer of each purchase.
        placed: its time.
        until: the end of the history.
        days: how long each customer is watched.
    """
    pairs = np.unique(customer * 1_000_000 + placed.astype("datetime64[D]").astype(np.int64))
    buyer, day = pairs // 1_000_000, pairs % 1_000_000
    _, begin, who = np.unique(buyer, return_index=True, return_inverse=True)
    first = day[begin]  # pairs rise by customer, then by day
    watched = first + days <= until.astype("datetime64[D]").astype(np.int64)
    within = day < first[who] + days
    counts = np.bincount(who[within], minlength=len(first)) - 1
    return np.asarray(counts[watched])


def repeat_purchases(
    customer: Ints, placed: Array, start: np.datetime64, until: np.datetime64
) -> Repeats:
    """The repeat purchases beside which CDNOW's can be laid, with the same mean.

    A company whose customers buy faster is watched for fewer days: as many as give CDNOW's
    mean, but no more than CDNOW's, nor than half of the history.

    Args:
        customer: the customer of each purchase.
        placed: its time.
        start: the beginning of the history.
        until: its end.
    """
    wanted = CDNOW_REPEATS / sum(CDNOW_CUSTOMERS)
    few, most = 1, min(CDNOW_DAYS, int((until - start).astype("timedelta64[D]").astype(int)) // 2)
    while few < most:
        days = (few + most) // 2
        found = repeats_within(customer, placed, until, days)
        if len(found) and found.mean() >= wanted:
            most = days
        else:
            few = days + 1
    found = repeats_within(customer, placed, until, most)
    counts = np.bincount(np.minimum(found, MOST_REPEATS), minlength=MOST_REPEATS + 1)
    return Repeats(most, int(found.sum()), counts)


def _by_people(sessions: Sessions, until: np.datetime64) -> npt.NDArray[np.bool_]:
    """The sessions that are in the clickstream and not a bot's (whose user agent says so)."""
    return np.asarray(~sessions.bot & ~(sessions.erased < until))


def funnel(sessions: Sessions, until: np.datetime64) -> Funnel:
    """How far the visits came."""
    people = _by_people(sessions, until)
    bought = sessions.order >= 0
    return Funnel(
        visits=int(people.sum()),
        product=int((people & (sessions.products > 0)).sum()),
        cart=int((people & (bought | np.isin(sessions.stage, (ABANDONER, CONVERTER)))).sum()),
        purchase=int((people & bought).sum()),
    )


def traffic(sessions: Sessions, start: np.datetime64, until: np.datetime64) -> Floats:
    """Visits of people that begin in each hour of each weekday, the mean over the history.

    Returns:
        Monday to Sunday x 0 to 23 o'clock UTC.
    """
    begin = sessions.start[_by_people(sessions, until)].astype("datetime64[h]").astype(np.int64)
    weekday = (begin // 24 + 3) % 7  # 1970-01-01 was a Thursday
    counts = np.bincount(weekday * 24 + begin % 24, minlength=7 * 24).reshape(7, 24)
    days = np.arange(start.astype("datetime64[D]"), until.astype("datetime64[D]"))
    each = np.bincount((days.astype(np.int64) + 3) % 7, minlength=7)
    return np.asarray(counts / np.maximum(each, 1)[:, None])
