"""Writing the generated world into real servers: all of it, once, and nobody else's data."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pymongo
import pytest
from pymongo.database import Database

from data_generators.generate import generate
from data_generators.marker import ForeignDataError, WorldMismatchError
from data_generators.sinks import write_mongo, write_mysql, write_postgres
from data_generators.world import World, WorldArgs, make_world
from ddl.migrate import connect_mysql
from elt.specs import MONGO, MYSQL, POSTGRES, SPECS

ROOT = Path(__file__).resolve().parents[2]
ARGS = WorldArgs(1, 0.01, 365, date(2026, 1, 1))
OTHERS = {
    "seed": replace(ARGS, seed=2),
    "scale": replace(ARGS, scale=0.02),
    "days": replace(ARGS, days=366),
    "as_of": replace(ARGS, as_of=date(2026, 1, 2)),
}


@dataclass(frozen=True)
class Sources:
    """Open connections to three fresh source databases."""

    mysql: Any
    postgres: psycopg.Connection[Any]
    mongo: Database[dict[str, Any]]

    def all(self) -> dict[str, Any]:
        """The arguments of ``generate``."""
        return {"mysql": self.mysql, "postgres": self.postgres, "mongo": self.mongo}

    def counts(self) -> dict[str, int]:
        """The rows of each table, as the servers count them."""
        counts = {spec.name: self.query(f"select count(*) from {spec.name}") for spec in MYSQL}
        for spec in POSTGRES:
            row = self.postgres.execute(f"select count(*) from {spec.name}".encode()).fetchone()
            assert row is not None
            counts[spec.name] = row[0]
        self.postgres.rollback()
        return counts | {spec.name: self.mongo[spec.name].count_documents({}) for spec in MONGO}

    def query(self, statement: str) -> Any:
        """One value from MySQL."""
        self.mysql.rollback()
        with closing(self.mysql.cursor()) as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]


@pytest.fixture
def sources(mysql_url: str, marketing_url: str, mongo_url: str) -> Iterator[Sources]:
    with ExitStack() as stack:
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongo_url)
        stack.enter_context(client)
        yield Sources(
            stack.enter_context(closing(connect_mysql(mysql_url))),
            stack.enter_context(psycopg.connect(marketing_url)),
            client.get_default_database(),
        )


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(ARGS.seed, ARGS.scale, ARGS.days, ARGS.as_of)


NOTHING = dict.fromkeys((spec.name for spec in SPECS), 0)


def test_everything_is_written_and_a_second_time_changes_nothing(
    sources: Sources, world: World
) -> None:
    first = generate(ARGS, **sources.all())
    assert first.written
    assert first.rows == world.rows == sources.counts()
    # A change of the shop's own must survive: a complete world is not written again.
    sources.mysql.query("update customers set city = 'Elsewhere' where row_id = 1")
    sources.mysql.commit()
    again = generate(ARGS, **sources.all())
    assert not again.written
    assert again.rows == first.rows == sources.counts()
    assert sources.query("select city from customers where row_id = 1") == "Elsewhere"


def test_what_arrives_is_what_was_made(sources: Sources, world: World) -> None:
    generate(ARGS, **sources.all())
    orders = world.tables["transactions"]
    total = Decimal(int(np.round(orders["total_amount"] * 100).sum())) / 100
    assert sources.query("select sum(total_amount) from transactions") == total
    assert (
        sources.query("select max(order_date) from transactions")
        == orders["order_date"].max().item()
    )
    liked = sources.query("select interests from customer_demographics where row_id = 7")
    assert json.loads(liked) == world.tables["customer_demographics"]["interests"][6]

    daily = world.tables["campaign_performance"]
    row = sources.postgres.execute(
        "select sum(impressions), sum(spend), max(created_at), max(ctr), max(row_id)"
        " from campaign_performance"
    ).fetchone()
    assert row is not None
    assert row[0] == int(daily["impressions"].sum())
    assert row[1] == Decimal(int(np.round(daily["spend"] * 100).sum())) / 100
    assert row[2] == daily["created_at"].max().item().replace(tzinfo=UTC)
    assert float(row[3]) == pytest.approx(daily["ctr"].max(), abs=1e-9)
    added = sources.postgres.execute(
        "insert into campaign_performance (campaign_id) values ('x') returning row_id"
    ).fetchone()
    assert added == (row[4] + 1,)

    for spec in MONGO:
        table = world.tables[spec.name]
        document = sources.mongo[spec.name].find_one({"_id": table["_id"][-1]})
        assert document is not None
        expected = {name: values[-1] for name, values in table.items()}
        assert document == {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in expected.items()
        }
    newest = sources.mongo["page_views"].find_one({}, sort=[("created_at", -1)])
    assert newest is not None
    assert newest["created_at"] < datetime(2026, 1, 1)


@pytest.mark.parametrize("different", list(OTHERS))
def test_another_world_is_refused(sources: Sources, different: str) -> None:
    generate(ARGS, **sources.all())
    before = sources.counts()
    for name, connection in sources.all().items():
        with pytest.raises(WorldMismatchError, match="make clean"):
            generate(OTHERS[different], **{name: connection})
    assert sources.counts() == before


@pytest.mark.parametrize("system", ["mysql", "postgres", "mongo"])
def test_foreign_data_is_refused_and_no_database_is_touched(sources: Sources, system: str) -> None:
    if system == "mysql":
        sources.mysql.query("insert into transaction_items (item_id) values ('theirs')")
        sources.mysql.commit()
    elif system == "postgres":
        sources.postgres.execute("insert into ab_tests (test_id) values ('theirs')")
        sources.postgres.commit()
    else:
        sources.mongo["events"].insert_one({"event_id": "theirs"})
    before = sources.counts()
    assert sum(before.values()) == 1
    with pytest.raises(ForeignDataError, match="not generated here"):
        generate(ARGS, **sources.all())
    with pytest.raises(ForeignDataError, match="nothing"):
        generate(ARGS, **{system: sources.all()[system]})
    assert sources.counts() == before
    assert "amato_world" not in sources.mongo.list_collection_names()
    assert (
        sources.query(
            "select count(*) from information_schema.tables"
            " where table_schema = database() and table_name = 'amato_world'"
        )
        == 0
    )
    marker = sources.postgres.execute("select to_regclass('amato_world')").fetchone()
    assert marker == (None,)


def test_databases_that_are_not_given_are_left_alone(sources: Sources, world: World) -> None:
    result = generate(ARGS, postgres=sources.postgres)
    assert set(result.rows) == {spec.name for spec in POSTGRES}
    assert sources.counts() == NOTHING | result.rows


def broken(world: World, table: str, column: str) -> World:
    """The world with a last value that no server takes."""
    values = world.tables[table][column].astype(object)
    values[-1] = "not a date"
    tables = {**world.tables, table: {**world.tables[table], column: values}}
    return World(world.args, tables)


@pytest.mark.parametrize(
    ("system", "write", "table"),
    [
        ("mysql", write_mysql, "customer_segment_mapping"),
        ("postgres", write_postgres, "ab_test_results"),
    ],
)
def test_a_failure_in_the_last_table_leaves_nothing_in_sql(
    sources: Sources,
    world: World,
    system: str,
    write: Callable[[Any, World], dict[str, int]],
    table: str,
) -> None:
    connection = sources.all()[system]
    with pytest.raises((psycopg.errors.DataError, connection_errors())):
        write(connection, broken(world, table, "created_at"))
    assert sources.counts() == NOTHING
    rows = write(connection, world)
    assert sources.counts() == NOTHING | rows


def connection_errors() -> type[Exception]:
    """MySQL's base error, imported here because the driver is slow to import."""
    import MySQLdb

    return MySQLdb.Error


