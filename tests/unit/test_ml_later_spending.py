"""How much segments tell of later behaviour: hand-computed, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from ml.customer_segmentation.evaluate import Grouping, later_spending_losses


def losses(fit: object, outcome_fit: object, held: object, outcome: object) -> np.ndarray:
    groups = Grouping(np.asarray(fit), np.asarray(held))
    return later_spending_losses(groups, np.asarray(outcome_fit), np.asarray(outcome))


def test_a_segment_is_worth_what_the_mean_of_its_fitted_customers_predicts() -> None:
    found = losses([0, 0, 1, 1], [0.0, 2, 6, 8], [0, 1, 1], [1.0, 7, 2])  # means 1 and 7
    assert found.tolist() == [0.0, 0.0, 25.0]


def test_a_segment_without_fitted_customers_predicts_the_mean_of_all() -> None:
    assert losses([0, 1], [0.0, 4.0], [9], [2.0]).tolist() == [0.0]


def test_the_losses_are_those_of_a_regression_on_segments() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 5000)
    outcome = labels * 2.0 + random.normal(0, 1, 5000)
    dummies = np.eye(4)[labels]
    fitted = LinearRegression(fit_intercept=False).fit(dummies, outcome)
    explained = 1 - losses(labels, outcome, labels, outcome).mean() / outcome.var()
    assert explained == pytest.approx(r2_score(outcome, fitted.predict(dummies)))


def test_labels_that_say_nothing_explain_nothing() -> None:
    random = np.random.default_rng(4)
    outcome = random.normal(0, 1, 4000)
    labels = random.integers(0, 5, 4000)
    loss = losses(labels[:3000], outcome[:3000], labels[3000:], outcome[3000:])
    assert 1 - loss.mean() / outcome[3000:].var() < 0.01
