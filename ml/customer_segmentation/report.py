"""The report of a scored night: YAML for machines, a self-contained page for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from html import escape
from typing import Any

import yaml

from ml.customer_segmentation.advice import advice_for, caution_for
from ml.customer_segmentation.config import BASELINE, FAMILY, MODEL, NO_PURCHASE_TYPE
from ml.customer_segmentation.naming import base_type
from ml.customer_segmentation.plots import COLORS, distribution_figure, profile_figure
from ml.customer_segmentation.profiles import SegmentProfile
from ml.features import DATA_SOURCE
from ml.metrics import Metric
from report_pages import figure_html, note_html, page_html, section_html, table_html


@dataclass(frozen=True)
class ReportInput:
    """All that a report says. `window_start` opens the inference window, which as_of ends.

    `mark` is what the gate said of the night, if anything (see `ml.standing`).
    """

    as_of: date
    version: str
    trained_until: date
    trained_rows: int
    window_start: date
    fallback_from: str | None
    profiles: tuple[SegmentProfile, ...]
    metrics: tuple[Metric, ...]
    mark: str | None = None

    @property
    def customers(self) -> int:
        """All customers scored."""
        return sum(p.customers for p in self.profiles)

    @property
    def revenue(self) -> float:
        """What they have spent in all, in the shop's currency."""
        return round(sum(p.revenue for p in self.profiles), 2)


def headlines(report: ReportInput) -> list[str]:
    """Return the three things to know first, one plain sentence each."""
    buyers = [p for p in report.profiles if p.customers and p.segment_type != NO_PURCHASE_TYPE]
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


def _recommendations(report: ReportInput) -> list[dict[str, Any]]:
    entries = []
    for profile in report.profiles:
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


def build_yaml(report: ReportInput) -> str:
    """Return the report as YAML."""
    distribution = ("segment", "segment_type", "customers", "customer_share", "revenue_share")
    content = {
        "report": {
            "model": MODEL,
            "family": FAMILY,
            "as_of": report.as_of.isoformat(),
            "model_version": report.version,
            "trained_until": report.trained_until.isoformat(),
            "trained_customers": report.trained_rows,
            "inference_window": {
                "start": report.window_start.isoformat(),
                "end": report.as_of.isoformat(),
            },
            "fallback_from": report.fallback_from,
            "gate": report.mark,
            "data_source": DATA_SOURCE,
            "customers_scored": report.customers,
        },
        "headlines": headlines(report),
        "segment_distribution": [
            {key: value for key, value in asdict(p).items() if key in distribution}
            for p in report.profiles
        ],
        "segment_characteristics": [
            {
                key: value
                for key, value in asdict(p).items()
                if key not in distribution or key in distribution[:2]
            }
            for p in report.profiles
        ],
        "business_recommendations": _recommendations(report),
        "metrics": [asdict(m) for m in report.metrics],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text


def _segments_table(report: ReportInput) -> str:
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
        for p in report.profiles
    ]
    note = (
        '<p class="small">* Median; "Spent each", "Orders" and "Per order" are means. The window '
        f"is {report.window_start} to {report.as_of}.</p>"
    )
    return table_html(header, rows) + note


def _advice_html(report: ReportInput) -> str:
    cards = []
    for entry in _recommendations(report):
        name = entry["segment_type"]
        color = COLORS[base_type(name)]
        caution = entry.get("caution")
        cards.append(
            f'<div class="card" style="border-color:{color}">'
            f"<h3>{escape(name)} · {entry['customers']:,} customers</h3>"
            f"<p>{escape(entry['who'])}</p>"
            + (f'<div class="note">{escape(caution)}</div>' if caution else "")
            + f'<p class="say"><b>Do</b>{escape(entry["action"])}</p>'
            f'<p class="say"><b>Avoid</b>{escape(entry["avoid"])}</p>'
            f'<p class="say"><b>Measure</b>{escape(entry["measure"])}</p></div>'
        )
    return "".join(cards)


def _trust_html(report: ReportInput) -> str:
    by_name = {m.name: m for m in report.metrics}
    words = (
        f"<p>The segments were learnt from {report.trained_rows:,} customers, from purchases "
        f"before {report.trained_until} only; every customer known on {report.as_of} was then "
        "placed in the nearest one. Confidence is 1 for a customer in the middle of a segment "
        "and 0 for one on the border between two.</p>"
    )
    score = by_name.get("silhouette")
    if score and score.low is not None and score.high is not None:
        words += (
            "<p>On customers that the model had never seen, its segments hold together with a "
            f"silhouette of <b>{score.value:.2f}</b> (95 % interval {score.low:.2f} to "
            f"{score.high:.2f}; 1 is perfect, 0 is chance)."
        )
        if score.baseline_value is not None:
            words += (
                f" Five equal groups by spending ({BASELINE}) reach {score.baseline_value:.2f}."
            )
        words += "</p>"
    return words + '<p class="small">Amounts are in the shop\'s currency.</p>'


def build_html(report: ReportInput) -> str:
    """Return the report as one self-contained page."""
    fallback = (
        f'<div class="note">Version {escape(report.fallback_from)} could not be read. '
        f"Version {escape(report.version)} was used in its place; train again.</div>"
        if report.fallback_from
        else ""
    )
    first = "".join(f"<li>{escape(sentence)}</li>" for sentence in headlines(report))
    body = (
        note_html(report.mark)
        + fallback
        + section_html("What to know first", f"<ul>{first}</ul>", "headlines")
    )
    body += section_html(
        "How large the segments are, and what they bring",
        figure_html(distribution_figure(report.profiles), "plot-segment-distribution"),
        "segment_distribution",
    )
    body += section_html(
        "How the segments behave",
        '<p class="small">The larger the bubble, the more each customer has spent.</p>'
        + figure_html(profile_figure(report.profiles), "plot-segment-profile"),
        "segment_characteristics",
    )
    body += section_html("The segments in figures", _segments_table(report), "segment_table")
    body += section_html("What to do", _advice_html(report), "business_recommendations")
    body += section_html("How far to trust this", _trust_html(report), "metrics")
    facts = (
        ("as of", report.as_of.isoformat()),
        ("customers scored", f"{report.customers:,}"),
        ("revenue of these customers", f"{report.revenue:,.0f}"),
        ("model version", report.version),
        ("trained on purchases before", report.trained_until.isoformat()),
        ("inference window", f"{report.window_start} to {report.as_of}"),
    )
    return page_html(
        "Customer segments",
        "K-means segmentation: who your customers are, and what to do about each kind.",
        facts,
        body,
        with_plots=True,
    )
