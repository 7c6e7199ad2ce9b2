"""Fixtures shared by all tests: real servers, and fresh migrated databases on them.

The servers are AMATO's own local ones, under `.local/test/`, started when the first test asks
for them and stopped at the end of the session. Sessions side by side have folders of
their own there: `AMATO_TEST_FOLDER`. `AMATO_TEST_SERVERS=env` uses the servers named
by WAREHOUSE_URL, MARKETING_URL, MYSQL_URL and MONGO_URL instead (full rights needed).
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import pytest

if TYPE_CHECKING:
    from tests.integration.source_support import Sources

REPOSITORY = Path(__file__).resolve().parent.parent
# The names of databases that are in use.
_names: set[str] = set()


@dataclass(frozen=True)
class Servers:
    """URLs, with full rights, of the servers that tests may create databases on."""

    warehouse_url: str
    marketing_url: str
    mysql_url: str
    mongo_url: str


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Running servers of all four kinds."""
    if os.environ.get("AMATO_TEST_SERVERS") == "env":
        yield Servers(
            warehouse_url=os.environ["WAREHOUSE_URL"],
            marketing_url=os.environ["MARKETING_URL"],
            mysql_url=os.environ["MYSQL_URL"],
            mongo_url=os.environ["MONGO_URL"],
        )
        return
    from local_stack.stack import Stack

    folder = os.environ.get("AMATO_TEST_FOLDER", "servers")
    stack = Stack(REPOSITORY / ".local" / "test" / folder, environment={})
    was_up = stack.is_up(stack.data_services)
    stack.up(airflow=False, migrate=False)
    urls = stack.urls()
    yield Servers(
        warehouse_url=urls["WAREHOUSE_URL"],
        marketing_url=urls["MARKETING_URL"],
        mysql_url=urls["MYSQL_URL"],
        mongo_url=urls["MONGO_URL"],
    )
    if not was_up:
        stack.down()


def fresh_name(prefix: str) -> str:
    """A database name that no other test and no other pytest process uses."""
    numbered = (f"{prefix}_{os.getpid()}_{number}" for number in itertools.count(1))
    name = next(name for name in numbered if name not in _names)
    _names.add(name)
    return name


def with_database(url: str, database: str) -> str:
    """`url` with its database replaced."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def mysql_arguments(url: str) -> dict[str, object]:
    """Arguments of `MySQLdb.connect` for a `mysql://` URL."""
    parts: SplitResult = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": parts.username,
        "password": parts.password or "",
        "database": parts.path.lstrip("/"),
        "charset": "utf8mb4",
    }


def _fresh_postgres(server_url: str, prefix: str) -> Iterator[str]:
    import psycopg

    name = fresh_name(prefix)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')
        connection.execute(f'create database "{name}"')
    yield with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')
    # The next test may have the name: dbt need not parse the project anew for another database.
    _names.remove(name)


@pytest.fixture
def empty_postgres_url(servers: Servers) -> Iterator[str]:
    """A fresh PostgreSQL database with nothing in it."""
    yield from _fresh_postgres(servers.warehouse_url, "empty")


def fresh_warehouse(servers: Servers) -> Iterator[str]:
    """A migrated warehouse, dropped afterwards."""
    import psycopg

    from ddl.migrate import migrate_warehouse

    for url in _fresh_postgres(servers.warehouse_url, "warehouse"):
        with psycopg.connect(url) as connection:
            migrate_warehouse(connection)
        yield url


@pytest.fixture
def warehouse_url(servers: Servers) -> Iterator[str]:
    """A fresh, migrated warehouse."""
    yield from fresh_warehouse(servers)


def fresh_marketing(servers: Servers) -> Iterator[str]:
    """A migrated marketing database, dropped afterwards."""
    import psycopg

    from ddl.migrate import migrate_postgres

    for url in _fresh_postgres(servers.marketing_url, "marketing"):
        with psycopg.connect(url) as connection:
            migrate_postgres(connection)
        yield url


def fresh_shop(servers: Servers) -> Iterator[str]:
    """A migrated shop database, dropped afterwards."""
    import MySQLdb

    from ddl.migrate import migrate_mysql

    name = fresh_name("shop")
    url = with_database(servers.mysql_url, name)
    server = MySQLdb.connect(**mysql_arguments(with_database(servers.mysql_url, "mysql")))
    try:
        server.query(f"drop database if exists `{name}`")
        server.query(f"create database `{name}` character set utf8mb4")
        shop = MySQLdb.connect(**mysql_arguments(url))
        try:
            migrate_mysql(shop)
            shop.commit()
        finally:
            shop.close()
        yield url
        server.query(f"drop database if exists `{name}`")
    finally:
        server.close()


def fresh_clickstream(servers: Servers) -> Iterator[str]:
    """A migrated clickstream database, dropped afterwards."""
    from pymongo import MongoClient

    from ddl.migrate import migrate_mongo

    name = fresh_name("clickstream")
    with MongoClient(servers.mongo_url) as client:
        client.drop_database(name)
        migrate_mongo(client[name])
        yield with_database(servers.mongo_url, name)
        client.drop_database(name)


@pytest.fixture
def marketing_url(servers: Servers) -> Iterator[str]:
    """A fresh, migrated marketing database (source, PostgreSQL)."""
    yield from fresh_marketing(servers)


@pytest.fixture
def mysql_url(servers: Servers) -> Iterator[str]:
    """A fresh, migrated shop database (source, MySQL)."""
    yield from fresh_shop(servers)


@pytest.fixture
def mongo_url(servers: Servers) -> Iterator[str]:
    """A fresh, migrated clickstream database (source, MongoDB)."""
    yield from fresh_clickstream(servers)


@pytest.fixture(scope="session")
def fresh_sources(servers: Servers) -> Callable[[], AbstractContextManager[dict[str, str]]]:
    """Makes fresh, migrated source databases: ``with fresh_sources() as urls``.

    Their URLs are under mysql, postgres and mongo.
    """

    @contextmanager
    def make() -> Iterator[dict[str, str]]:
        with ExitStack() as stack:
            yield {
                "mysql": stack.enter_context(contextmanager(fresh_shop)(servers)),
                "postgres": stack.enter_context(contextmanager(fresh_marketing)(servers)),
                "mongo": stack.enter_context(contextmanager(fresh_clickstream)(servers)),
            }

    return make


@pytest.fixture
def sources(
    fresh_sources: Callable[[], AbstractContextManager[dict[str, str]]],
) -> Iterator["Sources"]:
    """Fresh, migrated source databases, open."""
    from tests.integration.source_support import open_sources

    with fresh_sources() as urls, open_sources(urls) as opened:
        yield opened
