"""What a load did: its result, and its line in ``elt.load_log``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from elt.batch import Window
from elt.nights import Night
from elt.reconcile import CountMismatchError
from elt.specs import TableSpec


@dataclass(frozen=True)
class LoadResult:
    """What one load did, in rows of the source (``deleted``: in live versions).

    ``read = inserted + updated + unchanged + rejected``; rows that wait for a later night
    (``held``) are not read. ``late`` of the rows read were not in the window: reconciliation
    found them; a row of the window whose key turned out to repeat is read a second time, and
    rejected then. ``bytes`` is what went through COPY; ``seconds`` is wall time.
    ``differences`` says how the source differs from the table's contract; ``source_columns`` is
    the fingerprint of its columns, where it declares them.
    """

    table: str
    read: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    rejected: int
    held: int
    late: int
    bytes: int
    seconds: float
    source_rows: int
    source_checksum: str
    raw_rows: int
    raw_checksum: str
    window_start: str | None
    differences: tuple[str, ...] = ()
    source_columns: str | None = None

    @property
    def rows_per_second(self) -> float:
        """Rows read a second of wall time."""
        return self.read / self.seconds if self.seconds else 0.0


def record_load(
    conn: psycopg.Connection[Any],
    spec: TableSpec,
    night: Night,
    result: LoadResult,
    window: Window,
    live: int,
) -> None:
    """Write the line of the log; ``live`` are the live rows of raw.

    Raises:
        CountMismatchError: a row that was read is neither loaded nor rejected.
    """
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
             unchanged, rejected, bytes, seconds, raw_live, held, late, window_start, window_end,
             source_rows, source_checksum, raw_rows, raw_checksum, differences,
             source_columns)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                %s, %s, %s)
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
            result.held,
            result.late,
            window.start,
            window.end,
            result.source_rows,
            result.source_checksum,
            result.raw_rows,
            result.raw_checksum,
            list(result.differences),
            result.source_columns,
        ),
    )
