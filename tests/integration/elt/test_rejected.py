"""Rows that raw cannot hold: they are kept beside it, and tried again every night."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from elt import batch, loader
from elt.extract_load import extract_and_load, replay_rejected
from elt.loader import TooManyRejectedError
from elt.nights import open_night
from elt.options import LoadOptions
from elt.raw import raw_ddl
from elt.readers.mongo import MongoSnapshot
from elt.specs import Column, TableSpec
from tests.integration.elt.support import (
    Clicks,
    Marketing,
    Shop,
    at,
    load_night,
    query,
    versions,
)

Warehouse = psycopg.Connection[Any]
NO_LAG = LoadOptions(lag=timedelta(0))


def test_too_many_rejected_rows_fail_the_table(
    shop: Shop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "FEW_REJECTED", 2)
    shop.run("drop table customer_segments")
    shop.run("create table customer_segments (row_id bigint, segment_name text)")
    shop.run("insert into customer_segments values (1, 'a'), (null, 'b'), (null, 'c')")
    assert load_night(warehouse, shop, 2).rejected == 2
    shop.run("insert into customer_segments values (null, 'd')")
    # What is open already is not counted again.
    assert load_night(warehouse, shop, 3).rejected == 3
    shop.run("insert into customer_segments values (null, 'e'), (null, 'f'), (null, 'g')")
    with pytest.raises(TooManyRejectedError, match=r"3 of 7 rows.*null key.*budget is 2"):
        load_night(warehouse, shop, 4)


def test_too_many_rejected_rows_fail_before_their_keys_are_held(
    clicks: Clicks, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "FEW_REJECTED", 2)
    monkeypatch.delattr(MongoSnapshot, "leave_out")
    clicks.client.sessions.insert_many([{"_id": f"{key}" * 1001} for key in range(3)])
    with pytest.raises(TooManyRejectedError, match=r"3 of 3 rows.*budget is 2"):
        load_night(warehouse, clicks, 2)


def test_rejected_rows_are_tried_again_every_night(
    shop: Shop, clicks: Clicks, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "ROW_BYTES", 400)
    for key in range(5):
        shop.put(key, "x" * 99, at(1))
    shop.run("update customer_segments set description = repeat('y', 400) where row_id in (1, 2)")
    shop.put(9, "newest", at(2))
    assert load_night(warehouse, shop, 3).rejected == 2
    open_rows = "select count(*) from elt.rejected_rows where resolved_at is null"
    assert load_night(warehouse, shop, 4, NO_LAG).rejected == 2
    assert query(warehouse, open_rows) == [(2,)]
    # The fix moves no cursor.
    monkeypatch.setattr(batch, "ROW_BYTES", 40_000)
    night = open_night(warehouse, date(2026, 1, 5))
    result = replay_rejected(shop.client, warehouse, shop.spec, night)
    assert result is not None and (result.inserted, result.rejected, result.late) == (2, 0, 2)
    assert query(warehouse, open_rows) == [(0,)]
    assert replay_rejected(shop.client, warehouse, shop.spec, night) is None


def test_a_rejected_key_does_not_hide_others(
    shop: Shop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live version of a key that is rejected now stays, and the proof still holds."""
    for key in range(10):
        shop.put(key, "row", at(1))
    load_night(warehouse, shop, 2)
    monkeypatch.setattr(batch, "ROW_BYTES", 300)
    shop.put(4, "changed", at(2))
    shop.run("update customer_segments set description = repeat('y', 400) where row_id = 4")
    shop.delete(5)
    shop.put(6, "late", at(1, 2))
    result = load_night(warehouse, shop, 3, NO_LAG)
    assert (result.rejected, result.deleted, result.updated) == (1, 1, 1)
    assert ("4", "row", 2, None) in versions(warehouse, shop)
    assert (result.source_rows, result.raw_rows) == (8, 8)


