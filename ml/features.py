"""Features of customers, strictly from before an as-of date.

Everything here reads the marts with the date as a parameter: a purchase at or after
`as_of` 00:00 UTC changes no feature. An order's status is the one known on the night that the
marts show: an order from before a past `as_of` that was returned after it counts as returned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import psycopg
from numpy.typing import NDArray

FEATURE_COLUMNS = (
    "recency_days",
    "frequency",
    "monetary",
    "avg_order_value",
    "tenure_days",
    "active_days",
    "interpurchase_days",
    "orders_last_90_days",
    "monetary_last_90_days",
)
"""Names of the features, in the order of the table that `purchase_features` returns.

recency_days            whole days from the last purchase to as_of (1 = yesterday)
frequency               purchases
monetary                sum of their amounts, in the shop's currency
avg_order_value         monetary / frequency
tenure_days             whole days from the first purchase to as_of
active_days             whole days from the first purchase to the last
interpurchase_days      mean days between purchases; with one purchase, no gap has been seen
                        yet and the days since that purchase (its lower bound) stand for it
orders_last_90_days     purchases of the 90 days before as_of
monetary_last_90_days   their amounts
"""

DATA_SOURCE = "marts.fct_orders, marts.dim_customers"

_PURCHASES = """
with purchases as (

    select
        customer_id,
        (order_date at time zone 'UTC')::date as order_day,
        coalesce(total_amount, 0) as total_amount
    from marts.fct_orders
    where
        is_purchase
        and customer_id is not null
        and order_date < (%(as_of)s::date::timestamp at time zone 'UTC')

),

per_customer as (

    select
        customer_id,
        %(as_of)s::date - max(order_day) as recency_days,
        count(*) as frequency,
        sum(total_amount) as monetary,
        %(as_of)s::date - min(order_day) as tenure_days,
        max(order_day) - min(order_day) as active_days,
        count(*) filter (where order_day >= %(as_of)s::date - 90) as orders_last_90_days,
        coalesce(
            sum(total_amount) filter (where order_day >= %(as_of)s::date - 90), 0
        ) as monetary_last_90_days
    from purchases
    group by customer_id

)

select
    customer_id,
    recency_days::double precision,
    frequency::double precision,
    monetary::double precision,
    (monetary / frequency)::double precision as avg_order_value,
    tenure_days::double precision,
    active_days::double precision,
    case
        when frequency > 1
            then active_days::double precision / (frequency - 1)
        else recency_days::double precision
    end as interpurchase_days,
    orders_last_90_days::double precision,
    monetary_last_90_days::double precision
from per_customer
order by customer_id collate "C"
"""

_KNOWN = """
select distinct customer_id
from marts.dim_customers
where
    customer_id is not null
    and valid_from <= %(as_of)s::date
    and (valid_to is null or valid_to > %(as_of)s::date)
"""


_SPENDING = """
select
    customer_id,
    sum(coalesce(total_amount, 0))::double precision as spending
from marts.fct_orders
where
    is_purchase
    and customer_id is not null
    and order_date >= (%(start)s::date::timestamp at time zone 'UTC')
    and order_date < (%(as_of)s::date::timestamp at time zone 'UTC')
group by customer_id
"""


class MartMissingError(RuntimeError):
    """A mart that the models read does not exist."""


def _rows(
    conn: psycopg.Connection, query: str, as_of: date, start: date | None = None
) -> list[tuple[object, ...]]:
    try:
        return list(conn.execute(query.encode(), {"as_of": as_of, "start": start}).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        conn.rollback()
        raise MartMissingError(
            f"the models need {DATA_SOURCE}: {error.diag.message_primary}. "
            "Run the transform stage for this as_of first."
        ) from error


def purchase_features(conn: psycopg.Connection, as_of: date) -> pd.DataFrame:
    """Return one row per customer with at least one purchase before `as_of`.

    The columns are `customer_id` and `FEATURE_COLUMNS` (float64, no nulls), in the byte order
    of `customer_id`.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    rows = _rows(conn, _PURCHASES, as_of)
    frame = pd.DataFrame(rows, columns=["customer_id", *FEATURE_COLUMNS])
    frame["customer_id"] = frame["customer_id"].astype(str)
    return frame.astype(dict.fromkeys(FEATURE_COLUMNS, "float64"))


def customers_without_purchase(
    conn: psycopg.Connection, as_of: date, purchasers: Sequence[str]
) -> list[str]:
    """Return the ids of customers known on the night of `as_of` who are not `purchasers`, sorted.

    Raises:
        MartMissingError: `marts.dim_customers` or one of its columns does not exist.
    """
    known = {str(row[0]) for row in _rows(conn, _KNOWN, as_of)}
    return sorted(known.difference(purchasers))


def spending_between(
    conn: psycopg.Connection, start: date, as_of: date, customers: Sequence[str]
) -> NDArray[np.float64]:
    """Return what each of `customers` spent from `start` to before `as_of`, in their order.

    Raises:
        MartMissingError: `marts.fct_orders` or one of its columns does not exist.
    """
    spent = {str(row[0]): row[1] for row in _rows(conn, _SPENDING, as_of, start)}
    return np.array([spent.get(customer, 0.0) for customer in customers], dtype=np.float64)


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the SHA-256 (hex) of a feature table: its columns, ids and exact values."""
    digest = hashlib.sha256(",".join(map(str, frame.columns)).encode())
    digest.update("\x1f".join(frame["customer_id"]).encode())
    for column in FEATURE_COLUMNS:
        digest.update(frame[column].to_numpy(dtype="<f8").tobytes())
    return digest.hexdigest()
