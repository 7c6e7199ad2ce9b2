"""Evaluation on held-out customers: the figures themselves, and what they decide."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from ml import evaluation
from ml.customer_segmentation.config import MODEL_FEATURES, SegmentationConfig
from ml.customer_segmentation.evaluate import judge, monetary_quintiles, split
from ml.customer_segmentation.model import fit
from ml.customer_segmentation.versions import version_name
from ml.features import FEATURE_COLUMNS, fingerprint
from tests.unit.test_ml_segmentation import planted

CONFIG = SegmentationConfig()


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


def test_the_split_shares_no_customer_and_caps_the_held_out() -> None:
    frame, _ = planted(100, 1)
    parts = split(frame, CONFIG)
    assert not set(parts.fit["customer_id"]) & set(parts.holdout["customer_id"])
    assert len(parts.fit) + len(parts.holdout) == 500
    capped = split(frame, replace(CONFIG, max_silhouette=30))
    assert len(capped.holdout) == 30
    assert len(capped.fit) == len(parts.fit)


def test_the_baseline_is_five_groups_by_spending() -> None:
    train = pd.DataFrame({"monetary": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]})
    fresh = pd.DataFrame({"monetary": [0.0, 20.0, 29.0, 30.0, 45.0, 1e9]})
    # quintile bounds of the training customers: 20, 30, 40, 50
    assert monetary_quintiles(train, fresh).tolist() == [0, 1, 1, 2, 3, 4]


def test_the_first_version_is_champion_and_beats_the_baseline() -> None:
    parts = split(planted(200, 2)[0], CONFIG)
    verdict = judge(fit(parts.fit, CONFIG, "1998-04-01"), None, parts, CONFIG)
    assert verdict.promoted
    score, gain = verdict.metrics
    assert (score.name, score.baseline) == ("silhouette", "rfm_quantile")
    assert score.low is not None
    assert score.baseline_value is not None
    assert score.low <= score.value
    assert score.low > score.baseline_value
    assert gain.low is not None
    assert gain.low > 0


def test_a_version_that_is_worse_beyond_noise_is_not_promoted() -> None:
    parts = split(planted(200, 3)[0], CONFIG)
    good = fit(parts.fit, CONFIG, "1998-04-01")
    mixed = np.tile(good.centroids.mean(axis=0), (5, 1))
    bad = replace(good, centroids=mixed + np.random.default_rng(0).normal(0, 0.3, mixed.shape))
    verdict = judge(bad, good, parts, CONFIG)
    assert not verdict.promoted
    assert "champion stays" in verdict.message
    assert verdict.metrics[-1].name == "gain_over_champion"
    assert verdict.metrics[-1].high is not None
    assert verdict.metrics[-1].high < 0


def test_a_version_as_good_as_the_champion_replaces_it() -> None:
    parts = split(planted(200, 3)[0], CONFIG)
    good = fit(parts.fit, CONFIG, "1998-04-01")
    assert judge(good, good, parts, CONFIG).promoted


def test_too_few_held_out_customers_keep_the_champion() -> None:
    parts = split(planted(200, 3)[0], CONFIG)
    good = fit(parts.fit, CONFIG, "1998-04-01")
    few = replace(parts, holdout=parts.holdout.iloc[:1])
    assert judge(good, None, few, CONFIG).promoted
    kept = judge(good, good, few, CONFIG)
    assert not kept.promoted
    assert kept.metrics == ()
    assert "too few held-out customers" in kept.message


def test_a_version_name_says_until_when_and_changes_with_data_and_settings() -> None:
    frame, _ = planted(20, 3)
    for column in FEATURE_COLUMNS:
        if column not in MODEL_FEATURES:
            frame[column] = 0.0
    data = fingerprint(frame)
    name = version_name(date(1998, 4, 1), CONFIG, data)
    assert name.startswith("1998-04-01-")
    assert len(name) == len("1998-04-01-") + 8
    assert name == version_name(date(1998, 4, 1), SegmentationConfig(), fingerprint(frame.copy()))
    assert name != version_name(date(1998, 4, 1), replace(CONFIG, segments=4), data)
    frame.loc[3, "monetary"] = np.nextafter(frame.loc[3, "monetary"], np.inf)
    assert fingerprint(frame) != data
