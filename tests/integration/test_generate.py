"""The generated company in real servers: all of it, once, day by day, and nobody else's data."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.errors import InvalidBSON

from data_generators.args import WorldArgs
from data_generators.generate import generate
from data_generators.sinks.marker import ForeignDataError, WorldMismatchError
from elt.specs import MONGO, MYSQL, POSTGRES, SPECS
from tests.integration.source_support import FreshSources, Sources, open_sources

ROOT = Path(__file__).resolve().parents[2]
ARGS = WorldArgs(1, 0.02, 365, date(2026, 1, 1))
OTHERS = {
    "seed": replace(ARGS, seed=2),
    "scale": replace(ARGS, scale=0.03),
    "days": replace(ARGS, days=366),
    "as_of": replace(ARGS, as_of=date(2025, 12, 31)),
    "effects": replace(ARGS, effects="all,-churn"),
    "defects": replace(ARGS, defects="none"),
}
NOTHING = dict.fromkeys((spec.name for spec in SPECS), 0)
SYSTEMS = ("mysql", "postgres", "mongo")
Content = dict[str, tuple[int, str]]


def day(number: int) -> date:
    """So many days after the base history."""
    return ARGS.as_of + timedelta(days=number)


@pytest.fixture(scope="module")
def company(fresh_sources: FreshSources) -> Callable[[int], Content]:
    """What the databases hold when so many days are added, all of it written at once."""
    known: dict[int, Content] = {}

    def of(days: int) -> Content:
        if days not in known:
            with fresh_sources() as urls, open_sources(urls) as fresh:
                generate(ARGS, day(days), **fresh.all())
                known[days] = fresh.content()
        return known[days]

    return of


def test_a_second_time_changes_nothing(
    sources: Sources, company: Callable[[int], Content], tmp_path: Path
) -> None:
    """And the same arguments give the same bytes in other databases."""
    first = generate(ARGS, **sources.all(), truth=tmp_path / "truth")
    assert first.written
    assert sources.content() == company(0)
    assert first.rows == sources.counts()
    assert min(first.rows.values()) > 0
    assert {spec.name: first.rows[spec.name] for spec in POSTGRES[::2]} == {
        "campaigns": ARGS.count(100, 5),
        "ab_tests": ARGS.count(50, 3),
    }
    # A change of the shop's own must survive: a complete world is not written again.
    sources.mysql.query("update customers set city = 'Elsewhere' where row_id = 1")
    sources.mysql.commit()
    before = (sources.content(), sources.writes(), ledger(tmp_path / "truth"))
    again = generate(ARGS, **sources.all(), truth=tmp_path / "truth")
    assert not again.written
    assert again.rows == first.rows
    assert (sources.content(), sources.writes(), ledger(tmp_path / "truth")) == before
    assert sources.query("select city from customers where row_id = 1") == "Elsewhere"


def ledger(folder: Path) -> dict[str, tuple[int, int]]:
    """The ledger's files, and which versions of them they are."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("steps", [[1, 2, 3], [2, 3], [1, 2, 3, 5, 40], [40]])
def test_daily_runs_are_one_run(
    sources: Sources, company: Callable[[int], Content], steps: list[int]
) -> None:
    generate(ARGS, **sources.all())
    before = sources.counts()
    for number in steps:
        # Alike: a day to go to, and the same company asked for as of that day.
        args, until = (
            (ARGS, day(number)) if number % 2 else (replace(ARGS, as_of=day(number)), None)
        )
        assert generate(args, until, **sources.all()).written
        assert {marker["until"] for marker in sources.markers()} == {str(day(number))}
        assert {marker["as_of"] for marker in sources.markers()} == {str(ARGS.as_of)}
        assert not generate(args, until, **sources.all()).written
    assert sources.content() == company(steps[-1])
    # Life it was: there is more, and some of it came to rows that were there.
    after = sources.counts()
    assert after["page_views"] > before["page_views"]
    changed = f"select count(*) from transactions where row_id <= {before['transactions']}"
    assert sources.query(f"{changed} and updated_at >= '{ARGS.as_of}'") > 0


def test_added_days_also_delete(sources: Sources) -> None:
    generate(ARGS, **sources.all())
    keys = "select group_concat(row_id) from transactions"
    sources.mysql.query("set session group_concat_max_len = 10000000")
    before = set(sources.query(keys).split(","))
    generate(ARGS, day(40), **sources.all())
    gone = before - set(sources.query(keys).split(","))
    assert gone
    assert len(gone) < len(before) / 20


