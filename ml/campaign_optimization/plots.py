"""The plots of the reports of campaigns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from ml.campaign_optimization.config import CATEGORIES, CATEGORY_BOUNDS
from report_pages import style_figure

Floats = NDArray[np.float64]

CATEGORY_COLORS = dict(zip(CATEGORIES, ("#dc2626", "#d97706", "#65a30d", "#0d9488"), strict=True))
CHANNEL_COLORS = ("#1d4ed8", "#0d9488", "#d97706", "#be185d", "#7c3aed", "#4b5563")


def success_figure(campaigns: pd.DataFrame) -> go.Figure:
    """Return each campaign's chance with its interval, the best at the top."""
    figure = go.Figure()
    shown = campaigns.iloc[::-1]
    labels = [f"{n} ({p})" for n, p in zip(shown["name"], shown["phase"], strict=True)]
    for category in reversed(CATEGORIES):
        chosen = (shown["success_category"] == category).to_numpy()
        part = shown[chosen]
        chance = part["success_probability"].to_numpy()
        figure.add_scatter(
            x=100 * chance,
            y=[label for label, here in zip(labels, chosen, strict=True) if here],
            mode="markers",
            name=f"{category} ({len(part)})",
            marker={"size": 12, "color": CATEGORY_COLORS[category]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": 100 * np.maximum(part["success_high"].to_numpy() - chance, 0),
                "arrayminus": 100 * np.maximum(chance - part["success_low"].to_numpy(), 0),
                "color": CATEGORY_COLORS[category],
                "thickness": 1.5,
            },
            hovertemplate="%{y}: %{x:.0f} %<extra></extra>",
        )
    for bound in CATEGORY_BOUNDS:
        figure.add_vline(x=100 * bound, line={"color": "#d1d5db", "dash": "dot"})
    style_figure(figure, 120 + 26 * len(shown))
    figure.update_xaxes(title="chance of paying, percent", range=[-2, 102])
    figure.update_yaxes(categoryorder="array", categoryarray=labels)
    return figure


def budget_figure(channels: pd.DataFrame, spend: Floats, revenue: Floats) -> go.Figure:
    """Return what each channel's budget brings: curves, the plan now, and the plan proposed.

    `channels` is a table of the channels' rows in order of their names; spend and revenue are
    [points, channels], for the same days as the budgets.
    """
    figure = go.Figure()
    for c, row in enumerate(channels.to_dict("records")):
        color = CHANNEL_COLORS[c % len(CHANNEL_COLORS)]
        name = row["entity"]
        figure.add_scatter(
            x=spend[:, c], y=revenue[:, c], mode="lines", name=name, legendgroup=name,
            line={"color": color, "width": 2},
            hovertemplate=f"{name}: %{{x:,.0f}} spent brings %{{y:,.0f}}<extra></extra>",
        )  # fmt: skip
        for label, symbol, x, y in (
            ("now", "circle-open", row["current_budget"], row["current_revenue"]),
            ("proposed", "circle", row["predicted_optimal_budget"], row["expected_revenue"]),
        ):
            figure.add_scatter(
                x=[x], y=[y], mode="markers", legendgroup=name, showlegend=False,
                marker={"size": 13, "symbol": symbol, "color": color, "line": {"width": 3}},
                hovertemplate=f"{name} {label}: %{{x:,.0f}} spent brings %{{y:,.0f}}"
                "<extra></extra>",
            )  # fmt: skip
    most = float(max(spend.max(initial=1.0), 1.0))
    figure.add_scatter(
        x=[0, most], y=[0, most], mode="lines", name="brings back what it costs",
        line={"color": "#9ca3af", "dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip
    style_figure(figure, 520)
    figure.update_xaxes(title="budget of the channel", rangemode="tozero")
    figure.update_yaxes(
        title="revenue caused",
        range=[0, 1.15 * float(max(revenue.max(initial=1.0), 1.0))],
    )
    return figure
