"""Orders and their baskets: kinds, values, steps, and lines that add up in whole cents."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from scipy import stats

from data_generators.company.baskets import line_cents, make_lines
from data_generators.company.campaigns import CausedOrders
from data_generators.company.orders import FAILED, INCREMENTAL, ORGANIC, make_orders
from tests.unit.company.commerce import AS_OF, Commerce, build, commerce, differing

SEEDS = (1, 2, 3, 4, 5)
DAY = np.timedelta64(1, "D")


def some_caused(world: Commerce, size: int = 300) -> CausedOrders:
    step = (world.args.end - world.args.start) // (size + 1)
    placed = world.args.start + step * np.arange(1, size + 1)
    number = np.arange(size)
    return CausedOrders(
        key=number + 10**9,
        customer=number,
        placed=placed,
        channel=(number % 5).astype(np.int8),
        campaign=number % 20,
    )


def test_the_same_arguments_give_the_same_orders_and_lines() -> None:
    world = commerce()
    again = build(
        world.args, 0, CausedOrders(*(np.zeros(0, t) for t in ("i8", "i8", "M8[s]", "i1", "i8")))
    )
    assert not differing(world.orders, again.orders)
    assert not differing(world.lines, again.lines)


@pytest.mark.parametrize("seed", SEEDS)
def test_kinds_and_tracked_orders_have_their_shares(seed: int) -> None:
    orders = commerce(seed=seed).orders
    organic = (orders.kind == ORGANIC).sum()
    failed = (orders.kind == FAILED).sum()
    staying = organic - orders.churns.sum()
    assert failed == pytest.approx(0.11 * staying, abs=4 * np.sqrt(0.11 * staying))
    cancelled = (~np.isnat(orders.cancelled)).sum()
    assert cancelled == pytest.approx(0.6 * failed, abs=4 * np.sqrt(0.24 * failed))
    assert orders.tracked.sum() == pytest.approx(
        0.12 * len(orders), abs=4 * np.sqrt(0.12 * 0.88 * len(orders))
    )


def test_orders_are_in_order_and_their_keys_distinct() -> None:
    orders = commerce(scale=1).orders
    later = np.diff(orders.placed)
    assert (later >= np.timedelta64(0)).all()
    tied = later == np.timedelta64(0)
    assert (orders.key[1:] > orders.key[:-1])[tied].all()
    assert len(np.unique(orders.key)) == len(orders)
    assert (orders.placed < commerce(scale=1).timeline.until).all()


def test_incremental_orders_join_and_change_no_organic_one() -> None:
    world = commerce()
    caused = some_caused(world)
    orders = make_orders(world.args, world.timeline, world.customers, world.organic, caused)
    is_caused = orders.kind == INCREMENTAL
    assert np.array_equal(orders.key[is_caused], caused.key)
    assert np.array_equal(orders.channel[is_caused], caused.channel)
    assert np.array_equal(orders.campaign[is_caused], caused.campaign)
    assert (orders.channel[~is_caused] == -1).all()
    assert (orders.campaign[~is_caused] == -1).all()
    assert (orders.kind == FAILED).sum() > (world.orders.kind == FAILED).sum()
    shared = np.isin(orders.key, world.orders.key)
    for name in ("key", "placed", "value_cents", "lines", "tracked", "shipped", "purged"):
        assert np.array_equal(
            getattr(orders, name)[shared],
            getattr(world.orders, name),
            equal_nan=name in ("shipped", "purged"),
        ), name


def test_purchases_end_completed_and_failed_orders_do_not() -> None:
    orders = commerce(scale=1).orders
    failed, cancelled = orders.kind == FAILED, ~np.isnat(orders.cancelled)
    returned = ~np.isnat(orders.returned)
    assert np.array_equal(failed, cancelled ^ returned)
    assert np.array_equal(~np.isnat(orders.completed), ~failed)
    assert np.array_equal(~np.isnat(orders.shipped), ~cancelled)
    assert np.array_equal(~np.isnat(orders.delivered), ~cancelled)
    steps = {
        "shipped": (orders.placed, 1, 3),
        "delivered": (orders.shipped, 2, 6),
        "completed": (orders.delivered, 14, 14),
        "returned": (orders.delivered, 5, 20),
        "cancelled": (orders.placed, 0, 1),
    }
    for name, (since, least, most) in steps.items():
        wait = (getattr(orders, name) - since)[~np.isnat(getattr(orders, name))]
        assert (wait >= least * DAY).all(), name
        assert (wait <= most * DAY).all(), name
    assert np.isnat(orders.purged).all()


def test_later_days_only_append_orders_and_lines() -> None:
    base, more = commerce(), commerce(added=5)
    orders, lines = len(base.orders), len(base.lines.line)
    assert len(more.orders) > orders
    # Old cancelled orders are purged on added days; nothing else becomes of what is there.
    assert differing(base.orders, more.orders, orders) <= {"purged"}
    per_order = {"coupon_cents", "total_cents"}
    assert differing(base.lines, more.lines, lines) == per_order
    for name in per_order:
        assert np.array_equal(getattr(base.lines, name), getattr(more.lines, name)[:orders])


def test_only_old_cancelled_orders_are_purged_and_on_added_days() -> None:
    world = commerce(added=60)
    orders = world.orders
    purged = ~np.isnat(orders.purged)
    assert purged.sum() > 10
    assert not np.isnat(orders.cancelled[purged]).any()
    age = (orders.purged - orders.placed)[purged]
    assert (age >= 60 * DAY).all()
    assert (age <= 90 * DAY).all()
    assert (orders.purged[purged] >= np.datetime64(AS_OF)).all()
    assert (orders.purged[purged] < world.timeline.until).all()
    old = ~np.isnat(orders.cancelled) & (orders.placed >= world.args.end - 60 * DAY)
    old &= orders.placed < world.timeline.until - 90 * DAY
    assert purged[old].all()


def test_order_values_are_gamma_given_the_customer() -> None:
    world = commerce(scale=1)
    values = world.orders.value_cents / 100 * world.customers.spend_rate[world.orders.customer]
    assert stats.kstest(values, stats.gamma(6.25).cdf).pvalue > 0.001
    mean = world.orders.value_cents.mean() / 100
    assert mean == pytest.approx(6.25 * 15.44 * 2.2 / 2.74, rel=0.05)
    # Spend is independent of the rate: heavy buyers do not buy dearer.
    number = np.bincount(world.orders.customer, minlength=len(world.customers))
    buyers = number > 0
    rank = stats.spearmanr(number[buyers], world.customers.spend_rate[buyers]).statistic
    assert abs(rank) < 4 / np.sqrt(buyers.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_baskets_come_to_the_orders_value(seed: int) -> None:
    world = commerce(seed=seed)
    off = world.lines.total_cents / world.orders.value_cents - 1
    assert (np.abs(off) <= 0.02).mean() > 0.998
    assert np.abs(off).max() < 0.5
    assert abs(off.mean()) < 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_baskets_have_three_lines_on_average(seed: int) -> None:
    world = commerce(seed=seed)
    assert len(world.lines.line) / len(world.orders) == pytest.approx(3, rel=0.02)
    number = world.orders.lines
    assert np.array_equal(np.bincount(world.lines.order, minlength=len(world.orders)), number)
    rare = stats.chisquare(
        [(number == n).sum() for n in range(1, 7)] + [(number > 6).sum()],
        len(number) * np.append(stats.poisson(2).pmf(range(6)), stats.poisson(2).sf(5)),
    )
    assert rare.pvalue > 0.001


def test_lines_add_up_in_whole_cents() -> None:
    world = commerce()
    lines, orders = world.lines, world.orders
    for name in ("product", "quantity", "discount_percent", "unit_cents", "line_cents"):
        assert getattr(lines, name).dtype == np.int64, name
    exact = lines.quantity * lines.unit_cents * (1 - lines.discount_percent / 100)
    assert np.abs(lines.line_cents - exact).max() <= 0.5 + 1e-9
    sums = np.bincount(lines.order, lines.line_cents, len(orders)).astype(np.int64)
    assert np.array_equal(sums - lines.coupon_cents, lines.total_cents)
    coupon = lines.coupon_cents > 0
    assert np.array_equal(lines.coupon_cents[coupon], sums[coupon] * 5 // 100)
    assert coupon.mean() == pytest.approx(0.1, abs=0.015)
    month = world.catalogue.month_of(orders.placed[lines.order])
    assert np.array_equal(lines.unit_cents, world.catalogue.price_cents[month, lines.product])
    assert (lines.quantity >= 1).all()
    assert (lines.line_cents > 0).all()


def test_line_cents_round_half_up() -> None:
    quantity = np.array([1, 1, 1, 3, 1_000_000])
    unit = np.array([10, 30, 9, 333, 40_009])
    percent = np.array([5, 5, 10, 5, 20])
    expected = [
        int((Decimal(int(q)) * int(u) * (100 - int(p)) / 100).quantize(Decimal(1), ROUND_HALF_UP))
        for q, u, p in zip(quantity, unit, percent, strict=True)
    ]
    assert line_cents(quantity, unit, percent).tolist() == expected
    assert expected[:2] == [10, 29]


def test_any_part_of_the_orders_has_its_own_lines() -> None:
    world = commerce()
    which = np.arange(7, len(world.orders), 13)
    part = make_lines(
        world.args, world.timeline, world.catalogue, world.customers, world.orders, which
    )
    mine = np.isin(world.lines.order, which)
    for name in ("order", "line", "product", "quantity", "discount_percent", "line_cents"):
        assert np.array_equal(getattr(part, name), getattr(world.lines, name)[mine]), name
    assert np.array_equal(part.total_cents, world.lines.total_cents[which])
    assert np.array_equal(part.coupon_cents, world.lines.coupon_cents[which])
    none = make_lines(
        world.args, world.timeline, world.catalogue, world.customers, world.orders, which[:0]
    )
    assert len(none.line) == len(none.total_cents) == 0


def test_sold_lines_keep_zipfs_slope() -> None:
    world = commerce(scale=1)
    sold = np.bincount(world.lines.product, minlength=400)
    rank = np.log(np.arange(1, 401))
    ranked = np.maximum(sold[np.argsort(-world.catalogue.popularity)], 1)
    assert np.polyfit(rank, np.log(ranked), 1)[0] == pytest.approx(-1, abs=0.15)
    assert stats.spearmanr(sold, world.catalogue.popularity).statistic > 0.7


def test_discounts_go_to_the_price_sensitive() -> None:
    world = commerce(scale=1)
    lines = world.lines
    assert set(np.unique(lines.discount_percent).tolist()) == {0, 5, 10, 20}
    reduced = lines.discount_percent > 0
    assert 0.15 < reduced.mean() < 0.3
    sensitivity = world.customers.price_sensitivity[world.orders.customer[lines.order]]
    edges = np.quantile(sensitivity, [0.25, 0.75])
    assert reduced[sensitivity > edges[1]].mean() > 1.3 * reduced[sensitivity < edges[0]].mean()


@pytest.mark.parametrize("days", [30, 730])
def test_the_smallest_worlds_have_orders_that_add_up(days: int) -> None:
    for seed in range(3):
        world = commerce(seed=seed, scale=0.001, days=days)
        assert len(world.lines.total_cents) == len(world.orders) > 0
        assert (world.lines.total_cents > 0).all()
