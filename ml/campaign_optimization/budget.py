"""The model `budget`: how to share the budget of the next days over channels and campaigns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from threadpoolctl import threadpool_limits

from ml import artefacts
from ml.campaign_optimization.audience import Audience, read_audience
from ml.campaign_optimization.budget_judge import BASELINE, judge_budget
from ml.campaign_optimization.budget_report import report_budget
from ml.campaign_optimization.config import DATA_SOURCE, FAMILY, BudgetConfig
from ml.campaign_optimization.curves import (
    Curves,
    Daily,
    fit_curves,
    fit_proportional,
)
from ml.campaign_optimization.history import History, read_history
from ml.campaign_optimization.plan import (
    Plan,
    campaign_rows,
    channel_rows,
    customer_rows,
    make_plan,
)
from ml.metrics import Metric
from ml.model import Judgement, Model, Outcome, ReportParts, Scope, Scored

_FORMAT = 1


@dataclass(frozen=True)
class BudgetData:
    """What training sees: `cutoff` is the first day (of the history) of the inference window."""

    history: History
    daily: Daily
    cutoff: int


@dataclass(frozen=True)
class Budget:
    """A fitted version: curves, and whether a plan may be built on them.

    The simple answer keeps the shares as they are; its curves are proportional to spend.
    """

    curves: Curves
    optimise: bool


@dataclass(frozen=True)
class BudgetScoring:
    """What a night's plan is made from."""

    history: History
    audience: Audience


