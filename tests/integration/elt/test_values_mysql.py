"""Values from MySQL that fit their raw column, and values that do not."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from elt import batch
from elt.batch import Window
from elt.extract_load import extract_and_load
from elt.loader import LoadResult
from elt.nights import open_night
from elt.readers import mysql
from elt.specs import BY_NAME, TableSpec
from tests.integration.elt.support import (
    Shop,
    at,
    binary,
    live,
    load_night,
    query,
)

Warehouse = psycopg.Connection[Any]


def load(conn: Warehouse, client: Any, spec: TableSpec, day: int = 2) -> LoadResult:
    return extract_and_load(client, conn, spec, open_night(conn, date(2026, 1, day)))


def test_mysql_values_keep_every_digit(shop: Shop, warehouse: Warehouse) -> None:
    spec = BY_NAME["transaction_items"]
    shop.run(
        "insert into transaction_items (row_id, quantity, unit_price, discount_percent,"
        " line_total, updated_at) values"
        " (1, 2147483647, 999999999999.123456, 99999.1234, -9999999999999999.99,"
        " '2026-01-01 01:02:03.000001'), (2, -2147483648, 0, 0, 0, '0001-01-01')"
    )
    load(warehouse, shop.client, spec)
    columns = "quantity, unit_price::text, discount_percent::text, line_total::text, updated_at"
    assert live(warehouse, spec, columns + ", _extra")[0] == (
        2147483647,
        "999999999999.123456",
        "99999.1234",
        "-9999999999999999.99",
        datetime(2026, 1, 1, 1, 2, 3, 1, tzinfo=UTC),
        None,
    )
    assert live(warehouse, spec, "quantity, updated_at::text, _extra")[1] == (
        -2147483648,
        "0001-01-01 00:00:00+00",
        None,
    )


def test_mysql_times_do_not_depend_on_the_session_zone(shop: Shop, warehouse: Warehouse) -> None:
    shop.run("alter table customers modify updated_at timestamp(6) null")
    shop.run("set session time_zone = '+05:30'")
    shop.run("insert into customers (customer_id, updated_at) values ('C', '2026-01-01 12:00')")
    load(warehouse, shop.client, BY_NAME["customers"])
    assert query(warehouse, "select updated_at from raw_mysql.customers") == [
        (datetime(2026, 1, 1, 6, 30, tzinfo=UTC),)
    ]


def test_mysql_misfits_go_to_extra_untouched(shop: Shop, warehouse: Warehouse) -> None:
    shop.run("alter table customers modify is_active bigint unsigned")
    shop.run(
        "alter table customers add loyalty int, add score float, add bits bit(9),"
        " add photo blob, add spend decimal(40, 20), add note text, add big bigint unsigned,"
        " add precise double, add waiting time, add nothing int"
    )
    shop.run(
        "insert into customers values (1, 'C1', 'e', 'f', 'l', 'a\\0b', '0000-00-00', 'g', 'a',"
        " 'c', 's', 'c', 'p', '2026-02-30', 18446744073709551615, '0000-00-00 00:00:00',"
        " '2026-01-01',"
        " 5, 0.1, b'100000001', x'00fffe', 12345678901234567890.12345678901234567891, 'a\\0b',"
        " 18446744073709551615, 1e300, '-100:00:00', null)"
    )
    spec = BY_NAME["customers"]
    assert load(warehouse, shop.client, spec).inserted == 1
    ((phone, born, registered, active, created, updated, extra),) = live(
        warehouse,
        spec,
        "phone, date_of_birth, registration_date, is_active, created_at, updated_at, _extra",
    )
    assert (phone, born, registered, active, created) == (None,) * 5
    assert updated == datetime(2026, 1, 1, tzinfo=UTC)
    assert extra == {
        "phone": binary(b"a\0b", "80"),
        "date_of_birth": "0000-00-00",
        "registration_date": "2026-02-30",
        "is_active": "18446744073709551615",
        "created_at": "0000-00-00 00:00:00.000000",
        "note": binary(b"a\0b", "80"),
        "big": "18446744073709551615",
    }
    # What the contract does not know has columns of its own.
    assert live(
        warehouse,
        spec,
        "loyalty, score, bits, photo, spend, precise, waiting, nothing",
    ) == [
        (
            5,
            0.10000000149011612,
            257,
            b"\x00\xff\xfe",
            Decimal("12345678901234567890.12345678901234567891"),
            1e300,
            "-100:00:00",
            None,
        )
    ]
    # A small integer that is no boolean is still a small integer.
    shop.run("update customers set is_active = 2")
    load(warehouse, shop.client, spec, day=3)
    assert live(warehouse, spec, "is_active") == [(2,)]


def test_mysql_numbers_that_need_more_digits_are_not_rounded(
    shop: Shop, warehouse: Warehouse
) -> None:
    shop.run("alter table transactions modify total_amount double, modify discount_amount double")
    shop.run(
        "insert into transactions (row_id, total_amount, discount_amount) values"
        " (1, 19.99, 0.5), (2, 19.9901, 0.125), (3, 1e16, 1e20)"
    )
    spec = BY_NAME["transactions"]
    load(warehouse, shop.client, spec)
    assert live(warehouse, spec, "total_amount, discount_amount, _extra") == [
        (Decimal("19.99"), Decimal("0.5"), None),
        (
            None,
            None,
            {
                "total_amount": {"$numberDouble": "19.9901"},
                "discount_amount": {"$numberDouble": "0.125"},
            },
        ),
        (
            None,
            None,
            {
                "total_amount": {"$numberDouble": "1e16"},
                "discount_amount": {"$numberDouble": "1e20"},
            },
        ),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\u0000"}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        '{"a": 1e999999}',
        "[-0.0]",
        '{"a": NaN}',
        "{",
        "",
    ],
)
def test_json_that_jsonb_would_lose_goes_to_extra(
    shop: Shop, warehouse: Warehouse, text: str
) -> None:
    shop.run("alter table customer_segments modify criteria longtext")
    shop.run("insert into customer_segments (row_id, criteria) values (1, %s)", text)
    load_night(warehouse, shop, 2)
    assert live(warehouse, shop.spec, "criteria, _extra") == [(None, {"criteria": text})]


def test_json_arrives_with_its_digits(shop: Shop, warehouse: Warehouse) -> None:
    text = '{"a": 1.10, "b": [1, null, "\\\\u0000\\t"], "c": 123456789012345678901234567890}'
    shop.run("insert into customer_segments (row_id, criteria) values (1, %s)", text)
    load_night(warehouse, shop, 2)
    assert live(warehouse, shop.spec, "criteria::text, _extra") == [(text, None)]
    # 1.10 and 1.1 are equal to jsonb, and still a change.
    shop.run("update customer_segments set criteria = replace(criteria, '1.10', '1.1')")
    assert load_night(warehouse, shop, 3).updated == 1


def test_mysql_missing_and_added_columns_are_reported(
    shop: Shop, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    shop.run("alter table customer_segments drop column description, add owner varchar(9)")
    shop.run("insert into customer_segments (row_id, owner) values (1, 'me')")
    result = load_night(warehouse, shop, 2)
    assert live(warehouse, shop.spec, "description, owner, _extra") == [(None, "me", None)]
    assert result.differences == (
        "owner: not in the contract: added to raw as text",
        "description: missing in the source: null",
    )
    assert "differ: owner: not in the contract: added to raw as text" in caplog.text


def test_mysql_keys_that_raw_cannot_hold_are_rejected(shop: Shop, warehouse: Warehouse) -> None:
    shop.run("drop table customer_segments")
    shop.run("create table customer_segments (row_id bigint unsigned, segment_name text)")
    shop.run(
        "insert into customer_segments values (1, 'good'), (7, 'x'), (7, 'y'), (null, 'no'),"
        " (null, 'none'), (18446744073709551615, 'far')"
    )
    result = load_night(warehouse, shop, 2)
    assert (result.read, result.inserted, result.rejected) == (6, 1, 5)
    found = query(
        warehouse,
        "select source_key, reason, convert_from(payload, 'UTF8')::jsonb"
        " from elt.rejected_rows where resolved_at is null order by reason, 3::text",
    )
    assert [(key.split(":")[0], reason) for key, reason, _ in found] == [
        ("18446744073709551615", "key does not fit bigint"),
        ("", "null key"),
        ("", "null key"),
        ("7", "repeated key: 2 rows"),
    ]
    assert found[0][2] == {"row_id": "18446744073709551615", "segment_name": "far"}
    assert [row["segment_name"] for row in found[3][2]] == ["x", "y"]
    # Again: the same open rows, not new ones.
    before = query(warehouse, "select xmin::text, r::text from elt.rejected_rows r order by 2")
    load_night(warehouse, shop, 3)
    assert (
        query(warehouse, "select xmin::text, r::text from elt.rejected_rows r order by 2") == before
    )
    # Mended: loaded, and resolved by the night that found it so.
    shop.run("delete from customer_segments where segment_name <> 'good' and segment_name <> 'x'")
    result = load_night(warehouse, shop, 4)
    assert (result.read, result.inserted, result.rejected) == (2, 1, 0)
    assert query(warehouse, "select distinct resolved_at from elt.rejected_rows") == [
        (date(2026, 1, 4),)
    ]


@pytest.mark.parametrize("declared", ["bigint unsigned", "bit(64)"])
@pytest.mark.parametrize("column", ["row_id", "hits"])
def test_mysql_integers_of_64_bits_without_sign_end_no_load(
    shop: Shop, warehouse: Warehouse, column: str, declared: str
) -> None:
    """In a table of plain columns, whose rows are joined without a look at their values."""
    types = {"row_id": "bigint", "hits": "bigint", column: declared}
    shop.run("drop table customer_segments")
    shop.run(
        f"create table customer_segments (row_id {types['row_id']}, hits {types['hits']},"
        " segment_name text, updated_at datetime(6))"
    )
    shop.run(
        "insert into customer_segments (row_id, hits, segment_name) values (1, 2, 'small'),"
        " (3, 3, 'large')"
    )
    shop.run(
        f"update customer_segments set {column} = 18446744073709551615 where segment_name = 'large'"
    )
    for day in (2, 3):
        load_night(warehouse, shop, day)
        found = live(warehouse, shop.spec, "row_id, hits, segment_name, _extra")
        keys = query(warehouse, "select source_key from elt.rejected_rows")
        if column == "row_id":
            assert found == [(1, 2, "small", None)]
            assert keys == [("18446744073709551615",)]
        else:
            large = (3, None, "large", {"hits": "18446744073709551615"})
            assert (found, keys) == ([(1, 2, "small", None), large], [])


def test_mysql_columns_without_a_declared_limit_make_batches_of_bounded_size(
    shop: Shop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server gives no length for a geometry; nor does MySQL, unlike MariaDB, for JSON."""
    shop.run("drop table customer_segments")
    shop.run(
        "create table customer_segments (row_id int, segment_name varchar(9), shape geometry,"
        " updated_at datetime(6))"
    )
    for key in range(6):
        line = ", ".join(f"{number} {number}" for number in range(100))
        shop.run(
            "insert into customer_segments (row_id, shape)"
            f" values ({key}, st_geomfromtext('linestring({line})'))"
        )
    monkeypatch.setattr(batch, "BATCH_BYTES", 3_000)
    with mysql.snapshot(shop.client, shop.spec, at(3)) as opened:
        columns = tuple(column for column in shop.spec.columns if column.name == "segment_name")
        opened.use(replace(shop.spec, columns=columns))
        assert [part.rows for part in opened.read(Window(at(3)))] == [2, 2, 2]
    load_night(warehouse, shop, 2)
    assert live(warehouse, shop.spec, "length(shape)") == [(1_613,)] * 6


def test_rows_over_the_size_limit_are_rejected_and_their_version_stays(
    shop: Shop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.put(1, "small", at(1))
    load_night(warehouse, shop, 2)
    monkeypatch.setattr(batch, "ROW_BYTES", 200)
    shop.put(1, "x" * 90, at(2))
    shop.run("update customer_segments set description = repeat('y', 200)")
    result = load_night(warehouse, shop, 3)
    assert (result.rejected, result.deleted, result.updated) == (1, 0, 0)
    assert live(warehouse, shop.spec, "segment_name") == [("small",)]
    ((key, reason),) = query(warehouse, "select source_key, reason from elt.rejected_rows")
    assert key == "1" and "over the limit of 200" in reason
