"""Migrations of the MySQL shop (MySQL 8 and MariaDB 10.6 alike)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import MySQLdb.connections

from ddl.files import FOLDER, migrations

LOCK_SECONDS = 60


def migrate_mysql(
    conn: MySQLdb.connections.Connection, folder: Path = FOLDER / "mysql"
) -> list[str]:
    """Apply what is new of ``ddl/mysql``; returns the new names.

    MySQL commits every ``create`` by itself, so a file cut off half-way is simply run
    again: its statements say ``if not exists``.

    Raises:
        MigrationChangedError: an applied file was edited.
        TimeoutError: another migrator holds the database for over a minute.
    """
    done = []
    with closing(conn.cursor()) as cursor:
        cursor.execute(
            "select get_lock(concat('amato_migrations.', database()), %s)", (LOCK_SECONDS,)
        )
        if cursor.fetchall() != ((1,),):
            raise TimeoutError("another process is migrating this MySQL database: try again later")
        try:
            cursor.execute(
                "create table if not exists amato_migrations"
                " (name varchar(200) not null primary key, sha256 char(64) not null)"
                " engine = innodb"
            )
            cursor.execute("select name, sha256 from amato_migrations")
            applied = dict(cursor.fetchall())
            for migration in migrations(folder, "sql"):
                if migration.name in applied:
                    migration.check(applied[migration.name])
                    continue
                for statement in statements(migration.text):
                    cursor.execute(statement)
                cursor.execute(
                    "insert into amato_migrations values (%s, %s)",
                    (migration.name, migration.sha256),
                )
                conn.commit()  # type: ignore[no-untyped-call]
                done.append(migration.name)
        finally:
            cursor.execute("select release_lock(concat('amato_migrations.', database()))")
            cursor.fetchall()
    return done


def statements(text: str) -> list[str]:
    """Split a file at the semicolons that end a line; whole-line comments are dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";\n") if lines else []
    return [part.strip().removesuffix(";") for part in parts if part.strip()]
