"""Organic purchases: BG/NBD in operational time, fitted to the design's number of orders."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from data_generators.args import WorldArgs
from data_generators.company import bgnbd
from data_generators.company.customers import make_customers, organic_target, rate_factor
from data_generators.company.purchases import make_organic
from data_generators.randomness import Draws
from data_generators.timeline import WEEK, Timeline
from tests.unit.company.commerce import AS_OF, commerce, differing


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("effects", ["all", "all,-churn"])
def test_a_default_history_has_its_purchases(seed: int, effects: str) -> None:
    world = commerce(seed=seed, effects=effects)
    assert len(world.organic.placed) == pytest.approx(organic_target(world.args), rel=0.005)


def test_a_full_size_history_has_its_purchases() -> None:
    world = commerce(scale=1)
    assert organic_target(world.args) == pytest.approx(39_640, abs=1)
    assert len(world.organic.placed) == pytest.approx(39_640, rel=0.001)


def test_the_factor_is_the_least_that_meets_the_target() -> None:
    draws, n = Draws(5, "test"), 500
    first = draws("first").uniform(np.arange(n)) * 50 * WEEK
    rate = bgnbd.rates(draws("rate").uniform(np.arange(n)))
    dropout = bgnbd.dropouts(draws("p").uniform(np.arange(n)))

    def number(factor: float) -> int:
        return len(bgnbd.simulate(draws, first, rate * factor, dropout, 100.0 * WEEK).at)

    factor = bgnbd.fit_rate_factor(draws, first, rate, dropout, 100.0 * WEEK, 2_000)
    assert number(factor) == 2_000
    assert number(factor * 0.999_99) < 2_000
    # A target that the dropouts do not allow, and one that the first purchases exceed.
    assert bgnbd.fit_rate_factor(draws, first, rate, np.ones(n), 100.0 * WEEK, 5_000) == 64
    assert number(bgnbd.fit_rate_factor(draws, first, rate, dropout, 100.0 * WEEK, 10)) < 700


def test_without_dropout_purchases_are_poisson() -> None:
    n, weeks = 4_000, 30.0
    rate, none = np.full(n, 0.4), np.zeros(n)
    found = bgnbd.simulate(Draws(8, "test"), none, rate, none, weeks * WEEK)
    further = np.bincount(found.customer[found.k > 0], minlength=n)
    assert further.mean() == pytest.approx(12, abs=4 * np.sqrt(12 / n))
    assert further.var() == pytest.approx(12, rel=0.1)
    assert not found.churns.any()


def test_each_further_purchase_is_the_last_with_chance_p() -> None:
    n = 4_000
    found = bgnbd.simulate(
        Draws(9, "test"), np.zeros(n), np.full(n, 50.0), np.full(n, 0.3), 1_000.0 * WEEK
    )
    last = np.bincount(found.customer) - 1  # further purchases: geometric from 1 on
    assert last.min() == 1
    expected = n * stats.geom(0.3).pmf(np.arange(1, 8))
    observed = np.bincount(last, minlength=8)[1:8]
    tail = n - expected.sum()
    chi2 = stats.chisquare([*observed, n - observed.sum()], [*expected, tail])
    assert chi2.pvalue > 0.001


def test_dropout_at_the_second_purchase_has_the_beta_mean() -> None:
    organic = commerce(scale=1).organic
    second = organic.churns[organic.k == 1]
    assert second.mean() == pytest.approx(0.793 / (0.793 + 2.426), abs=0.02)
    assert not organic.churns[organic.k == 0].any()


def test_purchases_rise_by_whole_seconds_and_end_with_the_churn() -> None:
    world = commerce(scale=1)
    organic, customers = world.organic, world.customers
    same = np.diff(organic.customer) == 0
    assert (np.diff(organic.customer) >= 0).all()
    assert (np.diff(organic.k)[same] == 1).all()
    assert (np.diff(organic.placed)[same] > np.timedelta64(0)).all()
    assert organic.placed.dtype == np.dtype("datetime64[s]")
    assert (organic.placed >= customers.registered[organic.customer]).all()
    assert (organic.placed < world.timeline.until).all()
    last = np.append(~same, True)
    assert last[organic.churns].all()
    gone = ~np.isnat(organic.churned)
    assert gone.sum() == organic.churns.sum()
    assert np.array_equal(
        organic.churned[organic.customer[organic.churns]], organic.placed[organic.churns]
    )
    assert not np.isin(organic.customer, np.flatnonzero(~customers.buys)).any()


def test_a_second_never_holds_two_purchases_of_a_customer() -> None:
    world = commerce()
    frantic = replace(
        world.customers,
        purchase_rate=np.full(len(world.customers), 3.0 * WEEK),  # three a second
        dropout=np.full(len(world.customers), 0.05),
    )
    organic = make_organic(world.args, world.timeline, frantic)
    same = np.diff(organic.customer) == 0
    assert same.sum() > 1_000
    assert (np.diff(organic.placed)[same] >= np.timedelta64(1)).all()


def test_later_days_only_append_purchases() -> None:
    base, more = commerce().organic, commerce(added=5).organic
    before = more.placed < np.datetime64(AS_OF)
    for name in ("customer", "k", "placed", "churns"):
        assert np.array_equal(getattr(base, name), getattr(more, name)[before]), name
    churned = more.churned[: len(base.churned)]
    known = churned < np.datetime64(AS_OF)
    assert np.array_equal(churned[known], base.churned[known])
    assert np.isnat(base.churned[~known]).all()
    assert len(more.placed) > len(base.placed)


def test_the_erased_buy_no_more() -> None:
    world = commerce(added=200)
    erased = world.customers.erased[world.organic.customer]
    assert (~np.isnat(world.customers.erased)).sum() > 30
    assert (np.isnat(erased) | (world.organic.placed < erased)).all()
    failed = world.customers.erased[world.orders.customer]
    assert (np.isnat(failed) | (world.orders.placed < failed)).all()


def test_a_history_of_other_length_has_the_same_rates() -> None:
    short, usual = commerce(days=200), commerce()
    assert not differing(
        replace(short.customers, registered=0, first_purchase=0),
        replace(usual.customers, registered=0, first_purchase=0),
    )
    assert rate_factor(short.args) == rate_factor(usual.args)


def test_without_churn_nobody_drops_out_and_the_other_traits_stay() -> None:
    usual, null = commerce(), commerce(effects="all,-churn")
    assert differing(usual.customers, null.customers) == {"purchase_rate", "dropout"}
    assert not null.organic.churns.any()
    assert np.isnat(null.organic.churned).all()
    assert rate_factor(null.args) < rate_factor(usual.args)


@pytest.mark.parametrize("days", [30, 730])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_smallest_worlds_can_be_made(days: int, seed: int) -> None:
    args = WorldArgs(seed, 0.001, days, AS_OF)
    timeline = Timeline.of(args.start, args.end)
    customers = make_customers(args, timeline)
    organic = make_organic(args, timeline, customers)
    assert len(customers) == 10
    assert len(organic.churned) == 10
    assert len(organic.placed) > 0
