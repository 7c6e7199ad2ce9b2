"""The stage of each customer in a period, by the published rule (`config.STAGE_RULE`)."""

from __future__ import annotations

import numpy as np

from ml.journey_simulation.config import (
    ABANDONER,
    BROWSER,
    CONVERTER,
    RETURN_VISITOR,
    VISITOR,
)
from ml.journey_simulation.history import SESSION_COUNTS, Bools, Floats, History, Ints


def stages_between(history: History, start: float, end: float) -> Ints:
    """Return each customer's stage in [start, end) [n], 0 to 4.

    Raises:
        ValueError: the period is empty, or ends after the history.
    """
    if not start < end <= history.until:
        raise ValueError(f"no period [{start}, {end}) in a history until {history.until}")
    n = history.customers
    orders = history.order_purchase & (history.order_at >= start) & (history.order_at < end)
    visits = (history.session_at >= start) & (history.session_at < end)
    who, counts = history.session_customer[visits], history.session_counts[visits]

    def any_of(*names: str) -> Bools:
        columns = [SESSION_COUNTS.index(name) for name in names]
        return _marked(who[counts[:, columns].sum(axis=1) > 0], n)

    stage = np.full(n, VISITOR, dtype=np.int64)
    stage[any_of("product_page_views", "product_views")] = BROWSER
    stage[any_of("account_page_views")] = RETURN_VISITOR
    stage[any_of("cart_adds", "cart_page_views", "checkout_page_views", "checkout_starts")] = (
        ABANDONER
    )
    stage[_marked(history.order_customer[orders], n) | any_of("purchases")] = CONVERTER
    return stage


def seen_between(history: History, start: float, end: float) -> Bools:
    """Return whether each customer visited or bought in [start, end) [n]."""
    orders = history.order_purchase & (history.order_at >= start) & (history.order_at < end)
    visits = (history.session_at >= start) & (history.session_at < end)
    return _marked(history.order_customer[orders], history.customers) | _marked(
        history.session_customer[visits], history.customers
    )


def monthly_stages(history: History, end: float, months: int, days: float) -> Ints:
    """Return the stages [n x months] of the last `months` periods of `days` before `end`."""
    starts = end - days * np.arange(months, 0, -1)
    return np.stack([stages_between(history, s, s + days) for s in starts], axis=1)


def one_hot(stage: Ints, classes: int = 5) -> Floats:
    """Return [n x classes], 1 in the column of each customer's stage."""
    return np.eye(classes)[stage]


def _marked(who: Ints, n: int) -> Bools:
    found = np.zeros(n, dtype=np.bool_)
    found[who] = True
    return found
