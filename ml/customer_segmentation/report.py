"""What a segmentation's report says, whichever model made the segments."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import Any

from ml.customer_segmentation.advice import advice_for, caution_for
from ml.customer_segmentation.config import NO_PURCHASE_TYPE
from ml.customer_segmentation.naming import base_type
from ml.customer_segmentation.plots import COLORS, distribution_figure, profile_figure
from ml.customer_segmentation.profiles import SegmentProfile
from ml.model import ReportParts, Scope, Section
from report_pages import figure_html, note_html, table_html

Profiles = tuple[SegmentProfile, ...]
DISTRIBUTION = ("segment", "segment_type", "customers", "customer_share", "revenue_share")


def report_parts(profiles: Profiles, scope: Scope) -> ReportParts:
    """Return the headlines, sections and actions of a night's segments."""
    advice = recommendations(profiles)
    revenue = round(sum(p.revenue for p in profiles), 2)
    return ReportParts(
        headlines=headlines(profiles),
        sections=(
            Section(
                "segment_distribution",
                "How large the segments are, and what they bring",
                [_some(p, DISTRIBUTION) for p in profiles],
                figure_html(distribution_figure(profiles), "plot-segment-distribution"),
            ),
            Section(
                "segment_characteristics",
                "How the segments behave",
                [_but(p, DISTRIBUTION[2:]) for p in profiles],
                '<p class="small">The larger the bubble, the more each customer has spent.</p>'
                + figure_html(profile_figure(profiles), "plot-segment-profile")
                + _segments_table(profiles, scope),
            ),
            Section("business_recommendations", "What to do", advice, _advice_html(advice)),
        ),
        actions=[_action(entry) for entry in advice],
        facts=(
            ("customers scored", f"{sum(p.customers for p in profiles):,}"),
            ("revenue of these customers", f"{revenue:,.0f}"),
        ),
    )


def _some(profile: SegmentProfile, names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in asdict(profile).items() if key in names}


def _but(profile: SegmentProfile, names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in asdict(profile).items() if key not in names}


def _action(entry: dict[str, Any]) -> str:
    step = f"{entry['segment_type']} ({entry['customers']:,} customers): {entry['action']}"
    return f"{step} Note: {entry['caution']}" if entry.get("caution") else step


def headlines(profiles: Profiles) -> list[str]:
    """Return the three things to know first, one plain sentence each."""
    buyers = [p for p in profiles if p.customers and p.segment_type != NO_PURCHASE_TYPE]
    if not buyers:
        return ["No customer has bought anything yet."]
    sentences = []
    top = max(buyers, key=lambda p: (p.revenue_share / max(p.customer_share, 0.1), p.revenue))
    sentences.append(
        f"{top.segment_type} are {top.customer_share:.0f} % of customers and bring "
        f"{top.revenue_share:.0f} % of revenue: {top.avg_monetary:,.2f} each."
    )
    large = max(buyers, key=lambda p: (p.customers, p.revenue))
    sentences.append(
        f"The largest segment is {large.segment_type}: {large.customers:,} customers, "
        f"{large.customer_share:.0f} % of all, with {large.revenue_share:.0f} % of revenue."
    )
    risk = [p for p in buyers if base_type(p.segment_type) == "At-Risk"]
    if risk:
        count, spent = sum(p.customers for p in risk), sum(p.revenue for p in risk)
        sentences.append(
            f"{count:,} customers are At-Risk: they have spent {spent:,.0f} so far, and half of "
            f"them have bought nothing for {risk[0].median_recency_days:,.0f} days or more."
        )
    return sentences


def recommendations(profiles: Profiles) -> list[dict[str, Any]]:
    """Return who the customers of each segment are, what to do, avoid and measure."""
    entries = []
    for profile in profiles:
        if not profile.customers:
            continue
        advice = advice_for(profile)
        entry: dict[str, Any] = {
            "segment_type": profile.segment_type,
            "customers": profile.customers,
            "who": advice.who,
            "action": advice.action,
            "avoid": advice.avoid,
            "measure": advice.measure,
        }
        if caution := caution_for(profile):
            entry["caution"] = caution
        entries.append(entry)
    return entries


def _segments_table(profiles: Profiles, scope: Scope) -> str:
    header = (
        "Segment", "Customers", "% of all", "Revenue", "% of revenue", "Spent each", "Orders",
        "Per order", "Days since last*", "Bought in window", "Confidence",
    )  # fmt: skip
    rows = [
        (
            p.segment_type,
            f"{p.customers:,}",
            f"{p.customer_share:.1f}",
            f"{p.revenue:,.0f}",
            f"{p.revenue_share:.1f}",
            f"{p.avg_monetary:,.2f}",
            f"{p.avg_frequency:.1f}",
            f"{p.avg_order_value:,.2f}",
            "-" if p.segment_type == NO_PURCHASE_TYPE else f"{p.median_recency_days:,.0f}",
            f"{p.active_share:.0f} %",
            f"{p.avg_confidence:.2f}",
        )
        for p in profiles
    ]
    note = (
        '<p class="small">* Median; "Spent each", "Orders" and "Per order" are means. The window '
        f"is {scope.cutoff} to {scope.as_of}. Confidence is 1 for a customer in the middle of a "
        "segment and 0 for one on the border between two. Amounts are in the shop's currency.</p>"
    )
    return table_html(header, rows) + note


def _advice_html(advice: list[dict[str, Any]]) -> str:
    cards = []
    for entry in advice:
        name = entry["segment_type"]
        color = COLORS[base_type(name)]
        cards.append(
            f'<div class="card" style="border-color:{color}">'
            f"<h3>{escape(name)} · {entry['customers']:,} customers</h3>"
            f"<p>{escape(entry['who'])}</p>"
            + note_html(entry.get("caution"))
            + f'<p class="say"><b>Do</b>{escape(entry["action"])}</p>'
            f'<p class="say"><b>Avoid</b>{escape(entry["avoid"])}</p>'
            f'<p class="say"><b>Measure</b>{escape(entry["measure"])}</p></div>'
        )
    return "".join(cards)
