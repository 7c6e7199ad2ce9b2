"""One table, one night: read it from its source, load it into raw, say what was done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

import psycopg

from elt.batch import Batch, Window
from elt.loader import LoadResult, load
from elt.nights import Night
from elt.readers import mongo, mysql, postgres
from elt.specs import TableSpec

log = logging.getLogger(__name__)

Extract = Callable[[Any, TableSpec, Window], Iterator[Batch]]

_READERS: dict[str, Extract] = {
    "mysql": mysql.extract,
    "postgres": postgres.extract,
    "mongo": mongo.extract,
}


def extract_and_load(
    source: Any, conn: psycopg.Connection[Any], spec: TableSpec, night: Night
) -> LoadResult:
    """Read one table and load it.

    ``source`` is what the spec's system needs: a ``MySQLdb`` connection, a ``psycopg`` one,
    or a pymongo ``Database``. ``conn`` is the warehouse, acting as ``amato_loader``.

    Raises:
        SourceError: the source lacks the table or its key.
        CountMismatchError, StaleBatchError, TableBusyError: see :func:`elt.loader.load`.
    """
    batches = _READERS[spec.system](source, spec, night.window(spec))
    # Closing ends the source's snapshot also where the load fails in the middle.
    with closing(cast("Any", batches)):
        result = load(conn, spec, batches, night)
    log.info(
        "%s as of %s: read %d, inserted %d, updated %d, deleted %d, unchanged %d, rejected %d, "
        "waiting %d; %.1f MB in %.2f s, %.0f rows/s",
        result.table,
        night.as_of,
        result.read,
        result.inserted,
        result.updated,
        result.deleted,
        result.unchanged,
        result.rejected,
        result.held,
        result.bytes / 1e6,
        result.seconds,
        result.rows_per_second,
    )
    return result
