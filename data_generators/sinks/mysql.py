"""Writes the shop into MySQL by LOAD DATA, in one transaction with its marker.

The lines go through a private temporary file: the client library reads local files only.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_generators.sinks.background import Background
from data_generators.sinks.changes import changes, size
from data_generators.sinks.marker import MARKER, ForeignDataError, Marker, check_foreign, plan
from data_generators.sinks.progress import Progress
from data_generators.sinks.sql_text import encode_rows
from data_generators.sinks.tables import Source
from data_generators.tables.rows import PlantedRows
from elt.specs import MYSQL, TableSpec

if TYPE_CHECKING:
    import MySQLdb.connections

WHERE = "the MySQL shop"
LOCK_SECONDS = 600
#: Without NO_ZERO_DATE: dirty sources have such dates. What does not fit is an error below.
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO"
DUPLICATE_KEY = 1062
LOCAL_INFILE_DISABLED = (1148, 2068, 3948, 4166)
DELETE_AT_ONCE = 1_000


class AlteredValueError(RuntimeError):
    """The server would have stored something else than what it was given."""


def mysql_marker(conn: MySQLdb.connections.Connection) -> Marker | None:
    """The marker of the world in the shop; None in an empty database. Changes nothing.

    Raises:
        ForeignDataError: there are rows, and no marker.
        WorldMismatchError: an earlier version of AMATO has made the world.
    """
    with closing(conn.cursor()) as cursor:
        found = _marker(cursor)
    conn.rollback()  # type: ignore[no-untyped-call]
    return found


def write_mysql(
    conn: MySQLdb.connections.Connection, wanted: Marker, tables: tuple[Source, ...]
) -> bool:
    """Bring the shop up to ``wanted``; returns whether anything had to be written.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows that this world has not made.
        AlteredValueError: a value does not fit its column.
        TimeoutError: another process has been writing for ten minutes.
    """
    conn.rollback()  # type: ignore[no-untyped-call]
    with closing(conn.cursor()) as cursor, _session(cursor):
        try:
            todo = plan(WHERE, _marker(cursor), wanted)
            if todo.write:
                _create_marker(cursor)
                cursor.execute("start transaction")
                for source in tables:
                    _write(conn, source, todo.since, date.fromisoformat(wanted.until))
                _put_marker(cursor, wanted)
            conn.commit()  # type: ignore[no-untyped-call]
        except BaseException:
            conn.rollback()  # type: ignore[no-untyped-call]
            raise
    return todo.write


def count_mysql(conn: MySQLdb.connections.Connection) -> dict[str, int]:
    """The rows of each table."""
    counts = {}
    with closing(conn.cursor()) as cursor:
        for spec in MYSQL:
            cursor.execute(f"select count(*) from {spec.name}")
            counts[spec.name] = int(cursor.fetchall()[0][0])
    conn.rollback()  # type: ignore[no-untyped-call]
    return counts


@contextmanager
def _session(cursor: Any) -> Iterator[None]:
    """One writer at a time, and the session's mode as writing needs it."""
    cursor.execute("select get_lock(concat('amato_world.', database()), %s)", (LOCK_SECONDS,))
    if cursor.fetchall() != ((1,),):
        raise TimeoutError("another process is writing into this MySQL database: try later")
    cursor.execute("select @@session.sql_mode")
    (mode,) = cursor.fetchall()[0]
    cursor.execute("set session sql_mode = %s", (SQL_MODE,))
    try:
        yield
    finally:
        cursor.execute("set session sql_mode = %s", (mode,))
        cursor.execute("select release_lock(concat('amato_world.', database()))")
        cursor.fetchall()


def _marker(cursor: Any) -> Marker | None:
    cursor.execute(
        "select count(*) from information_schema.tables"
        " where table_schema = database() and table_name = %s",
        (MARKER,),
    )
    found = None
    if cursor.fetchall()[0][0]:
        cursor.execute(f"select * from {MARKER}")
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            found = Marker.read(WHERE, dict(zip(names, row, strict=True)))
    filled = []
    for spec in MYSQL:
        cursor.execute(f"select exists (select 1 from {spec.name})")
        if cursor.fetchall()[0][0]:
            filled.append(spec.name)
    check_foreign(WHERE, found, filled)
    return found


