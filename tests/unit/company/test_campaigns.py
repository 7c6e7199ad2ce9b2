"""Campaigns, their planted response, and the orders that they cause."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from data_generators.args import WorldArgs
from data_generators.company.campaigns import (
    Campaigns,
    CausedOrders,
    make_campaigns,
    planned_spend,
)
from data_generators.company.customers import CHANNELS, Customers
from data_generators.company.response import adstock, cause_orders, make_response, pick_by_spend
from data_generators.randomness import Draws
from data_generators.timeline import Timeline

AS_OF = date(2026, 1, 1)
YEARLY = WorldArgs(7, 1, 730, AS_OF)
BRISK = WorldArgs(7, 1, 60, AS_OF)  # a short history: nearly two campaigns a day


def timeline(args: WorldArgs, added: int = 0) -> Timeline:
    return Timeline.of(args.start, args.end + np.timedelta64(added, "D"))


def fields(thing: object) -> dict[str, Any]:
    return vars(thing)


def some_customers(span: Timeline, size: int = 400) -> Customers:
    """Registered evenly over the timeline; each buys first an hour after; none are erased."""
    number = np.arange(size)
    length = (span.until - span.start).astype(np.int64)
    registered = span.start + (length * number // size).astype("timedelta64[s]")
    return Customers(
        base=size,
        registered=registered,
        segment=(number % 5).astype(np.int8),
        buys=number % 10 != 9,
        first_purchase=span.operational(registered) + 3600.0,
        purchase_rate=np.full(size, 0.1),
        dropout=np.full(size, 0.2),
        spend_rate=np.full(size, 0.1),
        price_sensitivity=np.full(size, 0.5),
        engagement=np.ones(size),
        device=np.zeros(size, np.int8),
        channel=(number // 5 % len(CHANNELS)).astype(np.int8),
        country=np.zeros(size, np.int8),
        erased=np.full(size, np.datetime64("NaT", "s")),
    )


@pytest.mark.parametrize("scale", [0.01, 0.05, 1, 3])
@pytest.mark.parametrize("days", [30, 90, 730])
def test_the_plan_keeps_its_bounds(scale: float, days: int) -> None:
    args = WorldArgs(3, scale, days, AS_OF, defects="none")
    plan = make_campaigns(args, timeline(args))
    assert len(plan) == plan.base == args.count(100, 5)
    assert (plan.created >= args.start).all() and (plan.created < args.end).all()
    assert (plan.created < plan.starts).all() and (plan.starts < args.as_of).all()
    assert (np.diff(plan.created.astype(np.int64)) >= 0).all()
    length = (plan.ends - plan.starts).astype(int) + 1
    if days == 730:
        assert length.min() >= 60 and length.max() <= 180
    total = plan.spend_cents.sum() / 100
    assert total == pytest.approx(416_000 * scale * days / 730, rel=1e-3)
    assert (plan.spend_cents.sum(axis=1) <= plan.budget_cents).all()
    counts = np.bincount(plan.channel, minlength=len(CHANNELS))
    assert counts.max() - counts.min() <= 1
    assert plan.testable.any()


def test_the_defaults_leave_room_for_the_duplicate() -> None:
    assert make_campaigns(YEARLY, timeline(YEARLY)).base == 99


def test_a_campaign_spends_on_its_days_and_on_no_other() -> None:
    span = timeline(YEARLY)
    plan = make_campaigns(YEARLY, span)
    date_of = span.start.astype("datetime64[D]") + np.arange(730)
    runs = (date_of >= plan.starts[:, None]) & (date_of <= plan.ends[:, None])
    np.testing.assert_array_equal(plan.spend_cents > 0, runs)


def test_spend_grows_with_the_company() -> None:
    daily = make_campaigns(YEARLY, timeline(YEARLY)).spend_cents.sum(axis=0)
    assert daily[-180:].sum() > 5 * daily[:180].sum()


@pytest.mark.parametrize("args", [YEARLY, BRISK], ids=["yearly", "brisk"])
@pytest.mark.parametrize("added", [1, 5, 40])
def test_later_days_only_add(args: WorldArgs, added: int) -> None:
    span, longer = timeline(args), timeline(args, added)
    before, after = make_campaigns(args, span), make_campaigns(args, longer)
    days = len(span.intensity)
    for name, old in fields(before).items():
        new = getattr(after, name)
        if name == "spend_cents":
            np.testing.assert_array_equal(new[: len(before), :days], old)
            assert (new[len(before) :, :days] == 0).all()
        elif name != "base":
            np.testing.assert_array_equal(new[: len(before)], old)
    assert (after.created[len(before) :] >= args.end).all()
    assert (after.created < longer.until).all()
    old, new = make_response(args, span, before), make_response(args, longer, after)
    np.testing.assert_array_equal(new.expected[:, :days], old.expected)
    np.testing.assert_array_equal(new.half, old.half)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("longest", [200, 1000])
def test_a_longer_campaign_later_leaves_spend_alone_to_the_last_bit(
    seed: int, longest: int
) -> None:
    plan = make_campaigns(BRISK, timeline(BRISK))
    starts = np.append(plan.starts, np.datetime64(AS_OF))
    ends = np.append(plan.ends, np.datetime64(AS_OF) + longest)
    channel, draws = np.append(plan.channel, 0), Draws(seed, "campaigns")
    old = planned_spend(BRISK, draws, plan.base, plan.channel, plan.starts, plan.ends)
    new = planned_spend(BRISK, draws, plan.base, channel, starts, ends)
    np.testing.assert_array_equal(new[: len(plan), : old.shape[1]], old)


def test_new_campaigns_come_at_the_rate_of_the_base_history() -> None:
    plan = make_campaigns(BRISK, timeline(BRISK, 60))
    assert 99 - 40 < len(plan) - plan.base < 99 + 40  # Poisson with mean 99: four sd


def test_the_same_arguments_make_the_same_campaigns() -> None:
    span = timeline(YEARLY)
    once, twice = make_campaigns(YEARLY, span), make_campaigns(YEARLY, span)
    for name, value in fields(once).items():
        np.testing.assert_array_equal(getattr(twice, name), value)
    other = make_campaigns(WorldArgs(8, 1, 730, AS_OF), span)
    assert (other.budget_cents != once.budget_cents).any()


def test_adstock_is_the_geometric_sum_of_what_came_before() -> None:
    spend = np.array([[10.0, 0.0, 4.0, 0.0], [10.0, 0.0, 4.0, 0.0]])
    expected = [[10.0, 0.0, 4.0, 0.0], [5.0, 2.5, 3.25, 1.625]]
    np.testing.assert_allclose(adstock(spend, np.array([0.0, 0.5])), expected)


@pytest.mark.parametrize("scale", [0.05, 1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_the_base_history_expects_its_total(scale: float, seed: int) -> None:
    args = WorldArgs(seed, scale, 730, AS_OF)
    span = timeline(args)
    response = make_response(args, span, make_campaigns(args, span))
    assert response.expected.sum() == pytest.approx(0.12 * 50_000 / 1.11 * scale)
    assert (response.carry >= 0.2).all() and (response.carry <= 0.7).all()


def test_saturation_matters() -> None:
    span = timeline(YEARLY)
    response = make_response(YEARLY, span, make_campaigns(YEARLY, span))
    used = response.expected / response.ceiling[:, None]
    assert (used.max(axis=1) > 0.6).all()
    assert (np.median(used, axis=1) < 0.5).all()


def caused(args: WorldArgs, added: int = 0) -> tuple[Timeline, Campaigns, Customers, CausedOrders]:
    span = timeline(args, added)
    plan = make_campaigns(args, span)
    people = some_customers(timeline(args, 60))
    churned = np.full(len(people), np.datetime64("NaT", "s"))
    churned[::3] = people.registered[::3] + np.timedelta64(20, "D")
    response = make_response(args, span, plan)
    return span, plan, people, cause_orders(args, span, plan, response, people, churned)


def test_caused_orders_go_to_buyers_who_are_there() -> None:
    span, plan, people, orders = caused(YEARLY)
    who, placed = orders.customer, orders.placed
    assert people.buys[who].all()
    assert (people.first_purchase[who] < span.operational(placed)).all()
    left = who % 3 == 0
    assert (placed[left] < people.registered[who[left]] + np.timedelta64(20, "D")).all()
    assert (np.diff(placed.astype(np.int64)) >= 0).all()
    assert len(np.unique(orders.key)) == len(orders.key)
    np.testing.assert_array_equal(plan.channel[orders.campaign], orders.channel)
    assert (plan.starts[orders.campaign] <= placed).all()


def test_caused_orders_come_as_often_as_expected() -> None:
    total = sum(len(caused(WorldArgs(seed, 1, 730, AS_OF))[3].key) for seed in range(10))
    expected = 10 * 0.12 * 50_000 / 1.11
    # Some of the first days' orders find nobody; else Poisson, within four sd.
    assert abs(total - expected) < 4 * np.sqrt(expected) + 0.002 * expected


def test_segments_and_channels_respond_as_planted() -> None:
    _, _, people, orders = caused(YEARLY)
    late = orders.placed > YEARLY.end - np.timedelta64(365, "D")
    count = np.bincount(people.segment[orders.customer[late]], minlength=5)
    share = count / count.sum()
    # All segments are equally many here, but half of the prospects never buy; so are channels.
    np.testing.assert_allclose(share, np.array([1.6, 1.3, 1.0, 0.7, 0.2]) / 4.8, atol=0.03)
    preferred = people.channel[orders.customer[late]] == orders.channel[late]
    assert preferred.mean() == pytest.approx(2 / 6, abs=0.03)


@pytest.mark.parametrize("args", [YEARLY, BRISK], ids=["yearly", "brisk"])
def test_later_days_leave_the_caused_orders_alone(args: WorldArgs) -> None:
    _, _, _, before = caused(args)
    for added in (1, 9):
        _, _, _, after = caused(args, added)
        assert len(after.key) > len(before.key)
        for name, old in fields(before).items():
            np.testing.assert_array_equal(getattr(after, name)[: len(old)], old)


def test_without_effects_nothing_is_caused() -> None:
    args = WorldArgs(7, 1, 730, AS_OF, effects="all,-campaigns")
    span, plan, _, orders = caused(args)
    assert len(orders.key) == 0
    assert (make_response(args, span, plan).expected == 0).all()
    np.testing.assert_array_equal(
        plan.spend_cents, make_campaigns(YEARLY, timeline(YEARLY)).spend_cents
    )


def test_without_segments_all_respond_alike() -> None:
    args = WorldArgs(7, 1, 730, AS_OF, effects="campaigns")
    span = timeline(args)
    response = make_response(args, span, make_campaigns(args, span))
    np.testing.assert_array_equal(response.segment_weight, np.ones(5))


def test_the_share_of_the_days_spend_picks_the_campaign() -> None:
    plan = make_campaigns(YEARLY, timeline(YEARLY))
    day = 500
    rows = np.flatnonzero((plan.channel == 1) & (plan.spend_cents[:, day] > 0))
    share = (np.arange(10_000) + 0.5) / 10_000
    picked = pick_by_spend(plan, np.full(10_000, 1), np.full(10_000, day), share)
    spent = plan.spend_cents[rows, day]
    np.testing.assert_allclose(
        np.bincount(picked, minlength=len(plan))[rows] / 10_000, spent / spent.sum(), atol=1e-3
    )
    assert (pick_by_spend(plan, np.array([1]), np.array([0]), np.array([0.5])) == -1).all()


def test_a_day_is_the_same_in_every_history_that_ends_alike() -> None:
    """The plan of added days depends on their date, not on how many are asked for at once."""
    one = make_campaigns(BRISK, timeline(BRISK, 10))
    for day in range(1, 10):
        some = make_campaigns(BRISK, timeline(BRISK, day))
        until = np.datetime64(AS_OF + timedelta(days=day), "s")
        assert len(some) == (one.created < until).sum()
