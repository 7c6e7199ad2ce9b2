"""Settings of the models of campaigns."""

from __future__ import annotations

from dataclasses import dataclass, field

FAMILY = "campaign_optimization"
DATA_SOURCE = "marts.dim_campaigns, marts.fct_campaign_daily, marts.fct_orders, " + (
    "marts.customer_campaigns, marts.dim_customers"
)

CATEGORIES = ("Low", "Medium", "High", "Very High")
CATEGORY_BOUNDS = (0.25, 0.5, 0.75)
"""Success: Low below 0.25, Medium below 0.5, High below 0.75, Very High from there on."""

CUSTOMER_BOUNDS = (0.02, 0.05, 0.1)
"""The same for customers, of whom few order after a campaign has reached them."""

BUDGET_CATEGORIES = ("Low", "Medium", "High", "Premium")
BUDGET_BOUNDS = (0.5, 1.0, 2.0)
"""Budgets as multiples of an even share among rows of the same kind: Low below half of it ..."""

ROI_CATEGORIES = ("Low", "Medium", "High")
ROI_BOUNDS = (1.0, 2.0)
"""Revenue caused per unit spent: Low does not bring back what it costs, High twice that."""


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


@dataclass(frozen=True)
class BudgetConfig:
    """Settings of the budget model.

    horizon_days        days that a plan is for, and days whose spend is the current plan
    report_lag          days that platforms go on correcting: the last ones are not judged by
    min_days            days with reports that the curves need
    min_conversions     conversions that they need
    origins, origin_days          rolling origins before the cutoff, and days between them
    block_days          length of the bootstrap's blocks
    resamples           bootstrap resamples
    """

    curves: CurveConfig = field(default_factory=CurveConfig)
    horizon_days: int = 30
    report_lag: int = 3
    min_days: int = 90
    min_conversions: int = 100
    origins: int = 8
    origin_days: int = 30
    block_days: int = 7
    resamples: int = 1000


@dataclass(frozen=True)
class SuccessConfig:
    """Settings of the success model.

    success_roas        overall return on ad spend (revenue that the platform reports over spend)
                        from which on a campaign is a success: break-even at a contribution
                        margin of 50 %. Fixed, so known before any launch.
    least_days          days that a campaign must have run before its return teaches anything
    report_lag          days that platforms go on correcting
    recent_days         days before a launch that its channel's recent spend is taken from
    purchase_days       days before a launch that the company's purchases are counted in
    alphas              ridge penalties, of which leave-one-out error chooses
    small_spend         currency units of spend at the company's return that are added to every
                        campaign, so that one that sold nothing has a logarithm
    rate_prior          campaigns' worth of weight of the overall success rate in a channel's
    min_campaigns       campaigns with a result that it needs
    origins, origin_days          rolling origins before the cutoff, and days between them
    random_state, resamples       of the bootstrap
    coverage            nominal coverage of the interval of the return
    """

    success_roas: float = 2.0
    least_days: int = 21
    report_lag: int = 3
    recent_days: int = 90
    purchase_days: int = 28
    alphas: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)
    small_spend: float = 10.0
    rate_prior: float = 2.0
    min_campaigns: int = 20
    origins: int = 12
    origin_days: int = 30
    random_state: int = 42
    resamples: int = 1000
    coverage: float = 0.9
