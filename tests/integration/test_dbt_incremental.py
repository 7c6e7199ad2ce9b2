"""A night added to what was built before equals everything built anew."""

import json
import random
import shutil
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from dags.stages.dbt_build import PROJECT, ModelResult, build_layer
from elt.checksum import table_checksum
from elt.raw import ensure_raw
from tests.integration.dbt_support import query

NIGHTS = [date(2024, 3, 1) + timedelta(days=days) for days in (0, 1, 2, 9, 10)]
EVENTS = {
    "page_views": ("view_id", "timestamp"),
    "events": ("event_id", "timestamp"),
    "product_interactions": ("interaction_id", "timestamp"),
    "search_queries": ("query_id", "timestamp"),
}
# What hangs on the touched rows: by event table, the models that a night is added to.
CARRIED_ON = {
    "page_views": ("int_page_views__by_session", "int_page_views__paths"),
    "events": ("int_events__by_session",),
    "product_interactions": ("int_interactions__by_session",),
    "search_queries": ("int_searches__by_session",),
}
Source = dict[str, dict[str, dict[str, Any]]]


def moment(rng: random.Random, night: date) -> datetime:
    """Mostly the last day, often long ago, now and then after the night, seldom far after it."""
    hours = rng.choice(
        [*[-rng.uniform(0, 24)] * 20, *[-rng.uniform(0, 900)] * 8, *[rng.uniform(0, 40)] * 3, 300]
    )
    return datetime.combine(night, time(), UTC) + timedelta(hours=hours)


