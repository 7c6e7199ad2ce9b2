"""Raw follows what can be followed in a source's columns, says so, and stops at the rest."""

from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from bson import Int64
from bson.decimal128 import Decimal128

from elt.contract import IncompatibleColumnError
from elt.options import LoadOptions
from tests.integration.elt.support import (
    Clicks,
    Marketing,
    Shop,
    at,
    fingerprint,
    live,
    load_night,
    query,
)

Warehouse = psycopg.Connection[Any]


def types(conn: Warehouse, source: Shop | Marketing | Clicks) -> dict[str, str]:
    """The raw table's columns and their types."""
    return dict(
        query(
            conn,
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            source.spec.raw_name,
        )
    )


def recorded(conn: Warehouse) -> list[tuple[Any, ...]]:
    return query(
        conn,
        "select column_name, difference, first_as_of, last_as_of from elt.contract_differences"
        " order by column_name",
    )


def test_a_new_column_is_added_and_filled_from_then_on(shop: Shop, warehouse: Warehouse) -> None:
    shop.put(1, "old", at(1))
    shop.put(2, "old", at(1, 20))
    load_night(warehouse, shop, 2)
    shop.run("alter table customer_segments add owner varchar(9), add weight decimal(6, 3)")
    shop.run("update customer_segments set owner = 'me', weight = 1.25, updated_at = %s where"
             " row_id = 2", datetime(2026, 1, 2))  # fmt: skip
    result = load_night(warehouse, shop, 3)
    assert result.differences == (
        "owner: not in the contract: added to raw as text",
        "weight: not in the contract: added to raw as numeric(6,3)",
    )
    assert live(warehouse, shop.spec, "owner, weight, _extra") == [
        (None, None, None),
        ("me", Decimal("1.250"), None),
    ]
    load_night(warehouse, shop, 4)
    assert recorded(warehouse) == [
        ("owner", "added", date(2026, 1, 3), date(2026, 1, 4)),
        ("weight", "added", date(2026, 1, 3), date(2026, 1, 4)),
    ]
    assert query(warehouse, "select differences from elt.load_log order by log_id")[0] == ([],)


def test_a_dropped_column_stays_and_is_null(marketing: Marketing, warehouse: Warehouse) -> None:
    marketing.put(1, "name", at(1))
    marketing.client.execute("update campaigns set channel = 'Email'")
    load_night(warehouse, marketing, 2)
    marketing.client.execute("alter table campaigns drop column channel")
    marketing.put(1, "renamed", at(2))
    result = load_night(warehouse, marketing, 3)
    assert result.differences == ("channel: missing in the source: null",)
    assert live(warehouse, marketing.spec, "campaign_name, channel") == [("renamed", None)]
    assert query(
        warehouse, "select channel from raw_postgres.campaigns where _valid_to is not null"
    ) == [("Email",)]


@pytest.mark.parametrize("first", ["shop", "marketing"])
def test_a_renamed_column_keeps_its_values_under_the_new_name(
    shop: Shop, marketing: Marketing, warehouse: Warehouse, first: str
) -> None:
    """Renaming moves no cursor: rows far behind the watermark have to be read once more."""
    source: Shop | Marketing = shop if first == "shop" else marketing
    table, label = source.spec.name, source.label
    source.put(1, "far behind", at(1))
    source.put(2, "near", at(2, 20))
    load_night(warehouse, source, 3)
    with source.client.cursor() as cursor:
        cursor.execute(f"alter table {table} rename column {label} to title")
    result = load_night(warehouse, source, 4)
    assert set(result.differences) == {
        "title: not in the contract: added to raw as text",
        f"{label}: missing in the source: null",
    }
    assert live(warehouse, source.spec, f"title, {label}") == [("far behind", None), ("near", None)]
    # From then on a night reads what changed, and back again all of it.
    assert load_night(warehouse, source, 5).window_start is not None
    with source.client.cursor() as cursor:
        cursor.execute(f"alter table {table} rename column title to {label}")
    load_night(warehouse, source, 6)
    assert live(warehouse, source.spec, f"title, {label}") == [(None, "far behind"), (None, "near")]
    history = query(
        warehouse,
        f"select title, {label} from {source.spec.raw_name}"
        f" where {source.spec.key.name} = 1 order by _valid_from",
    )
    assert history == [(None, "far behind"), ("far behind", None), (None, "far behind")]