def test_a_document_without_a_key_beyond_the_bound_is_rejected_by_every_load(
    clicks: Clicks, warehouse: Warehouse
) -> None:
    """It has no key to wait under; a load that reads all must not take it for mended."""
    clicks.put(1, "one", at(1))
    clicks.client.sessions.insert_one(
        {"_id": "k" * 1_001, "updated_at": at(9)}, bypass_document_validation=True
    )
    full = LoadOptions(full_refresh=True)
    for day, options in ((2, NO_LAG), (2, NO_LAG), (3, full), (4, NO_LAG), (10, full)):
        assert load_night(warehouse, clicks, day, options).rejected == 1
        rejected = "select reason, resolved_at from elt.rejected_rows"
        assert query(warehouse, rejected) == [("key over 1000 bytes", None)]


# --- keys that repeat, in a table without a primary key -----------------------------------

OPEN = "select source_key, reason from elt.rejected_rows where resolved_at is null order by 1"


@pytest.fixture
def keyless(marketing: Marketing) -> Marketing:
    marketing.client.execute("alter table campaigns drop constraint campaigns_pkey cascade")
    return marketing


def add(marketing: Marketing, key: int, label: str, moment: datetime, filler: str = "") -> None:
    """Beside what stands under the key already."""
    marketing.client.execute(
        "insert into campaigns (row_id, campaign_name, updated_at, target_audience)"
        " values (%s, %s, %s, %s)",
        (key, label, moment, filler),
    )


@pytest.mark.parametrize("hour", [1, 20], ids=["behind the window", "in the window"])
def test_a_key_that_repeats_later_is_rejected_until_it_is_unique_again(
    keyless: Marketing, warehouse: Warehouse, hour: int
) -> None:
    """The first row is far behind the watermark."""
    add(keyless, 1, "first", at(1, 1))
    add(keyless, 2, "newest", at(1))
    load_night(warehouse, keyless, 2)
    add(keyless, 1, "second", at(1, hour))
    add(keyless, 3, "newest", at(2))
    rejected = (
        "select source_key, reason, extract(day from first_as_of)::int,"
        " extract(day from resolved_at)::int from elt.rejected_rows"
    )
    for day in (3, 3, 4):
        result = load_night(warehouse, keyless, day)
        assert result.rejected == 2
        assert query(warehouse, rejected) == [("1", "repeated key: 2 rows", 3, None)]
        assert versions(warehouse, keyless)[0] == ("1", "first", 2, None)
    keyless.client.execute("delete from campaigns where campaign_name = 'first'")
    load_night(warehouse, keyless, 5)
    assert query(warehouse, rejected) == [("1", "repeated key: 2 rows", 3, 5)]
    assert [row for row in versions(warehouse, keyless) if row[0] == "1"] == [
        ("1", "first", 2, 5),
        ("1", "second", 5, None),
    ]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hour", [1, 20], ids=["behind the window", "in the window"])
def test_a_key_that_repeats_beyond_the_bound_is_rejected(
    keyless: Marketing, warehouse: Warehouse, hour: int, first: bool
) -> None:
    """Which of the rows is the right one is as unknown as for two below the bound."""
    add(keyless, 1, "below", at(1, hour))
    add(keyless, 2, "newest", at(1, 20))
    if not first:
        load_night(warehouse, keyless, 2)
    add(keyless, 1, "beyond", at(3, 1))
    for _ in range(2):
        result = load_night(warehouse, keyless, 3)
        assert (result.rejected, result.held, result.raw_rows) == (1, 1, 1)
        reason = "repeated key: 1 rows, and others at or after the bound"
        assert query(warehouse, OPEN) == [("1", reason)]
        live = {key: label for key, label, _, end in versions(warehouse, keyless) if end is None}
        assert live == ({"2": "newest"} if first else {"1": "below", "2": "newest"})
    load_night(warehouse, keyless, 4)
    assert query(warehouse, OPEN) == [("1", "repeated key: 2 rows")]
    keyless.client.execute("delete from campaigns where campaign_name = 'below'")
    load_night(warehouse, keyless, 5)
    assert query(warehouse, OPEN) == []
    assert ("1", "beyond", 5, None) in versions(warehouse, keyless)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hour", [1, 20], ids=["behind the window", "in the window"])
