"""What customers did after a day, as an outcome that no segmentation has learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import psycopg

from ml.evaluation import Floats
from ml.features import DATA_SOURCE, MartMissingError

OUTCOMES = ("log_spending", "orders")
"""Columns of what `later_purchases` returns: log(1 + spending), and the number of purchases."""

_LATER = """
select
    customer_id,
    coalesce(sum(total_amount), 0)::double precision as spending,
    count(*)::double precision as orders
from marts.fct_orders
where
    is_purchase
    and customer_id is not null
    and order_date >= (%(start)s::date::timestamp at time zone 'UTC')
    and order_date < (%(end)s::date::timestamp at time zone 'UTC')
group by customer_id
"""


def later_purchases(
    conn: psycopg.Connection, customers: Sequence[str], start: date, end: date
) -> Floats:
    """Return what each customer bought in [start, end): shape (customers, 2), see `OUTCOMES`.

    The rows are in the order of `customers`; one who bought nothing has zeros.

    Raises:
        MartMissingError: the mart of orders does not exist.
    """
    try:
        rows = conn.execute(_LATER.encode(), {"start": start, "end": end}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        conn.rollback()
        raise MartMissingError(
            f"the models need {DATA_SOURCE}: {error.diag.message_primary}"
        ) from error
    bought = {str(row[0]): (np.log1p(max(row[1], 0.0)), row[2]) for row in rows}
    return np.array([bought.get(c, (0.0, 0.0)) for c in customers], dtype=np.float64).reshape(-1, 2)
