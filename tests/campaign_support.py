"""What the marts show of a generated company's campaigns, as arrays, beside the planted truth."""

from dataclasses import dataclass, replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from data_generators.args import WorldArgs
from data_generators.company.campaigns import AUDIENCES, TYPES, make_campaigns
from data_generators.company.customers import CHANNELS, make_customers
from data_generators.company.orders import FAILED, make_orders
from data_generators.company.purchases import make_organic
from data_generators.company.response import cause_orders, make_response
from data_generators.company.world import World
from data_generators.tables.marketing import platform_conversions
from data_generators.timeline import DAY, Timeline
from ml.campaign_optimization.history import History

AS_OF = date(2026, 1, 1)


@dataclass(frozen=True)
class Planted:
    """The true response, by channel in the order of `channels` (sorted): arrays [C].

    The orders a day that a steady spend s causes are ceiling * s / (half + s).
    """

    channels: tuple[str, ...]
    ceiling: np.ndarray[Any, Any]
    half: np.ndarray[Any, Any]

    def orders(self, spend: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Orders a day that a steady daily spend (last axis: channels) causes."""
        return self.ceiling * spend / (self.half + spend)

    def best(self, total: float, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The optimum by the closed form s = sqrt(ceiling half value / price) - half."""
        low, high = 1e-12, float((self.ceiling * value / self.half).max())
        for _ in range(200):
            price = (low + high) / 2
            spend = np.sqrt(self.ceiling * self.half * value / price) - self.half
            spend = np.maximum(spend, 0.0)
            low, high = (price, high) if spend.sum() > total else (low, price)
        return spend * total / spend.sum()


def make_company(
    seed: int, effects: str = "all", scale: float = 1.0, days: int = 730
) -> tuple[History, Planted]:
    """A clean company's campaigns as the marts of its last night show them."""
    args = WorldArgs(seed, scale, days, AS_OF, effects)
    timeline = Timeline.of(args.start, args.end)
    customers = make_customers(args, timeline)
    organic = make_organic(args, timeline, customers)
    plan = make_campaigns(args, timeline)
    response = make_response(args, timeline, plan)
    caused = cause_orders(args, timeline, plan, response, customers, organic.churned)
    orders = make_orders(args, timeline, customers, organic, caused)
    world = SimpleNamespace(
        args=args, timeline=timeline, campaigns=plan, response=response, orders=orders
    )
    found = platform_conversions(cast(World, world))
    known = found.day + found.lag < days
    shape = (len(plan), days)
    conversions, revenue = np.zeros(shape), np.zeros(shape)
    np.add.at(conversions, (found.campaign[known], found.day[known]), 1)
    np.add.at(revenue, (found.campaign[known], found.day[known]), found.cents[known] / 100)
    placed = (orders.placed - timeline.start).astype(np.int64) // DAY
    start = timeline.start.astype("datetime64[D]")

    def number(dates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return (dates.astype("datetime64[D]") - start).astype(np.int64)

    spend = plan.spend_cents[:, :days] / 100
    history = History(
        first_day=cast(date, start.item()),
        ids=tuple(f"CAMP_{k + 1:04d}" for k in range(len(plan))),
        names=tuple(f"{CHANNELS[c]} {k + 1:03d}" for k, c in enumerate(plan.channel)),
        channel=tuple(CHANNELS[c] for c in plan.channel),
        kind=tuple(TYPES[k] for k in plan.kind),
        audience=tuple(AUDIENCES[a] for a in plan.audience),
        starts=number(plan.starts),
        ends=number(plan.ends),
        created=number(plan.created),
        budget=plan.budget_cents / 100,
        spend=spend,
        conversions=conversions,
        revenue=revenue,
        reported=spend > 0,
        purchases=np.bincount(placed[orders.kind != FAILED], minlength=days).astype(float),
    )
    order = np.argsort(CHANNELS)
    names = tuple(CHANNELS[c] for c in order)
    return history, Planted(names, response.ceiling[order], response.half[order])


def before(history: History, day: int) -> History:
    """The same as of an earlier day."""
    kept = {
        name: getattr(history, name)[..., :day]
        for name in ("spend", "conversions", "revenue", "reported", "purchases")
    }
    return replace(history, **kept)


def shuffled_days(history: History, seed: int) -> History:
    """The same plans and spend; what came of it on each day is that of another day."""
    order = np.random.default_rng(seed).permutation(history.days)
    return replace(
        history,
        conversions=history.conversions[:, order],
        revenue=history.revenue[:, order],
        purchases=history.purchases[order],
    )
