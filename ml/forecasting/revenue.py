"""Revenue of the company's days and of customers' months, as a model of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd
import psycopg

from ml.forecasting import revenue_evaluate, revenue_fit
from ml.forecasting.config import FAMILY, RevenueConfig
from ml.forecasting.purchases import DATA_SOURCE, FEATURES, Purchases, read_purchases
from ml.forecasting.revenue_fit import RevenueHistory, RevenueVersion
from ml.forecasting.revenue_report import report_parts
from ml.forecasting.revenue_score import RESULT_COLUMNS, score_night
from ml.forecasting.revenue_watch import compare
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored


@dataclass(frozen=True)
class RevenueModel(Model[RevenueHistory, RevenueVersion, Purchases]):
    """Revenue to come; the baseline is last week repeated, and each customer's own mean.

    The company and its customers are two parts of one version. Each is forecast by the method that
    won its backtest inside training, which is the baseline's where that wins. The gain that decides
    on promotion is the mean over both parts of the share of the champion's loss that is saved.
    """

    name = "revenue"
    family = FAMILY
    baseline = "seasonal_naive_and_own_mean"
    title = "Revenue forecast"
    subtitle = "What the company will sell in the next 30 and 90 days, and to whom."
    data_source = DATA_SOURCE
    result_columns = RESULT_COLUMNS
    features = ("company_revenue_per_day", *FEATURES)
    # Thirty days, and a week more until their last orders have settled.
    horizon_days = RevenueConfig.customer_days + RevenueConfig.settle_days
    config: RevenueConfig = field(default_factory=RevenueConfig)

    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return asdict(self.config) | {"methods": list(self.config.methods)}

    def read(self, conn: psycopg.Connection, scope: Scope) -> RevenueHistory:
        """See `Model.read`."""
        return RevenueHistory(read_purchases(conn, scope.as_of), scope.cutoff, self.config)

    def fingerprint(self, data: RevenueHistory) -> str:
        """See `Model.fingerprint`."""
        return data.purchases.fingerprint()

    def rows(self, data: RevenueHistory) -> int:
        """Return how many customers' days with purchases are learnt from."""
        return int((data.purchases.day < data.cutoff.toordinal()).sum())

    def too_little(self, data: RevenueHistory) -> str | None:
        """See `Model.too_little`."""
        return revenue_fit.too_little(data)

    def fit_baseline(self, data: RevenueHistory) -> RevenueVersion:
        """See `Model.fit_baseline`."""
        return revenue_fit.fit_baseline(data)

    def fit(self, data: RevenueHistory, previous: RevenueVersion | None) -> RevenueVersion:
        """See `Model.fit`."""
        return revenue_fit.fit(data)

    def judge(
        self,
        data: RevenueHistory,
        challenger: RevenueVersion,
        baseline: RevenueVersion,
        champion: RevenueVersion,
    ) -> Judgement:
        """Compare on the settled days of the window."""
        return revenue_evaluate.judge(data, challenger, baseline, champion)

    def dump(self, fitted: RevenueVersion) -> dict[str, bytes]:
        """See `Model.dump`."""
        return revenue_fit.to_files(fitted)

    def load(self, files: Mapping[str, bytes]) -> RevenueVersion:
        """See `Model.load`."""
        return revenue_fit.from_files(files)

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> Purchases:
        """See `Model.read_scoring`."""
        return read_purchases(conn, scope.as_of)

    def score(self, fitted: RevenueVersion, data: Purchases, scope: Scope) -> pd.DataFrame:
        """See `Model.score`."""
        return score_night(fitted, data, scope.as_of, self.config)

    def report(self, scored: Scored[RevenueVersion, Purchases]) -> ReportParts:
        """See `Model.report`."""
        return report_parts(scored, self.config)

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare with the 30 days after the night, once their orders have settled."""
        known = min(as_of, made + timedelta(days=self.horizon_days))
        return compare(read_purchases(conn, known), predictions, made, self.config)
