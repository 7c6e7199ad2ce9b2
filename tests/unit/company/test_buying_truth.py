"""The planted buying behaviour, recovered from the shop's tables by independent estimators."""

from datetime import date

import numpy as np
import pytest
from scipy import optimize, special, stats

from data_generators.args import WorldArgs
from data_generators.company import bgnbd
from data_generators.company.customers import rate_factor
from data_generators.company.world import World, make_world
from data_generators.tables import BUILDERS
from data_generators.tables.rows import Coded

AS_OF = date(2026, 1, 1)
WEEK = 7 * 86_400


def column(table: str, world: World, name: str) -> np.ndarray:
    parts = []
    for rows in BUILDERS[table](world):
        values = rows.columns[name]
        parts.append(values.values() if isinstance(values, Coded) else values)
    joined = np.concatenate(parts)
    return joined.astype(str) if joined.dtype.kind in "SO" else joined


class Bought:
    """What the shop's table shows: per buyer repeat purchases, recency, age (weeks) and values."""

    def __init__(self, world: World) -> None:
        status = column("transactions", world, "order_status")
        counts = np.isin(status, ["completed", "shipped", "delivered"])
        who = column("transactions", world, "customer_id")[counts]
        at = column("transactions", world, "order_date")[counts]
        amount = column("transactions", world, "total_amount")[counts]
        self.customers, code = np.unique(who, return_inverse=True)
        seconds = at.astype("datetime64[s]").astype(np.int64)
        first = np.full(len(self.customers), np.iinfo(np.int64).max)
        last = np.zeros(len(self.customers), dtype=np.int64)
        np.minimum.at(first, code, seconds)
        np.maximum.at(last, code, seconds)
        self.repeats = np.bincount(code) - 1
        self.recency = (last - first) / WEEK
        self.age = (int(world.until.astype(np.int64)) - first) / WEEK
        self.last = last.astype("datetime64[s]")
        self.mean_value = np.bincount(code, amount) / np.bincount(code)


def bgnbd_fit(x: np.ndarray, recency: np.ndarray, age: np.ndarray) -> tuple[np.ndarray, float]:
    """Maximum likelihood of (r, alpha, a, b): Fader, Hardie and Lee (2005), equation 6."""

    def loss(logs: np.ndarray) -> float:
        r, alpha, a, b = np.exp(logs)
        head = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
        head += special.gammaln(a + b) + special.gammaln(b + x)
        head -= special.gammaln(b) + special.gammaln(a + b + x)
        alive = -(r + x) * np.log(alpha + age)
        gone = np.where(
            x > 0,
            np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency),
            -np.inf,
        )
        return -float(np.mean(head + np.logaddexp(alive, gone)))

    best = optimize.minimize(loss, np.log([0.5, 1.0, 0.8, 2.0]), method="L-BFGS-B")
    return np.exp(best.x), float(best.fun) * len(x)


def nbd_fit(x: np.ndarray, age: np.ndarray) -> float:
    """Negative log likelihood of the NBD, in which nobody leaves."""

    def loss(logs: np.ndarray) -> float:
        r, alpha = np.exp(logs)
        head = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
        return -float(np.mean(head - (r + x) * np.log(alpha + age)))

    return float(optimize.minimize(loss, np.log([0.5, 1.0]), method="L-BFGS-B").fun) * len(x)


@pytest.fixture(scope="module")
def clean() -> World:
    return make_world(WorldArgs(11, 1, 730, AS_OF, effects="all,-campaigns", defects="none"))


@pytest.fixture(scope="module")
def bought(clean: World) -> Bought:
    return Bought(clean)


def test_bgnbd_parameters_are_recovered_within_15_percent(clean: World, bought: Bought) -> None:
    # Calendar weeks stand in for operational ones: the seasons are part of the tolerance.
    (r, alpha, a, b), _ = bgnbd_fit(bought.repeats, bought.recency, bought.age)
    found = [r, alpha, a / (a + b)]
    truth = [0.243, 4.414 / rate_factor(clean.args), 0.793 / (0.793 + 2.426)]
    np.testing.assert_allclose(found, truth, rtol=0.15)


def test_gamma_gamma_parameters_are_recovered_within_10_percent(bought: Bought) -> None:
    x, m = bought.repeats + 1.0, bought.mean_value

    def loss(logs: np.ndarray) -> float:
        p, q, gamma = np.exp(logs)
        terms = special.gammaln(p * x + q) - special.gammaln(p * x) - special.gammaln(q)
        terms += q * np.log(gamma) + (p * x - 1) * np.log(m) + p * x * np.log(x)
        return -float(np.mean(terms - (p * x + q) * np.log(gamma + x * m)))

    p, q, gamma = np.exp(optimize.minimize(loss, np.log([3.0, 3.0, 20.0])).x)
    np.testing.assert_allclose([p, q, gamma], [6.25, 3.74, 15.44 * 2.2], rtol=0.10)
    assert p * gamma / (q - 1) == pytest.approx(bgnbd.MEAN_VALUE, rel=0.03)


