"""Migrations of the two PostgreSQL databases: the warehouse and marketing."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from ddl.files import FOLDER, Migration, migrations
from ddl.roles import ensure_roles

Connection = psycopg.Connection[tuple[object, ...]]

# Any fixed number will do: it keeps two migrators of one database apart.
LOCK = 720_415_001


def migrate_warehouse(
    conn: Connection, grant_to: str | None = None, folder: Path = FOLDER / "warehouse"
) -> list[str]:
    """Make the roles, and apply what is new of ``ddl/warehouse``; returns the new names.

    ``grant_to`` is the login that becomes a member of the five roles (the current login
    always does).

    Raises:
        MissingRightError: the login lacks a right; the message names it.
        MigrationChangedError: an applied file was edited.
        ValueError: the connection is inside a transaction.
    """
    _require_idle(conn)
    with conn.transaction():
        ensure_roles(conn, grant_to)
    return _apply(conn, folder, "elt")


def migrate_postgres(conn: Connection, folder: Path = FOLDER / "postgres") -> list[str]:
    """Apply what is new of ``ddl/postgres`` (marketing); returns the new names.

    Raises:
        MigrationChangedError: an applied file was edited.
        ValueError: the connection is inside a transaction.
    """
    _require_idle(conn)
    with conn.transaction():
        _lock(conn)
        conn.execute(
            "create table if not exists public.amato_migrations"
            " (name text primary key, sha256 text not null)"
        )
    return _apply(conn, folder, "public")


def _apply(conn: Connection, folder: Path, schema: str) -> list[str]:
    """Apply each file in a transaction of its own, together with the note that it was."""
    table = sql.Identifier(schema, "amato_migrations")
    done = []
    for migration in migrations(folder, "sql"):
        with conn.transaction():
            _lock(conn)
            applied = _applied_sha256(conn, schema, table, migration)
            if applied is not None:
                migration.check(applied)
                continue
            conn.execute(migration.text.encode())
            conn.execute(
                sql.SQL("insert into {} values (%s, %s)").format(table),
                (migration.name, migration.sha256),
            )
        done.append(migration.name)
    return done


def _applied_sha256(
    conn: Connection, schema: str, table: sql.Identifier, migration: Migration
) -> str | None:
    """The hash under which this file was applied, or None."""
    found = conn.execute("select to_regclass(%s)", (f"{schema}.amato_migrations",)).fetchone()
    if found is None or found[0] is None:
        return None
    row = conn.execute(
        sql.SQL("select sha256 from {} where name = %s").format(table), (migration.name,)
    ).fetchone()
    return None if row is None else str(row[0])


def _lock(conn: Connection) -> None:
    conn.execute("select pg_advisory_xact_lock(%s)", (LOCK,))


def _require_idle(conn: Connection) -> None:
    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("migrations need a connection that is outside a transaction")
