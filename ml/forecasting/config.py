"""Settings of the forecasts."""

from __future__ import annotations

from dataclasses import dataclass

FAMILY = "forecasting"


@dataclass(frozen=True)
class ClickConfig:
    """Settings of the click-through model.

    random_state    seeds the bootstrap
    min_campaigns   fewer campaigns shown before the cutoff than this are too few to learn from
    min_days        the same of days from the first report to the cutoff: six origins need them
    own_prior_from  channels with fewer campaigns than this use the prior of all channels
    origins         origins of the backtest before the cutoff
    horizon_days    days that each origin (and each night) looks ahead
    resamples       bootstrap resamples of each interval
    level           of the intervals of predictions
    """

    random_state: int = 42
    min_campaigns: int = 10
    min_days: int = 210
    own_prior_from: int = 5
    origins: int = 6
    horizon_days: int = 30
    resamples: int = 1000
    level: float = 0.95