def test_a_database_that_comes_later_is_brought_to_the_same_day(
    sources: Sources, company: Callable[[int], Content]
) -> None:
    generate(ARGS, day(2), mysql=sources.mysql)
    only = sources.counts()
    assert only == NOTHING | {spec.name: company(2)[spec.name][0] for spec in MYSQL}
    # Asked for an earlier day, the shop stays where it is; a company has one present.
    result = generate(ARGS, day(1), **sources.all())
    assert result.written
    assert sources.content() == company(2)
    assert not generate(ARGS, **sources.all()).written


@pytest.mark.parametrize("different", list(OTHERS))
def test_another_world_is_refused(sources: Sources, different: str) -> None:
    generate(ARGS, **sources.all())
    before = sources.content()
    for name, connection in sources.all().items():
        with pytest.raises(WorldMismatchError, match="make clean"):
            generate(OTHERS[different], **{name: connection})
    assert sources.content() == before


def test_the_same_world_in_other_words_is_not_another(sources: Sources) -> None:
    generate(ARGS, **sources.all())
    others = {
        "effects": "campaigns,churn,experiments,segments,stages",
        "defects": "none,default,customers.null_key=0.0015",
    }
    assert not generate(replace(ARGS, **others), **sources.all()).written


@pytest.mark.parametrize("system", SYSTEMS)
def test_foreign_data_is_refused_and_no_database_is_touched(sources: Sources, system: str) -> None:
    if system == "mysql":
        sources.mysql.query("insert into transaction_items (item_id) values ('theirs')")
        sources.mysql.commit()
    elif system == "postgres":
        sources.postgres.execute("insert into ab_tests (test_id) values ('theirs')")
        sources.postgres.commit()
    else:
        sources.mongo["events"].insert_one({"event_id": "theirs"})
    before = sources.content()
    assert sum(count for count, _ in before.values()) == 1
    with pytest.raises(ForeignDataError, match="not generated here"):
        generate(ARGS, **sources.all())
    with pytest.raises(ForeignDataError, match="nothing"):
        generate(ARGS, **{system: sources.all()[system]})
    assert sources.content() == before
    assert sources.markers() == []


def test_a_marker_of_an_earlier_version_is_refused(sources: Sources) -> None:
    sources.mongo["amato_world"].insert_one(
        {"_id": "world", "seed": "1", "scale": "0.02", "days": "365", "as_of": "2026-01-01"}
    )
    with pytest.raises(WorldMismatchError, match="earlier version"):
        generate(ARGS, **sources.all())
    assert sources.counts() == NOTHING


def test_databases_that_are_not_given_are_left_alone(
    sources: Sources, company: Callable[[int], Content], tmp_path: Path
) -> None:
    """The ledger tells of all tables, and so it is the same."""
    result = generate(ARGS, postgres=sources.postgres, truth=tmp_path / "one")
    assert set(result.rows) == {spec.name for spec in POSTGRES}
    assert sources.counts() == NOTHING | result.rows
    generate(ARGS, truth=tmp_path / "none")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"defects.parquet", "customers.parquet"} <= names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "none" / name).read_bytes()
    generate(ARGS, **sources.all(), truth=tmp_path / "one")
    assert sources.content() == company(0)


