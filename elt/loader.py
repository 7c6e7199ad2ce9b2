"""Loads one table for one night: a plain full comparison, in one transaction.

The incremental engine replaces what is compared, not this frame: stage, fence, merge, log
and watermark together, or nothing at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq, sql

from elt.batch import Batch
from elt.merge import Merge
from elt.nights import Night, fence
from elt.raw import column_list, ensure_raw
from elt.specs import TableSpec

__all__ = ["CountMismatchError", "LoadResult", "TableBusyError", "ensure_raw", "load"]

log = logging.getLogger(__name__)

# A second runner waits this long for the first one of the same table.
LOCK_TIMEOUT = "15min"


class CountMismatchError(RuntimeError):
    """Rows were lost or doubled between the source and raw; nothing was changed."""


class TableBusyError(RuntimeError):
    """Another runner has been loading the same table for too long."""


@dataclass(frozen=True)
class LoadResult:
    """What one load did, in rows of the source (``deleted``: in live versions).

    ``read = inserted + updated + unchanged + rejected``; rows that wait for a later night
    (``held``) are not read. ``bytes`` is what went through COPY; ``seconds`` is wall time.
    """

    table: str
    read: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    rejected: int
    held: int
    bytes: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows read a second of wall time."""
        return self.read / self.seconds if self.seconds else 0.0


@dataclass
class _Staged:
    """What went into the staging tables."""

    rows: int = 0
    held: int = 0
    rejected: int = 0
    bytes: int = 0
    expected: int | None = None


def load(
    conn: psycopg.Connection[Any], spec: TableSpec, batches: Iterable[Batch], night: Night
) -> LoadResult:
    """Bring the raw table to what the source holds; all of it, or on any error nothing.

    The connection must have no open transaction.

    Raises:
        CountMismatchError: not every row that the source counted arrived.
        StaleBatchError: a newer attempt at this night, or a newer night, has taken over.
        TableBusyError: another runner holds the table.
    """
    if conn.info.transaction_status != pq.TransactionStatus.IDLE:
        raise ValueError("load needs a connection without an open transaction: commit it first")
    start = time.monotonic()
    merge = Merge(conn, spec, night)
    with conn.transaction():
        # First the lock, then the read: of two runners the later one sees the later source.
        _lock(conn, spec)
        fence(conn, night, hold=False)
        merge.create_staging()
        staged = _stage(conn, spec, batches)
        _check(spec, staged)
        repeated = merge.reject_repeated_keys()
        changes = merge.apply()
        live, same = merge.live_and_same()
        if same != staged.rows - repeated:
            raise CountMismatchError(
                f"{spec.raw_name}: {staged.rows - repeated} rows were staged, but only {same} of "
                "them are live in raw after the merge; nothing was changed"
            )
        merge.record_rejected()
        merge.record_watermark()
        result = LoadResult(
            table=spec.raw_name,
            read=staged.rows + staged.rejected,
            inserted=changes.inserted,
            updated=changes.updated,
            deleted=changes.deleted,
            unchanged=changes.unchanged,
            rejected=staged.rejected + repeated,
            held=staged.held,
            bytes=staged.bytes,
            seconds=time.monotonic() - start,
        )
        _record(conn, spec, night, result, live)
        # Last, and held until the commit: nobody can overtake in between.
        fence(conn, night, hold=True)
    return result


def _lock(conn: psycopg.Connection[Any], spec: TableSpec) -> None:
    try:
        with conn.transaction():
            conn.execute("select set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
            conn.execute(
                "select pg_advisory_xact_lock(hashtextextended('amato.load.' || %s, 0))",
                (spec.raw_name,),
            )
    except psycopg.errors.LockNotAvailable as error:
        raise TableBusyError(
            f"{spec.raw_name} has been loaded by another runner for {LOCK_TIMEOUT}: wait for it, "
            "or end it, then run the task again"
        ) from error


def _stage(conn: psycopg.Connection[Any], spec: TableSpec, batches: Iterable[Batch]) -> _Staged:
    for name, value in {"timezone": "UTC", "datestyle": "ISO, YMD", "work_mem": "64MB"}.items():
        conn.execute("select set_config(%s, %s, true)", (name, value))
    rows = sql.SQL("copy amato_stage ({}) from stdin with (encoding 'UTF8')").format(
        column_list(spec)
    )
    staged = _Staged()
    with conn.cursor() as cursor:
        for batch in batches:
            if batch.expected is not None:
                staged.expected = batch.expected
            if batch.rows:
                with cursor.copy(rows) as copy:
                    copy.write(batch.data)
                staged.rows += cursor.rowcount
                staged.bytes += len(batch.data)
            if batch.held:
                with cursor.copy("copy amato_held from stdin") as copy:
                    for key in batch.held:
                        copy.write_row((key,))
                staged.held += len(batch.held)
            if batch.rejected:
                with cursor.copy("copy amato_rejected from stdin") as copy:
                    for entry in batch.rejected:
                        copy.write_row((entry.source_key, entry.key, entry.reason, entry.payload))
                staged.rejected += len(batch.rejected)
    return staged


def _check(spec: TableSpec, staged: _Staged) -> None:
    total = staged.rows + staged.rejected + staged.held
    if staged.expected != total:
        raise CountMismatchError(
            f"{spec.raw_name}: the source counts {staged.expected} rows, but {total} arrived "
            f"({staged.rows} to load, {staged.rejected} rejected, {staged.held} for a later "
            "night); nothing was changed: run the task again"
        )


def _record(
    conn: psycopg.Connection[Any], spec: TableSpec, night: Night, result: LoadResult, live: int
) -> None:
    loaded = result.inserted + result.updated + result.unchanged
    if result.read != loaded + result.rejected:
        raise CountMismatchError(
            f"{spec.raw_name}: {result.read} rows read, but {loaded} loaded and "
            f"{result.rejected} rejected; nothing was changed"
        )
    conn.execute(
        """
        insert into elt.load_log
            (batch_id, as_of, source_system, source_table, read, inserted, updated, deleted,
             unchanged, rejected, bytes, seconds, raw_live)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            night.batch_id,
            night.as_of,
            spec.system,
            spec.name,
            result.read,
            result.inserted,
            result.updated,
            result.deleted,
            result.unchanged,
            result.rejected,
            result.bytes,
            result.seconds,
            live,
        ),
    )
