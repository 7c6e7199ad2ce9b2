"""The customers: who registers when, and the latent traits that everything else follows from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company import bgnbd
from data_generators.defects.numbering import entities, half_up
from data_generators.groups import within
from data_generators.randomness import Draws
from data_generators.timeline import DAY, GROWTH, Timeline, acquired_by, second_of_day

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

SEGMENTS = ("VIP", "Loyal", "Regular", "Occasional", "Prospect")
CHANNELS = ("Facebook", "Google", "Email", "Instagram", "LinkedIn")
DEVICES = ("desktop", "mobile", "tablet")
COUNTRIES = ("United States", "United Kingdom", "Germany", "France", "Canada", "Australia")
COUNTRY_WEIGHTS = (55, 15, 10, 8, 7, 5)

#: Share of the registered customers that never buy.
NEVER_BUYS = 0.06
#: Mean delay of the first purchase after the registration, in operational days.
FIRST_PURCHASE_DAYS = 2.0
#: Shares of the segments in all customers; those that never buy are Prospects.
SEGMENT_SHARES = np.array([0.05, 0.15, 0.30, 0.30, 0.20])
#: Weights of rate, spend level and chance in the index that makes the segment.
INDEX_WEIGHTS = (0.62, 0.62, 0.48)
#: Hazard of a request to be erased, a day, on added days.
ERASURE_HAZARD = 0.0002
#: Orders of the default history at SCALE=1, failed orders per purchase, and the share of the
#: purchases that customers make by themselves (campaigns cause the others).
ORDERS, FAILED_PER_PURCHASE, ORGANIC_SHARE = 50_000, 0.11, 0.88

# One row a segment; with "segments" off, all customers are like the middle one.
AVERAGE = SEGMENTS.index("Regular")
ENGAGEMENT = np.array([2.2, 1.6, 1.1, 0.7, 0.5])
ENGAGEMENT_SPREAD = 0.6
SENSITIVITY = np.array([-1.5, -0.9, -0.4, 0.1, 0.4])  # logits
SENSITIVITY_SPREAD = 0.8
DEVICE_WEIGHTS = np.array(
    [
        [0.56, 0.34, 0.10],
        [0.48, 0.42, 0.10],
        [0.42, 0.48, 0.10],
        [0.36, 0.54, 0.10],
        [0.28, 0.63, 0.09],
    ]
)
CHANNEL_WEIGHTS = np.array(
    [
        [0.15, 0.22, 0.38, 0.13, 0.12],
        [0.20, 0.27, 0.28, 0.16, 0.09],
        [0.26, 0.30, 0.18, 0.18, 0.08],
        [0.30, 0.32, 0.10, 0.22, 0.06],
        [0.33, 0.31, 0.05, 0.26, 0.05],
    ]
)


@dataclass(frozen=True)
class Customers:
    """The latent customers, by time of registration; row i is ``CUST_{i+1:06d}`` for good.

    The first ``base`` rows register in the base history; later ones come with added days.
    All arrays have length n.
    """

    base: int
    registered: Array  # datetime64[s]
    segment: Array  # int8, index into SEGMENTS
    buys: Array  # bool; False: registers and never buys
    first_purchase: Array  # float64, operational seconds (Timeline) of the first; inf: none
    purchase_rate: Array  # float64, lambda: further purchases per operational WEEK while alive
    dropout: Array  # float64, p: chance to leave after each further purchase (0: churn is off)
    spend_rate: Array  # float64, nu of Gamma-Gamma, 1/currency units: mean order value is shape/nu
    price_sensitivity: Array  # float64 in (0, 1)
    engagement: Array  # float64, relative rate of browsing, mean about 1
    device: Array  # int8, preferred device, index into DEVICES
    channel: Array  # int8, preferred channel, index into CHANNELS
    country: Array  # int8, index into COUNTRIES
    erased: Array  # datetime64[s], NaT; hard-deleted on request, only on added days before until

    def __len__(self) -> int:
        return len(self.registered)


@dataclass(frozen=True)
class _Buying:
    """What decides the purchases; the shares are quantiles of rate and of spend, in (0, 1)."""

    buys: Array
    first_purchase: Floats
    rate_share: Floats
    spend_share: Floats
    dropout: Floats

    @property
    def rate(self) -> Floats:
        """Lambda before it is scaled, per operational week."""
        return bgnbd.rates(self.rate_share)


def make_customers(args: WorldArgs, timeline: Timeline) -> Customers:
    """The customers that register before the timeline's end."""
    draws = Draws(args.seed, "customers")
    base = entities(args, "customers")
    registered = np.concatenate(
        [_base_registrations(draws, base, timeline, args.days), _added(draws, args, timeline)]
    )
    buying = _buying(args, registered, timeline)
    row = np.arange(len(registered))
    segment = _segments(args, draws, buying)
    like = segment if "segments" in args.planted else np.full(len(row), AVERAGE, dtype=np.int8)
    level = ENGAGEMENT / (ENGAGEMENT @ SEGMENT_SHARES)
    mean = level[like] if "segments" in args.planted else np.ones(len(row))
    spread = np.exp(ENGAGEMENT_SPREAD * draws("engagement").normal(row) - ENGAGEMENT_SPREAD**2 / 2)
    logit = SENSITIVITY[like] + SENSITIVITY_SPREAD * draws("sensitivity").normal(row)
    return Customers(
        base=base,
        registered=registered,
        segment=segment,
        buys=buying.buys,
        first_purchase=buying.first_purchase,
        purchase_rate=buying.rate * rate_factor(args),
        dropout=buying.dropout,
        spend_rate=bgnbd.spend_rates(1 - buying.spend_share),
        price_sensitivity=np.asarray(special.expit(logit)),
        engagement=mean * spread,
        device=draws("device").choice_rows(DEVICE_WEIGHTS[like], row).astype(np.int8),
        channel=draws("channel").choice_rows(CHANNEL_WEIGHTS[like], row).astype(np.int8),
        country=draws("country").choice(COUNTRY_WEIGHTS, row).astype(np.int8),
        erased=_erasures(args, draws, registered, timeline.until),
    )


