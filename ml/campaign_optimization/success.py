"""The model `success`: whether a campaign will pay, and whether a customer will respond."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ml import artefacts
from ml.campaign_optimization.audience import (
    Audience,
    ResponseRate,
    fit_rate,
    pooled_rate,
    read_audience,
)
from ml.campaign_optimization.config import (
    CATEGORIES,
    CATEGORY_BOUNDS,
    CUSTOMER_BOUNDS,
    DATA_SOURCE,
    FAMILY,
    SuccessConfig,
)
from ml.campaign_optimization.factors import campaign_factors, customer_factors
from ml.campaign_optimization.forecast import (
    ChannelRate,
    Ridge,
    fit_channel_rate,
    fit_ridge,
)
from ml.campaign_optimization.history import NEVER, History, read_history
from ml.campaign_optimization.launch import (
    FEATURES,
    Vocabulary,
    outcomes_before,
    results_before,
)
from ml.campaign_optimization.success_judge import judge_success
from ml.campaign_optimization.success_report import report_success
from ml.metrics import Metric
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored

Floats = NDArray[np.float64]

_FORMAT = 1


@dataclass(frozen=True)
class SuccessData:
    """What training sees: `cutoff` is the first day (of the history) of the inference window."""

    history: History
    audience: Audience
    cutoff: int
    cutoff_date: date
    as_of: date


@dataclass(frozen=True)
class Success:
    """A fitted version: of campaigns (the regression or the simple answer), and of customers."""

    campaigns: Ridge | ChannelRate
    customers: ResponseRate


class SuccessModel(Model[SuccessData, Success, SuccessData]):
    """Success of campaigns before their launch, and response of customers to the next one."""

    name = "success"
    family = FAMILY
    baseline = "channel_rate"
    title = "Will the campaign pay?"
    subtitle = "Chances of every campaign, from what is known before its launch, and of customers."
    data_source = DATA_SOURCE
    result_columns = (
        "campaign_id",
        "customer_id",
        "predicted_campaign_success",
        "success_probability",
        "success_low",
        "success_high",
        "success_confidence",
        "success_category",
        "success_factors",
        "predicted_roas",
        "roas_low",
        "roas_high",
    )
    features = FEATURES
    horizon_days = 30

    def __init__(self, config: SuccessConfig | None = None) -> None:
        """Take other settings than the published ones."""
        self.config = config or SuccessConfig()

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return {**asdict(self.config), "alphas": list(self.config.alphas), "format": _FORMAT}

    def read(self, conn: psycopg.Connection, scope: Scope) -> SuccessData:
        """Read all campaigns and who was reached, before `scope.as_of`."""
        history = read_history(conn, scope.as_of)
        audience = read_audience(conn, scope.as_of)
        return SuccessData(history, audience, history.day(scope.cutoff), scope.cutoff, scope.as_of)

    def fingerprint(self, data: SuccessData) -> str:
        """Return the SHA-256 of history and audience."""
        text = f"{data.history.fingerprint()}{data.audience.fingerprint()}{data.cutoff_date}"
        return hashlib.sha256(text.encode()).hexdigest()

    def rows(self, data: SuccessData) -> int:
        """Return the campaigns with a result before the cutoff."""
        return len(results_before(data.history, data.cutoff, self.config).rows)

    def too_little(self, data: SuccessData) -> str | None:
        """Return why there is too little: few campaigns with a result, or none that failed."""
        found = self.rows(data)
        if found < self.config.min_campaigns:
            return (
                f"{found} campaigns had a result before {data.cutoff_date}, and "
                f"{self.config.min_campaigns} are needed"
            )
        rows, success = outcomes_before(data.history, data.cutoff, self.config)
        if not 0 < success.sum() < len(rows):
            told = "ended" if not len(rows) else "succeeded" if success.all() else "failed"
            return f"all campaigns so far have {told}: there is nothing to tell apart"
        return None

    def fit_baseline(self, data: SuccessData) -> Success:
        """Fit the channels' success rates, and the response rate of all customers."""
        return Success(
            fit_channel_rate(data.history, data.cutoff, self.config),
            pooled_rate(*data.audience.counts(None, data.cutoff_date)),
        )

    def fit(self, data: SuccessData, previous: Success | None) -> Success:
        """Fit the regression, and the prior of customers' response."""
        # One thread: a sum split over threads may round differently from run to run.
        with threadpool_limits(limits=1):
            return Success(
                fit_ridge(data.history, data.cutoff, self.config),
                fit_rate(*data.audience.counts(None, data.cutoff_date)),
            )

    def judge(
        self, data: SuccessData, challenger: Success, baseline: Success, champion: Success
    ) -> Judgement:
        """Compare on campaigns in the order of their launch, each foreseen by an earlier fit."""
        with threadpool_limits(limits=1):
            return judge_success(
                data.history,
                data.audience,
                (data.cutoff, data.cutoff_date, data.as_of),
                (challenger.campaigns, challenger.customers),
                (baseline.campaigns, baseline.customers),
                champion.campaigns,
                self.config,
            )

    def dump(self, fitted: Success) -> dict[str, bytes]:
        """Return the version as a skops file of numbers and texts."""
        campaigns = fitted.campaigns
        content: dict[str, Any] = {
            "format": _FORMAT,
            "customers": {"mean": fitted.customers.mean, "weight": fitted.customers.weight},
        }
        if isinstance(campaigns, Ridge):
            words = campaigns.words
            content["ridge"] = {
                **{k: v for k, v in vars(campaigns).items() if k != "words"},
                "words": [list(words.channels), list(words.kinds), list(words.audiences)],
            }
        else:
            content["channel_rate"] = {**vars(campaigns), "channels": list(campaigns.channels)}
        return {"model.skops": artefacts.dump(content)}

    def load(self, files: Mapping[str, bytes]) -> Success:
        """Return the version that the file holds."""
        content = artefacts.restore(files["model.skops"])
        if content.get("format") != _FORMAT:
            raise artefacts.ArtefactError(f"format {content.get('format')} is not {_FORMAT}")
        customers = ResponseRate(**content["customers"])
        if "ridge" in content:
            fields = dict(content["ridge"])
            words = Vocabulary(*(tuple(names) for names in fields.pop("words")))
            return Success(Ridge(words=words, **fields), customers)
        rates = dict(content["channel_rate"])
        channels = tuple(rates.pop("channels"))
        return Success(ChannelRate(channels=channels, **rates), customers)

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> SuccessData:
        """Read the same as training, up to the night."""
        return self.read(conn, scope)

    def score(self, fitted: Success, data: SuccessData, scope: Scope) -> pd.DataFrame:
        """Return a row for each campaign of the window or later, and for each customer."""
        history = data.history
        # What had ended before the window is the past; a campaign is due on its last day.
        rows = np.flatnonzero(history.ends >= data.cutoff)
        table = pd.concat(
            [
                part
                for part in (
                    self._campaigns(fitted, history, rows, scope),
                    self._customers(fitted, data, scope),
                )
                if len(part)
            ]
            or [pd.DataFrame(columns=["entity_type", "entity_id", "target_date"])]
        )
        return table.reindex(columns=["entity_type", "entity_id", "target_date",
                                      *self.result_columns])  # fmt: skip

    def _campaigns(
        self, fitted: Success, history: History, rows: NDArray[np.int64], scope: Scope
    ) -> pd.DataFrame:
        with threadpool_limits(limits=1):
            found = fitted.campaigns.predict(history, rows, history.days, self.config)
        ids = [history.ids[i] for i in rows]
        open_end = scope.as_of + timedelta(days=30)
        ends = [
            open_end if history.ends[i] >= NEVER else history.date(int(history.ends[i]))
            for i in rows
        ]
        return pd.DataFrame(
            {
                "entity_type": "campaign",
                "entity_id": ids,
                "target_date": ends,
                "campaign_id": ids,
                **_columns(found.probability, found.low, found.high, CATEGORY_BOUNDS),
                "success_factors": campaign_factors(fitted.campaigns, found, history, rows),
                "predicted_roas": found.roas.round(4),
                "roas_low": found.roas_low.round(4),
                "roas_high": found.roas_high.round(4),
            }
        )

    def _customers(self, fitted: Success, data: SuccessData, scope: Scope) -> pd.DataFrame:
        reached, responded = data.audience.counts(None, scope.as_of)
        rate = fitted.customers
        low, high = rate.interval(reached, responded)
        ids = list(data.audience.customers)
        return pd.DataFrame(
            {
                "entity_type": "customer",
                "entity_id": ids,
                "target_date": scope.as_of + timedelta(days=30),
                "customer_id": ids,
                **_columns(rate.probability(reached, responded), low, high, CUSTOMER_BOUNDS),
                "success_factors": customer_factors(rate, reached, responded),
            }
        )

    def report(self, scored: Scored[Success, SuccessData]) -> ReportParts:
        """Return what the night's report says."""
        return report_success(
            scored.table, scored.data.history, scored.scope.as_of, scored.is_baseline, self.config
        )

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare the campaigns that have ended since with what was foreseen for them."""
        history = read_history(conn, as_of)
        rows, success = outcomes_before(history, history.days, self.config)
        known = {history.ids[i]: won for i, won in zip(rows, success, strict=True)
                 if history.ends[i] >= history.day(made)}  # fmt: skip
        due = predictions[
            (predictions["entity_type"] == "campaign") & predictions["entity_id"].isin(list(known))
        ]
        if due.empty:
            return None
        won = due["entity_id"].map(known).to_numpy(dtype=np.float64)
        foreseen = due["success_probability"].to_numpy(dtype=np.float64)
        brier = float(((foreseen - won) ** 2).mean())
        promised = float((foreseen * (1 - foreseen)).mean())
        spread = float(np.sqrt((foreseen * (1 - foreseen) * (1 - 2 * foreseen) ** 2).sum()))
        worse = len(due) >= 5 and (brier - promised) * len(due) > 2 * max(spread, 0.5)
        return Outcome(
            (
                Metric("outcome_brier", round(brier, 6)),
                Metric("outcome_accuracy", round(float(((foreseen >= 0.5) == won).mean()), 6)),
                Metric("outcome_campaigns", float(len(due))),
            ),
            f"{len(due)} campaigns have ended since {made}: their Brier score is {brier:.2f}, and "
            f"{promised:.2f} was promised"
            if worse
            else None,
        )


def _columns(
    probability: Floats, low: Floats, high: Floats, bounds: tuple[float, ...]
) -> dict[str, Any]:
    rounded = np.clip(probability, 0.0, 1.0).round(6)
    levels = np.searchsorted(bounds, rounded, side="right")
    return {
        "predicted_campaign_success": (rounded >= 0.5).astype(np.int64),
        "success_probability": rounded,
        "success_low": low.round(6),
        "success_high": high.round(6),
        "success_confidence": np.maximum(rounded, 1 - rounded).round(6),
        "success_category": [CATEGORIES[k] for k in levels],
    }
