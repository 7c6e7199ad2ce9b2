"""From curves to a plan: budgets of channels, of campaigns, and of each customer's share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.campaign_optimization.allocation import (
    Limits,
    allocate,
    best_plans,
    nearest_plan,
    parse_limits,
)
from ml.campaign_optimization.audience import Audience, channel_shares
from ml.campaign_optimization.config import (
    BUDGET_BOUNDS,
    BUDGET_CATEGORIES,
    ROI_BOUNDS,
    ROI_CATEGORIES,
)
from ml.campaign_optimization.curves import Curves
from ml.campaign_optimization.history import History
from ml.campaign_optimization.launch import plans

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """A plan for some days: arrays [C], amounts for all of these days.

    current, budget             what is spent on each channel now, and what is proposed
    low, high                   95 % interval of the best budget, as far as the curves are known
    confidence                  belief that the budget should move the way that is proposed
    now, revenue                revenue caused by the current and the proposed plan
    revenue_low, revenue_high   95 % interval of the latter
    marginal                    revenue of one more unit of the proposed budget
    """

    channels: tuple[str, ...]
    days: int
    limits: Limits
    current: Floats
    budget: Floats
    low: Floats
    high: Floats
    confidence: Floats
    now: Floats
    revenue: Floats
    revenue_low: Floats
    revenue_high: Floats
    marginal: Floats


def current_plan(history: History, channels: tuple[str, ...], days: int) -> Floats:
    """Return what each channel has spent in the last `days` days (or in all, brought to them)."""
    seen = max(min(days, history.days), 1)
    spend = history.spend[:, -seen:].sum(axis=1)
    own = np.array([[name == c for name in history.channel] for c in channels], dtype=np.float64)
    result: Floats = own.reshape(len(channels), len(spend)) @ spend * (days / seen)
    return result


def make_plan(
    curves: Curves, history: History, optimise: bool, days: int, options: Mapping[str, Any]
) -> Plan:
    """Share the budget of the next days over the channels of the curves.

    The total is `options["budget_total"]` or what is spent now; `options["budget_limits"]` may
    lock, floor or cap channels. Spend is taken as steady over the days. Without `optimise` the
    plan keeps the shares as they are, so far as the limits let it.

    Raises:
        BudgetLimitError: the limits are no limits, or cannot be honoured.
    """
    current = current_plan(history, curves.channels, days)
    total = options.get("budget_total", round(float(current.sum()), 2))
    limits = parse_limits(curves.channels, total, options.get("budget_limits"))

    def marginal(budget: Floats) -> Floats:
        return curves.marginal_revenue(budget / days)

    budget = allocate(marginal, limits) if optimise else nearest_plan(current, limits)
    caused = curves.response(budget / days) * curves.value * days
    low, high, confidence = _belief(curves, limits, current, budget, days, optimise)
    revenue_low, revenue_high = np.quantile(caused, [0.025, 0.975], axis=0)
    return Plan(
        channels=curves.channels,
        days=days,
        limits=limits,
        current=current,
        budget=budget,
        low=low,
        high=high,
        confidence=confidence,
        now=curves.expected_revenue(current / days) * days,
        revenue=caused.mean(axis=0),
        revenue_low=revenue_low,
        revenue_high=revenue_high,
        marginal=marginal(budget),
    )


def _belief(
    curves: Curves, limits: Limits, current: Floats, budget: Floats, days: int, optimise: bool
) -> tuple[Floats, Floats, Floats]:
    """Return the interval of each channel's best budget, and the belief in the proposed move.

    Every draw of the curves has a best plan of its own. The simple answer proposes no move.
    """
    if not optimise:
        return budget.copy(), budget.copy(), np.full(len(budget), 0.5)
    best = best_plans(curves.slope * curves.value, curves.half * days, limits)
    low, high = np.quantile(best, [0.025, 0.975], axis=0)
    same = np.where(budget >= current, best >= current, best <= current)
    return np.minimum(low, budget), np.maximum(high, budget), same.mean(axis=0)


def channel_rows(plan: Plan, running: Collection[str]) -> pd.DataFrame:
    """Return the plan's rows, one a channel; `running` names those that have campaigns to pay."""
    return _rows(
        "channel", list(plan.channels), list(plan.channels), plan.budget, plan.low, plan.high,
        plan.confidence, plan.current, plan.now, plan.revenue, plan.revenue_low,
        plan.revenue_high, plan.marginal,
        [_channel_insight(plan, c, plan.channels[c] in running) for c in range(len(plan.channels))],
    )  # fmt: skip


def _channel_insight(plan: Plan, c: int, running: bool) -> str:
    name, budget, current = plan.channels[c], plan.budget[c], plan.current[c]
    low, high = plan.limits.low[c], min(plan.limits.high[c], plan.limits.total)
    change = budget - current
    if low == plan.limits.high[c]:
        told = f"Locked at {budget:,.0f}"
    elif abs(change) < 0.02 * max(current, 1.0):
        told = f"Keep {name} at {budget:,.0f}"
    else:
        told = f"{'Raise' if change > 0 else 'Cut'} {name} from {current:,.0f} to {budget:,.0f}"
    if low < plan.limits.high[c] and low > 0 and budget <= low * (1 + 1e-9):
        told += " (held up by its floor)"
    elif budget >= high * (1 - 1e-9) and low < high < plan.limits.total:
        told += " (held down by its cap)"
    told += f": the last unit spent then brings {plan.marginal[c]:.2f}"
    return told if running or budget <= 0 else f"{told}; no campaign of it runs: start one"


