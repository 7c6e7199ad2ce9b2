"""The containers' init step, on real servers: their first start, and every later one."""

from urllib.parse import urlsplit

import psycopg
import pytest

from local_stack.compose_init import (
    LOADER_URL,
    MLFLOW_URL,
    make_mlflow_database,
    migrate_databases,
)
from local_stack.layout import StackError
from local_stack.postgres_server import LOGIN
from tests.conftest import fresh_name


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


def test_mlflows_database_is_made_on_an_old_volume_too_and_is_its_own(
    empty_postgres_url: str,
) -> None:
    login, database = fresh_name("mlflow_login"), fresh_name("mlflow")
    server = urlsplit(empty_postgres_url)
    place = server.netloc.rpartition("@")[2]
    store = f"postgresql://{login}:its-password@{place}/{database}"
    environment = {"WAREHOUSE_URL": empty_postgres_url, MLFLOW_URL: store}
    try:
        for _ in range(2):
            make_mlflow_database(environment)
        with psycopg.connect(store) as conn:
            conn.execute("create table public.runs (run_id text)")
        with psycopg.connect(empty_postgres_url, autocommit=True) as conn:
            rights = conn.execute(
                "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = %s",
                (login,),
            ).fetchone()
            assert rights == (False, False, False)
            others = "select has_database_privilege('amato_reader', %s, 'connect')"
            if conn.execute("select from pg_roles where rolname = 'amato_reader'").fetchone():
                assert conn.execute(others, (database,)).fetchone() == (False,)
    finally:
        with psycopg.connect(empty_postgres_url, autocommit=True) as conn:
            conn.execute(f"drop database if exists {database} with (force)")
            conn.execute(f"drop role if exists {login}")


def test_a_missing_address_is_named() -> None:
    with pytest.raises(StackError, match="MYSQL_URL"):
        migrate_databases({"WAREHOUSE_URL": "postgresql://h/warehouse"})
    with pytest.raises(StackError, match=MLFLOW_URL):
        make_mlflow_database({"WAREHOUSE_URL": "postgresql://h/warehouse"})
