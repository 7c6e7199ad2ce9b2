"""Values that fit their raw column, and values that do not: every source, and PostgreSQL."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from elt.batch import SourceError
from elt.extract_load import extract_and_load
from elt.nights import open_night
from elt.specs import SPECS
from tests.integration.elt.support import (
    AWKWARD_TEXTS,
    Clicks,
    Marketing,
    Shop,
    at,
    live,
    load_night,
    query,
)

Warehouse = psycopg.Connection[Any]


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
    assert load_night(warehouse, marketing, 2).inserted == 2
    columns = "budget, start_date, end_date, created_at, updated_at, _extra"
    first, second = live(warehouse, marketing.spec, columns)
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
    assert live(warehouse, marketing.spec, "happy, blob, ratio, tags, note, amount, inside") == [
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
    load_night(warehouse, marketing, 2)
    assert live(warehouse, marketing.spec, "start_date, updated_at, _extra") == [
        (date(2026, 12, 31), datetime(2026, 1, 1, microsecond=1, tzinfo=UTC), None)
    ]