def test_a_new_column_with_a_default_is_filled_for_every_row(
    shop: Shop, warehouse: Warehouse
) -> None:
    shop.put(1, "far behind", at(1))
    shop.put(2, "near", at(2, 20))
    load_night(warehouse, shop, 3)
    shop.run("alter table customer_segments add tier varchar(9) not null default 'basic'")
    result = load_night(warehouse, shop, 4)
    assert (result.updated, result.deleted) == (2, 0)
    assert live(warehouse, shop.spec, "tier") == [("basic",), ("basic",)]


def test_an_altered_type_is_read_anew(marketing: Marketing, warehouse: Warehouse) -> None:
    """Raw's type stays; the values change in rows far behind the watermark."""
    marketing.put(1, "far behind", at(1, 1))
    marketing.put(2, "near", at(1, 20))
    run = marketing.client.execute
    run("alter table campaigns alter created_at type timestamp")
    run("update campaigns set created_at = '2026-01-01 10:00'")
    load_night(warehouse, marketing, 2)
    run(
        "alter table campaigns alter created_at type timestamptz"
        " using created_at at time zone 'Europe/Berlin'"
    )
    assert load_night(warehouse, marketing, 3).updated == 2
    assert live(warehouse, marketing.spec, "created_at") == [(at(1, 9),)] * 2
    assert load_night(warehouse, marketing, 4).window_start is not None


@pytest.mark.parametrize("first", ["shop", "marketing"])
def test_a_column_dropped_and_made_anew_between_two_nights_is_read_anew(
    shop: Shop, marketing: Marketing, warehouse: Warehouse, first: str
) -> None:
    source: Shop | Marketing = shop if first == "shop" else marketing
    table, label = source.spec.name, source.label
    source.put(1, "far behind", at(1, 1))
    source.put(2, "near", at(1, 20))
    load_night(warehouse, source, 2)
    with source.client.cursor() as cursor:
        cursor.execute(f"alter table {table} drop column {label}")
        cursor.execute(f"alter table {table} add column {label} varchar(20) default 'new'")
    assert load_night(warehouse, source, 3).updated == 2
    assert live(warehouse, source.spec, label) == [("new",)] * 2
    assert load_night(warehouse, source, 4).window_start is not None


def test_the_last_column_dropped_and_made_anew_as_it_was_is_read_anew(
    shop: Shop, warehouse: Warehouse
) -> None:
    """In MySQL neither its name nor its place nor its type says so: only the table's time does."""
    shop.run("alter table customer_segments add tier varchar(9)")
    shop.put(1, "far behind", at(1, 1))
    shop.put(2, "near", at(1, 20))
    shop.run("update customer_segments set tier = 'old'")
    load_night(warehouse, shop, 2)
    assert live(warehouse, shop.spec, "tier") == [("old",)] * 2

    def of_table(expression: str) -> Any:
        with closing(shop.client.cursor()) as cursor:
            cursor.execute(
                f"select {expression} from information_schema.tables"
                " where table_schema = database() and table_name = 'customer_segments'"
            )
            return cursor.fetchone()

    loaded = of_table("create_time")
    # The server counts in seconds; altering over and over until one is over fills the row with
    # the columns that were dropped at once and are still stored.
    while of_table("create_time") == loaded:
        while of_table("create_time >= now()") == (1,):
            pass
        shop.run("alter table customer_segments drop tier")
        shop.run("alter table customer_segments add tier varchar(9)")
    assert load_night(warehouse, shop, 3).updated == 2
    assert live(warehouse, shop.spec, "tier") == [(None,)] * 2
    assert load_night(warehouse, shop, 4).window_start is not None


