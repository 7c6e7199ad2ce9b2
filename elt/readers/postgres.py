"""Reads PostgreSQL tables: COPY out in one repeatable-read snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql

from elt.batch import Batch, Window, unescape
from elt.readers.rows import Layout, Row, SourceColumn, batches
from elt.specs import TableSpec
from elt.values import Kind

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("int2", "int4", "int8"), "int"),
    **dict.fromkeys(("float4", "float8"), "float"),
    "numeric": "decimal",
    "bool": "bool",
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext"), "text"),
    "bytea": "bytes",
    "date": "date",
    **dict.fromkeys(("timestamp", "timestamptz"), "datetime"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}
# Values are compared as text: it must not depend on how the server or the login is set up.
_SETTINGS = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


def extract(client: psycopg.Connection[Any], spec: TableSpec, window: Window) -> Iterator[Batch]:
    """Read the whole table; rows from ``window.end`` on are counted and held.

    Raises:
        SourceError: the table is missing, or lacks its key.
    """
    with client.transaction():
        client.execute("set transaction isolation level repeatable read, read only")
        for name, value in _SETTINGS.items():
            client.execute("select set_config(%s, %s, true)", (name, value))
        layout = Layout.of(spec, _columns(client, spec), _connection(client))
        # "only" is left out on purpose: the rows of partitions and children belong to it.
        counted = client.execute(
            sql.SQL("select count(*) from {}").format(sql.Identifier(spec.name))
        ).fetchone()
        assert counted is not None
        yield from batches(layout, _rows(client, layout, window), int(counted[0]))


def _columns(client: psycopg.Connection[Any], spec: TableSpec) -> tuple[SourceColumn, ...]:
    rows = client.execute(
        """
        select a.attname, coalesce(base.typname, t.typname),
               coalesce(base.typtype, t.typtype)
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        left join pg_type base on base.oid = nullif(t.typbasetype, 0)
        where a.attrelid = to_regclass(quote_ident(%s)) and a.attnum > 0 and not a.attisdropped
        order by a.attnum
        """,
        (spec.name,),
    ).fetchall()
    return tuple(
        SourceColumn(name, "text" if type_type == "e" else _KINDS.get(type_name, "other"))
        for name, type_name, type_type in rows
    )


def _rows(client: psycopg.Connection[Any], layout: Layout, window: Window) -> Iterator[Row]:
    held: sql.Composable = sql.SQL("0")
    if layout.cursor is not None:
        held = sql.SQL("coalesce({} >= {}::timestamptz, false)::int").format(
            sql.Identifier(layout.cursor.name), sql.Literal(window.end.isoformat())
        )
    query = sql.SQL("copy (select {}, {} from {}) to stdout").format(
        sql.SQL(", ").join(sql.Identifier(column.name) for column in layout.columns),
        held,
        sql.Identifier(layout.spec.name),
    )
    byte_places = [place for place, column in enumerate(layout.columns) if column.kind == "bytes"]
    with client.cursor() as cursor, cursor.copy(query) as copy:
        for line in _lines(copy):
            values = [unescape(field) for field in line.split(b"\t")]
            for place in byte_places:
                values[place] = _unhex(values[place])
            yield tuple(values)


def _lines(copy: psycopg.Copy) -> Iterator[bytes]:
    """Whole lines, however the server cuts its messages."""
    pending = b""
    for block in copy:
        pending += bytes(block)
        if pending.endswith(b"\n"):
            yield from pending[:-1].split(b"\n")
            pending = b""


def _unhex(value: bytes | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value[2:].decode())


def _connection(client: psycopg.Connection[Any]) -> str:
    info = client.info
    return f"PostgreSQL database {info.dbname!r} at {info.host}:{info.port}"
