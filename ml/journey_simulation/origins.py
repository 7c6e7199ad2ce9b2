"""The days that `conversion` learns from and is judged on, each with features and outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.journey_simulation.behaviour import bought, conversion_features, known
from ml.journey_simulation.config import ConversionConfig
from ml.journey_simulation.history import Floats, History, Ints, before, fingerprint


@dataclass(frozen=True)
class Origin:
    """One day: who was known, how they had behaved before it, and who bought after it.

    day         day number; the outcome is of [day, day + days)
    customers   [n], row numbers of the history
    x           [n x features], from before `day` alone
    y           [n], 1 where the customer bought
    """

    day: float
    days: float
    customers: Ints
    x: pd.DataFrame
    y: Floats


@dataclass(frozen=True)
class ConversionData:
    """What `conversion` learns from and is judged on.

    train   origins in rising order; all their outcomes lie before the cutoff
    judged  origins at or after the cutoff; all their outcomes lie before the night
    source  SHA-256 (hex) of the history
    """

    train: tuple[Origin, ...]
    judged: tuple[Origin, ...]
    cutoff: float
    source: str


def origin_at(history: History, day: float, days: float) -> Origin:
    """Return the origin of a day, with the outcome of the `days` after it."""
    seen = before(history, day)
    rows = known(seen)
    x = conversion_features(seen, days).iloc[rows].reset_index(drop=True)
    return Origin(day, days, rows, x, bought(history, day, day + days)[rows])


def judged_days(cutoff: float, end: float, days: float) -> list[tuple[float, float]]:
    """Return (day, days) of the origins in [cutoff, end): as many whole periods as there are.

    A window shorter than one period (28 days of February) is one shorter outcome.
    """
    whole = int((end - cutoff) // days)
    if whole == 0:
        return [(cutoff, end - cutoff)]
    return [(cutoff + k * days, days) for k in range(whole)]


def conversion_data(history: History, cutoff: float, config: ConversionConfig) -> ConversionData:
    """Cut all origins out of a history; nobody had been seen before the first one's day."""
    days = float(config.horizon_days)
    first = history.until
    for times in (history.order_at, history.session_at):
        first = min(first, float(times[0])) if len(times) else first
    train = [
        origin_at(history, cutoff - k * days, days)
        for k in range(config.train_origins, 0, -1)
        if cutoff - k * days > first
    ]
    judged = [origin_at(history, d, n) for d, n in judged_days(cutoff, history.until, days)]
    return ConversionData(tuple(train), tuple(judged), cutoff, fingerprint(history))


def data_fingerprint(data: ConversionData) -> str:
    """Return the SHA-256 (hex) of all that fitting and judging see."""
    digest = hashlib.sha256(f"{data.source}{data.cutoff}".encode())
    for origin in (*data.train, *data.judged):
        digest.update(f"{origin.day} {origin.days}".encode())
        digest.update(origin.y.astype("<f8").tobytes())
    return digest.hexdigest()


def stacked(origins: Sequence[Origin]) -> tuple[pd.DataFrame, Floats, Ints]:
    """Return features, outcomes and customers of several origins, one below the other."""
    x = pd.concat([origin.x for origin in origins], ignore_index=True)
    y = np.concatenate([origin.y for origin in origins])
    return x, y, np.concatenate([origin.customers for origin in origins])