def test_churn_dates_are_the_last_purchases_and_the_model_tells_who_is_alive(
    clean: World, bought: Bought
) -> None:
    churned = clean.organic.churned
    index = np.char.replace(bought.customers, "CUST_", "").astype(int) - 1
    gone = ~np.isnat(churned[index])
    assert 0.2 < gone.mean() < 0.8
    # An order that will be returned still counts until then: for 26 days at most.
    settled = gone & (churned[index] < clean.until - np.timedelta64(26 + 90, "D"))
    assert (churned[index][settled] == bought.last[settled]).all()
    # P(alive | x, recency, age), Fader, Hardie and Lee (2008), from fitted parameters.
    (r, alpha, a, b), _ = bgnbd_fit(bought.repeats, bought.recency, bought.age)
    x = bought.repeats
    ratio = (
        a
        / (b + np.maximum(x, 1) - 1)
        * ((alpha + bought.age) / (alpha + bought.recency)) ** (r + x)
    )
    alive = np.where(x > 0, 1 / (1 + ratio), 1.0)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        some = (alive >= low) & (alive < low + 0.2) & (x > 0)
        assert some.sum() > 50
        assert (~gone[some]).mean() == pytest.approx(alive[some].mean(), abs=0.08)


def test_repeat_purchases_spread_as_cdnow_s_do(clean: World, bought: Bought) -> None:
    """The NBD's shape parameter alone says how unlike the customers are: CDNOW's is .243."""
    assert np.mean(bought.repeats == 0) > 0.4
    top = np.sort(bought.repeats)[::-1][: len(bought.repeats) // 10]
    assert 0.6 < top.sum() / bought.repeats.sum() < 0.95
    assert stats.skew(bought.repeats) > 3


def test_without_churn_nobody_is_found_to_leave() -> None:
    """Likelihood ratio of BG/NBD over NBD: on the boundary, half of chi-square with 1 df."""
    found = 0
    for seed in range(20):
        world = make_world(WorldArgs(seed, 0.1, 730, AS_OF, effects="none", defects="none"))
        assert np.isnat(world.organic.churned).all()
        seen = Bought(world)
        _, with_churn = bgnbd_fit(seen.repeats, seen.recency, seen.age)
        ratio = 2 * (nbd_fit(seen.repeats, seen.age) - with_churn)
        found += ratio > stats.chi2.ppf(0.90, 1)
    assert found <= stats.binom.ppf(0.99, 20, 0.05)


def test_with_churn_the_same_estimator_finds_it(bought: Bought) -> None:
    _, with_churn = bgnbd_fit(bought.repeats, bought.recency, bought.age)
    assert 2 * (nbd_fit(bought.repeats, bought.age) - with_churn) > stats.chi2.ppf(0.999, 1)


def test_the_segments_respond_as_planted_against_the_world_without_campaigns(
    clean: World,
) -> None:
    """The same company with and without campaigns: the orders between them are what they caused.

    Orders per unit of exposure (time alive while orders are caused, times purchase rate up to
    the cap, times the preference of channel) are proportional to the segment's weight.
    """
    with_campaigns = make_world(WorldArgs(11, 1, 730, AS_OF, defects="none"))
    keys = np.setdiff1d(with_campaigns.orders.key, clean.orders.key)
    caused = np.isin(with_campaigns.orders.key, keys) & (with_campaigns.orders.kind < 2)
    orders, people = with_campaigns.orders, with_campaigns.customers
    assert caused.sum() > 5_000
    times = orders.placed[caused]
    channel = orders.channel[caused]
    begins = with_campaigns.timeline.clock(
        np.minimum(people.first_purchase, with_campaigns.timeline.horizon - 1)
    )
    ends = np.where(
        np.isnat(with_campaigns.organic.churned), clean.until, with_campaigns.organic.churned
    )
    rate = np.minimum(people.purchase_rate, np.quantile(people.purchase_rate, 0.95))
    chances = np.zeros(5)
    for moment, place in zip(times, channel, strict=True):
        here = people.buys & (begins < moment) & (ends > moment)
        readiness = rate * np.where(people.channel == place, 2.0, 1.0) * here
        weight = np.array([1.6, 1.3, 1.0, 0.7, 0.4])
        chances += np.bincount(people.segment, readiness, minlength=5) / (
            readiness @ weight[people.segment]
        )
    found = np.bincount(people.segment[orders.customer[caused]], minlength=5)
    error = 3 / np.sqrt(found)
    assert (np.abs(found / chances / np.array([1.6, 1.3, 1.0, 0.7, 0.4]) - 1) < error).all()
    assert found.sum() == caused.sum()
