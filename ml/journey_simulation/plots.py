"""The plots of the reports on journeys."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from ml.journey_simulation.config import CATEGORIES, CATEGORY_BOUNDS, STAGE_NAMES
from ml.journey_simulation.history import Floats
from report_pages import style_figure

if TYPE_CHECKING:
    from ml.journey_simulation.conversion_report import Category

CATEGORY_COLORS = {
    "Low": "#9ca3af",
    "Medium": "#65a30d",
    "High": "#0d9488",
    "Very High": "#1d4ed8",
}

STAGE_COLORS = {
    "Visitor": "#9ca3af",
    "Browser": "#65a30d",
    "Converter": "#1d4ed8",
    "Abandoner": "#dc2626",
    "Return Visitor": "#0d9488",
}


def chances_figure(chance: Floats, edges: Sequence[float]) -> go.Figure:
    """Return how many customers have which chance to buy, coloured by category."""
    counts, _ = np.histogram(chance, bins=np.array(edges))
    names = [f"{100 * low:.0f} to {100 * high:.0f} %" for low, high in itertools.pairwise(edges)]
    kinds = np.searchsorted(CATEGORY_BOUNDS, np.array(edges[:-1]), side="right")
    figure = go.Figure()
    for number, category in enumerate(CATEGORIES):
        inside = kinds == number
        figure.add_bar(
            x=[name for name, here in zip(names, inside, strict=True) if here],
            y=counts[inside].tolist(),
            name=category,
            marker={"color": CATEGORY_COLORS[category]},
            text=[f"{n:,}" for n in counts[inside]],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x}: %{y:,} customers<extra></extra>",
        )
    style_figure(figure, 380)
    figure.update_layout(bargap=0.15, margin={"l": 10, "r": 20, "t": 40, "b": 10})
    figure.update_xaxes(title="chance of a purchase", categoryorder="array", categoryarray=names)
    figure.update_yaxes(title="customers", range=[0, 1.15 * max(int(counts.max()), 1)])
    return figure


def category_figure(groups: Sequence[Category]) -> go.Figure:
    """Return each category's part of customers, of expected buyers and of expected revenue."""
    wholes = {
        "revenue": [g.expected_revenue for g in groups],
        "buyers": [g.expected_buyers for g in groups],
        "customers": [float(g.customers) for g in groups],
    }
    figure = go.Figure()
    for number, group in enumerate(groups):
        parts = [100 * values[number] / max(sum(values), 1e-9) for values in wholes.values()]
        figure.add_bar(
            y=["expected revenue", "expected buyers", "customers"],
            x=parts,
            name=group.category,
            orientation="h",
            marker={"color": CATEGORY_COLORS[group.category]},
            text=[f"{part:.0f} %" if part >= 4 else "" for part in parts],
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"{group.category}: %{{x:.1f}} % of %{{y}}<extra></extra>",
        )
    style_figure(figure, 260)
    figure.update_layout(barmode="stack", margin={"l": 10, "r": 20, "t": 40, "b": 10})
    figure.update_xaxes(title="percent of all", range=[0, 100])
    return figure


def stages_figure(rows: Sequence[tuple[str, Sequence[float]]]) -> go.Figure:
    """Return shares of the stages side by side; rows are (what, five percentages)."""
    figure = go.Figure()
    opacities = np.linspace(0.35, 1.0, len(rows))
    for (label, shares), opacity in zip(rows, opacities, strict=True):
        figure.add_bar(
            x=list(STAGE_NAMES),
            y=list(shares),
            name=label,
            marker={
                "color": [STAGE_COLORS[name] for name in STAGE_NAMES],
                "opacity": float(opacity),
            },
            text=[f"{share:.0f} %" for share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"{label}<br>%{{x}}: %{{y:.1f}} %<extra></extra>",
        )
    style_figure(figure, 400)
    most = max((max(shares) for _, shares in rows), default=1.0)
    figure.update_layout(barmode="group", bargap=0.2, margin={"l": 10, "r": 20, "t": 40, "b": 10})
    figure.update_yaxes(title="percent of customers", range=[0, 1.15 * max(most, 1.0)])
    return figure


def transitions_figure(chances: Floats, counts: Floats) -> go.Figure:
    """Return the transition matrix as a map: rows are this month's stage, columns the next's."""
    figure = go.Figure(
        go.Heatmap(
            z=(100 * chances[::-1]).tolist(),
            x=list(STAGE_NAMES),
            y=list(reversed(STAGE_NAMES)),
            text=[[f"{100 * p:.0f} %" for p in row] for row in chances[::-1]],
            texttemplate="%{text}",
            customdata=counts[::-1].tolist(),
            colorscale=[[0, "#ffffff"], [1, "#1d4ed8"]],
            zmin=0,
            zmax=100,
            showscale=False,
            hovertemplate="from %{y} to %{x}: %{z:.1f} % (%{customdata:,} seen)<extra></extra>",
        )
    )
    style_figure(figure, 380)
    figure.update_xaxes(title="stage of the next month", side="top")
    figure.update_yaxes(title="stage of a month")
    figure.update_layout(margin={"l": 10, "r": 20, "t": 60, "b": 10})
    return figure


def played_figure(months: Sequence[int], lines: Sequence[tuple[str, Sequence[float]]]) -> go.Figure:
    """Return converters per month of several futures; lines are (what, customers a month)."""
    figure = go.Figure()
    colors = ("#9ca3af", "#1d4ed8")
    for (label, values), color in zip(lines, colors, strict=False):
        figure.add_scatter(
            x=list(months),
            y=list(values),
            name=label,
            mode="lines+markers",
            line={"color": color, "width": 3},
            hovertemplate=f"{label}<br>month %{{x}}: %{{y:,.0f}} Converters<extra></extra>",
        )
    style_figure(figure, 340)
    figure.update_layout(margin={"l": 10, "r": 20, "t": 40, "b": 10})
    figure.update_xaxes(title="months from now", dtick=1)
    figure.update_yaxes(title="customers who are Converters", rangemode="tozero")
    return figure
