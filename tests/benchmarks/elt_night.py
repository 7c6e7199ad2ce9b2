"""Loads every table of one night without Airflow: two at a time, the largest first, as the DAG.

``python -m tests.benchmarks.elt_night DAY``. Each load has connections of its own, as a task
has. The addresses are in MYSQL_URL, MARKETING_URL, MONGO_URL and WAREHOUSE_URL.
"""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import date
from functools import partial

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


def main(day: str) -> None:
    """Load the night."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with psycopg.connect(os.environ["WAREHOUSE_URL"], options="-c role=amato_loader") as conn:
        night = open_night(conn, date.fromisoformat(day))
    with ProcessPoolExecutor(2) as pool:
        print(f"rows: {sum(pool.map(partial(load, night=night), LARGEST_FIRST))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
