"""What the benchmarks of extract and load run as processes of their own.

``python -m tests.benchmarks.elt_jobs idle|bare|load TABLE [DAY]``, with the addresses in
MYSQL_URL, MONGO_URL and WAREHOUSE_URL. MongoDB is read without the compiled extension where
``AMATO_BENCH_PYTHON_ONLY`` is set.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg import sql
from pymongo import MongoClient

from ddl.migrate import connect_mysql
from elt.batch import Window
from elt.extract_load import extract_and_load
from elt.nights import open_night
from elt.raw import column_list, raw_table
from elt.readers import mongo, mongo_documents, mysql
from elt.specs import BY_NAME, TableSpec
from tests.benchmarks.measure import tell_peak


@contextmanager
def source_of(spec: TableSpec) -> Iterator[Any]:
    """The table's database, opened."""
    if spec.system == "mysql":
        with closing(connect_mysql(os.environ["MYSQL_URL"])) as shop:
            yield shop
    else:
        with MongoClient[Any](os.environ["MONGO_URL"]) as client:
            yield client.get_default_database()


def main(job: str, table: str, day: str = "2026-01-01") -> None:
    """Do one job."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spec = BY_NAME[table]
    if os.environ.get("AMATO_BENCH_PYTHON_ONLY"):
        mongo_documents.copier = lambda: None
    with source_of(spec) as source, psycopg.connect(os.environ["WAREHOUSE_URL"]) as conn:
        if job == "idle":
            return
        if job == "load":
            night = open_night(conn, date.fromisoformat(day))
            extract_and_load(source, conn, spec, night)
            return
        # Rows only, into a table without keys or versions: what a pipe of two clients does.
        bare = sql.Identifier("bench", table)
        conn.execute("create schema if not exists bench")
        conn.execute(sql.SQL("drop table if exists {}").format(bare))
        conn.execute(
            sql.SQL("create table {} as select {} from {} limit 0").format(
                bare, column_list(spec), raw_table(spec)
            )
        )
        reader = mysql.extract if spec.system == "mysql" else mongo.extract
        batches = reader(source, spec, Window(datetime(2100, 1, 1, tzinfo=UTC)))
        copying = sql.SQL("copy {} ({}) from stdin").format(bare, column_list(spec))
        # As the loader does while it takes rows in.
        gc.disable()
        with conn.cursor() as cursor, cursor.copy(copying) as copy:
            for batch in batches:
                copy.write(batch.data)


if __name__ == "__main__":
    main(*sys.argv[1:])
    tell_peak()
