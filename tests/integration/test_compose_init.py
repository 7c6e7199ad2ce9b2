"""The containers' init step, on real servers: their first start, and every later one."""

import psycopg
import pytest

from local_stack.compose_init import LOADER_URL, migrate_databases
from local_stack.layout import StackError
from local_stack.postgres_server import LOGIN


def test_databases_are_made_once(
    empty_postgres_url: str, marketing_url: str, mysql_url: str, mongo_url: str
) -> None:
    with psycopg.connect(empty_postgres_url, autocommit=True) as conn:
        known = conn.execute("select 1 from pg_roles where rolname = %s", (LOGIN,)).fetchone()
        if known is None:
            conn.execute(f"create role {LOGIN} nologin")
    environment = {
        "WAREHOUSE_URL": empty_postgres_url,
        "MARKETING_URL": marketing_url,
        "MYSQL_URL": mysql_url,
        "MONGO_URL": mongo_url,
        LOADER_URL: empty_postgres_url,
    }
    assert migrate_databases(environment)
    assert migrate_databases(environment) == []
    with psycopg.connect(empty_postgres_url) as conn:
        member = (
            "select pg_has_role(%s, 'amato_loader', 'member'), to_regclass('raw_mysql.customers')"
        )
        assert conn.execute(member, (LOGIN,)).fetchone() == (True, "raw_mysql.customers")


def test_a_missing_address_is_named() -> None:
    with pytest.raises(StackError, match="MYSQL_URL"):
        migrate_databases({"WAREHOUSE_URL": "postgresql://h/warehouse"})
