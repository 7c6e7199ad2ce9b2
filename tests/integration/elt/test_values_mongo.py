"""Values and keys from MongoDB that fit their raw column, and those that do not."""

import json
from datetime import UTC, datetime
from typing import Any

import bson
import psycopg
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.dbref import DBRef
from bson.json_util import CANONICAL_JSON_OPTIONS, loads

from elt.documents import key_text
from tests.integration.elt.support import (
    Clicks,
    at,
    binary,
    live,
    load_night,
    query,
)

Warehouse = psycopg.Connection[Any]


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
    assert load_night(warehouse, clicks, 2).inserted == len(cases)
    found = live(
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
    result = load_night(warehouse, clicks, 2)
    assert (result.inserted, result.held) == (2, 1)
    assert live(warehouse, clicks.spec, "session_start, utm, _extra") == [
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
    load_night(warehouse, clicks, 2)
    columns = "_id, duration_seconds, session_start, customer_id, utm, _extra"
    assert live(warehouse, clicks.spec, columns) == [
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
    result = load_night(warehouse, clicks, 2)
    assert result.read == result.inserted == 1
    relaxed = {"n": [1, 1, 1.0, True, {"$binary": {"base64": "AA==", "subType": "00"}}]}
    assert live(warehouse, clicks.spec, "os, plan, deep, _extra") == [
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
        '["a\\u0000b"]',
        Binary(b"a\0b", 0x80),
        Binary(b"\xff", 0x80),
        {"a": 1},
        {"a": "\0"},
        {"a": Binary(b"\0", 0x80)},
        Code("1"),
        datetime(2026, 1, 1),
        Binary(b"\x01"),
        "",
    ]
    documents = [{"_id": value, "updated_at": at(1)} for value in ids]
    clicks.client.sessions.insert_many(documents, bypass_document_validation=True)
    assert load_night(warehouse, clicks, 2).inserted == len(ids)
    # Behind the watermark all of them are read by their keys.
    clicks.put(2, "newest", at(2))
    assert load_night(warehouse, clicks, 3).inserted == 1
    clicks.client.sessions.update_many({"_id": {"$ne": "2"}}, {"$set": {"updated_at": at(1, 1)}})
    result = load_night(warehouse, clicks, 4)
    assert (result.updated, result.late) == (len(ids), len(ids))


def _insert_broken(clicks: Clicks, key: bytes, text: bytes) -> bytes:
    """Insert a document whose ``os`` is not UTF-8; returns its BSON."""
    whole = bson.encode({"_id": "?" * len(key), "os": "!" * len(text)})
    document = whole.replace(b"?" * len(key), key).replace(b"!" * len(text), text)
    clicks.put_raw(document)
    return document


def test_undecodable_documents_are_rejected_with_their_bytes(
    clicks: Clicks, warehouse: Warehouse
) -> None:
    clicks.put(1, "live", at(1))
    clicks.put(2, "fine", at(1))
    load_night(warehouse, clicks, 2)
    clicks.delete(1)
    broken = [_insert_broken(clicks, key, b"\xff\xfe") for key in (b"1", b"\xff", b"\xfe")]
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
    assert live(warehouse, clicks.spec, "landing_page") == [("live",), ("fine",), ("new",)]
    clicks.client.sessions.delete_many({"_id": {"$nin": ["2", "3"]}})
    clicks.put(1, "mended", at(1))
    assert load_night(warehouse, clicks, 4).rejected == 0
    assert query(warehouse, "select count(*) from elt.rejected_rows where resolved_at is null") == [
        (0,)
    ]


@pytest.mark.parametrize("key", ["sound", "a\ufffdb", '"\ufffd'])
def test_an_undecodable_document_keeps_a_sound_key(
    clicks: Clicks, warehouse: Warehouse, key: str
) -> None:
    """A key may hold the character that stands for what could not be decoded."""
    clicks.put(1, "fine", at(1))
    _insert_broken(clicks, key.encode(), b"\xff\xfe")
    for day in (2, 3):
        assert load_night(warehouse, clicks, day).rejected == 1
        assert query(
            warehouse, "select source_key from elt.rejected_rows where resolved_at is null"
        ) == [(key_text(key),)]


def test_mongo_null_and_overlong_ids_are_rejected(clicks: Clicks, warehouse: Warehouse) -> None:
    clicks.client.sessions.insert_many([{"_id": None}, {"_id": "k" * 1001}, {"_id": "k" * 1000}])
    result = load_night(warehouse, clicks, 2)
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
