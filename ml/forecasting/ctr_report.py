"""What the click-through model's report says."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from ml.forecasting.clicks import Night
from ml.forecasting.ctr_fit import CtrVersion
from ml.forecasting.plots import ctr_rank_figure
from ml.model import ReportParts, Scored, Section
from report_pages import figure_html, table_html

TOP_SHARE = 0.2
SHOWN_CUSTOMERS = 15

ABOVE = "above its channel"
BELOW = "below its channel"
UNSURE = "too early to tell"


@dataclass(frozen=True)
class Verdict:
    """A campaign beside its channel: figures in percent, and what to do."""

    campaign_id: str
    campaign_name: str
    channel: str
    predicted_ctr_percent: float
    low_percent: float
    high_percent: float
    channel_ctr_percent: float
    standing: str
    action: str


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def campaign_verdicts(table: pd.DataFrame, names: pd.Series) -> list[Verdict]:
    """Return the campaigns by their predicted rate, best first.

    A campaign stands above (below) its channel where its whole interval does.
    """
    channels = table[table["entity_type"] == "channel"].set_index("entity_id")["predicted_ctr"]
    rows = table[table["entity_type"] == "campaign"]
    rows = rows.sort_values(["predicted_ctr", "entity_id"], ascending=[False, True], kind="stable")
    found = []
    for row in _records(rows):
        usual = float(channels.get(row["channel"], float("nan")))
        standing, action = UNSURE, "Let it run; look again when it has been shown more often."
        if row["low"] > usual:
            standing = ABOVE
            action = "Show it more: move impressions of weaker campaigns of this channel to it."
        elif row["high"] < usual:
            standing = BELOW
            action = "Change its message or audience, or give its impressions to a better one."
        found.append(
            Verdict(
                str(row["entity_id"]),
                str(names.get(row["entity_id"], row["entity_id"])),
                str(row["channel"]),
                round(100 * float(row["predicted_ctr"]), 3),
                round(100 * float(row["low"]), 3),
                round(100 * float(row["high"]), 3),
                round(100 * usual, 3),
                standing,
                action,
            )
        )
    return found


def report_parts(scored: Scored[CtrVersion, Night]) -> ReportParts:
    """Return the headlines, sections and actions of a night's click-through rates."""
    table = scored.table
    names = scored.data.campaigns.set_index("campaign_id")["campaign_name"]
    verdicts = campaign_verdicts(table, names)
    channels = _channel_rows(table, verdicts)
    top = _top_customers(table)
    return ReportParts(
        headlines=_headlines(verdicts, channels, top),
        sections=(
            Section(
                "summary_statistics",
                "Channels at a glance",
                {"customers": top["all_customers"], "channels": channels},
                _channel_table(channels),
            ),
            Section(
                "ctr_forecast_rank",
                "Campaigns, ranked by the rate to expect",
                [vars(v) for v in verdicts],
                _rank_html(verdicts),
            ),
            Section(
                "high_value_insights",
                "Customers who click most",
                top,
                _customers_html(table, top),
            ),
            Section(
                "campaign_optimization",
                "What to do with each campaign",
                [
                    {"campaign_id": v.campaign_id, "standing": v.standing, "action": v.action}
                    for v in verdicts
                ],
                _actions_table(verdicts),
            ),
        ),
        actions=_actions(verdicts, top),
        facts=(
            ("campaigns running or planned", f"{len(verdicts):,}"),
            ("customers scored", f"{top['all_customers']:,}"),
        ),
    )


def _channel_rows(table: pd.DataFrame, verdicts: list[Verdict]) -> list[dict[str, Any]]:
    rows = table[table["entity_type"] == "channel"]
    rows = rows.sort_values(["predicted_ctr", "entity_id"], ascending=[False, True], kind="stable")
    return [
        {
            "channel": str(row["entity_id"]),
            "predicted_ctr_percent": round(100 * float(row["predicted_ctr"]), 3),
            "low_percent": round(100 * float(row["low"]), 3),
            "high_percent": round(100 * float(row["high"]), 3),
            "campaigns": sum(v.channel == row["entity_id"] for v in verdicts),
            "above": sum(v.channel == row["entity_id"] and v.standing == ABOVE for v in verdicts),
            "below": sum(v.channel == row["entity_id"] and v.standing == BELOW for v in verdicts),
        }
        for row in _records(rows)
    ]


def _top_customers(table: pd.DataFrame) -> dict[str, Any]:
    """Return figures of the fifth of customers with the highest predicted rates."""
    rows = table[table["entity_type"] == "customer"]
    rows = rows.sort_values(["predicted_ctr", "entity_id"], ascending=[False, True], kind="stable")
    top = rows.head(max(round(TOP_SHARE * len(rows)), 1))
    total = float(rows["predicted_ctr"].sum())
    often = top["channel"].dropna().value_counts()
    return {
        "all_customers": len(rows),
        "mean_ctr_percent": round(100 * float(rows["predicted_ctr"].mean()), 3) if total else 0.0,
        "top_customers": len(top) if len(rows) else 0,
        "top_mean_ctr_percent": round(100 * float(top["predicted_ctr"].mean()), 3) if total else 0,
        "top_share_of_clicks_percent": round(
            100 * float(top["predicted_ctr"].sum()) / total if total else 0.0, 1
        ),
        "top_favourite_channels": {str(c): int(n) for c, n in sorted(often.items())},
    }


