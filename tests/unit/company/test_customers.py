"""Customers: who registers when, and traits with the distributions that are planted."""

import numpy as np
import pytest
from scipy import stats

from data_generators.args import WorldArgs
from data_generators.company import bgnbd
from data_generators.company.customers import (
    NEVER_BUYS,
    SEGMENT_SHARES,
    SEGMENTS,
    make_customers,
    rate_factor,
)
from data_generators.defects.numbering import entities
from data_generators.timeline import Timeline
from tests.unit.company.commerce import AS_OF, commerce, differing


def test_the_same_arguments_give_the_same_customers() -> None:
    world = commerce()
    rate_factor.cache_clear()
    assert not differing(world.customers, make_customers(world.args, world.timeline))
    assert "registered" in differing(world.customers, commerce(seed=2).customers)


@pytest.mark.parametrize("scale", [0.001, 0.2, 1])
def test_the_base_history_has_exactly_its_persons(scale: float) -> None:
    args = WorldArgs(3, scale, 730, AS_OF)
    customers = make_customers(args, Timeline.of(args.start, args.end))
    assert len(customers) == customers.base == entities(args, "customers")
    assert (np.diff(customers.registered) >= np.timedelta64(0)).all()
    assert args.start <= customers.registered[0]
    assert customers.registered[-1] < args.end
    never = int(np.floor(NEVER_BUYS * len(customers) + 0.5))
    assert (~customers.buys).sum() == never
    assert np.array_equal(np.isinf(customers.first_purchase), ~customers.buys)


def test_later_days_only_append_customers() -> None:
    base, more = commerce().customers, commerce(added=60).customers
    assert differing(base, more, len(base)) <= {"erased"}
    gone = more.erased[: len(base)]
    assert np.isnat(base.erased).all()
    assert (gone[~np.isnat(gone)] >= np.datetime64(AS_OF)).all()
    assert (more.registered[len(base) :] >= np.datetime64(AS_OF)).all()
    assert (np.diff(more.registered) >= np.timedelta64(0)).all()
    # The rate that acquisition ended with: 3/2 of its mean.
    expected = 1.5 * len(base) / 730 * 60
    assert abs(len(more) - len(base) - expected) < 4 * np.sqrt(expected) + 0.2 * expected
    # Erased at .0002 a day, and only once they have registered.
    assert abs((~np.isnat(gone)).sum() - len(base) * 60 * 0.0002) < 4 * np.sqrt(24)
    erased = ~np.isnat(more.erased)
    assert (more.erased[erased] > more.registered[erased]).all()
    assert (more.erased[erased] < commerce(added=60).timeline.until).all()


def test_rate_dropout_and_spend_follow_bg_nbd_and_gamma_gamma() -> None:
    world = commerce(scale=1)
    buyers = world.customers.buys
    rate = world.customers.purchase_rate[buyers] / rate_factor(world.args)
    marginals = {
        "rate": (rate, stats.gamma(0.243, scale=1 / 4.414)),
        "dropout": (world.customers.dropout[buyers], stats.beta(0.793, 2.426)),
        "spend": (world.customers.spend_rate[buyers], stats.gamma(3.74, scale=1 / (15.44 * 2.2))),
    }
    for name, (sample, distribution) in marginals.items():
        # Stratified, so far closer than chance allows (1.36 / sqrt(n) is .014 at 5 %).
        assert stats.kstest(sample, distribution.cdf).statistic < 2 / len(sample), name
    pairs = [stats.spearmanr(rate, other).statistic for other, _ in list(marginals.values())[1:]]
    assert np.abs(pairs).max() < 4 / np.sqrt(len(rate))


def test_added_customers_have_the_same_distributions() -> None:
    world = commerce(scale=0.2, added=365)
    later = slice(world.customers.base, None)
    buyers = world.customers.buys[later]
    rate = world.customers.purchase_rate[later][buyers] / rate_factor(world.args)
    assert len(rate) > 1_000
    assert stats.kstest(rate, stats.gamma(0.243, scale=1 / 4.414).cdf).pvalue > 0.001
    assert abs(1 - buyers.mean() - NEVER_BUYS) < 4 * np.sqrt(0.06 * 0.94 / len(buyers))


def test_registrations_grow_threefold() -> None:
    customers = commerce(scale=1).customers
    since = (customers.registered - commerce(scale=1).args.start).astype(np.int64) / 86_400
    first, last = (since < 91).sum(), (since >= 639).sum()
    assert 2.0 < last / first < 3.2


def test_segments_have_their_shares_and_tell_rate_spend_and_engagement() -> None:
    customers = commerce(scale=1).customers
    shares = np.bincount(customers.segment, minlength=5) / len(customers)
    assert np.abs(shares - SEGMENT_SHARES).max() < 0.02
    assert (customers.segment[~customers.buys] == SEGMENTS.index("Prospect")).all()
    worth = customers.purchase_rate * bgnbd.P / customers.spend_rate
    middle = [np.median(worth[customers.segment == s]) for s in range(5)]
    assert (np.diff(middle) < 0).all()
    engagement = [customers.engagement[customers.segment == s].mean() for s in range(5)]
    assert (np.diff(engagement) < 0).all()
    assert 0.95 < customers.engagement.mean() < 1.05
    sensitivity = [customers.price_sensitivity[customers.segment == s].mean() for s in range(5)]
    assert (np.diff(sensitivity) > 0).all()
    table = np.histogram2d(customers.segment, customers.channel, bins=(5, 5))[0]
    assert stats.chi2_contingency(table).pvalue < 1e-9


def test_without_segments_the_label_tells_nothing_and_the_rest_stays() -> None:
    with_them, without = commerce(scale=1), commerce(scale=1, effects="all,-segments")
    told = {"segment", "engagement", "price_sensitivity", "device", "channel"}
    assert differing(with_them.customers, without.customers) <= told
    customers = without.customers
    shares = np.bincount(customers.segment, minlength=5) / len(customers)
    assert np.abs(shares - SEGMENT_SHARES).max() < 0.02
    for trait in ("purchase_rate", "spend_rate", "engagement", "price_sensitivity"):
        groups = [getattr(customers, trait)[customers.segment == s] for s in range(5)]
        assert stats.kruskal(*groups).pvalue > 0.001, trait
    for choice in ("device", "channel", "buys"):
        table = np.histogram2d(customers.segment, getattr(customers, choice), bins=(5, 5))[0]
        table = table[:, table.sum(axis=0) > 0]
        assert stats.chi2_contingency(table).pvalue > 0.001, choice


def test_campaigns_experiments_and_stages_do_not_touch_customers() -> None:
    null = commerce(effects="all,-campaigns,-experiments,-stages")
    assert not differing(commerce().customers, null.customers)
    assert not differing(commerce().organic, null.organic)
