"""Connections that break, and tables that change, in the middle of a load.

Whatever breaks: raw is as before, the error is the one of the lost connection (which is what
Airflow retries), and the next load finds both connections usable.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from pymongo.errors import OperationFailure

from dags.stages.common import CONNECTION_LOST
from elt import batch, loader
from elt.batch import Batch, SourceError
from elt.nights import open_night
from elt.readers import mongo
from tests.integration.elt.support import (
    Clicks,
    Marketing,
    Shop,
    Source,
    at,
    fingerprint,
    load_night,
    meddled,
    open_source,
    open_warehouse,
    reload,
    terminate,
    versions,
)

Warehouse = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BATCH_ROWS", 5)
    monkeypatch.setattr(mongo, "BATCH_SIZE", 5)


def names(error: BaseException) -> set[str]:
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}


def halfway(act: Any) -> Any:
    """Reads a few batches, acts, and reads on."""

    def read(batches: Iterator[Batch]) -> Iterator[Batch]:
        for number, item in enumerate(batches):
            if number == 3:
                act()
            yield item

    return read


def swell(source: Source, count: int, day: int) -> None:
    """Rows of 60 kB: together more than the sockets' buffers hold."""
    for key in range(count):
        source.put(key, f"row {key}", at(day))
    if isinstance(source, Shop):
        source.run("update customer_segments set description = repeat('x', 60000)")
        # The column stamps itself.
        source.run("update customer_segments set updated_at = %s", at(day).replace(tzinfo=None))
    elif isinstance(source, Marketing):
        source.client.execute("update campaigns set target_audience = repeat('x', 60000)")
    else:
        source.client.sessions.update_many({}, {"$set": {"referrer": "x" * 60_000}})


@pytest.mark.parametrize("first", [True, False])
def test_the_warehouse_lost_in_the_middle_of_copy(
    source: Source, warehouse: Warehouse, shared_warehouse_url: str, first: bool
) -> None:
    """The source's connection is free again: it was in the middle of an answer, too."""
    swell(source, 200, 1)
    if not first:
        load_night(warehouse, source, 2)
        swell(source, 200, 2)
    before = versions(warehouse, source)
    with open_warehouse(shared_warehouse_url) as conn:
        night = open_night(conn, date(2026, 1, 3))
        lost = halfway(lambda: terminate(shared_warehouse_url, conn.info.backend_pid))
        with pytest.raises(Exception) as raised:
            loader.load(conn, source.spec, meddled(source, night, lost), night)
    assert names(raised.value) & CONNECTION_LOST, raised.value
    assert versions(warehouse, source) == before
    result = reload(warehouse, source, night)
    assert (result.inserted, result.updated) == ((200, 0) if first else (0, 200))


def lose(source: Source, url: str) -> None:
    """End the source's own connection, from the side of its server."""
    if isinstance(source, Shop):
        with open_source("mysql", url) as other:
            assert isinstance(other, Shop)
            other.run(f"kill connection {source.client.thread_id()}")
    elif isinstance(source, Marketing):
        terminate(url, source.client.info.backend_pid)


@pytest.mark.parametrize("first", [True, False])
def test_the_source_lost_in_the_middle_of_its_read(
    source: Source, system: str, source_url: str, warehouse: Warehouse, first: bool
) -> None:
    if system == "mongo":
        pytest.skip("its driver connects again, and reads on in the same snapshot")
    swell(source, 200, 1)
    if not first:
        load_night(warehouse, source, 2)
        swell(source, 200, 2)
    before = fingerprint(warehouse, source)
    night = open_night(warehouse, date(2026, 1, 3))
    with open_source(system, source_url) as breaking:
        lost = halfway(lambda: lose(breaking, source_url))
        with pytest.raises(Exception) as raised:
            loader.load(warehouse, source.spec, meddled(breaking, night, lost), night)
    assert names(raised.value) & CONNECTION_LOST, raised.value
    assert fingerprint(warehouse, source) == before
    result = reload(warehouse, source, night)
    assert (result.inserted, result.updated) == ((200, 0) if first else (0, 200))


def test_an_error_in_the_middle_of_a_read_is_the_one_that_is_seen(
    source: Source, warehouse: Warehouse
) -> None:
    for key in range(60):
        source.put(key, "row", at(1))
    night = open_night(warehouse, date(2026, 1, 2))
    with pytest.raises(ZeroDivisionError):
        loader.load(warehouse, source.spec, meddled(source, night, halfway(lambda: 1 / 0)), night)
    assert reload(warehouse, source, night).inserted == 60


@pytest.mark.parametrize(
    "statement", ["truncate campaigns", "alter table campaigns alter budget type numeric(20, 4)"]
)
def test_a_table_cannot_be_emptied_or_rewritten_under_its_snapshot(
    marketing: Marketing, marketing_url: str, warehouse: Warehouse, statement: str
) -> None:
    """Neither is seen as of the snapshot: a reader would find no rows at all."""
    for key in range(20):
        marketing.put(key, "row", at(1))
    night = open_night(warehouse, date(2026, 1, 2))

    def rewritten(batches: Iterator[Batch]) -> Iterator[Batch]:
        with (
            psycopg.connect(marketing_url, options="-c lock_timeout=100ms") as other,
            pytest.raises(psycopg.errors.LockNotAvailable),
        ):
            other.execute(statement)
        yield from batches

    result = loader.load(warehouse, marketing.spec, meddled(marketing, night, rewritten), night)
    assert (result.read, result.inserted) == (20, 20)


def test_a_statement_timeout_of_the_source_changes_nothing(
    marketing: Marketing, warehouse: Warehouse
) -> None:
    for key in range(20):
        marketing.put(key, "row", at(1))
    load_night(warehouse, marketing, 2)
    before = fingerprint(warehouse, marketing)
    night = open_night(warehouse, date(2026, 1, 3))

    def slow(batches: Iterator[Batch]) -> Iterator[Batch]:
        marketing.client.execute("set local statement_timeout = '50ms'")
        marketing.client.execute("select pg_sleep(10)")
        yield from batches

    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout") as raised:
        loader.load(warehouse, marketing.spec, meddled(marketing, night, slow), night)
    assert names(raised.value) & CONNECTION_LOST
    assert fingerprint(warehouse, marketing) == before
    assert reload(warehouse, marketing, night).unchanged == 20


def test_a_snapshot_that_the_server_gave_up_is_explained(
    clicks: Clicks, warehouse: Warehouse
) -> None:
    """MongoDB keeps one for five minutes: a longer read could never succeed."""
    for key in range(20):
        clicks.put(key, "row", at(1))
    server = clicks.client.client
    night = open_night(warehouse, date(2026, 1, 2))

    def aged(batches: Iterator[Batch]) -> Iterator[Batch]:
        # A younger snapshot than the load's: where it is given up, the load's is, too.
        with server.start_session(snapshot=True) as session:
            while True:
                clicks.client.elsewhere.insert_one({})
                try:
                    clicks.client.sessions.find_one({}, session=session)
                except OperationFailure:
                    break
        yield from batches

    name = "minSnapshotHistoryWindowInSeconds"
    former = server.admin.command({"setParameter": 1, name: 1})["was"]
    try:
        with pytest.raises(SourceError, match=f"'sessions' in MongoDB .*{name}"):
            loader.load(warehouse, clicks.spec, meddled(clicks, night, aged), night)
    finally:
        server.admin.command({"setParameter": 1, name: former})
    assert reload(warehouse, clicks, night).inserted == 20
