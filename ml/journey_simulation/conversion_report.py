"""What the night's report says of who will buy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ml.journey_simulation.config import CATEGORIES, CATEGORY_BOUNDS
from ml.journey_simulation.history import Floats
from ml.journey_simulation.plots import CATEGORY_COLORS, category_figure, chances_figure
from ml.journey_simulation.reasons import SMALL, TOPICS
from ml.model import ReportParts, Section
from report_pages import figure_html, table_html

EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Bounds of the distribution's bars."""


@dataclass(frozen=True)
class Strategy:
    """What to do about a category, what not to do, and how to tell that it worked."""

    do: str
    avoid: str
    measure: str


STRATEGIES = {
    "Very High": Strategy(
        "Leave the price alone and raise the basket: bundles, related products, free delivery "
        "from a sum just above their usual order.",
        "Vouchers: most of them buy within the month anyway.",
        "Average order value of this group against last month's.",
    ),
    "High": Strategy(
        "Remind them now, in person where you can: what they looked at, what belongs to what "
        "they bought, a delivery date. A nudge decides here.",
        "Waiting for the next newsletter: their likely order falls within these 30 days.",
        "Share with an order in 30 days, against a tenth of the group left out.",
    ),
    "Medium": Strategy(
        "Give a reason to come back: news in their category, a small offer with an end date. Send "
        "by e-mail first, paid channels only for the upper half.",
        "Spending more on a contact than their expected revenue (see the table).",
        "Extra orders per hundred contacts, against a group left out.",
    ),
    "Low": Strategy(
        "Keep them out of paid campaigns this month; one cheap win-back or first-order message "
        "is enough.",
        "Retargeting: hardly any of these contacts turns into an order within 30 days.",
        "Money no longer spent on this group, at unchanged orders.",
    ),
}


@dataclass(frozen=True)
class Category:
    """A category of customers; revenue is expected within the horizon, in the shop's currency."""

    category: str
    customers: int
    customer_share: float
    avg_probability: float
    expected_buyers: float
    expected_revenue: float
    revenue_per_customer: float
    median_days_since_order: float | None
    avg_visits_90_days: float
    often_for: str
    often_against: str


def categories_of(chance: Floats) -> np.ndarray[Any, np.dtype[np.object_]]:
    """Return each row's category [n]: Low below 0.05, Medium, High from 0.20, Very High 0.50."""
    names = np.array(CATEGORIES, dtype=object)
    return np.asarray(names[np.searchsorted(CATEGORY_BOUNDS, chance, side="right")])


def breakdown(chance: Floats, x: pd.DataFrame, shares: Floats) -> tuple[Category, ...]:
    """Return the categories, the most likely first; shares are those of `topic_shares`."""
    names = categories_of(chance)
    revenue = chance * _usual_order(x)
    found = []
    for name in reversed(CATEGORIES):
        inside = names == name
        many = int(inside.sum())
        days = x["days_since_order"].to_numpy()[inside & (x["orders"].to_numpy() > 0)]
        found.append(
            Category(
                category=name,
                customers=many,
                customer_share=round(100 * many / max(len(chance), 1), 1),
                avg_probability=round(float(chance[inside].mean()), 4) if many else 0.0,
                expected_buyers=round(float(chance[inside].sum()), 1),
                expected_revenue=round(float(revenue[inside].sum()), 2),
                revenue_per_customer=round(float(revenue[inside].mean()), 2) if many else 0.0,
                median_days_since_order=round(float(np.median(days)), 1) if len(days) else None,
                avg_visits_90_days=round(float(x["visits_90"].to_numpy()[inside].mean()), 2)
                if many
                else 0.0,
                often_for=_strongest(shares[inside]),
                often_against=_strongest(-shares[inside]),
            )
        )
    return tuple(found)


def _usual_order(x: pd.DataFrame) -> Floats:
    """Return the mean order of each customer [n]; of those without one, that of all others."""
    ordered, value = x["orders"].to_numpy() > 0, x["order_value"].to_numpy(dtype=np.float64)
    return np.where(ordered, value, value[ordered].mean() if ordered.any() else 0.0)


def _strongest(shares: Floats) -> str:
    """Return the topic that speaks most, on average, in this direction."""
    if not len(shares) or not np.any(shares):
        return ""
    pushes = shares.mean(axis=0)
    return TOPICS[int(np.argmax(pushes))].name if pushes.max() >= SMALL else ""


def concentration(chance: Floats, share: float = 0.1) -> float:
    """Return which part of all expected buyers the most likely `share` of customers holds."""
    most = np.sort(chance)[::-1][: max(1, round(share * len(chance)))]
    return float(most.sum() / chance.sum()) if chance.sum() > 0 else 0.0