def test_the_ledger_is_written_when_it_is_missing_or_of_another_day(
    sources: Sources, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    generate(ARGS, **sources.all())
    before = sources.writes()
    assert not generate(ARGS, **sources.all(), truth=truth).written
    first = {path.name: path.read_bytes() for path in truth.iterdir()}
    assert sources.writes() == before
    generate(ARGS, day(1), **sources.all())
    assert not generate(ARGS, day(1), **sources.all(), truth=truth).written
    second = {path.name: path.read_bytes() for path in truth.iterdir()}
    assert second.keys() == first.keys()
    assert second["orders.parquet"] != first["orders.parquet"]


KILLED = """
import os, signal, sys
from datetime import date
from data_generators.args import WorldArgs
from data_generators.generate import generate
from data_generators.sinks import mongo, mysql, postgres
from tests.integration.source_support import open_sources

system, name, calls, until = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
module = {"mysql": mysql, "postgres": postgres, "mongo": mongo}[system]
function, seen = getattr(module, name), [0]

def deadly(*arguments):
    seen[0] += 1
    if seen[0] == calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return function(*arguments)

setattr(module, name, deadly)
urls = {system: os.environ[system.upper()] for system in ("mysql", "postgres", "mongo")}
with open_sources(urls) as sources:
    generate(WorldArgs(1, 0.02, 365, date(2026, 1, 1)), date.fromisoformat(until), **sources.all())
"""
KILLS = {
    "first load": [
        ("mysql", "_load", 4),
        ("mysql", "_put_marker", 1),
        ("postgres", "_copy", 2),
        ("postgres", "_put_marker", 1),
        ("mongo", "_insert", 1),
        ("mongo", "_insert", 4),
        ("mongo", "_put_marker", 2),
    ],
    "added day": [
        ("mysql", "_load", 5),
        ("mysql", "_put_marker", 1),
        ("postgres", "_copy", 1),
        ("mongo", "_replace", 1),
        ("mongo", "_replace", 4),
        ("mongo", "_put_marker", 2),
    ],
}


@pytest.mark.parametrize(
    ("when", "kill"), [(when, kill) for when, kills in KILLS.items() for kill in kills]
)
def test_a_writer_that_is_killed_is_made_good(
    sources: Sources, company: Callable[[int], Content], when: str, kill: tuple[str, str, int]
) -> None:
    """At any point: before it has begun a database, within it, and before it is complete."""
    if when == "added day":
        generate(ARGS, **sources.all())
    before = sources.content()
    until = day(0 if when == "first load" else 1)
    writer = run(sources, KILLED, *map(str, kill), str(until))
    assert writer.wait() == -9
    if kill[:2] == ("mongo", "_put_marker"):
        assert sources.markers()[-1]["state"] == "writing"
    else:
        assert sources.content() != company((until - ARGS.as_of).days)
    if kill[0] == "mysql":  # one transaction, and the first of them
        assert sources.content() == before
    # A day later, the interrupted one is made good along with the next.
    for later in (until, until + timedelta(days=1)):
        assert generate(ARGS, later, **sources.all()).written
        assert sources.content() == company((later - ARGS.as_of).days)


def test_an_interrupted_day_can_be_made_good_by_a_later_one(
    sources: Sources, company: Callable[[int], Content]
) -> None:
    """Neither first load nor added day need be asked for again as they were."""
    assert run(sources, KILLED, "mongo", "_insert", "4", str(day(0))).wait() == -9
    assert generate(ARGS, day(1), **sources.all()).written
    assert sources.content() == company(1)
    assert run(sources, KILLED, "mongo", "_replace", "4", str(day(2))).wait() == -9
    assert generate(ARGS, day(40), **sources.all()).written
    assert sources.content() == company(40)


RACE = """
import os, sys
from datetime import date
from data_generators.args import WorldArgs
from data_generators.generate import generate
from tests.integration.source_support import open_sources

urls = {system: os.environ[system.upper()] for system in ("mysql", "postgres", "mongo")}
with open_sources(urls) as sources:
    generate(WorldArgs(1, 0.02, 365, date(2026, 1, 1)), **sources.all())
"""


def test_two_writers_at_once_write_it_once(
    sources: Sources, company: Callable[[int], Content]
) -> None:
    writers = [run(sources, RACE) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sources.content() == company(0)


def run(sources: Sources, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A process that has the sources' addresses in its environment."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={
            **os.environ,
            **{system.upper(): url for system, url in sources.urls.items()},
            "PYTHONPATH": str(ROOT),
        },
        cwd=ROOT,
    )


def test_rows_added_by_hand_come_after_the_generated_ones(sources: Sources) -> None:
    generate(ARGS, **sources.all())
    for table in ("customers", "transaction_items"):
        highest = sources.query(f"select max(row_id) from {table}")
        with closing(sources.mysql.cursor()) as cursor:
            cursor.execute(f"insert into {table} () values ()")
            assert cursor.lastrowid == highest + 1
        sources.mysql.rollback()
    for table in ("campaigns", "campaign_performance"):
        highest = sources.one(f"select max(row_id) from {table}")
        assert sources.one(f"insert into {table} default values returning row_id") == highest + 1


def test_what_was_planted_is_found(sources: Sources) -> None:
    """One thing of each kind that a source could have altered on the way."""
    generate(replace(ARGS, scale=0.1), mysql=sources.mysql, mongo=sources.mongo)
    assert sources.query("select count(*) from customers where date_of_birth = '0000-00-00'") == 1
    assert sources.query("select count(*) from customers where instr(last_name, char(0))") == 1
    assert sources.query("select count(*) from transactions where order_date = 0") > 0
    undecodable = 0
    for spec in MONGO:
        for document in sources.documents(spec.name):
            try:
                bson.decode(document)
            except InvalidBSON:
                undecodable += 1
    assert undecodable > 0


def test_a_small_company_has_something_of_everything(sources: Sources) -> None:
    result = generate(WorldArgs(3, 0.005, 60, date(2026, 1, 1)), **sources.all())
    assert all(result.rows.values()), result.rows
    markers: list[dict[str, Any]] = sources.markers()
    assert len(markers) == 3
    assert all(marker == markers[0] for marker in markers)
