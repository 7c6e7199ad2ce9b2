"""The marketing tables: their rows, their life, and the channels' response found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, stats

from data_generators.args import WorldArgs
from data_generators.company.customers import CHANNELS
from data_generators.company.orders import INCREMENTAL, ORGANIC
from data_generators.company.world import World, make_world
from data_generators.tables import marketing
from data_generators.tables.orders import transactions
from data_generators.tables.rows import Coded, Rows
from elt.specs import BY_NAME

Array = npt.NDArray[Any]
Table = dict[str, Array]

AS_OF = date(2026, 1, 1)
BUILDERS: dict[str, Callable[[World], Iterator[Rows]]] = {
    "campaigns": marketing.campaigns,
    "campaign_performance": marketing.campaign_performance,
    "ab_tests": marketing.ab_tests,
    "ab_test_results": marketing.ab_test_results,
}
#: A short history, so that added days bring campaigns and tests.
LIVELY = WorldArgs(4, 1, 60, AS_OF)
RECOVERED_SEEDS = (0, 1, 2, 3)
NULL_SEEDS = range(20, 28)
#: How often the response is fitted, and the likelihood ratio from which on there is one.
ROUNDS = 4
NOTHING = float(stats.chi2.ppf(0.99, 3))


def table(name: str, world: World) -> Table:
    """The whole table: its columns, and made, changed, number beside them."""
    parts = []
    for rows in BUILDERS[name](world):
        plain = {k: c.values() if isinstance(c, Coded) else c for k, c in rows.columns.items()}
        times = {"_made": rows.made, "_changed": rows.changed, "_number": rows.number}
        assert np.isnat(rows.deleted).all()
        parts.append({**plain, **times, **{f"_{k}": v for k, v in rows.parents.items()}})
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


@pytest.fixture(scope="module")
def days() -> list[World]:
    """The lively world at as_of and on the six days after."""
    return [make_world(LIVELY, AS_OF + timedelta(days=n)) for n in range(7)]


@pytest.fixture(scope="module")
def recovered() -> list[World]:
    """Worlds at SCALE=1."""
    return [make_world(WorldArgs(seed, 1, 730, AS_OF)) for seed in RECOVERED_SEEDS]


@pytest.mark.parametrize("name", BUILDERS)
def test_rows_have_the_declared_columns(name: str, days: list[World]) -> None:
    spec = BY_NAME[name]
    world = days[3]
    total = 0
    for rows in BUILDERS[name](world):
        assert rows.spec is spec
        assert list(rows.columns) == [column.name for column in spec.columns]
        assert {len(column) for column in rows.columns.values()} == {len(rows)}
        np.testing.assert_array_equal(rows.number, total + np.arange(len(rows)))
        assert (rows.made <= rows.changed).all() and (rows.changed < world.until).all()
        total += len(rows)
    assert total


@pytest.mark.parametrize("name", BUILDERS)
def test_a_later_day_changes_only_what_it_says_it_changed(name: str, days: list[World]) -> None:
    for first in (0, 1, 4):
        for later in range(first + 1, 7):
            before, after = table(name, days[first]), table(name, days[later])
            until = days[first].until
            size = len(before["_number"])
            assert (after["_made"][size:] >= until).all()
            kept = after["_changed"][:size] < until
            assert kept.any()
            for column, old in before.items():
                np.testing.assert_array_equal(after[column][:size][kept], old[kept])
            for column in ("_made", "created_at", "_number"):
                np.testing.assert_array_equal(after[column][:size], before[column])


@pytest.mark.parametrize("name", BUILDERS)
def test_the_same_world_has_the_same_rows(name: str, days: list[World]) -> None:
    again = table(name, make_world(LIVELY))
    for column, value in table(name, days[0]).items():
        np.testing.assert_array_equal(again[column], value)


def test_added_days_bring_something_of_everything(days: list[World]) -> None:
    for name in BUILDERS:
        assert len(table(name, days[6])["_number"]) > len(table(name, days[0])["_number"])


def test_platforms_correct_their_last_three_days_and_no_older_ones(days: list[World]) -> None:
    before, after = (table("campaign_performance", world) for world in (days[0], days[6]))
    size = len(before["_number"])
    changed = after["_changed"][:size] >= days[0].until
    date_of = before["date"]
    assert changed.any()
    assert date_of[changed].min() >= np.datetime64(AS_OF - timedelta(days=3))
    grown = after["conversions"][:size] - before["conversions"]
    assert (grown[changed] >= 1).all() and (grown[~changed] == 0).all()
    for column in ("impressions", "clicks", "spend", "date", "performance_id"):
        np.testing.assert_array_equal(after[column][:size], before[column])
    assert (after["_changed"] - after["_made"]).max() == np.timedelta64(3, "D")


def test_about_the_planned_share_of_conversions_is_late(recovered: list[World]) -> None:
    lag = np.concatenate([marketing.platform_conversions(world).lag for world in recovered])
    share = np.bincount(lag) / len(lag)
    np.testing.assert_allclose(share, marketing.LAGS, atol=0.012)


def test_a_day_has_no_more_conversions_than_clicks(recovered: list[World]) -> None:
    performance = table("campaign_performance", recovered[0])
    assert len(performance["_number"]) >= 1_000
    assert (performance["impressions"] > 0).all() and (performance["spend"] > 0).all()
    assert (performance["clicks"] <= performance["impressions"]).all()
    assert (performance["conversions"] <= performance["clicks"]).all()
    assert ((performance["revenue"] > 0) == (performance["conversions"] > 0)).all()
    clicks = performance["clicks"]
    rate = np.divide(
        performance["conversions"], clicks, out=np.zeros(len(clicks)), where=clicks > 0
    )
    np.testing.assert_allclose(performance["conversion_rate"], rate, atol=1e-8)
    np.testing.assert_allclose(performance["ctr"], clicks / performance["impressions"], atol=1e-8)


def test_the_figures_are_of_a_believable_size(recovered: list[World]) -> None:
    for world in recovered:
        ads, tests = table("campaign_performance", world), table("ab_test_results", world)
        clicks = ads["clicks"].sum()
        assert 100_000 < clicks < 150_000
        assert 0.005 < clicks / ads["impressions"].sum() < 0.03
        large = ads["impressions"] > 5_000
        assert np.quantile(ads["ctr"][large], 0.01) > 0.002
        assert np.quantile(ads["ctr"][large], 0.99) < 0.05
        assert 0.01 < tests["revenue"].sum() / ads["revenue"].sum() < 0.06


def test_spend_and_reports_follow_the_campaigns(recovered: list[World]) -> None:
    world = recovered[0]
    performance, plan = table("campaign_performance", world), table("campaigns", world)
    campaign = performance["_campaigns"]
    np.testing.assert_array_equal(plan["campaign_id"][campaign], performance["campaign_id"])
    assert (performance["date"] >= plan["start_date"][campaign]).all()
    assert (performance["date"] <= plan["end_date"][campaign]).all()
    spent = np.bincount(campaign, performance["spend"], len(plan["budget"]))
    assert (spent <= plan["budget"]).all()
    assert plan["budget"].sum() < 2 * spent.sum()


def test_campaigns_reach_their_statuses_in_time(days: list[World]) -> None:
    seen = set()
    for world in days:
        plan = table("campaigns", world)
        starts, ends = plan["start_date"], plan["end_date"]
        today = world.until.astype("datetime64[D]")
        expected = np.where(
            ends < today, "completed", np.where(starts < today, "active", "planned")
        )
        np.testing.assert_array_equal(plan["status"].astype(str), expected)
        np.testing.assert_array_equal(plan["updated_at"], plan["_changed"])
        np.testing.assert_array_equal(plan["created_at"], plan["_made"])
        seen |= set(expected.tolist())
    assert seen == {"planned", "active", "completed"}


def test_tests_run_and_complete_within_their_campaigns(days: list[World]) -> None:
    for world in days:
        tests, plan = table("ab_tests", world), table("campaigns", world)
        over = tests["end_date"] < world.until.astype("datetime64[D]")
        status = np.where(over, "completed", "running")
        np.testing.assert_array_equal(tests["test_status"].astype(str), status)
        np.testing.assert_array_equal(tests["updated_at"], tests["_changed"])
        campaign = tests["_campaigns"]
        np.testing.assert_array_equal(plan["campaign_id"][campaign], tests["campaign_id"])
        assert (tests["start_date"] >= plan["start_date"][campaign]).all()
        assert (tests["end_date"] <= plan["end_date"][campaign]).all()
        assert (tests["sample_size"] >= 2_000).all()


def test_results_are_two_rows_a_test_that_grow_until_its_end(days: list[World]) -> None:
    first, last = (table("ab_test_results", world) for world in (days[0], days[6]))
    tests = table("ab_tests", days[6])
    assert last["variant"].tolist() == ["A", "B"] * len(tests["test_id"])
    np.testing.assert_array_equal(last["test_id"], np.repeat(tests["test_id"], 2))
    np.testing.assert_array_equal(last["_ab_tests"], np.arange(len(last["test_id"])) // 2)
    size = len(first["_number"])
    running = np.repeat(tests["end_date"], 2)[:size] >= np.datetime64(AS_OF)
    grown = last["impressions"][:size] - first["impressions"]
    assert (grown[running] > 0).all() and (grown[~running] == 0).all()
    for result in (first, last):
        assert (result["clicks"] >= result["conversions"]).all()
        rate = result["conversions"] / result["impressions"]
        np.testing.assert_allclose(result["conversion_rate"], rate, atol=1e-8)
        np.testing.assert_allclose(
            result["ctr"], result["clicks"] / result["impressions"], atol=1e-8
        )


def expected_claims(world: World) -> float:
    """Of each channel, its share of the organic purchases of the days that it is active on."""
    placed = world.orders.placed[world.orders.kind == ORGANIC]
    day = (placed - world.args.start).astype(int) // 86_400
    total = 0.0
    for c in range(len(CHANNELS)):
        active = (world.campaigns.spend_cents[world.campaigns.channel == c] > 0).any(axis=0)
        total += world.response.claim[c] * active[day].sum()
    return total


def test_a_platform_counts_what_it_caused_and_what_it_claims(recovered: list[World]) -> None:
    excess = expected = 0.0
    for world in recovered:
        caused = (world.orders.kind == INCREMENTAL).sum()
        assert caused == pytest.approx(world.response.expected.sum(), rel=0.05)
        excess += len(marketing.platform_conversions(world).day) - caused
        expected += expected_claims(world)
    # Poisson, but for the few caused orders that come when their campaign is over.
    assert abs(excess - expected) < 4 * np.sqrt(expected)


def test_without_effects_platforms_only_claim() -> None:
    world = make_world(WorldArgs(1, 0.3, 730, AS_OF, effects="none"))
    assert (world.response.expected == 0).all()
    assert not (world.orders.kind == INCREMENTAL).any()
    claimed, expected = len(marketing.platform_conversions(world).day), expected_claims(world)
    assert abs(claimed - expected) < 4 * np.sqrt(expected)


def test_campaigns_leave_the_organic_orders_alone() -> None:
    args = WorldArgs(1, 0.1, 730, AS_OF)
    with_, without = (
        make_world(WorldArgs(args.seed, args.scale, args.days, AS_OF, effects=effects)).orders
        for effects in ("all", "all,-campaigns")
    )
    for name in ("key", "customer", "placed", "value_cents"):
        np.testing.assert_array_equal(
            getattr(with_, name)[with_.kind == ORGANIC],
            getattr(without, name)[without.kind == ORGANIC],
        )


class ChannelFit:
    """Poisson regression of a channel's daily conversions on its spend and on other purchases.

    The mean is ``ceiling A / (half + A) + claim others``, with A the geometric adstock as a
    truncated convolution. Written apart from the generator: only the formula is shared.
    """

    def __init__(self, spend: Array, conversions: Array) -> None:
        self.spend, self.conversions = spend, conversions
        self.seen = spend > 0  # a platform reports on the days of its campaigns
        self.seen[-3:] = False  # not complete yet
        self.theta: Array | None = None

    def fit(self, others: Array) -> None:
        """Anew from several starts the first time, from where it is after that."""
        self.others = others
        anew = self.theta is None
        if self.theta is None:
            level, scale = np.log(self.conversions.mean()), self.spend.mean()
            starts = [
                np.array([carry, np.log(half * scale), level + less, -4.0])
                for carry in (-1.0, 0.5)
                for half in (0.5, 1.5)
                for less in (0.0, -3.0)
            ]
        else:
            starts = [self.theta]
        fits = [self._minimise(start) for start in starts]
        best = min(fits, key=lambda fit: float(fit.fun))
        self.theta, self.loss = best.x, float(best.fun)
        self.carry = 1 / (1 + np.exp(-best.x[0]))
        self.half, self.ceiling, self.claim = np.exp(best.x[1:])
        self.caused = self._caused(best.x)
        if anew:
            self.ratio = self._likelihood_ratio()

    def probably_caused(self) -> Array:
        """The orders of each day that the channel caused, as the day's conversions suggest.

        Of the conversions, the share that the fit holds for caused; on days without a complete
        report as many as the fit expects.
        """
        share = self.caused / (self.caused + self.claim * self.others + 1e-12)
        return np.where(self.seen, self.conversions * share, self.caused)

    def _likelihood_ratio(self) -> float:
        """Twice the logarithm, of this fit over the one without a response, on the same days.

        Of the first fit: without a response all purchases are others, and what later fits take
        away follows from the response that they have already found.
        """
        conversions, others = self.conversions[self.seen], self.others[self.seen]
        mean = conversions.sum() / others.sum() * others
        without = float((mean - conversions * np.log(mean + 1e-12)).sum())
        return 2 * (without - self.loss)

    def _minimise(self, first: Array) -> Any:
        bounds = [(-4, 4), (0, 9), (-9, 5), (-9, -1)]
        return optimize.minimize(self._loss, first, method="L-BFGS-B", bounds=bounds)

    def _caused(self, theta: Array) -> Array:
        carry = 1 / (1 + np.exp(-theta[0]))
        weights = (1 - carry) * carry ** np.arange(60)
        stock = np.convolve(self.spend, weights)[: len(self.spend)]
        return np.asarray(np.exp(theta[2]) * stock / (np.exp(theta[1]) + stock))

    def _loss(self, theta: Array) -> float:
        mean = (self._caused(theta) + np.exp(theta[3]) * self.others)[self.seen]
        return float((mean - self.conversions[self.seen] * np.log(mean + 1e-12)).sum())


def purchases(world: World) -> Array:
    """By day, as the table of transactions has them: neither cancelled nor returned."""
    first = world.args.start.astype("datetime64[D]")
    daily = np.zeros(world.args.days, dtype=np.int64)
    for rows in transactions(world):
        placed, status = rows.columns["order_date"], rows.columns["order_status"]
        assert isinstance(placed, np.ndarray) and isinstance(status, Coded)
        kept = ~np.isin(status.values().astype(str), ["cancelled", "returned"])
        day = (placed[kept].astype("datetime64[D]") - first).astype(int)
        daily += np.bincount(day, minlength=len(daily))
    return daily


def fit_channels(world: World, rounds: int) -> list[ChannelFit]:
    """The fits of all channels, from the tables alone.

    What platforms claim are purchases that no campaign caused. At first these are taken to be
    all; each further round takes away those that were probably caused by the fits of the round
    before. To take away what a fit expects would not do: by chance a day has more caused orders,
    and then both more conversions and more purchases, which would pass for a larger claim.
    """
    performance, plan = table("campaign_performance", world), table("campaigns", world)
    channel_of = dict(zip(plan["campaign_id"], plan["channel"], strict=True))
    channel = np.array([channel_of[campaign] for campaign in performance["campaign_id"]])
    first, length = world.args.start.astype("datetime64[D]"), world.args.days
    day = (performance["date"] - first).astype(int)
    fits = []
    for name in CHANNELS:
        of = channel == name
        spend, conversions = (
            np.bincount(day[of], performance[column][of], length)
            for column in ("spend", "conversions")
        )
        fits.append(ChannelFit(spend, conversions))
    every = purchases(world)
    others = every.astype(float)
    for _ in range(rounds):
        for fit in fits:
            fit.fit(others)
        caused = np.sum([fit.probably_caused() for fit in fits], axis=0)
        others = np.maximum(every - caused, 0.1 * every)
    return fits


def test_the_response_of_each_channel_is_recovered(recovered: list[World]) -> None:
    """Each world within wide bounds, the average of four within narrower ones.

    By Fisher's information the standard error of one estimate is about 0.1 (carry-over), 0.18
    to 0.31 (log half-saturation), 0.09 to 0.17 (log ceiling) and 0.0025 (claim); the bounds are
    3.5 of them for the average, and about 4 for one.
    """
    errors, totals = [], []
    for world in recovered:
        truth, fits = world.response, fit_channels(world, ROUNDS)
        errors.append(
            [
                (
                    fit.carry - truth.carry[c],
                    np.log(fit.half / truth.half[c]),
                    np.log(fit.ceiling / truth.ceiling[c]),
                    fit.claim - truth.claim[c],
                )
                for c, fit in enumerate(fits)
            ]
        )
        totals.append(sum(fit.caused.sum() for fit in fits) / truth.expected.sum())
        assert min(fit.ratio for fit in fits) > NOTHING
    assert totals == pytest.approx([1] * len(totals), abs=0.12)
    found = np.abs(np.array(errors))  # [worlds x channels x parameters]
    assert (found < [0.4, 1.2, 0.7, 0.01]).all()
    average = np.abs(np.array(errors).mean(axis=0))
    assert (average < [0.18, 0.55, 0.3, 0.0045]).all()


def test_without_campaigns_effects_no_response_is_found() -> None:
    """No more often than by chance, with the estimator that finds the planted response.

    The likelihood ratio of a response that is not there is not chi-square: the ceiling lies on
    its bound, where carry-over and half-saturation mean nothing. With its three parameters the
    chi-square with three degrees of freedom is an upper bound of it.
    """
    ratios = []
    for seed in NULL_SEEDS:
        world = make_world(WorldArgs(seed, 1, 730, AS_OF, effects="all,-campaigns"))
        ratios += [fit.ratio for fit in fit_channels(world, ROUNDS)]
    assert min(ratios) > -0.1  # the fit is no worse than the one that it contains
    exceeding = (np.array(ratios) > NOTHING).sum()
    assert exceeding <= stats.binom.ppf(0.99, len(ratios), 0.01)