def organic_target(args: WorldArgs) -> float:
    """The organic purchases of a default history (730 days) at this scale."""
    return ORDERS * args.scale / (1 + FAILED_PER_PURCHASE) * ORGANIC_SHARE


@lru_cache(maxsize=64)
def rate_factor(args: WorldArgs) -> float:
    """Kappa: what CDNOW's purchase rates are multiplied by, so that the target is met.

    It is fitted to the purchases that really come in a default history ending at ``as_of``,
    with this seed, scale and dropout; a history of other length has the same customers. The
    world's alpha is ``bgnbd.ALPHA / rate_factor(args)``.
    """
    start = args.end - np.timedelta64(DEFAULT_DAYS, "D")
    timeline = Timeline.of(start, args.end)
    base = entities(args, "customers")
    draws = Draws(args.seed, "customers")
    registered = _base_registrations(draws, base, timeline, DEFAULT_DAYS)
    buying = _buying(args, registered, timeline)
    return bgnbd.fit_rate_factor(
        purchase_draws(args),
        buying.first_purchase,
        buying.rate,
        buying.dropout,
        timeline.horizon,
        organic_target(args),
    )


def purchase_draws(args: WorldArgs) -> Draws:
    """The draws of `bgnbd.simulate`: the fit and the world must use the same."""
    return Draws(args.seed, "purchases")


def _base_registrations(draws: Draws, base: int, timeline: Timeline, days: int) -> Array:
    """One registration in each of ``base`` equal shares of the acquisition."""
    share = (np.arange(base) + draws("registered").uniform(np.arange(base))) / base
    return timeline.clock(acquired_by(share) * timeline.cumulative[days])


