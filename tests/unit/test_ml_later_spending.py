"""How much segments tell of later behaviour: hand-computed, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from ml.customer_segmentation.evaluate import later_spending_losses


def test_a_segment_is_worth_what_the_mean_of_its_fitted_customers_predicts() -> None:
    labels = np.array([0, 0, 1, 1])
    outcome = np.array([[0.0], [2.0], [6.0], [8.0]])  # means 1 and 7, variance 10
    found = later_spending_losses(labels, outcome, np.array([0, 1, 1]), np.array([[1.0], [7], [2]]))
    assert found.tolist() == [0.0, 0.0, 2.5]


def test_a_segment_without_fitted_customers_predicts_the_mean_of_all() -> None:
    outcome = np.array([[0.0], [4.0]])
    found = later_spending_losses(np.array([0, 1]), outcome, np.array([9]), np.array([[2.0]]))
    assert found.tolist() == [0.0]


def test_an_outcome_that_never_varies_costs_nothing_where_it_is_met() -> None:
    outcome = np.zeros((3, 2))
    assert later_spending_losses(np.arange(3), outcome, np.arange(3), outcome).tolist() == [0] * 3


def test_one_minus_the_mean_loss_is_the_variance_that_a_regression_on_segments_explains() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 5000)
    outcome = np.column_stack([labels * 2.0, -labels]) + random.normal(0, 1, (5000, 2))
    dummies = np.eye(4)[labels]
    fitted = LinearRegression(fit_intercept=False).fit(dummies, outcome)
    loss = later_spending_losses(labels, outcome, labels, outcome)
    assert 1 - loss.mean() == pytest.approx(r2_score(outcome, fitted.predict(dummies)))


def test_labels_that_say_nothing_explain_nothing() -> None:
    random = np.random.default_rng(4)
    outcome = random.normal(0, 1, (4000, 2))
    labels = random.integers(0, 5, 4000)
    loss = later_spending_losses(labels[:3000], outcome[:3000], labels[3000:], outcome[3000:])
    assert 1 - loss.mean() < 0.01


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="need customers"):
        later_spending_losses(np.array([]), np.zeros((0, 2)), np.array([0]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="same customers"):
        later_spending_losses(np.array([0, 1]), np.zeros((1, 2)), np.array([0]), np.zeros((1, 2)))
