"""What `stage` learns from: behaviour and stages, cut out of a history day by day."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.journey_simulation.behaviour import (
    NEVER,
    known,
    order_features,
    visit_features,
)
from ml.journey_simulation.config import MONTH_DAYS, STAGE_DEFINING, STAGE_NAMES, StageConfig
from ml.journey_simulation.history import (
    SESSION_COUNTS,
    SESSION_MARKS,
    Floats,
    History,
    Ints,
    before,
    fingerprint,
)
from ml.journey_simulation.origins import judged_days
from ml.journey_simulation.stages import monthly_stages, one_hot, stages_between

MONTHS_BACK = 6
"""Months of stages that a forecast looks back on."""

_SLUGS = tuple(name.lower().replace(" ", "_") for name in STAGE_NAMES)

NEXT_FEATURES = (
    *("orders", "days_since_order", "customer_days", "gap_days", "purchase_chance", "orders_30"),
    *("orders_90", "visits", "days_since_visit", "registered_days", "visits_a_month"),
    *("visits_missed", "visits_30", "visits_90"),
    *(f"last_{name}" for name in _SLUGS),
    *(f"before_{name}" for name in _SLUGS),
    *(f"share_{name}" for name in _SLUGS),
)
"""Features of next month's stage: orders and visits as in `conversion`, the stages of the last
month and of the one before it, and the share of each stage in the last six months."""

BLIND_COUNTS = tuple(
    name
    for name in SESSION_COUNTS
    if name not in STAGE_DEFINING and name not in ("page_views", "events")
)
"""Counts that the current stage may be told from. The totals of pages and of events are not among
them: they contain what the rule looks at."""

CURRENT_FEATURES = (
    *("window_visits", "window_days_since_visit", "window_active_days"),
    *(f"window_{name}" for name in BLIND_COUNTS),
    *(f"window_{name}" for name in SESSION_MARKS),
    *("earlier_orders", "earlier_purchase_chance", "earlier_visits_a_month", "registered_days"),
    *(f"earlier_{name}" for name in _SLUGS),
)
"""Features of the current stage: what of a window's behaviour its rule does not look at, and
orders, visits and the stage from before the window."""


@dataclass(frozen=True)
class Case:
    """Customers on one day: what is known of them, and the stage that is to be told.

    customers   [n], row numbers of the history
    x           [n x features]
    last        [n], the stage before the one that is to be told: the baseline's answer
    y           [n], the stage
    """

    day: float
    customers: Ints
    x: pd.DataFrame
    last: Ints
    y: Ints


@dataclass(frozen=True)
class StageData:
    """What `stage` learns from and is judged on.

    next_train, current_train    in rising order; all their outcomes lie before the cutoff
    next_judged, current_judged  outcomes in the inference window
    seen                         customers with an order or a visit before the cutoff
    source                       SHA-256 (hex) of the history
    """

    next_train: tuple[Case, ...]
    next_judged: tuple[Case, ...]
    current_train: tuple[Case, ...]
    current_judged: tuple[Case, ...]
    cutoff: float
    seen: int
    source: str


def next_features(history: History) -> pd.DataFrame:
    """Return `NEXT_FEATURES` [n x features] as of the history's end."""
    found = order_features(history, MONTH_DAYS) | visit_features(history)
    months = monthly_stages(history, history.until, MONTHS_BACK, MONTH_DAYS)
    for prefix, values in (
        ("last", one_hot(months[:, -1])),
        ("before", one_hot(months[:, -2])),
        ("share", np.mean([one_hot(stage) for stage in months.T], axis=0)),
    ):
        found |= {f"{prefix}_{name}": values[:, k] for k, name in enumerate(_SLUGS)}
    return pd.DataFrame({name: found[name] for name in NEXT_FEATURES})


