"""Exposures: which visitors of the clickstream see which variant of which experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.company.customers import DEVICES
from data_generators.company.depth import EXPOSURES
from data_generators.company.experiment_design import Design
from data_generators.company.visits import Sessions
from data_generators.randomness import Draws
from data_generators.timeline import DAY, Timeline

Array = npt.NDArray[Any]

#: Exposures and their conversions in the base history, for each of its sessions: 45,000 at
#: SCALE=1. At most this share of them is of the test with Simpson's reversal, which needs many.
EVENTS, SIMPSON_SHARE = EXPOSURES, 0.4
#: At most about this share of a test's impressions is tracked.
TRACKED = 0.4
#: The days before a test over which the traffic that it will meet is measured.
TRAFFIC_DAYS = 28
#: The mix of devices where there is no clickstream to take it from.
DEVICE_SHARE = np.array([0.42, 0.48, 0.10])


@dataclass(frozen=True)
class Exposures:
    """Tracked exposures, by (session, test)."""

    session: Array  # int64
    test: Array  # int64
    variant: Array  # int8, 0 is A, 1 is B
    converted: Array  # bool

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True)
class _Candidates:
    """First sessions of people in a test's window that may be exposed."""

    session: Array
    test: Array
    person: Array
    drawn: Array  # float64 in (0, 1): exposed where it is low enough


def no_exposures() -> Exposures:
    """Of a company without a clickstream."""
    none = np.zeros(0, dtype=np.int64)
    return Exposures(none, none, none.astype(np.int8), none.astype(bool))


def device_share(args: WorldArgs, sessions: Sessions | None) -> Array:
    """The mix of devices among the sessions of the base history, bots aside."""
    if sessions is None:
        return DEVICE_SHARE
    people = ~sessions.bot & (sessions.start < args.end)
    count = np.bincount(sessions.device[people], minlength=len(DEVICES))
    return np.asarray(count / count.sum()) if count.sum() else DEVICE_SHARE


def track(args: WorldArgs, timeline: Timeline, design: Design, sessions: Sessions) -> Exposures:
    """Expose people in their first session in a test's window; what is assigned stays.

    Whether one is exposed at all is drawn for each (test, person) with one chance for all
    tests, such that the base history has its `EVENTS`; lower where a test is small.
    """
    draws = Draws(args.seed, "exposures")
    found = _candidates(draws, timeline, design, sessions)
    kept = found.drawn < _chance(args, design, sessions, found)
    order = np.lexsort((found.test[kept], found.session[kept]))
    session, test = found.session[kept][order], found.test[kept][order]
    person, device = found.person[kept][order], sessions.device[session]
    is_b = draws("variant").chance(design.device_split[test, device], design.key[test], person)
    variant = is_b.astype(np.int8)
    since = (sessions.start[session].astype("datetime64[D]") - design.starts[test]).astype(np.int64)
    rate = design.chance(test, variant, since, device)
    converted = draws("converted").chance(rate, design.key[test], person)
    evenly = design.simpson[test]
    converted[evenly] = _evenly(draws, rate[evenly], variant[evenly], device[evenly])
    return Exposures(session, test, variant, converted)


def _candidates(
    draws: Draws, timeline: Timeline, design: Design, sessions: Sessions
) -> _Candidates:
    first = np.searchsorted(sessions.start, design.starts.astype("datetime64[s]"))
    beyond = np.searchsorted(sessions.start, (design.ends + 1).astype("datetime64[s]"))
    parts = []
    for test in range(len(design)):
        begin, end = int(first[test]), int(beyond[test])
        drawn = draws("exposed").uniform(design.key[test], sessions.person[begin:end])
        most = _most(timeline, design, sessions, test, begin)
        at = begin + np.flatnonzero((drawn < most) & ~sessions.bot[begin:end])
        person, nth = np.unique(sessions.person[at], return_index=True)
        at = at[nth]
        parts.append((at, np.full(len(at), test), person, drawn[at - begin]))
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return _Candidates(*joined)


def _most(timeline: Timeline, design: Design, sessions: Sessions, test: int, begin: int) -> float:
    """The highest chance of exposure that leaves most of a test's impressions untracked.

    Judged by the traffic of the days before the test: later ones are not known yet.
    """
    start = design.starts[test].astype("datetime64[s]")
    span = int(min(TRAFFIC_DAYS, (start - timeline.start).astype(np.int64) // DAY))
    before = begin - np.searchsorted(sessions.start, start - np.timedelta64(span, "D"))
    days = int((design.ends[test] - design.starts[test]).astype(np.int64)) + 1
    traffic = days * float(before) / max(span, 1)
    return min(1.0, TRACKED * 2 * float(design.arm[test]) / traffic) if traffic else 1.0


def _chance(args: WorldArgs, design: Design, sessions: Sessions, found: _Candidates) -> Array:
    """The chance of exposure of each candidate that gives the base history its events.

    One for all tests, but for the one with Simpson's reversal, which takes all that it may.
    Conversions count with the rate of variant A, so that it does not depend on the lifts.
    """
    tilted = found.test == design.tilted
    # Candidates of added days are left out of every sum, so that they cannot even round one.
    in_base = sessions.start[found.session] < args.end
    events, drawn = 1 + design.rate[found.test], found.drawn
    wanted = EVENTS * float((sessions.start < args.end).sum())
    of_simpson, of_others = in_base & tilted, in_base & ~tilted
    simpson = _below(drawn[of_simpson], events[of_simpson], SIMPSON_SHARE * wanted)
    wanted -= float(events[of_simpson & (drawn < simpson)].sum())
    return np.where(tilted, simpson, _below(drawn[of_others], events[of_others], wanted))


def _below(drawn: Array, events: Array, wanted: float) -> float:
    """The draw below which the candidates bring the wanted events; 1 where all bring fewer."""
    order = np.argsort(drawn, kind="stable")
    fits = int(np.searchsorted(np.cumsum(events[order]), wanted, side="right"))
    return float(drawn[order[fits]]) if fits < len(order) else 1.0


def _evenly(draws: Draws, rate: Array, variant: Array, device: Array) -> Array:
    """Conversions at even steps in each (variant, device), in the order given.

    Their numbers then are the expected ones, so that no chance hides Simpson's reversal on a
    small device, as independent draws would at times.
    """
    converted = np.zeros(len(rate), dtype=bool)
    for v in range(2):
        for d in range(len(DEVICES)):
            rows = np.flatnonzero((variant == v) & (device == d))
            steps = rate[rows] * np.arange(1, len(rows) + 1) + draws("even").uniform(v, d)
            converted[rows] = np.floor(steps) > np.floor(steps - rate[rows])
    return converted
