"""Open source databases, and everything that they hold as one value to compare."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pymongo
from bson.raw_bson import RawBSONDocument
from psycopg import sql
from pymongo.database import Database

from ddl.migrate import connect_mysql
from elt.specs import MONGO, MYSQL, POSTGRES

FreshSources = Callable[[], AbstractContextManager[dict[str, str]]]
MARKER = "amato_world"


@dataclass(frozen=True)
class Sources:
    """Open connections to three source databases."""

    urls: dict[str, str]
    mysql: Any
    postgres: psycopg.Connection[Any]
    mongo: Database[dict[str, Any]]

    def all(self) -> dict[str, Any]:
        """The arguments of ``generate``."""
        return {"mysql": self.mysql, "postgres": self.postgres, "mongo": self.mongo}

    def counts(self) -> dict[str, int]:
        """The rows of each table, as the servers count them."""
        return {name: count for name, (count, _) in self.content().items() if name != MARKER}

    def content(self) -> dict[str, tuple[int, str]]:
        """Of each table, and of the marker's: the number of rows, and the hash of all of them.

        Rows are in the order of their keys, and each is hashed with its key.
        """
        found = {spec.name: digest(self.mysql_rows(spec.name)) for spec in MYSQL}
        found |= {spec.name: digest(self.postgres_rows(spec.name)) for spec in POSTGRES}
        found |= {spec.name: digest(self.documents(spec.name)) for spec in MONGO}
        return found

    def markers(self) -> list[dict[str, Any]]:
        """The marker of each database that has one."""
        self.mysql.rollback()
        found: list[dict[str, Any]] = []
        with closing(self.mysql.cursor()) as cursor:
            cursor.execute(f"show tables like '{MARKER}'")
            if cursor.fetchall():
                cursor.execute(f"select * from {MARKER}")
                names = [column[0] for column in cursor.description]
                found += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if self.one("select to_regclass('amato_world')") is not None:
            with self.postgres.cursor(row_factory=psycopg.rows.dict_row) as marker:
                found += marker.execute(f"select * from {MARKER}").fetchall()
            self.postgres.rollback()
        return found + list(self.mongo[MARKER].find({}, {"_id": 0}))

    def mysql_rows(self, table: str) -> Iterator[bytes]:
        """The rows as they are stored: dates as text, because some are none."""
        self.mysql.rollback()
        with closing(self.mysql.cursor()) as cursor:
            cursor.execute(
                "select column_name from information_schema.columns"
                " where table_schema = database() and table_name = %s order by ordinal_position",
                (table,),
            )
            names = ", ".join(f"cast({name} as char)" for (name,) in cursor.fetchall())
            cursor.execute(f"select {names} from {table} order by row_id")
            for row in cursor.fetchall():
                yield repr(row).encode()

    def postgres_rows(self, table: str) -> Iterator[bytes]:
        """The rows as the server writes them out."""
        rows = sql.SQL("select t::text from {} t order by row_id").format(sql.Identifier(table))
        for (row,) in self.postgres.execute(rows).fetchall():
            yield row.encode()
        self.postgres.rollback()

    def documents(self, collection: str) -> Iterator[bytes]:
        """The documents' own bytes."""
        raw = self.mongo[collection].with_options(
            codec_options=self.mongo.codec_options.with_options(document_class=RawBSONDocument)
        )
        for document in raw.find().sort("_id"):
            yield bytes(document.raw)

    def query(self, statement: str) -> Any:
        """One value from MySQL."""
        self.mysql.rollback()
        with closing(self.mysql.cursor()) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()[0][0]

    def one(self, statement: str) -> Any:
        """One value from PostgreSQL."""
        row = self.postgres.execute(statement.encode()).fetchone()
        self.postgres.rollback()
        assert row is not None
        return row[0]

    def writes(self) -> list[Any]:
        """What changes with every physical write, even of the very same content."""
        versions = [
            self.one(
                f"select coalesce(array_agg(xmin::text order by row_id), '{{}}') from {s.name}"
            )
            for s in POSTGRES
        ]
        oplog = self.mongo.client["local"]["oplog.rs"]
        operations = oplog.count_documents({"ns": {"$regex": f"^{self.mongo.name}\\."}})
        pages = self.query(
            "select group_concat(concat(table_name, update_time) order by table_name)"
            " from information_schema.tables where table_schema = database()"
        )
        return [versions, operations, pages]


def digest(rows: Iterator[bytes]) -> tuple[int, str]:
    """The number of rows, and the hash of them all."""
    count, found = 0, hashlib.sha256()
    for row in rows:
        count += 1
        found.update(len(row).to_bytes(8, "big") + row)
    return count, found.hexdigest()


@contextmanager
def open_sources(urls: dict[str, str]) -> Iterator[Sources]:
    """Connections as the task that generates has them."""
    with ExitStack() as stack:
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(urls["mongo"])
        stack.enter_context(client)
        yield Sources(
            urls,
            stack.enter_context(closing(connect_mysql(urls["mysql"], local_infile=True))),
            stack.enter_context(psycopg.connect(urls["postgres"])),
            client.get_default_database(),
        )
