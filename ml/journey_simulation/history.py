"""What the marts know of each customer's orders and visits, as arrays sorted by time.

One reading serves every origin: features, stages and labels of a past day are cut out of it by
time (`ml.journey_simulation.behaviour`). Times are float days since 1970-01-01 00:00 UTC.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from ml.features import MartMissingError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DATA_SOURCE = "marts.fct_orders, marts.fct_sessions, marts.dim_customers"

SESSION_COUNTS = (
    "duration_seconds",
    "page_views",
    "product_page_views",
    "category_page_views",
    "search_page_views",
    "cart_page_views",
    "checkout_page_views",
    "account_page_views",
    "events",
    "checkout_starts",
    "purchases",
    "searches",
    "interactions",
    "product_views",
    "cart_adds",
    "cart_removals",
    "wishlist_adds",
)
"""The counts of `marts.fct_sessions` that are read, in the order of `History.session_counts`."""

SESSION_MARKS = ("is_mobile", "from_campaign", "from_search", "is_bounce", "is_stitched")
"""Yes or no (1 or 0) of each session, in the order of `History.session_marks`."""

_EPOCH = date(1970, 1, 1)

_CUSTOMERS = """
select distinct on (customer_id collate "C")
    customer_id,
    (registration_date - date '1970-01-01')::double precision
from marts.dim_customers
where
    customer_id is not null
    and valid_from <= %(as_of)s::date
    and (valid_to is null or valid_to > %(as_of)s::date)
order by customer_id collate "C", valid_from desc
"""

_ORDERS = """
select
    customer_id,
    extract(epoch from order_date)::double precision / 86400,
    is_purchase,
    coalesce(order_status in ('cancelled', 'returned'), false),
    coalesce(total_amount, 0)::double precision
from marts.fct_orders
where
    customer_id is not null
    and order_date < (%(as_of)s::date::timestamp at time zone 'UTC')
order by order_date, order_id collate "C"
"""

# A session is known once it is over; one that only a later sign-in under the same cookie gave
# to its customer, once that sign-in was there.
_SESSIONS = f"""
with sessions as (

    select
        *,
        coalesce(
            session_end, session_start + make_interval(secs => coalesce(duration_seconds, 0))
        ) as over_at
    from marts.fct_sessions
    where
        customer_id is not null
        and not is_bot
        and session_start < (%(as_of)s::date::timestamp at time zone 'UTC')

),

sign_ins as (

    select
        customer_id,
        anonymous_id,
        min(session_start) as first_at
    from sessions
    where not is_identified_by_stitching and anonymous_id is not null
    group by customer_id, anonymous_id

)

select
    sessions.customer_id,
    extract(epoch from sessions.session_start)::double precision / 86400,
    extract(epoch from case
        when sessions.is_identified_by_stitching
            then greatest(sessions.over_at, sign_ins.first_at)
        else sessions.over_at
    end)::double precision / 86400,
    coalesce(sessions.device_type = 'mobile', false)::integer,
    (sessions.campaign_id is not null)::integer,
    (sessions.channel = 'Organic Search')::integer,
    coalesce(sessions.is_bounce, false)::integer,
    sessions.is_identified_by_stitching::integer,
    {", ".join(f"coalesce(sessions.{name}, 0)::double precision" for name in SESSION_COUNTS)}
from sessions
left join sign_ins
    on sessions.customer_id = sign_ins.customer_id
    and sessions.anonymous_id = sign_ins.anonymous_id
