"""Every way of change, on each of the three sources."""

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from elt import batch, loader, reconcile
from elt.batch import Batch
from elt.nights import open_night
from elt.readers import mongo, mysql, sql
from tests.integration.elt.support import (
    Rows,
    Source,
    at,
    fingerprint,
    load_night,
    meddled,
    query,
    raw_as_of,
    reload,
    versions,
)

Warehouse = psycopg.Connection[Any]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10, 11])
def test_every_row_arrives_whatever_the_batch_boundary(
    source: Source, warehouse: Warehouse, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BATCH_ROWS", 5)
    monkeypatch.setattr(mongo, "BATCH_SIZE", 5)
    for key in range(count):
        source.put(key, f"row {key}", at(1))
    result = load_night(warehouse, source, 2)
    assert (result.read, result.inserted, result.rejected, result.held) == (count, count, 0, 0)
    assert raw_as_of(warehouse, source, 2) == {
        str(key): (f"row {key}", at(1)) for key in range(count)
    }


def test_batches_are_bounded_in_bytes(
    source: Source, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends with the row that fills it, however many rows the reader may take."""
    for key in range(12):
        source.put(key, "x" * 100, at(1))
    monkeypatch.setattr(batch, "BATCH_BYTES", 300)
    night = open_night(warehouse, date(2026, 1, 2))
    sizes: list[int] = []

    def noted(batches: Iterator[Batch]) -> Iterator[Batch]:
        for item in batches:
            sizes.append(item.rows)
            yield item

    assert loader.load(warehouse, source.spec, meddled(source, night, noted), night).inserted == 12
    assert sum(sizes) == 12 and max(sizes) <= 3


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 11])
def test_every_late_row_and_deletion_arrives_whatever_the_boundary(
    source: Source, warehouse: Warehouse, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are asked for in lists, pairs in blocks and ranges of buckets."""
    for module in (mongo, sql, reconcile):
        monkeypatch.setattr(module, "KEYS_AT_ONCE", 5)
    monkeypatch.setattr(mongo, "PAIRS_AT_ONCE", 5)
    monkeypatch.setattr(mysql, "PAIRS_AT_ONCE", 5)
    monkeypatch.setattr(sql, "RANGES_AT_ONCE", 5)
    for key in range(0, 200, 2):
        source.put(key, "old", at(1))
    source.put(999, "newest", at(3))
    load_night(warehouse, source, 4)
    for key in range(0, 6 * count, 6):
        source.put(key, "late", at(1, 3))
        source.put(key + 1, "late", at(1, 3))
        source.delete(key + 2)
    result = load_night(warehouse, source, 5)
    assert (result.updated, result.inserted, result.deleted) == (count, count, count)
    assert result.late == 2 * count


def test_changes_make_versions(source: Source, warehouse: Warehouse) -> None:
    for key, label in {1: "same", 2: "old", 3: "gone"}.items():
        source.put(key, label, at(1))
    load_night(warehouse, source, 2)
    source.put(2, "new", at(2))
    source.delete(3)
    source.put(4, "added", at(2))
    result = load_night(warehouse, source, 3)
    assert (result.read, result.inserted, result.updated, result.deleted, result.unchanged) == (
        3,
        1,
        1,
        1,
        1,
    )
    assert versions(warehouse, source) == [
        ("1", "same", 2, None),
        ("2", "old", 2, 3),
        ("2", "new", 3, None),
        ("3", "gone", 2, 3),
        ("4", "added", 3, None),
    ]


def test_a_deleted_key_that_returns_on_a_later_night_starts_a_new_version(
    source: Source, warehouse: Warehouse
) -> None:
    source.put(1, "first", at(1))
    load_night(warehouse, source, 2)
    source.delete(1)
    load_night(warehouse, source, 3)
    source.put(1, "first", at(1))
    load_night(warehouse, source, 4)
    assert versions(warehouse, source) == [("1", "first", 2, 3), ("1", "first", 4, None)]


def test_null_and_value_are_told_apart(source: Source, warehouse: Warehouse) -> None:
    source.put(1, None, at(1))
    source.put(2, "", at(1))
    load_night(warehouse, source, 2)
    source.put(1, "", at(1))
    source.put(2, None, at(1))
    assert load_night(warehouse, source, 3).updated == 2
    assert raw_as_of(warehouse, source, 3) == {"1": ("", at(1)), "2": (None, at(1))}


def test_a_second_run_touches_no_row(source: Source, warehouse: Warehouse) -> None:
    for key in range(20):
        source.put(key, f"row {key}", at(1))
    load_night(warehouse, source, 2)
    source.put(3, "changed", at(2))
    source.delete(4)
    load_night(warehouse, source, 3)
    rows = f"select xmin::text, ctid::text from {source.spec.raw_name} order by ctid"
    before, checksum = query(warehouse, rows), fingerprint(warehouse, source)
    result = load_night(warehouse, source, 3)
    assert (result.inserted, result.updated, result.deleted, result.unchanged) == (0, 0, 0, 1)
    assert query(warehouse, rows) == before
    assert fingerprint(warehouse, source) == checksum


def test_the_same_night_again_replaces_in_place(source: Source, warehouse: Warehouse) -> None:
    for key in range(1, 6):
        source.put(key, "old", at(1))
    load_night(warehouse, source, 2)
    # A first attempt of the next night sees one state of the source ...
    source.put(1, "tried", at(2))
    source.delete(2)
    source.put(6, "appears", at(2))
    source.put(3, "tried", at(2))
    source.delete(5)
    load_night(warehouse, source, 3)
    # ... and the second another one.
    source.put(1, "final", at(2))  # changed twice in one night
    source.put(2, "old", at(1))  # vanished, and is back as it was
    source.delete(6)  # appeared, and is gone
    source.put(3, "old", at(1))  # changed, and changed back
    source.put(5, "other", at(2))  # vanished, and is back changed
    result = load_night(warehouse, source, 3)
    # Row 4 lies behind the watermark: its digest says that it is as it was.
    assert (result.inserted, result.updated, result.deleted, result.unchanged) == (2, 2, 1, 0)
    assert versions(warehouse, source) == [
        ("1", "old", 2, 3),
        ("1", "final", 3, None),
        ("2", "old", 2, None),
        ("3", "old", 2, None),
        ("4", "old", 2, None),
        ("5", "old", 2, 3),
        ("5", "other", 3, None),
    ]


def test_rows_from_the_bound_on_wait_for_the_next_night(
    source: Source, warehouse: Warehouse
) -> None:
    source.put(1, "live", at(1))
    source.put(2, "live", at(1))
    load_night(warehouse, source, 2)
    source.put(1, "touched after the bound", at(3, 0))
    source.put(3, "exactly at the bound", at(3, 0))
    source.put(4, "just before the bound", at(2, 23))
    source.put(5, "without a cursor", None)
    result = load_night(warehouse, source, 3)
    assert (result.read, result.held, result.inserted, result.deleted) == (3, 2, 2, 0)
    assert versions(warehouse, source) == [
        ("1", "live", 2, None),
        ("2", "live", 2, None),
        ("4", "just before the bound", 3, None),
        ("5", "without a cursor", 3, None),
    ]
    result = load_night(warehouse, source, 4)
    assert (result.held, result.inserted, result.updated) == (0, 1, 1)
    assert raw_as_of(warehouse, source, 4)["3"] == ("exactly at the bound", at(3, 0))
    assert raw_as_of(warehouse, source, 3)["1"] == ("live", at(1))


def test_a_row_that_waits_is_reopened_where_an_attempt_had_closed_it(
    source: Source, warehouse: Warehouse
) -> None:
    source.put(1, "live", at(1))
    load_night(warehouse, source, 2)
    source.delete(1)
    load_night(warehouse, source, 3)
    source.put(1, "made again", at(3, 5))
    load_night(warehouse, source, 3)
    assert versions(warehouse, source) == [("1", "live", 2, None)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_past_night_can_be_rebuilt(
    source: Source, warehouse: Warehouse, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BATCH_ROWS", 7)
    rng = random.Random(seed)
    truth: Rows = {}
    remembered: dict[int, Rows] = {}

    def live_a_little(day: int) -> None:
        for _ in range(rng.randint(0, 25)):
            key = rng.randrange(30)
            if rng.random() < 0.3:
                source.delete(key)
                truth.pop(str(key), None)
            else:
                row = (rng.choice(["a", "b", None]), at(day, rng.randrange(24)))
                source.put(key, *row)
                truth[str(key)] = row

    for day in (2, 3, 4, 5):
        live_a_little(day - 1)
        night = open_night(warehouse, date(2026, 1, day))
        reload(warehouse, source, night)
        if rng.random() < 0.7:
            # The source lives on, and the night is repeated.
            live_a_little(day - 1)
            reload(warehouse, source, open_night(warehouse, date(2026, 1, day)))
        remembered[day] = dict(truth)
        for past, rows in remembered.items():
            assert raw_as_of(warehouse, source, past) == rows, f"night {past} seen from {day}"
    empty = query(
        warehouse, f"select count(*) from {source.spec.raw_name} where _valid_to <= _valid_from"
    )
    assert empty == [(0,)]


def test_the_load_is_recorded(source: Source, warehouse: Warehouse) -> None:
    source.put(1, "a", at(1, 3))
    source.put(2, "b", at(1, 5))
    source.put(3, "later", at(2, 1))
    night = open_night(warehouse, date(2026, 1, 2))
    result = reload(warehouse, source, night)
    assert query(
        warehouse,
        "select batch_id, as_of, source_system, source_table, read, inserted, updated, deleted,"
        " unchanged, rejected, bytes, raw_live from elt.load_log",
    ) == [
        (
            night.batch_id,
            date(2026, 1, 2),
            source.spec.system,
            source.spec.name,
            2,
            2,
            0,
            0,
            0,
            0,
            result.bytes,
            2,
        )
    ]
    assert result.bytes > 0
    assert query(
        warehouse, "select source_table, cursor_value, key_value, as_of from elt.watermarks"
    ) == [(source.spec.name, at(1, 5), "2", date(2026, 1, 2))]