def _added(draws: Draws, args: WorldArgs, timeline: Timeline) -> Array:
    """Registrations on the added days, at the rate that the base history ended with."""
    first = int((args.end - timeline.start).astype(np.int64)) // DAY
    ends_with = entities(args, "customers") * GROWTH / ((GROWTH + 1) / 2)
    daily = ends_with / timeline.cumulative[first] * timeline.intensity[first:] * DAY
    day = args.end.astype("datetime64[D]") + np.arange(len(daily))
    number = draws("added").poisson(daily, day.astype(np.int64))
    of, nth = within(number)
    part = (nth + draws("added.share").uniform(day.astype(np.int64)[of], nth)) / number[of]
    return np.asarray(day[of].astype("datetime64[s]") + second_of_day(part))


def _buying(args: WorldArgs, registered: Array, timeline: Timeline) -> _Buying:
    """Who buys, from when, how often and how dear: the same traits on any timeline."""
    draws = Draws(args.seed, "customers")
    base = entities(args, "customers")
    row = np.arange(len(registered))
    buys = ~draws("never").chance(NEVER_BUYS, row)
    # Exact in the base history, so that the totals vary less from seed to seed.
    order = np.argsort(draws("never").words(row[:base]), kind="stable")
    buys[:base] = True
    buys[order[: half_up(NEVER_BUYS * base)]] = False
    delay = draws("first").exponential(row) * FIRST_PURCHASE_DAYS * DAY
    first = np.where(buys, timeline.operational(registered) + delay, np.inf)
    dropout = bgnbd.dropouts(_stratified(draws("dropout"), buys, base))
    if "churn" not in args.planted:
        dropout = np.zeros(len(row))
    rate_share = _stratified(draws("rate"), buys, base)
    spend_share = _stratified(draws("spend"), buys, base)
    return _Buying(buys, first, rate_share, spend_share, dropout)


def _stratified(draws: Draws, buys: Array, base: int) -> Floats:
    """A uniform number a customer; those of the base buyers lie in one equal part of (0, 1) each.

    Stratified, the base history has the tails of the heavy-tailed traits at any seed.
    """
    row = np.arange(len(buys))
    share = draws.uniform(row)
    buyers = np.flatnonzero(buys[:base])
    part = np.empty(len(buyers))
    part[np.argsort(draws("part").words(buyers), kind="stable")] = np.arange(len(buyers))
    share[buyers] = (part + share[buyers]) / max(len(buyers), 1)
    return share


def _segments(args: WorldArgs, draws: Draws, buying: _Buying) -> Array:
    """The latent segment: where a noisy index of rate and spend level falls (int8).

    With "segments" off it is noise alone: the label says nothing of the customer.
    """
    row = np.arange(len(buying.buys))
    chance = draws("segment").normal(row)
    if "segments" not in args.planted:
        edges = special.ndtri(1 - np.cumsum(SEGMENT_SHARES)[:-1])
        return np.asarray((chance[:, None] < edges).sum(axis=1), dtype=np.int8)
    weight = np.array(INDEX_WEIGHTS) / np.sqrt(np.square(INDEX_WEIGHTS).sum())
    rate, spend = special.ndtri(buying.rate_share), special.ndtri(buying.spend_share)
    index = weight[0] * rate + weight[1] * spend + weight[2] * chance
    edges = special.ndtri(1 - np.cumsum(SEGMENT_SHARES)[:-1] / (1 - NEVER_BUYS))
    segment = (index[:, None] < edges).sum(axis=1)
    return np.where(buying.buys, segment, SEGMENTS.index("Prospect")).astype(np.int8)


def _erasures(args: WorldArgs, draws: Draws, registered: Array, until: np.datetime64) -> Array:
    """When each customer is erased on request: a constant hazard, on added days only."""
    row = np.arange(len(registered))
    wait = draws("erased").exponential(row) / ERASURE_HAZARD * DAY
    at = np.maximum(registered, args.end) + wait.astype("timedelta64[s]")
    return np.asarray(np.where(at < until, at, np.datetime64("NaT", "s")))