def test_a_row_beside_a_rejected_one_of_its_key_is_rejected(
    keyless: Marketing,
    warehouse: Warehouse,
    hour: int,
    first: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "ROW_BYTES", 400)
    add(keyless, 1, "live", at(1, 1))
    add(keyless, 2, "newest", at(1, 20))
    if first:
        keyless.client.execute("delete from campaigns where row_id = 1")
    else:
        load_night(warehouse, keyless, 2)
        keyless.client.execute("delete from campaigns where row_id = 1")
    add(keyless, 1, "small", at(1, 2))
    add(keyless, 1, "large", at(1, hour), "x" * 400)
    for day in (3, 4):
        load_night(warehouse, keyless, day)
        assert [key for key, _ in query(warehouse, OPEN)] == ["1"]
        live = {key: label for key, label, _, end in versions(warehouse, keyless) if end is None}
        assert live == ({"2": "newest"} if first else {"1": "live", "2": "newest"})
    keyless.client.execute("delete from campaigns where campaign_name = 'large'")
    load_night(warehouse, keyless, 5)
    assert query(warehouse, OPEN) == []
    assert ("1", "small", 5, None) in versions(warehouse, keyless)


@pytest.mark.parametrize("again", ["changed again", "as before the night", "as in the night"])
def test_a_key_that_repeats_in_a_repeated_night_keeps_the_version_that_is_live(
    keyless: Marketing, warehouse: Warehouse, again: str
) -> None:
    """The window shows one row, and the night's own version gives way to it at first."""
    add(keyless, 1, "before the night", at(1, 20))
    add(keyless, 2, "newest", at(1, 21))
    load_night(warehouse, keyless, 2)
    put = "update campaigns set campaign_name = %s, updated_at = %s where row_id = 1"
    keyless.client.execute(put, ("of the night", at(2, 19)))
    load_night(warehouse, keyless, 3)
    expected = versions(warehouse, keyless)
    assert ("1", "of the night", 3, None) in expected
    if again == "changed again":
        keyless.client.execute(put, (again, at(2, 20)))
    elif again == "as before the night":
        keyless.client.execute(put, ("before the night", at(1, 20)))
    add(keyless, 1, "second", at(1, 1))
    for _ in range(2):
        load_night(warehouse, keyless, 3, LoadOptions(lag=timedelta(days=1)))
        assert query(warehouse, OPEN) == [("1", "repeated key: 2 rows")]
        assert versions(warehouse, keyless) == expected


def test_each_rejected_row_of_a_key_is_kept(
    keyless: Marketing, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "ROW_BYTES", 400)
    add(keyless, 1, "first", at(1), "x" * 400)
    add(keyless, 1, "second", at(1), "x" * 400)
    add(keyless, 2, "sound", at(1))
    load_night(warehouse, keyless, 2)
    ((payload,),) = query(warehouse, "select payload from elt.rejected_rows")
    assert payload.count(b"\n") == 1
    assert b"first" in payload and b"second" in payload


def test_a_key_column_may_have_any_name(marketing: Marketing, warehouse: Warehouse) -> None:
    """Also one that the loader's own tables have."""
    columns = (Column("value", "text"), Column("updated_at", "timestamptz"))
    spec = TableSpec(
        "postgres", "settings", Column("key", "bigint"), "key", "updated_at", "mutable", columns
    )
    listed = "key bigint, value text, updated_at timestamptz"
    marketing.client.execute(f"create table settings ({listed})".encode())
    warehouse.execute(raw_ddl(spec)[0])
    warehouse.commit()
    try:
        for label, day in (("one", 1), ("two", 4), ("other", 4)):
            marketing.client.execute(
                "insert into settings values (%s, %s, %s)", (1 + (day > 1), label, at(day))
            )
        for day in (2, 3, 5):
            night = open_night(warehouse, date(2026, 1, day))
            night = replace(night, bounds={spec.raw_name: at(day, 0)})
            result = extract_and_load(marketing.client, warehouse, spec, night)
            assert (result.inserted, result.rejected) == (day == 2, 2 * (day == 5))
        assert query(warehouse, OPEN) == [("2", "repeated key: 2 rows")]
        assert query(warehouse, "select key, value from raw_postgres.settings") == [(1, "one")]
    finally:
        warehouse.rollback()
        warehouse.execute("drop table raw_postgres.settings")
        marketing.client.execute("drop table settings")
