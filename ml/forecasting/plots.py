"""The plots of the forecasts' reports."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ml.forecasting.daily import Daily
from report_pages import style_figure

if TYPE_CHECKING:
    from ml.forecasting.company import CompanyForecast
    from ml.forecasting.ctr_report import Verdict

Floats = NDArray[np.float64]

COLORS = ("#1d4ed8", "#0d9488", "#d97706", "#be185d", "#6d28d9", "#4b5563")


def ctr_rank_figure(verdicts: list[Verdict]) -> go.Figure:
    """Return campaigns from the highest predicted rate down, with intervals and usual rates."""
    shown = list(reversed(verdicts))
    names = [f"{v.campaign_name} ({v.campaign_id[-4:]})" for v in shown]
    figure = go.Figure()
    figure.add_scatter(
        y=names,
        x=[v.channel_ctr_percent for v in shown],
        mode="markers",
        name="usual on its channel",
        marker={"symbol": "line-ns", "size": 18, "line": {"width": 3, "color": "#9ca3af"}},
        hovertemplate="usual on this channel: %{x:.2f}<extra></extra>",
    )
    for channel, color in zip(sorted({v.channel for v in shown}), COLORS * 10, strict=False):
        own = [(n, v) for n, v in zip(names, shown, strict=True) if v.channel == channel]
        figure.add_scatter(
            y=[n for n, _ in own],
            x=[v.predicted_ctr_percent for _, v in own],
            mode="markers",
            name=channel,
            marker={"size": 11, "color": color},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [v.high_percent - v.predicted_ctr_percent for _, v in own],
                "arrayminus": [v.predicted_ctr_percent - v.low_percent for _, v in own],
                "color": color,
            },
            hovertemplate="%{y}: %{x:.2f} clicks per 100 impressions<extra></extra>",
        )
    style_figure(figure, 140 + 30 * len(shown))
    figure.update_xaxes(title="clicks per 100 impressions", rangemode="tozero")
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    return figure


def daily_revenue_figure(past: Daily, found: CompanyForecast, as_of: date) -> go.Figure:
    """Return the last half year of revenue per day, and the days to come with their intervals."""
    shown = past.values[-182:]
    first = past.end - timedelta(days=len(shown))
    before = [first + timedelta(days=n) for n in range(len(shown))]
    after = [as_of + timedelta(days=n) for n in range(len(found.values))]
    figure = go.Figure()
    figure.add_scatter(
        x=before, y=shown, name="sold", mode="lines", line={"color": "#6b7280", "width": 1.5}
    )
    for level, color in (("0.95", "rgba(37,99,235,0.12)"), ("0.8", "rgba(37,99,235,0.22)")):
        figure.add_scatter(
            x=[*after, *reversed(after)],
            y=[*found.high[level], *found.low[level][::-1]],
            fill="toself",
            fillcolor=color,
            line={"width": 0},
            name=f"{100 * float(level):.0f} % of days",
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=after, y=found.values, name="forecast", mode="lines",
        line={"color": "#2563eb", "width": 2.5},
    )  # fmt: skip
    style_figure(figure, 420)
    figure.update_yaxes(title="revenue per day", rangemode="tozero")
    return figure


def customer_revenue_figure(values: Floats) -> go.Figure:
    """Return how many customers are expected to spend how much, and what they bring together."""
    edges = [0.0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, float("inf")]
    names, counts, shares = [], [], []
    total = float(values.sum()) or 1.0
    for low, high in itertools.pairwise(edges):
        inside = (values >= low) & (values < high)
        if not inside.any() and (values >= low).sum() == 0:
            break
        last = high == float("inf")
        names.append(f"{low:,.0f} or more" if last else f"{low:,.0f} to {high:,.0f}")
        counts.append(int(inside.sum()))
        shares.append(100 * float(values[values >= low].sum()) / total)
    figure = go.Figure()
    figure.add_bar(x=names, y=counts, name="customers", marker={"color": "#2563eb"})
    figure.add_scatter(
        x=names,
        y=shares,
        name="% of expected revenue, of these and those to the right",
        mode="lines+markers",
        yaxis="y2",
        line={"color": "#d97706", "width": 2.5},
        hovertemplate="%{y:.0f} % of expected revenue<extra></extra>",
    )
    style_figure(figure, 420)
    figure.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [0, 105],
            "tickmode": "array",
            "tickvals": [0, 25, 50, 75, 100],
            "title": "percent",
            "showgrid": False,
        }
    )
    figure.update_xaxes(title="expected revenue of the customer in the next month")
    figure.update_yaxes(title="customers", selector={"anchor": "x"})
    return figure
