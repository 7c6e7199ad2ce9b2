"""Point-in-time features, against figures counted by hand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import psycopg
import pytest

from ml.features import (
    FEATURE_COLUMNS,
    MartMissingError,
    customers_without_purchase,
    fingerprint,
    purchase_features,
)
from tests.integration.ml_support import Order, at, group_orders, make_marts, scientist

AS_OF = date(1998, 7, 1)

ORDERS = [
    # a: three purchases, the last one just before the night
    Order("a1", "a", at("1998-01-01T12:00:00"), Decimal("10.00")),
    Order("a2", "a", at("1998-04-02T00:00:00"), Decimal("20.00")),
    Order("a3", "a", at("1998-06-30T23:59:59.999999"), Decimal("30.00")),
    # ... and what must not count: at the bound, later, not a purchase, at no known time
    Order("a4", "a", at("1998-07-01T00:00:00"), Decimal("999.00")),
    Order("a5", "a", at("1999-01-01T00:00:00"), Decimal("999.00")),
    Order("a6", "a", at("1998-05-01T00:00:00"), Decimal("999.00"), is_purchase=False),
    Order("a7", "a", None, Decimal("999.00")),
    # b: one purchase, of an unknown amount
    Order("b1", "b", at("1998-04-01T10:00:00"), None),
    # c: two on one day
    Order("c1", "c", at("1998-06-21T01:00:00"), Decimal("5.00")),
    Order("c2", "c", at("1998-06-21T23:00:00"), Decimal("7.00")),
    # d only later; nobody's order
    Order("d1", "d", at("1998-07-02T00:00:00"), Decimal("1.00")),
    Order("x1", None, at("1998-06-01T00:00:00"), Decimal("1.00")),
]

# recency, frequency, monetary, mean, tenure, active, between, last 90 days: orders, amount
EXPECTED = {
    "a": (1, 3, 60.0, 20.0, 181, 180, 90.0, 2, 50.0),
    "b": (91, 1, 0.0, 0.0, 91, 0, 91.0, 0, 0.0),
    "c": (10, 2, 12.0, 6.0, 10, 0, 0.0, 2, 12.0),
}


@pytest.fixture
def conn(warehouse_url: str) -> Iterator[psycopg.Connection]:
    make_marts(warehouse_url, ORDERS, ["a", "b", "d", "e"], since=date(1998, 6, 1))
    with scientist(warehouse_url) as connection:
        yield connection


def test_features_are_those_counted_by_hand(conn: psycopg.Connection) -> None:
    frame = purchase_features(conn, AS_OF)
    found = {row[0]: row[1:] for row in frame.itertuples(index=False, name=None)}
    assert list(found) == ["a", "b", "c"]
    for customer, expected in EXPECTED.items():
        assert found[customer] == pytest.approx(expected), customer
    assert not frame.isna().any().any()
    assert tuple(frame.columns) == ("customer_id", *FEATURE_COLUMNS)


def test_the_session_time_zone_changes_nothing(conn: psycopg.Connection) -> None:
    expected = fingerprint(purchase_features(conn, AS_OF))
    for zone in ("Asia/Tokyo", "America/Los_Angeles"):
        conn.execute("select set_config('timezone', %s, false)", (zone,))
        assert fingerprint(purchase_features(conn, AS_OF)) == expected


def test_before_the_first_purchase_there_is_nobody(conn: psycopg.Connection) -> None:
    assert len(purchase_features(conn, date(1998, 1, 1))) == 0
    assert len(purchase_features(conn, date(1998, 1, 2))) == 1


def test_customers_without_purchase_are_those_known_that_night(conn: psycopg.Connection) -> None:
    purchasers = list(purchase_features(conn, AS_OF)["customer_id"])
    assert customers_without_purchase(conn, AS_OF, purchasers) == ["d", "e"]
    assert customers_without_purchase(conn, date(1998, 6, 1), []) == ["a", "b", "d", "e"]
    assert customers_without_purchase(conn, date(1998, 5, 31), []) == []


def test_whatever_happens_later_changes_no_feature(warehouse_url: str) -> None:
    orders = group_orders(40, until=date(1998, 9, 1), seed=3)
    bound = at("1998-07-01T00:00:00")
    past = [o for o in orders if o.at is not None and o.at < bound]
    future = [o for o in orders if o.at is not None and o.at >= bound]
    assert past
    assert future
    make_marts(warehouse_url, orders, [], since=AS_OF)
    with scientist(warehouse_url) as conn:
        before = fingerprint(purchase_features(conn, AS_OF))
    random = np.random.default_rng(0)
    owners = random.permutation([o.customer_id for o in orders])[: len(future)]
    shuffled = [
        replace(
            order,
            customer_id=str(owner),
            at=bound + timedelta(hours=int(random.integers(0, 9000))),
            amount=Decimal(int(random.integers(0, 10_000))),
            is_purchase=bool(random.integers(0, 2)),
        )
        for order, owner in zip(future, owners, strict=True)
    ]
    with psycopg.connect(warehouse_url) as conn:
        conn.execute("drop table marts.fct_orders, marts.dim_customers")
    make_marts(warehouse_url, past + shuffled, [], since=AS_OF)
    with scientist(warehouse_url) as conn:
        assert fingerprint(purchase_features(conn, AS_OF)) == before
        assert fingerprint(purchase_features(conn, date(1998, 9, 1))) != before


def test_a_missing_mart_is_named_with_its_remedy(warehouse_url: str) -> None:
    with scientist(warehouse_url) as conn:
        with pytest.raises(MartMissingError, match=r"marts\.fct_orders.*Run the transform stage"):
            purchase_features(conn, AS_OF)
        assert conn.execute("select 1").fetchone() == (1,)
