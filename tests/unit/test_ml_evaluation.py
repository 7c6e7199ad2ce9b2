"""Evaluation on held-out customers: the figures themselves, and what they decide."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f_oneway
from sklearn.metrics import silhouette_score

from ml import evaluation
from ml.customer_segmentation.config import SegmentationConfig
from ml.customer_segmentation.evaluate import (
    Grouping,
    compare,
    later_spending_losses,
    silhouette_metric,
    split,
)
from ml.customer_segmentation.kmeans import History, KMeansModel
from ml.customer_segmentation.model import fit, fit_spending_groups, predict
from ml.metrics import Interval
from tests.unit.test_ml_segmentation import planted

CONFIG = SegmentationConfig()

# log(1 + spent in the window) that each planted kind comes to, in the order of `PLANTED`: what
# the new ones spend is not what they have spent so far.
LATER = np.array([6.0, 5.0, 4.0, 0.2, 0.5])


def history(each: int, seed: int) -> History:
    """Planted customers, whose later spending is that of their kind and a little noise."""
    frame, truth = planted(each, seed)
    frame["later"] = LATER[truth] + np.random.default_rng(seed).normal(0, 0.3, len(frame))
    parts = split(frame, CONFIG)
    return History(
        parts, parts.fit["later"].to_numpy(), parts.holdout["later"].to_numpy(), "1998-04-01"
    )


def test_silhouettes_of_four_points_on_a_line() -> None:
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    found = evaluation.silhouettes(points, np.array([0, 0, 1, 1]))
    # a is 1 for all; b is 10.5 for the outer two and 9.5 for the inner two.
    expected = [1 - 1 / 10.5, 1 - 1 / 9.5, 1 - 1 / 9.5, 1 - 1 / 10.5]
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_silhouette_that_is_not_defined_is_none(labels: list[int]) -> None:
    assert evaluation.silhouettes(np.array([[0.0], [1.0], [2.0]]), np.array(labels)) is None


def test_the_bootstrap_interval_is_that_of_the_normal_for_many_values() -> None:
    values = np.random.default_rng(5).normal(3.0, 2.0, 4000)
    found = evaluation.bootstrap_mean(values, 2000, seed=1)
    error = values.std() / np.sqrt(len(values))
    assert found.value == round(values.mean(), 6)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert found == evaluation.bootstrap_mean(values, 2000, seed=1)


def test_held_out_customers_stay_held_out() -> None:
    ids = [f"C{i:05d}" for i in range(20_000)]
    ranks = evaluation.holdout_ranks(ids, 42)
    assert ((ranks >= 0) & (ranks < 1)).all()
    assert (ranks < 0.2).mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(ranks[500:600], evaluation.holdout_ranks(ids[500:600], 42))
    assert not np.array_equal(ranks, evaluation.holdout_ranks(ids, 43))
    assert len(evaluation.holdout_ranks([], 42)) == 0


def test_the_split_shares_no_customer_and_orders_the_held_out_by_chance() -> None:
    frame, _ = planted(100, 1)
    parts = split(frame, CONFIG)
    assert not set(parts.fit["customer_id"]) & set(parts.holdout["customer_id"])
    assert len(parts.fit) + len(parts.holdout) == 500
    ranks = evaluation.holdout_ranks(list(parts.holdout["customer_id"]), CONFIG.random_state)
    assert (np.diff(ranks) > 0).all()
    shuffled = split(frame.sample(frac=1, random_state=1), CONFIG)
    assert list(shuffled.holdout["customer_id"]) == list(parts.holdout["customer_id"])


def test_what_a_label_foretells_is_the_mean_of_those_fit_on() -> None:
    groups = Grouping(np.array([0, 0, 1]), np.array([0, 1, 7]))
    losses = later_spending_losses(groups, np.array([1.0, 3.0, 10.0]), np.array([2.0, 8.0, 0.0]))
    # label 0: mean 2; label 1: mean 10; label 7, that nobody fit on has: the mean of all, 14/3
    np.testing.assert_allclose(losses, [0.0, 4.0, (14 / 3) ** 2])


def test_the_share_explained_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(11)
    labels = random.integers(0, 4, 300)
    outcome = labels * 0.7 + random.normal(0, 1, 300)
    same = Grouping(labels, labels)
    judged = compare(same, same, same, outcome, outcome, CONFIG)
    f = f_oneway(*(outcome[labels == i] for i in range(4))).statistic
    (told,) = judged.metrics
    assert told.value == pytest.approx(f * 3 / (f * 3 + 300 - 4), abs=1e-6)
    assert told.low is not None and told.high is not None
    assert told.low < told.value < told.high
    assert (told.name, told.baseline) == ("later_spending_explained", "rfm_quantile")
    assert told.baseline_value == told.value


def test_groups_that_are_the_champions_gain_exactly_nothing() -> None:
    labels = np.arange(200) % 3
    one = Grouping(labels, labels)
    other = Grouping(5 - labels, 5 - labels)  # the same groups by other numbers
    outcome = labels + np.random.default_rng(3).normal(0, 1, 200)
    for challenger in (one, other):
        judged = compare(challenger, one, one, outcome, outcome, CONFIG)
        assert judged.gain == Interval(0.0, 0.0, 0.0)


def test_the_gain_has_the_sign_of_who_tells_more() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 3, 400)
    outcome = labels * 2.0 + random.normal(0, 1, 400)
    knows = Grouping(labels[:300], labels[300:])
    guesses = Grouping(random.integers(0, 3, 300), random.integers(0, 3, 100))
    better = compare(knows, guesses, guesses, outcome[:300], outcome[300:], CONFIG)
    worse = compare(guesses, guesses, knows, outcome[:300], outcome[300:], CONFIG)
    assert 0 < better.gain.low < better.gain.value < better.gain.high
    assert (worse.gain.value, worse.gain.low, worse.gain.high) == pytest.approx(
        (-better.gain.value, -better.gain.high, -better.gain.low), abs=2e-6
    )
    assert better.metrics[0].value > 0.5 > 0.1 > better.metrics[0].baseline_value  # type: ignore[operator]
    assert "later spending" in better.headline


@pytest.mark.parametrize("outcome", [[], [0.0], [0.0, 0.0, 0.0], [2.0]])
def test_outcomes_that_are_all_the_same_tell_nothing(outcome: list[float]) -> None:
    number = len(outcome)
    groups = Grouping(np.array([0, 1, 1]), np.arange(number))
    judged = compare(groups, groups, groups, np.ones(3), np.array(outcome), CONFIG)
    assert (judged.metrics, judged.gain) == ((), Interval(0.0, 0.0, 0.0))
    assert "nothing to tell" in judged.headline


def test_the_silhouette_stands_beside_that_of_the_baseline() -> None:
    points = np.random.default_rng(2).normal(0, 1, (60, 2)) + np.repeat([[0, 0], [9, 9]], 30, 0)
    own, base = np.repeat([0, 1], 30), np.arange(60) % 2
    (found,) = silhouette_metric(points, own, base, CONFIG)
    assert found.value == pytest.approx(silhouette_score(points, own), abs=1e-6)
    assert found.baseline_value == pytest.approx(silhouette_score(points, base), abs=1e-6)
    assert silhouette_metric(points, np.zeros(60, int), base, CONFIG) == ()
    (alone,) = silhouette_metric(points, own, np.zeros(60, int), CONFIG)
    assert (alone.baseline, alone.baseline_value) == (None, None)


@pytest.mark.parametrize("seed", [2, 3])
def test_kmeans_tells_more_than_spending_groups_where_kinds_differ(seed: int) -> None:
    data, model = history(200, seed), KMeansModel()
    baseline = model.fit_baseline(data)
    judged = model.judge(data, model.fit(data, baseline), baseline, baseline)
    figures = {metric.name: metric for metric in judged.metrics}
    told, apart = figures["later_spending_explained"], figures["silhouette"]
    assert judged.gain.low > 0.05
    assert told.value > 0.9  # the noise is 0.3 against a spread of 2.4
    assert told.baseline_value is not None and told.value - told.baseline_value > 0.05
    assert apart.name == "silhouette"
    assert apart.low is not None and apart.baseline_value is not None
    assert apart.low > apart.baseline_value


def test_a_version_that_is_worse_beyond_noise_gains_less_than_nothing() -> None:
    data, model = history(200, 3), KMeansModel()
    baseline, good = model.fit_baseline(data), model.fit(data, None)
    mixed = np.tile(good.centroids.mean(axis=0), (5, 1))
    bad = replace(good, centroids=mixed + np.random.default_rng(0).normal(0, 0.3, mixed.shape))
    assert model.judge(data, bad, baseline, good).gain.high < 0


def test_a_version_as_good_as_the_champion_gains_nothing() -> None:
    data, model = history(50, 3), KMeansModel()
    good = model.fit(data, None)
    assert model.judge(data, good, model.fit_baseline(data), good).gain == Interval(0.0, 0.0, 0.0)


def test_the_silhouette_uses_as_many_held_out_customers_as_it_may() -> None:
    data = history(200, 3)
    model = KMeansModel(replace(CONFIG, max_silhouette=30))
    good = fit(data.parts.fit, CONFIG)
    judged = model.judge(data, good, fit_spending_groups(data.parts.fit, CONFIG), good)
    points = good.scaler.transform(data.parts.holdout)[:30]
    own = predict(good, data.parts.holdout).segment[:30]
    (shown,) = (metric for metric in judged.metrics if metric.name == "silhouette")
    assert shown.value == pytest.approx(silhouette_score(points, own), abs=1e-6)
