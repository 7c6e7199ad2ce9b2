"""What each warehouse role may and may not do, tried for real; and logins of few rights."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from ddl import roles
from ddl.migrate import MissingRightError, migrate_warehouse
from ddl.roles import ROLES

LOADER, TRANSFORMER, VALIDATOR, SCIENTIST, READER = ROLES

# Tables made by their owners after the migration: default privileges must cover them.
LATER = {
    LOADER: ("raw_mysql.later", "raw_postgres.later", "raw_mongo.later", "elt.later"),
    TRANSFORMER: ("staging.later", "intermediate.later", "marts.later", "quality.later"),
    SCIENTIST: ("ml.later",),
}

READS = {
    LOADER: {"raw_mysql", "raw_postgres", "raw_mongo", "elt"},
    TRANSFORMER: {
        "raw_mysql", "raw_postgres", "raw_mongo", "elt",
        "staging", "intermediate", "marts", "quality",
    },
    VALIDATOR: {
        "raw_mysql", "raw_postgres", "raw_mongo", "elt",
        "staging", "intermediate", "marts", "quality", "ml",
    },
    SCIENTIST: {"marts", "ml"},
    READER: {"marts", "quality", "ml"},
}  # fmt: skip
WRITES = {
    LOADER: {"raw_mysql", "raw_postgres", "raw_mongo", "elt"},
    TRANSFORMER: {"staging", "intermediate", "marts", "quality"},
    VALIDATOR: set[str](),
    SCIENTIST: {"ml"},
    READER: set[str](),
}
TABLES = [table for tables in LATER.values() for table in tables]

OWNERS = {
    "elt.nights": LOADER,
    "elt.load_log": LOADER,
    "elt.watermarks": LOADER,
    "elt.rejected_rows": LOADER,
    "elt.contract_differences": LOADER,
    "quality.dbt_run_results": TRANSFORMER,
    "quality.validation_results": VALIDATOR,
    "quality.table_figures": VALIDATOR,
    "quality.feature_bins": VALIDATOR,
    "quality.failing_rows": VALIDATOR,
    "quality.table_scores": VALIDATOR,
    "quality.overrides": VALIDATOR,
    "quality.verdicts": VALIDATOR,
    "quality.newest_night": VALIDATOR,
    "ml.predictions_standing": SCIENTIST,
    "ml.model_versions": SCIENTIST,
    "ml.model_runs": SCIENTIST,
    "ml.model_metrics": SCIENTIST,
    "ml.retraining_requests": SCIENTIST,
    "ml.kmeans_predictions": SCIENTIST,
    "ml.hdbscan_predictions": SCIENTIST,
}


def acting(url: str, role: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection that acts under a role, as the platform's steps do."""
    return psycopg.connect(url, options=f"-c role={role}", autocommit=True)


def allowed(conn: psycopg.Connection[tuple[object, ...]], statement: str) -> bool:
    """Whether the statement runs; only a missing right counts as no."""
    try:
        conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


@pytest.fixture
def filled_url(warehouse_url: str) -> str:
    """A warehouse in which every owner has made tables since the migration."""
    for role, tables in LATER.items():
        with acting(warehouse_url, role) as conn:
            for table in tables:
                conn.execute(f"create table {table} (x int)".encode())
    return warehouse_url


def test_each_role_reads_and_writes_what_it_needs_and_nothing_else(filled_url: str) -> None:
    for role in ROLES:
        with acting(filled_url, role) as conn:
            reads = {t for t in TABLES if allowed(conn, f"select * from {t}")}
            writes = {t for t in TABLES if allowed(conn, f"insert into {t} values (1)")}
            creates = {t for t in TABLES if allowed(conn, f"create table {t}_by_{role} (x int)")}
            assert not allowed(conn, "create table public.mine (x int)")
            assert not allowed(conn, "create schema mine")
        assert {t.split(".")[0] for t in reads} == READS[role], role
        assert {t.split(".")[0] for t in writes} == WRITES[role], role
        assert creates == writes, role


def test_the_tables_of_the_migrations_belong_to_their_roles(warehouse_url: str) -> None:
    with psycopg.connect(warehouse_url) as conn:
        for table, owner in OWNERS.items():
            row = conn.execute(
                "select relowner::regrole::text from pg_class where oid = %s::regclass", (table,)
            ).fetchone()
            assert row == (owner,), table
    with acting(warehouse_url, VALIDATOR) as conn:
        assert allowed(
            conn,
            "insert into quality.validation_results"
            " (as_of, suite, table_name, expectation, severity, success)"
            " values ('2026-01-01', 's', 't', 'e', 'critical', true)",
        )
        assert not allowed(conn, "delete from quality.dbt_run_results")
    for role, may in ((READER, True), (TRANSFORMER, True), (SCIENTIST, False)):
        with acting(warehouse_url, role) as conn:
            assert allowed(conn, "select * from quality.validation_results") is may
            assert allowed(conn, "select * from quality.failing_rows") is may
            assert allowed(conn, "select * from quality.verdicts")  # reports bear the night's mark
            assert not allowed(conn, "update quality.verdicts set published = true")
            # Who builds may take a verdict back, and write none.
            assert allowed(conn, "select quality.void_verdict('2026-01-01')") is (
                role == TRANSFORMER
            )
    for role in (READER, VALIDATOR, SCIENTIST):
        with acting(warehouse_url, role) as conn:
            assert allowed(conn, "select * from ml.predictions_standing")


