"""Checksums of tables: equal content gives an equal checksum, on any server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
}


def table_checksum(
    conn: psycopg.Connection[Any],
    schema: str,
    table: str,
    key_columns: Sequence[str] = (),
    *,
    with_private: bool = False,
) -> str:
    """SHA-256 (hexadecimal) of a table's rows, ordered by key, in canonical text.

    Columns whose name starts with ``_`` are left out unless ``with_private``; they may
    still be keys. The columns are taken by name, so that their physical order does not
    matter; rows with equal keys, and all rows where no key is given, are ordered by their
    text. The rows are streamed: memory does not depend on the table's size.

    Raises:
        LookupError: there is no such table, or it has no such key column.
    """
    with conn.transaction():
        for name, value in _SETTINGS.items():
            conn.execute("select set_config(%s, %s, true)", (name, value))
        names = _columns(conn, schema, table)
        missing = set(key_columns) - set(names)
        if missing:
            raise LookupError(f"{schema}.{table} has no columns {sorted(missing)}")
        kept = [name for name in names if with_private or not name.startswith("_")]
        digest = hashlib.sha256("\t".join(kept).encode() + b"\n")
        texts = sql.SQL(", ").join(_text(name) for name in kept)
        order = sql.SQL(", ").join(_text(name, 'collate "C"') for name in [*key_columns, *kept])
        query = sql.SQL("copy (select {} from {} order by {}) to stdout").format(
            texts, sql.Identifier(schema, table), order
        )
        with conn.cursor() as cursor, cursor.copy(query) as copy:
            for block in copy:
                digest.update(block)
    return digest.hexdigest()


def _columns(conn: psycopg.Connection[Any], schema: str, table: str) -> list[str]:
    rows = conn.execute(
        """
        select a.attname from pg_attribute a
        where a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))
            and a.attnum > 0 and not a.attisdropped
        order by a.attname collate "C"
        """,
        (schema, table),
    ).fetchall()
    if not rows:
        raise LookupError(f"there is no table {schema}.{table}")
    return [str(name) for (name,) in rows]


def _text(name: str, suffix: str = "") -> sql.Composed:
    return sql.SQL("{}::text {}").format(sql.Identifier(name), sql.SQL(suffix))
