"""Payments, shipments and stock: what later work adds its tables from."""

import numpy as np
import pytest

from data_generators.company.fulfilment import (
    APPROVED,
    FAILS_FIRST,
    WAREHOUSE_WEIGHTS,
    make_payments,
    make_shipments,
    make_stock,
)
from tests.unit.company.commerce import Commerce, commerce, differing


def payments_of(world: Commerce):
    return make_payments(world.args, world.orders, np.arange(len(world.orders)))


def shipments_of(world: Commerce):
    every = np.arange(len(world.orders))
    return make_shipments(world.args, world.timeline, world.customers, world.orders, every)


def stock_of(world: Commerce):
    return make_stock(world.args, world.timeline, world.catalogue, world.orders, world.lines)


def test_each_order_is_approved_once_and_at_last() -> None:
    world = commerce()
    payments = payments_of(world)
    last = np.append(np.diff(payments.order) > 0, True)
    assert np.array_equal(payments.outcome == APPROVED, last)
    assert np.array_equal(payments.order[last], np.arange(len(world.orders)))
    assert np.array_equal(payments.at[last], world.orders.placed)
    assert np.array_equal(payments.attempt == 0, np.insert(last[:-1], 0, True))
    wait = np.diff(payments.at)[~last[:-1]]
    assert (wait >= np.timedelta64(20, "s")).all()
    assert (wait < np.timedelta64(240, "s")).all()
    retried = world.orders.lines[payments.order[payments.attempt == 1]]
    share = len(retried) / len(world.orders)
    assert share == pytest.approx(FAILS_FIRST, abs=4 * np.sqrt(0.07 / len(world.orders)))
    assert len(np.unique(payments.outcome)) == 5
    assert payments.attempt.max() <= 4


def test_cards_devices_and_addresses_belong_to_one_customer() -> None:
    world = commerce()
    payments = payments_of(world)
    customer = world.orders.customer[payments.order]
    for name, most in (("card", 4), ("device", 2), ("address", 2)):
        pairs = np.unique(np.stack([getattr(payments, name), customer]), axis=1)
        assert len(np.unique(pairs[0])) == pairs.shape[1], name
        assert 1 < np.bincount(pairs[1]).max() <= most, name


def test_payments_of_a_part_are_those_of_the_whole_and_later_days_only_append() -> None:
    world, more = commerce(), commerce(added=5)
    payments = payments_of(world)
    assert not differing(payments, payments_of(more), len(payments.order))
    which = np.arange(3, len(world.orders), 7)
    part = make_payments(world.args, world.orders, which)
    mine = np.isin(payments.order, which)
    assert np.array_equal(part.card, payments.card[mine])
    assert np.array_equal(part.at, payments.at[mine])


def test_what_has_left_before_the_end_is_shipped_from_a_warehouse_of_the_country() -> None:
    world = commerce()
    shipments, orders = shipments_of(world), world.orders
    assert np.array_equal(shipments.order, np.flatnonzero(orders.shipped < world.timeline.until))
    assert np.isnat(orders.cancelled[shipments.order]).all()
    arrived = ~np.isnat(shipments.delivered)
    assert (~arrived).sum() > 0
    assert (shipments.delivered[arrived] < world.timeline.until).all()
    assert (shipments.delivered[arrived] > shipments.shipped[arrived]).all()
    country = world.customers.country[orders.customer[shipments.order]]
    assert (WAREHOUSE_WEIGHTS[country, shipments.warehouse] > 0).all()
    assert len(np.unique(shipments.tracking)) == len(shipments.tracking)
    assert len(np.unique(shipments.carrier)) == 4


def test_later_days_add_shipments_and_deliver_what_was_on_the_way() -> None:
    base, more = shipments_of(commerce()), shipments_of(commerce(added=5))
    same = np.isin(more.order, base.order)
    assert same.sum() == len(base.order)
    for name in ("tracking", "carrier", "warehouse", "shipped"):
        assert np.array_equal(getattr(base, name), getattr(more, name)[same]), name
    arrived = ~np.isnat(base.delivered)
    assert np.array_equal(base.delivered[arrived], more.delivered[same][arrived])
    later = more.delivered[same][~arrived]
    assert (np.isnat(later) | (later >= commerce().timeline.until)).all()


def test_stock_balances_every_day_and_never_falls_below_nothing() -> None:
    world = commerce()
    stock = stock_of(world)
    assert stock.on_hand.shape == (730, 400)
    change = stock.received + stock.returned - stock.sold
    assert np.array_equal(np.diff(stock.on_hand, axis=0), change[1:])
    for name in ("sold", "returned", "received", "on_hand"):
        assert (getattr(stock, name) >= 0).all(), name
    orders, lines = world.orders, world.lines
    left = orders.shipped[lines.order] < world.timeline.until
    assert stock.sold.sum() == lines.quantity[left].sum()
    back = orders.returned[lines.order] < world.timeline.until
    assert stock.returned.sum() == lines.quantity[back].sum()


def test_stock_is_reordered_in_lots_and_does_not_pile_up() -> None:
    stock = stock_of(commerce(scale=1))
    popular = np.argsort(-stock.sold.sum(axis=0))[:50]
    assert 0.01 < (stock.received[:, popular] > 0).mean() < 0.2
    days_of_stock = stock.on_hand[365:, popular].mean() / stock.sold[365:, popular].mean()
    assert 14 < days_of_stock < 90


def test_later_days_only_append_stock() -> None:
    base, more = stock_of(commerce()), stock_of(commerce(added=5))
    assert not differing(base, more, len(base.sold))
    assert len(more.sold) == len(base.sold) + 5


def test_the_smallest_world_can_be_fulfilled() -> None:
    world = commerce(seed=0, scale=0.001, days=30)
    assert len(payments_of(world).order) >= len(world.orders)
    assert len(shipments_of(world).order) <= len(world.orders)
    assert stock_of(world).on_hand.shape == (30, 400)