class Company:
    """A clickstream that lives from night to night, and what the loader would make of it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.source: Source = {table: {} for table in ("sessions", *EVENTS)}
        self.ids = 0

    def live(self, night: date, events: int) -> None:
        """New rows, late ones, duplicates; rows that change, go, break and are mended."""
        for _ in range(events // 2):
            self.add("sessions", self.session(night))
        for table in EVENTS:
            for _ in range(events):
                self.add(table, self.event(table, night))
        for table, rows in self.source.items():
            for key in self.rng.sample(sorted(rows), len(rows) // 40):
                self.change(table, key, night)

    def add(self, table: str, row: dict[str, Any]) -> None:
        self.ids += 1
        # Ids do not come in the order of time.
        self.source[table][f"{self.rng.getrandbits(64):016x}{self.ids:08x}"] = row

    def session(self, night: date) -> dict[str, Any]:
        start = moment(self.rng, night)
        return {
            "session_id": self.rng.choice([f"s{self.ids}"] * 20 + [None]),
            "anonymous_id": f"a{self.rng.randrange(20)}",
            "session_start": self.rng.choice([start] * 20 + [None]),
            "session_end": None,
            "updated_at": start,
        }

    def event(self, table: str, night: date) -> dict[str, Any]:
        sessions = [row["session_id"] for row in self.source["sessions"].values()]
        key, when = EVENTS[table]
        row = {
            key: self.rng.choice([f" {table}{self.ids} "] * 40 + [None, "  "]),
            "session_id": self.rng.choice([*self.rng.sample(sessions, 1) * 40, "nowhere", None]),
            when: self.rng.choice([moment(self.rng, night)] * 40 + [None]),
            "created_at": moment(self.rng, night),
        }
        others = [other[key] for other in self.source[table].values()]
        if others and self.rng.random() < 0.05:
            row[key] = self.rng.choice(others)
        return (
            row
            | {
                "page_views": {"page_type": self.rng.choice(["home", "product", "cart"])},
                "events": {
                    "event_type": self.rng.choice(["click", "purchase"] * 10 + ["telepathy"])
                },
                "product_interactions": {"interaction_type": "view", "product_id": "P"},
                "search_queries": {"search_term": self.rng.choice(["toys"] * 20 + [None])},
            }[table]
        )

    def change(self, table: str, key: str, night: date) -> None:
        rows = self.source[table]
        if self.rng.random() < 0.3:
            del rows[key]
        elif table == "sessions":
            mended = datetime.combine(night, time(), UTC) - timedelta(days=1)
            broken = rows[key]["session_start"] is None
            rows[key] = rows[key] | {"session_start": mended if broken else None}
        else:
            new = self.event(table, night)
            kept = self.rng.sample(sorted(new), 2)
            rows[key] = new | {name: rows[key][name] for name in kept}

    def copy(self) -> Source:
        return {table: dict(rows) for table, rows in self.source.items()}


def load(url: str, night: date, source: Source) -> None:
    """Bring raw to the source as the loader does, also where the night was loaded before."""
    with psycopg.connect(url) as conn:
        conn.execute("set role amato_loader")
        for table, rows in source.items():
            names = {"raw": sql.Identifier("raw_mongo", table), "night": sql.Literal(night)}
            for text in (
                "delete from {raw} where _valid_from = {night}",
                "update {raw} set _valid_to = null where _valid_to = {night}",
            ):
                conn.execute(sql.SQL(text).format(**names))
            held = conn.execute(
                sql.SQL("select _id, _extra from {raw} where _valid_to is null").format(**names)
            ).fetchall()
            before = {key: extra["row"] for key, extra in held}
            for key in before.keys() - rows.keys() | {
                key for key in before.keys() & rows.keys() if before[key] != told(rows[key])
            }:
                conn.execute(
                    sql.SQL(
                        "update {raw} set _valid_to = {night}"
                        " where _id = {key} and _valid_to is null"
                    ).format(**names, key=sql.Literal(key))
                )
            changed = [key for key in rows if before.get(key) != told(rows[key])]
            random.Random(len(changed)).shuffle(changed)
            for key in changed:
                full = rows[key] | {
                    "_id": key,
                    "_extra": Jsonb({"row": told(rows[key])}),
                    "_batch_id": night.toordinal(),
                    "_valid_from": night,
                }
                conn.execute(
                    sql.SQL("insert into {raw} ({columns}) values ({values})").format(
                        **names,
                        columns=sql.SQL(", ").join(map(sql.Identifier, full)),
                        values=sql.SQL(", ").join([sql.Placeholder()] * len(full)),
                    ),
                    list(full.values()),
                )
            conn.execute(
                """
                insert into elt.load_log (batch_id, as_of, source_system, source_table, read,
                    inserted, updated, deleted, unchanged, rejected, bytes, seconds, raw_live)
                values (%s, %s, 'mongo', %s, 0, 0, 0, 0, 0, 0, 0, 0, 0)
                """,
                (night.toordinal(), night, table),
            )


def told(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it, to compare."""
    return dict(json.loads(json.dumps(row, default=str)))


def build(url: str, home: Path, night: date, project: Path = PROJECT) -> dict[str, ModelResult]:
    results = [r for layer in ("staging", "intermediate") for r in build_layer(
        layer, night, home, url, project)]  # fmt: skip
    assert {r.status for r in results} <= {"success", "pass"}
    return {result.name: result for result in results}


def checksums(url: str) -> dict[str, str]:
    """Of every table that the two layers build, but those that only say what was touched."""
    with psycopg.connect(url, options="-c timezone=UTC") as conn:
        tables = conn.execute(
            "select schemaname, tablename from pg_tables where schemaname in"
            " ('staging', 'intermediate', 'quality') and tablename !~ '(touched|dbt_run|builds)'"
        ).fetchall()
        return {
            f"{schema}.{table}": table_checksum(conn, schema, table) for schema, table in tables
        }


def touched(url: str) -> list[int]:
    return [
        query(url, f"select count(*) from staging.stg_mongo__touched_{table}")[0][0]
        for table in EVENTS
    ]


def assert_equal_to_a_full_build(url: str, home: Path, night: date) -> None:
    """Nights were added, and building the last of them again builds everything, to the same."""
    assert min(touched(url)) > 0
    added = checksums(url)
    build(url, home, night)
    assert touched(url) == [0, 0, 0, 0]
    whole = checksums(url)
    assert {name for name in whole if whole[name] != added.get(name)} == set()