def _headlines(
    verdicts: list[Verdict], channels: list[dict[str, Any]], top: dict[str, Any]
) -> list[str]:
    said = []
    if channels:
        best, worst = channels[0], channels[-1]
        said.append(
            f"{best['channel']} is clicked most ({best['predicted_ctr_percent']:.2f} % of "
            f"impressions), {worst['channel']} least ({worst['predicted_ctr_percent']:.2f} %)."
        )
    for standing, words in (
        (ABOVE, "clearly better than usual on their channel"),
        (BELOW, "clearly worse than usual on their channel"),
    ):
        found = [v for v in verdicts if v.standing == standing]
        if found:
            named = ", ".join(f"{v.campaign_name} ({v.channel})" for v in found[:3])
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            said.append(f"{len(found)} of {len(verdicts)} campaigns do {words}: {named}{more}.")
    share = top["top_share_of_clicks_percent"]
    if top["top_customers"] and share > 100 * TOP_SHARE + 1:
        said.append(
            f"The {top['top_customers']:,} customers who click most (a fifth of all) will make "
            f"{share:.0f} % of the clicks."
        )
    elif top["top_customers"]:
        said.append("Customers cannot be told apart by how readily they click, so far.")
    return said


def _actions(verdicts: list[Verdict], top: dict[str, Any]) -> list[str]:
    told = []
    for standing, words in (
        (ABOVE, "Show more often, in place of weaker campaigns of the same channel: {}."),
        (BELOW, "Change the message or audience of, or pause: {}."),
    ):
        found = [f"{v.campaign_name} ({v.channel})" for v in verdicts if v.standing == standing]
        if found:
            told.append(words.format(", ".join(found)))
    if top["top_share_of_clicks_percent"] > 100 * TOP_SHARE + 1:
        told.append(
            f"Send the next campaign first to the {top['top_customers']:,} customers who click "
            "most (list: the Parquet file beside this page, by predicted_ctr)."
        )
    return told


def _channel_table(channels: list[dict[str, Any]]) -> str:
    header = ("Channel", "Clicks per 100 impressions", "95 % interval", "Campaigns now",
              "Clearly better", "Clearly worse")  # fmt: skip
    rows = [
        (
            c["channel"],
            f"{c['predicted_ctr_percent']:.2f}",
            f"{c['low_percent']:.2f} to {c['high_percent']:.2f}",
            str(c["campaigns"]),
            str(c["above"]),
            str(c["below"]),
        )
        for c in channels
    ]
    note = (
        '<p class="small">"Clearly" means that the whole 95 % interval of the campaign lies on '
        "one side of its channel's rate.</p>"
    )
    return table_html(header, rows) + note


def _rank_html(verdicts: list[Verdict]) -> str:
    if not verdicts:
        return "<p>No campaign runs or is planned.</p>"
    return (
        '<p class="small">The dot is the rate to expect, the line its 95 % interval, the '
        "grey bar the channel's usual rate. Few impressions pull a campaign to what is usual on "
        "its channel.</p>" + figure_html(ctr_rank_figure(verdicts), "plot-ctr-forecast-rank")
    )


def _customers_html(table: pd.DataFrame, top: dict[str, Any]) -> str:
    rows = table[table["entity_type"] == "customer"]
    rows = rows.sort_values(["predicted_ctr", "entity_id"], ascending=[False, True], kind="stable")
    words = (
        f"<p>A fifth of the customers ({top['top_customers']:,}) is expected to click "
        f"{top['top_mean_ctr_percent']:.2f} times per 100 impressions, all of them "
        f"{top['mean_ctr_percent']:.2f} times. Platforms do not say who saw a campaign: the rate "
        "of a customer is that of all campaigns, times how much more often than an average "
        "customer, registered as long, they followed a link.</p>"
    )
    header = ("Customer", "Clicks per 100", "95 % interval", "Confidence", "Why")
    shown = [
        (
            str(row["entity_id"]),
            f"{100 * row['predicted_ctr']:.2f}",
            f"{100 * row['low']:.2f} to {100 * row['high']:.2f}",
            f"{row['forecast_confidence']:.2f}",
            str(row["explanation"]),
        )
        for row in _records(rows.head(SHOWN_CUSTOMERS))
    ]
    return words + table_html(header, shown, words=True)


def _actions_table(verdicts: list[Verdict]) -> str:
    header = ("Campaign", "Channel", "Standing", "What to do")
    order = {ABOVE: 0, BELOW: 1, UNSURE: 2}
    rows = [
        (v.campaign_name, v.channel, v.standing, v.action)
        for v in sorted(verdicts, key=lambda v: (order[v.standing], v.campaign_id))
    ]
    note = escape(
        "Impressions are counted alike wherever they are shown. A click is no sale: look at the "
        "budget's report before money is moved between channels."
    )
    return table_html(header, rows, words=True) + f'<p class="small">{note}</p>'
