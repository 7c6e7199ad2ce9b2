"""Click-through rates of campaigns, channels and customers, as a model of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import pandas as pd
import psycopg

from ml.forecasting import ctr_evaluate as evaluate
from ml.forecasting.clicks import DATA_SOURCE, Clicks, Night, read_clicks, read_night
from ml.forecasting.config import FAMILY, ClickConfig
from ml.forecasting.ctr_fit import CtrVersion, fit_priors, from_files, to_files
from ml.forecasting.ctr_report import report_parts
from ml.forecasting.ctr_score import RESULT_COLUMNS, score_night
from ml.forecasting.ctr_watch import compare
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored


@dataclass(frozen=True)
class ClickHistory:
    """What the model learns from: all counts before the night."""

    clicks: Clicks
    cutoff: date
    config: ClickConfig

    @cached_property
    def tried(self) -> evaluate.Backtest:
        """The backtest before the cutoff, which both `fit` and `judge` need."""
        return evaluate.backtest(self.clicks, self.cutoff, self.config)


@dataclass(frozen=True)
class CtrModel(Model[ClickHistory, CtrVersion, Night]):
    """Shrunk click-through rates; the baseline is the channel's rate for everyone.

    Campaigns and customers are two parts. Each has rates of its own only if those won the backtest
    inside training; otherwise it answers as the baseline does. The gain that decides on promotion
    is the mean over both parts of the share of the champion's deviance that is saved.
    """

    name = "ctr"
    family = FAMILY
    baseline = evaluate.BASELINE
    title = "Click-through rates"
    subtitle = "Which campaigns will be clicked, on which channels, and by which customers."
    data_source = DATA_SOURCE
    result_columns = RESULT_COLUMNS
    features = ("impressions", "clicks", "channel", "tagged_visits", "expected_visits")
    horizon_days = 30
    config: ClickConfig = field(default_factory=ClickConfig)

    def settings(self) -> dict[str, Any]:
        """See `Model.settings`."""
        return asdict(self.config)

    def read(self, conn: psycopg.Connection, scope: Scope) -> ClickHistory:
        """See `Model.read`."""
        return ClickHistory(read_clicks(conn, scope.as_of), scope.cutoff, self.config)

    def fingerprint(self, data: ClickHistory) -> str:
        """See `Model.fingerprint`."""
        return data.clicks.fingerprint()

    def rows(self, data: ClickHistory) -> int:
        """Return how many days of campaigns are learnt from."""
        return int((data.clicks.daily["day"] < data.cutoff).sum())

    def too_little(self, data: ClickHistory) -> str | None:
        """See `Model.too_little`."""
        seen = data.clicks.daily[data.clicks.daily["day"] < data.cutoff]
        campaigns = seen["campaign_id"].nunique()
        if campaigns < self.config.min_campaigns:
            return (
                f"{campaigns} campaigns were shown before {data.cutoff}; "
                f"{self.config.min_campaigns} are needed"
            )
        days = (data.cutoff - seen["day"].min()).days
        if days < self.config.min_days:
            return (
                f"campaigns are reported for {days} days before {data.cutoff}; "
                f"{self.config.min_days} are needed"
            )
        return None

    def fit_baseline(self, data: ClickHistory) -> CtrVersion:
        """See `Model.fit_baseline`."""
        return fit_priors(data.clicks, data.cutoff, self.config)

    def fit(self, data: ClickHistory, previous: CtrVersion | None) -> CtrVersion:
        """See `Model.fit`."""
        return evaluate.choose(self.fit_baseline(data), data.tried)

    def judge(
        self,
        data: ClickHistory,
        challenger: CtrVersion,
        baseline: CtrVersion,
        champion: CtrVersion,
    ) -> Judgement:
        """Compare by deviance in the window."""
        seen = evaluate.window_periods(data.clicks, data.cutoff, self.config)
        parts = evaluate.part_losses((challenger, champion, baseline), seen, self.config)
        covered = evaluate.coverage(challenger, seen, self.config)
        return evaluate.judge(parts, data.tried, challenger, covered, self.config)

    def dump(self, fitted: CtrVersion) -> dict[str, bytes]:
        """See `Model.dump`."""
        return to_files(fitted)

    def load(self, files: Mapping[str, bytes]) -> CtrVersion:
        """See `Model.load`."""
        return from_files(files)

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> Night:
        """See `Model.read_scoring`."""
        return read_night(conn, scope.as_of)

    def score(self, fitted: CtrVersion, data: Night, scope: Scope) -> pd.DataFrame:
        """See `Model.score`."""
        return score_night(fitted, data, scope.as_of, self.config)

    def report(self, scored: Scored[CtrVersion, Night]) -> ReportParts:
        """See `Model.report`."""
        return report_parts(scored)

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare with the clicks of the 30 days after the night."""
        end = made + timedelta(days=self.config.horizon_days)
        return compare(read_clicks(conn, min(end, as_of)), predictions, made, end, self.config)
