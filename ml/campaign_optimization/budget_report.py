"""What a night's report says of the budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ml.campaign_optimization.allocation import Floats, demand
from ml.campaign_optimization.config import BUDGET_BOUNDS, BUDGET_CATEGORIES, ROI_BOUNDS
from ml.campaign_optimization.curves import Curves
from ml.campaign_optimization.plan import Plan
from ml.campaign_optimization.plots import budget_figure
from ml.model import ReportParts, Section
from report_pages import figure_html, note_html, table_html

_SURE = 0.8
"""A move that is believed in less than this is proposed as a step to try."""


def report_budget(
    plan: Plan, curves: Curves, table: pd.DataFrame, unplanned: float, is_baseline: bool
) -> ReportParts:
    """Return the report of a plan; `unplanned` is what is spent in no channel of it."""
    channels = _of(table, "channel").sort_values("entity", kind="stable")
    actions = _actions(channels, plan, is_baseline)
    enough = None if is_baseline else _enough(curves, plan)
    lines = _headlines(plan, channels, is_baseline)
    if enough is not None and enough < 0.95 * plan.budget.sum():
        lines.append(
            f"From a total of about {enough:,.0f} on, one more unit spent brings less than one "
            f"unit of revenue: the budget of {plan.budget.sum():,.0f} is beyond that, and a "
            "smaller one saves more than it loses."
        )
    sections = (
        _allocation(plan, channels, curves, actions, enough),
        _total(plan, table, unplanned),
        _average(table),
        _return(plan, table),
    )
    facts = (
        (f"budget of the next {plan.days} days", f"{plan.budget.sum():,.0f}"),
        ("revenue it is expected to cause", f"{plan.revenue.sum():,.0f}"),
    )
    return ReportParts(lines, sections, actions, facts)


def _of(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    return table[table["entity_type"] == kind]


def _roi(plan: Plan) -> float | None:
    total = float(plan.budget.sum())
    return float(plan.revenue.sum()) / total if total > 0 else None


def _headlines(plan: Plan, channels: pd.DataFrame, is_baseline: bool) -> list[str]:
    total, caused = float(plan.budget.sum()), float(plan.revenue.sum())
    roi = _roi(plan)
    lines = [
        f"{total:,.0f} in the next {plan.days} days are expected to cause {caused:,.0f} of revenue"
        + (f", {roi:.2f} for each unit spent." if roi is not None else ".")
    ]
    if is_baseline:
        lines.append(
            "The shares stay as they are: that another split would bring more is not proven."
        )
        return lines
    same = abs(plan.limits.total - plan.current.sum()) < 0.01 * max(plan.current.sum(), 1.0)
    if same:
        more = caused - float(plan.now.sum())
        lines.append(
            f"The same money as in the last {plan.days} days brings {more:+,.0f} "
            f"({more / max(float(plan.now.sum()), 1e-9):+.1%}) when it is moved as proposed."
        )
    change = plan.budget - plan.current
    if change.max() > 0 > change.min():
        up, down = int(np.argmax(change)), int(np.argmin(change))
        lines.append(
            f"The largest moves: {change[up]:+,.0f} for {plan.channels[up]} and "
            f"{change[down]:+,.0f} for {plan.channels[down]}."
        )
    return lines


def _actions(channels: pd.DataFrame, plan: Plan, is_baseline: bool) -> list[str]:
    if is_baseline:
        return [
            "Keep the budget's split, and vary each channel's spend by weeks: bursts and pauses "
            "show what it causes."
        ]
    steps = []
    moved = channels.assign(
        change=channels["predicted_optimal_budget"] - channels["current_budget"]
    )
    for row in moved.sort_values(["change", "entity"], kind="stable").to_dict("records"):
        told = str(row["optimization_insights"])
        sure = float(row["budget_confidence"])
        if told.startswith(("Raise", "Cut")):
            told += (
                f" (belief in this direction {sure:.0%})"
                if sure >= _SURE
                else f" (belief in this direction only {sure:.0%}: move half of it, and look again "
                "in a month)"
            )
        steps.append(f"{told}.")
    return steps


def _allocation(
    plan: Plan,
    channels: pd.DataFrame,
    curves: Curves,
    actions: list[str],
    enough: float | None,
) -> Section:
    """Return the section of the split; `enough` is None for the simple answer."""
    data: list[dict[str, Any]] = []
    rows = []
    for row in channels.to_dict("records"):
        entry = {
            str(key): (None if isinstance(value, float) and np.isnan(value) else value)
            for key, value in row.items()
            if key not in ("entity_type", "entity_id", "target_date", "as_of", "model_version",
                           "trained_as_of")
        }  # fmt: skip
        data.append(entry)
        roi = "-" if entry["estimated_roi"] is None else f"{entry['estimated_roi']:.2f}"
        rows.append(
            (
                row["entity"],
                f"{row['current_budget']:,.0f}",
                f"{row['predicted_optimal_budget']:,.0f}",
                f"{row['budget_low']:,.0f} to {row['budget_high']:,.0f}",
                f"{row['budget_confidence']:.0%}",
                f"{row['expected_revenue']:,.0f}",
                f"{row['expected_revenue_low']:,.0f} to {row['expected_revenue_high']:,.0f}",
                roi,
                f"{row['marginal_roi']:.2f}",
            )
        )
    header = (
        "Channel", "Now", "Proposed", "Best budget between", "Belief in the move",
        "Revenue caused", "Between", "Per unit", "By the last unit",
    )  # fmt: skip
    top = 1.6 * float(np.maximum(plan.current, plan.budget).max(initial=1.0))
    spend = np.linspace(0.0, top, 60)[:, None] * np.ones(len(plan.channels))
    revenue = np.stack([curves.expected_revenue(x / plan.days) * plan.days for x in spend])
    body = "<ul>" + "".join(f"<li>{step}</li>" for step in actions) + "</ul>"
    body += table_html(header, rows)
    body += (
        '<p class="small">Open circles are the last '
        f"{plan.days} days, filled ones the plan; above the dotted line a channel brings back more "
        "than it costs.</p>"
    )
    body += figure_html(budget_figure(channels, spend, revenue), "plot-budget-vs-roi")
    if enough is not None:
        body += (
            '<p class="small">Spending more in a channel brings less and less. The plan is the '
            "best where the last unit brings the same in all channels, except where a limit is in "
            "the way. Spend is taken as steady, and intervals are of 95 %.</p>"
        )
    return Section(
        "budget_allocation_strategy", "How to split the budget",
        {
            "channels": data,
            "limits": _limits(plan),
            "total_where_the_last_unit_brings_its_cost": None
            if enough is None
            else round(enough, 2),
            "steps": actions,
        },
        body,
    )  # fmt: skip


def _enough(curves: Curves, plan: Plan) -> float:
    """Return the budget at which the last unit spent in each channel brings what it costs."""

    def marginal(budget: Floats) -> Floats:
        return curves.marginal_revenue(budget / plan.days)

    most = np.full(len(plan.channels), 10 * max(plan.limits.total, 1.0))
    return float(demand(marginal, 1.0, np.zeros(len(most)), most).sum())


def _limits(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "channel": name,
            "at_least": float(low),
            "at_most": None if np.isinf(high) else float(high),
        }
        for name, low, high in zip(plan.channels, plan.limits.low, plan.limits.high, strict=True)
        if low > 0 or np.isfinite(high)
    ]


def _total(plan: Plan, table: pd.DataFrame, unplanned: float) -> Section:
    total = float(plan.budget.sum())
    campaigns = _of(table, "campaign").sort_values(
        ["predicted_optimal_budget", "entity_id"], ascending=[False, True], kind="stable"
    )
    placed = float(campaigns["predicted_optimal_budget"].sum())
    data = {
        "days": plan.days,
        "total": round(total, 2),
        "current": round(float(plan.current.sum()), 2),
        "in_campaigns": round(placed, 2),
        "campaigns": [
            {"campaign_id": i, "name": n, "budget": round(float(b), 2)}
            for i, n, b in zip(
                campaigns["entity_id"], campaigns["entity"],
                campaigns["predicted_optimal_budget"], strict=True,
            )
        ],
    }  # fmt: skip
    body = (
        f"<p>{total:,.0f} for {plan.days} days; the last {plan.days} days took "
        f"{plan.current.sum():,.0f}.</p>"
    )
    body += table_html(
        ("Campaign", "Budget", "Revenue caused", "What it is"),
        [
            (r["entity"], f"{r['predicted_optimal_budget']:,.0f}", f"{r['expected_revenue']:,.0f}",
             r["optimization_insights"])
            for r in campaigns.to_dict("records")
        ],
        words=True,
    )  # fmt: skip
    if total - placed > 0.01:
        body += note_html(
            f"{total - placed:,.0f} are for channels in which no campaign runs or is planned."
        )
    if unplanned > 0:
        body += note_html(
            f"{unplanned:,.0f} were lately spent by campaigns whose channel is not known, "
            "or new; they are in no plan."
        )
    return Section("total_predicted_budget", "The plan by campaign", data, body)


def _average(table: pd.DataFrame) -> Section:
    data: dict[str, Any] = {"category_bounds": dict(zip(BUDGET_CATEGORIES[1:], BUDGET_BOUNDS,
                                                         strict=True))}  # fmt: skip
    rows = []
    for kind in ("channel", "campaign", "customer"):
        part = _of(table, kind)
        if not len(part):
            continue
        mean = float(part["predicted_optimal_budget"].mean())
        counts = {name: int((part["budget_category"] == name).sum()) for name in BUDGET_CATEGORIES}
        data[kind] = {"rows": len(part), "average": round(mean, 4), "categories": counts}
        rows.append((kind, f"{len(part):,}", f"{mean:,.2f}", *(f"{n:,}" for n in counts.values())))
    body = table_html(("Kind", "Number", "Average budget", *BUDGET_CATEGORIES), rows)
    body += (
        '<p class="small">Categories are multiples of an even share: Low below half of it, Medium '
        "below it, High below twice it, Premium from there on. A customer's share follows the "
        "purchases that each channel has brought from it.</p>"
    )
    return Section("avg_predicted_budget", "The average budget", data, body)


def _return(plan: Plan, table: pd.DataFrame) -> Section:
    roi = _roi(plan)
    now = float(plan.current.sum())
    data = {
        "total_estimated_roi": None if roi is None else round(roi, 4),
        "current_roi": round(float(plan.now.sum()) / now, 4) if now > 0 else None,
        "expected_revenue": round(float(plan.revenue.sum()), 2),
        "roi_bounds": list(ROI_BOUNDS),
        "roi_categories": {
            kind: {str(k): int(v) for k, v in _of(table, kind)["roi_category"].value_counts()
                   .sort_index().items()}
            for kind in ("channel", "campaign", "customer")
        },
    }  # fmt: skip
    told = "-" if roi is None else f"{roi:.2f}"
    body = (
        f"<p>Each unit spent is expected to cause <b>{told}</b> of revenue that would not have "
        "come by itself. Platforms report more, because they claim purchases that would have come "
        "anyway. Returns are Low below 1, Medium below 2 and High from there on.</p>"
    )
    return Section("total_estimated_roi", "What it brings", data, body)
