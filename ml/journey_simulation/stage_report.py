"""What the night's report says of journeys: where customers are, where they go, what would help."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np

from ml.journey_simulation.chain import (
    STATES,
    Transitions,
    expected_converters,
    expected_shares,
    play,
    with_less_abandonment,
)
from ml.journey_simulation.config import (
    ABANDONER,
    CONVERTER,
    RETURN_VISITOR,
    STAGE_NAMES,
    STAGE_RULE,
    StageConfig,
)
from ml.journey_simulation.history import Floats, Ints
from ml.journey_simulation.plots import (
    STAGE_COLORS,
    played_figure,
    stages_figure,
    transitions_figure,
)
from ml.model import ReportParts, Section
from report_pages import figure_html, table_html

RULE = dict(STAGE_RULE)


@dataclass(frozen=True)
class Future:
    """Customers played forward, month 1 first, and what the chain expects of them.

    converters  customers who are Converters in each month, as played
    expected    the same from the closed form (shares @ matrix ** n)
    purchases   expected months in Converter, of all customers over all months
    """

    converters: tuple[int, ...]
    expected: tuple[float, ...]
    purchases: float


@dataclass(frozen=True)
class Night:
    """What the report is about; arrays are by customer, [n].

    observed    stage over the inference window, by the rule
    predicted   the same, told from behaviour that the rule does not look at
    last_month  stage of the last 30 days
    forecast    [n x 5], chances of next month's stages
    unseen      customers without a visit or a purchase in the window
    """

    observed: Ints
    predicted: Ints
    last_month: Ints
    forecast: Floats
    unseen: int
    window: str
    transitions: Transitions


def future(night: Night, chances: Floats, config: StageConfig) -> Future:
    """Play everybody forward from the stage of the last month."""
    months = config.simulated_months
    shares = np.bincount(night.last_month, minlength=STATES) / max(len(night.last_month), 1)
    played = play(night.last_month, chances, months, config.random_state)
    n = len(night.last_month)
    return Future(
        converters=tuple(int(k) for k in played.stages[1:, CONVERTER]),
        expected=tuple(
            round(n * float(expected_shares(shares, chances, k)[CONVERTER]), 1)
            for k in range(1, months + 1)
        ),
        purchases=round(n * expected_converters(shares, chances, months), 1),
    )


def report_parts(night: Night, config: StageConfig) -> ReportParts:
    """Return the report: the distribution, the transitions, and what to do."""
    chances = night.transitions.chances
    as_is = future(night, chances, config)
    better = future(night, with_less_abandonment(chances, config.less_abandonment), config)
    observed = np.bincount(night.observed, minlength=STATES)
    n, percent = max(len(night.observed), 1), round(100 * config.less_abandonment)
    more = better.purchases - as_is.purchases
    buy = 100 * chances[:, CONVERTER]
    saved = (
        f"If {percent} % of those who would abandon their basket bought instead, about {more:,.0f} "
        f"more monthly purchases would come in {config.simulated_months} months "
        f"({as_is.purchases:,.0f} to {better.purchases:,.0f}, {_growth(as_is, better)})."
    )
    headlines = [
        f"{observed[CONVERTER]:,} of {n:,} customers bought in the window, and "
        f"{observed[ABANDONER]:,} filled a basket and left it.",
        f"Of those who bought in a month, {buy[CONVERTER]:.0f} % buy again in the next; of those "
        f"who left a basket, {buy[ABANDONER]:.0f} % do; of Return Visitors "
        f"{buy[RETURN_VISITOR]:.0f} %.",
        saved,
        f"{night.unseen:,} customers were not seen at all in the window; they count as Visitors.",
    ]
    actions = [
        f"Write to the {observed[ABANDONER]:,} Abandoners about their basket within a day: "
        f"winning {percent} % of those who would leave one is worth about "
        f"{more / config.simulated_months:,.0f} purchases a month.",
        f"Follow up on the {observed[CONVERTER]:,} Converters within two weeks of their order, "
        "while they come back most readily.",
        "Run the basket reminder as a test with a group left out, and enter its effect as the "
        "share in the what-if above.",
    ]
    sections = (
        Section(
            "stage_distribution",
            "Where customers are",
            _distribution(night),
            _distribution_html(night),
        ),
        Section(
            "stage_transitions",
            "Where they go from month to month",
            _transitions(night.transitions),
            figure_html(
                transitions_figure(chances, night.transitions.counts.astype(np.float64)),
                "plot-stage-transitions",
            )
            + '<p class="small">Read along a row: of 100 customers in that stage in a month, so '
            "many are in each stage in the next. Rows seen seldom are drawn towards what is "
            "usual.</p>",
        ),
        Section(
            "what_if",
            f"What if abandonment fell by {percent} %",
            {
                "months": config.simulated_months,
                "abandonment_falls_by": config.less_abandonment,
                "as_is": asdict(as_is),
                "with_less_abandonment": asdict(better),
                "more_purchases": round(more, 1),
            },
            f"<p>{escape(saved)}</p>"
            + figure_html(
                played_figure(
                    list(range(1, config.simulated_months + 1)),
                    [("as things are", as_is.converters),
                     (f"{percent} % less abandonment", better.converters)],
                ),
                "plot-what-if",
            )
            + '<p class="small">Every customer is played forward from the stage of the last 30 '
            "days with the chances above: a journey of averages, in which the next month depends "
            "on this one alone. The gain is what moving baskets to orders would be worth, not a "
            "promise that a measure moves them.</p>",
        ),
        Section(
            "optimization_recommendations",
            "What to do at each stage",
            _recommendations(night),
            _cards(night),
        ),
    )  # fmt: skip
    facts = (
        ("Converters in the window", f"{observed[CONVERTER]:,}"),
        ("Abandoners in the window", f"{observed[ABANDONER]:,}"),
    )
    return ReportParts(headlines, sections, actions, facts)


def _growth(before: Future, after: Future) -> str:
    return f"{100 * (after.purchases / before.purchases - 1):+.0f} %" if before.purchases else "-"


def _distribution(night: Night) -> dict[str, Any]:
    n = max(len(night.observed), 1)
    window, month = (
        np.bincount(stage, minlength=STATES) for stage in (night.observed, night.last_month)
    )
    return {
        "customers": len(night.observed),
        "not_seen_in_window": night.unseen,
        "told_right_without_defining_behaviour": round(
            float((night.observed == night.predicted).mean()), 4
        ),
        "stages": [
            {
                "stage": stage,
                "stage_name": name,
                "rule": RULE[stage],
                "customers": int(window[stage]),
                "share": round(100 * int(window[stage]) / n, 1),
                "last_30_days": int(month[stage]),
                "expected_next_30_days": round(float(night.forecast[:, stage].sum()), 1),
            }
            for stage, name in enumerate(STAGE_NAMES)
        ],
    }


def _distribution_html(night: Night) -> str:
    told = _distribution(night)
    n = max(told["customers"], 1)
    rows = [
        ("window " + night.window, [s["share"] for s in told["stages"]]),
        ("last 30 days", [100 * s["last_30_days"] / n for s in told["stages"]]),
        ("next 30 days (forecast)",
         [100 * s["expected_next_30_days"] / n for s in told["stages"]]),
    ]  # fmt: skip
    table = table_html(
        ("Stage", "Rule: the first that holds, from Converter down", "In the window",
         "Last 30 days", "Next 30 days"),
        [
            (s["stage_name"], s["rule"], f"{s['customers']:,}", f"{s['last_30_days']:,}",
             f"{s['expected_next_30_days']:,.0f}")
            for s in (told["stages"][stage] for stage, _ in STAGE_RULE)
        ],
        words=True,
    )  # fmt: skip
    right = 100 * told["told_right_without_defining_behaviour"]
    note = (
        f'<p class="small">{night.unseen:,} of the Visitors of the window were not seen at all. '
        "Told only from behaviour that the rule does not look at (length and number of visits, "
        f"searches, device, earlier months), {right:.0f} % of the stages are named right: a sign "
        "of how far the stage shows even where tracking of baskets fails.</p>"
    )
    return figure_html(stages_figure(rows), "plot-journey-stage-distribution") + table + note


def _transitions(transitions: Transitions) -> list[dict[str, Any]]:
    return [
        {
            "from": name,
            "seen": int(transitions.counts[row].sum()),
            "counts": dict(zip(STAGE_NAMES, transitions.counts[row].tolist(), strict=True)),
            "chances": {
                to: round(float(p), 4)
                for to, p in zip(STAGE_NAMES, transitions.chances[row], strict=True)
            },
        }
        for row, name in enumerate(STAGE_NAMES)
    ]


ADVICE = {
    "Converter": (
        "Thank them and suggest what goes with the order, within two weeks of it.",
        "A second voucher at once: they have just bought at the price they saw.",
        "Share who buy again in the next 30 days.",
    ),
    "Abandoner": (
        "Remind them of the basket within a day, with delivery cost and return terms in plain "
        "sight; call or chat for large baskets.",
        "A discount in the first reminder: it teaches customers to leave baskets.",
        "Orders per hundred reminders, against a group left out.",
    ),
    "Return Visitor": (
        "They come to their account: show order status, reorder buttons and what they saw last.",
        "Sending them to the home page of the shop.",
        "Share who put a product into the basket in the next visit.",
    ),
    "Browser": (
        "They look at products: show reviews, alternatives and price alerts; follow up by e-mail "
        "on the category they looked at.",
        "Messages about categories they have not looked at.",
        "Share who move on to a basket or an order in the next 30 days.",
    ),
    "Visitor": (
        "Those who still look in need one reason to open a product; those not seen get one cheap "
        "win-back message, no paid contact.",
        "Paid retargeting of customers who were not seen for months.",
        "Share who open a product in the next 30 days.",
    ),
}


def _recommendations(night: Night) -> list[dict[str, Any]]:
    counts = np.bincount(night.observed, minlength=STATES)
    found = []
    for stage, _ in STAGE_RULE:
        name = STAGE_NAMES[stage]
        do, avoid, measure = ADVICE[name]
        found.append(
            {
                "stage_name": name,
                "customers": int(counts[stage]),
                "buy_next_month_percent": round(
                    100 * float(night.transitions.chances[stage, CONVERTER]), 1
                ),
                "do": do,
                "avoid": avoid,
                "measure": measure,
            }
        )
    return found


def _cards(night: Night) -> str:
    return "".join(
        f'<div class="card" style="border-color:{STAGE_COLORS[entry["stage_name"]]}">'
        f"<h3>{escape(entry['stage_name'])} · {entry['customers']:,} customers · "
        f"{entry['buy_next_month_percent']:.0f} % buy in the month after such a one</h3>"
        f'<p class="say"><b>Do</b>{escape(entry["do"])}</p>'
        f'<p class="say"><b>Avoid</b>{escape(entry["avoid"])}</p>'
        f'<p class="say"><b>Measure</b>{escape(entry["measure"])}</p></div>'
        for entry in _recommendations(night)
    )