order by sessions.session_start, sessions.session_id collate "C"
"""


@dataclass(frozen=True)
class History:
    """Orders and visits before `until`, by customer.

    customer_ids        [n], in byte order; a customer's row number is its place here
    registered          [n], day of registration; inf where unknown
    order_customer      [m], row numbers; orders are sorted by time
    order_at            [m], when it was placed
    order_purchase      [m], whether it counts as a purchase
    order_failed        [m], whether it was cancelled or returned, as far as known at `until`
    order_amount        [m], amount charged
    session_customer    [s], row numbers; sessions are sorted by their beginning
    session_at          [s], when it began
    session_known       [s], from when on it was over and known to be this customer's
    session_marks       [s x 5], `SESSION_MARKS`
    session_counts      [s x 17], `SESSION_COUNTS`
    until               day number: nothing in it happened at or after
    """

    customer_ids: tuple[str, ...]
    registered: Floats
    order_customer: Ints
    order_at: Floats
    order_purchase: Bools
    order_failed: Bools
    order_amount: Floats
    session_customer: Ints
    session_at: Floats
    session_known: Floats
    session_marks: Floats
    session_counts: Floats
    until: float

    @property
    def customers(self) -> int:
        """Number of customers."""
        return len(self.customer_ids)


def day_number(day: date) -> int:
    """Return the days since 1970-01-01."""
    return (day - _EPOCH).days


def read_history(conn: psycopg.Connection, as_of: date) -> History:
    """Return what happened before `as_of`, of the customers known on that night.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    customers = _rows(conn, _CUSTOMERS, as_of)
    orders = _rows(conn, _ORDERS, as_of)
    sessions = _rows(conn, _SESSIONS, as_of)
    ids = [str(row[0]) for row in customers]
    number = {customer: i for i, customer in enumerate(ids)}
    orders = [row for row in orders if row[0] in number]
    sessions = [row for row in sessions if row[0] in number]
    order_values = _matrix(orders, 4)
    session_values = _matrix(sessions, 2 + len(SESSION_MARKS) + len(SESSION_COUNTS))
    first_count = 2 + len(SESSION_MARKS)
    return History(
        customer_ids=tuple(ids),
        registered=np.array([np.inf if row[1] is None else row[1] for row in customers], float),
        order_customer=np.array([number[row[0]] for row in orders], dtype=np.int64),
        order_at=order_values[:, 0],
        order_purchase=order_values[:, 1] > 0,
        order_failed=order_values[:, 2] > 0,
        order_amount=order_values[:, 3],
        session_customer=np.array([number[row[0]] for row in sessions], dtype=np.int64),
        session_at=session_values[:, 0],
        session_known=session_values[:, 1],
        session_marks=session_values[:, 2:first_count],
        session_counts=session_values[:, first_count:],
        until=float(day_number(as_of)),
    )


def _matrix(rows: list[tuple[Any, ...]], width: int) -> Floats:
    """Return all but the first column of the rows as [rows x width]."""
    return np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), width)


def _rows(conn: psycopg.Connection, query: str, as_of: date) -> list[tuple[Any, ...]]:
    try:
        return list(conn.execute(query.encode(), {"as_of": as_of}).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        conn.rollback()
        raise MartMissingError(
            f"the models of journeys need {DATA_SOURCE}: {error.diag.message_primary}. "
            "Run the transform stage for this as_of first."
        ) from error


def before(history: History, day: float) -> History:
    """Return the history as it was known at `day`: a session not over by then is not in it.

    Raises:
        ValueError: `day` is after the history's end.
    """
    if day > history.until:
        raise ValueError(f"the history ends at {history.until}, before {day}")
    orders = history.order_at < day
    sessions = (history.session_at < day) & (history.session_known < day)
    parts: dict[str, Any] = {
        field.name: getattr(history, field.name)[orders if field.name[0] == "o" else sessions]
        for field in fields(history)
        if field.name.startswith(("order_", "session_"))
    }
    return History(history.customer_ids, history.registered, **parts, until=float(day))


def fingerprint(history: History) -> str:
    """Return the SHA-256 (hex) of everything in a history."""
    digest = hashlib.sha256("\x1f".join(history.customer_ids).encode())
    for field in fields(history)[1:]:
        values = np.ascontiguousarray(getattr(history, field.name))
        digest.update(f"{field.name}{values.shape}".encode())
        digest.update(values.astype("<f8").tobytes())
    return digest.hexdigest()
