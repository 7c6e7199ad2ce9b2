"""Crashes, second runners, lost rows: raw is as before, or as it should be."""

import hashlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from elt import loader
from elt.batch import Batch
from elt.checksum import table_checksum
from elt.extract_load import extract_and_load
from elt.loader import CountMismatchError, LoadResult, TableBusyError, ensure_raw
from elt.nights import (
    Night,
    OlderNightError,
    StaleBatchError,
    close_night,
    open_night,
)
from elt.options import LoadOptions
from elt.specs import SPECS
from tests.conftest import Servers
from tests.integration.elt.crashing import stopped_load
from tests.integration.elt.support import (
    Marketing,
    Source,
    at,
    empty_warehouse,
    fingerprint,
    load_night,
    meddled,
    open_source,
    open_warehouse,
    query,
    reload,
    shared_warehouse,
    versions,
)

Warehouse = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def control_url(servers: Servers) -> Iterator[str]:
    with shared_warehouse(servers) as url:
        yield url


@pytest.fixture
def control(control_url: str) -> Iterator[Warehouse]:
    """A second warehouse, where nothing goes wrong."""
    empty_warehouse(control_url)
    with open_warehouse(control_url) as conn:
        yield conn


@pytest.fixture
def campaigns(marketing_url: str) -> Iterator[Marketing]:
    with open_source("postgres", marketing_url) as opened:
        assert isinstance(opened, Marketing)
        yield opened


@pytest.mark.parametrize("point", ["reading", "merging", "reconciling", "logging", "committing"])
def test_a_killed_load_changes_nothing_and_a_rerun_equals_an_undisturbed_one(
    source: Source,
    source_url: str,
    warehouse: Warehouse,
    shared_warehouse_url: str,
    control: Warehouse,
    point: str,
) -> None:
    for key in range(60):
        source.put(key, f"row {key}", at(1))
    load_night(warehouse, source, 2)
    load_night(control, source, 2)
    for key in range(0, 60, 3):
        source.put(key, "changed", at(2))
        source.delete(key + 1)
        source.put(100 + key, "added", at(2))
    before = fingerprint(warehouse, source)
    logged = query(warehouse, "select * from elt.load_log")
    night = open_night(warehouse, date(2026, 1, 3))

    with stopped_load(source, source_url, shared_warehouse_url, night, point) as (child, _):
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert fingerprint(warehouse, source) == before
    assert query(warehouse, "select * from elt.load_log") == logged

    result = reload(warehouse, source, night)
    assert (result.inserted, result.updated, result.deleted) == (20, 20, 20)
    load_night(control, source, 3)
    assert fingerprint(warehouse, source) == fingerprint(control, source)


def test_a_second_runner_waits_and_then_the_older_batch_fails(
    system: str, source: Source, warehouse: Warehouse, shared_warehouse_url: str
) -> None:
    source.put(1, "one", at(1))
    older = open_night(warehouse, date(2026, 1, 2))
    with open_warehouse(shared_warehouse_url) as second:
        newer = open_night(second, date(2026, 1, 2))
        assert newer.batch_id > older.batch_id
        assert newer.bounds == older.bounds
        reload(second, source, newer)
        checksum = fingerprint(second, source)
        source.put(2, "two", at(1))
        with pytest.raises(StaleBatchError, match=f"batch {older.batch_id} of night 2026-01-02"):
            reload(warehouse, source, older)
        assert fingerprint(second, source) == checksum


def test_a_runner_overtaken_in_the_middle_of_its_read_cannot_commit(
    source: Source, warehouse: Warehouse, shared_warehouse_url: str
) -> None:
    source.put(1, "one", at(1))
    older = open_night(warehouse, date(2026, 1, 2))

    def overtaken(batches: Iterator[Batch]) -> Iterator[Batch]:
        yield from batches
        with psycopg.connect(shared_warehouse_url) as second:
            open_night(second, date(2026, 1, 3))

    with pytest.raises(StaleBatchError, match="night 2026-01-03 is newer"):
        loader.load(warehouse, source.spec, meddled(source, older, overtaken), older)
    assert versions(warehouse, source) == []
    assert query(warehouse, "select count(*) from elt.load_log") == [(0,)]


def test_two_runners_of_one_batch_load_one_after_the_other(
    campaigns: Marketing, warehouse: Warehouse, shared_warehouse_url: str, marketing_url: str
) -> None:
    for key in range(500):
        campaigns.put(key, f"row {key}", at(1))
    night = open_night(warehouse, date(2026, 1, 2))
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with (
                open_source("postgres", marketing_url) as source,
                open_warehouse(shared_warehouse_url) as conn,
            ):
                reload(conn, source, night)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert query(warehouse, "select inserted, unchanged from elt.load_log order by log_id") == [
        (500, 0),
        (0, 500),
        (0, 500),
        (0, 500),
    ]