def test_a_wider_type_widens(shop: Shop, marketing: Marketing, warehouse: Warehouse) -> None:
    marketing.put(1, "name", at(1))
    marketing.client.execute("update campaigns set budget = 12.34")
    load_night(warehouse, marketing, 2)
    marketing.client.execute("alter table campaigns alter budget type numeric(24, 4)")
    marketing.put(2, "name", at(2))
    marketing.client.execute(
        "update campaigns set budget = 12345678901234567890.1234 where row_id = 2"
    )
    result = load_night(warehouse, marketing, 3)
    assert result.differences == ("budget: widened from numeric(18,2) to numeric(24,4)",)
    assert types(warehouse, marketing)["budget"] == "numeric(24,4)"
    assert live(warehouse, marketing.spec, "budget") == [
        (Decimal("12.3400"),),
        (Decimal("12345678901234567890.1234"),),
    ]


@pytest.mark.parametrize(
    ("declared", "becomes"),
    [("int", "integer"), ("bigint", "bigint"), ("decimal(10, 2)", "numeric(10,2)")],
)
def test_integers_widen_along_their_sizes(
    shop: Shop, warehouse: Warehouse, declared: str, becomes: str
) -> None:
    shop.run("alter table customer_segments add size smallint")
    shop.put(1, "row", at(1))
    load_night(warehouse, shop, 2)
    assert types(warehouse, shop)["size"] == "smallint"
    shop.run(f"alter table customer_segments modify size {declared}")
    load_night(warehouse, shop, 3)
    assert types(warehouse, shop)["size"] == becomes
    # Narrower again: raw stays as wide as it was.
    shop.run("alter table customer_segments modify size smallint")
    load_night(warehouse, shop, 4)
    assert types(warehouse, shop)["size"] == becomes


def test_an_incompatible_type_stops_the_table_and_names_the_column(
    shop: Shop, marketing: Marketing, warehouse: Warehouse
) -> None:
    for source in (shop, marketing):
        source.put(1, "row", at(1))
        load_night(warehouse, source, 2)
    for source, statement, column in (
        (shop, "alter table customer_segments modify target_value varchar(20)", "target_value"),
        (marketing, "alter table campaigns alter status type integer using null", "status"),
    ):
        before = fingerprint(warehouse, source)
        with source.client.cursor() as cursor:
            cursor.execute(statement)
        source.put(2, "row", at(2))
        message = rf"{source.spec.raw_name}: column '{column}' is now .*nothing was changed"
        with pytest.raises(IncompatibleColumnError, match=message):
            load_night(warehouse, source, 3)
        assert fingerprint(warehouse, source) == before


SYSTEM_COLUMNS = ("cmax", "cmin", "ctid", "tableoid", "xmax", "xmin")


def test_names_of_system_columns_stay_in_extra(
    shop: Shop, clicks: Clicks, warehouse: Warehouse
) -> None:
    """PostgreSQL itself has columns of these names; a PostgreSQL source cannot have them, too."""
    shop.put(1, "row", at(1))
    for name in SYSTEM_COLUMNS:
        shop.run(f"alter table customer_segments add {name} varchar(9) default 'mine'")
    put(clicks, "1", **dict.fromkeys(SYSTEM_COLUMNS, "mine"))
    expected = tuple(f"{name}: raw can have no such column" for name in SYSTEM_COLUMNS)
    for day in (2, 3):
        for source in (shop, clicks):
            assert load_night(warehouse, source, day).differences == expected
            ((extra,),) = live(warehouse, source.spec, "_extra")
            assert extra == dict.fromkeys(SYSTEM_COLUMNS, "mine")


# --- MongoDB ----------------------------------------------------------------------------


