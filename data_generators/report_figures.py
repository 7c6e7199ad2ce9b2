"""The pictures of the company."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from data_generators.report_numbers import (
    CDNOW_CUSTOMERS,
    CDNOW_DAYS,
    MOST_REPEATS,
    Funnel,
    Repeats,
    Weekly,
)
from report_pages import style_figure

BLUE, TEAL, GREY, RED = "#1d4ed8", "#0d9488", "#9ca3af", "#dc2626"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def weekly_figure(weekly: Weekly) -> go.Figure:
    """Return the revenue and the advertising of each week, as lines over time."""
    weeks = [str(day) for day in weekly.begins]
    figure = go.Figure()
    for name, amounts, line, fill in (
        ("Revenue", weekly.revenue, {"color": BLUE, "width": 2}, "tozeroy"),
        ("Advertising", weekly.spend, {"color": RED, "width": 2}, None),
        (
            "Revenue of visits with a campaign's tags",
            weekly.tagged,
            {"color": TEAL, "width": 2},
            None,
        ),
    ):
        figure.add_scatter(
            x=weeks,
            y=amounts.round(2).tolist(),
            name=name,
            mode="lines",
            line=line,
            fill=fill,
            fillcolor="rgba(29, 78, 216, 0.12)" if fill else None,
            hovertemplate="week from %{x}: %{y:,.0f}<extra>" + name + "</extra>",
        )
    style_figure(figure, 400)
    figure.update_xaxes(title="week (its first day)", type="date")
    figure.update_yaxes(title="currency units per week", rangemode="tozero", tickformat=",.0f")
    return figure


def repeats_figure(repeats: Repeats) -> go.Figure:
    """Return the shares of customers by repeat purchases, the company's beside CDNOW's."""
    labels = [*(str(n) for n in range(MOST_REPEATS)), f"{MOST_REPEATS} or more"]
    figure = go.Figure()
    for name, counts, color in (
        (f"This company in {repeats.days} days", repeats.customers, BLUE),
        (f"CDNOW in {CDNOW_DAYS} days", np.array(CDNOW_CUSTOMERS), GREY),
    ):
        shares = 100 * counts / max(int(counts.sum()), 1)
        figure.add_bar(
            x=labels,
            y=shares.round(3).tolist(),
            name=f"{name}: {counts.sum():,} customers",
            marker={"color": color},
            customdata=counts.tolist(),
            hovertemplate="%{x} repeat purchases: %{y:.1f} %, %{customdata:,} customers"
            "<extra>" + name + "</extra>",
        )
    style_figure(figure, 380)
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_xaxes(title="purchases after the first", type="category")
    figure.update_yaxes(title="percent of customers", rangemode="tozero")
    return figure


def funnel_figure(funnel: Funnel) -> go.Figure:
    """Return how many visits came as far as each step."""
    steps = {
        "Visit": funnel.visits,
        "Looked at a product": funnel.product,
        "Put one in the cart": funnel.cart,
        "Bought": funnel.purchase,
    }
    visits = max(funnel.visits, 1)
    figure = go.Figure()
    figure.add_bar(
        y=list(steps),
        x=list(steps.values()),
        orientation="h",
        marker={"color": [GREY, BLUE, BLUE, TEAL], "opacity": [1, 0.55, 0.8, 1]},
        text=[f"{count:,} · {100 * count / visits:.1f} %" for count in steps.values()],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,} visits<extra></extra>",
    )
    style_figure(figure, 300)
    figure.update_layout(bargap=0.35, showlegend=False)
    figure.update_xaxes(title="visits", range=[0, 1.25 * visits], tickformat=",.0f")
    figure.update_yaxes(autorange="reversed", ticksuffix="  ")
    return figure


def traffic_figure(traffic: npt.NDArray[np.float64]) -> go.Figure:
    """Return a map of the visits: hours across, weekdays down."""
    figure = go.Figure()
    figure.add_heatmap(
        z=traffic.round(3).tolist(),
        x=list(range(24)),
        y=list(WEEKDAYS),
        colorscale=[[0, "#eff6ff"], [0.5, "#60a5fa"], [1, BLUE]],
        zmin=0,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": "visits<br>an hour"}, "thickness": 14, "outlinewidth": 0},
        hovertemplate="%{y} %{x}:00 UTC: %{z:.1f} visits<extra></extra>",
    )
    style_figure(figure, 320)
    figure.update_xaxes(title="hour of the day (UTC)", dtick=2, showgrid=False)
    figure.update_yaxes(title="weekday", autorange="reversed", showgrid=False)
    return figure
