"""Campaigns: which run when, in which channel, and what is spent on each on each day.

What the spend causes is `data_generators.company.response`; what the platforms report is
`data_generators.tables.marketing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company.customers import CHANNELS
from data_generators.defects.numbering import entities
from data_generators.groups import within
from data_generators.randomness import Draws
from data_generators.timeline import DAY, GROWTH, Timeline, day_intensity

Array = npt.NDArray[Any]

TYPES = ("awareness", "acquisition", "retention", "promotion")
AUDIENCES = ("all customers", "new customers", "lapsed customers", "high value customers")

#: Days that a campaign runs, where the history is a year or longer.
SHORTEST, LONGEST = 60, 180
#: The company opens with this share of its campaigns, which start within its first two weeks.
LAUNCH, LAUNCH_DAYS = 0.12, 14
#: Currency units spent in the default history at SCALE=1: about 12 % of the revenue.
SPEND = 416_000.0
#: How much a campaign of each channel spends, relative to the others.
SPEND_LEVEL = np.array([1.3, 1.5, 0.5, 1.0, 0.7])
#: What a day on the first day costs, as a share of one at the end: the company starts small.
FIRST_DAY = 0.015
#: Standard deviations of the logarithms of a campaign's level and of its days.
LEVEL_NOISE, DAY_NOISE = 0.35, 0.5
#: A campaign spends in flights: one of these factors for each of its weeks. Bursts and pauses
#: are what makes saturation and carry-over identifiable.
FLIGHTS = np.array([0.06, 0.3, 1.0, 2.6])
#: Of each five campaigns in a row, the number that tests may run in.
TESTABLE = 2


@dataclass(frozen=True)
class Campaigns:
    """Row k is ``CAMP_{k+1:04d}``, by time of creation; the first ``base`` are the base history's.

    ``spend_cents`` is [campaigns x days of the timeline], above 0 on each day that the campaign
    runs and 0 on all others. Campaigns are created before ``until``; those of the base history
    start in it, those of added days may still be planned at ``until``.
    """

    base: int
    kind: Array  # int8, index into TYPES
    channel: Array  # int8, index into customers.CHANNELS
    audience: Array  # int8, index into AUDIENCES
    starts: Array  # datetime64[D]
    ends: Array  # datetime64[D], inclusive; may lie after until
    created: Array  # datetime64[s]
    budget_cents: Array  # int64
    spend_cents: Array  # int64 [campaigns x days]
    testable: Array  # bool: tests run in these only, also on later days; never defective

    def __len__(self) -> int:
        return len(self.channel)


@dataclass(frozen=True)
class Response:
    """The planted response of each channel (in the order of CHANNELS): what the ledger records.

    Expected incremental orders of channel c on day t: ``ceiling[c] * A / (half[c] + A)`` (Hill
    saturation with slope 1), where ``A_t = (1 - carry[c]) * spend_t + carry[c] * A_{t-1}`` is
    the normalised geometric adstock of the channel's spend (currency units a day) (Jin et al.,
    "Bayesian Methods for Media Mix Modeling with Carryover and Shape Effects", 2017).
    """

    carry: Array  # float64 [channels]
    half: Array  # float64 [channels], currency units a day; proportional to scale
    ceiling: Array  # float64 [channels], orders a day; proportional to scale; 0 in a null world
    claim: Array  # float64 [channels]: share of a day's organic purchases that the platform claims
    segment_weight: Array  # float64 [segments]: relative response of a customer who is alive
    expected: Array  # float64 [channels x days]: expected incremental orders


@dataclass(frozen=True)
class CausedOrders:
    """The incremental orders that campaigns caused, by (placed, key)."""

    key: Array  # int64
    customer: Array  # int64
    placed: Array  # datetime64[s]
    channel: Array  # int8
    campaign: Array  # int64


def make_campaigns(args: WorldArgs, timeline: Timeline) -> Campaigns:
    """The campaigns created before ``timeline.until``, and what they spend."""
    draws = Draws(args.seed, "campaigns")
    base = entities(args, "campaigns")
    old, new = _base_plan(args, draws, base), _added_plan(args, draws, base, timeline)
    created, starts, ends = (np.concatenate(pair) for pair in zip(old, new, strict=True))
    row = np.arange(len(starts))
    channel = _channels(draws, row)
    exact = planned_spend(args, draws, base, channel, starts, ends)
    planned = np.where(exact > 0, np.maximum(np.rint(exact), 1), 0).astype(np.int64)
    budget = planned.sum(axis=1) * (1.02 + 0.28 * draws("budget").uniform(row))
    return Campaigns(
        base=base,
        kind=draws("kind").integers(0, len(TYPES), row).astype(np.int8),
        channel=channel,
        audience=draws("audience").integers(0, len(AUDIENCES), row).astype(np.int8),
        starts=starts,
        ends=ends,
        created=created,
        budget_cents=(np.ceil(budget / 1000) * 1000).astype(np.int64),
        spend_cents=_on_timeline(planned, starts, timeline),
        testable=_rank_of_five(draws("testable"), row, first_wins=True) < TESTABLE,
    )


def run_factor(args: WorldArgs) -> float:
    """How long campaigns and tests run, relative to a history of a year or more.

    A short history keeps its proportions: as many campaigns, each of them shorter.
    """
    return min(1.0, args.days / 365)


def _lengths(args: WorldArgs, draws: Draws, *keys: Any) -> Array:
    """Days that campaigns run, inclusive of both ends."""
    days = draws("length").integers(SHORTEST, LONGEST + 1, *keys)
    return np.asarray(np.maximum(np.rint(days * run_factor(args)), 7).astype(np.int64))


def _base_plan(args: WorldArgs, draws: Draws, base: int) -> tuple[Array, Array, Array]:
    """When each campaign of the base history is created, starts and ends, by creation.

    The starts are stratified over the history, so that no stretch of it goes without; the
    first day is left for creating.
    """
    row = np.arange(base)
    share = (row + draws("start").uniform(row)) / base
    opening = min(LAUNCH_DAYS / DEFAULT_DAYS, 0.1)
    along = np.interp(share, [0, LAUNCH, 1], [0, opening, 1])
    offset = np.minimum(1 + (along * (args.days - 1)).astype(np.int64), args.days - 1)
    starts = args.start.astype("datetime64[D]") + offset
    ends = starts + _lengths(args, draws, row) - 1
    lead = np.minimum(draws("lead").integers(1, 15, row), offset)
    created = (starts - lead).astype("datetime64[s]") + _office_hours(draws, row)
    order = np.lexsort((row, starts, created))
    return created[order], starts[order], ends[order]


def _added_plan(
    args: WorldArgs, draws: Draws, base: int, timeline: Timeline
) -> tuple[Array, Array, Array]:
    """The campaigns created on added days, at the daily rate of the base history."""
    draws = draws("added")
    days = np.arange(args.end.astype("datetime64[D]"), timeline.until.astype("datetime64[D]"))
    number = days.astype(np.int64)
    many = draws("count").poisson(base / args.days, number)
    of, nth = within(many)
    day = number[of]
    date = day.astype("datetime64[D]")
    created = date.astype("datetime64[s]") + _office_hours(draws, day, nth)
    starts = date + draws("lead").integers(1, 8, day, nth)
    ends = starts + _lengths(args, draws, day, nth) - 1
    order = np.lexsort((nth, created))
    return created[order], starts[order], ends[order]


def _office_hours(draws: Draws, *keys: Any) -> Array:
    """Seconds from 8:00 to 18:00."""
    return draws("hour").integers(8 * 3600, 18 * 3600, *keys).astype("timedelta64[s]")


def _channels(draws: Draws, row: Array) -> Array:
    """Each five campaigns in a row have the five channels, in some order."""
    return _rank_of_five(draws("channel"), row).astype(np.int8)


def _rank_of_five(draws: Draws, row: Array, first_wins: bool = False) -> Array:
    """The rank (0 to 4) of each row among the five of its block, by draw.

    The rows that a block still lacks take part, so that it does not matter how many there are.
    With ``first_wins`` row 0 has rank 0 whatever is drawn.
    """
    size = len(CHANNELS)
    blocks = np.arange(-(-len(row) // size) * size).reshape(-1, size)
    drawn = draws.uniform(blocks)
    if first_wins and len(row):
        drawn[0, 0] = 0.0
    return np.asarray(np.argsort(np.argsort(drawn, axis=1), axis=1).reshape(-1)[: len(row)])


def planned_spend(
    args: WorldArgs, draws: Draws, base: int, channel: Array, starts: Array, ends: Array
) -> Array:
    """Cents of each campaign (row) on each of its days (column), those after ``until`` too.

    Scaled so that the base history's total is `SPEND` times scale and length; not yet rounded.
    """
    row = np.arange(len(starts))[:, None]
    day = np.arange(int((ends - starts).astype(np.int64).max()) + 1)[None, :]
    dates = starts[:, None] + day
    level = np.exp(LEVEL_NOISE * draws("level").normal(row)) * SPEND_LEVEL[channel][:, None]
    flight = FLIGHTS[draws("week").integers(0, len(FLIGHTS), row, day // 7)]
    noise = np.exp(DAY_NOISE * draws("day").normal(row, day))
    season = day_intensity(dates.reshape(-1)).reshape(dates.shape)
    spend = level * flight * noise * season * company_size(args, dates)
    runs = dates <= ends[:, None]
    # The campaigns' own days and no others: a sum of more zeros can differ in its last bit.
    in_base = (runs & (dates < args.end.astype("datetime64[D]")))[:base]
    wanted = SPEND * args.scale * args.days / DEFAULT_DAYS
    return np.where(runs, spend * (100 * wanted / spend[:base][in_base].sum()), 0.0)


def company_size(args: WorldArgs, dates: Array) -> Array:
    """The size of the company on each date, as the share acquired by then: 1 from as_of on."""
    into = (dates.astype("datetime64[s]") - args.start).astype(np.int64) / (DAY * args.days)
    along = np.clip(into, 0.0, 1.0)
    acquired = (along + (GROWTH - 1) * along**2 / 2) / ((GROWTH + 1) / 2)
    return np.asarray(FIRST_DAY + (1 - FIRST_DAY) * acquired)


def _on_timeline(planned: Array, starts: Array, timeline: Timeline) -> Array:
    """``planned`` (by day of the campaign) by day of the timeline: [campaigns x days]."""
    days = len(timeline.intensity)
    spend = np.zeros((len(starts), days), dtype=np.int64)
    offset = (starts - timeline.start.astype("datetime64[D]")).astype(np.int64)
    row, day = np.nonzero(planned)
    at = offset[row] + day
    inside = at < days
    spend[row[inside], at[inside]] = planned[row[inside], day[inside]]
    return spend