def _create_marker(cursor: Any) -> None:
    # MySQL commits by itself at a create, so the table comes before the transaction.
    columns = ", ".join(f"{name} text not null" for name in Marker.__dataclass_fields__)
    cursor.execute(f"create table if not exists {MARKER} ({columns}) engine = innodb")


def _put_marker(cursor: Any, marker: Marker) -> None:
    stored = marker.stored()
    cursor.execute(f"delete from {MARKER}")
    marks = ", ".join(["%s"] * len(stored))
    cursor.execute(
        f"insert into {MARKER} ({', '.join(stored)}) values ({marks})", tuple(stored.values())
    )


def _write(
    conn: MySQLdb.connections.Connection, source: Source, since: date | None, until: date
) -> None:
    progress = Progress(source.spec.name, source.total)
    start = None if since is None else np.datetime64(since, "s")
    with tempfile.TemporaryDirectory(prefix="amato-") as folder, Background(1, 1) as background:
        for number, planted in enumerate(source.rows()):
            found = changes(planted, start, np.datetime64(until, "s"))
            file = Path(folder) / str(number)
            background.submit(_apply, conn, source.spec, file, found.new, found.changed, found.gone)
            progress.add(size(planted), size(found.new), size(found.changed), len(found.gone))
    progress.done()


def _apply(
    conn: MySQLdb.connections.Connection,
    spec: TableSpec,
    file: Path,
    new: PlantedRows,
    changed: PlantedRows,
    gone: list[int],
) -> None:
    with closing(conn.cursor()) as cursor:
        for at in range(0, len(gone), DELETE_AT_ONCE):
            keys = ", ".join(map(str, gone[at : at + DELETE_AT_ONCE]))
            cursor.execute(f"delete from {spec.name} where {spec.key.name} in ({keys})")
        _load(conn, cursor, spec, file, new, "")
        _load(conn, cursor, spec, file, changed, "replace")


def _load(
    conn: MySQLdb.connections.Connection,
    cursor: Any,
    spec: TableSpec,
    file: Path,
    rows: PlantedRows,
    how: str,
) -> None:
    """Load rows; ``how`` is ``replace``, or empty where none of them may exist."""
    if not size(rows):
        return
    file.write_bytes(encode_rows(rows))
    names = ", ".join(column.name for column in spec.all_columns)
    try:
        cursor.execute(
            f"load data local infile '{_quoted(file)}' {how} into table {spec.name}"
            " character set utf8mb4 fields terminated by '\\t' escaped by '\\\\'"
            f" lines terminated by '\\n' ({names})"
        )
    except Exception as error:
        if error.args and error.args[0] in LOCAL_INFILE_DISABLED:
            raise RuntimeError(
                "the MySQL server or this connection refuses LOAD DATA LOCAL: start the server "
                "with --local-infile=1 and connect with local_infile"
            ) from error
        raise
    finally:
        file.unlink()
    _check_loaded(conn, cursor, spec, size(rows))


def _check_loaded(
    conn: MySQLdb.connections.Connection, cursor: Any, spec: TableSpec, expected: int
) -> None:
    """Raise unless every line became a row as it was.

    With LOCAL, the server turns errors into warnings: it shortens, adjusts and skips.
    """
    info = conn.info() or ""  # type: ignore[no-untyped-call]
    counts = {name: int(count) for name, count in re.findall(r"(\w+): (\d+)", info)}
    if counts.get("Records") == expected and not counts["Skipped"] and not counts["Warnings"]:
        return
    cursor.execute("show warnings limit 5")
    warnings = cursor.fetchall()
    if any(code == DUPLICATE_KEY for _, code, _ in warnings):
        raise ForeignDataError(
            f"{WHERE} has rows of its own in {spec.name}, with row ids that new rows of this world "
            f"need ({warnings[0][2]}): nothing was written"
        )
    raise AlteredValueError(
        f"{spec.name}: {info or 'the server says nothing'}, not {expected} sound rows: "
        + "; ".join(message for _, _, message in warnings)
    )


def _quoted(file: Path) -> str:
    return str(file).replace("\\", "\\\\").replace("'", "\\'")
