"""Response curves and plans: against closed forms, other implementations, and a planted truth."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.signal import lfilter

from ml.campaign_optimization.allocation import (
    BudgetLimitError,
    Limits,
    allocate,
    best_plans,
    kkt_violation,
    nearest_plan,
    parse_limits,
)
from ml.campaign_optimization.bootstrap import least_mean
from ml.campaign_optimization.budget import BudgetData, BudgetModel
from ml.campaign_optimization.config import BudgetConfig
from ml.campaign_optimization.curves import (
    Curves,
    Daily,
    _weighted_fits,
    adstock,
    fit_curves,
    fit_no_effect,
    log_likelihood,
    predicted,
    typical_spend,
)
from ml.campaign_optimization.history import History
from ml.campaign_optimization.plan import channel_rows, make_plan
from tests.campaign_support import Planted, before, make_company, shuffled_days

CONFIG = BudgetConfig()
THREE = ("Email", "Facebook", "Google")


def limits(total: float, low: list[float], high: list[float]) -> Limits:
    return Limits(THREE[: len(low)], np.array(low, float), np.array(high, float), total)


@pytest.fixture(scope="module")
def company() -> tuple[History, Planted]:
    return make_company(31)


def test_roots_are_shared_by_their_squares() -> None:
    # a sqrt(x) has its optimum at x proportional to a squared: 1 to 4.
    a = np.array([1.0, 2.0])
    found = allocate(
        lambda x: a / (2 * np.sqrt(np.maximum(x, 1e-12))), limits(10, [0, 0], [99, 99])
    )
    assert_allclose(found, [2.0, 8.0], rtol=1e-6)


def test_a_plan_is_the_one_that_a_general_optimiser_finds() -> None:
    random = np.random.default_rng(5)
    for _ in range(6):
        slope, half = random.uniform(0.2, 3, 3), random.uniform(20, 300, 3)
        low = random.uniform(0, 60, 3) * (random.random(3) < 0.5)
        high = low + random.uniform(20, 400, 3)
        total = float(random.uniform(low.sum(), min(high.sum(), 500)))
        bounds = limits(total, list(low), list(high))

        def marginal(x: np.ndarray, s: np.ndarray = slope, h: np.ndarray = half) -> np.ndarray:
            return s / (1 + x / h) ** 2

        found = allocate(marginal, bounds)
        reference = minimize(
            lambda x, s=slope, h=half: -(s * x / (1 + x / h)).sum(),
            np.clip(np.full(3, total / 3), low, high),
            jac=lambda x, m=marginal: -m(x),
            bounds=list(zip(low, high, strict=True)),
            constraints={"type": "eq", "fun": lambda x, t=total: x.sum() - t},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert found.sum() == pytest.approx(total, abs=1e-6)
        assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()
        assert (slope * found / (1 + found / half)).sum() >= -reference.fun - 1e-6
        assert_allclose(found, reference.x, atol=0.05)
        assert kkt_violation(marginal, found, bounds) < 1e-6
        assert_allclose(best_plans(slope[None], half[None], bounds)[0], found, atol=1e-3)


def test_a_plan_that_can_be_bettered_misses_the_conditions() -> None:
    slope, half = np.array([2.0, 1.0]), np.array([100.0, 100.0])
    bounds = limits(100, [0, 0], [100, 100])
    # Marginal returns at (50, 50): 2 / 2.25 and 1 / 2.25, half of the former is to be gained.
    violation = kkt_violation(lambda x: slope / (1 + x / half) ** 2, np.array([50.0, 50.0]), bounds)
    assert violation == pytest.approx(0.5)


def test_nothing_and_just_enough_can_be_spent() -> None:
    def marginal(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + x)

    assert allocate(marginal, limits(0, [0, 0], [9, 9])).tolist() == [0, 0]
    assert_allclose(allocate(marginal, limits(5, [2, 3], [9, 9])), [2, 3], atol=1e-9)
    assert_allclose(allocate(marginal, limits(18, [2, 3], [9, 9])), [9, 9], atol=1e-9)
    # Shares of 3 to 1 of 100, of which the first may have no more than 60.
    assert_allclose(nearest_plan(np.array([3.0, 1.0]), limits(100, [0, 0], [60, 999])), [60, 40])


@pytest.mark.parametrize(
    ("given", "total", "told"),
    [
        ({"Radio": {"cap": 1}}, 10, ["Radio", "Email, Facebook, Google"]),
        ({"Email": {"lock": 5, "cap": 9}}, 10, ["Email", "lock alone"]),
        ({"Email": {"floor": 9, "cap": 5}}, 10, ["Email", "above its cap", "by 4.00"]),
        ({"Email": {"floor": -1}}, 10, ["floor of Email", "-1"]),
        ({"Email": {"floor": float("nan")}}, 10, ["floor of Email"]),
        ({"Email": {"floor": True}}, 10, ["floor of Email"]),
        ({"Email": {"most": 3}}, 10, ["Email", "lock, or a floor"]),
        ({"Email": 3}, 10, ["Email"]),
        ("Email", 10, ["budget_limits"]),
        ({}, "much", ["budget_total"]),
        ({"Email": {"floor": 8}, "Google": {"lock": 5}}, 10,
         ["Email floor 8.00", "Google lock 5.00", "3.00 more than the total of 10.00"]),
        ({"Email": {"cap": 1}, "Google": {"cap": 2}, "Facebook": {"lock": 3}}, 10,
         ["Email cap 1.00", "Google cap 2.00", "Facebook lock 3.00", "4.00 less than"]),
    ],
)  # fmt: skip
def test_limits_that_cannot_be_honoured_are_named(
    given: object, total: object, told: list[str]
) -> None:
    with pytest.raises(BudgetLimitError) as error:
        parse_limits(THREE, total, given)  # type: ignore[arg-type]
    for words in told:
        assert words in str(error.value)


def test_limits_that_fill_the_total_exactly_are_honoured() -> None:
    read = parse_limits(THREE, 10, {"Email": {"floor": 8, "cap": 8.5}, "Google": {"lock": 2}})
    assert read.low.tolist() == [8, 0, 2]
    assert read.high.tolist() == [8.5, np.inf, 2]


def test_adstock_is_a_first_order_filter() -> None:
    spend = np.random.default_rng(0).gamma(1, 50, 200)
    for carry, found in zip((0.0, 0.6), adstock(spend, np.array([0.0, 0.6])), strict=True):
        assert_allclose(found, lfilter([1 - carry], [1, -carry], spend), rtol=1e-12)


def test_counts_are_fitted_by_maximum_likelihood() -> None:
    random = np.random.default_rng(3)
    purchases, driver = random.uniform(20, 80, 400), random.uniform(0, 3, 400)
    counts = random.poisson(0.03 * purchases + 1.2 * driver).astype(float)
    design = np.stack([purchases, driver], axis=1)

    def loss(x: np.ndarray) -> float:
        return float((design @ x - counts * np.log(design @ x)).sum())

    reference = minimize(loss, [0.05, 1.0], bounds=[(1e-6, 1), (1e-6, 9)], tol=1e-12).x
    # The inverse of Fisher's information of a Poisson mean that is linear in its parameters.
    information = design.T @ (design / (design @ reference)[:, None])
    estimate, covariance, _ = _weighted_fits(purchases, driver[None], counts)
    assert_allclose(estimate[0], reference, rtol=1e-3)
    assert_allclose(covariance[0], np.linalg.inv(information), rtol=1e-2)


def test_the_planted_response_is_found_and_its_plan_is_near_the_best(
    company: tuple[History, Planted],
) -> None:
    history, planted = company
    daily, cutoff = history.daily(), history.days - 92
    curves = fit_curves(daily.until(cutoff), CONFIG.curves)
    plan = make_plan(curves, history, True, 30, {})
    best = planted.orders(planted.best(plan.budget.sum() / 30, np.ones(5))).sum()
    assert 1 - planted.orders(plan.budget / 30).sum() / best < 0.05
    spend = np.linspace(0.05, 2, 40)[:, None] * typical_spend(daily.spend)
    found = np.stack([curves.response(x).mean(axis=0) for x in spend])
    errors = np.abs(found - planted.orders(spend)).mean(axis=0) / planted.orders(spend).mean(axis=0)
    assert errors.mean() < 0.25
    # The plan is the best of its own curves, and so no worse than the present one.
    assert plan.budget.sum() == pytest.approx(plan.current.sum(), abs=0.01)
    assert plan.revenue.sum() >= plan.now.sum()
    assert plan.marginal.max() == pytest.approx(plan.marginal.min(), rel=1e-5)
    assert ((plan.low <= plan.budget) & (plan.budget <= plan.high)).all()


def test_a_locked_channel_keeps_its_budget_and_the_others_share_the_rest(
    company: tuple[History, Planted],
) -> None:
    history, _ = company
    curves = fit_curves(history.daily().until(400), CONFIG.curves)
    options = {
        "budget_total": 20_000,
        "budget_limits": {"Email": {"lock": 1000}, "Facebook": {"floor": 9000, "cap": 9500}},
    }
    plan = make_plan(curves, history, True, 30, options)
    rows = channel_rows(plan, plan.channels).set_index("entity")
    assert rows.loc["Email", "predicted_optimal_budget"] == pytest.approx(1000)
    assert 9000 <= rows.loc["Facebook", "predicted_optimal_budget"] <= 9500
    assert rows["predicted_optimal_budget"].sum() == pytest.approx(20_000)
    free = rows.loc[["Google", "Instagram", "LinkedIn"], "marginal_roi"]
    assert free.max() == pytest.approx(free.min(), rel=1e-4)


def data(history: History, cutoff: int) -> BudgetData:
    return BudgetData(history, history.daily(), cutoff)


@pytest.mark.parametrize(
    ("kind", "promoted"), [("planted", True), ("no response", False), ("shuffled", False)]
)
def test_a_plan_is_promoted_only_where_spending_has_an_effect(
    company: tuple[History, Planted], kind: str, promoted: bool
) -> None:
    history = company[0]
    if kind == "no response":
        history = make_company(31, "all,-campaigns")[0]
    elif kind == "shuffled":
        history = shuffled_days(history, 1)
    model, seen = BudgetModel(BudgetConfig(origins=6)), data(history, history.days - 92)
    baseline, challenger = model.fit_baseline(seen), model.fit(seen, None)
    judgement = model.judge(seen, challenger, baseline, baseline)
    assert (judgement.gain.low > 0) == promoted, judgement.headline
    figures = {metric.name: metric.value for metric in judgement.metrics}
    assert figures["origins"] == 6


def test_training_sees_nothing_of_the_window(company: tuple[History, Planted]) -> None:
    history, model = company[0], BudgetModel()
    cutoff = history.days - 92
    later = replace(history, revenue=history.revenue.copy(), conversions=history.conversions.copy())
    later.conversions[:, cutoff:] *= 3
    later.revenue[:, cutoff:] = 0
    for fit in (lambda d: model.fit(d, None), model.fit_baseline):
        first, second = (model.dump(fit(data(h, cutoff))) for h in (history, later))
        assert first == second


def test_a_version_is_read_as_it_was_written(company: tuple[History, Planted]) -> None:
    model, seen = BudgetModel(), data(company[0], 400)
    for fitted in (model.fit(seen, None), model.fit_baseline(seen)):
        files = model.dump(fitted)
        assert model.dump(model.load(files)) == files


def test_too_little_says_why(company: tuple[History, Planted]) -> None:
    model, history = BudgetModel(), company[0]
    assert model.too_little(data(history, history.days - 92)) is None
    assert "90 and 100 are needed" in str(model.too_little(data(history, 89)))
    assert model.too_little(data(before(history, 0), 0)) is not None


def flat(days: int) -> Daily:
    spend = np.tile(np.array([[10.0], [30.0]]), days)
    counts = np.full((2, days), 2.0)
    return Daily(("A", "B"), spend, counts, 50 * counts, spend > 0, np.full(days, 40.0))


def test_no_effect_is_the_share_that_is_claimed_anyway() -> None:
    daily = flat(100)
    curves = fit_no_effect(daily, CONFIG.curves)
    assert_allclose(curves.base.mean(axis=0), 2 / 40, rtol=0.05)
    assert not curves.slope.any()
    means = predicted(curves, daily)
    # Poisson: 2 log(mean) - mean for each of two channels.
    assert_allclose(log_likelihood(means, daily), (2 * np.log(means) - means).sum(axis=0))


def test_curves_are_read_off_at_steady_spend() -> None:
    ones = np.ones((1, 1))
    curves = Curves(("A",), 0 * ones, 0.2 * ones, 50 * ones, 0 * ones, np.array([30.0]))
    # 0.2 * 50 / (1 + 50 / 50) = 5 conversions; slope 0.2 / 4 at the margin.
    assert curves.response(np.array([50.0]))[0, 0] == pytest.approx(5)
    assert curves.expected_revenue(np.array([50.0]))[0] == pytest.approx(150)
    assert curves.marginal_revenue(np.array([50.0]))[0] == pytest.approx(1.5)


def test_the_least_of_several_means_is_taken_in_every_resample() -> None:
    better, worse = np.full(70, 2.0), np.full(35, -1.0)
    assert least_mean([better], 7, 200, 1).low == 2.0
    both = least_mean([better, worse], 7, 200, 1)
    assert (both.value, both.low, both.high) == (-1.0, -1.0, -1.0)
    noise = np.random.default_rng(2).normal(0, 1, 700)
    found = least_mean([noise], 1, 2000, 1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * noise.std() / 700**0.5, rel=0.1)


def test_days_are_counted_from_the_first() -> None:
    history = make_company(2, scale=0.02, days=120)[0]
    assert history.day(date(2026, 1, 1)) == 120
    assert history.date(0) == history.first_day
    assert history.date(10**6) is None
