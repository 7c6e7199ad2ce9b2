"""The two marts that the models read, made the way dbt makes them, and a few measures."""

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import psycopg

CDNOW = Path(__file__).resolve().parent.parent / "data" / "CDNOW_master.txt.gz"

MARTS = """
set role amato_transformer;
create table marts.dim_customers (
    customer_key text primary key,
    customer_id text not null,
    email text,
    valid_from date not null,
    valid_to date,
    is_current boolean not null
);
create table marts.fct_orders (
    order_id text primary key,
    customer_id text,
    order_date timestamptz,
    order_status text,
    is_purchase boolean not null,
    total_amount numeric(18, 2),
    discount_amount numeric(18, 2),
    payment_method text,
    shipping_country text,
    item_count bigint
);
reset role;
"""


@dataclass(frozen=True)
class Order:
    """One order; a purchase unless told otherwise."""

    order_id: str
    customer_id: str | None
    at: datetime | None
    amount: Decimal | None
    is_purchase: bool = True


def at(text: str) -> datetime:
    """A moment in UTC, from ISO text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_marts(
    url: str,
    orders: Iterable[Order],
    customers: Iterable[str],
    since: date,
) -> None:
    """Create and fill the marts; customers are known since a night, and current."""
    with psycopg.connect(url) as conn:
        conn.execute(MARTS.encode())
        with conn.cursor() as cursor:
            copy_orders = (
                "copy marts.fct_orders (order_id, customer_id, order_date, order_status,"
                " is_purchase, total_amount) from stdin"
            )
            with cursor.copy(copy_orders) as copy:
                for o in orders:
                    status = "completed" if o.is_purchase else "cancelled"
                    copy.write_row(
                        (o.order_id, o.customer_id, o.at, status, o.is_purchase, o.amount)
                    )
            copy_customers = (
                "copy marts.dim_customers (customer_key, customer_id, valid_from, valid_to,"
                " is_current) from stdin"
            )
            with cursor.copy(copy_customers) as copy:
                for customer in customers:
                    copy.write_row((f"{customer}|{since}", customer, since, None, True))
        conn.execute("analyze marts.fct_orders")


def cdnow_orders() -> list[Order]:
    """CDNOW's purchases: one order is one customer's purchases of one day."""
    totals: dict[tuple[str, str], Decimal] = {}
    with gzip.open(CDNOW, "rt") as lines:
        next(lines)
        for line in lines:
            customer, day, _, value = line.split()
            totals[customer, day] = totals.get((customer, day), Decimal(0)) + Decimal(value)
    return [
        Order(f"{c}-{d}", c, datetime.strptime(d, "%Y%m%d").replace(tzinfo=UTC), amount)
        for (c, d), amount in totals.items()
    ]


def scientist(url: str) -> psycopg.Connection:
    """A connection with the rights that the models' tasks have."""
    return psycopg.connect(url, options="-c role=amato_scientist")


def checksum(url: str, *tables: str) -> str:
    """SHA-256 of the rows of tables, in the order of their text."""
    digest = hashlib.sha256()
    with psycopg.connect(url) as conn:
        for table in tables:
            for (row,) in conn.execute(f"select t::text from {table} as t order by 1".encode()):
                digest.update(row.encode() + b"\n")
    return digest.hexdigest()


def tree_hashes(folder: Path) -> dict[str, str]:
    """Relative path and SHA-256 of every file under a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def group_orders(each: int, until: date, seed: int = 1) -> list[Order]:
    """Two years of orders, up to a day, of four kinds of customers.

    Kind F (`each` customers) buys every ten days or so for 90, kind H every forty for 70, kind
    R bought every twenty days for 110 and stopped in the first year (so it has spent as much as
    H, and spends no more), and kind O (twice as many) joins at any time and buys once or twice
    within three weeks, for 20.
    """
    random = np.random.default_rng(seed)
    end = datetime(until.year, until.month, until.day, tzinfo=UTC)
    kinds = {"F": (each, 10, 90), "H": (each, 40, 70), "R": (each, 20, 110), "O": (2 * each, 9, 20)}
    orders = []
    for kind, (customers, gap, price) in kinds.items():
        for i in range(customers):
            day, stop = float(random.uniform(0, 60)), 730.0
            if kind == "O":
                day = float(random.uniform(0, 720))
                stop = day + 21
            elif kind == "R":
                stop = float(random.uniform(200, 360))
            number = 0
            while day < min(stop, 730) and not (kind == "O" and number == 2):
                amount = Decimal(str(round(price * float(random.lognormal(0, 0.3)), 2)))
                moment = end - timedelta(days=730) + timedelta(hours=int(day * 24))
                orders.append(Order(f"{kind}{i}-{number}", f"{kind}{i:04d}", moment, amount))
                day += float(random.exponential(gap)) + 0.1
                number += 1
    return orders
