"""Writes a world's marketing into PostgreSQL, in one transaction with its marker."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from data_generators.marker import MARKER, Action, Marker, decide
from data_generators.rows import sql_rows
from data_generators.world import World, WorldArgs
from elt.specs import POSTGRES, TableSpec

Connection = psycopg.Connection[Any]

# Any fixed number will do: it keeps two writers of one database apart.
LOCK = 720_415_002


def check_postgres(conn: Connection, args: WorldArgs) -> Action:
    """Say what writing would do, without changing anything.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows, and no marker.
    """
    with conn.transaction():
        return _check(conn, args)


def write_postgres(conn: Connection, world: World) -> dict[str, int]:
    """Write the four tables unless they are there; returns the rows of each.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows, and no marker.
    """
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
        conn.execute("set local time zone 'UTC'")
        if _check(conn, world.args) != "nothing":
            _write(conn, world)
    if conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        conn.commit()
    return {spec.name: world.rows[spec.name] for spec in POSTGRES}


def _check(conn: Connection, args: WorldArgs) -> Action:
    found = None
    if _value(conn, sql.SQL("select to_regclass({})").format(MARKER)) is not None:
        row = conn.execute(f"select seed, scale, days, as_of, state from {MARKER}").fetchone()
        found = None if row is None else Marker(*row)
    filled = [
        spec.name
        for spec in POSTGRES
        if _value(conn, sql.SQL("select exists (select from {})").format(sql.Identifier(spec.name)))
    ]
    return decide("the PostgreSQL marketing database", args, found, filled)


def _write(conn: Connection, world: World) -> None:
    conn.execute(
        f"create table if not exists {MARKER}"
        " (seed text, scale text, days text, as_of text, state text)"
    )
    conn.execute(f"delete from {MARKER}")
    for spec in POSTGRES:
        conn.execute(sql.SQL("delete from {}").format(sql.Identifier(spec.name)))
        _copy(conn, spec, world)
    marker = Marker.of(world.args, "complete")
    conn.execute(
        f"insert into {MARKER} values (%s, %s, %s, %s, %s)",
        (marker.seed, marker.scale, marker.days, marker.as_of, marker.state),
    )


def _copy(conn: Connection, spec: TableSpec, world: World) -> None:
    names = [column.name for column in spec.all_columns]
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(spec.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with conn.cursor().copy(statement) as copy:
        for rows in sql_rows(spec, world.tables[spec.name]):
            for row in rows:
                copy.write_row(row)
    # The rows bring their own row_id: what is added later must go on after them.
    conn.execute(
        sql.SQL(
            "select setval(pg_get_serial_sequence({}, 'row_id'), (select max(row_id) from {}))"
        ).format(spec.name, sql.Identifier(spec.name))
    )


def _value(conn: Connection, query: sql.Composed) -> Any:
    row = conn.execute(query).fetchone()
    return None if row is None else row[0]
