"""Loads every table of one night without Airflow, as many at a time as the DAG does.

``python -m tests.benchmarks.elt_night DAY source|two``: one table of each source at a time, as
the extract_load DAG; or two tables at a time. The largest first; each load has connections
of its own, as a task has. The addresses are in MYSQL_URL, MARKETING_URL, MONGO_URL and
WAREHOUSE_URL.
"""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import date

import psycopg
from pymongo import MongoClient

from ddl.migrate import connect_mysql
from elt.extract_load import extract_and_load
from elt.nights import Night, open_night
from elt.specs import LARGEST_FIRST, TableSpec


def load(spec: TableSpec, night: Night) -> int:
    """Load one table; returns the rows read."""
    with psycopg.connect(os.environ["WAREHOUSE_URL"], options="-c role=amato_loader") as conn:
        if spec.system == "mysql":
            with closing(connect_mysql(os.environ["MYSQL_URL"])) as shop:
                return extract_and_load(shop, conn, spec, night).read
        if spec.system == "postgres":
            with psycopg.connect(os.environ["MARKETING_URL"]) as marketing:
                return extract_and_load(marketing, conn, spec, night).read
        with MongoClient[dict[str, object]](os.environ["MONGO_URL"]) as client:
            return extract_and_load(client.get_default_database(), conn, spec, night).read


def main(day: str, lanes: str) -> None:
    """Load the night."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with psycopg.connect(os.environ["WAREHOUSE_URL"], options="-c role=amato_loader") as conn:
        night = open_night(conn, date.fromisoformat(day))
    if lanes == "two":
        pools = [(ProcessPoolExecutor(2), LARGEST_FIRST)]
    else:
        pools = [
            (ProcessPoolExecutor(1), tuple(s for s in LARGEST_FIRST if s.system == system))
            for system in ("mongo", "mysql", "postgres")
        ]
    loads = [pool.submit(load, spec, night) for pool, specs in pools for spec in specs]
    print(f"rows: {sum(done.result() for done in loads)}")
    for pool, _ in pools:
        pool.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
