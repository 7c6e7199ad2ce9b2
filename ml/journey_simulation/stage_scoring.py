"""Everybody who is to be told a stage on a night, and what customers have shown."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ml.journey_simulation.behaviour import known
from ml.journey_simulation.chain import Transitions, count_transitions
from ml.journey_simulation.config import MONTH_DAYS, STAGE_NAMES, STAGE_TRAITS, StageConfig
from ml.journey_simulation.history import Bools, History, Ints, before
from ml.journey_simulation.stage_data import current_features, next_features
from ml.journey_simulation.stages import seen_between, stages_between

COUNTED_MONTHS = 12
"""Months before the night whose moves the transition matrix counts."""


@dataclass(frozen=True)
class ToScore:
    """Everybody known on the night: features, stages so far, and how customers have moved.

    current, following  features of the current stage and of next month's
    observed            [n], the stage over the inference window by the rule
    window_before       [n], that of the window before it
    last_month          [n], that of the last 30 days
    """

    customer_ids: tuple[str, ...]
    current: pd.DataFrame
    following: pd.DataFrame
    observed: Ints
    window_before: Ints
    last_month: Ints
    seen: Bools
    transitions: Transitions


def to_score(history: History, start: float, config: StageConfig) -> ToScore:
    """Return everybody of a history as of its end, to be scored; the window begins at `start`."""
    end = history.until
    first = min(
        (float(t[0]) for t in (history.order_at, history.session_at) if len(t)), default=end
    )
    pairs = []
    for k in range(1, COUNTED_MONTHS + 1):
        month = end - k * MONTH_DAYS
        if month - MONTH_DAYS < first:
            break
        there = known(before(history, month))
        pairs.append(
            (
                stages_between(history, month - MONTH_DAYS, month)[there],
                stages_between(history, month, month + MONTH_DAYS)[there],
            )
        )
    return ToScore(
        customer_ids=history.customer_ids,
        current=current_features(history, start),
        following=next_features(history),
        observed=stages_between(history, start, end),
        window_before=stages_between(before(history, start), 2 * start - end, start),
        last_month=stages_between(history, end - MONTH_DAYS, end),
        seen=seen_between(history, start, end),
        transitions=count_transitions(pairs, config.smoothing),
    )


def characteristics(data: ToScore, stage: Ints) -> list[str]:
    """Return what is typical of each predicted stage, and what the customer showed."""
    visits = data.current["window_visits"].to_numpy()
    since = data.current["window_days_since_visit"].to_numpy()
    found = []
    for k, many, days, seen in zip(stage, visits, since, data.seen, strict=True):
        shown = f"{many:.0f} {'visit' if many == 1 else 'visits'} in the window"
        if many:
            shown += f", the last {days:.0f} {'day' if round(days) == 1 else 'days'} ago"
        elif seen:
            shown = "bought without a visit that was tracked"
        else:
            shown = "not seen in the window"
        found.append(f"{STAGE_NAMES[k]}: {STAGE_TRAITS[k]}. {shown[:1].upper()}{shown[1:]}.")
    return found