def test_a_half_written_mongo_is_wiped_and_written_again(sources: Sources, world: World) -> None:
    write_mongo(sources.mongo, world)
    indexes = sources.mongo["events"].index_information()
    sources.mongo["amato_world"].update_one({}, {"$set": {"state": "writing"}})
    sources.mongo["events"].delete_many({"event_type": "click"})
    sources.mongo["sessions"].insert_one({"session_id": "left over"})
    sources.mongo["page_views"].update_one({}, {"$set": {"page_type": "half"}})
    assert write_mongo(sources.mongo, world) == {spec.name: world.rows[spec.name] for spec in MONGO}
    assert {k: v for k, v in sources.counts().items() if v} == {
        spec.name: world.rows[spec.name] for spec in MONGO
    }
    assert sources.mongo["sessions"].find_one({"session_id": "left over"}) is None
    assert sources.mongo["page_views"].find_one({"page_type": "half"}) is None
    assert sources.mongo["events"].index_information() == indexes


def test_a_second_writer_beside_the_first_adds_nothing_twice(
    sources: Sources, world: World
) -> None:
    """The first writer's early documents are there while its marker still says writing."""
    write_mongo(sources.mongo, world)
    sources.mongo["amato_world"].delete_many({})
    for name in ("events", "search_queries"):
        sources.mongo[name].delete_many({})
    sources.mongo["amato_world"].insert_one(
        {"_id": "world", "seed": "1", "scale": "0.01", "days": "365", "as_of": "2026-01-01",
         "state": "writing"}
    )  # fmt: skip
    for _ in range(2):
        write_mongo(sources.mongo, world)
        assert sources.mongo["page_views"].count_documents({}) == world.rows["page_views"]


KILLED = """
import os, sys
from datetime import date
import pymongo
from data_generators.generate import generate
from data_generators.world import WorldArgs
from ddl.migrate import connect_mysql
args = WorldArgs(1, 0.1, 365, date(2026, 1, 1))
if sys.argv[1] == "mysql":
    generate(args, mysql=connect_mysql(os.environ["AMATO_TEST_TARGET"]))
else:
    with pymongo.MongoClient(os.environ["AMATO_TEST_TARGET"]) as client:
        generate(args, mongo=client.get_default_database())
"""


@pytest.mark.parametrize("system", ["mysql", "mongo"])
def test_a_writer_that_is_killed_half_way_is_made_good(
    sources: Sources, mysql_url: str, mongo_url: str, system: str
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, system],
        env={**os.environ, "AMATO_TEST_TARGET": mysql_url if system == "mysql" else mongo_url},
        cwd=ROOT,
    )
    deadline = time.monotonic() + 60
    try:
        while not under_way(sources, mysql_url, system):
            assert writer.poll() is None, "the writer ended before it could be killed"
            assert time.monotonic() < deadline
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    whole = generate(replace(ARGS, scale=0.1), **{system: sources.all()[system]})
    assert whole.written
    assert sources.counts() == NOTHING | whole.rows


def under_way(sources: Sources, mysql_url: str, system: str) -> bool:
    """Whether some rows are written, and by far not all."""
    if system == "mongo":
        return sources.mongo["page_views"].estimated_document_count() > 10_000
    with closing(connect_mysql(mysql_url)) as shop, closing(shop.cursor()) as cursor:
        # Nothing of it is committed yet.
        cursor.execute("set session transaction isolation level read uncommitted")
        cursor.execute("select count(*) > 1000 from transaction_items")
        return bool(cursor.fetchone()[0])
