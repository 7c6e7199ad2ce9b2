"""A version of the revenue model: the company's part and the customers'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from ml.forecasting import company, customer_fit, customers
from ml.forecasting.backtest import Errors, Layout
from ml.forecasting.company import CompanyVersion
from ml.forecasting.config import RevenueConfig
from ml.forecasting.customer_fit import CustomerVersion
from ml.forecasting.daily import Daily
from ml.forecasting.purchases import Purchases


@dataclass(frozen=True)
class RevenueVersion:
    """One version: how the company's revenue is forecast, and how the customers'."""

    company: CompanyVersion
    customers: CustomerVersion


def layout(config: RevenueConfig, stale_days: int) -> Layout:
    """Return how origins lie, where parameters are `stale_days` old when first used."""
    return Layout(
        horizon_days=config.horizon_days,
        settle_days=config.settle_days,
        stale_days=stale_days,
        step_days=config.step_days,
        min_days=config.min_days,
        max_origins=config.max_origins,
    )


@dataclass(frozen=True)
class RevenueHistory:
    """What the model learns from: all purchases before the night."""

    purchases: Purchases
    cutoff: date
    config: RevenueConfig

    @property
    def layout(self) -> Layout:
        """How the origins of the company's backtest lie: as stale as on the night itself."""
        return layout(self.config, (self.purchases.until - self.cutoff).days)

    @property
    def series(self) -> Daily:
        """The company's revenue of the days before the cutoff."""
        return self.purchases.total.before(self.cutoff)

    @cached_property
    def company_tried(self) -> dict[str, Errors]:
        """The backtest of the company's methods, which both `fit` and `judge` need."""
        config = self.config
        return company.try_methods(self.series, config.methods, self.layout, config.random_state)

    @cached_property
    def customers_tried(self) -> dict[str, customer_fit.Tried]:
        """The backtest of the customers' methods, which both `fit` and `judge` need."""
        names = list(customers.METHODS)
        return customer_fit.backtest(self.purchases, self.cutoff, names, self.config)


def too_little(data: RevenueHistory) -> str | None:
    """Return why there is too little to learn from, or None."""
    config, days = data.config, len(data.series.values)
    origins = len(data.layout.origins(data.series))
    if origins < config.min_origins:
        return (
            f"{days} days of sales before {data.cutoff} have room for {max(origins, 0)} origins "
            f"of a backtest; {config.min_origins} are needed"
        )
    first = customers.backtest_origins(data.cutoff, config)[0]
    buyers = len(data.purchases.buyers(first).rows)
    if buyers < config.min_customers:
        return (
            f"{buyers} customers had bought before {first}, where the customers' backtest begins; "
            f"{config.min_customers} are needed"
        )
    return None


def fit_baseline(data: RevenueHistory) -> RevenueVersion:
    """Return the version that is the simple answer in both parts."""
    config = data.config
    naive = company.try_methods(data.series, (), data.layout, config.random_state)
    own = customer_fit.backtest(data.purchases, data.cutoff, [customers.BASELINE], config)
    return _version(data, company.BASELINE, naive, customers.BASELINE, own)


def fit(data: RevenueHistory) -> RevenueVersion:
    """Return the version in which each part is the method that won its backtest."""
    tried, own = data.company_tried, data.customers_tried
    return _version(data, company.winner(tried), tried, customer_fit.choose(own), own)


def _version(
    data: RevenueHistory,
    method: str,
    tried: Mapping[str, Errors],
    customer_method: str,
    customers_tried: Mapping[str, customer_fit.Tried],
) -> RevenueVersion:
    config = data.config
    return RevenueVersion(
        company.fit_method(method, data.series, tried[method], data.layout, config.random_state),
        customer_fit.fit_version(
            customer_method, data.purchases, data.cutoff, customers_tried[customer_method], config
        ),
    )


def to_files(version: RevenueVersion) -> dict[str, bytes]:
    """Return a version as the files of both parts."""
    return company.to_files(version.company) | customer_fit.to_files(version.customers)


def from_files(files: Mapping[str, bytes]) -> RevenueVersion:
    """Return the version that `to_files` made files of.

    Raises:
        ArtefactError: a file is missing or another.
    """
    return RevenueVersion(company.from_files(files), customer_fit.from_files(files))
