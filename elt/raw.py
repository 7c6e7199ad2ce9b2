"""The raw tables' DDL: one table for each source table, with its versions."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from elt.specs import SPECS, TableSpec


def ensure_raw(conn: psycopg.Connection[Any]) -> None:
    """Create every raw table that is missing, owned by ``amato_loader``."""
    with conn.transaction():
        conn.execute("set local role amato_loader")
        # "if not exists" alone is no defence against two sessions that create at once.
        conn.execute("select pg_advisory_xact_lock(hashtextextended('amato.ensure_raw', 0))")
        for spec in SPECS:
            for statement in raw_ddl(spec):
                conn.execute(statement)


def raw_table(spec: TableSpec) -> sql.Identifier:
    """The quoted, schema-qualified name of the raw table."""
    return sql.Identifier(spec.raw_schema, spec.name)


def column_list(spec: TableSpec, prefix: str = "") -> sql.Composed:
    """The key, the declared columns and ``_extra``, quoted, comma-separated."""
    names = [*(column.name for column in spec.all_columns), "_extra"]
    quoted = (sql.SQL(prefix) + sql.Identifier(name) for name in names)
    return sql.SQL(", ").join(quoted)


def raw_ddl(spec: TableSpec) -> tuple[sql.Composed, sql.Composed]:
    """The statements that create one raw table, and drop the index that older ones have."""
    key = sql.Identifier(spec.key.name)
    columns = sql.SQL(",\n    ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
        for column in spec.columns
    )
    table = sql.SQL("""
        create table if not exists {table} (
            {key} {key_type} not null,
            {columns},
            _extra jsonb,
            _batch_id bigint not null,
            _valid_from date not null,
            _valid_to date,
            primary key ({key}, _valid_from),
            check (_valid_to > _valid_from)
        )
    """).format(table=raw_table(spec), key=key, key_type=sql.SQL(spec.key.type), columns=columns)
    # That a key has one live version at most, every load proves: an index costs more.
    index = sql.SQL("drop index if exists {}").format(
        sql.Identifier(spec.raw_schema, f"{spec.name}_live")
    )
    return table, index