def test_a_key_has_one_open_rejected_row(warehouse_url: str) -> None:
    insert = (
        b"insert into elt.rejected_rows"
        b" (source_system, source_table, source_key, reason, first_as_of, resolved_at)"
        b" values ('mysql', 'customers', '1', 'r', '2026-01-01', %s)"
    )
    with acting(warehouse_url, LOADER) as conn:
        conn.execute(insert, ("2026-01-02",))
        conn.execute(insert, ("2026-01-03",))
        conn.execute(insert, (None,))
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute(insert, (None,))


def test_a_model_has_one_champion(warehouse_url: str) -> None:
    insert = (
        b"insert into ml.model_versions (model, version, family, as_of, artefact, sha256,"
        b" is_champion, data_fingerprint, trained_rows)"
        b" values ('kmeans', %s, 'f', '2026-01-01', 'a', 'b', %s, 'c', 1)"
    )
    with acting(warehouse_url, SCIENTIST) as conn:
        conn.execute(insert, ("1", True))
        conn.execute(insert, ("2", False))
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute(insert, ("3", True))


@pytest.fixture
def login(empty_postgres_url: str) -> Iterator[tuple[str, str]]:
    """A login with no rights on an empty database: its name, and its URL."""
    name = f"amato_test_login_{os.getpid()}"
    password = secrets.token_hex(16)
    identifier = sql.Identifier(name)
    with psycopg.connect(empty_postgres_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("create role {} login password {}").format(identifier, sql.Literal(password))
        )
        parts = urlsplit(empty_postgres_url)
        yield name, f"postgresql://{name}:{password}@{parts.hostname}:{parts.port}{parts.path}"
        admin.execute(sql.SQL("drop owned by {} cascade").format(identifier))
        admin.execute(sql.SQL("drop role {}").format(identifier))


def grant(admin_url: str, statement: str, login_name: str) -> None:
    """Run a grant as the administrator; ``{}`` stands for the login."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        database = sql.Identifier(admin.info.dbname)
        admin.execute(
            sql.SQL(statement).format(login=sql.Identifier(login_name), database=database)
        )


def test_a_login_of_few_rights_is_told_which_one_is_missing(
    empty_postgres_url: str, login: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, url = login
    with psycopg.connect(empty_postgres_url) as admin:
        roles.ensure_roles(admin, None)
    with psycopg.connect(url) as conn:
        with pytest.raises(MissingRightError, match="grant create on database"):
            migrate_warehouse(conn)
        grant(empty_postgres_url, "grant create on database {database} to {login}", name)
        with pytest.raises(MissingRightError, match="grant amato_loader to"):
            migrate_warehouse(conn)
        monkeypatch.setattr(roles, "ROLES", (f"amato_test_missing_{os.getpid()}",))
        with pytest.raises(MissingRightError, match="lacks CREATEROLE"):
            migrate_warehouse(conn)
        found = conn.execute("select count(*) from pg_namespace where nspname = 'marts'")
        assert found.fetchone() == (0,)


def test_a_login_without_createrole_migrates_once_an_administrator_has_granted_the_roles(
    empty_postgres_url: str, login: tuple[str, str]
) -> None:
    name, url = login
    with psycopg.connect(empty_postgres_url) as admin:
        roles.ensure_roles(admin, name)
    grant(empty_postgres_url, "grant create on database {database} to {login}", name)
    with psycopg.connect(url) as conn:
        assert migrate_warehouse(conn)
        assert migrate_warehouse(conn) == []
    with acting(url, READER) as conn:
        assert not allowed(conn, "select * from elt.nights")
    with acting(url, LOADER) as conn:
        assert allowed(conn, "select * from elt.nights")


def test_the_named_login_becomes_a_member(empty_postgres_url: str, login: tuple[str, str]) -> None:
    name, url = login
    with psycopg.connect(empty_postgres_url) as admin:
        migrate_warehouse(admin, grant_to=name)
    with acting(url, TRANSFORMER) as conn:
        assert allowed(conn, "create table marts.mine (x int)")
        conn.execute("drop table marts.mine")


def test_no_role_reaches_files_and_so_the_truth_about_generated_data(
    empty_postgres_url: str, login: tuple[str, str], tmp_path: Path
) -> None:
    name, url = login
    truth = tmp_path / "parameters.parquet"
    truth.write_text("truth")
    with psycopg.connect(empty_postgres_url) as admin:
        migrate_warehouse(admin, grant_to=name)
    attempts = (
        f"select pg_read_file('{truth}')",
        f"select pg_read_binary_file('{truth}')",
        f"select pg_ls_dir('{tmp_path}')",
        f"select lo_import('{truth}')",
        f"copy (select 1) to '{truth}'",
        f"copy (select 1) to program 'cat {truth}'",
    )
    for role in (*ROLES, name):
        with acting(url, role) as conn:
            assert [text for text in attempts if allowed(conn, text)] == [], role
    assert truth.read_text() == "truth"


def test_public_gets_nothing(empty_postgres_url: str, login: tuple[str, str]) -> None:
    _, url = login
    with psycopg.connect(empty_postgres_url) as admin:
        migrate_warehouse(admin)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url)


def test_an_unknown_login_to_grant_to_is_named(empty_postgres_url: str) -> None:
    with (
        psycopg.connect(empty_postgres_url) as admin,
        pytest.raises(MissingRightError, match="no login named 'nobody_here'"),
    ):
        migrate_warehouse(admin, grant_to="nobody_here")