def test_a_table_that_stays_locked_is_reported(
    campaigns: Marketing,
    warehouse: Warehouse,
    shared_warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(shared_warehouse_url) as other, other.transaction():
        loader._lock(other, campaigns.spec)
        with pytest.raises(TableBusyError, match=r"raw_postgres\.campaigns"):
            load_night(warehouse, campaigns, 2)


def test_a_reader_that_keeps_the_first_load_out_is_reported(
    campaigns: Marketing,
    warehouse: Warehouse,
    shared_warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "LOCK_TIMEOUT", "50ms")
    campaigns.put(1, "one", at(1))
    with psycopg.connect(shared_warehouse_url) as reader:
        reader.execute("select count(*) from raw_postgres.campaigns")
        with pytest.raises(TableBusyError, match="or by a session that reads it"):
            load_night(warehouse, campaigns, 2)
    assert load_night(warehouse, campaigns, 2).inserted == 1


def test_a_lock_in_the_source_is_not_taken_for_the_warehouses(
    campaigns: Marketing, warehouse: Warehouse, marketing_url: str
) -> None:
    campaigns.client.execute("set lock_timeout = '50ms'")
    with psycopg.connect(marketing_url) as other:
        other.execute("lock table campaigns in access exclusive mode")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            load_night(warehouse, campaigns, 2)


def test_rows_that_are_counted_but_do_not_arrive_fail_the_load(
    source: Source, warehouse: Warehouse
) -> None:
    source.put(1, "one", at(1))
    load_night(warehouse, source, 2)
    checksum = fingerprint(warehouse, source)
    source.put(1, "changed", at(1))
    night = open_night(warehouse, date(2026, 1, 3))

    def counted(batches: Iterator[Batch]) -> Iterator[Batch]:
        for item in batches:
            yield item if item.expected is None else replace(item, expected=2)

    def lost(batches: Iterator[Batch]) -> Iterator[Batch]:
        yield Batch(0, b"", expected=0)

    def uncounted(batches: Iterator[Batch]) -> Iterator[Batch]:
        yield from (item for item in batches if item.expected is None)

    def try_with(read: Any, options: LoadOptions) -> LoadResult:
        return loader.load(warehouse, source.spec, meddled(source, night, read), night, options)

    with pytest.raises(CountMismatchError, match="counts 2 rows, but 1 arrived"):
        try_with(counted, LoadOptions())
    with pytest.raises(CountMismatchError, match="counts None rows"):
        try_with(uncounted, LoadOptions())
    with pytest.raises(CountMismatchError, match="counts 1 rows, but 0 arrived"):
        try_with(lost, LoadOptions(full_refresh=True))
    assert fingerprint(warehouse, source) == checksum
    assert try_with(iter, LoadOptions()).updated == 1


def test_a_second_live_version_of_a_key_fails_the_proof(
    campaigns: Marketing, warehouse: Warehouse
) -> None:
    """The row is far behind the watermark, and its cursor is the source's."""
    for key in range(5):
        campaigns.put(key, "far behind", at(1, 1))
    campaigns.put(77, "newest", at(1))
    load_night(warehouse, campaigns, 2)
    warehouse.execute(
        "insert into raw_postgres.campaigns"
        " (row_id, campaign_name, updated_at, _batch_id, _valid_from)"
        " select row_id, 'wrong', updated_at, 0, date '2025-12-01'"
        " from raw_postgres.campaigns where row_id = 3"
    )
    warehouse.commit()
    with pytest.raises(CountMismatchError, match="1 keys have more than one live version"):
        load_night(warehouse, campaigns, 3)


def test_writes_during_the_read_stay_invisible(
    source: Source, system: str, source_url: str, warehouse: Warehouse
) -> None:
    for key in range(30):
        source.put(key, "before", at(1))
    night = open_night(warehouse, date(2026, 1, 2))

    def meanwhile(batches: Iterator[Batch]) -> Iterator[Batch]:
        writer.put(0, "during", at(1))
        writer.put(98, "during", at(1))
        yield from batches
        writer.put(1, "after", at(1))
        writer.put(99, "after", at(1))
        writer.delete(5)

    with open_source(system, source_url) as writer:
        result = loader.load(warehouse, source.spec, meddled(source, night, meanwhile), night)
    assert result.read == 30
    assert {label for _, label, _, _ in versions(warehouse, source)} == {"before"}


def test_the_source_connection_is_free_after_a_failed_load(
    source: Source, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in range(50):
        source.put(key, "row", at(1))
    night = open_night(warehouse, date(2026, 1, 2))
    with monkeypatch.context() as patched:
        patched.setattr(loader._Load, "_merge_window", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            extract_and_load(source.client, warehouse, source.spec, night)
    assert extract_and_load(source.client, warehouse, source.spec, night).inserted == 50


def test_an_open_transaction_is_refused(campaigns: Marketing, warehouse: Warehouse) -> None:
    night = open_night(warehouse, date(2026, 1, 2))
    warehouse.execute("select 1")
    with pytest.raises(ValueError, match="without an open transaction"):
        reload(warehouse, campaigns, night)


# --- nights -----------------------------------------------------------------------------


def test_nights_move_forward_only(warehouse: Warehouse) -> None:
    first = open_night(warehouse, date(2026, 1, 2))
    assert set(first.bounds) == {spec.raw_name for spec in SPECS}
    assert set(first.bounds.values()) == {datetime(2026, 1, 2, tzinfo=UTC)}
    again = open_night(warehouse, date(2026, 1, 2))
    assert again.bounds == first.bounds and again.batch_id > first.batch_id
    later = open_night(warehouse, date(2026, 1, 5))
    assert later.batch_id > again.batch_id
    with pytest.raises(OlderNightError, match="2026-01-05 was opened before"):
        open_night(warehouse, date(2026, 1, 4))
    assert Night.from_json(later.as_json()) == later


def test_closing_and_opening_again(warehouse: Warehouse) -> None:
    first = open_night(warehouse, date(2026, 1, 2))
    close_night(warehouse, first, "closed")
    state = "select state, closed_at is null from elt.nights"
    assert query(warehouse, state) == [("closed", False)]
    again = open_night(warehouse, date(2026, 1, 2))
    assert query(warehouse, state) == [("open", True)]
    with pytest.raises(StaleBatchError, match="opened again"):
        close_night(warehouse, first, "failed")
    assert query(warehouse, state) == [("open", True)]
    close_night(warehouse, again, "failed")
    assert query(warehouse, state) == [("failed", False)]


# --- raw tables and checksums -----------------------------------------------------------


def test_raw_tables_belong_to_the_loader_and_are_made_once(warehouse: Warehouse) -> None:
    ensure_raw(warehouse)
    rows = query(
        warehouse,
        "select schemaname || '.' || tablename, tableowner from pg_tables"
        " where schemaname like 'raw%%'",
    )
    assert dict(rows) == {spec.raw_name: "amato_loader" for spec in SPECS}
    readers = query(
        warehouse,
        "select bool_and(has_table_privilege('amato_transformer', c.oid, 'select')),"
        " bool_or(has_table_privilege('amato_transformer', c.oid, 'insert, update, delete'))"
        " from pg_class c where relnamespace = 'raw_mongo'::regnamespace and relkind = 'r'",
    )
    assert readers == [(True, False)]


def test_a_checksum_sees_content_only(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url) as conn:
        conn.execute("create table a (id int, t text, at timestamptz, _b int)")
        conn.execute("create table b (_b int, at timestamptz, id int, t text)")
        conn.execute("insert into a values (2, 'x', '2026-01-01 00:00+00', 1), (10, null, null, 2)")
        conn.execute("set timezone = 'Asia/Kolkata'")
        conn.execute(
            "insert into b values (7, null, 10, null), (8, '2026-01-01 05:30+05:30', 2, 'x')"
        )
        conn.commit()
        same = table_checksum(conn, "public", "a", ["id"])
        assert same == table_checksum(conn, "public", "b", ["id"])
        assert len(same) == 64
        assert table_checksum(conn, "public", "a") == table_checksum(conn, "public", "b")
        assert table_checksum(conn, "public", "a", with_private=True) != table_checksum(
            conn, "public", "b", with_private=True
        )
        conn.execute("update b set t = '' where id = 10")
        conn.commit()
        assert same != table_checksum(conn, "public", "b", ["id"])
        with pytest.raises(LookupError, match=r"no table public\.c"):
            table_checksum(conn, "public", "c")
        with pytest.raises(LookupError, match="no columns"):
            table_checksum(conn, "public", "a", ["missing"])


def test_a_checksum_is_the_sha256_of_its_text(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url) as conn:
        conn.execute("create table a (t text, id int)")
        conn.execute("insert into a values (null, 10), (E'tab\\t', 2)")
        conn.commit()
        text = b"id\tt\n10\t\\N\n2\ttab\\t\n"
        assert table_checksum(conn, "public", "a", ["id"]) == hashlib.sha256(text).hexdigest()
