"""BG/NBD and Gamma-Gamma against what was published of CDNOW's one-in-ten sample of customers.

Fader, Hardie and Lee (Marketing Science 2005), table 2 and section 4; Fader, Hardie and Lee
(Journal of Marketing Research 2005). Calibration is weeks 1-39, the holdout weeks 40-78.
"""

import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from ml.forecasting import bgnbd, gamma_gamma
from ml.forecasting.likelihood import NotFittedError

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "CDNOW_sample.txt.gz"
END = pd.Timestamp("1997-09-30")

Floats = NDArray[np.float64]


@cache
def sample() -> pd.DataFrame:
    """One row a customer: x, t_x and T in weeks, mean repeat value, and holdout purchases."""
    with gzip.open(SAMPLE, "rt") as lines:
        sales = pd.read_csv(lines, sep=r"\s+", header=None, dtype={2: str},
                            names=["master", "customer", "day", "cds", "dollars"])  # fmt: skip
    assert len(sales) == 6_919
    sales["day"] = pd.to_datetime(sales["day"], format="%Y%m%d")
    days = sales.groupby(["customer", "day"], as_index=False)["dollars"].sum()
    first = days.groupby("customer")["day"].transform("min")
    days["repeat"] = days["day"] > first
    seen, later = days[days["day"] <= END], days[days["day"] > END]
    table = seen.groupby("customer")["day"].agg(["min", "max"])
    again = seen[seen["repeat"]].groupby("customer")["dollars"]
    table["x"] = again.size().reindex(table.index, fill_value=0).astype(float)
    table["m"] = again.mean().reindex(table.index, fill_value=0.0)
    table["tx"] = (table["max"] - table["min"]).dt.days / 7
    table["T"] = (END - table["min"]).dt.days / 7
    table["later"] = later.groupby("customer").size().reindex(table.index, fill_value=0)
    return pd.DataFrame(table)


def histories() -> bgnbd.Histories:
    table = sample()
    return bgnbd.Histories(*(table[c].to_numpy(dtype=float) for c in ("x", "tx", "T")))


@cache
def fitted() -> bgnbd.BgNbd:
    return bgnbd.fit(histories())


def test_bgnbd_gives_the_published_parameters() -> None:
    assert len(sample()) == 2_357
    model = fitted()
    assert round(model.r, 3) == 0.243
    assert round(model.alpha, 3) == 4.414
    assert round(model.a, 3) == 0.793
    assert round(model.b, 3) == 2.426
    assert round(model.log_likelihood(histories()), 1) == -9582.4


def test_gamma_gamma_gives_the_published_parameters() -> None:
    table = sample()
    repeaters = table[table["x"] > 0]
    assert len(repeaters) == 946
    model = gamma_gamma.fit(repeaters["x"].to_numpy(), repeaters["m"].to_numpy())
    assert (round(model.p, 2), round(model.q, 2), round(model.gamma, 2)) == (6.25, 3.74, 15.44)


def test_bgnbd_forecasts_the_holdout_better_than_the_past_repeated() -> None:
    table = sample()
    later = table["later"].to_numpy(dtype=float)
    assert later.sum() == 1_882
    expected = fitted().expected_purchases(histories(), 39.0)
    assert expected.sum() == pytest.approx(1_653, abs=1)
    assert np.corrcoef(expected, later)[0, 1] >= 0.62
    rmse = np.sqrt(((expected - later) ** 2).mean())
    # The past repeated: each customer goes on at their own pace so far.
    pace = table["x"].to_numpy() / table["T"].to_numpy() * 39
    naive = np.sqrt(((pace - later) ** 2).mean())
    assert rmse <= 1.61
    assert round(float(naive), 2) == 2.21


def test_expectations_agree_with_integration_over_the_customers_that_could_be() -> None:
    # Independent of the closed form: while alive lambda ~ Gamma(r + x, alpha + T) and p ~ Beta(a,
    # b + x); a customer of known lambda and p buys (1 - exp(-lambda p t)) / p times on average,
    # which over lambda is (1 - (beta / (beta + p t))^(r + x)) / p with beta = alpha + T.
    model = bgnbd.BgNbd(0.5, 3.0, 1.4, 2.2)
    x, tx, age, time = 3.0, 20.0, 26.0, 8.0
    one = bgnbd.Histories(np.array([x]), np.array([tx]), np.array([age]))

    def of_dropout(p: float) -> float:
        beta = model.alpha + age
        bought = (1 - (beta / (beta + p * time)) ** (model.r + x)) / p
        return float(bought * stats.beta.pdf(p, model.a, model.b + x))

    alive_value, _ = integrate.quad(of_dropout, 0, 1)
    # P(alive): the likelihood of the same customer, still there, against left after t_x.
    still = 1.0
    left = model.a / (model.b + x - 1) * ((model.alpha + age) / (model.alpha + tx)) ** (model.r + x)
    assert model.alive(one)[0] == pytest.approx(still / (still + left), rel=1e-12)
    expected = model.expected_purchases(one, time)[0]
    assert expected == pytest.approx(alive_value * still / (still + left), rel=1e-8)


def test_expectations_stay_sound_for_customers_who_buy_all_the_time() -> None:
    busy = bgnbd.Histories(np.array([500.0]), np.array([99.9]), np.array([100.0]))
    found = fitted().expected_purchases(busy, 10.0)[0]
    assert 40 < found < 50  # five a week, rarely leaving


@pytest.mark.parametrize("a", [1.0, 1.0 - 1e-9])
def test_expectations_are_continuous_where_the_closed_form_divides_by_nothing(a: float) -> None:
    near = bgnbd.BgNbd(0.4, 4.0, 1.001, 2.0).expected_purchases(histories(), 13.0)
    at = bgnbd.BgNbd(0.4, 4.0, a, 2.0).expected_purchases(histories(), 13.0)
    np.testing.assert_allclose(at, near, rtol=0.01)


def test_parameters_do_not_depend_on_the_unit_of_time() -> None:
    weeks = histories()
    days = bgnbd.fit(bgnbd.Histories(weeks.frequency, weeks.recency * 7, weeks.age * 7))
    assert days.alpha / 7 == pytest.approx(fitted().alpha, rel=1e-4)
    assert days.r == pytest.approx(fitted().r, rel=1e-4)


def test_a_customers_orders_pull_the_expected_value_from_the_mean_of_all() -> None:
    model = gamma_gamma.GammaGamma(6.25, 3.74, 15.44)
    everyone = model.p * model.gamma / (model.q - 1)  # 35.2 dollars
    found = model.expected_value(np.array([0.0, 1.0, 1000.0]), np.array([0.0, 80.0, 80.0]))
    assert found[0] == pytest.approx(everyone)
    assert everyone < found[1] < 80
    assert found[2] == pytest.approx(80, abs=0.1)


def test_nobody_who_came_back_is_too_little() -> None:
    once = bgnbd.Histories(np.zeros(5), np.zeros(5), np.full(5, 10.0))
    with pytest.raises(NotFittedError):
        bgnbd.fit(once)
    with pytest.raises(NotFittedError):
        gamma_gamma.fit(np.zeros(0), np.zeros(0))


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(ValueError, match="recency"):
        bgnbd.Histories(np.array([1.0]), np.array([11.0]), np.array([10.0]))
    with pytest.raises(ValueError, match="above 0"):
        gamma_gamma.fit(np.array([1.0]), np.array([0.0]))
