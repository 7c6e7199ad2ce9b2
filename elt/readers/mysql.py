"""Reads MySQL (or MariaDB) tables: unbuffered raw bytes in one consistent snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any, TypeAlias

from elt.batch import Batch, Window
from elt.readers.rows import Layout, Row, SourceColumn, batches
from elt.specs import TableSpec
from elt.values import Kind

# An open MySQLdb.connections.Connection: its stubs leave half of its methods untyped.
Connection: TypeAlias = Any

# Fetched at once, so that even rows of the largest size stay few in memory.
FETCH_ROWS = 20

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"), "int"),
    **dict.fromkeys(("float", "double"), "float"),
    "decimal": "decimal",
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"), "text"
    ),
    "date": "date",
    **dict.fromkeys(("datetime", "timestamp"), "datetime"),
    "json": "json",
    **dict.fromkeys(("time", "uuid", "inet4", "inet6"), "other"),
}


def extract(client: Connection, spec: TableSpec, window: Window) -> Iterator[Batch]:
    """Read the whole table; rows from ``window.end`` on are counted and held.

    The connection's session settings (time zone, isolation level, result encoding) and
    any open transaction do not survive the read.

    Raises:
        SourceError: the table is missing, or lacks its key.
    """
    types = _start_snapshot(client, spec)
    converter = client.converter
    try:
        columns = tuple(SourceColumn(name, _kind(type_)) for name, type_ in types)
        layout = Layout.of(spec, columns, f"{_database(client)} at {client.get_host_info()}")
        (count,) = _query(client, f"select count(*) from {_quote(spec.name)}")[0]
        client.converter = {}
        client.query(_select(spec, layout, dict(types), window))
        yield from batches(layout, _rows(client), int(count))
    finally:
        client.converter = converter
        client.rollback()


def _start_snapshot(client: Connection, spec: TableSpec) -> list[tuple[str, str]]:
    client.rollback()
    client.set_character_set("utf8mb4")
    _query(client, "set session time_zone = '+00:00'")
    _query(client, "set session transaction isolation level repeatable read")
    # A lock on the definition, held until the snapshot ends, would need a read of the table
    # first; MySQL fails a read whose table was altered after the snapshot, so none is missed.
    _query(client, "start transaction with consistent snapshot, read only")
    return _query(
        client,
        "select column_name, data_type from information_schema.columns"
        " where table_schema = database() and table_name = %s order by ordinal_position",
        spec.name,
    )


def _select(spec: TableSpec, layout: Layout, types: dict[str, str], window: Window) -> bytes:
    expressions = [_expression(column.name, types[column.name]) for column in layout.columns]
    held = "0"
    if layout.cursor is not None:
        end = window.end.astimezone(UTC).replace(tzinfo=None)
        held = f"coalesce({_quote(layout.cursor.name)} >= '{end.isoformat(' ')}', 0)"
    return f"select {', '.join(expressions)}, {held} from {_quote(spec.name)}".encode()


def _expression(name: str, data_type: str) -> str:
    """Select a column so that nothing of its value is lost on the wire."""
    if data_type == "bit":
        return f"{_quote(name)} + 0"
    if data_type == "float":
        # A float is sent with six digits; as a double it is sent with all.
        return f"{_quote(name)} + 0e0"
    return _quote(name)


def _rows(client: Connection) -> Iterator[Row]:
    result = client.use_result()
    try:
        while rows := result.fetch_row(FETCH_ROWS, 0):
            yield from rows
    finally:
        # What is left has to be drained before the connection can be used again.
        result.discard()


def _kind(data_type: str) -> Kind:
    return _KINDS.get(data_type, "bytes")


def _database(client: Connection) -> str:
    (name,) = _query(client, "select database()")[0]
    return f"MySQL database {name!r}"


def _query(client: Connection, query: str, *params: str) -> list[Any]:
    cursor = client.cursor()
    try:
        cursor.execute(query, params or None)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
