"""The migrations on real servers: what they make, and that applying them again makes nothing."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pytest

from ddl.files import FOLDER, MigrationChangedError
from ddl.migrate import (
    connect_mysql,
    main,
    migrate_mongo,
    migrate_mysql,
    migrate_postgres,
    migrate_warehouse,
)
from elt.specs import MONGO, MYSQL, POSTGRES

MYSQL_TYPES = {
    "text": {"varchar"},
    "date": {"date"},
    "timestamptz": {"datetime(6)"},
    "smallint": {"tinyint(1)"},
    "integer": {"int", "int(11)"},
    "bigint": {"bigint", "bigint(20)"},
    "numeric(18,2)": {"decimal(18,2)"},
    "numeric(18,6)": {"decimal(18,6)"},
    "numeric(9,4)": {"decimal(9,4)"},
    # MariaDB's JSON is a checked longtext.
    "jsonb": {"json", "longtext"},
}

PG_COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
    order by c.relname, a.attnum
"""

PG_EVERYTHING = """
    select n.nspname, c.relname, c.relkind::text, c.relacl::text, c.relowner::regrole::text,
           c.oid, coalesce(d.defaclacl::text, '')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_default_acl d on d.defaclnamespace = n.oid
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    order by 1, 2, 7
"""


def test_mysql_has_the_spec_s_columns_and_indexes(mysql_url: str) -> None:
    with closing(connect_mysql(mysql_url)) as shop, closing(shop.cursor()) as cursor:
        for spec in MYSQL:
            cursor.execute(
                "select column_name, column_type, is_nullable from information_schema.columns"
                " where table_schema = database() and table_name = %s order by ordinal_position",
                (spec.name,),
            )
            columns = cursor.fetchall()
            assert [name for name, _, _ in columns] == [c.name for c in spec.all_columns]
            for declared, (name, type_, nullable) in zip(spec.all_columns, columns, strict=True):
                kind = "varchar" if type_.startswith("varchar") else type_
                assert kind in MYSQL_TYPES[declared.type], (spec.name, name)
                assert nullable == ("NO" if name == "row_id" else "YES")
            cursor.execute(
                "select column_name, non_unique from information_schema.statistics"
                " where table_schema = database() and table_name = %s and seq_in_index = 1",
                (spec.name,),
            )
            indexed = dict(cursor.fetchall())
            assert indexed["row_id"] == 0
            assert indexed[spec.business_key] == 1
            assert spec.cursor is not None
            assert indexed[spec.cursor] == 1


def test_postgres_has_the_spec_s_columns_and_indexes(marketing_url: str) -> None:
    with psycopg.connect(marketing_url) as marketing:
        found: dict[str, list[tuple[str, str]]] = {}
        for table, name, type_ in marketing.execute(PG_COLUMNS):
            found.setdefault(table, []).append((name, type_))
        leading = {
            (table, column): unique
            for table, column, unique in marketing.execute(
                "select indrelid::regclass::text, attname, indisunique from pg_index"
                " join pg_attribute on attrelid = indrelid and attnum = indkey[0]"
            )
        }
    assert set(found) == {"amato_migrations", *(spec.name for spec in POSTGRES)}
    for spec in POSTGRES:
        assert found[spec.name] == [
            (c.name, c.type.replace("timestamptz", "timestamp with time zone"))
            for c in spec.all_columns
        ]
        assert leading[spec.name, "row_id"] is True
        assert leading[spec.name, spec.business_key] is False
        if spec.cursor is not None:
            assert leading[spec.name, spec.cursor] is False


def test_mongo_warns_but_takes_what_does_not_fit(mongo_url: str) -> None:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
    with client:
        database = client.get_default_database()
        for spec in MONGO:
            collection = database[spec.name]
            options = collection.options()
            assert options["validationAction"] == "warn"
            assert options["validator"]["$jsonSchema"]["required"]
            leading = {index["key"][0][0] for index in collection.index_information().values()}
            assert {spec.business_key, spec.cursor, "session_id", "customer_id"} <= leading
            assert not any(i.get("unique") for i in collection.index_information().values())
            collection.insert_many([{spec.business_key: 1}, {spec.business_key: 1}])
            assert collection.count_documents({spec.business_key: 1}) == 2


def test_applying_again_changes_nothing(
    warehouse_url: str, marketing_url: str, mysql_url: str, mongo_url: str
) -> None:
    for url, migrate in ((warehouse_url, migrate_warehouse), (marketing_url, migrate_postgres)):
        with psycopg.connect(url) as conn:
            before = conn.execute(PG_EVERYTHING).fetchall()
            conn.rollback()
            assert migrate(conn) == []
            assert conn.execute(PG_EVERYTHING).fetchall() == before
            assert len(before) > 5
    with closing(connect_mysql(mysql_url)) as shop:
        assert migrate_mysql(shop) == []
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
    with client:
        assert migrate_mongo(client.get_default_database()) == []


