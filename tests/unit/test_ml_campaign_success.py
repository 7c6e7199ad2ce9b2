"""Success before launch and customers' response: no look ahead, and against planted truth."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge as SklearnRidge

from ml.campaign_optimization.audience import (
    Audience,
    ResponseRate,
    channel_shares,
    fit_rate,
    pooled_rate,
)
from ml.campaign_optimization.config import CATEGORIES, CATEGORY_BOUNDS, SuccessConfig
from ml.campaign_optimization.forecast import (
    _left_out_errors,
    fit_channel_rate,
    fit_ridge,
    solve_ridge,
)
from ml.campaign_optimization.history import NEVER, History
from ml.campaign_optimization.launch import (
    design,
    numbers_before_launch,
    outcomes_before,
    plans,
    results_before,
    vocabulary,
)
from ml.campaign_optimization.success import SuccessData, SuccessModel, _columns
from tests.campaign_support import AS_OF, make_company

CONFIG = SuccessConfig()
NOBODY = Audience(
    (), np.zeros(0, int), np.zeros(0, object), np.zeros(0), np.zeros(0), np.zeros(0, int),
    np.zeros(0, int),
)  # fmt: skip


@pytest.fixture(scope="module")
def history() -> History:
    return make_company(31)[0]


def seen(history: History) -> SuccessData:
    cutoff = history.days - 92
    found = history.date(cutoff)
    assert found is not None
    return SuccessData(history, NOBODY, cutoff, found, AS_OF)


def test_features_are_from_before_the_launch(history: History) -> None:
    rows = np.flatnonzero((history.starts > 200) & (history.starts < 500))
    known = numbers_before_launch(history, rows.tolist(), history.days, CONFIG)
    for row, i in enumerate(rows):
        launch = int(history.starts[i])
        later = replace(
            history,
            spend=history.spend.copy(),
            revenue=history.revenue.copy(),
            purchases=history.purchases.copy(),
            budget=np.where(history.created >= launch, 1e6, history.budget),
        )
        later.budget[i] = history.budget[i]
        later.spend[:, launch:] += 1000
        later.revenue[:, launch:] = 0
        later.purchases[launch:] += 500
        found = numbers_before_launch(later, [int(i)], history.days, CONFIG)
        assert_allclose(found[0], known[row], rtol=1e-12)


def test_results_are_of_days_before_and_weigh_by_their_share(history: History) -> None:
    until = 400
    results = results_before(history, until, CONFIG)
    assert (history.starts[results.rows] <= until - CONFIG.report_lag - CONFIG.least_days).all()
    ended = history.ends[results.rows] < until - CONFIG.report_lag
    assert_allclose(results.weight[ended], 1.0)
    assert (results.weight[~ended] < 1).all()
    later = replace(history, revenue=history.revenue.copy())
    later.revenue[:, until:] *= 5
    again = results_before(later, until, CONFIG)
    assert_allclose(again.log_return, results.log_return)


def test_success_is_the_overall_return_of_an_ended_campaign(history: History) -> None:
    rows, success = outcomes_before(history, history.days, CONFIG)
    returns = history.revenue[rows].sum(axis=1) / history.spend[rows].sum(axis=1)
    assert (success == (returns >= 2.0)).all()
    assert (history.ends[rows] < history.days - CONFIG.report_lag).all()
    assert 0 < success.mean() < 1


def test_the_ridge_is_that_of_scikit_learn(history: History) -> None:
    results = results_before(history, 600, CONFIG)
    words = vocabulary(history, results.rows.tolist())
    raw = design(history, results.rows.tolist(), 600, words, CONFIG)
    full = np.concatenate([np.ones((len(raw), 1)), raw - raw.mean(axis=0)], axis=1)
    own = solve_ridge(full, results.log_return, results.weight, 3.0)
    reference = SklearnRidge(alpha=3.0).fit(full[:, 1:], results.log_return, results.weight)
    assert_allclose(own[1:], reference.coef_, atol=1e-6)
    assert own[0] == pytest.approx(reference.intercept_, abs=1e-6)
    errors = _left_out_errors(full, results.log_return, results.weight, 3.0, own)
    for i in (0, 7):
        kept = np.arange(len(full)) != i
        without = solve_ridge(full[kept], results.log_return[kept], results.weight[kept], 3.0)
        assert errors[i] == pytest.approx(results.log_return[i] - full[i] @ without, abs=1e-6)


def test_success_beats_the_channels_rate_on_launches_not_seen(history: History) -> None:
    model, data = SuccessModel(), seen(history)
    assert model.too_little(data) is None
    baseline, challenger = model.fit_baseline(data), model.fit(data, None)
    judgement = model.judge(data, challenger, baseline, baseline)
    figures = {metric.name: metric for metric in judgement.metrics}
    assert judgement.gain.low > 0, judgement.headline
    assert figures["origins"].value >= 6
    assert figures["brier"].baseline_value is not None
    assert figures["brier"].value < figures["brier"].baseline_value


def test_returns_in_disorder_leave_nothing_to_gain(history: History) -> None:
    spend = np.maximum(history.spend.sum(axis=1), 1e-9)
    returns = np.random.default_rng(4).permutation(history.revenue.sum(axis=1) / spend)
    mixed = replace(history, revenue=history.spend * returns[:, None])
    model, data = SuccessModel(), seen(mixed)
    baseline, challenger = model.fit_baseline(data), model.fit(data, None)
    assert model.judge(data, challenger, baseline, baseline).gain.low <= 0


def test_training_sees_nothing_of_the_window(history: History) -> None:
    model, data = SuccessModel(), seen(history)
    later = replace(
        history, revenue=history.revenue.copy(), spend=history.spend.copy(),
        purchases=history.purchases.copy(),
    )  # fmt: skip
    later.revenue[:, data.cutoff :] *= 7
    later.purchases[data.cutoff :] = 0
    for fit in (lambda d: model.fit(d, None), model.fit_baseline):
        assert model.dump(fit(data)) == model.dump(fit(seen(later)))


def test_a_version_is_read_as_it_was_written(history: History) -> None:
    model, data = SuccessModel(), seen(history)
    for fitted in (model.fit(data, None), model.fit_baseline(data)):
        files = model.dump(fitted)
        assert model.dump(model.load(files)) == files


def test_forecasts_are_ordered_and_explained(history: History) -> None:
    model = fit_ridge(history, 600, CONFIG)
    rows = np.flatnonzero(history.starts >= 600)
    found = model.predict(history, rows, 600, CONFIG)
    assert ((found.low <= found.probability) & (found.probability <= found.high)).all()
    assert ((found.roas_low <= found.roas) & (found.roas <= found.roas_high)).all()
    # The parts and the intercept add up to the log of the return.
    parts = found.contributions.sum(axis=1) + model.coefficients[0]
    assert_allclose(np.exp(parts), found.roas)


def test_the_simple_answer_is_a_smoothed_rate(history: History) -> None:
    model = fit_channel_rate(history, 600, CONFIG)
    k = model.channels.index("Email")
    i = history.channel.index("Email")
    found = model.predict(history, np.array([i]), 600, CONFIG)
    expected = (model.successes[k] + 2 * model.overall) / (model.ended[k] + 2)
    assert found.probability[0] == pytest.approx(expected)
    assert np.isnan(found.roas[0])


@pytest.mark.parametrize(
    ("probability", "category", "success"),
    [(0.0, "Low", 0), (0.2499, "Low", 0), (0.25, "Medium", 0), (0.4999, "Medium", 0),
     (0.5, "High", 1), (0.75, "Very High", 1), (1.0, "Very High", 1)],
)  # fmt: skip
def test_categories_have_fixed_bounds(probability: float, category: str, success: int) -> None:
    value = np.array([probability])
    columns = _columns(value, value, value, CATEGORY_BOUNDS)
    assert columns["success_category"] == [category]
    assert columns["predicted_campaign_success"].tolist() == [success]
    assert category in CATEGORIES


def test_too_little_says_why(history: History) -> None:
    model, data = SuccessModel(), seen(history)
    assert "20 are needed" in str(model.too_little(replace(data, cutoff=60)))
    rich = replace(history, revenue=history.spend * 9)
    assert "all campaigns so far have succeeded" in str(model.too_little(seen(rich)))


def test_plans_without_an_end_or_a_budget_are_taken_for_usual(history: History) -> None:
    ends, budget = history.ends.copy(), history.budget.copy()
    ends[0], budget[0] = NEVER, 0.0
    plan = plans(replace(history, ends=ends, budget=budget))
    assert plan.days[0] == np.median(history.planned_days()[1:])
    assert plan.daily_budget[0] > 0
    assert plan.ends[0] == history.starts[0] + plan.days[0] - 1


def test_a_customers_probability_is_shrunk_towards_all() -> None:
    rate = ResponseRate(0.1, 10.0)
    # (2 + 0.1 * 10) / (10 + 10), and the mean where nothing is known.
    found = rate.probability(np.array([10.0, 0.0]), np.array([2.0, 0.0]))
    assert_allclose(found, [0.15, 0.1])


def test_the_spread_of_customers_is_recovered() -> None:
    random = np.random.default_rng(8)
    reached = random.integers(1, 15, 20_000).astype(float)
    truth = random.beta(0.06 * 12, 0.94 * 12, 20_000)
    responded = random.binomial(reached.astype(int), truth).astype(float)
    rate = fit_rate(reached, responded)
    assert rate.mean == pytest.approx(0.06, rel=0.05)
    assert rate.weight == pytest.approx(12, rel=0.2)
    alike = random.binomial(reached.astype(int), 0.06).astype(float)
    assert fit_rate(reached, alike).weight > 200
    assert not np.isfinite(pooled_rate(reached, alike).weight)


def test_customers_are_counted_by_when_they_were_reached() -> None:
    first = np.array([0, 10, 10], dtype=np.int64)
    audience = Audience(
        ("a", "b"), np.array([0, 0, 1]), np.array(["Email", "Email", "Google"], dtype=object),
        np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 2.0]), first, first + 5,
    )  # fmt: skip
    reached, responded = audience.counts(None, date(1970, 1, 11))
    assert (reached.tolist(), responded.tolist()) == ([1, 0], [1, 0])
    reached, responded = audience.counts(date(1970, 1, 11), date(1970, 1, 17))
    assert (reached.tolist(), responded.tolist()) == ([1, 1], [0, 1])
    shares = channel_shares(audience, ("Email", "Google", "LinkedIn"))
    assert_allclose(shares.sum(axis=0), 1.0)
    assert shares[0, 0] > shares[1, 0] > 0
    assert_allclose(shares[:, 2], 0.5)
