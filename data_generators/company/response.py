"""What campaigns cause: the planted response of each channel, and the orders that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import DEFAULT_DAYS, WorldArgs
from data_generators.company import bgnbd
from data_generators.company.campaigns import Campaigns, CausedOrders, Response
from data_generators.company.customers import CHANNELS, Customers, rate_factor
from data_generators.groups import within
from data_generators.randomness import Draws
from data_generators.timeline import Timeline, second_of_day

Array = npt.NDArray[Any]

# By channel: Facebook, Google, Email, Instagram, LinkedIn.
#: What one day's effect leaves for the next.
CARRY = np.array([0.50, 0.35, 0.20, 0.60, 0.70])
#: The half-saturation point, relative to what the channel spends on a typical day.
HALF = np.array([0.50, 0.60, 0.40, 0.45, 0.60])
#: Orders a day that no spend exceeds, relative to the other channels.
CEILING = np.array([0.22, 0.27, 0.22, 0.16, 0.13])
#: The share of a day's organic purchases that the platform claims as its own.
CLAIM = np.array([0.028, 0.035, 0.010, 0.020, 0.008])
#: Of the purchases of the default history at SCALE=1 (`Orders`), those that campaigns cause.
INCREMENTAL = 0.12 * 50_000 / 1.11
#: VIP, Loyal, Regular, Occasional, Prospect: how readily each responds.
SEGMENT_WEIGHT = np.array([1.6, 1.3, 1.0, 0.7, 0.4])
#: How much more readily a customer responds in the channel that it prefers.
PREFERRED = 2.0
#: Customers tried for an order before it is given up (nobody is there to place it).
TRIES = 1_000
#: The quantile of the purchase rates from which on customers respond alike.
BUSIEST = 0.95


def make_response(args: WorldArgs, timeline: Timeline, campaigns: Campaigns) -> Response:
    """The response of each channel, scaled so that the base history expects its total.

    The half-saturation point is a fixed multiple of the channel's typical daily spend in the
    base history (its spend-weighted mean), so that saturation matters at every scale.
    """
    spend = channel_spend(campaigns)
    base = spend[:, : args.days]
    total = base.sum(axis=1)
    typical = np.divide((base**2).sum(axis=1), total, out=np.ones(len(total)), where=total > 0)
    half = HALF * typical
    stock = adstock(spend, CARRY)
    effect = stock / (half[:, None] + stock)
    wanted = INCREMENTAL * args.scale * args.days / DEFAULT_DAYS
    ceiling = CEILING * (wanted / (CEILING @ effect[:, : args.days].sum(axis=1)))
    if "campaigns" not in args.planted:
        ceiling = np.zeros(len(CHANNELS))
    weight = SEGMENT_WEIGHT if "segments" in args.planted else np.ones(len(SEGMENT_WEIGHT))
    return Response(
        CARRY.copy(), half, ceiling, CLAIM.copy(), weight.copy(), ceiling[:, None] * effect
    )


def channel_spend(campaigns: Campaigns) -> Array:
    """Currency units by channel and day: float64 [channels x days]."""
    spend = np.zeros((len(CHANNELS), campaigns.spend_cents.shape[1]), dtype=np.int64)
    np.add.at(spend, campaigns.channel, campaigns.spend_cents)
    return spend / 100


def adstock(spend: Array, carry: Array) -> Array:
    """The normalised geometric adstock of ``spend`` [channels x days] (see `Response`)."""
    stock = np.zeros_like(spend)
    level = np.zeros(len(spend))
    for day in range(spend.shape[1]):
        level = (1 - carry) * spend[:, day] + carry * level
        stock[:, day] = level
    return stock


def cause_orders(
    args: WorldArgs,
    timeline: Timeline,
    campaigns: Campaigns,
    response: Response,
    customers: Customers,
    churned: Array,
) -> CausedOrders:
    """The orders that campaigns cause: a Poisson number for each channel and day.

    ``churned`` is when each customer dropped out (``datetime64[s]``, NaT while alive). An order
    that nobody is there to place (on the company's very first days) is not placed.
    """
    draws = Draws(args.seed, "caused")
    channels, days = response.expected.shape
    channel, day = (axis.reshape(-1) for axis in np.indices((channels, days)))
    many = draws("count").poisson(response.expected.reshape(-1), channel, day)
    of, nth = within(many)
    channel, day = channel[of], day[of]
    key = draws("key").keys(channel, day, nth)
    second = second_of_day(draws("moment").uniform(key))
    placed = timeline.start + (day * 86_400 + second).astype("timedelta64[s]")
    weight = response.segment_weight[customers.segment] * _busyness(args, customers)
    customer = _who(draws, timeline, customers, weight, churned, key, placed, channel)
    campaign = _credited(draws, campaigns, timeline, key, channel, day)
    order = np.lexsort((key, placed))
    order = order[customer[order] >= 0]
    return CausedOrders(
        key[order],
        customer[order],
        placed[order],
        channel[order].astype(np.int8),
        campaign[order],
    )


def _busyness(args: WorldArgs, customers: Customers) -> Array:
    """How often each buys, in (0, 1]: its purchase rate up to the highest that counts.

    Who buys more by itself also buys more because of campaigns; caused orders therefore leave
    the differences between customers, and the share that never comes again, as they are.
    """
    highest = bgnbd.rates(np.array(BUSIEST)) * rate_factor(args)
    return np.minimum(customers.purchase_rate / highest, 1.0)


def _who(
    draws: Draws,
    timeline: Timeline,
    customers: Customers,
    weight: Array,
    churned: Array,
    key: Array,
    placed: Array,
    channel: Array,
) -> Array:
    """Who places each order: rejection sampling among the customers registered by then; -1: none.

    Later customers cannot change an earlier choice: the candidates are those before ``placed``.
    """
    registered = np.searchsorted(customers.registered, placed, side="left")
    moment = timeline.operational(placed)
    chosen = np.full(len(key), -1, dtype=np.int64)
    highest = PREFERRED * SEGMENT_WEIGHT.max()
    todo = np.flatnonzero(registered > 0)
    for attempt in range(TRIES):
        if not len(todo):
            break
        who = draws("candidate").integers(0, registered[todo], key[todo], attempt)
        readiness = weight[who] * np.where(customers.channel[who] == channel[todo], PREFERRED, 1.0)
        # Comparisons with NaT are false: never churned, never erased.
        here = (
            customers.buys[who]
            & (customers.first_purchase[who] < moment[todo])
            & ~(churned[who] <= placed[todo])
            & ~(customers.erased[who] <= placed[todo])
        )
        taken = here & draws("accept").chance(readiness / highest, key[todo], attempt)
        chosen[todo[taken]] = who[taken]
        todo = todo[~taken]
    return chosen


def _credited(
    draws: Draws, campaigns: Campaigns, timeline: Timeline, key: Array, channel: Array, day: Array
) -> Array:
    """The campaign that each order is credited to.

    One that spends that day, by its share; where none does, the channel's last one before.
    """
    credited = pick_by_spend(campaigns, channel, day, draws("credit").uniform(key))
    date = timeline.start.astype("datetime64[D]") + day
    for late in np.flatnonzero(credited < 0):
        over = (campaigns.channel == channel[late]) & (campaigns.ends < date[late])
        last = np.lexsort((campaigns.ends, over))[-1]
        credited[late] = last
    return credited


def pick_by_spend(campaigns: Campaigns, channel: Array, day: Array, share: Array) -> Array:
    """A campaign of the channel for each (channel, day), at this share of the day's spend.

    ``day`` is an index into the timeline, ``share`` lies in (0, 1). -1 where none is active.
    """
    picked = np.full(len(day), -1, dtype=np.int64)
    for c in range(len(CHANNELS)):
        rows = np.flatnonzero(campaigns.channel == c)
        if not len(rows):
            continue
        cumulative = np.cumsum(campaigns.spend_cents[rows], axis=0)
        events = np.flatnonzero(channel == c)
        upto = cumulative[:, day[events]]
        at = (upto <= (share[events] * upto[-1])[None, :]).sum(axis=0)
        picked[events] = np.where(at < len(rows), rows[np.minimum(at, len(rows) - 1)], -1)
    return picked
