"""How many segments, and how stable they are: planted groups, and figures worked out by hand."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from ml.customer_segmentation.selection import Effort, choose_segments, gap_statistic
from ml.customer_segmentation.stability import STABLE, bootstrap_jaccard, jaccard

EFFORT = Effort(points=600, resamples=8, references=5, starts=3)


def blobs(groups: int, each: int, seed: int, spread: float = 0.35) -> tuple[np.ndarray, np.ndarray]:
    """Groups around points that are all two apart from the next."""
    random = np.random.default_rng(seed)
    corners = 2.0 * np.array([[i // 3, i % 3] for i in range(groups)], dtype=float)
    truth = np.repeat(np.arange(groups), each)
    return corners[truth] + random.normal(0, spread, (len(truth), 2)), truth


def test_jaccard_is_shared_over_all() -> None:
    one, other = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 0], bool)
    assert jaccard(one, other) == 0.5
    assert jaccard(one, one) == 1.0
    assert jaccard(one & False, other & False) == 0.0


@pytest.mark.parametrize("groups", [3, 5])
def test_as_many_segments_are_chosen_as_were_planted(groups: int) -> None:
    points, _ = blobs(groups, 60, groups)
    choice = choose_segments(points, effort=EFFORT)
    assert choice.segments == groups
    assert min(choice.stability[groups], 1.0) >= STABLE


def test_one_vote_that_errs_is_outvoted() -> None:
    points, _ = blobs(6, 60, 1)
    choice = choose_segments(points, effort=EFFORT)
    assert choice.segments == sorted(choice.votes.values())[1]
    assert set(choice.votes) == {"silhouette", "gap", "stability"}


def test_the_choice_is_the_same_every_time() -> None:
    points, _ = blobs(4, 50, 2, spread=0.8)
    effort = Effort(points=150, resamples=3, references=3, starts=2)
    assert choose_segments(points, effort=effort) == choose_segments(points, effort=effort)


def test_the_gap_of_uniform_points_favours_no_number_of_segments() -> None:
    # Longer than wide: a square has no principal axes for the reference's box to lie along.
    points = np.random.default_rng(5).uniform(0, 1, (600, 2)) * (1.0, 0.5)
    gap = gap_statistic(points, (1, 2, 3), EFFORT)
    assert gap[1][0] >= gap[2][0] - gap[2][1]  # the paper's rule finds one cluster
    assert all(abs(value) < 0.1 for value, _ in gap.values())


def test_too_few_distinct_points_are_refused() -> None:
    with pytest.raises(ValueError, match="distinct points"):
        choose_segments(np.repeat(np.arange(9.0)[:, None], 50, axis=0), effort=EFFORT)


def refit(points: np.ndarray, k: int):
    def labels(drawn: np.ndarray) -> np.ndarray:
        return KMeans(k, n_init=3, random_state=0).fit(points[drawn]).labels_

    return labels


def test_planted_groups_come_back_and_a_split_of_nothing_does_not() -> None:
    points, truth = blobs(3, 150, 7)
    stable = bootstrap_jaccard(truth, refit(points, 3), 5, 1)
    assert min(values.mean() for values in stable.values()) > 0.95
    formless = np.random.default_rng(8).normal(0, 1, (450, 2))
    split = KMeans(6, n_init=3, random_state=0).fit(formless).labels_
    loose = bootstrap_jaccard(split, refit(formless, 6), 5, 1)
    assert min(values.mean() for values in loose.values()) < STABLE


def test_noise_is_no_segment_and_a_segment_that_is_lost_counts_nothing() -> None:
    labels = np.array([0] * 50 + [-1] * 50)
    found = bootstrap_jaccard(labels, lambda drawn: np.full(len(drawn), -1), 5, 1, noise=-1)
    assert {name: values.tolist() for name, values in found.items()} == {0: [0.0] * 5}


def test_the_nearest_heir_is_what_counts() -> None:
    labels = np.repeat([0, 1], 100)
    # Segment 0 is cut in two equal halves; 1 comes back whole.
    heirs = np.concatenate([np.repeat([5, 6], 50), np.repeat(7, 100)])
    found = bootstrap_jaccard(labels, lambda drawn: heirs[drawn], 30, 2)
    assert found[1].tolist() == [1.0] * 30
    assert 0.5 <= found[0].mean() < 0.6  # the larger of the two halves of what was drawn
