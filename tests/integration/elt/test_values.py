"""Values that fit their raw column, and values that do not, from each source."""

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import bson
import psycopg
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.dbref import DBRef
from bson.json_util import CANONICAL_JSON_OPTIONS, loads
from pymongo.database import Database

from elt import batch
from elt.batch import SourceError
from elt.extract_load import extract_and_load
from elt.loader import LoadResult
from elt.nights import open_night
from elt.specs import BY_NAME, SPECS, TableSpec
from tests.integration.elt.support import (
    Clicks,
    Marketing,
    Shop,
    at,
    load_night,
    query,
)

Warehouse = psycopg.Connection[Any]


def load(conn: Warehouse, client: Any, spec: TableSpec, day: int = 2) -> LoadResult:
    return extract_and_load(client, conn, spec, open_night(conn, date(2026, 1, day)))


def raw(conn: Warehouse, spec: TableSpec, columns: str) -> list[tuple[Any, ...]]:
    return query(
        conn,
        f"select {columns} from {spec.raw_name} where _valid_to is null order by {spec.key.name}",
    )


def binary(value: bytes, subtype: str = "00") -> dict[str, Any]:
    return {"$binary": {"base64": base64.b64encode(value).decode(), "subType": subtype}}


AWKWARD_TEXTS = [
    "tab\tnewline\nreturn\rback\\slash",
    "\\N",
    "\\.",
    "NULL",
    "",
    " ",
    "\\u0000",
    "ünï😀",
    '"quoted", comma',
    "\x01\x1f\x7f",
]


# --- every source -----------------------------------------------------------------------


