"""What the revenue model's report says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.forecasting.company import CompanyForecast
from ml.forecasting.config import RevenueConfig
from ml.forecasting.plots import customer_revenue_figure, daily_revenue_figure
from ml.forecasting.purchases import Purchases
from ml.forecasting.revenue_fit import RevenueVersion
from ml.forecasting.revenue_score import night_forecast, story
from ml.model import ReportParts, Scored, Section
from report_pages import figure_html, table_html

TOP_SHARE = 0.2
SHOWN_CUSTOMERS = 15
LOST_BELOW, DEAR_SHARE = 0.5, 0.2
"""Win-back: who is rather gone than not, of the fifth who have spent most."""


def report_parts(scored: Scored[RevenueVersion, Purchases], config: RevenueConfig) -> ReportParts:
    """Return the headlines, sections and actions of a night's revenue forecasts."""
    as_of, purchases = scored.scope.as_of, scored.data
    found = night_forecast(scored.fitted, purchases, as_of, config)
    customers = _ranked(scored.table)
    totals = _totals(found, purchases, scored, config)
    top = _top(customers)
    lost = _win_back(scored, config)
    plan = _plan(totals, top, lost, found, as_of)
    return ReportParts(
        headlines=_headlines(totals, top, lost),
        sections=(
            Section(
                "summary_statistics",
                "What will be sold",
                {"company": totals, "customers": _customer_summary(customers)},
                _totals_table(totals) + _daily_html(scored, found, config),
            ),
            Section(
                "high_value_insights",
                "The fifth of customers that will bring most",
                top | {"win_back": lost},
                _top_html(customers, top),
            ),
            Section(
                "revenue_forecast_distribution",
                "How the next month's revenue is spread over customers",
                _customer_summary(customers),
                _distribution_html(customers),
            ),
            Section(
                "planning_recommendations",
                "What to do",
                plan,
                table_html(
                    ("For", "Do", "Because"),
                    [(p["for"], p["do"], p["because"]) for p in plan],
                    words=True,
                ),
            ),
        ),
        actions=[p["do"] for p in plan],
        facts=(
            ("expected revenue, next 30 days", f"{totals[0]['expected']:,.0f}"),
            ("expected revenue, next 90 days", f"{totals[1]['expected']:,.0f}"),
        ),
    )


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["entity_type"] == "customer"]
    return rows.sort_values(
        ["predicted_revenue", "entity_id"], ascending=[False, True], kind="stable"
    )


def _totals(
    found: CompanyForecast,
    purchases: Purchases,
    scored: Scored[RevenueVersion, Purchases],
    config: RevenueConfig,
) -> list[dict[str, Any]]:
    """Return expected sums with intervals, and the settled days before the night to compare."""
    settled = scored.scope.as_of - timedelta(days=config.settle_days)
    entries = []
    for (days, expected, low, high), (_, _, low_80, high_80) in zip(
        found.totals["0.95"], found.totals["0.8"], strict=True
    ):
        past = purchases.total.between(settled - timedelta(days=days), settled)
        before = float(past.sum()) if len(past) == days else None
        entries.append(
            {
                "days": days,
                "expected": round(expected, 2),
                "low": round(low, 2),
                "high": round(high, 2),
                "low_80": round(low_80, 2),
                "high_80": round(high_80, 2),
                "same_days_before": None if before is None else round(before, 2),
                "change_percent": None if not before else round(100 * (expected / before - 1), 1),
            }
        )
    return entries


def _customer_summary(customers: pd.DataFrame) -> dict[str, Any]:
    values = customers["predicted_revenue"].to_numpy(dtype=np.float64)
    if not len(values):
        return {"customers": 0}
    quarter, median, three = np.quantile(values, [0.25, 0.5, 0.75])
    return {
        "customers": len(values),
        "expected_revenue": round(float(values.sum()), 2),
        "mean": round(float(values.mean()), 2),
        "lower_quartile": round(float(quarter), 2),
        "median": round(float(median), 2),
        "upper_quartile": round(float(three), 2),
        "mean_confidence": round(float(customers["forecast_confidence"].mean()), 3),
    }


def _top(customers: pd.DataFrame) -> dict[str, Any]:
    values = customers["predicted_revenue"].to_numpy(dtype=np.float64)
    count = max(round(TOP_SHARE * len(values)), 1) if len(values) else 0
    total = float(values.sum())
    return {
        "customers": count,
        "from_revenue": round(float(values[count - 1]), 2) if count else 0.0,
        "expected_revenue": round(float(values[:count].sum()), 2),
        "share_percent": round(100 * float(values[:count].sum()) / total, 1) if total else 0.0,
    }


def _win_back(
    scored: Scored[RevenueVersion, Purchases], config: RevenueConfig
) -> dict[str, Any] | None:
    """Return how many of the best past customers are rather gone than not, and what they spent."""
    buyers = scored.data.buyers(scored.scope.as_of)
    told = story(scored.fitted, buyers, config)
    if told is None or not len(buyers.rows):
        return None
    spent = buyers.purchase_days * buyers.mean_value
    dear = spent >= np.quantile(spent, 1 - DEAR_SHARE)
    lost = dear & (told.alive < LOST_BELOW)
    return {
        "customers": int(lost.sum()),
        "of": int(dear.sum()),
        "spent_so_far": round(float(spent[lost].sum()), 2),
    }


