"""The visits of registered customers that end in no order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company.arrivals import (
    BROWSING,
    SESSIONS,
    STRANGER,
    Arrivals,
    still_there,
)
from data_generators.company.customers import Customers
from data_generators.randomness import Draws
from data_generators.timeline import Timeline

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

#: How much a customer still visits after dropping out.
QUIET = 0.15


def sessions_left(args: WorldArgs, others: Arrivals) -> int:
    """How many browsing sessions the base history needs beside the ``others``.

    A default history has exactly its volume. Of a history of other length, the sessions grow
    in proportion, but for those that come once a customer or with an order.
    """
    base = others.take(others.start < args.end)
    visitors = int((base.kind >= STRANGER).sum())
    share = args.days / DEFAULT_DAYS
    total = args.count(SESSIONS) * share + (len(base) - visitors) * (1 - share)
    return max(0, round(total) - len(base))


def browsing(
    draws: Draws,
    args: WorldArgs,
    timeline: Timeline,
    customers: Customers,
    churned: Array,
    target: int,
) -> Arrivals:
    """The browsing sessions: Poisson in operational time, at the customer's engagement.

    The one rate that multiplies all engagements is such that the base history has ``target``
    sessions exactly: with unit-rate arrivals S of a customer whose engagement adds up to L by
    the end of the base history, a session lies in it where S / L is at most the rate.
    """
    begins = timeline.operational(customers.registered)
    gone = np.isnat(churned)
    leaves = timeline.operational(np.where(gone, timeline.until, churned))
    leaves[gone] = np.inf
    in_base = _activity(customers.engagement, begins, leaves, timeline.cumulative[args.days])
    in_all = _activity(customers.engagement, begins, leaves, timeline.horizon)
    most = (target + 6 * np.sqrt(target) + 20) / in_base.sum()
    person, nth, passed = _unit_arrivals(draws("gap"), most * in_all)
    rate = _fitted_rate(passed, in_base[person], target)
    if rate == 0:
        person, nth, passed = person[:0], nth[:0], passed[:0]
        rate = 1.0
    at = begins[person] + passed / (rate * customers.engagement[person])
    late = np.maximum(at - leaves[person], 0)
    at = np.minimum(at, leaves[person]) + late / QUIET
    here = at < timeline.horizon
    person, nth, at = person[here], nth[here], at[here]
    start = np.maximum(timeline.clock(at), customers.registered[person])
    found = Arrivals.of(draws("browsing").keys(person, nth), person, start, BROWSING)
    return found.take(still_there(customers, person, start))


def _activity(engagement: Array, begins: Floats, leaves: Floats, until: float) -> Floats:
    """Engagement times operational seconds since the registration, QUIET after dropping out."""
    active = np.clip(np.minimum(leaves, until) - begins, 0, None)
    after = np.clip(until - np.maximum(leaves, begins), 0, None)
    return np.asarray(engagement * (active + QUIET * after))


def _unit_arrivals(draws: Draws, until: Floats) -> tuple[Array, Array, Floats]:
    """Arrivals of a unit-rate Poisson process per person: person, number, and time."""
    person = np.arange(len(until))
    passed = np.zeros(len(until))
    people, numbers, times = [], [], []
    nth = 0
    while len(person):
        passed = passed + draws.exponential(person, nth)
        here = passed <= until[person]
        person, passed = person[here], passed[here]
        people.append(person)
        numbers.append(np.full(len(person), nth))
        times.append(passed)
        nth += 1
    return np.concatenate(people), np.concatenate(numbers), np.concatenate(times)


def _fitted_rate(passed: Floats, activity: Floats, target: int) -> float:
    """The least rate at which ``target`` arrivals lie in the base history."""
    known = activity > 0
    needed = np.sort(passed[known] / activity[known])
    if target == 0 or not len(needed):
        return 0.0
    # A little more, so that rounding does not put the last of them at the very end.
    return float(needed[min(target, len(needed)) - 1]) * (1 + 1e-9)