@pytest.mark.timeout(900)
def test_nights_that_are_added_equal_a_full_build(warehouse_url: str, tmp_path: Path) -> None:
    company = Company(seed=7)
    with psycopg.connect(warehouse_url) as conn:
        ensure_raw(conn)
    first, second, skipped, fourth, last = NIGHTS
    company.live(first, 400)
    load(warehouse_url, first, company.source)
    build(warehouse_url, tmp_path, first)

    company.live(second, 20)
    load(warehouse_url, second, company.source)
    build(warehouse_url, tmp_path, second)
    # a night that nobody built, then one more, that is told from the one before
    company.live(skipped, 20)
    load(warehouse_url, skipped, company.source)
    before = company.copy()
    company.live(fourth, 20)
    load(warehouse_url, fourth, company.source)
    results = build(warehouse_url, tmp_path, fourth)
    for table, models in CARRIED_ON.items():
        for model in (f"stg_mongo__{table}", *models):
            schema = "staging" if model.startswith("stg") else "intermediate"
            ((rows,),) = query(warehouse_url, f"select count(*) from {schema}.{model}")
            assert 0 < (results[model].rows or 0) < rows
        name = f"staging.stg_mongo__{table}"
        with psycopg.connect(warehouse_url) as conn, pytest.raises(UniqueViolation):
            conn.execute(f"insert into {name} select * from {name} limit 1")
    assert_equal_to_a_full_build(warehouse_url, tmp_path, fourth)

    # The night is loaded again, and much of what it had brought is gone without a trace; only
    # staging is built before the next night comes.
    company.source = before
    company.live(fourth, 20)
    load(warehouse_url, fourth, company.source)
    build_layer("staging", fourth, tmp_path, warehouse_url)
    company.live(last, 20)
    load(warehouse_url, last, company.source)
    results = build(warehouse_url, tmp_path, last)
    # what was built from the night's first load begins anew
    counted = query(warehouse_url, "select count(*) from intermediate.int_events__by_session")
    assert counted == [(results["int_events__by_session"].rows,)]
    assert_equal_to_a_full_build(warehouse_url, tmp_path, last)


@pytest.mark.timeout(900)
def test_an_edited_project_is_proven_and_builds_everything(
    warehouse_url: str, tmp_path: Path
) -> None:
    home, first, second = tmp_path / "home", *NIGHTS[:2]
    company = Company(seed=8)
    with psycopg.connect(warehouse_url) as conn:
        ensure_raw(conn)
    company.live(first, 40)
    load(warehouse_url, first, company.source)
    results = build(warehouse_url, home, first)
    assert {r.resource_type for r in results.values()} == {"model", "test", "unit_test"}

    company.live(second, 10)
    load(warehouse_url, second, company.source)
    shutil.rmtree(home / "dbt" / "target")
    results = build(warehouse_url, home, second)
    assert min(touched(warehouse_url)) > 0
    assert {r.resource_type for r in results.values()} == {"model", "test"}
    # nothing that dbt was told of the first night is left in what it was told of the second
    compiled = (home / "dbt" / "target" / "run").rglob("*.sql")
    texts = {f.stem: f.read_text(encoding="utf-8") for f in compiled}
    assert any(second.isoformat() in text for text in texts.values())
    # (the touched rows are told from the first night)
    assert {
        name for name, text in texts.items() if first.isoformat() in text and "touched" not in text
    } == set()

    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    rules = project / "macros" / "cleanup" / "quality_rules.sql"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("scroll_depth not between 0 and 100", "false"), encoding="utf-8")
    third = NIGHTS[3]
    results = build(warehouse_url, home, third, project)
    assert touched(warehouse_url) == [0, 0, 0, 0]
    assert {r.resource_type for r in results.values()} == {"model", "test", "unit_test"}
