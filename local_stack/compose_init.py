"""Prepares the containers' databases: `python -m local_stack.compose_init`, the init service.

MLflow's database, Airflow's metadata, the DDL of the sources and the warehouse, and Airflow's
pools. Everything is done again at each start of the platform and changes only what is new.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from local_stack.airflow_setup import POOL_SLOTS, POOLS
from local_stack.databases import clear_errors, migrate
from local_stack.layout import StackError
from local_stack.postgres_server import LOGIN, add_databases, add_logins

#: The variables that hold the URLs, with the rights to change the schema, by kind.
URLS = {
    "warehouse": "WAREHOUSE_URL",
    "mysql": "MYSQL_URL",
    "postgres": "MARKETING_URL",
    "mongo": "MONGO_URL",
}
LOADER_URL = "WAREHOUSE_LOADER_URL"
MLFLOW_URL = "MLFLOW_STORE_URL"


def _require(environment: Mapping[str, str], *names: str) -> None:
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise StackError(
            f"not set: {', '.join(missing)} (see the init service in the compose file)"
        )


def make_mlflow_database(environment: Mapping[str, str]) -> None:
    """Create MLflow's login and database on the warehouse's server, unless they are there.

    Here and not in docker/postgres: a volume that an earlier version made needs them too.
    """
    _require(environment, URLS["warehouse"], MLFLOW_URL)
    store = urlsplit(environment[MLFLOW_URL])
    login, database = store.username or "", store.path.lstrip("/")
    server = environment[URLS["warehouse"]]
    with (
        clear_errors("warehouse", server, URLS["warehouse"]),
        psycopg.connect(server, autocommit=True) as connection,
    ):
        add_logins(connection, {login: unquote(store.password or "")})
        add_databases(connection, {database: login})
        connection.execute(
            sql.SQL("revoke all on database {} from public").format(sql.Identifier(database))
        )


def migrate_databases(environment: Mapping[str, str]) -> list[str]:
    """Apply the DDL that is new to the four databases; returns its names."""
    _require(environment, *URLS.values(), LOADER_URL)
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
        make_mlflow_database(os.environ)
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
