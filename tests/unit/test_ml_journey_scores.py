"""Measures against scikit-learn's, calibration and BG/NBD against what was planted."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from ml.journey_simulation import bgnbd
from ml.journey_simulation.calibration import (
    Platt,
    calibration_error,
    fit_platt,
    reliability,
)
from ml.journey_simulation.scores import (
    auc,
    class_log_losses,
    intervals,
    log_losses,
    macro_f1,
    weighted_auc,
)

RANDOM = np.random.default_rng(11)
CHANCE = np.round(RANDOM.random(4000), 2)  # with ties
HAPPENED = (RANDOM.random(4000) < CHANCE).astype(float)


def test_auc_is_that_of_scikit_learn_with_ties_and_weights() -> None:
    weight = RANDOM.integers(0, 4, 4000).astype(float)
    assert auc(CHANCE, HAPPENED) == pytest.approx(roc_auc_score(HAPPENED, CHANCE), abs=1e-12)
    assert weighted_auc(CHANCE, HAPPENED)(weight) == pytest.approx(
        roc_auc_score(HAPPENED, CHANCE, sample_weight=weight), abs=1e-12
    )
    assert np.isnan(auc(CHANCE, np.ones(4000)))


def test_losses_and_f1_are_those_of_scikit_learn() -> None:
    chance = np.clip(CHANCE, 0.01, 0.99)
    assert log_losses(chance, HAPPENED).mean() == pytest.approx(log_loss(HAPPENED, chance))
    stage, named = RANDOM.integers(0, 5, 500), RANDOM.integers(0, 5, 500)
    weight = RANDOM.integers(0, 3, 500).astype(float)
    assert macro_f1(stage, named) == pytest.approx(f1_score(stage, named, average="macro"))
    assert macro_f1(stage, named, weight) == pytest.approx(
        f1_score(stage, named, average="macro", sample_weight=weight)
    )
    chances = RANDOM.dirichlet(np.ones(5), 500)
    assert class_log_losses(chances, stage).mean() == pytest.approx(
        log_loss(stage, chances, labels=range(5))
    )


def test_intervals_resample_customers_and_not_rows() -> None:
    """Ten rows a customer, all alike: the interval is that of the customers' number."""
    per_customer = RANDOM.normal(size=200)
    rows, customers = np.repeat(per_customer, 10), np.repeat(np.arange(200), 10)
    (found,) = intervals(lambda w: (float(w @ rows / w.sum()),), customers, 2000, seed=1)
    deviation = per_customer.std() / np.sqrt(200)
    assert found.value == pytest.approx(per_customer.mean(), abs=1e-6)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)


def test_platt_undoes_a_planted_distortion() -> None:
    truth = RANDOM.beta(1, 8, 40_000)
    happened = (RANDOM.random(40_000) < truth).astype(float)
    distorted = expit(2.0 * logit(truth) + 1.0)
    found = fit_platt(distorted, happened)
    # z = 2 t + 1, so that t = 0.5 z - 0.5.
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.shift == pytest.approx(-0.5, abs=0.08)
    before, after = (calibration_error(p, happened) for p in (distorted, found.apply(distorted)))
    assert after < 0.01 < before


def test_platt_changes_nothing_where_nothing_can_be_learnt() -> None:
    assert fit_platt(np.array([0.2, 0.4]), np.array([0.0, 0.0])) == Platt()
    assert fit_platt(1 - CHANCE, HAPPENED) == Platt()  # a ranking is never turned round


def test_calibration_error_by_hand() -> None:
    chance = np.array([0.1, 0.1, 0.8, 0.8])
    happened = np.array([0.0, 1.0, 1.0, 1.0])
    assert calibration_error(chance, happened, bins=2) == pytest.approx((0.4 * 2 + 0.2 * 2) / 4)
    assert reliability(chance, happened, bins=2) == [
        pytest.approx((0.1, 0.5, 2)),
        pytest.approx((0.8, 1.0, 2)),
    ]
    assert calibration_error(np.array([0.3]), np.array([0.0])) == pytest.approx(0.3)


@pytest.fixture(scope="module")
def played() -> tuple[np.ndarray, ...]:
    """60,000 customers of a BG/NBD, observed 300 days, and whether they buy in the next 30."""
    random = np.random.default_rng(3)
    n, end, days = 60_000, 300.0, 30.0
    rate, leaves = random.gamma(0.6, 1 / 25.0, n), random.beta(0.8, 2.5, n)
    x, t_x, now = np.zeros(n), np.zeros(n), np.zeros(n)
    alive, later = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    gone = np.zeros(n, dtype=bool)
    while alive.any():
        now[alive] += random.exponential(1 / np.maximum(rate[alive], 1e-12))
        later |= alive & (now > end) & (now <= end + days)
        alive &= now <= end
        x[alive] += 1
        t_x[alive] = now[alive]
        leaving = alive & (random.random(n) < leaves)
        gone |= leaving
        alive &= ~leaving
    return x, t_x, np.full(n, end), later, ~gone


def test_bgnbd_recovers_what_was_planted(played: tuple[np.ndarray, ...]) -> None:
    x, t_x, age, *_ = played
    fitted = bgnbd.fit(x, t_x, age)
    planted = np.array([0.6, 25.0, 0.8, 2.5])
    likelihood = [
        bgnbd.log_likelihood(p, x, t_x, age)[:: len(x) // bgnbd.FIT_CUSTOMERS].mean()
        for p in (fitted, planted)
    ]
    assert likelihood[0] >= likelihood[1]
    assert fitted[0] == pytest.approx(0.6, rel=0.15)
    assert fitted[1] == pytest.approx(25.0, rel=0.25)


def test_bgnbd_chances_come_true(played: tuple[np.ndarray, ...]) -> None:
    x, t_x, age, later, still_there = played
    planted = np.array([0.6, 25.0, 0.8, 2.5])
    chance = bgnbd.buys_within(planted, x, t_x, age, 30.0)
    assert calibration_error(chance, later.astype(float)) < 0.01
    alive = bgnbd.alive(planted, x, t_x, age)
    assert calibration_error(alive, still_there.astype(float)) < 0.01
    assert (alive[x == 0] == 1).all()


def test_bgnbd_without_any_repeat_begins_where_it_begins() -> None:
    none = np.zeros(5)
    assert bgnbd.fit(none, none, np.full(5, 90.0)).tolist() == list(bgnbd.START)
