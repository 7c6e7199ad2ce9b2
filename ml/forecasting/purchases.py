"""Who bought what on which day, from the marts; and what was known of a customer on a day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import psycopg
from numpy.typing import NDArray

from ml.forecasting.bgnbd import Histories
from ml.forecasting.daily import Daily
from ml.forecasting.marts import read_frame

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DATA_SOURCE = "marts.fct_orders, marts.dim_customers"

FEATURES = (
    "recency_days",
    "purchase_days",
    "tenure_days",
    "active_days",
    "mean_value",
    "spent",
    "spent_30_days",
    "spent_90_days",
    "spent_180_days",
    "purchase_days_90_days",
)
"""What the gradient-boosted model sees of a customer, in this order."""

_PURCHASES = """
select
    customer_id,
    (order_date at time zone 'UTC')::date as date_day,
    greatest(sum(coalesce(total_amount, 0)), 0)::double precision as amount
from marts.fct_orders
where
    is_purchase
    and order_date < (%(as_of)s::date::timestamp at time zone 'UTC')
group by 1, 2
order by customer_id collate "C" nulls last, date_day
"""

_CUSTOMERS = """
select
    customer_id,
    min(registration_date) as registered,
    -- History begins with the first night loaded: before it, everybody is known.
    min(valid_from) > %(as_of)s or bool_or(
        valid_from <= %(as_of)s and (valid_to is null or valid_to > %(as_of)s)
    ) as is_known
from marts.dim_customers
where coalesce(registration_date, valid_from) < %(as_of)s
group by customer_id
order by customer_id collate "C"
"""


@dataclass(frozen=True)
class Buyers:
    """What was known of customers before a day; arrays of one length, by customer.

    rows are the customers' places in `Purchases.customers`; features has shape (customers, 10).
    """

    rows: Ints
    histories: Histories
    purchase_days: Floats
    mean_value: Floats
    features: Floats


@dataclass(frozen=True)
class Purchases:
    """What was bought before `until`, by customer and day.

    customers   ids of all who bought, in byte order
    row, day, amount    of each customer's day with purchases: the customer's place in
                `customers`, the day as its proleptic Gregorian ordinal, and what was spent
    total       revenue of each day, orders of unknown customers included
    registry    every customer of the shop: customer_id, registered (day or null), is_known (on the
                night)
    """

    customers: tuple[str, ...]
    row: Ints
    day: Ints
    amount: Floats
    total: Daily
    registry: pd.DataFrame
    until: date

    def buyers(self, origin: date) -> Buyers:
        """Return what was known of the customers who had bought before `origin`."""
        at = origin.toordinal()
        seen = self.day < at
        row, day, amount = self.row[seen], self.day[seen], self.amount[seen]
        size = len(self.customers)

        def total(mask: NDArray[np.bool_], values: Floats) -> Floats:
            sums = np.bincount(row[mask], weights=values[mask], minlength=size)
            return np.asarray(sums, dtype=np.float64)

        every, ones = np.ones(len(row), dtype=bool), np.ones(len(row))
        count, spent = total(every, ones), total(every, amount)
        first = np.full(size, at)
        np.minimum.at(first, row, day)
        last = np.zeros(size, dtype=np.int64)
        np.maximum.at(last, row, day)
        rows = np.flatnonzero(count > 0)
        tenure = (at - first[rows]).astype(np.float64)
        active = (last - first)[rows].astype(np.float64)
        mean_value = spent[rows] / count[rows]
        features = np.column_stack(
            [
                at - last[rows],
                count[rows],
                tenure,
                active,
                mean_value,
                spent[rows],
                *(total(day >= at - span, amount)[rows] for span in (30, 90, 180)),
                total(day >= at - 90, ones)[rows],
            ]
        ).astype(np.float64)
        histories = Histories(count[rows] - 1.0, active, tenure)
        return Buyers(rows, histories, count[rows], mean_value, features)

    def spending(self, rows: Ints, start: date, end: date) -> Floats:
        """Return what the customers at `rows` spent in [start, end)."""
        within = (self.day >= start.toordinal()) & (self.day < end.toordinal())
        sums = np.bincount(
            self.row[within], weights=self.amount[within], minlength=len(self.customers)
        )
        return np.asarray(sums[rows], dtype=np.float64)

    def newcomers(self, start: date, end: date) -> Floats:
        """Return what each spent in [start, end) who had registered before it and not bought.

        Only those whose day of registration is known are counted.
        """
        waiting = self.registry["registered"].notna() & (self.registry["registered"] < start)
        place = pd.Series(np.arange(len(self.customers)), index=list(self.customers))
        first = np.full(len(self.customers), np.iinfo(np.int64).max)
        np.minimum.at(first, self.row, self.day)
        rows = place.reindex(self.registry["customer_id"][waiting]).to_numpy()
        buys = rows[~np.isnan(rows)].astype(np.int64)
        buys = buys[first[buys] >= start.toordinal()]
        never = np.zeros(int(np.isnan(rows).sum()))
        return np.concatenate([never, self.spending(buys, start, end)])

    def without_purchase(self) -> list[str]:
        """Return the ids of customers known on the night who have not bought, sorted."""
        known = self.registry[self.registry["is_known"].astype(bool)]
        return sorted(set(known["customer_id"]).difference(self.customers))

    def fingerprint(self) -> str:
        """Return the SHA-256 (hex) of all purchases and registrations."""
        digest = hashlib.sha256("\x1f".join(self.customers).encode())
        for values in (self.row, self.day):
            digest.update(values.astype("<i8").tobytes())
        for amounts in (self.amount, self.total.values):
            digest.update(amounts.astype("<f8").tobytes())
        digest.update(str(self.total.start).encode())
        # Only what was known of a customer: whether they still are is of the night.
        digest.update(self.registry[["customer_id", "registered"]].to_csv(index=False).encode())
        return digest.hexdigest()


def from_frames(sales: pd.DataFrame, registry: pd.DataFrame, until: date) -> Purchases:
    """Return the purchases of frames.

    Args:
        sales: customer_id (null where unknown), day, amount; one row per customer and day, by
            customer (in byte order) and day.
        registry: see `Purchases`.
        until: the day before which all of it lies.
    """
    named = sales[sales["customer_id"].notna()]
    codes, customers = pd.factorize(named["customer_id"])
    start = min(sales["day"], default=until)
    values = np.zeros(max((until - start).days, 0))
    offsets = np.array([(day - start).days for day in sales["day"]], dtype=np.int64)
    np.add.at(values, offsets, sales["amount"].to_numpy(dtype=np.float64))
    return Purchases(
        tuple(map(str, customers)),
        codes.astype(np.int64),
        np.array([day.toordinal() for day in named["day"]], dtype=np.int64),
        named["amount"].to_numpy(dtype=np.float64),
        Daily(start, values),
        registry,
        until,
    )


def read_purchases(conn: psycopg.Connection, as_of: date) -> Purchases:
    """Read all purchases and registrations of days before `as_of`.

    Raises:
        MartMissingError: a mart or one of its columns does not exist.
    """
    sales = read_frame(conn, _PURCHASES, as_of, ("customer_id", "day", "amount"), DATA_SOURCE)
    columns = ("customer_id", "registered", "is_known")
    return from_frames(sales, read_frame(conn, _CUSTOMERS, as_of, columns, DATA_SOURCE), as_of)