def test_empty_sources_load_as_zero_rows(
    shop: Shop,
    marketing: Marketing,
    clicks: Clicks,
    warehouse: Warehouse,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clicks.client.drop_collection("sessions")
    clients = {"mysql": shop.client, "postgres": marketing.client, "mongo": clicks.client}
    night = open_night(warehouse, date(2026, 1, 2))
    results = [extract_and_load(clients[spec.system], warehouse, spec, night) for spec in SPECS]
    assert [(result.read, result.inserted, result.deleted) for result in results] == [
        (0, 0, 0)
    ] * 15
    assert query(warehouse, "select count(*), sum(read) from elt.load_log") == [(15, 0)]
    # The DDL of the sources and the specs agree: no column is missing, added or of another type.
    assert [r.getMessage() for r in caplog.records if r.name == "elt.readers.rows"] == []


def test_awkward_texts_arrive_unchanged(
    shop: Shop, marketing: Marketing, clicks: Clicks, warehouse: Warehouse
) -> None:
    for source in (shop, marketing, clicks):
        for key, text in enumerate(AWKWARD_TEXTS):
            source.put(key, text, at(1))
        load_night(warehouse, source, 2)
        found = query(
            warehouse,
            f"select {source.label}, _extra from {source.spec.raw_name}"
            f" order by {source.spec.key.name}::int",
        )
        assert found == [(text, None) for text in AWKWARD_TEXTS]


@pytest.mark.parametrize(
    ("system", "fixture", "statement"),
    [
        ("mysql", "shop", "drop table customer_segments"),
        ("postgres", "marketing", "drop table campaigns cascade"),
    ],
)
def test_a_missing_table_is_named_with_its_connection(
    system: str,
    fixture: str,
    statement: str,
    warehouse: Warehouse,
    request: pytest.FixtureRequest,
) -> None:
    source = request.getfixturevalue(fixture)
    with source.client.cursor() as cursor:
        cursor.execute(statement)
    with pytest.raises(SourceError, match=f"'{source.spec.name}' is missing") as caught:
        load_night(warehouse, source, 2)
    assert {"mysql": "MySQL database 'shop_", "postgres": "database 'marketing_"}[system] in str(
        caught.value
    )
    assert query(warehouse, "select count(*) from elt.load_log") == [(0,)]


# --- MySQL ------------------------------------------------------------------------------


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
    assert raw(warehouse, spec, columns + ", _extra")[0] == (
        2147483647,
        "999999999999.123456",
        "99999.1234",
        "-9999999999999999.99",
        datetime(2026, 1, 1, 1, 2, 3, 1, tzinfo=UTC),
        None,
    )
    assert raw(warehouse, spec, "quantity, updated_at::text, _extra")[1] == (
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
    ((phone, born, registered, active, created, updated, extra),) = raw(
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
    assert raw(
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
    assert raw(warehouse, spec, "is_active") == [(2,)]


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
    assert raw(warehouse, spec, "total_amount, discount_amount, _extra") == [
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
    assert raw(warehouse, shop.spec, "criteria, _extra") == [(None, {"criteria": text})]


def test_json_arrives_with_its_digits(shop: Shop, warehouse: Warehouse) -> None:
    text = '{"a": 1.10, "b": [1, null, "\\\\u0000\\t"], "c": 123456789012345678901234567890}'
    shop.run("insert into customer_segments (row_id, criteria) values (1, %s)", text)
    load_night(warehouse, shop, 2)
    assert raw(warehouse, shop.spec, "criteria::text, _extra") == [(text, None)]
    # 1.10 and 1.1 are equal to jsonb, and still a change.
    shop.run("update customer_segments set criteria = replace(criteria, '1.10', '1.1')")
    assert load_night(warehouse, shop, 3).updated == 1


def test_mysql_missing_and_added_columns_are_reported(
    shop: Shop, warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    shop.run("alter table customer_segments drop column description, add owner varchar(9)")
    shop.run("insert into customer_segments (row_id, owner) values (1, 'me')")
    result = load_night(warehouse, shop, 2)
    assert raw(warehouse, shop.spec, "description, owner, _extra") == [(None, "me", None)]
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
    assert raw(warehouse, shop.spec, "segment_name") == [("small",)]
    ((key, reason),) = query(warehouse, "select source_key, reason from elt.rejected_rows")
    assert key == "1" and "over the limit of 200" in reason


# --- PostgreSQL -------------------------------------------------------------------------


def test_postgres_misfits_go_to_extra_untouched(marketing: Marketing, warehouse: Warehouse) -> None:
    run = marketing.client.execute
    run(
        "alter table campaigns alter budget type numeric, alter start_date type date,"
        " add happy boolean, add blob bytea, add ratio double precision, add tags text[],"
        " add note text, add amount numeric, add inside jsonb"
    )
    run(
        "insert into campaigns (row_id, budget, start_date, end_date, created_at,"
        " updated_at, happy, blob, ratio, tags, note, amount, inside) values"
        " (1, 'NaN', 'infinity', '0044-03-15 BC', '-infinity', '2026-01-01', true,"
        " '\\x00fe', 'NaN', '{a,\"b c\"}', E'tab\\t', 1.50, '{\"a\": 1}'),"
        " (2, 1.005, '12026-01-01', '2026-01-31', '12026-01-01', '2026-01-01', false,"
        " null, 0.1, null, null, 'NaN', null)"
    )
    assert load(warehouse, marketing.client, marketing.spec).inserted == 2
    columns = "budget, start_date, end_date, created_at, updated_at, _extra"
    first, second = raw(warehouse, marketing.spec, columns)
    assert first[:5] == (None,) * 4 + (datetime(2026, 1, 1, tzinfo=UTC),)
    assert first[5] == {
        "budget": {"$numberDecimal": "NaN"},
        "start_date": "infinity",
        "end_date": "0044-03-15 BC",
        "created_at": "-infinity",
        "ratio": {"$numberDouble": "NaN"},
    }
    assert (second[0], second[2]) == (Decimal("1.005"), date(2026, 1, 31))
    assert second[5] == {
        "start_date": "12026-01-01",
        "created_at": "12026-01-01 00:00:00+00",
        "amount": {"$numberDecimal": "NaN"},
    }
    assert raw(warehouse, marketing.spec, "happy, blob, ratio, tags, note, amount, inside") == [
        (True, b"\x00\xfe", None, '{a,"b c"}', "tab\t", Decimal("1.50"), {"a": 1}),
        (False, None, 0.1, None, None, None, None),
    ]


def test_postgres_settings_of_the_login_do_not_matter(
    marketing: Marketing, warehouse: Warehouse
) -> None:
    for setting in (
        "timezone = 'Asia/Kolkata'",
        "datestyle = 'SQL, DMY'",
        "extra_float_digits = 0",
        "bytea_output = 'escape'",
    ):
        marketing.client.execute(f"set {setting}".encode())
    marketing.client.execute(
        "insert into campaigns (row_id, start_date, updated_at) values"
        " (1, '2026-12-31'::date, '2026-01-01 05:30:00.000001+05:30')"
    )
    load(warehouse, marketing.client, marketing.spec)
    assert raw(warehouse, marketing.spec, "start_date, updated_at, _extra") == [
        (date(2026, 12, 31), datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), None)
    ]


# --- MongoDB ----------------------------------------------------------------------------

MISFITS: dict[str, list[Any]] = {
    "duration_seconds": [
        True,
        1.0,
        "1",
        Int64(1 << 31),
        -(1 << 31) - 1,
        Decimal128("1"),
        float("nan"),
        float("inf"),
        [1],
        {"a": 1},
        datetime(2026, 1, 1),
    ],
    "browser": [
        1,
        True,
        "a\0b",
        "\0",
        ["a"],
        {"a": "b"},
        b"bytes",
        Binary(b"\x00\xff", 5),
        ObjectId("5f5f5f5f5f5f5f5f5f5f5f5f"),
        Regex("^a", "i"),
        Code("f()"),
        MinKey(),
        MaxKey(),
        Timestamp(1, 2),
        datetime(2026, 1, 1, 1, 2, 3, 4000),
    ],
    "session_start": ["2026-01-01", 1767225600, True, Timestamp(1767225600, 1), {}],
    "utm": [
        "text",
        1,
        True,
        {"a": "b\0c"},
        {"a": [float("nan")]},
        {"a": float("-inf")},
        {"a": -0.0},
        [{"b": ["\0"]}],
        {"r": DBRef("c", "i\0d")},
    ],
}


def test_mongo_misfits_go_to_extra_untouched(clicks: Clicks, warehouse: Warehouse) -> None:
    cases = [(field, value) for field, values in MISFITS.items() for value in values]
    clicks.client.sessions.insert_many(
        [
            {"_id": f"{number:03}", "os": "fine", field: value}
            for number, (field, value) in enumerate(cases)
        ],
        bypass_document_validation=True,
    )
    assert load(warehouse, clicks.client, clicks.spec).inserted == len(cases)
    found = raw(
        warehouse,
        clicks.spec,
        "_id, os, duration_seconds, browser, session_start, utm, _extra::text",
    )
    for (field, value), (_, os, *columns, extra) in zip(cases, found, strict=True):
        assert (os, columns) == ("fine", [None] * 4), (field, value)
        ((name, kept),) = json.loads(extra).items()
        assert name == field
        assert _same_bson(_restored(kept), value), (field, value, kept)


def _restored(kept: Any) -> Any:
    """Read canonical Extended JSON back; the user-defined subtype marks text (or BSON)."""
    value = loads(json.dumps({"v": kept}), json_options=CANONICAL_JSON_OPTIONS)["v"]
    return _texts(value)


def _texts(value: Any) -> Any:
    if isinstance(value, Binary) and value.subtype == 0x80:
        try:
            (whole,) = bson.decode(bytes(value)).values()
        except bson.InvalidBSON:
            return value.decode()
        return whole
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    return [_texts(item) for item in value] if isinstance(value, list) else value


def _same_bson(left: Any, right: Any) -> bool:
    """Equal in type and bit: BSON tells 1 from 1.0 and True, and NaN is equal to itself."""
    return bson.encode({"v": left}) == bson.encode({"v": right})


def test_mongo_dates_beyond_python_go_to_extra(clicks: Clicks, warehouse: Warehouse) -> None:
    from bson.datetime_ms import DatetimeMS

    clicks.client.sessions.insert_many(
        [
            {"_id": "1", "session_start": DatetimeMS(1 << 50)},
            {
                "_id": "2",
                "session_start": DatetimeMS(-(1 << 60)),
                "utm": {"at": DatetimeMS(1 << 50)},
            },
            {"_id": "3", "updated_at": DatetimeMS(1 << 50)},
        ]
    )
    result = load(warehouse, clicks.client, clicks.spec)
    assert (result.inserted, result.held) == (2, 1)
    assert raw(warehouse, clicks.spec, "session_start, utm, _extra") == [
        (None, None, {"session_start": {"$date": {"$numberLong": str(1 << 50)}}}),
        (
            None,
            None,
            {
                "session_start": {"$date": {"$numberLong": str(-(1 << 60))}},
                "utm": {"at": {"$date": {"$numberLong": str(1 << 50)}}},
            },
        ),
    ]


def test_mongo_values_that_fit(clicks: Clicks, warehouse: Warehouse) -> None:
    start = datetime(2026, 1, 1, 23, 59, 59, 999000)
    clicks.client.sessions.insert_many(
        [
            {
                "_id": ObjectId("5f5f5f5f5f5f5f5f5f5f5f5f"),
                "duration_seconds": Int64(2147483647),
                "session_start": start,
                "utm": {"source": "Google", "n": {"x": [1, None, 1.5]}},
            },
            {
                "_id": "x",
                "duration_seconds": -(1 << 31),
                "customer_id": None,
                "utm": {"at": datetime(2026, 1, 1), "text": "\\u0000", "none": None},
            },
        ]
    )
    load(warehouse, clicks.client, clicks.spec)
    columns = "_id, duration_seconds, session_start, customer_id, utm, _extra"
    assert raw(warehouse, clicks.spec, columns) == [
        (
            "5f5f5f5f5f5f5f5f5f5f5f5f",
            2147483647,
            start.replace(tzinfo=UTC),
            None,
            {"source": "Google", "n": {"x": [1, None, 1.5]}},
            None,
        ),
        (
            "x",
            -(1 << 31),
            None,
            None,
            {"at": {"$date": "2026-01-01T00:00:00Z"}, "text": "\\u0000", "none": None},
            None,
        ),
    ]


def test_mongo_undeclared_fields_get_columns_or_go_to_extra(
    clicks: Clicks, warehouse: Warehouse
) -> None:
    clicks.client.sessions.insert_one(
        {
            "_id": "1",
            "os": "x",
            "plan": "gold\0",
            "_extra": 5,
            "none": None,
            "deep": {"n": [Int64(1), 1, 1.0, True, b"\x00"]},
        }
    )
    result = load(warehouse, clicks.client, clicks.spec)
    assert result.read == result.inserted == 1
    relaxed = {"n": [1, 1, 1.0, True, {"$binary": {"base64": "AA==", "subType": "00"}}]}
    assert raw(warehouse, clicks.spec, "os, plan, deep, _extra") == [
        (
            "x",
            None,
            relaxed,
            # A text that PostgreSQL cannot hold, a name that raw keeps for itself, and a
            # field of which only null is known.
            {"plan": binary(b"gold\0", "80"), "_extra": {"$numberInt": "5"}, "none": None},
        )
    ]
    assert result.differences == (
        "_extra: raw can have no such column",
        "deep: not in the contract: added to raw as jsonb",
        "plan: not in the contract: added to raw as text",
    )


def test_mongo_ids_of_different_types_stay_different(clicks: Clicks, warehouse: Warehouse) -> None:
    digits = "5f5f5f5f5f5f5f5f5f5f5f5f"
    ids = [
        digits,
        ObjectId(digits),
        1,
        "1",
        1.5,
        True,
        "true",
        "null",
        '{"$numberInt": "1"}',
        '"quoted"',
        "a\0b",
        {"a": 1},
        datetime(2026, 1, 1),
        Binary(b"\x01"),
        "",
    ]
    clicks.client.sessions.insert_many([{"_id": value} for value in ids])
    assert load(warehouse, clicks.client, clicks.spec).inserted == len(ids)


def _insert_broken(database: Database[Any], name: str, key: bytes, text: bytes) -> bytes:
    """Insert a document whose ``os`` is not UTF-8; returns its BSON."""
    element = b"\x02_id\0" + (len(key) + 1).to_bytes(4, "little") + key + b"\0"
    element += b"\x02os\0" + (len(text) + 1).to_bytes(4, "little") + text + b"\0"
    raw_document = (len(element) + 5).to_bytes(4, "little") + element + b"\0"
    from bson.raw_bson import RawBSONDocument

    database.command(
        "insert", name, documents=[RawBSONDocument(raw_document)], bypassDocumentValidation=True
    )
    return raw_document


def test_undecodable_documents_are_rejected_with_their_bytes(
    clicks: Clicks, warehouse: Warehouse
) -> None:
    clicks.put(1, "live", at(1))
    clicks.put(2, "fine", at(1))
    load_night(warehouse, clicks, 2)
    clicks.delete(1)
    broken = [
        _insert_broken(clicks.client, "sessions", key, b"\xff\xfe")
        for key in (b"1", b"\xff", b"\xfe")
    ]
    clicks.put(3, "new", at(1))
    result = load_night(warehouse, clicks, 3)
    assert (result.read, result.inserted, result.unchanged, result.rejected, result.deleted) == (
        5,
        1,
        1,
        3,
        0,
    )
    found = query(warehouse, "select payload from elt.rejected_rows where resolved_at is null")
    assert {payload for (payload,) in found} == set(broken)
    assert query(warehouse, "select source_key from elt.rejected_rows where source_key = '1'")
    # The version that is live under its key stays.
    assert raw(warehouse, clicks.spec, "landing_page") == [("live",), ("fine",), ("new",)]
    clicks.client.sessions.delete_many({"_id": {"$nin": ["2", "3"]}})
    clicks.put(1, "mended", at(1))
    assert load_night(warehouse, clicks, 4).rejected == 0
    assert query(warehouse, "select count(*) from elt.rejected_rows where resolved_at is null") == [
        (0,)
    ]


def test_mongo_null_and_overlong_ids_are_rejected(clicks: Clicks, warehouse: Warehouse) -> None:
    clicks.client.sessions.insert_many([{"_id": None}, {"_id": "k" * 1001}, {"_id": "k" * 1000}])
    result = load(warehouse, clicks.client, clicks.spec)
    assert (result.read, result.inserted, result.rejected) == (3, 1, 2)
    assert query(warehouse, "select reason from elt.rejected_rows order by 1") == [
        ("key over 1000 bytes",),
        ("null key",),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": True},
        {"partialFilterExpression": {"customer_id": {"$exists": True}}},
        {"sparse": True},
        {"collation": {"locale": "de"}},
    ],
)
def test_mongo_indexes_that_do_not_hold_every_document_are_not_used(
    clicks: Clicks, warehouse: Warehouse, options: dict[str, Any]
) -> None:
    """An index on the cursor may be hidden, partial, sparse, or of another order."""
    sessions = clicks.client.sessions
    for name, index in sessions.index_information().items():
        if index["key"] == [("updated_at", 1), ("_id", 1)]:
            sessions.drop_index(name)
    sessions.create_index([("updated_at", 1), ("_id", 1)], **options)
    for key in range(10):
        clicks.put(key, "row", at(1))
    sessions.insert_one({"_id": "none"}, bypass_document_validation=True)
    clicks.put(20, "newest", at(2))
    assert load_night(warehouse, clicks, 3).inserted == 12
    clicks.put(1, "late", at(1, 3))
    clicks.delete(2)
    clicks.put(30, "new", at(3))
    result = load_night(warehouse, clicks, 4)
    assert (result.inserted, result.updated, result.deleted) == (1, 1, 1)