def test_an_interrupted_mysql_or_mongo_migration_is_finished(
    mysql_url: str, mongo_url: str
) -> None:
    with closing(connect_mysql(mysql_url)) as shop, closing(shop.cursor()) as cursor:
        cursor.execute("delete from amato_migrations")
        cursor.execute("drop table transactions")
        shop.commit()
        assert migrate_mysql(shop) == ["001_shop.sql"]
        cursor.execute("select count(*) from transactions")
        assert cursor.fetchall() == ((0,),)
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
    with client:
        database = client.get_default_database()
        database["amato_migrations"].delete_many({"_id": "001_sessions.json"})
        database["sessions"].drop_indexes()
        assert migrate_mongo(database) == ["001_sessions.json"]
        assert len(database["sessions"].index_information()) == 6


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a folder of migrations with a blank added to its first file."""

    def edit(folder: str) -> Path:
        copy = tmp_path / folder
        shutil.copytree(FOLDER / folder, copy)
        first = min(copy.iterdir())
        first.write_text(first.read_text() + "\n")
        return copy

    return edit


def test_an_edited_migration_is_refused(
    warehouse_url: str,
    marketing_url: str,
    mysql_url: str,
    mongo_url: str,
    edited: Callable[[str], Path],
) -> None:
    with (
        psycopg.connect(warehouse_url) as warehouse,
        pytest.raises(MigrationChangedError, match="001_schemas"),
    ):
        migrate_warehouse(warehouse, folder=edited("warehouse"))
    with (
        psycopg.connect(marketing_url) as marketing,
        pytest.raises(MigrationChangedError, match="001_marketing"),
    ):
        migrate_postgres(marketing, folder=edited("postgres"))
    with (
        closing(connect_mysql(mysql_url)) as shop,
        pytest.raises(MigrationChangedError, match="001_shop"),
    ):
        migrate_mysql(shop, folder=edited("mysql"))
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
    with client, pytest.raises(MigrationChangedError, match="001_sessions"):
        migrate_mongo(client.get_default_database(), folder=edited("mongo"))


def test_a_failing_migration_leaves_nothing_and_goes_through_once_mended(
    marketing_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "postgres"
    shutil.copytree(FOLDER / "postgres", folder)
    second = folder / "002_more.sql"
    second.write_text("create table more (x int); select 1 / 0;")
    with psycopg.connect(marketing_url) as conn:
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate_postgres(conn, folder)
        assert conn.execute("select to_regclass('more')").fetchone() == (None,)
        conn.rollback()
        second.write_text("create table more (x int);")
        assert migrate_postgres(conn, folder) == ["002_more.sql"]
        assert conn.execute("select to_regclass('more')::text").fetchone() == ("more",)


def test_a_connection_inside_a_transaction_is_refused(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url) as conn:
        conn.execute("select 1")
        with pytest.raises(ValueError, match="outside a transaction"):
            migrate_postgres(conn)


def test_many_migrators_at_once_do_each_file_once(empty_postgres_url: str, mysql_url: str) -> None:
    def warehouse(_: int) -> list[str]:
        with psycopg.connect(empty_postgres_url) as conn:
            return migrate_warehouse(conn)

    def shop(_: int) -> list[str]:
        with closing(connect_mysql(mysql_url)) as conn:
            return migrate_mysql(conn)

    with ThreadPoolExecutor(4) as pool:
        applied = sorted(name for names in pool.map(warehouse, range(4)) for name in names)
        assert applied == sorted(path.name for path in (FOLDER / "warehouse").glob("*.sql"))
        assert not any(pool.map(shop, range(4)))


def test_the_command_line_migrates_and_says_what_it_did(
    empty_postgres_url: str,
    mongo_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MARKETING_URL", empty_postgres_url)
    monkeypatch.setenv("MONGO_URL", mongo_url)
    assert main(["postgres", "mongo"]) == 0
    assert capsys.readouterr().out == "postgres: 001_marketing.sql\nmongo: nothing new\n"
    with psycopg.connect(empty_postgres_url) as conn:
        conn.execute("update amato_migrations set sha256 = 'x'")
    assert main(["postgres"]) == 1
    assert "001_marketing.sql was changed" in capsys.readouterr().err


def test_overrides_from_before_findings_were_kept_stay_and_cover_nothing(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "warehouse"
    shutil.copytree(FOLDER / "warehouse", before)
    for file in before.iterdir():
        if file.name >= "041":
            file.unlink()
    with psycopg.connect(empty_postgres_url) as warehouse:
        migrate_warehouse(warehouse, folder=before)
        # One run that published the same night twice, after it was built again.
        warehouse.execute(
            "insert into quality.overrides"
            " (as_of, build_id, reason, published_by, dag_id, run_id, run_at)"
            " select '2026-01-05', build, 'seen and harmless', 'eva', 'nightly', 'manual',"
            " '2026-01-05'"
            " from (values (7), (8)) as builds (build)"
        )
        warehouse.execute(
            "insert into quality.verdicts (as_of, build_id, verdict, published, finding, mark)"
            " values ('2026-01-05', 8, 'failed', true, 'orders', 'published by eva')"
        )
        warehouse.commit()
        migrate_warehouse(warehouse)
        kept = warehouse.execute(
            "select build_id, findings, reason from quality.overrides order by override_id"
        ).fetchall()
        assert kept == [(7, [], "seen and harmless"), (8, [], "seen and harmless")]
        verdict = warehouse.execute("select verdict, published from quality.verdicts").fetchone()
        assert verdict == ("failed", True)
