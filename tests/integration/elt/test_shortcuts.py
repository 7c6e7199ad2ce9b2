"""The ways that save work: each gives what the long way gives."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest

from elt.digest import ALL_KEYS, Buckets, Digest
from elt.extract_load import extract_and_load
from elt.loader import ensure_raw
from elt.nights import open_night
from elt.readers.rows import RowConverter
from elt.readers.sql import SqlSnapshot
from elt.specs import BY_NAME, POSTGRES, TableSpec
from tests.integration.elt.support import (
    AWKWARD_TEXTS,
    Marketing,
    Shop,
    at,
    load_night,
    query,
    raw_as_of,
)

Warehouse = psycopg.Connection[Any]


def refuse(*_: Any) -> Any:
    raise AssertionError("a row was taken apart")


@pytest.mark.parametrize("spec", POSTGRES, ids=lambda spec: spec.name)
def test_postgres_rows_pass_as_they_are(
    marketing: Marketing, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, spec: TableSpec
) -> None:
    monkeypatch.setattr(RowConverter, "batch", refuse)
    marketing.client.execute(f"insert into {spec.name} ({spec.business_key}) values ('a'), (null)")
    night = open_night(warehouse, date(2026, 1, 2))
    assert extract_and_load(marketing.client, warehouse, spec, night).inserted == 2


def test_postgres_texts_pass_unchanged_and_a_marked_row_is_taken_apart(
    marketing: Marketing, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = []
    apart = RowConverter.batch

    def batch(self: RowConverter, rows: Any) -> Any:
        chunks.append(len(rows))
        return apart(self, rows)

    monkeypatch.setattr(RowConverter, "batch", batch)
    for key, text in enumerate(AWKWARD_TEXTS):
        marketing.put(key, text, at(1))
    expected = {str(key): (text, at(1)) for key, text in enumerate(AWKWARD_TEXTS)}
    load_night(warehouse, marketing, 2)
    assert (raw_as_of(warehouse, marketing, 2), chunks) == (expected, [])
    marketing.client.execute("update campaigns set updated_at = '2026-01-02 12:00+00'")
    marketing.client.execute("update campaigns set budget = 'NaN' where row_id = 3")
    load_night(warehouse, marketing, 3)
    expected = {key: (text, at(2)) for key, (text, _) in expected.items()}
    assert (raw_as_of(warehouse, marketing, 3), chunks) == (expected, [len(AWKWARD_TEXTS)])
    extra = query(warehouse, "select _extra from raw_postgres.campaigns where _extra is not null")
    assert extra == [({"budget": {"$numberDecimal": "NaN"}},)]


def test_keys_are_divided_only_where_something_differs(
    shop: Shop, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Buckets] = []
    digest = SqlSnapshot.digest

    def recorded(self: SqlSnapshot, buckets: Buckets) -> Digest:
        asked.append(buckets)
        return digest(self, buckets)

    monkeypatch.setattr(SqlSnapshot, "digest", recorded)
    for key in (-7, 1, 2, 3):
        shop.put(key, "one", at(1))
    load_night(warehouse, shop, 2)
    shop.put(2, "two", at(2))
    load_night(warehouse, shop, 3)
    assert asked == [ALL_KEYS, ALL_KEYS]
    # Far behind the watermark, and a key beyond all others.
    shop.put(90_000, "late", at(1))
    shop.delete(-7)
    result = load_night(warehouse, shop, 4)
    assert (result.late, result.deleted) == (1, 1)
    assert asked[2:] == [ALL_KEYS, Buckets.between(-7, 90_000)]
    assert set(raw_as_of(warehouse, shop, 4)) == {"1", "2", "3", "90000"}


def test_raw_tables_lose_their_former_index(warehouse: Warehouse) -> None:
    spec = BY_NAME["sessions"]
    warehouse.execute(f"create unique index sessions_live on {spec.raw_name} (_id)".encode())
    ensure_raw(warehouse)
    warehouse.commit()
    indexes = query(warehouse, "select indexname from pg_indexes where tablename = 'sessions'")
    assert indexes == [("sessions_pkey",)]