def _headlines(
    totals: list[dict[str, Any]], top: dict[str, Any], lost: dict[str, Any] | None
) -> list[str]:
    said = []
    for entry in totals:
        sentence = (
            f"The next {entry['days']} days will bring {entry['expected']:,.0f}, with 95 % "
            f"confidence {entry['low']:,.0f} to {entry['high']:,.0f}"
        )
        change = entry["change_percent"]
        if change is not None:
            way = "more" if change >= 0 else "less"
            sentence += f": {abs(change):.0f} % {way} than the same number of days before"
        said.append(sentence + ".")
    if top["customers"]:
        said.append(
            f"{top['customers']:,} customers (a fifth) will bring {top['share_percent']:.0f} % of "
            f"what customers of today spend in the next month: {top['from_revenue']:,.0f} or more "
            "each."
        )
    if lost and lost["customers"]:
        said.append(
            f"{lost['customers']:,} of the {lost['of']:,} customers who have spent most are "
            f"probably gone; they have spent {lost['spent_so_far']:,.0f} so far."
        )
    return said


def _plan(
    totals: list[dict[str, Any]],
    top: dict[str, Any],
    lost: dict[str, Any] | None,
    found: CompanyForecast,
    as_of: Any,
) -> list[dict[str, str]]:
    month = totals[0]
    plan = [
        {
            "for": "purchasing and cash",
            "do": f"Plan the next 30 days with {month['expected']:,.0f}; keep enough in hand for "
            f"{month['low_80']:,.0f}, and stock for {month['high_80']:,.0f}.",
            "because": "In four of five months, sales lie between these two.",
        }
    ]
    if top["customers"]:
        plan.append(
            {
                "for": "marketing",
                "do": f"Give service and new products first to the {top['customers']:,} customers "
                f"from whom {top['from_revenue']:,.0f} or more is expected; spare them discounts.",
                "because": f"They bring {top['share_percent']:.0f} % of what is expected of "
                "customers, and are about to buy anyway.",
            }
        )
    if lost and lost["customers"]:
        plan.append(
            {
                "for": "marketing",
                "do": f"Send a win-back offer to the {lost['customers']:,} best past customers "
                "who are probably gone.",
                "because": f"They have spent {lost['spent_so_far']:,.0f}, and are expected to "
                "spend next to nothing unless something changes.",
            }
        )
    days = np.array([(as_of + timedelta(days=n)).weekday() for n in range(len(found.values))])
    by_day = np.array([found.values[days == weekday].mean() for weekday in range(7)])
    if by_day.min() > 0 and by_day.max() / by_day.min() > 1.05:
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        best, worst = int(by_day.argmax()), int(by_day.argmin())
        plan.append(
            {
                "for": "operations",
                "do": f"Staff for {names[best]}s; put maintenance on {names[worst]}s.",
                "because": f"A {names[best]} brings {by_day[best]:,.0f} on average, a "
                f"{names[worst]} {by_day[worst]:,.0f}.",
            }
        )
    return plan


def _totals_table(totals: list[dict[str, Any]]) -> str:
    header = ("Next", "Expected", "80 % interval", "95 % interval", "Same days before", "Change")
    rows = [
        (
            f"{t['days']} days",
            f"{t['expected']:,.0f}",
            f"{t['low_80']:,.0f} to {t['high_80']:,.0f}",
            f"{t['low']:,.0f} to {t['high']:,.0f}",
            "-" if t["same_days_before"] is None else f"{t['same_days_before']:,.0f}",
            "-" if t["change_percent"] is None else f"{t['change_percent']:+.1f} %",
        )
        for t in totals
    ]
    return table_html(header, rows)


def _daily_html(
    scored: Scored[RevenueVersion, Purchases], found: CompanyForecast, config: RevenueConfig
) -> str:
    settled = scored.scope.as_of - timedelta(days=config.settle_days)
    figure = daily_revenue_figure(scored.data.total.before(settled), found, scored.scope.as_of)
    return (
        f'<p class="small">Revenue per day, forecast by {scored.fitted.company.method}. The last '
        f"{config.settle_days} days before the night are left out: some of their orders are still "
        "pending.</p>" + figure_html(figure, "plot-daily-revenue")
    )


def _top_html(customers: pd.DataFrame, top: dict[str, Any]) -> str:
    words = (
        f"<p>{top['customers']:,} customers, each expected to spend {top['from_revenue']:,.0f} or "
        f"more in the next month: together {top['expected_revenue']:,.0f}, "
        f"{top['share_percent']:.0f} % of what is expected of customers of today. Confidence is "
        "0.5 where forecasts like it are usually wrong by as much as they say; single customers "
        "are hard to foretell, their sum is not. The whole list is the Parquet file beside this "
        "page.</p>"
    )
    header = ("Customer", "Next month", "95 % interval", "Confidence", "Why")
    rows = [
        (
            str(row["entity_id"]),
            f"{row['predicted_revenue']:,.0f}",
            f"{row['low']:,.0f} to {row['high']:,.0f}",
            f"{row['forecast_confidence']:.2f}",
            str(row["explanation"]),
        )
        for row in customers.head(SHOWN_CUSTOMERS).to_dict("records")
    ]
    return words + table_html(header, rows, words=True)


def _distribution_html(customers: pd.DataFrame) -> str:
    values = customers["predicted_revenue"].to_numpy(dtype=np.float64)
    return (
        '<p class="small">Bars: how many customers are expected to spend so much in the next '
        "month. Line: the share of all expected revenue that they and all who spend more bring.</p>"
        + figure_html(customer_revenue_figure(values), "plot-revenue-forecast-distribution")
    )
