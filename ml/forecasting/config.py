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


@dataclass(frozen=True)
class RevenueConfig:
    """Settings of the revenue forecasts.

    random_state    seeds Prophet, gradient boosting and the bootstrap
    methods         of the company's revenue per day that are tried beside the seasonal naive one
    horizon_days    days of the company's revenue that are forecast
    settle_days     days before a night that are not learnt from: orders still pending count
                    nowhere, so that these days look poorer than they will turn out
    step_days       days between origins of the company's backtest
    max_origins     the latest so many of them are used
    min_origins     with fewer there is too little to learn from
    min_days        least days of history before an origin
    customer_days   days of customers' revenue that are forecast
    customer_origins    origins of the customers' backtest
    learn_origins   earlier months that gradient boosting learns from at each of them
    min_customers   with fewer who had bought there is too little to learn from
    bins            groups of customers by forecast, each with intervals of its own
    resamples       bootstrap resamples of each interval
    """

    random_state: int = 42
    methods: tuple[str, ...] = ("theta", "ets", "xgboost", "prophet")
    horizon_days: int = 90
    settle_days: int = 7
    step_days: int = 7
    max_origins: int = 52
    min_origins: int = 6
    min_days: int = 90
    customer_days: int = 30
    customer_origins: int = 6
    learn_origins: int = 6
    min_customers: int = 50
    bins: int = 10
    resamples: int = 1000
