"""Writes a world's shop into MySQL, in one transaction with its marker."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from data_generators.marker import MARKER, Action, Marker, decide
from data_generators.rows import sql_rows
from data_generators.world import World, WorldArgs
from elt.specs import MYSQL

if TYPE_CHECKING:
    import MySQLdb.connections

LOCK_SECONDS = 600


def check_mysql(conn: MySQLdb.connections.Connection, args: WorldArgs) -> Action:
    """Say what writing would do, without changing anything.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows, and no marker.
    """
    with closing(conn.cursor()) as cursor:
        action = _check(cursor, args)
    conn.rollback()  # type: ignore[no-untyped-call]
    return action


def write_mysql(conn: MySQLdb.connections.Connection, world: World) -> dict[str, int]:
    """Write the six tables unless they are there; returns the rows of each.

    Raises:
        WorldMismatchError: there is a world of other arguments.
        ForeignDataError: there are rows, and no marker.
        TimeoutError: another process has been writing for ten minutes.
    """
    conn.rollback()  # type: ignore[no-untyped-call]
    with closing(conn.cursor()) as cursor:
        cursor.execute("select get_lock(concat('amato_world.', database()), %s)", (LOCK_SECONDS,))
        if cursor.fetchall() != ((1,),):
            raise TimeoutError("another process is writing into this MySQL database: try later")
        try:
            if _check(cursor, world.args) != "nothing":
                _write(cursor, world)
            conn.commit()  # type: ignore[no-untyped-call]
        except BaseException:
            conn.rollback()  # type: ignore[no-untyped-call]
            raise
        finally:
            cursor.execute("select release_lock(concat('amato_world.', database()))")
            cursor.fetchall()
    return {spec.name: world.rows[spec.name] for spec in MYSQL}


def _check(cursor: Any, args: WorldArgs) -> Action:
    cursor.execute(
        "select count(*) from information_schema.tables"
        " where table_schema = database() and table_name = %s",
        (MARKER,),
    )
    found = None
    if cursor.fetchone()[0]:
        cursor.execute(f"select seed, scale, days, as_of, state from {MARKER}")
        row = cursor.fetchone()
        found = None if row is None else Marker(*row)
    filled = []
    for spec in MYSQL:
        cursor.execute(f"select exists (select 1 from {spec.name})")
        if cursor.fetchone()[0]:
            filled.append(spec.name)
    return decide("the MySQL shop", args, found, filled)


def _write(cursor: Any, world: World) -> None:
    # MySQL commits by itself at a create, so the table comes before the transaction.
    cursor.execute(
        f"create table if not exists {MARKER} (seed varchar(40), scale varchar(40),"
        " days varchar(40), as_of varchar(40), state varchar(20)) engine = innodb"
    )
    cursor.execute("start transaction")
    cursor.execute(f"delete from {MARKER}")
    for spec in MYSQL:
        cursor.execute(f"delete from {spec.name}")
        names = ", ".join(column.name for column in spec.all_columns)
        marks = ", ".join(["%s"] * len(spec.all_columns))
        for rows in sql_rows(spec, world.tables[spec.name]):
            cursor.executemany(f"insert into {spec.name} ({names}) values ({marks})", rows)
    marker = Marker.of(world.args, "complete")
    cursor.execute(
        f"insert into {MARKER} (seed, scale, days, as_of, state) values (%s, %s, %s, %s, %s)",
        (marker.seed, marker.scale, marker.days, marker.as_of, marker.state),
    )
