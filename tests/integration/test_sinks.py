"""The sinks against real servers, with hand-made rows: every value arrives, or nothing does."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from typing import Any

import numpy as np
import psycopg
import pymongo
import pytest
from bson.codec_options import CodecOptions
from bson.errors import InvalidBSON

from data_generators.args import WorldArgs
from data_generators.sinks.marker import ForeignDataError, Marker
from data_generators.sinks.mongo import write_mongo
from data_generators.sinks.mysql import AlteredValueError, mysql_marker, write_mysql
from data_generators.sinks.postgres import write_postgres
from data_generators.sinks.tables import Source
from data_generators.tables.rows import PlantedRows, RawText
from ddl.migrate import connect_mysql
from elt.specs import BY_NAME
from tests.unit.sinks.planted import NEVER, planted_rows

ARGS = WorldArgs(1, 0.01, 365, date(2026, 1, 1))
FIRST, SECOND = Marker.of(ARGS, date(2026, 1, 3)), Marker.of(ARGS, date(2026, 1, 4))
ODD_TEXTS = [
    "plain",
    "",
    None,
    "NULL",
    "\\N",
    "tab\tline\nreturn\rback\\slash",
    "'quoted' \"double\" %s",
    "Zoë 😀 Ελλάδα",
    "end\\",
    "\x1a\x08",
]


def table(
    name: str, size: int, overrides: dict[int, dict[str, Any]] | None = None, **more: Any
) -> PlantedRows:
    """Rows of a real table, all alike but for the overrides; made before the first marker."""
    values: dict[str, Any] = {
        "text": np.full(size, b"x"),
        "date": np.zeros(size, dtype="datetime64[D]"),
        "timestamptz": np.zeros(size, dtype="datetime64[s]"),
        "jsonb": np.full(size, None),
    }
    spec = BY_NAME[name]
    columns = {
        column.name: values.get(column.type.split("(")[0], np.arange(size) % 2)
        for column in spec.columns
    }
    return planted_rows(spec, columns, overrides, **more)


def sources(*planted: PlantedRows) -> tuple[Source, ...]:
    return tuple(Source(rows.rows.spec, lambda rows=rows: iter([rows])) for rows in planted)


@pytest.fixture
def shop(mysql_url: str) -> Iterator[Any]:
    with closing(connect_mysql(mysql_url, local_infile=True)) as connection:
        yield connection


@pytest.fixture
def marketing(marketing_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(marketing_url) as connection:
        yield connection


@pytest.fixture
def clickstream(mongo_url: str) -> Iterator[Any]:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
    with client:
        yield client.get_default_database()


def select(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        found = list(cursor.fetchall())
    connection.rollback()
    return found


def test_every_text_arrives_in_mysql(shop: Any) -> None:
    texts = [*ODD_TEXTS, "NUL\0 inside"]
    others: dict[int, dict[str, Any]] = {
        at: {"address": text, "last_name": text, "customer_id": str(at)}
        for at, text in enumerate(texts)
    }
    others[0] |= {"date_of_birth": "0000-00-00", "registration_date": date(2090, 1, 1)}
    others[1] |= {"date_of_birth": date(1850, 2, 3), "created_at": None}
    assert write_mysql(shop, FIRST, sources(table("customers", len(texts), others)))
    found = select(shop, "select row_id, customer_id, address, last_name from customers order by 1")
    assert found == [(at + 1, str(at), text, text) for at, text in enumerate(texts)]
    dates = "select cast(date_of_birth as char), registration_date, created_at from customers"
    assert select(shop, f"{dates} order by row_id limit 2") == [
        ("0000-00-00", date(2090, 1, 1), datetime(1970, 1, 1)),
        ("1850-02-03", date(1970, 1, 1), None),
    ]
    assert select(shop, "select @@session.sql_mode") == select(shop, "select @@global.sql_mode")
    with closing(shop.cursor()) as cursor:
        cursor.execute("insert into customers (customer_id) values ('later')")
        assert cursor.lastrowid == len(texts) + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "x" * 101},
        {"is_active": 1000},
        {"date_of_birth": "2025-02-30"},
        {"updated_at": "yesterday"},
    ],
)
def test_a_value_that_mysql_would_alter_is_an_error(shop: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(AlteredValueError, match="customers"):
        write_mysql(shop, FIRST, sources(table("customers", 3, {1: wrong})))
    assert select(shop, "select count(*) from customers") == [(0,)]
    assert mysql_marker(shop) is None


def test_without_local_infile_mysql_says_what_to_do(mysql_url: str) -> None:
    with (
        closing(connect_mysql(mysql_url)) as connection,
        pytest.raises(RuntimeError, match="local_infile"),
    ):
        write_mysql(connection, FIRST, sources(table("customers", 1)))


def test_every_text_arrives_in_postgres(marketing: psycopg.Connection[Any]) -> None:
    others = {
        at: {"campaign_name": text, "budget": 10**9 + at} for at, text in enumerate(ODD_TEXTS)
    }
    rows = table("campaigns", len(ODD_TEXTS), others)
    assert write_postgres(marketing, FIRST, sources(rows))
    found = select(marketing, "select row_id, campaign_name, budget from campaigns order by 1")
    assert found == [(at + 1, text, 10**9 + at) for at, text in enumerate(ODD_TEXTS)]
    added = select(marketing, "insert into campaigns default values returning row_id")
    assert added == [(len(ODD_TEXTS) + 1,)]


def test_postgres_refuses_a_nul_and_keeps_nothing(marketing: psycopg.Connection[Any]) -> None:
    wrong = table("ab_tests", 2, {1: {"test_name": "a\0b"}})
    with pytest.raises(psycopg.errors.DataError):
        write_postgres(marketing, FIRST, sources(table("campaigns", 2), wrong))
    assert select(marketing, "select count(*) from campaigns") == [(0,)]


def test_wrong_bytes_and_odd_texts_arrive_in_mongo(clickstream: Any) -> None:
    texts = [*ODD_TEXTS, "NUL\0 inside", RawText(b"caf\xe9")]
    others = {at: {"referrer": text} for at, text in enumerate(texts)}
    assert write_mongo(clickstream, FIRST, sources(table("sessions", len(texts), others)))
    options: CodecOptions[Any] = CodecOptions(unicode_decode_error_handler="replace")
    found = clickstream.get_collection("sessions", codec_options=options).find().sort("_id")
    assert [document["referrer"] for document in found] == [*texts[:-1], "caf\ufffd"]
    with pytest.raises(InvalidBSON, match="utf-8"):
        list(clickstream["sessions"].find())


@pytest.mark.parametrize(("system", "name"), [("mysql", "transactions"), ("postgres", "ab_tests")])
def test_an_added_day_is_exactly_its_changes(
    shop: Any, marketing: psycopg.Connection[Any], system: str, name: str
) -> None:
    connection, write = (shop, write_mysql) if system == "mysql" else (marketing, write_postgres)
    column = BY_NAME[name].columns[1].name
    days = np.array(["2026-01-02", "2026-01-02", "2026-01-02", "2026-01-03"], "datetime64[s]")
    before = table(name, 3, {1: {column: "old"}}, made=days[:3])
    write(connection, FIRST, sources(before))
    after = table(
        name,
        4,
        {1: {column: "new"}, 3: {column: "added"}},
        made=days,
        changed=np.array(["2026-01-02", "2026-01-03", "2026-01-02", "2026-01-03"], "datetime64[s]"),
        deleted=np.array([NEVER, NEVER, "2026-01-03", NEVER], "datetime64[s]"),
    )
    # Somebody's own change of a row that the day does not touch must stay.
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"update {name} set {column} = 'theirs' where row_id = 1")
    connection.commit()
    assert write(connection, SECOND, sources(after))
    rows = f"select row_id, {column} from {name} order by row_id"
    expected = [(1, "theirs"), (2, "new"), (4, "added")]
    assert select(connection, rows) == expected
    assert not write(connection, SECOND, sources(table(name, 9)))
    assert select(connection, rows) == expected


@pytest.mark.parametrize(("system", "name"), [("mysql", "transactions"), ("postgres", "ab_tests")])
def test_a_row_of_somebody_elses_is_never_replaced(
    shop: Any, marketing: psycopg.Connection[Any], system: str, name: str
) -> None:
    connection, write = (shop, write_mysql) if system == "mysql" else (marketing, write_postgres)
    column = BY_NAME[name].columns[1].name
    write(connection, FIRST, sources(table(name, 1)))
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"insert into {name} ({column}) values ('theirs')")
    connection.commit()
    made = np.array(["2026-01-02", "2026-01-03"], "datetime64[s]")
    with pytest.raises(ForeignDataError, match="nothing was written"):
        write(connection, SECOND, sources(table(name, 2, made=made)))
    assert select(connection, f"select {column} from {name} order by row_id") == [
        ("x",),
        ("theirs",),
    ]


def mongo_day(until: str, **more: Any) -> PlantedRows:
    days = np.array(["2026-01-02", "2026-01-02", "2026-01-02", "2026-01-03"], "datetime64[s]")
    return table("sessions", 4, {1: {"country": until}, 3: {"country": "added"}}, made=days, **more)


@pytest.mark.parametrize("killed", [False, True])
def test_an_added_day_in_mongo_can_be_written_again(clickstream: Any, killed: bool) -> None:
    write_mongo(clickstream, FIRST, sources(mongo_day("old")))
    assert clickstream["sessions"].count_documents({}) == 3
    clickstream["sessions"].update_one({"country": "x"}, {"$set": {"os": "theirs"}})
    day = mongo_day(
        "new",
        changed=np.array(["2026-01-02", "2026-01-03", "2026-01-02", "2026-01-03"], "datetime64[s]"),
        deleted=np.array([NEVER, NEVER, "2026-01-03", NEVER], "datetime64[s]"),
    )
    if killed:  # after the changed document, and before the new one and the deletion
        marker = SECOND.writing(date(2026, 1, 3)).stored()
        clickstream["amato_world"].replace_one({"_id": "world"}, marker)
        clickstream["sessions"].update_one({"country": "old"}, {"$set": {"country": "new"}})
    assert write_mongo(clickstream, SECOND, sources(day))
    found = [(row["country"], row["os"]) for row in clickstream["sessions"].find().sort("_id")]
    assert found == [("x", "theirs"), ("new", "x"), ("added", "x")]
    assert not write_mongo(clickstream, SECOND, sources(table("sessions", 9)))


def test_a_first_load_of_mongo_that_was_cut_off_is_completed(clickstream: Any) -> None:
    rows = table("sessions", 20_000)
    write_mongo(clickstream, FIRST, sources(rows))
    clickstream["amato_world"].update_one({}, {"$set": {"state": "writing"}})
    clickstream["sessions"].delete_many({"is_bot": None, "duration_seconds": 1})
    clickstream["sessions"].update_many({}, {"$set": {"country": "half"}})
    assert 0 < clickstream["sessions"].count_documents({}) < 20_000
    assert write_mongo(clickstream, FIRST, sources(rows))
    assert clickstream["sessions"].count_documents({"country": "x"}) == 20_000
