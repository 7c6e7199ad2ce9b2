"""`make docs`: writes the dbt docs of the latest night, outside Airflow.

Takes the environment of Airflow's processes: AIRFLOW_CONN_WAREHOUSE and AMATO_HOME.
"""

import logging
import os
import sys
from pathlib import Path

import psycopg

from dags.stages.dbt_build import generate_docs


def main() -> int:
    """Write the docs and print where they are; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    url = os.environ["AIRFLOW_CONN_WAREHOUSE"]
    with psycopg.connect(url, options="-c role=amato_loader") as connection:
        row = connection.execute("select max(as_of) from elt.nights").fetchone()
    if row is None or row[0] is None:
        print("error: no night was run yet: `make run`", file=sys.stderr)
        return 1
    print(generate_docs(row[0], Path(os.environ["AMATO_HOME"]), url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
