"""Opens the four connections, which Airflow resolves, for code that knows no Airflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    import psycopg
    import pymongo.database
    from MySQLdb.connections import Connection as MySQLConnection

MYSQL, MARKETING, CLICKSTREAM, WAREHOUSE = (
    "mysql_shop",
    "postgres_marketing",
    "mongo_clickstream",
    "warehouse",
)
CONNECTION_OF_SYSTEM = {"mysql": MYSQL, "postgres": MARKETING, "mongo": CLICKSTREAM}


def _postgres_url(conn_id: str) -> str:
    """The connection as a libpq URL, its extras (sslmode and the like) as parameters."""
    conn = BaseHook.get_connection(conn_id)
    login = quote(conn.login or "", safe="")
    password = quote(conn.password or "", safe="")
    extras = "&".join(
        f"{name}={quote(str(value), safe='')}" for name, value in conn.extra_dejson.items()
    )
    url = f"postgresql://{login}:{password}@{conn.host}:{conn.port or 5432}/{conn.schema}"
    return f"{url}?{extras}" if extras else url


def warehouse_url() -> str:
    """The warehouse's URL, password included: for libraries that connect by themselves."""
    return _postgres_url(WAREHOUSE)


@contextmanager
def warehouse(role: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the warehouse that acts as one of the five roles."""
    import psycopg

    with psycopg.connect(warehouse_url(), options=f"-c role={role} -c timezone=UTC") as conn:
        yield conn


@contextmanager
def marketing() -> Iterator[psycopg.Connection[Any]]:
    """A connection to the marketing source."""
    import psycopg

    with psycopg.connect(_postgres_url(MARKETING), options="-c timezone=UTC") as conn:
        yield conn


@contextmanager
def shop(local_infile: bool = False) -> Iterator[MySQLConnection]:
    """A connection to the shop source.

    With ``local_infile`` the server may ask for files of this machine: only to write into it.
    """
    from airflow.providers.mysql.hooks.mysql import MySqlHook

    hook = MySqlHook(mysql_conn_id=MYSQL, local_infile=local_infile)
    conn: MySQLConnection = hook.get_conn()  # type: ignore[assignment]
    try:
        yield conn
    finally:
        conn.close()  # type: ignore[no-untyped-call]


@contextmanager
def clickstream() -> Iterator[pymongo.database.Database[dict[str, Any]]]:
    """The clickstream source's database."""
    from airflow.providers.mongo.hooks.mongo import MongoHook

    hook = MongoHook(mongo_conn_id=CLICKSTREAM)
    name = hook.connection.schema or "clickstream"
    with hook.get_conn() as client:
        yield client[name]


Opener = Callable[[], AbstractContextManager[Any]]
SOURCES: dict[str, Opener] = {
    "mysql": shop,
    "postgres": marketing,
    "mongo": clickstream,
}


def external_systems() -> set[str]:
    """The sources whose connections were given from outside: they are only ever read."""
    return set(os.environ.get("AMATO_EXTERNAL", "").split(",")) & set(SOURCES)


def refuse_external(*systems: str) -> None:
    """Refuse to write into a source whose connection was given from outside.

    Raises:
        AirflowFailException: naming the first such connection.
    """
    for system in sorted(external_systems() & set(systems)):
        raise AirflowFailException(
            f"{CONNECTION_OF_SYSTEM[system]} was given from outside: nothing is ever written "
            "into it. Unset its AIRFLOW_CONN_ variable to use a local server instead."
        )
