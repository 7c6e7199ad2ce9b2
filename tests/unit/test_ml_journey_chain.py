"""The chain of stages: counts, smoothing, playing forward against the closed form, and what-if."""

import numpy as np
import pytest

from ml.journey_simulation.chain import (
    count_transitions,
    expected_converters,
    expected_shares,
    play,
    with_less_abandonment,
)
from ml.journey_simulation.config import ABANDONER, CONVERTER

CHANCES = np.array(
    [
        [0.60, 0.15, 0.05, 0.10, 0.10],
        [0.30, 0.40, 0.10, 0.10, 0.10],
        [0.20, 0.10, 0.40, 0.10, 0.20],
        [0.25, 0.15, 0.15, 0.40, 0.05],
        [0.20, 0.10, 0.20, 0.10, 0.40],
    ]
)


def test_moves_are_counted_by_row_and_column() -> None:
    now, after = np.array([0, 0, 1, 3, 3]), np.array([1, 0, 1, 2, 2])
    found = count_transitions([(now, after), (np.array([0]), np.array([1]))], smoothing=0)
    assert found.counts.tolist() == [
        [1, 2, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 2, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    # Rows that were never seen stay where they are.
    assert found.chances[0].tolist() == pytest.approx([1 / 3, 2 / 3, 0, 0, 0])
    assert found.chances[2].tolist() == [0, 0, 1, 0, 0]


def test_smoothing_draws_rare_rows_towards_the_overall_shares() -> None:
    now, after = np.array([0] * 9 + [1]), np.array([0] * 5 + [2] * 5)
    found = count_transitions([(now, after)], smoothing=4)
    # Columns: half Visitor, half Converter. Row 1 was seen once, moving to Converter.
    assert found.chances[1].tolist() == pytest.approx([2 / 5, 0, 3 / 5, 0, 0])
    assert found.chances[4].tolist() == pytest.approx([0.5, 0, 0.5, 0, 0])
    assert found.chances.sum(axis=1) == pytest.approx(np.ones(5))


def test_nothing_seen_is_a_chain_that_stays() -> None:
    assert np.array_equal(count_transitions([], smoothing=5).chances, np.eye(5))


def test_the_closed_form_is_the_chain_walked_by_hand() -> None:
    shares = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
    by_hand = shares
    for _ in range(3):
        by_hand = np.array([sum(by_hand[i] * CHANCES[i, j] for i in range(5)) for j in range(5)])
    assert expected_shares(shares, CHANCES, 3) == pytest.approx(by_hand, abs=1e-12)
    assert expected_shares(shares, CHANCES, 0) == pytest.approx(shares)


@pytest.mark.parametrize("months", [0, 1, 2, 12])
def test_playing_forward_comes_to_the_closed_form(months: int) -> None:
    stages = np.repeat(np.arange(5), [40_000, 10_000, 20_000, 20_000, 10_000])
    played = play(stages, CHANCES, months, seed=7).stages
    assert played.shape == (months + 1, 5)
    assert (played.sum(axis=1) == 100_000).all()
    expected = expected_shares(np.array([0.4, 0.1, 0.2, 0.2, 0.1]), CHANCES, months)
    # Five standard deviations of a binomial share (an upper bound: beginnings are fixed).
    bound = 5 * np.sqrt(expected * (1 - expected) * 100_000)
    assert (np.abs(played[-1] - 100_000 * expected) <= bound).all()


def test_a_chain_that_is_played_wrongly_would_be_found() -> None:
    stages = np.repeat(np.arange(5), 20_000)
    wrong = play(stages, CHANCES.T / CHANCES.T.sum(axis=1, keepdims=True), 3, seed=7).stages[-1]
    expected = expected_shares(np.full(5, 0.2), CHANCES, 3)
    bound = 5 * np.sqrt(expected * (1 - expected) * 100_000)
    assert (np.abs(wrong - 100_000 * expected) > bound).any()


def test_the_same_seed_plays_the_same_and_another_does_not() -> None:
    stages = np.repeat(np.arange(5), 100)
    one, two = (play(stages, CHANCES, 6, seed=3).stages for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, play(stages, CHANCES, 6, seed=4).stages)


def test_less_abandonment_moves_its_share_to_purchases_and_nothing_else() -> None:
    changed = with_less_abandonment(CHANCES, 0.25)
    assert changed[:, ABANDONER] == pytest.approx(0.75 * CHANCES[:, ABANDONER])
    assert changed[:, CONVERTER] - CHANCES[:, CONVERTER] == pytest.approx(
        0.25 * CHANCES[:, ABANDONER]
    )
    rest = [k for k in range(5) if k not in (ABANDONER, CONVERTER)]
    assert np.array_equal(changed[:, rest], CHANCES[:, rest])
    assert np.array_equal(with_less_abandonment(CHANCES, 0), CHANCES)
    assert (with_less_abandonment(CHANCES, 1)[:, ABANDONER] == 0).all()


def test_what_if_the_gain_as_played_is_that_of_the_closed_form() -> None:
    shares, months = np.full(5, 0.2), 6
    stages = np.repeat(np.arange(5), 40_000)
    better = with_less_abandonment(CHANCES, 0.3)
    gain = expected_converters(shares, better, months) - expected_converters(
        shares, CHANCES, months
    )
    played = [
        play(stages, chances, months, seed=5).stages[1:, CONVERTER].sum()
        for chances in (CHANCES, better)
    ]
    # 200,000 customers over 6 months; the standard deviation of the sum is below 1,000.
    assert (played[1] - played[0]) / 200_000 == pytest.approx(gain, abs=0.02)
    assert gain > 0.1


def test_what_is_no_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="distribution"):
        play(np.array([0]), CHANCES * 1.1, 1, seed=1)
    with pytest.raises(ValueError, match="months"):
        play(np.array([0]), CHANCES, -1, seed=1)
    with pytest.raises(ValueError, match="share"):
        with_less_abandonment(CHANCES, 1.5)
    with pytest.raises(ValueError, match="smoothing"):
        count_transitions([], -1)