def campaign_rows(plan: Plan, history: History, today: int) -> pd.DataFrame:
    """Return a row for each campaign that runs in the plan's days.

    A channel's budget goes to its campaigns in proportion to what they plan for these days.
    Conversions follow the channel's spend, so that its campaigns bring the same for each unit.
    """
    frames = []
    own = plans(history)
    first = np.maximum(history.starts, today)
    run = np.maximum(np.minimum(own.ends, today + plan.days - 1) - first + 1, 0.0)
    wanted = run * own.daily_budget
    spent = history.spend[:, -plan.days :].sum(axis=1)
    for c, channel in enumerate(plan.channels):
        member = np.array([name == channel for name in history.channel], dtype=bool)
        rows = np.flatnonzero(member & (wanted > 0))
        if not len(rows):
            continue
        share = wanted[rows] / wanted[rows].sum()
        before = spent[rows] / max(float(spent[member].sum()), 1e-9)
        budgets = share * plan.budget[c]
        told = [
            f"{share[k]:.0%} of {channel}; its own plan is {wanted[i]:,.0f} for {int(run[i])} days"
            for k, i in enumerate(rows)
        ]
        frames.append(
            _rows(
                "campaign", [history.ids[i] for i in rows], [history.names[i] for i in rows],
                budgets, share * plan.low[c], share * plan.high[c],
                np.full(len(rows), plan.confidence[c]), before * plan.current[c],
                before * plan.now[c], share * plan.revenue[c], share * plan.revenue_low[c],
                share * plan.revenue_high[c], np.full(len(rows), plan.marginal[c]), told,
            )
        )  # fmt: skip
    return _categorised(pd.concat(frames, ignore_index=True)) if frames else pd.DataFrame()


def customer_rows(plan: Plan, audience: Audience) -> pd.DataFrame:
    """Return each customer's share of the plan: what is spent to reach it, and what it brings."""
    if not audience.customers:
        return pd.DataFrame()
    shares = channel_shares(audience, plan.channels)
    budget = shares @ plan.budget
    weight = shares * plan.budget
    total = np.maximum(weight.sum(axis=1), 1e-12)
    confidence = np.where(budget > 0, weight @ plan.confidence / total, plan.confidence.mean())
    main = np.argmax(weight, axis=1)
    told = [
        f"mostly through {plan.channels[c]} ({weight[i, c] / total[i]:.0%} of it)"
        for i, c in enumerate(main)
    ]
    ids = list(audience.customers)
    return _rows(
        "customer", ids, ids, budget, shares @ plan.low, shares @ plan.high, confidence,
        shares @ plan.current, shares @ plan.now, shares @ plan.revenue,
        shares @ plan.revenue_low, shares @ plan.revenue_high, weight @ plan.marginal / total, told,
    )  # fmt: skip


def _rows(
    kind: str,
    ids: list[str],
    names: list[str],
    budget: Floats,
    low: Floats,
    high: Floats,
    confidence: Floats,
    current: Floats,
    now: Floats,
    revenue: Floats,
    revenue_low: Floats,
    revenue_high: Floats,
    marginal: Floats,
    insights: list[str],
) -> pd.DataFrame:
    roi = np.divide(revenue, budget, out=np.full(len(budget), np.nan), where=budget > 0.005)
    return _categorised(
        pd.DataFrame(
            {
                "entity_type": kind,
                "entity_id": ids,
                "entity": names,
                "predicted_optimal_budget": budget.round(4),
                "budget_low": low.round(4),
                "budget_high": high.round(4),
                "budget_confidence": confidence.round(4),
                "current_budget": current.round(4),
                "current_revenue": now.round(4),
                "expected_revenue": revenue.round(4),
                "expected_revenue_low": revenue_low.round(4),
                "expected_revenue_high": revenue_high.round(4),
                "estimated_roi": roi.round(4),
                "marginal_roi": marginal.round(4),
                "optimization_insights": insights,
            }
        )
    )


def _categorised(rows: pd.DataFrame) -> pd.DataFrame:
    """Put budgets and returns into their published categories, among rows of one kind."""
    budget = rows["predicted_optimal_budget"].to_numpy()
    even = max(float(budget.mean()), 1e-12)
    levels = np.searchsorted(BUDGET_BOUNDS, budget / even, side="right")
    returns = np.nan_to_num(rows["estimated_roi"].to_numpy(dtype=np.float64))
    classes = np.searchsorted(ROI_BOUNDS, returns, side="right")
    return rows.assign(
        budget_category=[BUDGET_CATEGORIES[k] for k in levels],
        roi_category=[ROI_CATEGORIES[k] for k in classes],
    )