def report_parts(
    chance: Floats, x: pd.DataFrame, shares: Floats, horizon: int, until: str
) -> ReportParts:
    """Return the report: how chances are spread, the categories, and what to do about each."""
    groups = breakdown(chance, x, shares)
    by_name = {group.category: group for group in groups}
    buyers, spread = float(chance.sum()), float(np.sqrt((chance * (1 - chance)).sum()))
    revenue = sum(group.expected_revenue for group in groups)
    low, high, top = by_name["Low"], by_name["High"], by_name["Very High"]
    headlines = [
        f"About {buyers:,.0f} of {len(chance):,} customers will buy by {until} (chance alone "
        f"moves that by some {1.96 * spread:,.0f} either way), with orders worth {revenue:,.0f}.",
        f"The most likely tenth of the customers brings {100 * concentration(chance):.0f} % of "
        "these buyers: begin with them.",
        f"{high.customers:,} customers are undecided in the best sense (High, 20 to 50 %): this "
        f"is where a reminder pays. {top.customers:,} will most likely buy without one.",
        f"{low.customers:,} customers ({low.customer_share:.0f} %) have a chance below 5 %: paid "
        "contact with them hardly ever ends in an order this month.",
    ]
    actions = [
        f"Remind the {high.customers:,} High customers this week; hold a tenth of them back to "
        "see what it brings.",
        f"Raise the basket of the {top.customers:,} Very High ones instead of discounting.",
        f"Take the {low.customers:,} Low customers out of paid campaigns for {horizon} days.",
    ]
    sections = (
        Section(
            "conversion_distribution",
            "How likely a purchase is",
            _distribution(chance),
            figure_html(chances_figure(chance, EDGES), "plot-conversion-distribution"),
        ),
        Section(
            "category_breakdown",
            "The four groups in figures",
            [asdict(group) for group in groups],
            figure_html(category_figure(groups), "plot-conversion-categories")
            + _table(groups, horizon),
        ),
        Section(
            "optimization_strategies",
            "What to do about each group",
            _strategies(groups),
            _cards(groups),
        ),
    )
    facts = (
        (f"expected buyers by {until}", f"{buyers:,.0f}"),
        ("their expected orders' value", f"{revenue:,.0f}"),
    )
    return ReportParts(headlines, sections, actions, facts)


def _distribution(chance: Floats) -> dict[str, Any]:
    counts, _ = np.histogram(chance, bins=np.array(EDGES))
    return {
        "customers": len(chance),
        "mean_probability": round(float(chance.mean()), 4),
        "median_probability": round(float(np.median(chance)), 4),
        "expected_buyers": round(float(chance.sum()), 1),
        "share_of_buyers_in_top_tenth": round(concentration(chance), 4),
        "category_bounds": dict(zip(CATEGORIES[1:], CATEGORY_BOUNDS, strict=True)),
        "bins": [
            {"from": a, "to": b, "customers": int(n)}
            for a, b, n in zip(EDGES[:-1], EDGES[1:], counts, strict=True)
        ],
    }


def _table(groups: tuple[Category, ...], horizon: int) -> str:
    header = (
        "Group", "Customers", "% of all", "Chance", "Expected buyers", "Expected revenue",
        "Per customer", "Days since order*", "Visits in 90 days", "Most often for",
        "Most often against",
    )  # fmt: skip
    rows = [
        (
            g.category,
            f"{g.customers:,}",
            f"{g.customer_share:.1f}",
            f"{100 * g.avg_probability:.1f} %",
            f"{g.expected_buyers:,.0f}",
            f"{g.expected_revenue:,.0f}",
            f"{g.revenue_per_customer:,.2f}",
            "-" if g.median_days_since_order is None else f"{g.median_days_since_order:,.0f}",
            f"{g.avg_visits_90_days:.1f}",
            g.often_for or "-",
            g.often_against or "-",
        )
        for g in groups
    ]
    note = (
        '<p class="small">* Median of those who have ordered. Low is below 5 %, Medium 5 to 20 %, '
        f"High 20 to 50 %, Very High 50 % and more. Expected revenue is one order of usual size "
        f"times the chance of one within {horizon} days, in the shop's currency.</p>"
    )
    return table_html(header, rows) + note


def _strategies(groups: tuple[Category, ...]) -> list[dict[str, Any]]:
    return [
        {"category": g.category, "customers": g.customers, **asdict(STRATEGIES[g.category])}
        for g in groups
        if g.customers
    ]


def _cards(groups: tuple[Category, ...]) -> str:
    cards = []
    for g in groups:
        if not g.customers:
            continue
        strategy = STRATEGIES[g.category]
        cards.append(
            f'<div class="card" style="border-color:{CATEGORY_COLORS[g.category]}">'
            f"<h3>{escape(g.category)} · {g.customers:,} customers · "
            f"{g.expected_buyers:,.0f} expected buyers</h3>"
            f'<p class="say"><b>Do</b>{escape(strategy.do)}</p>'
            f'<p class="say"><b>Avoid</b>{escape(strategy.avoid)}</p>'
            f'<p class="say"><b>Measure</b>{escape(strategy.measure)}</p></div>'
        )
    return "".join(cards)
