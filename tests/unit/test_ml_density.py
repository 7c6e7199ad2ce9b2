"""HDBSCAN from plain arrays: against the library, on planted groups, and where it is undefined."""

import hdbscan
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ml.customer_segmentation.density import (
    NOISE,
    choose_tree,
    density_validity,
    fit_tree,
    place_points,
)


def groups(each: int, seed: int, noise: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three dense groups of different width, and points scattered anywhere."""
    random = np.random.default_rng(seed)
    centers, widths = np.array([[0, 0, 0], [4, 0, 0], [0, 5, 1]], float), (0.2, 0.4, 0.3)
    parts = [c + random.normal(0, w, (each, 3)) for c, w in zip(centers, widths, strict=True)]
    scattered = random.uniform(-4, 9, (noise, 3))
    truth = np.concatenate([np.repeat(np.arange(3), each), np.full(noise, NOISE)])
    return np.concatenate([*parts, scattered]), truth


@pytest.mark.filterwarnings("ignore:Clusterer does not have any defined clusters")
@pytest.mark.parametrize(("size", "samples"), [(20, 5), (60, 15), (200, 30)])
def test_points_are_placed_where_the_library_places_them(size: int, samples: int) -> None:
    random = np.random.default_rng(size)
    # Nothing neat: a skewed cloud, whole numbers, and many customers in one place.
    points = np.log1p(np.floor(random.gamma(0.6, 20, (1500, 3))))
    fresh = np.log1p(np.floor(random.gamma(0.6, 20, (800, 3))))
    library = hdbscan.HDBSCAN(
        min_cluster_size=size, min_samples=samples, prediction_data=True, core_dist_n_jobs=1
    ).fit(points)
    expected, _ = hdbscan.approximate_predict(library, fresh)
    tree = fit_tree(points, size, samples)
    found, confidence = place_points(tree, fresh)
    assert found.tolist() == expected.tolist()
    assert tree.segments == library.labels_.max() + 1
    assert tree.segments >= 2 or size == 200
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (confidence[found == NOISE] == 0).all()
    assert (confidence[found != NOISE] > 0).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_groups_are_found_and_what_lies_between_is_noise(seed: int) -> None:
    points, truth = groups(200, seed, noise=60)
    chosen = choose_tree(points, (20, 60), (5, 15), 0.25, 8, 600, 1)
    assert chosen.tree.segments == 3
    assert adjusted_rand_score(truth, chosen.labels) > 0.9
    assert chosen.validity is not None and chosen.validity > 0.3
    fresh, kinds = groups(100, 90 + seed)
    assert adjusted_rand_score(kinds, place_points(chosen.tree, fresh)[0]) > 0.9
    far, confidence = place_points(chosen.tree, np.full((1, 3), 40.0))
    assert (far.tolist(), confidence.tolist()) == ([NOISE], [0.0])


def test_confidence_falls_from_the_core_to_the_rim() -> None:
    points, _ = groups(300, 3)
    tree = fit_tree(points, 60, 15)
    line = np.array([[4.0, 0, 0], [4.8, 0, 0], [5.1, 0, 0]])
    _, confidence = place_points(tree, line)
    assert confidence[0] > confidence[1] > confidence[2]


def test_the_validity_index_tells_groups_from_an_arbitrary_cut() -> None:
    points, truth = groups(200, 4)
    good = density_validity(points, truth, 10_000, 1)
    cut = density_validity(points, (points[:, 2] > 0.5).astype(np.int64), 10_000, 1)
    assert good is not None and cut is not None
    assert good > 0.3 > 0 > cut
    assert good == pytest.approx(hdbscan.validity.validity_index(points, truth), abs=1e-6)


def test_the_validity_index_is_not_given_where_it_is_not_defined() -> None:
    points, truth = groups(50, 5)
    assert density_validity(points, np.full(len(points), NOISE), 1000, 1) is None
    assert density_validity(points, np.zeros(len(points), dtype=np.int64), 1000, 1) is None
    # Two kinds of customers, each in one place only.
    places = np.repeat([[0.0, 0], [1, 1]], 40, axis=0)
    assert density_validity(places, np.repeat([0, 1], 40), 1000, 1) is None
    # Everybody twice makes no difference.
    twice = density_validity(np.tile(points, (2, 1)), np.tile(truth, 2), 1000, 1)
    assert twice == density_validity(points, truth, 1000, 1)


def test_too_much_noise_is_only_taken_where_nothing_else_is_left() -> None:
    points, _ = groups(60, 6, noise=400)
    loud = choose_tree(points, (20,), (5,), 0.99, 8, 600, 1)
    assert loud.noise > 0.25
    within = choose_tree(points, (20, 100, 200), (5, 15), loud.noise, 8, 600, 1)
    assert within.noise <= loud.noise
    none_keeps_to_it = choose_tree(points, (20,), (5, 15), 0.0, 8, 600, 1)
    assert none_keeps_to_it.noise > 0


def test_customers_all_in_one_place_have_no_segments_and_no_error() -> None:
    tree = fit_tree(np.zeros((200, 3)), 20, 5)
    labels, confidence = place_points(tree, np.zeros((3, 3)))
    assert len(set(labels.tolist())) == 1
    assert np.isfinite(confidence).all()
    assert place_points(tree, np.zeros((0, 3)))[0].tolist() == []


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 10 points"):
        fit_tree(np.zeros((10, 3)), 5, 5)
    with pytest.raises(ValueError, match="too few"):
        choose_tree(np.zeros((10, 3)), (5,), (5, 15), 0.25, 8, 600, 1)


def test_the_same_points_give_the_same_arrays() -> None:
    points, _ = groups(200, 7, noise=50)
    one, two = (fit_tree(points.copy(), 20, 5) for _ in range(2))
    for name in ("point_parent", "point_lambda", "parent", "birth", "segment", "peak", "core"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes(), name
