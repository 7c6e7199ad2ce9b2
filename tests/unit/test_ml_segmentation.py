"""The segmentation as pure functions: planted groups, names, ids, confidence, determinism."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from ml import artefacts
from ml.customer_segmentation.config import MODEL_FEATURES, SegmentationConfig
from ml.customer_segmentation.model import (
    Scaler,
    Segmentation,
    assign,
    fit,
    fit_scaler,
    fit_spending_groups,
    from_content,
    predict,
    to_content,
)
from ml.customer_segmentation.naming import ARCHETYPES, SEGMENT_TYPES, name_segments

CONFIG = SegmentationConfig()

# Typical customers of each kind: days since last, purchases, spent, days since first.
PLANTED = {
    "Champions": (8, 25, 2500, 700),
    "High-Value Loyal": (40, 10, 900, 700),
    "New": (10, 1.5, 60, 20),
    "Occasional": (300, 1.5, 40, 500),
    "At-Risk": (400, 6, 500, 800),
}


def planted(each: int, seed: int, spread: float = 0.15) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers scattered (in log space) around the typical ones, in a mixed order."""
    random = np.random.default_rng(seed)
    logs = np.log1p(np.array(list(PLANTED.values()), dtype=float))
    truth = random.permutation(np.repeat(np.arange(len(PLANTED)), each))
    values = np.expm1(logs[truth] + random.normal(0, spread, (len(truth), logs.shape[1])))
    frame = pd.DataFrame(np.maximum(values, 0), columns=list(MODEL_FEATURES))
    frame.insert(0, "customer_id", [f"C{i:05d}" for i in range(len(frame))])
    return frame, truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_planted_groups_are_found_and_named(seed: int) -> None:
    frame, truth = planted(200, seed)
    model = fit(frame, CONFIG)
    found = predict(model, frame)
    assert adjusted_rand_score(truth, found.segment) >= 0.95
    names = np.array(model.names)[found.segment]
    agreement = (names == np.array(list(PLANTED))[truth]).mean()
    assert agreement >= 0.95


def test_new_customers_of_the_same_kinds_are_placed_as_well() -> None:
    frame, _ = planted(200, 1)
    fresh, truth = planted(100, 99)
    found = predict(fit(frame, CONFIG), fresh)
    assert adjusted_rand_score(truth, found.segment) >= 0.95


def test_fitting_again_gives_the_same_bytes() -> None:
    frame, _ = planted(150, 4, spread=0.8)
    first, second = (fit(frame, CONFIG) for _ in range(2))
    assert artefacts.dump(to_content(first)) == artefacts.dump(to_content(second))
    one, two = predict(first, frame), predict(second, frame)
    assert one.segment.tobytes() == two.segment.tobytes()
    assert one.confidence.tobytes() == two.confidence.tobytes()


def test_an_artefact_gives_back_the_same_predictions() -> None:
    frame, _ = planted(50, 5)
    model = fit(frame, CONFIG)
    again = from_content(to_content(model))
    assert again.names == model.names
    assert (predict(again, frame).segment == predict(model, frame).segment).all()


@pytest.mark.parametrize(
    "damage",
    [
        {"about": "{}"},
        {"about": "no json"},
        {"centroids": np.zeros((5, 3))},
        {"center": np.zeros(2)},
    ],
)
def test_content_of_another_shape_is_refused(damage: dict[str, object]) -> None:
    frame, _ = planted(20, 5)
    content = to_content(fit(frame, CONFIG)) | damage
    with pytest.raises(artefacts.ArtefactError):
        from_content(content)


def test_confidence_is_the_margin_between_the_two_nearest_centroids() -> None:
    centroids = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 40.0]])
    points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    found = assign(points, centroids)
    assert found.segment.tolist() == [0, 0, 0, 1]
    # 1 - 0/4, 1 - 1/3, 1 - 2/2, 1 - 0/4
    assert found.confidence.tolist() == [1.0, 0.666667, 0.0, 1.0]


def test_two_centroids_in_one_place_give_no_confidence() -> None:
    centroids = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert assign(np.array([[1.0, 1.0]]), centroids).confidence.tolist() == [0.0]


def test_nobody_is_assigned_without_error() -> None:
    frame, _ = planted(20, 5)
    model = fit(frame, CONFIG)
    assert len(predict(model, frame.iloc[:0]).segment) == 0


def test_a_feature_that_hardly_varies_is_not_blown_up() -> None:
    frame, _ = planted(100, 6)
    frame["tenure_days"] = np.where(np.arange(len(frame)) % 2, 400.0, 402.0)
    scaler = fit_scaler(frame, min_scale=0.5)
    tenure = scaler.transform(frame)[:, MODEL_FEATURES.index("tenure_days")]
    assert scaler.scale[MODEL_FEATURES.index("tenure_days")] == 0.5
    assert np.abs(tenure).max() < 0.01


def test_refunds_count_as_nothing_spent() -> None:
    frame, _ = planted(20, 7)
    frame.loc[0, "monetary"] = -50.0
    assert np.isfinite(fit_scaler(frame, 0.5).transform(frame)).all()


def test_names_do_not_depend_on_the_order_of_clusters() -> None:
    ideals = np.array(list(ARCHETYPES.values()))
    shifted = ideals + np.random.default_rng(0).normal(0, 0.1, ideals.shape)
    for order in itertools.permutations(range(5)):
        assert name_segments(shifted[list(order)]) == tuple(SEGMENT_TYPES[i] for i in order)


