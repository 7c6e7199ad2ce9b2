"""Applies the numbered migrations: ``python -m ddl.migrate [target ...]``.

Each database keeps the names and hashes of the files that it has had, in
``amato_migrations``; applying again does only what is new. Targets are warehouse, mysql,
postgres and mongo (without one, all four); their addresses come from WAREHOUSE_URL,
MYSQL_URL, MARKETING_URL and MONGO_URL.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import unquote, urlsplit

import MySQLdb
import psycopg
import pymongo

from ddl.files import MigrationChangedError
from ddl.mongo_schema import migrate_mongo
from ddl.mysql_schema import migrate_mysql
from ddl.postgres_schema import migrate_postgres, migrate_warehouse
from ddl.roles import MissingRightError

__all__ = [
    "MigrationChangedError",
    "MissingRightError",
    "connect_mysql",
    "migrate_mongo",
    "migrate_mysql",
    "migrate_postgres",
    "migrate_warehouse",
]

URLS = {
    "warehouse": "WAREHOUSE_URL",
    "mysql": "MYSQL_URL",
    "postgres": "MARKETING_URL",
    "mongo": "MONGO_URL",
}


def connect_mysql(url: str, *, local_infile: bool = False) -> MySQLdb.connections.Connection:
    """Open ``mysql://user:password@host:port/database``; times in UTC, text in utf8mb4.

    With ``local_infile`` the server may ask for files of this machine: only to write into it.
    """
    parts = urlsplit(url)
    return MySQLdb.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
        charset="utf8mb4",
        init_command="set time_zone = '+00:00'",
        local_infile=int(local_infile),
    )


def migrate(target: str, url: str) -> list[str]:
    """Migrate one of ``warehouse``, ``mysql``, ``postgres``, ``mongo``; returns what was new."""
    if target == "mysql":
        with closing(connect_mysql(url)) as shop:
            return migrate_mysql(shop)
    if target == "mongo":
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(url)
        with client:
            return migrate_mongo(client.get_default_database())
    with psycopg.connect(url, autocommit=True) as conn:
        return migrate_warehouse(conn) if target == "warehouse" else migrate_postgres(conn)


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate the named databases, or all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ddl.migrate", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(URLS))
    targets = parser.parse_args(arguments).targets or list(URLS)
    for target in targets:
        if target not in URLS:
            parser.error(f"unknown target {target!r}: choose from {', '.join(URLS)}")
        if not os.environ.get(URLS[target]):
            parser.error(f"{URLS[target]} is not set: it is the address of {target}")
    for target in targets:
        try:
            applied = migrate(target, os.environ[URLS[target]])
        except (MigrationChangedError, MissingRightError) as error:
            print(f"{target}: {error}", file=sys.stderr)
            return 1
        print(f"{target}: {', '.join(applied) if applied else 'nothing new'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
