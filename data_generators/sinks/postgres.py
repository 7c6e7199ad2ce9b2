"""Writes marketing into PostgreSQL by COPY, in one transaction with its marker."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from data_generators.sinks.changes import Changes, changes, size
from data_generators.sinks.marker import MARKER, ForeignDataError, Marker, check_foreign, plan
from data_generators.sinks.progress import Progress
from data_generators.sinks.sql_text import encode_rows
from data_generators.sinks.tables import Source
from data_generators.tables.rows import PlantedRows
from elt.specs import POSTGRES, TableSpec

Connection = psycopg.Connection[Any]

WHERE = "the PostgreSQL marketing database"
# Any fixed number will do: it keeps two writers of one database apart.
LOCK = 720_415_002
CHANGED = sql.Identifier("pg_temp", "amato_changed")

HAS_MARKER = """
select exists (select from information_schema.tables
    where table_schema = current_schema() and table_name = {})
"""
REPLACE = """
insert into {table} ({names}) select {names} from {changed}
on conflict ({key}) do update set {updates}
where ({old}) is distinct from ({new})
"""
CONTINUE_IDENTITY = """
select setval(seq, greatest(last, pg_sequence_last_value(seq)))
from (select max({key}) as last, pg_get_serial_sequence({name}, {key_name})::regclass as seq
      from {table}) as ids
where last is not null
"""


def postgres_marker(conn: Connection) -> Marker | None:
    """The marker of the world in the database; None in an empty one. Changes nothing.

    Raises:
        ForeignDataError: there are rows, and no marker.
        WorldMismatchError: an earlier version of AMATO has made the world.
    """
    with conn.transaction():
        return _marker(conn)


def write_postgres(conn: Connection, wanted: Marker, tables: tuple[Source, ...]) -> bool:
    """Bring the database up to ``wanted``; returns whether anything had to be written.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows that this world has not made.
        psycopg.errors.DataError: a value does not fit its column.
    """
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        conn.execute("set local time zone 'UTC'")
        todo = plan(WHERE, _marker(conn), wanted)
        if todo.write:
            for source in tables:
                _write(conn, source, todo.since, date.fromisoformat(wanted.until))
            _put_marker(conn, wanted)
    if conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        conn.commit()  # the caller had a transaction open, of which ours was a part
    return todo.write


def count_postgres(conn: Connection) -> dict[str, int]:
    """The rows of each table."""
    with conn.transaction():
        return {
            spec.name: int(_value(conn, sql.SQL("select count(*) from {}").format(_table(spec))))
            for spec in POSTGRES
        }


def _marker(conn: Connection) -> Marker | None:
    found = None
    # Not by to_regclass: it may still remember that there was none before the lock was ours.
    if _value(conn, sql.SQL(HAS_MARKER).format(MARKER)):
        cursor = conn.execute(f"select * from {MARKER}")
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        for row in cursor.fetchall():
            found = Marker.read(WHERE, dict(zip(names, row, strict=True)))
    filled = [
        spec.name
        for spec in POSTGRES
        if _value(conn, sql.SQL("select exists (select from {})").format(_table(spec)))
    ]
    check_foreign(WHERE, found, filled)
    return found


def _put_marker(conn: Connection, marker: Marker) -> None:
    stored = marker.stored()
    columns = ", ".join(f"{name} text not null" for name in stored)
    conn.execute(f"create table if not exists {MARKER} ({columns})")
    conn.execute(f"delete from {MARKER}")
    marks = ", ".join(["%s"] * len(stored))
    conn.execute(
        f"insert into {MARKER} ({', '.join(stored)}) values ({marks})", list(stored.values())
    )


def _write(conn: Connection, source: Source, since: date | None, until: date) -> None:
    progress = Progress(source.spec.name, source.total)
    start = None if since is None else np.datetime64(since, "s")
    for planted in source.rows():
        found = changes(planted, start, np.datetime64(until, "s"))
        _apply(conn, source.spec, found)
        progress.add(size(planted), size(found.new), size(found.changed), len(found.gone))
    # The rows bring their own row_id: what is added by hand later must go on after them.
    table, key = _table(source.spec), source.spec.key.name
    conn.execute(
        sql.SQL(CONTINUE_IDENTITY).format(
            table=table, key=sql.Identifier(key), name=source.spec.name, key_name=key
        )
    )
    progress.done()


def _apply(conn: Connection, spec: TableSpec, found: Changes) -> None:
    if found.gone:
        conn.execute(
            sql.SQL("delete from {} where {} = any(%s)").format(
                _table(spec), sql.Identifier(spec.key.name)
            ),
            (found.gone,),
        )
    try:
        _copy(conn, _table(spec), spec, found.new)
    except psycopg.errors.UniqueViolation as error:
        raise ForeignDataError(
            f"{WHERE} has rows of its own in {spec.name}, with row ids that new rows of this world "
            f"need ({error.diag.message_detail}): nothing was written"
        ) from error
    if size(found.changed):
        _replace(conn, spec, found.changed)


def _copy(conn: Connection, table: sql.Composable, spec: TableSpec, rows: PlantedRows) -> None:
    if not size(rows):
        return
    statement = sql.SQL("copy {} ({}) from stdin").format(table, _names(spec))
    with conn.cursor().copy(statement) as copy:
        copy.write(encode_rows(rows))


def _replace(conn: Connection, spec: TableSpec, rows: PlantedRows) -> None:
    """Give rows their new content; those that have it already are not touched."""
    table = _table(spec)
    conn.execute(sql.SQL("create temporary table amato_changed (like {})").format(table))
    _copy(conn, CHANGED, spec, rows)
    columns = [sql.Identifier(column.name) for column in spec.columns]

    def each(template: str) -> sql.Composed:
        part = sql.SQL(template)
        return sql.SQL(", ").join(part.format(c=column, t=table) for column in columns)

    conn.execute(
        sql.SQL(REPLACE).format(
            table=table,
            names=_names(spec),
            changed=CHANGED,
            key=sql.Identifier(spec.key.name),
            updates=each("{c} = excluded.{c}"),
            old=each("{t}.{c}"),
            new=each("excluded.{c}"),
        )
    )
    conn.execute("drop table pg_temp.amato_changed")


def _table(spec: TableSpec) -> sql.Identifier:
    return sql.Identifier(spec.name)


def _names(spec: TableSpec) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in spec.all_columns)


def _value(conn: Connection, query: sql.Composed) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else row[0]
