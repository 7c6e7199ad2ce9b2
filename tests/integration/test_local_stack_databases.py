"""What is in the way of the databases' DDL is one clear line that names the remedy."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from local_stack.databases import migrate
from local_stack.layout import StackError
from tests.conftest import fresh_name

GIVEN = {
    "warehouse": "AIRFLOW_CONN_WAREHOUSE",
    "mysql": "AIRFLOW_CONN_MYSQL_SHOP",
    "postgres": "AIRFLOW_CONN_POSTGRES_MARKETING",
    "mongo": "AIRFLOW_CONN_MONGO_CLICKSTREAM",
}


def refused(urls: dict[str, str]) -> str:
    """The message of a migration that must fail."""
    sources = [kind for kind in urls if kind != "warehouse"]
    with pytest.raises(StackError) as caught:
        migrate(urls, sources, urls["warehouse"], None, GIVEN)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:{password}@{place}").geturl()


@pytest.mark.parametrize("kind", ["mysql", "postgres", "mongo"])
def test_a_source_that_refuses_the_password(
    kind: str, warehouse_url: str, marketing_url: str, mysql_url: str, mongo_url: str
) -> None:
    url = {"mysql": mysql_url, "postgres": marketing_url, "mongo": mongo_url}[kind]
    message = refused({"warehouse": warehouse_url, kind: with_password(url, "not-the-one")})
    assert f"{kind} at {urlsplit(url).netloc.rpartition('@')[2]}/" in message
    assert f"correct {GIVEN[kind]}" in message
    assert "not-the-one" not in message


def test_a_password_that_is_no_url_text_is_not_shown() -> None:
    # libpq quotes what it cannot decode: here the whole password.
    message = refused({"warehouse": "postgresql://login:secret%zz@127.0.0.1:1/dwh"})
    assert "correct AIRFLOW_CONN_WAREHOUSE" in message
    assert "invalid percent-encoded token" in message
    assert "secret" not in message


def test_a_login_without_the_rights(empty_postgres_url: str) -> None:
    login = sql.Identifier(fresh_name("stranger"))
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login password 'strange'").format(login))
        try:
            place = urlsplit(empty_postgres_url).netloc.rpartition("@")[2]
            url = f"postgresql://{login.as_string()[1:-1]}:strange@{place}"
            message = refused({"warehouse": url + urlsplit(empty_postgres_url).path})
        finally:
            connection.execute(sql.SQL("drop role {}").format(login))
    assert "may not create schemas" in message
    assert "grant create on database" in message


def test_a_changed_migration(warehouse_url: str) -> None:
    with psycopg.connect(warehouse_url) as connection:
        connection.execute(
            "update elt.amato_migrations set sha256 = 'other' where name like '001%'"
        )
    message = refused({"warehouse": warehouse_url})
    assert "was changed after it was applied" in message


def test_a_migrated_platform_needs_nothing(
    warehouse_url: str, marketing_url: str, mysql_url: str, mongo_url: str
) -> None:
    urls = {
        "warehouse": warehouse_url,
        "postgres": marketing_url,
        "mysql": mysql_url,
        "mongo": mongo_url,
    }
    assert migrate(urls, ["postgres", "mysql", "mongo"], warehouse_url, None, GIVEN) == []
    with psycopg.connect(warehouse_url) as connection:
        found = connection.execute("select to_regclass('raw_mongo.events')").fetchone()
    assert found is not None and found[0]