class BudgetModel(Model[BudgetData, Budget, BudgetScoring]):
    """Budgets by channel, campaign and customer, from what spending causes in each channel."""

    name = "budget"
    family = FAMILY
    baseline = BASELINE
    title = "Where should the budget go?"
    subtitle = "What spending causes in each channel, and the plan that brings the most."
    data_source = DATA_SOURCE
    result_columns = (
        "entity",
        "predicted_optimal_budget",
        "budget_low",
        "budget_high",
        "budget_confidence",
        "budget_category",
        "current_budget",
        "current_revenue",
        "expected_revenue",
        "expected_revenue_low",
        "expected_revenue_high",
        "estimated_roi",
        "marginal_roi",
        "roi_category",
        "optimization_insights",
    )
    features = ("spend", "conversions", "revenue", "purchases")
    horizon_days = 30

    def __init__(self, config: BudgetConfig | None = None) -> None:
        """Take other settings than the published ones."""
        self.config = config or BudgetConfig()

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return {**asdict(self.config), "format": _FORMAT}

    def read(self, conn: psycopg.Connection, scope: Scope) -> BudgetData:
        """Read all campaigns' days before `scope.as_of`."""
        history = read_history(conn, scope.as_of)
        return BudgetData(history, history.daily(), history.day(scope.cutoff))

    def fingerprint(self, data: BudgetData) -> str:
        """Return the SHA-256 of the history."""
        return hashlib.sha256(f"{data.history.fingerprint()}{data.cutoff}".encode()).hexdigest()

    def rows(self, data: BudgetData) -> int:
        """Return the channels' days with a report before the cutoff."""
        return int(data.daily.reported[:, : max(data.cutoff, 0)].sum())

    def too_little(self, data: BudgetData) -> str | None:
        """Return why there is too little: channels, days or conversions."""
        config, known = self.config, data.daily.until(max(data.cutoff, 0))
        if len(known.channels) < 2:
            return f"{len(known.channels)} channels have reports; a budget is shared between two"
        reports: list[float] = known.reported.sum(axis=1).tolist()
        silent = [name for name, days in zip(known.channels, reports, strict=True) if not days]
        if silent:
            return f"nothing is reported of {', '.join(silent)} before the inference window"
        if known.days < config.min_days or known.conversions.sum() < config.min_conversions:
            return (
                f"{known.days} days with {known.conversions.sum():,.0f} conversions before the "
                f"inference window; {config.min_days} and {config.min_conversions} are needed"
            )
        return None

    def fit_baseline(self, data: BudgetData) -> Budget:
        """Fit returns in proportion to spend; the plan stays the current one."""
        return Budget(fit_proportional(data.daily.until(data.cutoff), self.config.curves), False)

    def fit(self, data: BudgetData, previous: Budget | None) -> Budget:
        """Fit the saturating curves."""
        # One thread: a sum split over threads may round differently from run to run.
        with threadpool_limits(limits=1):
            return Budget(fit_curves(data.daily.until(data.cutoff), self.config.curves), True)

    def judge(
        self, data: BudgetData, challenger: Budget, baseline: Budget, champion: Budget
    ) -> Judgement:
        """Compare what the curves foresee of held-out days with simpler answers."""
        older = champion.curves if champion.optimise else None
        if older is not None and older.channels != data.daily.channels:
            older = None  # it knows other channels, and cannot serve these
        with threadpool_limits(limits=1):
            return judge_budget(
                data.daily, data.cutoff, challenger.curves, baseline.curves, older, self.config
            )

    def dump(self, fitted: Budget) -> dict[str, bytes]:
        """Return the version as a skops file of numbers and texts."""
        curves = {**vars(fitted.curves), "channels": list(fitted.curves.channels)}
        content = {"format": _FORMAT, "optimise": fitted.optimise, "curves": curves}
        return {"model.skops": artefacts.dump(content)}

    def load(self, files: Mapping[str, bytes]) -> Budget:
        """Return the version that the file holds."""
        content = artefacts.restore(files["model.skops"])
        if content.get("format") != _FORMAT:
            raise artefacts.ArtefactError(f"format {content.get('format')} is not {_FORMAT}")
        fields = dict(content["curves"])
        channels = tuple(fields.pop("channels"))
        return Budget(Curves(channels=channels, **fields), bool(content["optimise"]))

    def read_scoring(self, conn: psycopg.Connection, scope: Scope) -> BudgetScoring:
        """Read plans, the current spend and who was reached, as of the night."""
        return BudgetScoring(read_history(conn, scope.as_of), read_audience(conn, scope.as_of))

    def plan(self, fitted: Budget, data: BudgetScoring, scope: Scope) -> Plan:
        """Return the plan of the night.

        Raises:
            BudgetLimitError: the run's `budget_limits` or `budget_total` cannot be honoured.
        """
        return make_plan(
            fitted.curves, data.history, fitted.optimise, self.config.horizon_days, scope.options
        )

    def score(self, fitted: Budget, data: BudgetScoring, scope: Scope) -> pd.DataFrame:
        """Return a row for each channel, each campaign that runs, and each customer."""
        with threadpool_limits(limits=1):
            plan = self.plan(fitted, data, scope)
            customers = customer_rows(plan, data.audience)
        history = data.history
        campaigns = campaign_rows(plan, history, history.day(scope.as_of))
        index = dict(zip(history.ids, history.channel, strict=True))
        running = {index[name] for name in campaigns["entity_id"]} if len(campaigns) else set()
        parts = (channel_rows(plan, running), campaigns, customers)
        table = pd.concat([part for part in parts if len(part)], ignore_index=True)
        due = scope.as_of + timedelta(days=self.config.horizon_days)
        return table.assign(target_date=due).loc[
            :, ["entity_type", "entity_id", "target_date", *self.result_columns]
        ]

    def report(self, scored: Scored[Budget, BudgetScoring]) -> ReportParts:
        """Return what the night's report says."""
        plan = self.plan(scored.fitted, scored.data, scored.scope)
        unplanned = sum(
            float(spend[-plan.days :].sum())
            for name, spend in zip(
                scored.data.history.channel, scored.data.history.spend, strict=True
            )
            if name not in plan.channels
        )
        return report_budget(
            plan, scored.fitted.curves, scored.table, unplanned, scored.is_baseline
        )

    def outcome(
        self, conn: psycopg.Connection, predictions: pd.DataFrame, made: date, as_of: date
    ) -> Outcome | None:
        """Compare the return that platforms report for the plan's days with that of those before.

        What a plan would have caused cannot be seen, and platforms claim more than was caused:
        their return tells of a change, not of a level. Where it has halved or doubled, the curves
        are no longer those that were learnt.
        """
        history = read_history(conn, as_of)
        first = history.day(made)
        last = min(first + self.config.horizon_days, history.days)
        channels = predictions[predictions["entity_type"] == "channel"]
        if channels.empty or first < self.config.horizon_days or last <= first:
            return None
        daily = history.daily()
        before = slice(first - self.config.horizon_days, first)
        after = slice(first, last)
        spent, earned = daily.spend[:, after].sum(), daily.revenue[:, after].sum()
        earlier = daily.revenue[:, before].sum() / max(daily.spend[:, before].sum(), 1e-9)
        if spent <= 0 or earlier <= 0:
            return None
        later = earned / spent
        return Outcome(
            (
                Metric("outcome_reported_roas", round(float(later), 6)),
                Metric("outcome_reported_roas_before", round(float(earlier), 6)),
            ),
            f"platforms report a return of {later:.2f} for the days since {made}, against "
            f"{earlier:.2f} before"
            if abs(np.log(later / earlier)) > np.log(2)
            else None,
        )
