"""Prepares the containers' databases: `python -m local_stack.compose_init`, the init service.

Airflow's metadata, the DDL of the sources and the warehouse, and Airflow's pools. Everything is
done again at each start of the platform and changes only what is new.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

from local_stack.airflow_setup import POOL_SLOTS, POOLS
from local_stack.databases import migrate
from local_stack.layout import StackError
from local_stack.postgres_server import LOGIN

#: The variables that hold the URLs, with the rights to change the schema, by kind.
URLS = {
    "warehouse": "WAREHOUSE_URL",
    "mysql": "MYSQL_URL",
    "postgres": "MARKETING_URL",
    "mongo": "MONGO_URL",
}
LOADER_URL = "WAREHOUSE_LOADER_URL"


def migrate_databases(environment: Mapping[str, str]) -> list[str]:
    """Apply the DDL that is new to the four databases; returns its names."""
    missing = [name for name in (*URLS.values(), LOADER_URL) if not environment.get(name)]
    if missing:
        raise StackError(
            f"not set: {', '.join(missing)} (see the init service in the compose file)"
        )
    urls = {kind: environment[name] for kind, name in URLS.items()}
    return migrate(urls, ("mysql", "postgres", "mongo"), environment[LOADER_URL], LOGIN, URLS)


def migrate_airflow() -> None:
    """Bring Airflow's metadata to the installed version, and create the pools that are missing."""
    if subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False).returncode:
        raise StackError("`airflow db migrate` failed: its error is above")
    # Imported here: Airflow takes seconds, and reads its settings when it is imported.
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session

    with create_session() as session:
        for name, description in POOLS.items():
            if Pool.get_pool(name, session=session) is None:
                Pool.create_or_update_pool(
                    name, POOL_SLOTS, description, include_deferred=False, session=session
                )


def main() -> int:
    """Do all of it; returns the exit code."""
    try:
        applied = migrate_databases(os.environ)
        print(f"databases: {', '.join(applied) if applied else 'nothing new'}")
        migrate_airflow()
        print("airflow: ready")
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