@pytest.mark.parametrize("segments", [2, 3, 4, 5, 6, 8])
def test_no_two_segments_share_a_name(segments: int) -> None:
    frame, _ = planted(100, 8, spread=0.6)
    model = fit(frame, replace(CONFIG, segments=segments))
    assert len(set(model.names)) == segments
    if segments == 5:
        assert model.names == SEGMENT_TYPES


def test_ids_follow_the_previous_version() -> None:
    frame, _ = planted(100, 9)
    first = fit(frame, CONFIG)
    order = [3, 0, 4, 1, 2]
    previous = Segmentation(
        first.scaler,
        first.centroids[order],
        tuple(first.names[i] for i in order),
    )
    later, _ = planted(100, 10)
    model = fit(later, CONFIG, previous=previous)
    assert model.names == previous.names
    shift = np.abs(model.log_centroids - previous.log_centroids).max()
    assert shift < 0.2


def test_ids_follow_a_previous_version_with_fewer_segments() -> None:
    frame, _ = planted(100, 9)
    few = fit(frame, replace(CONFIG, segments=3))
    model = fit(frame, CONFIG, previous=few)
    assert sorted(model.names) == sorted(SEGMENT_TYPES)


def test_log_centroids_undo_the_scaling() -> None:
    model = Segmentation(
        Scaler(np.array([1.0, 2.0]), np.array([2.0, 4.0])), np.array([[1.0, -1.0]]), ("x",)
    )
    assert model.log_centroids.tolist() == [[3.0, -2.0]]


def test_fewer_distinct_customers_than_segments_are_refused() -> None:
    frame, _ = planted(10, 11)
    same = pd.concat([frame.iloc[:4]] * 20, ignore_index=True)
    with pytest.raises(ValueError, match="5 segments need 5 distinct customers"):
        fit(same, CONFIG)


@pytest.mark.parametrize(
    ("name", "value"),
    [("segments", 1), ("segments", 9), ("min_customers", 9), ("holdout_share", 0.6)],
)
def test_a_setting_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be between"):
        SegmentationConfig(**{name: value})  # type: ignore[arg-type]


def spenders(*amounts: float) -> pd.DataFrame:
    """Customers who differ in what they have spent."""
    frame = pd.DataFrame({name: 10.0 for name in MODEL_FEATURES}, index=range(len(amounts)))
    return frame.assign(monetary=amounts)


def test_the_baseline_is_five_groups_by_spending() -> None:
    model = fit_spending_groups(spenders(10, 20, 30, 40, 50, 60), CONFIG)
    # quintile bounds of the customers fit on: 20, 30, 40, 50
    assert model.bounds is not None
    assert model.bounds.tolist() == [20, 30, 40, 50]
    found = predict(model, spenders(0, 20, 29, 30, 45, 1e9))
    assert found.segment.tolist() == [0, 1, 1, 2, 3, 4]
    assert sorted(model.names) == sorted(SEGMENT_TYPES)


def test_a_spending_groups_confidence_is_the_margin_to_the_nearest_other_group() -> None:
    model = fit_spending_groups(spenders(10, 20, 30, 40, 50), CONFIG)
    # Each amount is its own group's centroid; 24 lies between those of 20 and 30 (in logs), and
    # 17 is of the group of 10, but nearer to 20.
    found = predict(model, spenders(20, 24, 17))
    own, other = np.log1p(24) - np.log1p(20), np.log1p(30) - np.log1p(24)
    assert found.segment.tolist() == [1, 1, 0]
    assert found.confidence.tolist() == [1.0, round(1 - own / other, 6), 0.0]


def test_spending_groups_that_ties_leave_empty_place_everybody() -> None:
    model = fit_spending_groups(spenders(*[5.0] * 9, 80.0), CONFIG)
    found = predict(model, spenders(4, 5, 80))
    assert np.isfinite(model.centroids).all()
    assert found.segment.tolist() == [0, 4, 4]
    assert np.isfinite(found.confidence).all()


def test_a_baselines_artefact_gives_back_its_bounds() -> None:
    frame, _ = planted(50, 5)
    model = fit_spending_groups(frame, CONFIG)
    again = from_content(artefacts.restore(artefacts.dump(to_content(model))))
    assert again.bounds is not None and model.bounds is not None
    assert again.bounds.tobytes() == model.bounds.tobytes()
    one, two = predict(again, frame), predict(model, frame)
    assert one.segment.tobytes() == two.segment.tobytes()
    assert one.confidence.tobytes() == two.confidence.tobytes()
    assert artefacts.dump(to_content(again)) == artefacts.dump(to_content(model))


def test_ids_follow_the_baseline() -> None:
    frame, _ = planted(100, 9)
    baseline = fit_spending_groups(frame, CONFIG)
    model = fit(frame, CONFIG, previous=baseline)
    nearest = [
        int(((model.log_centroids - old) ** 2).sum(axis=1).argmin())
        for old in baseline.log_centroids
    ]
    assert nearest[0] == 0 and nearest[4] == 4  # the least and the greatest spenders
    assert sorted(model.names) == sorted(SEGMENT_TYPES)
