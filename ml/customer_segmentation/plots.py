"""The plots of the segmentation's report."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go

from ml.customer_segmentation.config import NO_PURCHASE_TYPE, NOISE_TYPE
from ml.customer_segmentation.naming import base_type
from ml.customer_segmentation.profiles import SegmentProfile
from report_pages import style_figure

COLORS = {
    "Champions": "#1d4ed8",
    "High-Value Loyal": "#0d9488",
    "New": "#65a30d",
    "Occasional": "#9ca3af",
    "At-Risk": "#dc2626",
    NOISE_TYPE: "#7c3aed",
    NO_PURCHASE_TYPE: "#d1d5db",
}


def distribution_figure(profiles: tuple[SegmentProfile, ...]) -> go.Figure:
    """Return the shares of customers and of revenue, side by side, per segment."""
    shown = list(reversed(profiles))
    names = [p.segment_type for p in shown]
    colors = [COLORS[base_type(name)] for name in names]
    figure = go.Figure()
    for label, shares, opacity in (
        ("Share of revenue", [p.revenue_share for p in shown], 0.45),
        ("Share of customers", [p.customer_share for p in shown], 1.0),
    ):
        figure.add_bar(
            y=names,
            x=shares,
            name=label,
            orientation="h",
            marker={"color": colors, "opacity": opacity},
            text=[f"{share:.1f} % {label.rsplit(' ', 1)[1]}" for share in shares],
            textposition="outside",
            customdata=[[p.customers, p.revenue] for p in shown],
            hovertemplate="%{y}: %{x:.1f} %<br>%{customdata[0]:,} customers, "
            "revenue %{customdata[1]:,.0f}<extra></extra>",
        )
    style_figure(figure, 110 + 70 * len(names))
    largest = max([*(p.customer_share for p in profiles), *(p.revenue_share for p in profiles)])
    figure.update_layout(barmode="group", bargap=0.3, showlegend=False)
    figure.update_xaxes(title="percent of all", range=[0, max(largest * 1.25, 1)])
    return figure


def profile_figure(profiles: tuple[SegmentProfile, ...]) -> go.Figure:
    """Return a map of segments: recency across, frequency up, spending as the bubble's size."""
    shown = [p for p in profiles if p.customers and p.segment_type != NO_PURCHASE_TYPE]
    most = max((p.avg_monetary for p in shown), default=0.0) or 1.0
    figure = go.Figure()
    sides = _label_sides(shown)
    for p in shown:
        figure.add_scatter(
            x=[p.median_recency_days],
            y=[p.avg_frequency],
            mode="markers+text",
            name=p.segment_type,
            text=[f"<b>{p.segment_type}</b><br>{p.avg_monetary:,.0f} each"],
            textposition=sides[p.segment],
            cliponaxis=False,
            marker={
                "size": 16 + 54 * (max(p.avg_monetary, 0.0) / most) ** 0.5,
                "color": COLORS[base_type(p.segment_type)],
                "opacity": 0.75,
            },
            hovertemplate=f"{p.segment_type}<br>%{{x:,.0f}} days since the last purchase"
            f"<br>%{{y:.1f}} purchases<br>{p.avg_monetary:,.2f} spent each<extra></extra>",
        )
    style_figure(figure, 460)
    days = max((p.median_recency_days for p in shown), default=1.0)
    orders = max((p.avg_frequency for p in shown), default=1.0)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(
        title="days since the last purchase (median)", range=[-0.12 * days - 1, 1.3 * days + 1]
    )
    figure.update_yaxes(title="purchases per customer (mean)", range=[0, 1.35 * orders + 1])
    return figure


def _label_sides(shown: list[SegmentProfile]) -> dict[int, str]:
    """Where each bubble's label goes: above it, or away from a bubble it would run into."""
    days = max((p.median_recency_days for p in shown), default=0.0) or 1.0
    orders = max((p.avg_frequency for p in shown), default=0.0) or 1.0
    ordered = sorted(shown, key=lambda p: (p.median_recency_days, p.segment))
    sides = {p.segment: "top center" for p in ordered}
    for left, right in itertools.pairwise(ordered):
        apart = (right.median_recency_days - left.median_recency_days) / days
        higher = abs(right.avg_frequency - left.avg_frequency) / orders
        if apart < 0.2 and higher < 0.25:
            sides[left.segment], sides[right.segment] = "middle left", "middle right"
    return sides
