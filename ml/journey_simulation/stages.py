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

_LOOKED = ("product_page_views", "product_views")
_BASKET = ("cart_adds", "cart_page_views", "checkout_page_views", "checkout_starts")
_BY_DEPTH = np.array([VISITOR, BROWSER, RETURN_VISITOR, ABANDONER, CONVERTER])
"""The stages from the weakest sign to the strongest, which decides."""


def stages_between(history: History, start: float, end: float) -> Ints:
    """Return each customer's stage in [start, end) [n], 0 to 4.

    Raises:
        ValueError: the period is empty, or ends after the history.
    """
    return monthly_stages(history, end, 1, end - start)[:, 0]


def monthly_stages(history: History, end: float, months: int, days: float) -> Ints:
    """Return the stages [n x months] of the last `months` periods of `days` before `end`.

    Raises:
        ValueError: the periods are empty, or end after the history.
    """
    if days <= 0 or end > history.until:
        raise ValueError(
            f"no periods of {days} days before {end} in a history until {history.until}"
        )
    n = history.customers
    deepest = np.zeros(n * months, dtype=np.int64)
    bought = history.order_purchase
    for who, at, depth in (
        (history.session_customer, history.session_at, _session_depths(history)),
        (history.order_customer[bought], history.order_at[bought], np.array(4)),
    ):
        back = np.ceil((end - at) / days).astype(np.int64)  # 1: the last period
        inside = (at < end) & (back <= months)
        place = who[inside] * months + months - back[inside]
        np.maximum.at(deepest, place, np.broadcast_to(depth, at.shape)[inside])
    return np.asarray(_BY_DEPTH[deepest].reshape(n, months))


def _session_depths(history: History) -> Ints:
    """Return the place of each session's own stage in `_BY_DEPTH` [s]."""

    def shown(*names: str) -> Bools:
        columns = [SESSION_COUNTS.index(name) for name in names]
        return np.asarray(history.session_counts[:, columns].sum(axis=1) > 0)

    signs = [shown("purchases"), shown(*_BASKET), shown("account_page_views"), shown(*_LOOKED)]
    return np.select(signs, [4, 3, 2, 1], 0)


def seen_between(history: History, start: float, end: float) -> Bools:
    """Return whether each customer visited or bought in [start, end) [n]."""
    orders = history.order_purchase & (history.order_at >= start) & (history.order_at < end)
    visits = (history.session_at >= start) & (history.session_at < end)
    found = np.zeros(history.customers, dtype=np.bool_)
    found[history.order_customer[orders]] = True
    found[history.session_customer[visits]] = True
    return found


def one_hot(stage: Ints, classes: int = 5) -> Floats:
    """Return [n x classes], 1 in the column of each customer's stage."""
    return np.eye(classes)[stage]
