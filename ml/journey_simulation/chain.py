"""The chain of stages from month to month: what was counted, and playing it forward.

A customer's next stage depends on the stage of this month alone (a Markov chain): the expected
shares after n months are `shares @ matrix ** n`, which is what the simulator comes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.journey_simulation.config import ABANDONER, CONVERTER, STAGE_NAMES
from ml.journey_simulation.history import Floats, Ints

STATES = len(STAGE_NAMES)


@dataclass(frozen=True)
class Transitions:
    """From the stage of a month (row) to that of the next (column), both [5 x 5]."""

    counts: Ints
    chances: Floats


@dataclass(frozen=True)
class Played:
    """Customers played forward: `stages` [months + 1 x 5] holds the number in each stage."""

    stages: Ints


def count_transitions(pairs: Sequence[tuple[Ints, Ints]], smoothing: float) -> Transitions:
    """Count moves over pairs of (stages of a month, stages of the next).

    Each row of `chances` is (counts + smoothing * overall share of the column) over its sum, so
    that a row that was hardly seen is near what is usual. Where nothing was seen at all, a
    customer stays where it is.

    Raises:
        ValueError: `smoothing` is negative.
    """
    if smoothing < 0:
        raise ValueError(f"smoothing must be 0 or more, got {smoothing}")
    counts = np.zeros((STATES, STATES), dtype=np.int64)
    for now, after in pairs:
        counts += np.bincount(now * STATES + after, minlength=STATES**2).reshape(STATES, STATES)
    total = counts.sum()
    if total == 0:
        return Transitions(counts, np.eye(STATES))
    weighed = counts + smoothing * counts.sum(axis=0) / total
    sums = weighed.sum(axis=1, keepdims=True)
    stays = np.eye(STATES)
    chances = np.where(sums > 0, weighed / np.where(sums > 0, sums, 1.0), stays)
    return Transitions(counts, chances)


def expected_shares(shares: Floats, chances: Floats, months: int) -> Floats:
    """Return the expected shares of the stages after `months` [5]: the closed form."""
    after = np.asarray(shares, dtype=np.float64) @ np.linalg.matrix_power(chances, months)
    return np.asarray(after, dtype=np.float64)


def with_less_abandonment(chances: Floats, share: float) -> Floats:
    """Return the chain in which `share` of the moves into Abandoner become purchases instead.

    Raises:
        ValueError: `share` is not within 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is between 0 and 1, got {share}")
    changed = np.array(chances, dtype=np.float64)
    saved = changed[:, ABANDONER] * share
    changed[:, ABANDONER] -= saved
    changed[:, CONVERTER] += saved
    return changed


def play(stages: Ints, chances: Floats, months: int, seed: int) -> Played:
    """Play every customer's journey forward, month by month.

    Args:
        stages: [n], the stage each customer begins in.
        chances: [5 x 5], rows add up to 1.
        months: how far.
        seed: customers draw the same numbers for the same seed, whatever the chances are, so
            that two chains differ by what they are and not by luck.

    Raises:
        ValueError: a row of `chances` is no distribution, or `months` is negative.
    """
    if months < 0:
        raise ValueError(f"months must be 0 or more, got {months}")
    if np.any(chances < 0) or not np.allclose(chances.sum(axis=1), 1):
        raise ValueError("each row of the chances must be a distribution")
    random = np.random.default_rng(seed)
    bounds = np.cumsum(chances, axis=1)
    bounds[:, -1] = 1.0  # rounding must not leave a gap at the end
    now = np.asarray(stages)
    counted = [np.bincount(now, minlength=STATES)]
    for _ in range(months):
        now = (random.random(len(now))[:, None] >= bounds[now]).sum(axis=1)
        counted.append(np.bincount(now, minlength=STATES))
    return Played(np.array(counted, dtype=np.int64))


def expected_converters(shares: Floats, chances: Floats, months: int) -> float:
    """Return the expected months in Converter per customer over the next `months`."""
    return float(sum(expected_shares(shares, chances, k)[CONVERTER] for k in range(1, months + 1)))
