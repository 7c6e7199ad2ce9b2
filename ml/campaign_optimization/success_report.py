"""What a night's report says of the success of campaigns, and of the customers to address."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ml.campaign_optimization.config import (
    CATEGORIES,
    CATEGORY_BOUNDS,
    CUSTOMER_BOUNDS,
    SuccessConfig,
)
from ml.campaign_optimization.history import History
from ml.campaign_optimization.plots import success_figure
from ml.model import ReportParts, Section
from report_pages import figure_html, table_html

_DO = {
    "planned": {
        "Low": "Do not launch it as planned: cut its budget a day, or start it in a channel where "
        "less is running.",
        "Medium": "Launch it smaller than planned, and look at its return after three weeks.",
        "High": "Launch it as planned.",
        "Very High": "Launch it as planned.",
    },
    "running": {
        "Low": "Cut its budget a day, or stop it: it is not expected to earn back what it costs.",
        "Medium": "Cut its budget a day by a step, and look again in two weeks.",
        "High": "Keep it as it is.",
        "Very High": "Keep it; it is the first to get money that another campaign gives up.",
    },
}


def report_success(
    table: pd.DataFrame, history: History, as_of: date, is_baseline: bool, config: SuccessConfig
) -> ReportParts:
    """Return the report of a scored night."""
    campaigns = _campaigns(table, history, as_of)
    customers = table[table["entity_type"] == "customer"]
    alive = campaigns[campaigns["phase"] != "ended"]
    steps = _recommendations(alive, customers, config)
    sections = (
        _success_rate(campaigns, customers, config),
        _distribution(campaigns, customers, config),
        _recommended(alive, steps, is_baseline),
    )
    facts = (
        ("campaigns running or planned", str(len(alive))),
        ("of them expected to pay", str(int(alive["predicted_campaign_success"].sum()))),
    )
    return ReportParts(_headlines(alive, customers, config), sections, _grouped(steps), facts)


def _campaigns(table: pd.DataFrame, history: History, as_of: date) -> pd.DataFrame:
    """Return the campaigns' rows with their name, channel, phase and return so far."""
    rows = table[table["entity_type"] == "campaign"].copy()
    index = {name: i for i, name in enumerate(history.ids)}
    at = np.array([index[name] for name in rows["entity_id"]], dtype=np.int64)
    spend, revenue = history.spend[at].sum(axis=1), history.revenue[at].sum(axis=1)
    today = history.day(as_of)
    rows["name"] = [history.names[i] for i in at]
    rows["channel"] = [history.channel[i] for i in at]
    rows["phase"] = np.where(
        history.starts[at] >= today,
        "planned",
        np.where(history.ends[at] < today, "ended", "running"),
    )
    rows["days_run"] = np.maximum(today - history.starts[at], 0)
    rows["roas_so_far"] = np.divide(revenue, spend, out=np.full(len(at), np.nan), where=spend > 0)
    return rows.sort_values(
        ["success_probability", "entity_id"], ascending=[False, True], kind="stable"
    )


