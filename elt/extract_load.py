"""One table, one night: read it from its source, load it into raw, say what was done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any

import psycopg

from elt.loader import LoadResult, load
from elt.nights import Night
from elt.options import LoadOptions
from elt.readers import mongo, mysql, postgres
from elt.readers.snapshot import Snapshot
from elt.specs import TableSpec

log = logging.getLogger(__name__)

Open = Callable[[Any, TableSpec, datetime], AbstractContextManager[Snapshot]]

_READERS: dict[str, Open] = {
    "mysql": mysql.snapshot,
    "postgres": postgres.snapshot,
    "mongo": mongo.snapshot,
}


def extract_and_load(
    source: Any,
    conn: psycopg.Connection[Any],
    spec: TableSpec,
    night: Night,
    options: LoadOptions | None = None,
) -> LoadResult:
    """Read one table and load it.

    ``source`` is what the spec's system needs: a ``MySQLdb`` connection, a ``psycopg`` one,
    or a pymongo ``Database``. ``conn`` is the warehouse, acting as ``amato_loader``.

    Raises:
        SourceError: the source lacks the table or its key, or a column is of another type.
        CountMismatchError, StaleBatchError, TableBusyError, TooManyDeletionsError,
        TooManyRejectedError: see :func:`elt.loader.load`.
    """
    end = night.window(spec).end
    result = load(conn, spec, partial(_READERS[spec.system], source, spec, end), night, options)
    for difference in result.differences:
        log.warning("%s: source and contract differ: %s", result.table, difference)
    log.info(
        "%s as of %s, %s: read %d (%d behind the watermark), inserted %d, updated %d, deleted %d, "
        "unchanged %d, rejected %d, waiting %d; %.1f MB in %.2f s, %.0f rows/s; %d rows with "
        "checksum %s in source and raw",
        result.table,
        night.as_of,
        f"from {result.window_start}" if result.window_start else "all",
        result.read,
        result.late,
        result.inserted,
        result.updated,
        result.deleted,
        result.unchanged,
        result.rejected,
        result.held,
        result.bytes / 1e6,
        result.seconds,
        result.rows_per_second,
        result.raw_rows,
        result.raw_checksum,
    )
    return result


def replay_rejected(
    source: Any, conn: psycopg.Connection[Any], spec: TableSpec, night: Night
) -> LoadResult | None:
    """Load what was rejected and can be loaded now; None where nothing is open.

    Every load looks for the open rejected rows again, so that this is one more load of the
    night: after a fix there is no need to wait for the next one.

    Raises:
        As :func:`extract_and_load`.
    """
    with conn.transaction():
        row = conn.execute(
            "select exists (select from elt.rejected_rows where source_system = %s"
            " and source_table = %s and resolved_at is null)",
            (spec.system, spec.name),
        ).fetchone()
    return extract_and_load(source, conn, spec, night) if row and row[0] else None
