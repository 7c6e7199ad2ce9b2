"""The migration files themselves: their order, their hashes, and Mongo's JSON."""

import json
from pathlib import Path

import pytest

from ddl.files import FOLDER, Migration, MigrationChangedError, migrations
from ddl.migrate import main
from ddl.mysql_schema import statements
from elt.specs import MONGO, SPECS

# The numbers of columns that the design gives (without the physical row id).
DESIGN_COUNTS = {
    "customers": 16,
    "customer_demographics": 8,
    "transactions": 9,
    "transaction_items": 10,
    "customer_segments": 7,
    "customer_segment_mapping": 6,
    "campaigns": 11,
    "campaign_performance": 11,
    "ab_tests": 11,
    "ab_test_results": 10,
    "sessions": 15,
    "page_views": 12,
    "events": 9,
    "product_interactions": 9,
    "search_queries": 9,
}

BSON_TYPES = {
    "text": {"string"},
    "integer": {"int", "long"},
    "timestamptz": {"date"},
    "jsonb": {"object"},
}


def test_specs_have_the_design_s_numbers_of_columns() -> None:
    assert {spec.name: len(spec.columns) for spec in SPECS} == DESIGN_COUNTS


def test_mongo_files_declare_exactly_the_spec_s_fields_and_index_what_is_looked_up() -> None:
    declared = {
        document["collection"]: document
        for document in (json.loads(m.text) for m in migrations(FOLDER / "mongo", "json"))
    }
    assert set(declared) == {spec.name for spec in MONGO}
    for spec in MONGO:
        schema = declared[spec.name]["validator"]["$jsonSchema"]
        assert list(schema["properties"]) == [column.name for column in spec.columns]
        for column in spec.columns:
            types = schema["properties"][column.name]["bsonType"]
            named = {types} if isinstance(types, str) else set(types)
            assert named - {"null"} == BSON_TYPES[column.type], (spec.name, column.name)
        assert set(schema["required"]) <= set(schema["properties"])
        leading = {fields[0] for fields in declared[spec.name]["indexes"]}
        assert {spec.business_key, spec.cursor, "session_id", "customer_id"} <= leading


def test_migrations_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("010_c.sql", "002_b.sql", "001_a.sql", "notes.sql", "003_d.json"):
        (tmp_path / name).write_text(name)
    assert [m.name for m in migrations(tmp_path, "sql")] == ["001_a.sql", "002_b.sql", "010_c.sql"]


def test_a_folder_without_migrations_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no migrations"):
        migrations(tmp_path, "sql")


def test_an_edited_file_is_told_from_the_applied_one() -> None:
    first = Migration("001_a.sql", "create table a (x int);")
    first.check(first.sha256)
    with pytest.raises(MigrationChangedError, match=r"001_a\.sql was changed.*higher-numbered"):
        Migration("001_a.sql", "create table a (x bigint);").check(first.sha256)


def test_statements_are_split_at_line_ends_and_comments_dropped() -> None:
    text = "-- one; two\ncreate table a (\n  x int -- ; kept\n);\n\ncreate table b (y int);\n"
    assert statements(text) == [
        "create table a (\n  x int -- ; kept\n)",
        "create table b (y int)",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"), [(["mysqll"], "unknown target"), (["mysql"], "MYSQL_URL is not set")]
)
def test_the_command_line_says_what_is_wrong(
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MYSQL_URL", raising=False)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert says in capsys.readouterr().err