def _headlines(alive: pd.DataFrame, customers: pd.DataFrame, config: SuccessConfig) -> list[str]:
    lines = []
    if len(alive):
        good = int(alive["predicted_campaign_success"].sum())
        lines.append(
            f"{good} of {len(alive)} running or planned campaigns are expected to pay, which means "
            f"a return of at least {config.success_roas:g} for each unit spent."
        )
        weak = alive[alive["success_category"] == "Low"]
        if len(weak):
            worst = weak.tail(3)
            named = ", ".join(
                f"{name} ({chance:.0%})"
                for name, chance in zip(worst["name"], worst["success_probability"], strict=True)
            )
            lines.append(f"{len(weak)} have a chance below {CATEGORY_BOUNDS[0]:.0%}: {named}.")
    else:
        lines.append("No campaign is running or planned.")
    if len(customers):
        chance = customers["success_probability"]
        top = chance.nlargest(max(len(chance) // 10, 1))
        lines.append(
            f"A customer whom the next campaign reaches orders with a probability of "
            f"{chance.mean():.1%} on average, and of {top.mean():.1%} in the best tenth."
        )
    return lines


def _success_rate(
    campaigns: pd.DataFrame, customers: pd.DataFrame, config: SuccessConfig
) -> Section:
    phases = []
    for phase in ("planned", "running", "ended"):
        part = campaigns[campaigns["phase"] == phase]
        if len(part):
            entry: dict[str, Any] = {
                "phase": phase,
                "campaigns": len(part),
                "expected_to_pay": int(part["predicted_campaign_success"].sum()),
                "mean_probability": round(float(part["success_probability"].mean()), 4),
            }
            if phase != "planned":
                entry["pay_so_far"] = int((part["roas_so_far"] >= config.success_roas).sum())
            phases.append(entry)
    data = {
        "definition": f"overall return on ad spend of at least {config.success_roas:g}",
        "campaigns": len(campaigns),
        "success_rate": round(float(campaigns["success_probability"].mean()), 4)
        if len(campaigns)
        else None,
        "phases": phases,
        "customers": len(customers),
        "customer_response_rate": round(float(customers["success_probability"].mean()), 4)
        if len(customers)
        else None,
    }
    body = table_html(
        ("Campaigns", "Number", "Expected to pay", "Mean chance", "Pay so far"),
        [
            (p["phase"], str(p["campaigns"]), str(p["expected_to_pay"]),
             f"{p['mean_probability']:.0%}", str(p.get("pay_so_far", "-")))
            for p in phases
        ],
    )  # fmt: skip
    body += (
        f'<p class="small">A campaign pays when its platform reports at least '
        f"{config.success_roas:g} units of revenue for each unit spent, over its whole run. "
        "That is break-even at a contribution margin of 50 %. Chances are those before the "
        "launch; what has come in since does not change them. Ended are those of the inference "
        "window.</p>"
    )
    return Section("success_rate", "How many campaigns will pay", data, body)


def _distribution(
    campaigns: pd.DataFrame, customers: pd.DataFrame, config: SuccessConfig
) -> Section:
    data, rows = [], []
    edges = (0.0, *CATEGORY_BOUNDS, 1.0)
    theirs = (0.0, *CUSTOMER_BOUNDS, 1.0)
    for k, name in enumerate(CATEGORIES):
        own = int((campaigns["success_category"] == name).sum())
        people = int((customers["success_category"] == name).sum())
        data.append(
            {
                "category": name,
                "campaign_bounds": [edges[k], edges[k + 1]],
                "campaigns": own,
                "customer_bounds": [theirs[k], theirs[k + 1]],
                "customers": people,
            }
        )
        rows.append(
            (name, f"{edges[k]:.0%} to {edges[k + 1]:.0%}", str(own),
             f"{theirs[k]:.0%} to {theirs[k + 1]:.0%}", f"{people:,}")
        )  # fmt: skip
    body = '<p class="small">The chance that each campaign pays, with its 95 % interval.</p>'
    if len(campaigns):
        body += figure_html(success_figure(campaigns), "plot-campaign-success-distribution")
    body += table_html(
        ("Category", "Campaign's chance", "Campaigns", "Customer's chance", "Customers"), rows
    )
    return Section("category_distribution", "How sure that is", data, body)


def _grouped(steps: list[dict[str, Any]]) -> list[str]:
    """Return one sentence an action, naming all that it is for."""
    named: dict[str, list[str]] = {}
    for step in steps:
        named.setdefault(step["action"], []).append(step["who"])
    return [f"{', '.join(who)}: {action}" for action, who in named.items()]


def _action(row: dict[Any, Any], config: SuccessConfig) -> str:
    """Return what to do about a campaign; what it has brought may speak against its chances."""
    if row["phase"] == "running" and row["days_run"] >= config.least_days:
        did_well, foreseen = row["roas_so_far"] >= config.success_roas, row["success_probability"]
        if did_well and foreseen < CATEGORY_BOUNDS[1]:
            return "It has done better so far than was foreseen: leave it, and look every week."
        if not did_well and foreseen >= CATEGORY_BOUNDS[1]:
            return "It has done worse so far than was foreseen: find out why before it goes on."
    return _DO[row["phase"]][row["success_category"]]


def _recommendations(
    alive: pd.DataFrame, customers: pd.DataFrame, config: SuccessConfig
) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for row in alive.iloc[::-1].to_dict("records"):
        action = _action(row, config)
        steps.append(
            {
                "campaign_id": row["entity_id"],
                "name": row["name"],
                "phase": row["phase"],
                "success_probability": row["success_probability"],
                "action": action,
                "why": row["success_factors"],
                "who": f"{row['name']} ({row['success_probability']:.0%})",
            }
        )
    best = customers[customers["success_category"].isin(["High", "Very High"])]
    if len(best):
        action = (
            "Address them first with the next campaign, and leave a random tenth of them out, to "
            "see what it brings."
        )
        steps.append(
            {
                "customers": len(best),
                "action": action,
                "why": f"they order with a probability of at least {CUSTOMER_BOUNDS[1]:.0%}",
                "who": f"{len(best):,} customers with a chance of {CUSTOMER_BOUNDS[1]:.0%} or more",
            }
        )
    return steps


def _recommended(alive: pd.DataFrame, steps: list[dict[str, Any]], is_baseline: bool) -> Section:
    rows = []
    for step in steps:
        if "campaign_id" in step:
            row = alive[alive["entity_id"] == step["campaign_id"]].iloc[0]
            expected = (
                "-"
                if np.isnan(row["predicted_roas"])
                else (
                    f"{row['predicted_roas']:.1f} ({row['roas_low']:.1f} to {row['roas_high']:.1f})"
                )
            )
            so_far = "-" if np.isnan(row["roas_so_far"]) else f"{row['roas_so_far']:.1f}"
            rows.append(
                (step["name"], step["phase"], f"{step['success_probability']:.0%}", expected,
                 so_far, step["action"], step["why"])
            )  # fmt: skip
        else:
            rows.append(
                (f"{step['customers']:,} customers", "", "", "", "", step["action"], step["why"])
            )
    header = ("Who", "Phase", "Chance", "Return foreseen", "So far", "Do", "Why")
    note = (
        '<p class="small">The weakest come first. The return foreseen has a 90 % interval. '
        "A return is of all that was spent; what one more unit would bring is less, and is in the "
        "report of the budget.</p>"
    )
    if is_baseline:
        note += '<p class="small">The simple answer foresees no return.</p>'
    data = [{k: v for k, v in step.items() if k != "who"} for step in steps]
    return Section(
        "optimization_recommendations", "What to do", data, table_html(header, rows, True) + note
    )
