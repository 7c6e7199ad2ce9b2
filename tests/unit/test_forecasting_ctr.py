"""Click-through rates: shrinkage against scipy and planted rates, and what is measured."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ml.artefacts import ArtefactError
from ml.forecasting import ctr_evaluate as evaluate
from ml.forecasting.clicks import Clicks, Night
from ml.forecasting.config import ClickConfig
from ml.forecasting.ctr_fit import (
    CtrVersion,
    campaign_rates,
    fit_priors,
    from_files,
    to_files,
)
from ml.forecasting.ctr_score import score_night
from ml.forecasting.ctr_watch import compare
from ml.forecasting.gains import PartLosses, mean_gain
from ml.forecasting.shrinkage import (
    BetaPrior,
    binomial_deviance,
    fit_beta,
    fit_gamma,
    poisson_deviance,
)
from ml.model import Judgement

CONFIG = ClickConfig(resamples=200)
START, CUTOFF, UNTIL = date(2024, 1, 1), date(2024, 10, 1), date(2025, 1, 1)


def company(seed: int, campaign_spread: float = 1.0, customer_spread: float = 1.0) -> Clicks:
    """40 campaigns on two channels and 600 customers over a year, whose rates are planted.

    The spreads scale how rates differ; 0 makes all of a channel's campaigns (all customers) alike.
    """
    random = np.random.default_rng(seed)
    rows = []
    for number in range(40):
        channel, usual = ("Email", 0.02) if number % 2 else ("Google", 0.04)
        rate = usual * np.exp(campaign_spread * 0.4 * random.normal())
        begins = int(random.integers(0, 240))
        for day in range(begins, min(begins + 120, 366)):
            shown = int(random.integers(50, 400))
            clicks = random.binomial(shown, rate)
            rows.append((f"C{number:02d}", channel, START + timedelta(days=day), shown, clicks))
    daily = pd.DataFrame(rows, columns=["campaign_id", "channel", "day", "impressions", "clicks"])
    ids = [f"P{i:04d}" for i in range(600)]
    registered = [START + timedelta(days=int(d)) for d in random.integers(0, 250, 600)]
    eager = np.exp(customer_spread * random.normal(size=600))
    visits = []
    for person, since, own in zip(ids, registered, eager, strict=True):
        days = np.flatnonzero(random.random(366) < 0.02 * own)
        visits += [
            (person, START + timedelta(days=int(d)), "Email", 1.0)
            for d in days
            if START + timedelta(days=int(d)) >= since
        ]
    return Clicks(
        daily.astype({"impressions": float, "clicks": float}),
        pd.DataFrame(visits, columns=["customer_id", "day", "channel", "visits"]),
        pd.DataFrame({"customer_id": ids, "registered": registered, "is_known": True}),
        UNTIL,
    )


def judged(clicks: Clicks) -> tuple[Judgement, CtrVersion]:
    tried = evaluate.backtest(clicks, CUTOFF, CONFIG)
    base = fit_priors(clicks, CUTOFF, CONFIG)
    version = evaluate.choose(base, tried)
    seen = evaluate.window_periods(clicks, CUTOFF, CONFIG)
    parts = evaluate.part_losses((version, base, base), seen, CONFIG)
    covered = evaluate.coverage(version, seen, CONFIG)
    return evaluate.judge(parts, tried, version, covered, CONFIG), version


def test_the_beta_prior_is_that_of_the_planted_rates() -> None:
    random = np.random.default_rng(3)
    shown = random.integers(200, 5000, 3000).astype(float)
    clicks = random.binomial(shown.astype(int), random.beta(8, 400, 3000)).astype(float)
    prior = fit_beta(clicks, shown)
    assert prior.mean == pytest.approx(8 / 408, rel=0.02)
    assert prior.a == pytest.approx(8, rel=0.1)
    # No other prior is likelier, by scipy's beta-binomial.
    best = stats.betabinom(shown.astype(int), prior.a, prior.b).logpmf(clicks).sum()
    for a, b in ((8, 400), (prior.a * 1.02, prior.b), (prior.a, prior.b * 1.02)):
        assert stats.betabinom(shown.astype(int), a, b).logpmf(clicks).sum() <= best


def test_the_gamma_prior_is_that_of_the_planted_rates() -> None:
    random = np.random.default_rng(4)
    exposure = random.uniform(0.2, 5, 4000)
    events = random.poisson(random.gamma(1.5, 1 / 1.4, 4000) * exposure).astype(float)
    prior = fit_gamma(events, exposure)
    assert prior.shape == pytest.approx(1.5, rel=0.1)
    assert prior.rate == pytest.approx(1.4, rel=0.1)

    def likelihood(shape: float, rate: float) -> float:
        return float(stats.nbinom(shape, rate / (rate + exposure)).logpmf(events).sum())

    best = likelihood(prior.shape, prior.rate)
    assert best >= likelihood(1.5, 1.4)
    assert best >= likelihood(prior.shape * 1.02, prior.rate)
    assert best >= likelihood(prior.shape, prior.rate * 1.02)


def test_deviances_are_those_of_scipy() -> None:
    k, n, p = np.array([0.0, 3.0, 50.0]), np.array([10.0, 10.0, 50.0]), np.array([0.1, 0.2, 0.9])
    expected = 2 * (stats.binom.logpmf(k, n, k / n) - stats.binom.logpmf(k, n, p))
    np.testing.assert_allclose(binomial_deviance(k, n, p), expected, atol=1e-9)
    mu = np.array([0.5, 2.0, 60.0])
    expected = 2 * (stats.poisson.logpmf(k, np.maximum(k, 1e-300)) - stats.poisson.logpmf(k, mu))
    np.testing.assert_allclose(poisson_deviance(k, mu), expected, atol=1e-9)


def test_few_impressions_are_pulled_to_the_channel_and_many_are_not() -> None:
    base = fit_priors(company(1), CUTOFF, CONFIG)
    version = replace(base, campaign_priors={**base.campaign_priors, "Email": BetaPrior(20, 980)})
    campaigns = pd.DataFrame({"campaign_id": ["a", "b", "c"], "channel": "Email"})
    seen = pd.DataFrame({"campaign_id": ["a", "b"], "channel": "Email",
                         "impressions": [10.0, 1e6], "clicks": [5.0, 5e4]})  # fmt: skip
    found = campaign_rates(version.as_challenger(), campaigns, seen, CONFIG)
    np.testing.assert_allclose(found.rate, [25 / 1010, 50_020 / 1_001_000, 0.02])
    np.testing.assert_allclose(found.weight, [10 / 1010, 1e6 / 1_001_000, 0])
    assert (found.low < found.rate).all()
    assert (found.rate < found.high).all()
    assert found.high[1] - found.low[1] < 0.001 < found.high[0] - found.low[0]


def test_planted_differences_are_found_and_win() -> None:
    judgement, version = judged(company(1))
    assert (version.shrinks_campaigns, version.shrinks_customers) == (True, True)
    assert judgement.gain.low > 0.1
    figures = {m.name: m for m in judgement.metrics}
    for name in ("campaign_deviance", "customer_deviance", "backtest_campaign_deviance"):
        assert figures[name].value < float(figures[name].baseline_value or 0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_all_are_alike_nothing_is_promoted(seed: int) -> None:
    judgement, _ = judged(company(seed, campaign_spread=0.0, customer_spread=0.0))
    assert judgement.gain.low <= 0


def test_one_part_may_win_while_the_other_answers_as_the_baseline() -> None:
    judgement, version = judged(company(5, campaign_spread=0.0))
    assert version.shrinks_customers
    assert judgement.gain.low > 0


def test_clicks_shuffled_in_time_drop_the_model_to_its_baseline() -> None:
    clicks = company(2)
    random = np.random.default_rng(9)
    shown = clicks.daily["impressions"].to_numpy()
    # Every day's rate of some other day of any campaign on the channel; every visit by anyone.
    daily = clicks.daily.copy()
    for _, rows in daily.groupby("channel"):
        rate = (rows["clicks"] / rows["impressions"]).to_numpy()
        mixed = np.round(random.permutation(rate) * shown[rows.index])
        daily.loc[rows.index, "clicks"] = mixed
    visits = clicks.visits.assign(customer_id=random.permutation(clicks.visits["customer_id"]))
    judgement, _ = judged(replace(clicks, daily=daily, visits=visits.iloc[:0]))
    assert judgement.gain.low <= 0


def test_intervals_cover_what_came_about() -> None:
    found = []
    for seed in range(20, 28):
        clicks = company(seed)
        version = fit_priors(clicks, CUTOFF, CONFIG).as_challenger()
        found.append(
            evaluate.coverage(version, evaluate.window_periods(clicks, CUTOFF, CONFIG), CONFIG)
        )
    # 8 companies with some 60 campaign-months each, 95 % of which are to be covered.
    assert 0.92 < np.mean([f for f in found if f is not None]) < 0.98


def test_nothing_after_the_cutoff_changes_a_version() -> None:
    clicks = company(1)
    cut = Clicks(
        clicks.daily[clicks.daily["day"] < CUTOFF],
        clicks.visits[clicks.visits["day"] < CUTOFF],
        clicks.customers[clicks.customers["registered"] < CUTOFF],
        CUTOFF,
    )
    whole = evaluate.choose(fit_priors(clicks, CUTOFF, CONFIG),
                            evaluate.backtest(clicks, CUTOFF, CONFIG))  # fmt: skip
    part = evaluate.choose(fit_priors(cut, CUTOFF, CONFIG),
                           evaluate.backtest(cut, CUTOFF, CONFIG))  # fmt: skip
    assert to_files(whole) == to_files(part)
    assert from_files(to_files(whole)) == whole


@pytest.mark.parametrize("files", [{}, {"ctr.json": b"{}"}, {"ctr.json": b"\xff"}])
def test_a_file_that_holds_no_model_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(ArtefactError):
        from_files(files)


def test_expected_visits_share_each_day_among_those_registered() -> None:
    day = [date(2024, 1, d) for d in range(1, 5)]
    visits = pd.DataFrame({"customer_id": ["a", "a", "b"], "day": [day[0], day[2], day[3]],
                           "channel": "Email", "visits": [1.0, 2.0, 1.0]})  # fmt: skip
    customers = pd.DataFrame({"customer_id": ["a", "b"], "registered": [day[0], day[2]],
                              "is_known": True})  # fmt: skip
    clicks = Clicks(company(1).daily, visits, customers, date(2024, 2, 1))
    counts = clicks.customer_counts(None, date(2024, 2, 1)).set_index("customer_id")
    # Day 1: one customer. Day 3: two visits by two customers. Day 4: one by two.
    assert counts["expected"].to_dict() == {"a": 1 + 1 + 0.5, "b": 1 + 0.5}
    assert counts["visits"].to_dict() == {"a": 3, "b": 1}
    later = clicks.customer_counts(day[3], date(2024, 2, 1))
    assert later["expected"].tolist() == [0.5, 0.5]


def test_every_kind_of_row_is_scored_and_the_outcome_is_told() -> None:
    clicks = company(1)
    before = Clicks(
        clicks.daily[clicks.daily["day"] < CUTOFF],
        clicks.visits[clicks.visits["day"] < CUTOFF],
        clicks.customers,
        CUTOFF,
    )
    campaigns = clicks.campaign_counts(None, UNTIL)[["campaign_id", "channel"]]
    night = Night(before, campaigns.assign(campaign_name=campaigns["campaign_id"]))
    version = fit_priors(clicks, CUTOFF, CONFIG).as_challenger()
    table = score_night(version, night, CUTOFF, CONFIG)
    assert table.groupby("entity_type").size().to_dict() == {
        "campaign": 40, "channel": 2, "customer": 600}  # fmt: skip
    assert (table["low"] <= table["predicted_ctr"]).all()
    assert (table["predicted_ctr"] <= table["high"]).all()
    assert table["predicted_ctr"].between(0, 1).all()
    end = CUTOFF + timedelta(days=30)
    told = compare(clicks, table, CUTOFF, end, CONFIG)
    assert told is not None
    assert told.decayed is None
    assert {m.name for m in told.metrics} == {"outcome_campaign_deviance",
                                              "outcome_customer_deviance"}  # fmt: skip
    # Forecasts that are far off ask for training.
    is_campaign, backwards = table["entity_type"] == "campaign", table["predicted_ctr"][::-1]
    wrong = table.assign(predicted_ctr=np.where(is_campaign, 0.3, backwards))
    bad = compare(clicks, wrong, CUTOFF, end, CONFIG)
    assert bad is not None
    assert bad.decayed is not None


def test_the_gain_of_equals_is_nothing_and_of_no_loss_one() -> None:
    loss, none, weight = np.array([1.0, 2.0, 3.0]), np.zeros(3), np.ones(3)
    same = PartLosses("same", loss, loss, loss, weight)
    best = PartLosses("best", none, loss, loss, weight)
    empty = PartLosses("empty", none[:0], none[:0], none[:0], none[:0])
    assert mean_gain([same], 100, 1).high == 0
    assert mean_gain([best, empty], 100, 1).low == 1
    assert mean_gain([same, best], 100, 1).value == 0.5
    assert mean_gain([empty], 100, 1).low == 0
