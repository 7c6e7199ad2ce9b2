"""How much better one forecast is than another, where it is made of parts of different units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.metrics import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PartLosses:
    """The losses of one part: arrays of one length, one value per independent unit.

    weight is what each unit's loss is measured over (impressions, days), so that the part's loss
    is sum(loss) / sum(weight).
    """

    name: str
    challenger: Floats
    champion: Floats
    baseline: Floats
    weight: Floats


def mean_gain(parts: Sequence[PartLosses], resamples: int, seed: int) -> Interval:
    """Return the mean over the parts of the share of the champion's loss that is saved.

    A part's gain is 1 - loss / loss of the champion: 0 where both say the same, 1 at no loss at
    all. The interval is the paired 95 % percentile bootstrap, the parts' units drawn apart. Parts
    without a unit do not count; without any, the gain is 0.
    """
    judged = [part for part in parts if len(part.weight)]
    if not judged:
        return Interval(0.0, 0.0, 0.0)
    value = float(np.mean([_saved(p.challenger.sum(), p.champion.sum()) for p in judged]))
    draws = np.zeros(resamples)
    for number, part in enumerate(judged):
        counts = _resampled_counts(len(part.weight), resamples, seed + number)
        draws += _saved(counts @ part.challenger, counts @ part.champion) / len(judged)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(round(value, 6), round(float(low), 6), round(float(high), 6))


def loss_interval(losses: Floats, weight: Floats, resamples: int, seed: int) -> Interval:
    """Return sum(losses) / sum(weight) with its 95 % percentile bootstrap interval over units."""
    counts = _resampled_counts(len(losses), resamples, seed)
    draws = (counts @ losses) / np.maximum(counts @ weight, 1e-12)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(
        round(float(losses.sum() / weight.sum()), 6), round(float(low), 6), round(float(high), 6)
    )


def _saved(loss: float | Floats, reference: float | Floats) -> Floats:
    return np.asarray(1.0 - loss / np.maximum(reference, 1e-12))


def _resampled_counts(units: int, resamples: int, seed: int) -> Floats:
    """Return how often each unit is in each resample, shape (resamples, units)."""
    random = np.random.default_rng(seed)
    counts = np.empty((resamples, units), dtype=np.float64)
    for row in counts:
        row[:] = np.bincount(random.integers(0, units, units), minlength=units)
    return counts
