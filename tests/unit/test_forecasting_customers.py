"""Customers' revenue: what is known of them, three methods on planted worlds, and the judgement."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_tweedie_deviance

from ml.artefacts import ArtefactError
from ml.forecasting import customer_fit, customers, revenue_evaluate, revenue_fit
from ml.forecasting.config import RevenueConfig
from ml.forecasting.purchases import Purchases, from_frames
from ml.forecasting.revenue_fit import RevenueHistory
from ml.forecasting.revenue_score import RESULT_COLUMNS, score_night
from ml.forecasting.revenue_watch import compare

START = date(2024, 1, 1)
CUTOFF, UNTIL = START + timedelta(days=360), START + timedelta(days=450)
CONFIG = RevenueConfig(methods=(), resamples=200)


@cache
def company(seed: int, people: int = 500, days: int = 450) -> Purchases:
    """Customers who buy at a rate of their own, leave for good, and spend alike each time.

    Rates are Gamma(0.6, 20 days), chances to leave Beta(0.8, 3), values of an order lognormal.
    """
    random = np.random.default_rng(seed)
    rows, registry = [], []
    for number in range(people):
        name = f"P{number:04d}"
        joined = float(random.uniform(0, days - 60))
        registry.append((name, START + timedelta(days=int(joined)), True))
        if number % 10 == 0 and random.random() < 0.5:
            continue  # registered only
        rate, leaves = random.gamma(0.6, 1 / 20), random.beta(0.8, 3.0)
        worth, at = 40 * random.lognormal(0, 0.6), joined + 1
        while at < days:
            value = round(worth * random.lognormal(0, 0.3), 2)
            rows.append((name, START + timedelta(days=int(at)), value))
            at += random.exponential(1 / rate)
            if random.random() < leaves:
                break
    lines = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    sales = lines.groupby(["customer_id", "day"])["amount"].sum().reset_index()
    frame = pd.DataFrame(registry, columns=["customer_id", "registered", "is_known"])
    return from_frames(sales, frame, START + timedelta(days=days))


def day(number: int) -> date:
    return START + timedelta(days=number)


def three() -> Purchases:
    """Two buyers, an unknown one, and two who have registered only."""
    sales = pd.DataFrame(
        {
            "customer_id": ["a", "a", "a", "b", None],
            "day": [day(0), day(10), day(40), day(30), day(5)],
            "amount": [10.0, 20.0, 60.0, 7.0, 1.0],
        }
    )
    registry = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "registered": [day(0), day(20), day(1), None],
            "is_known": [True, True, True, False],
        }
    )
    return from_frames(sales, registry, day(50))


def test_buyers_are_known_by_what_came_before() -> None:
    purchases = three()
    assert purchases.customers == ("a", "b")
    first = purchases.buyers(day(30))
    assert first.rows.tolist() == [0]  # b buys on the day itself
    assert first.features.tolist() == [[20, 2, 30, 10, 15, 30, 30, 30, 30, 2]]
    assert first.histories.frequency.tolist() == [1]
    both = purchases.buyers(day(50))
    assert both.features[0].tolist() == [10, 3, 50, 40, 30, 90, 60, 90, 90, 3]
    assert both.features[1].tolist() == [20, 1, 20, 0, 7, 7, 7, 7, 7, 1]
    assert purchases.spending(both.rows, day(30), day(41)).tolist() == [60, 7]
    assert purchases.total.values[[0, 5, 30, 49]].tolist() == [10, 1, 7, 0]
    assert len(purchases.total.values) == 50


def test_newcomers_are_those_who_had_registered_and_not_bought() -> None:
    purchases = three()
    assert sorted(purchases.newcomers(day(25), day(50))) == [0, 7]  # c and b; d is not dated
    assert purchases.newcomers(day(35), day(50)).tolist() == [0]
    assert purchases.without_purchase() == ["c"]


def test_the_own_mean_is_the_customers_revenue_a_month() -> None:
    buyers = three().buyers(day(50))
    found = customers.METHODS["own_mean"].forecast(b"{}", buyers, 30)
    assert found.tolist() == [90 / 50 * 30, 7.0]  # b has been here for less than a month


def test_the_loss_is_the_tweedie_deviance() -> None:
    random = np.random.default_rng(1)
    spent, forecast = random.gamma(1, 30, 50) * (random.random(50) < 0.5), random.gamma(2, 10, 50)
    found = customers.tweedie_deviance(spent, forecast)
    assert found.mean() == pytest.approx(mean_tweedie_deviance(spent, forecast, power=1.5))
    assert (customers.tweedie_deviance(spent[spent > 0], spent[spent > 0]) == 0).all()


@cache
def tried() -> dict[str, customer_fit.Tried]:
    return customer_fit.backtest(company(1), CUTOFF, list(customers.METHODS), CONFIG)


def test_the_model_that_is_true_of_the_world_wins_the_backtest() -> None:
    assert customer_fit.choose(tried()) == "bgnbd"
    assert tried()["bgnbd"].loss < 0.8 * tried()["own_mean"].loss
    # In all, it forecasts what came.
    assert tried()["bgnbd"].forecast.sum() == pytest.approx(tried()["bgnbd"].spent.sum(), rel=0.2)


def test_the_baseline_stays_where_it_is_best() -> None:
    own, worse = tried()["own_mean"], replace(tried()["bgnbd"], forecast=np.full(1, 5000.0))
    assert customer_fit.choose({"own_mean": own, "bgnbd": worse}) == "own_mean"
    assert customer_fit.choose({"own_mean": own, "bgnbd": own}) == "own_mean"


def test_intervals_cover_customers_of_another_world() -> None:
    bins = customer_fit.fit_bins(tried()["bgnbd"], CONFIG)
    version = customer_fit.fit_version("bgnbd", company(1), CUTOFF, tried()["bgnbd"], CONFIG)
    assert version.bins == bins
    other = company(2)
    buyers = other.buyers(CUTOFF)
    spent = other.spending(buyers.rows, CUTOFF, CUTOFF + timedelta(days=30))
    found = customer_fit.forecast(version, buyers, 30)
    for level in customer_fit.LEVELS:
        inside = (spent >= found.low[str(level)]) & (spent <= found.high[str(level)])
        # So many spend nothing that more may lie inside than stated, but not fewer.
        assert inside.mean() >= level - 0.03
    assert (found.low["0.95"] <= found.low["0.8"]).all()
    assert (found.low["0.8"] <= found.values).all()
    assert (found.values <= found.high["0.8"]).all()
    assert (found.high["0.8"] <= found.high["0.95"]).all()
    dear = found.values > np.quantile(found.values, 0.9)
    assert found.high["0.95"][dear].min() > found.high["0.95"][~dear].mean()


@pytest.mark.parametrize("name", sorted(customers.METHODS))
def test_nothing_after_the_end_changes_what_is_learnt(name: str) -> None:
    whole, method = company(1), customers.METHODS[name]
    keep = whole.day < CUTOFF.toordinal()
    cut = replace(
        whole, row=whole.row[keep], day=whole.day[keep], amount=whole.amount[keep],
        registry=whole.registry[whole.registry["registered"] < CUTOFF],
    )  # fmt: skip
    assert method.fit(whole, CUTOFF, CONFIG) == method.fit(cut, CUTOFF, CONFIG)
    params = method.fit(whole, CUTOFF, CONFIG)
    np.testing.assert_array_equal(
        method.forecast(params, whole.buyers(CUTOFF), 30),
        method.forecast(params, cut.buyers(CUTOFF), 30),
    )


@pytest.mark.parametrize("name", ["bgnbd", "xgboost"])
def test_customers_shuffled_in_time_cannot_be_told_apart(name: str) -> None:
    # Every purchase by anybody: who is forecast to spend most spends no more than others.
    whole = company(1)
    mixed = replace(whole, row=np.random.default_rng(3).permutation(whole.row))
    params = customers.METHODS[name].fit(mixed, CUTOFF, CONFIG)
    shares = []
    for back in (0, 30, 60):
        origin = CUTOFF + timedelta(days=back)
        buyers = mixed.buyers(origin)
        # Those who buy often in all are drawn often: tell apart only what is not due to that.
        spent = mixed.spending(buyers.rows, origin, origin + timedelta(days=30))
        often = np.bincount(mixed.row, minlength=len(mixed.customers))[buyers.rows]
        values = customers.METHODS[name].forecast(params, buyers, 30)
        shares.append(float(np.corrcoef(values, spent / often)[0, 1]))
    assert abs(np.mean(shares)) < 0.1


def history(seed: int) -> RevenueHistory:
    return RevenueHistory(company(seed), CUTOFF, CONFIG)


def test_a_part_that_wins_is_promoted_though_the_other_is_the_baseline() -> None:
    data = history(1)
    assert revenue_fit.too_little(data) is None
    base, version = revenue_fit.fit_baseline(data), revenue_fit.fit(data)
    assert version.company == base.company  # no other method was to be tried
    assert version.customers.method == "bgnbd"
    judged = revenue_evaluate.judge(data, version, base, base)
    assert judged.gain.low > 0
    own = revenue_evaluate.customer_losses((version, base, base), data)
    saved = 1 - own.challenger.sum() / own.champion.sum()
    assert judged.gain.value == pytest.approx(saved / 2, abs=1e-5)
    figures = {m.name: m for m in judged.metrics}
    assert figures["company_mase"].value == figures["company_mase"].baseline_value
    assert figures["customer_deviance"].value < float(
        figures["customer_deviance"].baseline_value or 0
    )
    # A version gains nothing over itself.
    assert revenue_evaluate.judge(data, version, base, version).gain.high == 0


def test_a_version_comes_back_from_its_files() -> None:
    data = history(1)
    version = revenue_fit.fit(data)
    files = revenue_fit.to_files(version)
    assert revenue_fit.from_files(files) == version
    assert files == revenue_fit.to_files(revenue_fit.fit(history(1)))
    without = {name: content for name, content in files.items() if name != "bgnbd.json"}
    with pytest.raises(ArtefactError):
        revenue_fit.from_files(without)


def test_too_little_is_said() -> None:
    short = RevenueHistory(company(1), START + timedelta(days=200), CONFIG)
    assert "origins" in str(revenue_fit.too_little(short))
    few = RevenueHistory(company(4, people=40), CUTOFF, CONFIG)
    assert "customers had bought" in str(revenue_fit.too_little(few))


def test_a_night_scores_everyone_and_is_looked_back_at() -> None:
    whole, data = company(1), history(1)
    version = revenue_fit.fit(data)
    keep = whole.day < CUTOFF.toordinal()
    night = replace(
        whole, row=whole.row[keep], day=whole.day[keep], amount=whole.amount[keep],
        total=whole.total.before(CUTOFF), until=CUTOFF,
    )  # fmt: skip
    table = score_night(version, night, CUTOFF, CONFIG)
    assert set(RESULT_COLUMNS) < set(table.columns)
    people, days = (
        table[table["entity_type"] == "customer"],
        table[table["entity_type"] == "company"],
    )
    assert len(days) == 90
    assert days["target_date"].tolist() == [CUTOFF + timedelta(days=n) for n in range(90)]
    buyers = {whole.customers[row] for row in night.buyers(CUTOFF).rows}
    assert set(people["customer_id"]) == buyers | set(night.without_purchase())
    for low, high in (("low", "low_80"), ("low_80", "predicted_revenue"),
                      ("predicted_revenue", "high_80"), ("high_80", "high")):  # fmt: skip
        assert (table[low] <= table[high]).all()
    told = compare(whole, table, CUTOFF, CONFIG)
    assert told is not None
    assert told.decayed is None
    wrong = table.assign(predicted_revenue=table["predicted_revenue"] * 40)
    bad = compare(whole, wrong, CUTOFF, CONFIG)
    assert bad is not None
    assert bad.decayed is not None
