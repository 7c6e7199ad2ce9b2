"""Settings of the models of campaigns."""

from __future__ import annotations

from dataclasses import dataclass

FAMILY = "campaign_optimization"


@dataclass(frozen=True)
class CurveConfig:
    """Settings of the response curves.

    random_state            seeds the draws
    draws                   draws from what is believed of each channel
    carry_points, most_carry                     grid of the carry-over from day to day, from 0
    half_points, least_half, most_half           grid of the half-saturation point, as multiples of
                                                 the channel's typical daily spend
    pooling_rounds          rounds that estimate what the channels have in common
    pooling_prior           channels' worth of weight of the two lines below
    carry_center, carry_spread    mean and standard deviation of carry before any data
    half_spread             standard deviation of log half (around the typical spend) before any
    value_prior             conversions' worth of weight of the value of all channels' conversions
    """

    random_state: int = 42
    draws: int = 200
    carry_points: int = 13
    most_carry: float = 0.9
    half_points: int = 21
    least_half: float = 0.05
    most_half: float = 10.0
    pooling_rounds: int = 10
    pooling_prior: float = 2.0
    carry_center: float = 0.4
    carry_spread: float = 0.25
    half_spread: float = 1.0
    value_prior: float = 500.0
