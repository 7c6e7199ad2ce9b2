"""Writes sales into the MySQL shop: line by line into staging, then as sets, in one transaction.

Works on MySQL 8 and MariaDB 10.6+. Row ids follow from the file: an item's and a
transaction's hold 30 bits of the file's hash and the line number, a customer's is a hash of
its id. So a row that exists already is found by its primary key and left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

import MySQLdb
import MySQLdb.connections

from data_generators.sales_csv.errors import SalesFileError
from data_generators.sales_csv.sales import Sale

STAGING = "amato_sales_staging"
ORDERS = "amato_sales_orders"
LINE_BITS = 32
STRICT = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"

Connection = MySQLdb.connections.Connection

CREATE_STAGING = f"""
create table {STAGING} (
    line bigint not null primary key, customer_key bigint not null, order_key bigint not null,
    customer_id varchar(64) not null, sold_at datetime(6) not null,
    product_id varchar(64) not null, product_name varchar(255) not null,
    quantity int not null, unit_price decimal(18, 6) not null, amount decimal(18, 2) not null
) engine = innodb default character set utf8mb4 collate utf8mb4_bin
"""
CREATE_ORDERS = f"""
create table {ORDERS} (
    customer_key bigint not null, order_key bigint not null, first_line bigint not null,
    customer_id varchar(64) not null, last_customer_id varchar(64) not null,
    order_date datetime(6) not null, total_amount decimal(18, 2) not null,
    primary key (customer_key, order_key)
) engine = innodb default character set utf8mb4 collate utf8mb4_bin
"""
FILL_ORDERS = f"""
insert into {ORDERS}
select customer_key, order_key, min(line), min(customer_id), max(customer_id), min(sold_at),
    sum(amount)
from {STAGING} group by customer_key, order_key
"""
# Two customer ids under one 62-bit key: never seen, and never to be mixed up silently.
FIND_CLASHES = f"""
select new.customer_key from (
    select customer_key, min(customer_id) as low, max(last_customer_id) as high
    from {ORDERS} group by customer_key
) as new
left join customers as old on old.row_id = new.customer_key
where new.low <> new.high or old.customer_id <> new.low limit 1
"""
ADD_CUSTOMERS = f"""
insert into customers
    (row_id, customer_id, registration_date, is_active, created_at, updated_at)
select new.customer_key, new.customer_id, new.first_day, 1, new.first_day, new.first_day
from (
    select customer_key, min(customer_id) as customer_id, date(min(order_date)) as first_day
    from {ORDERS} group by customer_key
) as new
left join customers as old on old.customer_id = new.customer_id
where old.row_id is null
"""
# Only customers that an import made (row_id = key): nobody else's registration is ours to move.
REGISTER_EARLIER = f"""
update customers as old
inner join (
    select o.customer_key, date(min(o.order_date)) as first_day,
        if(min(c.updated_at) = min(c.created_at), date(min(o.order_date)), min(c.updated_at))
            as changed_at
    from {ORDERS} as o
    inner join customers as c on c.row_id = o.customer_key
    group by o.customer_key
    having first_day < min(c.registration_date)
) as new on old.row_id = new.customer_key
set old.registration_date = new.first_day, old.created_at = new.first_day,
    old.updated_at = new.changed_at
"""
ADD_TRANSACTIONS = f"""
insert into transactions
    (row_id, transaction_id, customer_id, order_date, total_amount, discount_amount,
    order_status, updated_at)
select %(base)s + new.first_line, concat(%(prefix)s, new.first_line), new.customer_id,
    new.order_date, new.total_amount, 0, 'completed', new.order_date
from {ORDERS} as new
left join transactions as old on old.row_id = %(base)s + new.first_line
where old.row_id is null
order by new.first_line
"""
ADD_ITEMS = f"""
insert into transaction_items
    (row_id, item_id, transaction_id, product_id, product_name, quantity, unit_price,
    discount_percent, line_total, updated_at)
select %(base)s + new.line, concat(%(prefix)s, new.line), concat(%(prefix)s, o.first_line),
    new.product_id, new.product_name, new.quantity, new.unit_price, 0, new.amount, new.sold_at
from {STAGING} as new
inner join {ORDERS} as o
    on o.customer_key = new.customer_key and o.order_key = new.order_key
left join transaction_items as old on old.row_id = %(base)s + new.line
where old.row_id is null
order by new.line
"""


@dataclass(frozen=True)
class Published:
    """What a file's sales are in the shop, and how many rows were not there before."""

    customers: int
    orders: int
    items: int
    total_amount: Decimal
    new_customers: int
    new_orders: int
    new_items: int