def put(clicks: Clicks, key: str, **fields: Any) -> None:
    clicks.client.sessions.replace_one(
        {"_id": key}, {"updated_at": at(1), **fields}, upsert=True, bypass_document_validation=True
    )


def test_new_fields_get_columns_by_their_bson_types(clicks: Clicks, warehouse: Warehouse) -> None:
    put(
        clicks,
        "1",
        plan="gold",
        visits=3,
        big=Int64(1 << 40),
        score=0.1,
        vip=True,
        since=datetime(2025, 1, 1, 1, 2, 3, 4000),
        cart={"items": [1, {"sku": "x"}]},
        price=Decimal128("1.5"),
        nothing=None,
    )
    load_night(warehouse, clicks, 2)
    have = types(warehouse, clicks)
    assert {name: have[name] for name in ("plan", "visits", "big", "score", "vip", "since", "cart")}
    assert (have["plan"], have["visits"], have["score"]) == ("text", "bigint", "double precision")
    assert (have["vip"], have["cart"]) == ("boolean", "jsonb")
    assert have["since"] == "timestamp with time zone"
    assert live(
        warehouse, clicks.spec, "plan, visits, big, score, vip, since::text, cart, _extra"
    ) == [
        (
            "gold",
            3,
            1 << 40,
            0.1,
            True,
            "2025-01-01 01:02:03.004+00",
            {"items": [1, {"sku": "x"}]},
            {"price": {"$numberDecimal": "1.5"}, "nothing": None},
        )
    ]


def test_a_field_beyond_the_sample_is_loaded_in_the_night_that_meets_it(
    clicks: Clicks, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elt.readers import mongo

    monkeypatch.setattr(mongo, "SAMPLE", 1)
    for key in range(9):
        put(clicks, str(key), **({"rare": key} if key == 4 else {}))
    result = load_night(warehouse, clicks, 2)
    assert (result.read, result.inserted) == (9, 9)
    assert live(warehouse, clicks.spec, "rare, _extra")[4] == (4, None)
    # The night again, whatever is read of it, gives the same.
    before = fingerprint(warehouse, clicks)
    assert load_night(warehouse, clicks, 2, LoadOptions(full_refresh=True)).updated == 0
    assert fingerprint(warehouse, clicks) == before


def test_a_field_that_comes_with_a_late_document_is_loaded(
    clicks: Clicks, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elt.readers import mongo

    monkeypatch.setattr(mongo, "SAMPLE", 1)
    for key in range(9):
        put(clicks, str(key), updated_at=at(2, key))
    load_night(warehouse, clicks, 3)
    put(clicks, "4", updated_at=at(1), rare="here")
    result = load_night(warehouse, clicks, 4)
    assert (result.updated, result.late) == (1, 1)
    assert live(warehouse, clicks.spec, "rare, _extra")[4] == ("here", None)


def test_a_field_of_several_types_stays_in_extra_for_good(
    clicks: Clicks, warehouse: Warehouse
) -> None:
    put(clicks, "1", odd=1)
    put(clicks, "2", odd="one")
    assert load_night(warehouse, clicks, 2).differences == (
        "odd: values of several types: in _extra",
    )
    put(clicks, "3", odd=3, updated_at=at(3))
    load_night(warehouse, clicks, 4)
    assert "odd" not in types(warehouse, clicks)
    assert live(warehouse, clicks.spec, "_extra")[2] == ({"odd": {"$numberInt": "3"}},)


def test_a_later_value_of_another_type_goes_to_extra(clicks: Clicks, warehouse: Warehouse) -> None:
    put(clicks, "1", visits=1)
    load_night(warehouse, clicks, 2)
    put(clicks, "2", visits="many", updated_at=at(2))
    load_night(warehouse, clicks, 3)
    assert live(warehouse, clicks.spec, "visits, _extra") == [(1, None), (None, {"visits": "many"})]
