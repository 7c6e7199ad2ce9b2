"""The plots of the forecasts' reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from report_pages import style_figure

if TYPE_CHECKING:
    from ml.forecasting.ctr_report import Verdict

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