@contextmanager
def staging(conn: Connection, lock_seconds: int = 60) -> Iterator[None]:
    """Empty staging tables, for one importer at a time; what a killed one left is dropped.

    The session is strict, in utf8mb4 and without autocommit meanwhile. Creating tables
    commits what ``conn`` has open.

    Raises:
        SalesFileError: another import holds this database.
    """
    database = sha256(str(_one(conn, "select database()")).encode()).hexdigest()
    fence = f"amato_sales_import.{database[:32]}"  # lock names are server-wide, 64 characters
    if _one(conn, "select get_lock(%s, %s)", (fence, lock_seconds)) != 1:
        raise SalesFileError(
            "another sales import is running in this shop database: start again when it is done"
        )
    mode = _one(conn, "select @@session.sql_mode")
    autocommit = conn.get_autocommit()  # type: ignore[no-untyped-call]
    try:
        conn.set_character_set("utf8mb4")
        conn.autocommit(False)
        _run(conn, "set session sql_mode = %s", (STRICT,))
        _drop(conn)
        _run(conn, CREATE_STAGING)
        _run(conn, CREATE_ORDERS)
        yield
        _drop(conn)
    except BaseException:
        # The first error is the one to tell; what cannot be tidied now, the next start drops.
        with suppress(MySQLdb.Error):
            conn.rollback()  # type: ignore[no-untyped-call]
            _drop(conn)
        raise
    finally:
        with suppress(MySQLdb.Error):  # a lost connection has lost its lock and its settings too
            _run(conn, "set session sql_mode = %s", (mode,))
            conn.autocommit(autocommit)
            _run(conn, "select release_lock(%s)", (fence,))


def stage(conn: Connection, sales: Sequence[Sale]) -> None:
    """Add sales to the staging table, and commit."""
    if sales:
        rows = ",".join(_row(conn, sale) for sale in sales)
        _run(conn, f"insert into {STAGING} values {rows}")
        _commit(conn)


def publish(conn: Connection, content_sha256: str, mapping_fingerprint: str) -> Published:
    """Make customers, transactions and items of what is staged, in one transaction.

    Rows that exist are left as they are, except that a customer whom an earlier import made
    is registered on the earliest purchase of all files.

    Raises:
        SalesFileError: the same file was imported before with another mapping.
    """
    base = (int(content_sha256[:8], 16) >> 2) << LINE_BITS
    prefix = f"{content_sha256[:16]}-{sha256(mapping_fingerprint.encode()).hexdigest()[:6]}-"
    names = {"base": base, "prefix": prefix}
    _run(conn, FILL_ORDERS)
    _commit(conn)
    _check_identity(conn, base, prefix)
    new_customers = _run(conn, ADD_CUSTOMERS)
    _run(conn, REGISTER_EARLIER)
    new_orders = _run(conn, ADD_TRANSACTIONS, names)
    new_items = _run(conn, ADD_ITEMS, names)
    _commit(conn)
    counts = f"select count(distinct customer_key), count(*), sum(total_amount) from {ORDERS}"
    customers, orders, total = _first(conn, counts)
    items = _one(conn, f"select count(*) from {STAGING}")
    return Published(customers, orders, items, total, new_customers, new_orders, new_items)


def _check_identity(conn: Connection, base: int, prefix: str) -> None:
    """Raise if the ids that this file gives belong to other rows already."""
    in_range = "select item_id from transaction_items where row_id > %s and row_id < %s limit 1"
    for (found,) in _rows(conn, in_range, (base, base + (1 << LINE_BITS))):
        if str(found).startswith(prefix):
            continue
        if str(found).startswith(prefix[:17]):
            raise SalesFileError(
                "this file was imported before with another column mapping, delimiter or date"
                " format: remove that import first, or leave the mapping as it was"
            )
        raise SalesFileError(
            f"the rows of another file (item {found}) have the ids that this file would get:"
            " add a blank line to this file and import it again"
        )
    if _rows(conn, FIND_CLASHES):
        raise SalesFileError(
            "two different customers of this file and the shop have the same row id: rename one"
        )


def _row(conn: Connection, sale: Sale) -> str:
    return (
        f"({sale.line},{sale.customer_key},{sale.order_key},{_text(conn, sale.customer_id)},"
        f"'{sale.sold_at}',{_text(conn, sale.product_id)},{_text(conn, sale.product_name)},"
        f"{sale.quantity},{sale.unit_price},{sale.amount})"
    )


def _text(conn: Connection, value: str) -> str:
    if value.isascii() and value.isalnum():
        return f"'{value}'"
    escaped: bytes = conn.escape_string(value.encode())  # type: ignore[no-untyped-call]
    return f"'{escaped.decode()}'"


def _commit(conn: Connection) -> None:
    conn.commit()  # type: ignore[no-untyped-call]


def _drop(conn: Connection) -> None:
    _run(conn, f"drop table if exists {STAGING}")
    _run(conn, f"drop table if exists {ORDERS}")


def _run(conn: Connection, sql: str, arguments: Any = None) -> int:
    with conn.cursor() as cursor:
        return int(cursor.execute(sql, arguments))


def _rows(conn: Connection, sql: str, arguments: Any = None) -> list[tuple[Any, ...]]:
    with conn.cursor() as cursor:
        cursor.execute(sql, arguments)
        return list(cursor.fetchall())


def _first(conn: Connection, sql: str, arguments: Any = None) -> tuple[Any, ...]:
    return _rows(conn, sql, arguments)[0]


def _one(conn: Connection, sql: str, arguments: Any = None) -> Any:
    return _first(conn, sql, arguments)[0]
