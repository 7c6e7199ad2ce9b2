"""A small shop with planted journeys, as arrays and as the marts that the models read."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg

from ml.journey_simulation.history import SESSION_COUNTS, SESSION_MARKS, History, day_number

SESSIONS = f"""
set role amato_transformer;
alter table marts.dim_customers add column registration_date date;
create table marts.fct_sessions (
    session_id text primary key,
    customer_id text,
    anonymous_id text,
    is_identified_by_stitching boolean not null,
    is_bot boolean not null,
    session_start timestamptz not null,
    session_end timestamptz,
    device_type text,
    channel text not null,
    campaign_id text,
    is_bounce boolean,
    {", ".join(f"{name} bigint" for name in SESSION_COUNTS)}
);
reset role;
"""

# From a month's latent stage (row: Visitor, Browser, Abandoner, Return Visitor) to the next.
CHAIN = np.array(
    [
        [0.85, 0.05, 0.05, 0.05],
        [0.05, 0.85, 0.05, 0.05],
        [0.05, 0.05, 0.85, 0.05],
        [0.05, 0.05, 0.05, 0.85],
    ]
)
SIGNS = ((), ("product_views",), ("product_views", "cart_adds"), ("account_page_views",))


def planted_history(customers: int, until: date, days: int = 540, seed: int = 1) -> History:
    """Customers that buy at rates of their own, drop out, visit, and wander between stages.

    A third of them buys every ten days or so and drops out after a purchase with chance .05, the
    others every hundred and fifty days and .2; who has dropped out hardly visits any more.
    Visits show the latent stage of the 30 days they fall into.
    """
    random = np.random.default_rng(seed)
    end = float(day_number(until))
    start = end - days
    registered = np.floor(start + random.random(customers) * 0.5 * days)
    orders, visits = [], []
    for c in range(customers):
        gap, leaves = (10.0, 0.05) if c % 3 == 0 else (150.0, 0.2)
        at, left = registered[c] + random.exponential(3), end
        while at < left:
            orders.append((at, c))
            if random.random() < leaves:
                left = at
            at += random.exponential(gap)
        stage = random.integers(0, 4)
        for month in range(int((registered[c] - start) // 30), days // 30):
            begins = max(start + 30 * month, registered[c])
            share = 1.0 if begins < left else 0.1
            many = random.poisson((1.5 + 2 * (c % 2)) * share)
            ends = start + 30 * (month + 1)
            visits += [
                (at, c, stage) for at in sorted(random.uniform(begins, ends, many)) if at < end
            ]
            stage = random.choice(4, p=CHAIN[stage])
    orders.sort()
    visits.sort()
    counts = np.zeros((len(visits), len(SESSION_COUNTS)))
    counts[:, SESSION_COUNTS.index("duration_seconds")] = random.integers(20, 900, len(visits))
    counts[:, SESSION_COUNTS.index("page_views")] = random.integers(1, 9, len(visits))
    for row, (*_, stage) in enumerate(visits):
        for name in SIGNS[stage]:
            counts[row, SESSION_COUNTS.index(name)] = 1
    session_at = np.array([v[0] for v in visits])
    return History(
        customer_ids=tuple(f"C{c:05d}" for c in range(customers)),
        registered=registered,
        order_customer=np.array([o[1] for o in orders], dtype=np.int64),
        order_at=np.array([o[0] for o in orders]),
        order_purchase=np.ones(len(orders), dtype=bool),
        order_failed=np.zeros(len(orders), dtype=bool),
        order_amount=np.round(random.gamma(5, 10, len(orders)), 2),
        session_customer=np.array([v[1] for v in visits], dtype=np.int64),
        session_at=session_at,
        session_known=session_at + 0.001,
        session_marks=(random.random((len(visits), len(SESSION_MARKS))) < 0.3).astype(float),
        session_counts=counts,
        until=end,
    )


def moment(day: float) -> datetime:
    """The moment of a day number, to the second."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(day * 86_400))


def make_journey_marts(url: str, history: History) -> None:
    """Put a history into marts that `make_marts` has created."""
    names = ("session_id, customer_id, is_identified_by_stitching, is_bot, session_start,"
             f" session_end, channel, {', '.join(SESSION_COUNTS)}")  # fmt: skip
    ids = history.customer_ids
    with psycopg.connect(url) as conn:
        conn.execute(SESSIONS.encode())
        known = "copy marts.dim_customers (customer_key, customer_id, valid_from, is_current," \
            " registration_date) from stdin"  # fmt: skip
        with conn.cursor() as cursor:
            with cursor.copy(known) as copy:
                for customer, day in zip(ids, history.registered, strict=True):
                    registered = moment(day).date()
                    copy.write_row((customer, customer, date(2000, 1, 1), True, registered))
            ordered = "copy marts.fct_orders (order_id, customer_id, order_date, order_status," \
                " is_purchase, total_amount) from stdin"  # fmt: skip
            with cursor.copy(ordered) as copy:
                for k, c in enumerate(history.order_customer):
                    at, amount = moment(history.order_at[k]), float(history.order_amount[k])
                    copy.write_row((f"O{k:06d}", ids[c], at, "completed", True, amount))
            with cursor.copy(f"copy marts.fct_sessions ({names}) from stdin") as copy:
                for k, c in enumerate(history.session_customer):
                    at = moment(history.session_at[k])
                    counts = [int(n) for n in history.session_counts[k]]
                    copy.write_row((f"S{k:06d}", ids[c], False, False, at,
                                    at + timedelta(seconds=60), "Direct", *counts))  # fmt: skip
