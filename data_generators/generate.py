"""Makes the company and writes it into the source databases that are given."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_generators.args import WorldArgs
from data_generators.company.world import World, make_world
from data_generators.defects.plant import Planter
from data_generators.ledger import read_marker, write_ledger
from data_generators.sinks import mongo as mongo_sink
from data_generators.sinks import mysql as mysql_sink
from data_generators.sinks import postgres as postgres_sink
from data_generators.sinks.marker import Marker, plan, target
from data_generators.sinks.tables import Source
from data_generators.tables import BUILDERS, sizes
from data_generators.tables.rows import PlantedDefect, PlantedRows
from elt.specs import MONGO, MYSQL, POSTGRES, SPECS, TableSpec

if TYPE_CHECKING:
    import MySQLdb.connections
    import psycopg
    from pymongo.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GenerateResult:
    """The rows of each table, whether any database had to be written, and the time taken."""

    rows: dict[str, int]
    written: bool
    seconds: float


@dataclass(frozen=True)
class _Sink:
    """One given database, and what can be done with it."""

    where: str
    connection: Any
    specs: tuple[TableSpec, ...]
    marker: Callable[[Any], Marker | None]
    write: Callable[[Any, Marker, tuple[Source, ...]], bool]
    count: Callable[[Any], dict[str, int]]


def generate(
    args: WorldArgs,
    until: date | None = None,
    mysql: MySQLdb.connections.Connection | None = None,
    postgres: psycopg.Connection[Any] | None = None,
    mongo: Database[dict[str, Any]] | None = None,
    truth: Path | None = None,
) -> GenerateResult:
    """Bring the given databases up to ``until`` (default: ``args.as_of``), and the ledger.

    An empty database gets everything; one that holds this company at an earlier day gets the
    days between, as they would have changed it; one that is there already, or further, is left
    as it is. Where ``args.as_of`` is later than that of the standing company, that one is
    continued. All databases are looked at before the first is written, so that a refusal
    changes none of them. ``truth`` is the folder of the ledger, which is always written whole.

    ``mysql`` must allow LOCAL INFILE.

    Raises:
        WorldMismatchError: a database holds a company of other arguments.
        ForeignDataError: a database holds data that was not generated here.
    """
    begun = time.perf_counter()
    sinks = _sinks(mysql, postgres, mongo)
    found = {sink.where: sink.marker(sink.connection) for sink in sinks}
    standing = {where: marker for where, marker in found.items() if marker is not None}
    args, last = target(args, until, standing)
    wanted = Marker.of(args, last)
    todo = [sink for sink in sinks if plan(sink.where, found[sink.where], wanted).write]
    stale = truth is not None and read_marker(truth) != wanted
    written = False
    if todo or stale:
        factory = Factory(make_world(args, last))
        for sink in todo:
            log.info("writing %s up to %s", sink.where, last)
            written |= sink.write(sink.connection, wanted, factory.sources(sink.specs))
        if truth is not None:
            write_ledger(truth, factory.world, factory.all_defects())
    rows: dict[str, int] = {}
    for sink in sinks:
        rows |= sink.count(sink.connection)
    return GenerateResult(rows, written, time.perf_counter() - begun)


def _sinks(mysql: Any, postgres: Any, mongo: Any) -> list[_Sink]:
    every = (
        _Sink(
            mysql_sink.WHERE,
            mysql,
            MYSQL,
            mysql_sink.mysql_marker,
            mysql_sink.write_mysql,
            mysql_sink.count_mysql,
        ),
        _Sink(
            postgres_sink.WHERE,
            postgres,
            POSTGRES,
            postgres_sink.postgres_marker,
            postgres_sink.write_postgres,
            postgres_sink.count_postgres,
        ),
        _Sink(
            mongo_sink.WHERE,
            mongo,
            MONGO,
            mongo_sink.mongo_marker,
            mongo_sink.write_mongo,
            mongo_sink.count_mongo,
        ),
    )
    return [sink for sink in every if sink.connection is not None]


class Factory:
    """Makes the rows of a world, and keeps the defects that it has planted on the way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._planter = Planter(world)
        self._defects: dict[str, list[PlantedDefect]] = {}

    def sources(self, specs: tuple[TableSpec, ...]) -> tuple[Source, ...]:
        """The tables of one database."""
        sessions = self.world.sessions
        totals = {name: total for name, (total, _) in sizes(self.world).items()} | {
            "sessions": len(sessions),
            "page_views": int(sessions.pages.sum()),
            "events": int(sessions.events.sum()),
            "product_interactions": int(sessions.interactions.sum()),
            "search_queries": int(sessions.searches.sum()),
        }
        return tuple(
            Source(spec, partial(self._rows, spec.name), totals[spec.name]) for spec in specs
        )

    def all_defects(self) -> Iterator[PlantedDefect]:
        """The defects of all tables, of those too whose rows nobody wanted."""
        for spec in SPECS:
            if spec.name not in self._defects:
                for _ in self._rows(spec.name):
                    pass
            yield from self._defects[spec.name]

    def _rows(self, table: str) -> Iterator[PlantedRows]:
        defects: list[PlantedDefect] = []
        for rows in BUILDERS[table](self.world):
            planted = self._planter.plant(rows)
            defects += planted.defects
            yield planted
        self._defects[table] = defects