def current_features(history: History, start: float) -> pd.DataFrame:
    """Return `CURRENT_FEATURES` [n x features] of the window from `start` to the history's end.

    Orders of the window and `STAGE_DEFINING` counts are not looked at.
    """
    n, end = history.customers, history.until
    inside = history.session_at >= start
    who, at = history.session_customer[inside], history.session_at[inside]
    counts, marks = history.session_counts[inside], history.session_marks[inside]

    def total(weights: Floats | None = None) -> Floats:
        return np.bincount(who, weights=weights, minlength=n).astype(np.float64)

    last = np.full(n, end - NEVER)
    last[who] = at
    day_of = np.unique(np.stack([who, np.floor(at).astype(np.int64)]), axis=1)[0]
    found = {
        "window_visits": total(),
        "window_days_since_visit": end - last,
        "window_active_days": np.bincount(day_of, minlength=n).astype(np.float64),
    }
    found |= {
        f"window_{name}": total(counts[:, SESSION_COUNTS.index(name)]) for name in BLIND_COUNTS
    }
    found |= {f"window_{name}": total(marks[:, k]) for k, name in enumerate(SESSION_MARKS)}
    earlier = before(history, start)
    orders, visits = order_features(earlier, end - start), visit_features(earlier)
    stage = one_hot(stages_between(earlier, 2 * start - end, start))
    found |= {
        "earlier_orders": orders["orders"],
        "earlier_purchase_chance": orders["purchase_chance"],
        "earlier_visits_a_month": visits["visits_a_month"],
        "registered_days": visits["registered_days"] + (end - start),
    }
    found |= {f"earlier_{name}": stage[:, k] for k, name in enumerate(_SLUGS)}
    return pd.DataFrame({name: found[name] for name in CURRENT_FEATURES})


def next_case(history: History, day: float, days: float) -> Case:
    """Return who was known on a day, and their stage in [day, day + days)."""
    seen = before(history, day)
    rows = known(seen)
    x = next_features(seen).iloc[rows].reset_index(drop=True)
    last = stages_between(seen, day - MONTH_DAYS, day)[rows]
    return Case(day, rows, x, last, stages_between(history, day, day + days)[rows])


def current_case(history: History, start: float, end: float) -> Case:
    """Return who was known at the end of a window, and their stage in it."""
    seen = before(history, end)
    rows = known(seen)
    x = current_features(seen, start).iloc[rows].reset_index(drop=True)
    last = stages_between(before(history, start), 2 * start - end, start)[rows]
    return Case(end, rows, x, last, stages_between(seen, start, end)[rows])


def stage_data(history: History, cutoff: float, config: StageConfig) -> StageData:
    """Cut all cases out of a history, from the first day with a visit or an order on."""
    month, window = float(MONTH_DAYS), history.until - cutoff
    first = min((float(t[0]) for t in (history.order_at, history.session_at) if len(t)), default=0)
    steps = range(config.train_origins, 0, -1)
    past = before(history, cutoff)
    active = np.unique(np.concatenate([past.order_customer, past.session_customer]))
    return StageData(
        next_train=tuple(
            next_case(history, cutoff - k * month, month)
            for k in steps
            if cutoff - k * month > first
        ),
        next_judged=tuple(
            next_case(history, day, days) for day, days in judged_days(cutoff, history.until, month)
        ),
        current_train=tuple(
            current_case(history, cutoff - (k - 1) * month - window, cutoff - (k - 1) * month)
            for k in steps
            if k <= config.window_origins and cutoff - (k - 1) * month - window > first
        ),
        current_judged=(current_case(history, cutoff, history.until),),
        cutoff=cutoff,
        seen=len(active),
        source=fingerprint(history),
    )


def data_fingerprint(data: StageData) -> str:
    """Return the SHA-256 (hex) of all that fitting and judging see."""
    digest = hashlib.sha256(f"{data.source}{data.cutoff}".encode())
    for cases in (data.next_train, data.next_judged, data.current_train, data.current_judged):
        for case in cases:
            digest.update(f"{case.day}".encode() + case.y.astype("<i8").tobytes())
    return digest.hexdigest()


def stacked(cases: Sequence[Case]) -> tuple[pd.DataFrame, Ints, Ints, Ints]:
    """Return features, last stages, stages and customers, one case below the other."""
    return (
        pd.concat([case.x for case in cases], ignore_index=True),
        np.concatenate([case.last for case in cases]),
        np.concatenate([case.y for case in cases]),
        np.concatenate([case.customers for case in cases]),
    )
