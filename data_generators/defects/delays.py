"""Rows that arrive late: sound ones, whose technical time is not what it would have been."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data_generators.randomness import Draws
from data_generators.tables.rows import Column, Rows
from data_generators.timeline import DAY

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Delay:
    """How long a class of late rows is under way, in seconds: uniform in ``[least, most)``."""

    least: int
    most: int


OUT_OF_ORDER = "page_views.out_of_order"
DELAYS = {
    "transactions.late": Delay(2 * DAY, 10 * DAY),
    "page_views.late": Delay(2 * 3600, 3 * DAY),
    # Longer than the stay on the page: the next view is there before it.
    OUT_OF_ORDER: Delay(900, 3000),
    "events.late": Delay(2 * 3600, 3 * DAY),
    "product_interactions.late": Delay(DAY, 5 * DAY),
    "search_queries.late": Delay(DAY, 5 * DAY),
}


def lags(delay: Delay, draws: Draws, number: Ints) -> Ints:
    """The seconds by which rows with these numbers are late."""
    return draws.integers(delay.least, delay.most, number)


def delayed(rows: Rows, seconds: Ints) -> Rows:
    """The rows, made so many seconds later.

    The technical time of the row (``created_at`` where rows are only added, else ``updated_at``)
    cannot lie before the row is there.
    """
    late = seconds > 0
    if not late.any():
        return rows
    made = rows.made + seconds.astype("timedelta64[s]")
    name = "created_at" if rows.spec.change == "append" else "updated_at"
    column = rows.columns[name]
    assert isinstance(column, np.ndarray), f"{rows.spec.name}.{name} is a column of times"
    columns: dict[str, Column] = {**rows.columns}
    # What is written in a row that is only added is written when it is made.
    at = column + seconds if rows.spec.change == "append" else np.maximum(column, made)
    columns[name] = np.where(late, at, column)
    changed = np.where(late, np.maximum(rows.changed, made), rows.changed)
    return replace(rows, columns=columns, made=made, changed=changed)
