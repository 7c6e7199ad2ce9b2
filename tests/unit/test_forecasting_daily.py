"""Daily forecasts: the methods, the backtest's layout, and the calibration of intervals."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ml.artefacts import ArtefactError
from ml.forecasting import company
from ml.forecasting.backtest import Errors, Layout, backtest, choose, forecast_from, naive_scale
from ml.forecasting.company import METHODS
from ml.forecasting.conformal import bounds, effective, upper_quantile
from ml.forecasting.daily import Daily

Floats = NDArray[np.float64]

START = date(2024, 1, 1)
SMALL = Layout(horizon_days=28, settle_days=7, stale_days=30, min_days=90)
WEEK = np.array([90.0, 80, 100, 110, 140, 160, 120])


def simulated(kind: str, days: int, seed: int) -> Daily:
    """A series of a known kind: steady, growing, wandering (a random walk), or skewed."""
    random = np.random.default_rng(seed)
    ahead = np.arange(days)
    week = 1 + 0.25 * np.sin(2 * np.pi * ahead / 7)
    if kind == "steady":
        values = 1000 * week + random.normal(0, 150, days)
    elif kind == "growing":
        values = (500 + 1.5 * ahead) * week * random.lognormal(0, 0.2, days)
    elif kind == "wandering":
        walk = np.cumsum(random.normal(0, 12, days))
        values = 1000 * week + walk + random.normal(0, 100, days)
    else:
        values = 1000 * week * random.gamma(4, 1 / 4, days)
    return Daily(START, np.maximum(values, 0.0))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_week_that_repeats_is_forecast_to_repeat(name: str) -> None:
    series = Daily(START, np.tile(WEEK, 30) + np.random.default_rng(1).normal(0, 1, 210))
    method = METHODS[name]
    params = method.fit(series, 35, seed=1)
    found = method.forecast(params, series, 35)
    assert found.shape == (35,)
    np.testing.assert_allclose(found, np.tile(WEEK, 5), atol=6)
    # The same again, to the bit.
    assert method.fit(series, 35, seed=1) == params
    np.testing.assert_array_equal(method.forecast(params, series, 35), found)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_old_parameters_follow_the_recent_level(name: str) -> None:
    # Parameters from 200 days; then sales double, and stay so for ten weeks.
    noise = np.random.default_rng(2).normal(0, 2, 273)
    series = Daily(START, np.concatenate([np.tile(WEEK, 29)[:203], 2 * np.tile(WEEK, 10)]) + noise)
    method = METHODS[name]
    params = method.fit(series.before(START + timedelta(days=203)), 28, seed=1)
    found = method.forecast(params, series, 28)
    assert found.mean() == pytest.approx(2 * WEEK.mean(), rel=0.12)


def test_days_that_have_not_settled_and_days_to_come_change_no_forecast() -> None:
    series = simulated("growing", 300, 3)
    origin = START + timedelta(days=250)
    cut = replace(series, values=series.values.copy())
    cut.values[250 - SMALL.settle_days :] = 1e6
    for name in ("seasonal_naive", "theta"):
        method = METHODS[name]
        np.testing.assert_array_equal(
            forecast_from(method, b"{}", series, origin, SMALL),
            forecast_from(method, b"{}", cut, origin, SMALL),
        )


def test_the_seasonal_naive_forecast_is_the_last_settled_week() -> None:
    series = Daily(START, np.arange(100.0))
    found = forecast_from(METHODS["seasonal_naive"], b"{}", series, series.end, SMALL)
    # The last settled day is 92; day 100 falls on the weekday of days 93 and 86.
    assert found[:8].tolist() == [86, 87, 88, 89, 90, 91, 92, 86]


@pytest.mark.parametrize(("days", "origins"), [(147, 0), (148, 1), (154, 1), (155, 2), (1000, 52)])
def test_origins_fit_into_the_series(days: int, origins: int) -> None:
    # 90 days to learn from, stale by 30, and 28 to forecast.
    series = simulated("steady", days, 1)
    found = SMALL.origins(series)
    assert len(found) == origins
    if found:
        assert found[-1] + timedelta(days=28) == series.end
        assert found[0] - timedelta(days=30) >= START + timedelta(days=90)
    else:
        with pytest.raises(ValueError, match="no room"):
            backtest(series, [METHODS["seasonal_naive"]], SMALL, 1)


def errors_of(first: float, later: float) -> Errors:
    table = np.concatenate([np.full((6, 30), first), np.full((6, 60), later)], axis=1)
    return Errors(table, np.full(6, 100.0), 2.0)


def test_the_baseline_stays_unless_it_is_beaten_at_every_horizon() -> None:
    naive, sometimes, always = errors_of(4, 4), errors_of(1, 20), errors_of(3, 3)
    assert naive.mase(30) == 2
    tried = {"seasonal_naive": naive, "theta": sometimes}
    assert choose(tried, "seasonal_naive", (30, 90)) == "seasonal_naive"
    tried["ets"] = always
    assert choose(tried, "seasonal_naive", (30, 90)) == "ets"
    tried["equal"] = naive
    assert choose({"seasonal_naive": naive, "equal": naive}, "seasonal_naive", (30, 90)) == (
        "seasonal_naive"
    )


def test_the_scale_is_the_mean_change_from_week_to_week() -> None:
    assert naive_scale(np.arange(20.0)) == 7
    assert naive_scale(np.arange(5.0)) > 0


def test_theta_beats_the_seasonal_naive_forecast_of_noise() -> None:
    layout = replace(SMALL, horizon_days=90, step_days=14)
    series = simulated("steady", 330, 5)
    tried = company.try_methods(series, ("theta",), layout, 1)
    assert company.winner(tried) == "theta"
    for days in company.HORIZONS:
        assert tried["theta"].mase(days) < 0.85 * tried["seasonal_naive"].mase(days)


def test_no_method_foretells_shuffled_days() -> None:
    # Days in random order can be told no better than by their mean: less error would be a leak.
    series = simulated("growing", 330, 6)
    mixed = Daily(START, np.random.default_rng(7).permutation(series.values))
    layout = replace(SMALL, step_days=14)
    tried = backtest(mixed, [METHODS["theta"], METHODS["xgboost"]], layout, 1)
    origins = layout.origins(mixed)
    actual = np.stack([mixed.between(o, o + timedelta(days=28)) for o in origins])
    best = np.abs(actual - np.median(mixed.values)).mean()
    for errors in tried.values():
        assert np.abs(errors.error).mean() > 0.98 * best


def test_quantiles_are_interpolated_between_order_statistics() -> None:
    errors = np.arange(1.0, 10.0)
    assert upper_quantile(errors, 0.8, 9) == pytest.approx(8)  # rank .8 x 10
    assert upper_quantile(errors, 0.85, 9) == pytest.approx(8.5)
    assert upper_quantile(errors, 0.99, 9) == 9  # too few for it: the largest
    assert upper_quantile(np.array([3.0]), 0.8, 1) == 3


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_independent_errors_are_covered_as_stated(level: float) -> None:
    # 1,200 times: the interval from 60 errors, and one more error of the same kind.
    random = np.random.default_rng(11)
    draws = np.exp(0.5 * random.normal(size=(1200, 61)))
    inside = []
    for row in draws:
        low, high = bounds(row[:60, None], level)
        inside.append(low <= row[60] <= high)
    assert np.mean(inside) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 1200))


def test_errors_that_are_alike_count_as_one() -> None:
    random = np.random.default_rng(12)
    alone = random.normal(size=(50, 7))
    alike = np.repeat(random.normal(size=(50, 1)), 7, axis=1)
    assert 200 < effective(alone) <= 350
    assert 20 < effective(alike) <= 60
    slow = np.repeat(random.normal(size=(10, 1)), 5, axis=0)  # five origins in a row are alike
    assert effective(slow) < 25


def coverage(seeds: range, names: tuple[str, ...], days: int, layout: Layout) -> dict[str, Floats]:
    """The share of days inside the intervals, one value per series of known kind."""
    found: dict[str, list[float]] = {"0.8": [], "0.95": []}
    for seed in seeds:
        kind = ("steady", "growing", "wandering", "skewed")[seed % 4]
        whole = simulated(kind, days + layout.horizon_days, seed)
        series = whole.before(START + timedelta(days=days))
        tried = company.try_methods(series, names, layout, 1)
        name = company.winner(tried)
        version = company.fit_method(name, series, tried[name], layout, 1)
        told = company.forecast(version, series, series.end, layout)
        actual = whole.values[days:]
        for level, shares in found.items():
            inside = (actual >= told.low[level]) & (actual <= told.high[level])
            shares.append(float(inside.mean()))
    return {level: np.array(shares) for level, shares in found.items()}


def assert_nominal(found: dict[str, Floats]) -> None:
    for level, shares in found.items():
        half = stats.t.ppf(0.995, len(shares) - 1) * shares.std(ddof=1) / np.sqrt(len(shares))
        assert abs(shares.mean() - float(level)) <= half, (level, shares.mean(), half)


def test_intervals_of_the_seasonal_naive_forecast_cover_as_stated_over_90_days() -> None:
    layout = Layout(stale_days=30)
    assert_nominal(coverage(range(70_000, 70_032), (), 560, layout))


def test_intervals_of_the_chosen_method_cover_as_stated() -> None:
    layout = replace(SMALL, max_origins=26)
    assert_nominal(coverage(range(80_000, 80_020), ("theta",), 340, layout))


def test_a_version_comes_back_from_its_files() -> None:
    layout = replace(SMALL, horizon_days=90)
    series = simulated("steady", 300, 9)
    tried = company.try_methods(series, (), layout, 1)
    version = company.fit_method("seasonal_naive", series, tried["seasonal_naive"], layout, 1)
    assert company.from_files(company.to_files(version)) == version
    with pytest.raises(ArtefactError):
        company.from_files({"company.json": b"{}"})
    with pytest.raises(ArtefactError):
        company.from_files({})
    told = company.forecast(version, series, series.end, layout)
    for wide, narrow in (
        (told.low["0.95"], told.low["0.8"]),
        (told.high["0.8"], told.high["0.95"]),
    ):
        assert (wide <= narrow).all()
    for days, expected, low, high in told.totals["0.95"]:
        assert expected == pytest.approx(told.values[:days].sum())
        assert 0 <= low <= expected <= high
    assert ((told.confidence > 0) & (told.confidence < 1)).all()
